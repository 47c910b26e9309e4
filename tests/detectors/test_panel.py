"""Fused: a literal twin, weights from distorted images, continuity of its scale, valid decisions, bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from nero_core.detectors.fused import MEMBERS

from nero_core.calibration import Calibration
from nero_core.data.guarantee import Guarantee
from nero_core.detectors import make_detector
from nero_core.detectors.calibrating import DECIDING, LEARNT, learnt_from
from nero_core.detectors.outliers import DISTORTIONS, blurred, mixed, shuffled, synthetic_outliers
from nero_core.errors import ArtefactError, InputError
from tests.activations import image_activations, make_activations


@pytest.fixture(scope="module")
def train():
    return make_activations(n=90, d=24, K=3, seed=0)


def calibration(n=61, seed=2):
    return make_activations(n=n, d=24, K=3, seed=seed)[0]


def equal(combination="fisher", **parameters):
    """Every member counts the same, which needs no image."""
    return make_detector("fused", **{"combination": combination, "weights": "equal"} | parameters)


def literal_surprise(seen, s):
    """−log p̂ of one score, written from the definition."""
    seen, n = sorted(seen), len(seen)
    position = 0.9 * (n - 1)
    low = math.floor(position)
    u = seen[low] + (position - low) * (seen[min(low + 1, n - 1)] - seen[low])

    def inside(x):
        if x <= seen[0]:
            return -math.log((1 + n) / (n + 1))
        for i in range(1, n):
            if x <= seen[i]:
                left, right = (-math.log((1 + sum(y >= seen[j] for y in seen)) / (n + 1)) for j in (i - 1, i))
                return left + (right - left) * (x - seen[i - 1]) / (seen[i] - seen[i - 1])
        raise AssertionError(x)

    if s <= u:
        return inside(s)
    excesses = [y - u for y in seen if y > u]
    return inside(u) + (s - u) / (sum(excesses) / len(excesses))


@pytest.mark.parametrize("combination", ["max", "fisher"])
def test_it_equals_its_literal_twin(train, combination):
    learnt, batch = calibration(), make_activations(n=25, d=24, K=3, seed=5, far=0.6)[0]
    members = [make_detector(name).fit(*train) for name in MEMBERS]
    combine = {"max": max, "fisher": sum}[combination]
    wanted = [
        combine([literal_surprise(m.score(learnt), m.score(batch)[row]) / 4 for m in members])
        for row in range(len(batch))
    ]
    fused = equal(combination).fit(*train, learnt)
    np.testing.assert_allclose(fused.score(batch), wanted, rtol=1e-9, atol=1e-12)


def test_a_scale_by_hand():
    """Calibration scores 1 … 10: u = 9.1, one excess of 0.9; the p-value of 10 alone would be 2/11."""
    assert literal_surprise(range(1, 11), 0) == 0
    assert literal_surprise(range(1, 11), 5) == pytest.approx(-math.log(7 / 11))
    at_u = -math.log(3 / 11) + 0.1 * (math.log(3 / 11) - math.log(2 / 11))
    assert literal_surprise(range(1, 11), 9.1) == pytest.approx(at_u)
    assert literal_surprise(range(1, 11), 10) == pytest.approx(at_u + 1)
    assert literal_surprise(range(1, 11), 19) == pytest.approx(at_u + 11)


@pytest.fixture(scope="module")
def seen():
    """Training and calibration images of a small network, with the images; and its head."""
    train, head = image_activations(48, seed=0)
    return train, head, image_activations(40, seed=1)[0]


def test_weights_equal_their_literal_twin(seen):
    train, head, learnt = seen
    fused = make_detector("fused").fit(*seen[:2], learnt)
    images = np.concatenate(list(learnt.source.batches()))
    worth = []
    for name in MEMBERS:
        member = make_detector(name).fit(train, head)
        told_apart = []
        rng = np.random.default_rng(0)
        for distort in DISTORTIONS.values():
            ordinary, strange = member.score(learnt), member.score(learnt.source.forward(distort(images, rng)))
            won = sum((b > a) + 0.5 * (b == a) for a in ordinary for b in strange)
            told_apart.append(won / (len(ordinary) * len(strange)))
        worth.append(max(2 * sum(told_apart) / 3 - 1, 0) ** 2)
    np.testing.assert_allclose(fused.weights_, np.array(worth) / sum(worth), rtol=1e-9)
    wanted = [sum(w * s for w, s in zip(fused.weights_, column, strict=True)) for column in fused.surprises(train).T]
    np.testing.assert_allclose(fused.score(train), wanted, rtol=1e-12)


def test_members_that_tell_nothing_apart_count_the_same(seen, monkeypatch):
    """Undistorted copies: every AUROC is ½ exactly."""
    for name in DISTORTIONS:
        monkeypatch.setitem(DISTORTIONS, name, lambda images, rng: images)
    np.testing.assert_array_equal(make_detector("fused").fit(*seen).weights_, [0.25] * 4)


def test_without_images_nothing_can_be_distorted(train):
    with pytest.raises(InputError, match="keep_source=True"):
        make_detector("fused").fit(*train, calibration())


def test_distortions_by_hand():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(3, 3, 9, 10)).astype(np.float32)
    cut = shuffled(images, rng)
    assert cut.shape == (3, 3, 8, 8)
    for before, after in zip(images[:, :, :8, :8], cut, strict=True):
        patches = [
            {image[:, i : i + 2, j : j + 2].tobytes() for i in (0, 2, 4, 6) for j in (0, 2, 4, 6)}
            for image in (before, after)
        ]
        assert patches[0] == patches[1]
        assert (before != after).any()
    np.testing.assert_allclose(mixed(images, rng).sum(axis=0), images.sum(axis=0), rtol=1e-4, atol=1e-5)
    assert (np.abs(mixed(images, rng) - images).max(axis=(1, 2, 3)) > 0).all()
    board = np.indices((64, 64)).sum(axis=0).astype(np.float32)[None, None] % 2 * np.ones((1, 3, 1, 1), np.float32)
    np.testing.assert_allclose(blurred(board, rng), 0.5, atol=1e-2)


def test_outliers_are_the_same_each_time_and_at_most_so_many(seen):
    source = seen[2].source
    one, two = (synthetic_outliers(source, 40) for _ in range(2))
    assert list(one) == list(DISTORTIONS)
    for name in one:
        np.testing.assert_array_equal(one[name].features, two[name].features)
        assert len(one[name]) == 40


def test_far_images_do_not_tie(train):
    fused = equal().fit(*train, calibration())
    far = make_activations(n=12, d=24, K=3, seed=7, far=3.0)[0]
    assert len(np.unique(fused.score(far))) == 12


@pytest.mark.parametrize("alpha", [0.1, 0.2])
@pytest.mark.parametrize("combination", ["max", "fisher"])
def test_decisions_on_the_unseen_half_keep_their_promise(train, combination, alpha):
    """No more false alarms than α, and hardly fewer: floor(α·41)/41 of new images; 40 calibrations of 396 each."""
    alarms = []
    for seed in range(40):
        whole = calibration(n=80, seed=100 + seed)
        learnt, deciding = whole[LEARNT], whole[DECIDING]
        fused = equal(combination).fit(*train, learnt)
        calibrated = Calibration(fused.score(deciding), Guarantee(True))
        p = calibrated.p_values(fused.score(calibration(n=396, seed=500 + seed)))
        alarms.append((p <= alpha).mean())
    promised = math.floor(alpha * 41) / 41
    # Spread of a share given 40 calibration scores, √(α(1 − α)/42), and of its 396 images; over 40 draws.
    error = math.sqrt(promised * (1 - promised) * (1 / 42 + 1 / 396) / 40)
    assert abs(np.mean(alarms) - promised) <= 3 * error


def test_equal_calibration_scores_give_a_defined_scale(train):
    same = calibration()[np.zeros(20, int)]
    assert np.isfinite(equal().fit(*train, same).score(calibration(n=9, seed=9))).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"members": "nero"}, "`members` of Fused is 'nero'; wanted a list"),
        ({"members": ()}, "wanted detector names"),
        ({"members": ("nero", "nero")}, "each once"),
        ({"members": ("odin",)}, "needs more than activations"),
        ({"members": ("fused",)}, "needs more than activations"),
        ({"combination": "mean"}, "wanted 'max' or 'fisher'"),
        ({"weights": "none"}, "wanted 'outliers' or 'equal'"),
    ],
)
def test_bad_parameters_are_refused(train, parameters, message):
    with pytest.raises(InputError, match=message):
        equal(**parameters).fit(*train, calibration())


def test_too_few_calibration_images_are_refused(train):
    with pytest.raises(InputError, match="given 9 calibration images"):
        equal().fit(*train, calibration(n=9))
    with pytest.raises(InputError, match="cannot be divided"):
        learnt_from(make_detector("fused"), calibration(n=1))


def test_the_halves_share_no_image_and_lose_none():
    whole = calibration(n=11)
    learnt, deciding = whole[LEARNT], whole[DECIDING]
    assert len(learnt) + len(deciding) == 11
    np.testing.assert_array_equal(learnt.features, whole.features[::2])
    np.testing.assert_array_equal(deciding.features, whole.features[1::2])


def test_arrays_of_other_members_are_refused(train):
    arrays = equal().fit(*train, calibration()).fitted_arrays()
    with pytest.raises(ArtefactError, match="which are no members"):
        make_detector("fused", members=("nero",)).restore(arrays, train[1])
