"""Several scores as one test: a literal twin, a pool by hand, exactness for every pool, continuity, rounding."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nero_core.calibration import Calibration
from nero_core.calibration.pool import held_against, ranks_as_scores, surprises
from nero_core.data.guarantee import CalibrationSettings, Guarantee

ALL_TOGETHER = CalibrationSettings(by_class=False)


def literal_surprise(pool, s):
    """Of one score among all of its pool, written from the definition."""
    size = len(pool)
    k = max(1, int(0.1 * size))
    descending = sorted(pool, reverse=True)
    u = descending[k]
    if s <= u:
        return -math.log(sum(other >= s for other in pool) / size)
    beta = sum(other - u for other in descending[:k]) / k
    return -math.log((k + 1) / size) + (s - u) / beta


def literal_p_value(calibration, image, weights):
    """The rank of one image in its pool, image by image and detector by detector."""
    pools = [[*row, s] for row, s in zip(calibration, image, strict=True)]
    values = [
        sum(w * literal_surprise(pool, pool[i]) for w, pool in zip(weights, pools, strict=True))
        for i in range(len(pools[0]))
    ]
    *others, own = values
    at_least = sum(other >= own - 1e-4 * abs(own) for other in others)
    return (1 + at_least) / len(values), own, others


@pytest.mark.parametrize(("detectors", "n"), [(1, 1), (2, 4), (3, 19), (4, 67)])
def test_it_equals_its_literal_twin(detectors, n):
    rng = np.random.default_rng(n)
    calibration, images = rng.normal(size=(detectors, n)), 2 * rng.normal(size=(detectors, 30))
    weights = rng.dirichlet(np.ones(detectors))
    reading = held_against(calibration, images, weights)
    for place in range(30):
        p, value, others = literal_p_value(calibration, images[:, place], weights)
        assert reading.p_values[place] == pytest.approx(p, rel=1e-12)
        assert reading.value[place] == pytest.approx(value, rel=1e-9)
        np.testing.assert_allclose(reading.calibration[place], others, rtol=1e-9, atol=1e-12)


def test_a_pool_by_hand():
    """Scores 1 … 9 and 20, so k = 1: u = 9, β = 11; 20 is −log(2/10) + 1, and 9 is −log(2/10)."""
    found = surprises(np.array([*range(1, 10), 20.0]))
    np.testing.assert_allclose(found[:9], [-math.log(share / 10) for share in range(10, 1, -1)])
    assert found[9] == pytest.approx(-math.log(2 / 10) + 1)


def test_two_detectors_by_hand():
    """Five images; the first detector finds the new one largest, the second smallest; equal weights.

    Its surprises are log(5/2) + 1 and 0, so v = 0.958. Of the others only the image that is largest to the second and
    second to the first is above it, with (log(5/2) + log(5/2) + 1)/2 = 1.416.
    """
    calibration = np.array([[4.0, 3.0, 2.0, 1.0], [9.0, 8.0, 7.0, 6.0]])
    reading = held_against(calibration, np.array([[5.0], [5.0]]), np.array([0.5, 0.5]))
    assert reading.value[0] == pytest.approx((math.log(5 / 2) + 1) / 2)
    assert reading.p_values[0] == pytest.approx(2 / 5)
    np.testing.assert_allclose(reading.alone[:, 0], [1 / 5, 1])


@given(st.integers(2, 24), st.integers(1, 4), st.integers(0, 10_000), st.booleans())
@settings(max_examples=60, deadline=None)
def test_in_every_pool_the_promise_is_exact(size, detectors, seed, ties):
    """Whichever of a pool is the new image: at most l of n + 1 have p ≤ l/(n + 1). That is the whole proof."""
    rng = np.random.default_rng(seed)
    pool = rng.integers(0, 4, size=(detectors, size)).astype(float) if ties else rng.normal(size=(detectors, size))
    weights = rng.dirichlet(np.ones(detectors))
    p = np.array([held_against(np.delete(pool, i, 1), pool[:, [i]], weights).p_values[0] for i in range(size)])
    for allowed in range(1, size + 1):
        assert (p <= allowed / size + 1e-12).sum() <= allowed


@given(st.integers(2, 30), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_the_order_of_a_pool_does_not_matter(size, seed):
    rng = np.random.default_rng(seed)
    pool, order = rng.normal(size=size), rng.permutation(size)
    np.testing.assert_allclose(surprises(pool)[order], surprises(pool[order]), rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 19, 100, 1000])
def test_scores_give_back_the_exact_p_value(n):
    """S is continuous and Calibration counts ranks: the two say the same, for images within and beyond the scale."""
    rng = np.random.default_rng(n)
    calibration, images = rng.normal(size=(3, n)), 3 * rng.normal(size=(3, 200))
    weights = np.array([0.5, 0.3, 0.2])
    reading = held_against(calibration, images, weights)
    held = Calibration(ranks_as_scores(calibration, weights), Guarantee(True), settings=ALL_TOGETHER)
    np.testing.assert_allclose(held.p_values(reading.scores), reading.p_values, rtol=1e-12)
    wanted = sorted(-math.log(Fraction(rank, n + 1)) for rank in range(1, n + 1))
    np.testing.assert_allclose(np.sort(held.scores), wanted, rtol=1e-12, atol=1e-12)
    assert np.isfinite(reading.scores).all()


def test_images_beyond_all_others_do_not_tie_and_keep_their_order():
    calibration = np.random.default_rng(0).normal(size=(2, 40))
    images = np.array([[5.0, 6.0, 8.0, 100.0]] * 2)
    scores = held_against(calibration, images, np.array([0.5, 0.5])).scores
    assert (np.diff(scores) > 0).all()


@pytest.mark.parametrize("rows", [1, 7, 50])
def test_images_are_read_the_same_whatever_comes_with_them(rows, monkeypatch):
    rng = np.random.default_rng(1)
    calibration, images, weights = rng.normal(size=(2, 30)), rng.normal(size=(2, 50)), np.array([0.6, 0.4])
    whole = held_against(calibration, images, weights).scores
    monkeypatch.setattr("nero_core.calibration.pool.BLOCK", 2 * 31 * rows)
    np.testing.assert_array_equal(held_against(calibration, images, weights).scores, whole)
    parts = [held_against(calibration, images[:, i : i + rows], weights).scores for i in range(0, 50, rows)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_equal_scores_are_defined_and_no_image_at_all_is_none():
    weights = np.array([1.0])
    same = held_against(np.ones((1, 12)), np.ones((1, 3)), weights)
    np.testing.assert_array_equal(same.p_values, [1, 1, 1])
    assert np.isfinite(same.scores).all()
    assert held_against(np.ones((1, 12)), np.ones((1, 0)), weights).scores.shape == (0,)


def test_rounding_changes_no_p_value():
    """Scores move by 1e-6 of their size with the batch size."""
    rng = np.random.default_rng(3)
    calibration, images, weights = rng.normal(size=(3, 67)), rng.normal(size=(3, 40)), np.array([0.5, 0.3, 0.2])
    moved = images * (1 + 1e-6 * rng.normal(size=images.shape))
    before, after = (held_against(calibration, each, weights).p_values for each in (images, moved))
    np.testing.assert_array_equal(before, after)
