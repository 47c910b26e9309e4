"""Panel: weights from distorted images left out, decisions by class that keep their promise, its arrays, bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nero_core.calibration.pool import held_against, surprises
from nero_core.data.guarantee import CalibrationSettings, Guarantee
from nero_core.detectors import make_detector
from nero_core.detectors.calibrating import calibrated
from nero_core.detectors.outliers import DISTORTIONS, blurred, mixed, pasted, shuffled, synthetic_outliers
from nero_core.detectors.panel import MEMBERS, left_out
from nero_core.errors import ArtefactError, InputError
from tests.activations import image_activations, make_activations

CLASSES = ("amber", "moss", "slate")
TENTH = CalibrationSettings(alpha=0.1)


@pytest.fixture(scope="module")
def train():
    return make_activations(n=90, d=24, K=3, seed=0)


def calibration(n=60, seed=2, far=0.0):
    return make_activations(n=n, d=24, K=3, seed=seed, far=far)[0]


def equal(**parameters):
    """Every member counts the same, which needs no image."""
    return make_detector("panel", **{"weights": "equal"} | parameters)


@pytest.fixture(scope="module")
def seen():
    """Training and calibration images of a small network, with the images; and its head."""
    train, head = image_activations(48, seed=0)
    return train, head, image_activations(40, seed=1)[0]


# Weights -----------------------------------------------------------------------------------------------------------


def test_weights_equal_their_literal_twin(seen):
    train, head, held_out = seen
    panel = make_detector("panel").fit(train, head, held_out)
    left = np.array([sum(train.labels[: i + 1] == train.labels[i]) > 11 for i in range(48)])
    assert left.sum() == 15, "of 16 images of each class the last 5"
    ordinary = train[left]
    images = np.concatenate(list(ordinary.source.batches()))
    worth, told_apart = [], []
    for name in MEMBERS:
        member, rng, row = make_detector(name).fit(train[~left], head), np.random.default_rng(0), []
        for distort in DISTORTIONS.values():
            usual, strange = member.score(ordinary), member.score(ordinary.source.forward(distort(images, rng)))
            won = sum((b > a) + 0.5 * (b == a) for a in usual for b in strange)
            row.append(won / (len(usual) * len(strange)))
        told_apart.append(row)
        worth.append(max(2 * sum(row) / len(row) - 1, 0) ** 2)
    weights = [w / sum(worth) for w in worth]
    weights = [w if w >= 0.05 else 0 for w in weights]
    np.testing.assert_allclose(panel.weights_, np.array(weights) / sum(weights), rtol=1e-9)
    np.testing.assert_allclose(panel.auroc_[:-1], told_apart, rtol=1e-9)
    assert panel.auroc_.shape == (len(MEMBERS) + 1, len(DISTORTIONS))


def test_no_calibration_image_has_a_part_in_the_choice(seen):
    """Other calibration images, and the same members and weights to the last bit."""
    train, head, held_out = seen
    one = make_detector("panel").fit(train, head, held_out)
    other = make_detector("panel").fit(train, head, image_activations(31, seed=8)[0])
    np.testing.assert_array_equal(one.weights_, other.weights_)
    np.testing.assert_array_equal(one.auroc_, other.auroc_)
    for name, member in one.members_.items():
        for key, array in member.fitted_arrays().items():
            np.testing.assert_array_equal(array, other.members_[name].fitted_arrays()[key])


def test_members_that_tell_nothing_apart_count_the_same(seen, monkeypatch):
    """Undistorted copies: every AUROC is ½ exactly."""
    for name in DISTORTIONS:
        monkeypatch.setitem(DISTORTIONS, name, lambda images, rng: images)
    panel = make_detector("panel").fit(*seen)
    np.testing.assert_allclose(panel.weights_, np.full(len(MEMBERS), 1 / len(MEMBERS)), rtol=1e-15)
    np.testing.assert_array_equal(panel.auroc_[:-1], 0.5)


def test_with_few_images_left_out_all_count_the_same_and_nothing_is_said_to_be_measured(seen):
    train, head, held_out = seen
    panel = make_detector("panel").fit(train[:27], head, held_out)
    np.testing.assert_allclose(panel.weights_, np.full(len(MEMBERS), 1 / len(MEMBERS)), rtol=1e-15)
    assert panel.auroc_.shape == (0, len(DISTORTIONS))


def test_the_last_third_of_each_class_is_left_out():
    labels = np.array([0, 0, 1, 0, 1, 1, 2, 0, 0, 0, 2])
    assert np.flatnonzero(left_out(labels)).tolist() == [5, 8, 9], "two of six, one of three, none of two"


def test_without_images_nothing_can_be_distorted(train):
    with pytest.raises(InputError, match="keep_source=True"):
        make_detector("panel").fit(*train, calibration())


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
    patched = pasted(images, rng)
    assert ((patched != images).any(axis=1).sum(axis=(1, 2)) == 4).all(), "a square of two by two pixels"
    board = np.indices((64, 64)).sum(axis=0).astype(np.float32)[None, None] % 2 * np.ones((1, 3, 1, 1), np.float32)
    np.testing.assert_allclose(blurred(board, rng), 0.5, atol=1e-2)


def test_outliers_are_the_same_each_time_and_at_most_so_many(seen):
    source = seen[2].source
    one, two = (synthetic_outliers(source, 40) for _ in range(2))
    assert list(one) == list(DISTORTIONS)
    for name in one:
        np.testing.assert_array_equal(one[name].features, two[name].features)
        assert len(one[name]) == 40


# Decisions ---------------------------------------------------------------------------------------------------------


def test_an_image_is_ranked_among_calibration_images_of_its_class(train):
    held_out, batch = calibration(), calibration(n=25, seed=5, far=0.6)
    panel = equal().fit(*train, held_out).held_against(held_out, TENTH)
    members = [make_detector(name).fit(*train) for name in MEMBERS]
    known, new = (np.stack([m.score(each) for m in members]) for each in (held_out, batch))
    scores, weights = panel.score(batch), np.full(len(MEMBERS), 1 / len(MEMBERS))
    for row in range(len(batch)):
        own = held_out.logits.argmax(axis=1) == batch.logits[row].argmax()
        if own.sum() < 9:
            own[:] = True
        wanted = held_against(known[:, own], new[:, [row]], weights)
        assert scores[row] == wanted.scores[0]
        held = calibrated(panel, held_out, Guarantee(True), CLASSES, settings=TENTH)
        if own.sum() < len(held_out):
            p = held.p_values(scores[[row]], [batch.logits[row].argmax()])
            assert p == pytest.approx(wanted.p_values)


@pytest.mark.parametrize("by_class", [True, False])
@pytest.mark.parametrize("alpha", [0.1, 0.2])
def test_decisions_keep_their_promise_with_all_calibration_images(train, by_class, alpha):
    """Mean false alarms over 60 calibration sets: at most α, and hardly fewer than ⌊α(n + 1)⌋/(n + 1) by class."""
    settings = CalibrationSettings(by_class=by_class, alpha=alpha)
    fitted, alarms, promised = equal().fit(*train, calibration()), [], []
    for seed in range(60):
        held_out, new = calibration(n=90, seed=100 + seed), calibration(n=300, seed=500 + seed)
        panel = fitted.held_against(held_out, settings)
        held = calibrated(panel, held_out, Guarantee(True), CLASSES, settings=settings)
        predicted = new.logits.argmax(axis=1)
        p = held.p_values(panel.score(new), predicted)
        alarms.append((p <= alpha + 1e-12).mean())
        sizes = np.array([len(held.of(int(number))) for number in predicted])
        promised.append((np.floor(alpha * (sizes + 1) + 1e-9) / (sizes + 1)).mean())
    error = np.std(alarms, ddof=1) / math.sqrt(60)
    assert np.mean(alarms) <= alpha + 3 * error
    assert abs(np.mean(alarms) - np.mean(promised)) <= 3 * error


def test_what_is_unusual_to_one_member_is_noticed_by_the_panel(train):
    """An image that only stage statistics find odd."""
    held_out = calibration(n=120)
    panel = equal().fit(*train, held_out).held_against(held_out, TENTH)
    odd = calibration(n=12, seed=9)
    for name in odd.stages:
        odd.stages[name][:, ::2] *= 5
    (rows, reading), *_ = panel.readings(odd)
    assert (reading.p_values <= 0.1).all()
    leads = (panel.weights_[:, None] * reading.surprises).argmax(axis=0)
    assert set(leads) == {MEMBERS.index("stage_mahalanobis")}
    assert len(rows)


def test_a_panel_held_against_other_images_leaves_the_first_as_it_was(train):
    held_out, batch = calibration(), calibration(n=9, seed=4)
    panel = equal().fit(*train, held_out)
    before = panel.score(batch)
    other = panel.held_against(calibration(n=70, seed=11), TENTH)
    np.testing.assert_array_equal(panel.score(batch), before)
    assert (other.score(batch) != before).any()
    with pytest.raises(InputError, match="holds 60 calibration images; got 70"):
        panel.calibration_scores(calibration(n=70, seed=11))


def test_scores_that_are_known_need_no_activations(train):
    held_out, batch = calibration(), calibration(n=20, seed=6)
    panel = equal().fit(*train, held_out)
    scores = np.stack([member.score(batch) for member in panel.members_.values()])
    np.testing.assert_array_equal(panel.combined(scores, batch.logits.argmax(axis=1)), panel.score(batch))


def test_the_panel_together_is_as_good_as_it_is_said_to_be(seen):
    """The last row of the AUROCs: of the weighted surprises of distorted images over those of images left out."""
    train, head, held_out = seen
    panel = make_detector("panel").fit(train, head, held_out)
    left = left_out(train.labels)
    members = [make_detector(name).fit(train[~left], head) for name in MEMBERS]
    usual = np.stack([m.score(train[left]) for m in members])
    for place, strange in enumerate(synthetic_outliers(train[left].source, int(left.sum())).values()):
        values = held_against(usual, np.stack([m.score(strange) for m in members]), panel.weights_).value
        ordinary = panel.weights_ @ surprises(usual)
        won = ((values[:, None] > ordinary) + 0.5 * (values[:, None] == ordinary)).mean()
        assert panel.auroc_[-1, place] == pytest.approx(won)


# Bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"members": "nero"}, "`members` of Panel is 'nero'; wanted a list"),
        ({"members": ()}, "wanted detector names"),
        ({"members": ("nero", "nero")}, "each once"),
        ({"members": ("odin",)}, "needs more than activations"),
        ({"members": ("panel",)}, "needs more than activations"),
        ({"weights": "none"}, "wanted 'outliers' or 'equal'"),
    ],
)
def test_bad_parameters_are_refused(train, parameters, message):
    with pytest.raises(InputError, match=message):
        equal(**parameters).fit(*train, calibration())


def test_arrays_of_other_members_are_refused(train):
    arrays = equal().fit(*train, calibration()).fitted_arrays()
    with pytest.raises(ArtefactError, match="which are no members"):
        make_detector("panel", members=("nero",)).restore(arrays, train[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights_": np.full(len(MEMBERS), 2 / len(MEMBERS))}, "a sum of 2"),
        ({"auroc_": np.full((2, 4), 0.5)}, f"wanted 0 or {len(MEMBERS) + 1} rows"),
        ({"predicted_": np.full(60, 7)}, "names a class that there is not"),
        ({"own_": np.array([1, 1, 1]), "predicted_": np.zeros(60, np.int64)}, "of which there is no image"),
    ],
)
def test_arrays_that_cannot_be_are_refused(train, change, message):
    arrays = equal().fit(*train, calibration()).fitted_arrays() | change
    with pytest.raises(InputError, match=message):
        make_detector("panel").restore(arrays, train[1])
