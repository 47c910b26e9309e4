"""Neuron relevance against its definition, written out with loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nero_core.errors import InputError
from nero_core.relevance import low_relevance_share, neuron_relevance


def literal_relevance(a, W, b, epsilon):
    """Section 2 of the method, one number at a time, for one image."""
    K, d = len(W), len(a)
    z = [sum(W[k][j] * a[j] for j in range(d)) + b[k] for k in range(K)]
    top = max(z)
    p = [math.exp(v - top) / sum(math.exp(u - top) for u in z) for v in z]
    stable = [v + epsilon * (1 if v >= 0 else -1) for v in z]
    r = [sum(p[k] * a[j] * W[k][j] / stable[k] for k in range(K)) for j in range(d)]
    return r, sum(p[k] * b[k] / stable[k] for k in range(K))


def network(seed, n=7, d=5, K=3):
    rng = np.random.default_rng(seed)
    a, W, b = rng.normal(size=(n, d)), rng.normal(size=(K, d)), rng.normal(size=K)
    return a, a @ W.T + b, W, b


@pytest.mark.parametrize("epsilon", [0.0, 0.01, 1.0])
def test_equals_the_definition(epsilon):
    a, z, W, b = network(1)
    r, r_bias = neuron_relevance(a, z, W, b, epsilon)
    assert r.dtype == r_bias.dtype == np.float64
    for i in range(len(a)):
        expected, expected_bias = literal_relevance(a[i], W, b, epsilon)
        np.testing.assert_allclose(r[i], expected, rtol=1e-12)
        assert r_bias[i] == pytest.approx(expected_bias, rel=1e-12)


def test_by_hand():
    """a = (1, 2), W = ((1, 1), (2, 0)), b = (1, 2): z = (4, 4), p = (½, ½).

    r_1 = ½·1·1/4 + ½·1·2/4 = ⅜,  r_2 = ½·2·1/4 + 0 = ¼,  r_β = ½·1/4 + ½·2/4 = ⅜; together 1.
    """
    r, r_bias = neuron_relevance(
        np.array([[1.0, 2.0]]), np.array([[4.0, 4.0]]), np.array([[1.0, 1.0], [2.0, 0.0]]), np.array([1.0, 2.0]), 0.0
    )
    np.testing.assert_array_equal(r, [[0.375, 0.25]])
    np.testing.assert_array_equal(r_bias, [0.375])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_conservation_without_epsilon(seed):
    a, z, W, b = network(seed)
    r, r_bias = neuron_relevance(a, z, W, b, epsilon=0.0)
    np.testing.assert_allclose(r.sum(axis=1) + r_bias, 1.0, rtol=1e-6 * np.abs(r).sum(axis=1).max())


def test_a_batch_is_its_images_one_by_one():
    a, z, W, b = network(2)
    whole = neuron_relevance(a, z, W, b)
    for i in range(len(a)):
        single = neuron_relevance(a[i : i + 1], z[i : i + 1], W, b)
        np.testing.assert_allclose(single[0][0], whole[0][i], rtol=1e-12)
        np.testing.assert_allclose(single[1][0], whole[1][i], rtol=1e-12)


def test_neurons_may_be_renumbered():
    a, z, W, b = network(3)
    order = np.array([4, 2, 0, 1, 3])
    r, r_bias = neuron_relevance(a, z, W, b)
    s, s_bias = neuron_relevance(a[:, order], z, W[:, order], b)
    np.testing.assert_allclose(s, r[:, order], rtol=1e-12)
    np.testing.assert_allclose(s_bias, r_bias, rtol=1e-12)


def test_inputs_are_left_alone():
    given_arrays = network(4)
    before = [array.copy() for array in given_arrays]
    neuron_relevance(*given_arrays)
    for array, copy in zip(given_arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_a_zero_logit_has_a_sign_unless_epsilon_is_zero():
    a, W, b = np.array([[1.0, 1.0]]), np.array([[1.0, -1.0], [1.0, 1.0]]), np.zeros(2)
    z = a @ W.T
    r, _ = neuron_relevance(a, z, W, b, epsilon=0.01)
    np.testing.assert_allclose(r[0], literal_relevance(a[0], W, b, 0.01)[0])
    with pytest.raises(InputError, match=r"image 1 is exactly 0.*epsilon=0\.01"):
        neuron_relevance(a, z, W, b, epsilon=0.0)


@pytest.mark.parametrize("epsilon", [-0.1, np.nan, np.inf])
def test_a_bad_epsilon_is_refused(epsilon):
    with pytest.raises(InputError, match="epsilon"):
        neuron_relevance(*network(5), epsilon=epsilon)


def test_logits_of_another_head_are_refused():
    a, z, W, b = network(6)
    neuron_relevance(a, z + 5e-5, W, b)
    with pytest.raises(InputError, match="one and the same network"):
        neuron_relevance(a, z + 5e-3, W, b)
    with pytest.raises(InputError, match="logits"):
        neuron_relevance(a, z[:, :2], W, b)
    with pytest.raises(InputError, match="do not fit"):
        neuron_relevance(a[:, :3], z, W, b)


def test_low_relevance_share_by_hand():
    """Signed relevance (-3, 0, 1, 5): the two smallest are neurons 0 and 1, which carry (1 + 2) of 10."""
    a = np.array([[1.0, -2.0, 3.0, 4.0]])
    r = np.array([[-3.0, 0.0, 1.0, 5.0]])
    assert low_relevance_share(a, r, 2)[0] == pytest.approx(0.3)
    assert low_relevance_share(a, r, 4)[0] == 1.0
    assert low_relevance_share(a, r, 9)[0] == 1.0
    assert low_relevance_share(np.zeros((1, 4)), r, 2)[0] == 1.0
