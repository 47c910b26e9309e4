"""Calibration by predicted class: literal twins, bands, bounds with confidence, and what counts as independent."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from nero_core.calibration import Calibration
from nero_core.data.guarantee import CalibrationSettings, Guarantee
from nero_core.detectors.calibrating import promised
from nero_core.errors import InputError
from tests.activations import make_activations

UNSEEN = Guarantee(True)
CLASSES = ("amber", "moss", "slate")
FEW = CalibrationSettings(alpha=0.25)
"""Three images of a class are enough: 1/4 ≤ 0.25."""
MARGINAL = CalibrationSettings(by_class=False)


def by_class(scores, predicted, chosen=FEW, classes=CLASSES, **beside):
    return Calibration(np.array(scores, float), UNSEEN, np.array(predicted), classes, settings=chosen, **beside)


# Read against the images of its class ---------------------------------------------------------------------------------


def literal(scores, predicted, needed, s, c):
    """Percentile, p-value, images and guarantee of one score, as METHOD, section 3, says it."""
    own = [value for value, label in zip(scores, predicted, strict=True) if label == c]
    among = own if len(own) >= needed else list(scores)
    n = len(among)
    at_least = sum(1 for value in among if value >= s - 1e-4 * abs(s))
    return (n - at_least) / n, (1 + at_least) / (n + 1), n, len(own) >= needed


def state_of(p, alpha):
    if p <= alpha + 1e-12:
        return "out-of-distribution"
    return "borderline" if p <= min(2 * alpha, 1) + 1e-12 else "in-distribution"


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.integers(-6, 6), st.integers(0, 2)), min_size=3, max_size=30),
    st.lists(st.tuples(st.integers(-8, 8), st.integers(0, 2)), min_size=1, max_size=8),
    st.sampled_from([0.25, 0.3, 0.5]),
)
def test_decisions_equal_the_literal_twin(calibrating, asked, alpha):
    scores, predicted = zip(*calibrating, strict=True)
    calibration = by_class(scores, predicted)
    values, classes = (np.array(each) for each in zip(*asked, strict=True))
    for decision, s, c in zip(calibration.decide(values, alpha, classes), values, classes, strict=True):
        percentile, p, n, promise = literal(scores, predicted, 3, float(s), c)
        assert (decision.percentile, decision.p_value) == (percentile, p)
        assert decision.state == state_of(p, alpha)
        assert (decision.calibration_images, decision.guaranteed) == (n, promise)
        assert decision.calibration_class == (CLASSES[c] if promise else None)
        assert bool(decision.no_guarantee_because) != promise


def test_by_hand():
    """Scores 1 2 3 are read as amber and 10 20 30 40 as moss; 5 as slate.

    A score of 4 exceeds the three of amber: p = 1/4. Read as moss none of the four lies below it: p = 5/5. Read as
    slate it is held against all eight, of which five are at least 4: p = 6/9, and nothing is promised.
    """
    calibration = by_class([1, 2, 3, 10, 20, 30, 40, 5], [0, 0, 0, 1, 1, 1, 1, 2])
    amber, moss, slate = calibration.decide([4.0, 4.0, 4.0], 0.25, [0, 1, 2])
    assert (amber.p_value, amber.percentile, amber.state) == (1 / 4, 1.0, "out-of-distribution")
    assert (moss.p_value, moss.percentile, moss.state) == (1.0, 0.0, "in-distribution")
    assert (slate.p_value, slate.percentile, slate.state) == (6 / 9, 3 / 8, "in-distribution")
    assert [amber.calibration_images, moss.calibration_images, slate.calibration_images] == [3, 4, 8]
    assert [amber.calibration_class, moss.calibration_class, slate.calibration_class] == ["amber", "moss", None]
    assert slate.no_guarantee_because == (
        "1 calibration images are predicted as slate, and α = 0.25 needs 3, so that images of all classes stand in"
    )
    assert calibration.per_class() == {
        "amber": {"predicted": 3, "guaranteed": True},
        "moss": {"predicted": 4, "guaranteed": True},
        "slate": {"predicted": 1, "guaranteed": False},
    }
    assert calibration.of(0).threshold(0.25) == 3
    assert calibration.smallest_alpha == 1 / 4


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=4, max_size=24), st.randoms())
def test_the_order_of_calibration_images_changes_nothing(calibrating, random):
    scores, predicted = zip(*calibrating, strict=True)
    shuffled = list(calibrating)
    random.shuffle(shuffled)
    again = zip(*shuffled, strict=True)
    asked = list(itertools.product(range(-1, 11), range(3)))
    values, classes = zip(*asked, strict=True)
    one, other = by_class(scores, predicted), by_class(*again)
    assert one.decide(values, 0.3, classes) == other.decide(values, 0.3, classes)
    assert one.described() == other.described()


@pytest.mark.parametrize("ties", [False, True])
def test_p_values_are_super_uniform_for_every_predicted_class(ties):
    """Exchangeable draws: of n + 1 images of a class each is as likely to be the new one.

    Classes differ in scale and in how many images they have; the third is too small and promises nothing.
    """
    rng = np.random.default_rng(4)
    sizes, scale = (19, 40, 8), np.array([1.0, 5.0, 0.2])
    predicted, new = np.repeat(np.arange(3), sizes), np.repeat(np.arange(3), 10)
    found = []
    for _ in range(1500):
        pool = rng.exponential(size=len(predicted) + len(new)) * scale[np.r_[predicted, new]]
        pool = np.round(pool * 2) if ties else pool
        calibration = by_class(pool[: len(predicted)], predicted, CalibrationSettings())
        found.append(calibration.p_values(pool[len(predicted) :], new))
    p = np.array(found).reshape(-1, 3, 10)
    for number in (0, 1):
        for level in (0.05, 0.1, 0.2, 0.5):
            share = (p[:, number] <= level + 1e-12).mean(axis=1)
            # Ten images share a calibration set: the sets are what is independent.
            assert share.mean() <= level + 3 * share.std() / math.sqrt(len(share))
            if not ties:
                assert share.mean() >= math.floor(level * (sizes[number] + 1)) / (sizes[number] + 1) - 0.01, "not less"
    assert not calibration.of(2).guarantee.holds


def test_read_together_one_class_may_carry_the_alarms():
    """What calibrating by class is for: the widest of three classes has all of them where classes are read together."""
    rng = np.random.default_rng(5)
    predicted, scale = np.repeat(np.arange(3), 60), np.array([1.0, 1.0, 3.0])

    def draw(labels):
        return rng.exponential(size=len(labels)) * scale[labels]

    new = np.repeat(np.arange(3), 2000)
    together, apart = [], []
    for _ in range(40):
        scores, fresh = draw(predicted), draw(new)
        whole = Calibration(scores, UNSEEN, settings=MARGINAL)
        together.append([(whole.p_values(fresh[new == c]) <= 0.05).mean() for c in range(3)])
        own = by_class(scores, predicted, CalibrationSettings())
        apart.append([(own.p_values(fresh[new == c], new[new == c]) <= 0.05).mean() for c in range(3)])
    assert np.mean(together, axis=0)[2] > 0.12
    assert np.mean(apart, axis=0).max() < 0.055


@pytest.mark.parametrize("alpha", [0.06, 0.1, 0.2, 0.3, 0.5, 0.9])
def test_what_an_image_is_read_against_does_not_depend_on_the_alpha_on_screen(alpha):
    """At 0.3 three images of moss would be enough; it was calibrated for 0.05, and stays that way."""
    rng = np.random.default_rng(6)
    predicted = np.r_[np.zeros(40, int), np.ones(3, int), np.full(30, 2)]
    calibration = by_class(rng.normal(size=73), predicted, CalibrationSettings())
    decisions = calibration.decide([0.1, 0.1, 0.1], alpha, [0, 1, 2])
    assert [each.calibration_images for each in decisions] == [40, 73, 30]
    assert [each.guaranteed for each in decisions] == [True, False, True]


def test_one_class_is_read_like_all_together():
    scores = np.random.default_rng(7).normal(size=50)
    one = by_class(scores, np.zeros(50, int), CalibrationSettings(), ("amber",))
    whole = Calibration(scores, UNSEEN, settings=MARGINAL)
    asked = np.linspace(-3, 3, 40)
    np.testing.assert_array_equal(one.p_values(asked, np.zeros(40, int)), whole.p_values(asked))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.decide([1.0], 0.3), "came with `predicted` of shape None"),
        (lambda c: c.decide([1.0, 2.0], 0.3, [0]), r"2 scores came with `predicted` of shape \(1,\)"),
        (lambda c: c.decide([1.0], 0.3, [3]), "There is no class 3; this calibration has 3"),
        (lambda c: c.decide([1.0], 0.3, [-1]), "There is no class -1"),
        (lambda c: c.threshold(0.3), "Each class has a threshold of its own"),
        (lambda c: c.decide([np.nan], 0.3, [0]), "finite"),
        (lambda c: by_class([1, 2, 3], [0, 1, 3]), "`predicted` names class 3; there are 3 classes"),
        (lambda c: by_class([1, 2, 3], [0, 1]), r"`predicted` has shape \(2,\); wanted 3 integers"),
        (lambda c: by_class([1, 2, 3], [0, 1, 2], groups=np.array([0.5, 1, 2])), "`groups` has shape"),
        (lambda c: CalibrationSettings(alpha=0), "`alpha` is 0; wanted a number between 0 and 1"),
        (lambda c: CalibrationSettings(confidence=1.0), "`confidence` is 1.0"),
        (lambda c: CalibrationSettings(alpha=float("nan")), "`alpha` is nan"),
    ],
)
def test_bad_input_is_refused_in_words(call, message):
    with pytest.raises(InputError, match=message):
        call(by_class([1, 2, 3], [0, 0, 0]))


def test_an_alpha_that_a_class_cannot_support_names_the_class():
    calibration = by_class(np.arange(43.0), [0] * 24 + [1] * 19, CalibrationSettings(), ("amber", "moss"))
    calibration.decide([1.0], 1 / 25, [0])
    with pytest.raises(InputError, match="needs at least 24 calibration images of class 'moss'; this reference has 19"):
        calibration.decide([1.0], 0.04, [1])


# Given this calibration set -------------------------------------------------------------------------------------------


def calibrated_on(n, confidence=None, alpha=0.05):
    chosen = CalibrationSettings(by_class=False, alpha=alpha, confidence=confidence)
    return Calibration(np.arange(float(n)), UNSEEN, settings=chosen)


@pytest.mark.parametrize(("n", "low", "high"), [(202, 2.4, 8.3), (67, 1, 10)])
def test_the_band_is_as_the_method_says(n, low, high):
    found = [100 * share for share in calibrated_on(n).band(0.05)]
    assert [round(value, 1 if n == 202 else 0) for value in found] == [low, high]


@given(st.integers(19, 300), st.sampled_from([0.05, 0.1, 0.2, 0.5]))
def test_the_band_equals_the_quantiles_of_beta(n, alpha):
    allowed = math.floor(alpha * (n + 1) + 1e-9)
    assert calibrated_on(n).band(alpha) == pytest.approx(beta.ppf([0.025, 0.975], allowed, n + 1 - allowed))


@pytest.mark.parametrize(("n", "alpha"), [(19, 0.05), (67, 0.05), (67, 0.2)])
def test_so_many_calibration_sets_lie_in_the_band(n, alpha):
    """Uniform scores: the true share of false alarms of one calibration set is 1 − its threshold."""
    rng = np.random.default_rng(8)
    low, high = calibrated_on(n).band(alpha)
    shares = np.array(
        [1 - Calibration(rng.uniform(size=n), UNSEEN, settings=MARGINAL).threshold(alpha) for _ in range(4000)]
    )
    assert shares.mean() <= alpha + 3 * shares.std() / math.sqrt(len(shares))
    assert abs(((shares >= low) & (shares <= high)).mean() - 0.95) < 4 * math.sqrt(0.95 * 0.05 / len(shares))


# With confidence ------------------------------------------------------------------------------------------------------


def literal_allowed(n, alpha, confidence):
    """The largest l whose share of false alarms has its quantile, and its mean, at most at α, by looking at every l."""
    fine = (k for k in range(1, n + 1) if beta.cdf(alpha, k, n + 1 - k) >= confidence and k / (n + 1) <= alpha + 1e-12)
    return max(fine, default=0)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
def test_the_bound_with_confidence_takes_as_many_as_it_may(alpha, confidence):
    for n in (45, 46, 67, 100, 202, 450):
        calibration = calibrated_on(n, confidence, alpha)
        if n < calibration.settings.needed:
            assert literal_allowed(n, alpha, confidence) == 0
            assert not calibration.confident(alpha), "the bound is on average then, and nothing is promised"
        else:
            assert calibration.allowed(alpha) == literal_allowed(n, alpha, confidence) >= 1


@given(st.sampled_from([0.01, 0.05, 0.1, 0.25]), st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]))
def test_so_many_images_are_needed_for_it(alpha, confidence):
    needed = CalibrationSettings(alpha=alpha, confidence=confidence).needed
    assert literal_allowed(needed, alpha, confidence) >= 1
    if needed > CalibrationSettings(alpha=alpha).needed:
        assert literal_allowed(needed - 1, alpha, confidence) == 0
    assert CalibrationSettings(alpha=0.05, confidence=0.9).needed == 45  # as the method says


@pytest.mark.parametrize("n", [45, 67, 202])
def test_so_few_calibration_sets_flag_more_than_alpha(n):
    """Of calibration sets at most a tenth have a true share of false alarms above α; on average it is about half."""
    rng = np.random.default_rng(9)
    above = {None: 0, 0.9: 0}
    sets = 3000
    for _ in range(sets):
        scores = rng.uniform(size=n)
        for confidence in above:
            chosen = CalibrationSettings(by_class=False, confidence=confidence)
            threshold = Calibration(scores, UNSEEN, settings=chosen).threshold(0.05)
            above[confidence] += 1 - threshold > 0.05
    assert above[0.9] / sets <= 0.1 + 3 * math.sqrt(0.09 / sets)
    assert above[None] / sets > 0.3


def test_confidence_holds_at_its_own_alpha_only():
    calibration = calibrated_on(67, 0.9)
    plain = calibrated_on(67)
    assert calibration.confident(0.05)
    assert not calibration.confident(0.1)
    assert calibration.allowed(0.1) == plain.allowed(0.1) == 6
    assert calibration.allowed(0.05) == 1 < plain.allowed(0.05) == 3
    flags = [each.decide([64.5], 0.05)[0].state for each in (calibration, plain)]
    assert flags == ["borderline", "out-of-distribution"]
    assert calibration.threshold(0.05) == 66
    assert calibration.decide([66.5], 0.05)[0].state == "out-of-distribution"


# What counts as independent -------------------------------------------------------------------------------------------


def test_groups_of_one_size_count_once_each():
    scores = np.arange(60.0)
    grouped = Calibration(scores, UNSEEN, groups=np.arange(60) // 3, settings=MARGINAL)
    assert (grouped.independent, grouped.group_count, len(grouped)) == (20, 20, 60)
    apart = Calibration(scores, UNSEEN, groups=np.arange(60), settings=MARGINAL)
    assert apart.independent == 60
    assert apart.band(0.05) == pytest.approx(Calibration(scores, UNSEEN, settings=MARGINAL).band(0.05))


def test_a_patient_with_most_images_counts_for_little_more_than_one():
    """200 images of one patient and 19 of others: 219² / (200² + 19) = 1.2."""
    groups = np.r_[np.zeros(200, int), np.arange(1, 20)]
    assert Calibration(np.arange(219.0), UNSEEN, groups=groups).independent == 1


@pytest.mark.parametrize("groups", [20, 40])
def test_a_band_by_groups_holds_where_images_of_a_group_say_the_same(groups):
    """Each patient's 10 images score alike. A band of independent images holds for a part of calibration sets only."""
    rng = np.random.default_rng(10)
    member = np.repeat(np.arange(groups), 10)
    widened = Calibration(np.arange(len(member) * 1.0), UNSEEN, groups=member, settings=MARGINAL).band(0.1)
    narrow = calibrated_on(len(member)).band(0.1)
    assert widened[0] < narrow[0] < narrow[1] < widened[1]
    shares = []
    for _ in range(2000):
        scores = rng.uniform(size=groups)[member] + 1e-9 * rng.uniform(size=len(member))
        calibration = Calibration(scores, UNSEEN, groups=member, settings=MARGINAL)
        shares.append(1 - calibration.threshold(0.1))
    inside = [np.mean([(low <= share <= high) for share in shares]) for low, high in (widened, narrow)]
    assert inside[0] > 0.92
    assert inside[1] < 0.7


def test_a_class_of_few_patients_promises_nothing():
    """Forty images of moss, but of four patients; amber has forty patients. Flagged as before, without a guarantee."""
    groups = np.r_[np.arange(40), 100 + np.arange(40) // 10]
    calibration = by_class(
        np.arange(80.0), [0] * 40 + [1] * 40, CalibrationSettings(), ("amber", "moss"), groups=groups
    )
    amber, moss = calibration.decide([90.0, 90.0], 0.05, [0, 1])
    assert (amber.guaranteed, moss.guaranteed) == (True, False)
    assert moss.calibration_class == "moss"
    assert moss.state == "out-of-distribution"
    assert moss.no_guarantee_because == (
        "40 calibration images that are predicted as moss are of 4 patients or clips and count as 4 independent ones, "
        "and α = 0.05 needs 19"
    )


def test_a_class_of_one_view_promises_nothing():
    looks = np.r_[np.arange(40), np.full(100, 40)]
    calibration = by_class(
        np.arange(140.0), [0] * 40 + [1] * 100, CalibrationSettings(), ("amber", "moss"), looks=looks
    )
    assert calibration.per_class()["amber"]["guaranteed"]
    moss = calibration.of(1).guarantee
    assert not moss.holds
    assert "100 calibration images that are predicted as moss look nearly the same and count as 1" in moss.reason
    assert calibration.described()["groups"] is None, "nobody said which are of one patient"


def test_one_patient_calibrated_a_class_in_vain():
    """Why few patients promise nothing: with all 20 images of one patient far more than α of others are flagged."""
    rng = np.random.default_rng(11)

    def flagged(patients, each):
        shares = []
        for _ in range(400):
            own = np.repeat(rng.normal(size=patients), each) + 0.6 * rng.normal(size=patients * each)
            new = rng.normal(size=200) + 0.6 * rng.normal(size=200)
            shares.append((Calibration(own, UNSEEN, settings=MARGINAL).p_values(new) <= 0.05).mean())
        return np.mean(shares)

    assert flagged(1, 20) > 0.15
    assert flagged(20, 1) < 0.055


# What is promised -----------------------------------------------------------------------------------------------------


def held_out(n=60, logits=None, labels=None):
    activations = make_activations(n=n)[0]
    given = {} if logits is None else {"logits": np.eye(3, dtype=np.float32)[logits]}
    return replace(activations, labels=labels, **given)


def test_nothing_is_promised_where_no_class_has_enough():
    thirds = held_out(logits=np.arange(60) % 3)
    assert promised(UNSEEN, thirds, CLASSES) == UNSEEN
    few = held_out(54, np.arange(54) % 3)
    assert promised(UNSEEN, few, CLASSES).reason == (
        "no class has the 19 independent calibration images of its own that α = 0.05 needs"
    )
    assert promised(UNSEEN, few, CLASSES, settings=CalibrationSettings(alpha=0.1)) == UNSEEN
    sure = CalibrationSettings(confidence=0.9)
    assert "has the 45 independent" in promised(UNSEEN, thirds, CLASSES, settings=sure).reason


@pytest.mark.parametrize("known", [True, False])
def test_read_together_a_class_without_any_image_voids_the_promise(known):
    two = np.arange(60) % 2
    images = held_out(logits=np.arange(60) % 3 if known else two, labels=two if known else None)
    reason = promised(UNSEEN, images, CLASSES, settings=MARGINAL).reason
    assert reason == f"no calibration image is {'of' if known else 'read as'} slate"
    if known:
        assert promised(UNSEEN, images, CLASSES).reason == reason, "by class, too: they are read as another"
    all_three = held_out(logits=two, labels=np.arange(60) % 3)
    assert promised(UNSEEN, all_three, CLASSES, settings=MARGINAL) == UNSEEN
    grouped = promised(UNSEEN, all_three, CLASSES, np.arange(60) // 6, settings=MARGINAL)
    assert "are of 10 patients or clips and count as 10 independent ones" in grouped.reason


def test_an_earlier_reason_stays():
    seen = Guarantee(False, "they were seen", "a folder", 3)
    assert promised(seen, held_out(6, [0] * 6), CLASSES) == seen
    assert UNSEEN.withdrawn("first").withdrawn("second").reason == "first"
