"""What several detectors work out of features, against literal twins and on examples a reader can check on paper."""

from __future__ import annotations

import numpy as np
import pytest

from nero_core.detectors import linear_algebra
from nero_core.detectors.linear_algebra import class_means, scatter, unit_rows, whitening


@pytest.fixture
def values():
    """Float32 features of 50 images in five dimensions, and their classes."""
    rng = np.random.default_rng(0)
    return rng.normal(3, 2, (50, 5)).astype(np.float32), np.arange(50) % 3


@pytest.fixture(params=[4096, 7], ids=["whole", "in chunks"])
def rows(request, monkeypatch):
    monkeypatch.setattr(linear_algebra, "CHUNK_ROWS", request.param)


@pytest.mark.usefixtures("rows")
def test_class_means_and_scatter_are_their_definitions(values):
    features, labels = values
    means = class_means(features, labels, 3)
    literal = [np.mean([row for row, c in zip(features, labels, strict=True) if c == k], axis=0) for k in range(3)]
    np.testing.assert_allclose(means, literal, rtol=1e-6)
    total = np.zeros((5, 5))
    for row, c in zip(features.astype(np.float64), labels, strict=True):
        total += np.outer(row - means[c], row - means[c])
    np.testing.assert_allclose(scatter(features, means, labels), total, rtol=1e-12)


def test_class_means_and_scatter_on_paper():
    features, labels = np.array([[1.0, 0], [3, 4], [5, 5]]), np.array([0, 0, 1])
    means = class_means(features, labels, 2)
    assert means.tolist() == [[2, 2], [5, 5]]
    assert scatter(features, means, labels).tolist() == [[2, 4], [4, 8]]


@pytest.mark.parametrize("ridge", [1e-6, 0.5, 100.0])
def test_a_ridge_whitens_by_the_inverse(values, ridge):
    features, labels = values
    sigma = scatter(features, class_means(features, labels, 3), labels)
    w = whitening(sigma, ridge)
    np.testing.assert_allclose(w @ w.T, np.linalg.inv(sigma + ridge * np.eye(5)), rtol=1e-9, atol=1e-12)


def test_without_a_ridge_it_is_the_pseudo_inverse():
    w = whitening(np.diag([4.0, 0.0, 25.0]))
    assert w.shape == (3, 2)
    np.testing.assert_allclose(w @ w.T, np.diag([1 / 4, 0, 1 / 25]), atol=1e-15)
    singular = np.outer([1.0, 2, 2], [1.0, 2, 2]) + np.outer([2.0, 1, -2], [2.0, 1, -2])
    w = whitening(singular)
    np.testing.assert_allclose(w @ w.T, np.linalg.pinv(singular), atol=1e-12)


def test_a_ridge_leaves_a_singular_matrix_finite():
    w = whitening(np.diag([4.0, 0.0]), 1e-6)
    np.testing.assert_allclose(w @ w.T, np.diag([1 / (4 + 1e-6), 1e6]), rtol=1e-9)


def test_unit_rows_on_paper():
    rows = np.array([[3.0, 4.0], [0, 0], [3e-9, 4e-9]])
    np.testing.assert_allclose(unit_rows(rows), [[0.6, 0.8], [0, 0], [0.6, 0.8]])
    np.testing.assert_allclose(unit_rows(rows, 1e-8), [[0.6, 0.8], [0, 0], [0.3, 0.4]])
