"""Percentiles, conformal p-values and decisions against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nero_core.calibration import Calibration, flag_batch, rounded_up
from nero_core.data.guarantee import Guarantee
from nero_core.errors import InputError

UNSEEN, SEEN = Guarantee(True), Guarantee(False, "the images were trained on")


def literal_p_value(scores, s):
    return (1 + sum(1 for other in scores if other >= s - 1e-4 * abs(s))) / (len(scores) + 1)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=1, max_size=40), st.integers(-25, 25))
def test_equal_the_definitions_also_with_ties(scores, s):
    calibration = Calibration(np.array(scores, float), UNSEEN)
    assert calibration.p_values([s])[0] == literal_p_value(scores, s)
    assert calibration.percentiles([s])[0] == sum(other < s for other in scores) / len(scores)


def test_by_hand():
    """Of 19 scores 1..19, 19.5 exceeds all: p = 1/20; 18.5 all but one: p = 2/20; 10 ties with one: p = 11/20."""
    calibration = Calibration(np.arange(1.0, 20.0), UNSEEN)
    far, near, middle = calibration.decide([19.5, 18.5, 10.0], alpha=0.05)
    assert (far.p_value, far.percentile, far.state) == (1 / 20, 1.0, "out-of-distribution")
    assert (near.p_value, near.percentile, near.state) == (2 / 20, 18 / 19, "borderline")
    assert (middle.p_value, middle.percentile, middle.state) == (11 / 20, 9 / 19, "in-distribution")
    assert far.guaranteed


def test_a_score_within_the_tolerance_is_a_tie():
    calibration = Calibration(np.arange(1.0, 20.0), UNSEEN)
    assert calibration.p_values([19.001])[0] == 2 / 20
    assert calibration.p_values([19.01])[0] == 1 / 20
    assert calibration.percentiles([19.001, 19.01]).tolist() == [18 / 19, 1.0]
    # An image that calibrates, scored again in another batch: rounding does not move it.
    assert calibration.percentiles(np.arange(1.0, 20.0) * (1 + 1e-14)).tolist() == [k / 19 for k in range(19)]


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2, 0.5])
def test_the_threshold_is_where_flags_begin(alpha):
    calibration = Calibration(np.random.default_rng(0).normal(10, 1, 199), UNSEEN)
    t = calibration.threshold(alpha)
    assert calibration.decide([t * 1.001], alpha)[0].state == "out-of-distribution"
    assert calibration.decide([t], alpha)[0].state != "out-of-distribution"


@pytest.mark.parametrize("alpha", [0, 1, -1, np.nan, np.inf, 2.0, "0.05"])
def test_an_alpha_outside_its_range_is_refused(alpha):
    with pytest.raises(InputError, match="alpha"):
        Calibration(np.arange(100.0), UNSEEN).decide([1.0], alpha)


def test_an_alpha_too_small_for_n_is_refused_with_the_n_needed():
    eighteen, nineteen = Calibration(np.arange(18.0), UNSEEN), Calibration(np.arange(19.0), UNSEEN)
    with pytest.raises(InputError, match=r"α = 0\.05 needs at least 19 calibration images; this reference has 18"):
        eighteen.decide([1.0], alpha=0.05)
    assert nineteen.decide([99.0], alpha=0.05)[0].state == "out-of-distribution"
    assert nineteen.smallest_alpha == pytest.approx(0.05)


@given(st.integers(1, 100_000))
def test_the_smallest_alpha_that_a_refusal_names_is_not_refused(n):
    calibration = Calibration(np.zeros(n), UNSEEN)
    assert calibration.smallest_alpha * (1 - 1e-9) <= float(rounded_up(calibration.smallest_alpha))
    calibration.check_alpha(float(rounded_up(calibration.smallest_alpha)))
    assert calibration.supports(calibration.smallest_alpha)
    assert not calibration.supports(0.99 * calibration.smallest_alpha)
    assert rounded_up(1 / 19) == "0.0527"
    assert rounded_up(1 / 20) == "0.05"


def test_false_alarms_stay_below_alpha():
    rng = np.random.default_rng(1)
    rates = []
    for _ in range(400):
        calibration = Calibration(rng.lognormal(size=99), UNSEEN)
        rates.append((calibration.p_values(rng.lognormal(size=50)) <= 0.05).mean())
    assert 0.04 < np.mean(rates) < 0.056


def test_unseen_calibration_is_remembered():
    assert not Calibration(np.arange(99.0), SEEN).decide([3.0])[0].guaranteed


@pytest.mark.parametrize("scores", [[], [1.0, np.nan], [np.inf]])
def test_bad_calibration_scores_are_refused(scores):
    with pytest.raises(InputError, match="finite"):
        Calibration(np.array(scores), UNSEEN)


def test_a_score_that_is_not_finite_is_refused():
    with pytest.raises(InputError, match="finite"):
        Calibration(np.arange(99.0), UNSEEN).decide([np.nan])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 100), min_size=1, max_size=30))
def test_batch_control_equals_benjamini_and_hochberg(hundredths):
    p = np.array(hundredths) / 100
    order = np.argsort(p)
    passing = [rank for rank, i in enumerate(order, start=1) if p[i] <= 0.1 * rank / len(p) + 1e-12]
    limit = p[order[passing[-1] - 1]] if passing else -1
    np.testing.assert_array_equal(flag_batch(p, 0.1), p <= limit)


def test_batch_control_of_no_images():
    assert flag_batch([], 0.05).shape == (0,)
