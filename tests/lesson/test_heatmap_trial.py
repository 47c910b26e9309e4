"""Maps of a trained network beside those of the same with shuffled weights."""

from __future__ import annotations

import numpy as np
import pytest

from nero_core import Reference
from nero_core.attribution import Attribution
from nero_core.attribution.faithfulness import CELLS, RANDOM, curves_along, measure_faithfulness, with_shuffled_weights
from nero_core.attribution.regions import cell_means
from nero_core.errors import InputError
from nero_core.lesson.heatmap_trial import (
    ALIKE_FROM,
    SHUFFLED,
    SHUFFLING_SEED,
    TRAINED,
    HeatmapTrial,
    TwoMaps,
    sides,
    trained_is_first,
)
from tests.conftest import coloured_noise


@pytest.fixture(scope="module")
def trial(tiny_reference):
    return HeatmapTrial(Reference.load(tiny_reference))


@pytest.fixture(scope="module")
def picture():
    return coloured_noise((90, 150, 70), (3, 3))


def ranks(values):
    """Ranks of values that are all different, by counting."""
    return [sum(other < value for other in values) for value in values]


def test_agreement_is_spearmans_by_hand():
    rng = np.random.default_rng(1)
    maps = TwoMaps(*rng.normal(size=(2, 28, 28)).astype(np.float32))
    for found, both in (
        (maps.agreement, (maps.trained, maps.shuffled)),
        (maps.agreement_of_sizes, (abs(maps.trained), abs(maps.shuffled))),
    ):
        cells = [
            [float(each[r : r + 2, c : c + 2].astype(float).mean()) for r in range(0, 28, 2) for c in range(0, 28, 2)]
            for each in both
        ]
        first, second = (ranks(each) for each in cells)
        n = len(first)
        assert n == CELLS**2
        off = sum((a - b) ** 2 for a, b in zip(first, second, strict=True))
        assert found == pytest.approx(1 - 6 * off / (n * (n * n - 1)))


def test_a_map_agrees_with_itself_and_its_negative_in_size_alone():
    heat = np.random.default_rng(0).normal(size=(28, 28)).astype(np.float32)
    same, turned = TwoMaps(heat, heat), TwoMaps(heat, -heat)
    assert (same.agreement, same.agreement_of_sizes) == pytest.approx((1, 1))
    assert (turned.agreement, turned.agreement_of_sizes) == pytest.approx((-1, 1))
    assert turned.alike
    flat = TwoMaps(heat, np.zeros_like(heat))
    assert flat.agreement_of_sizes == 0 < ALIKE_FROM
    assert not flat.alike


@pytest.mark.parametrize("method", ["CRP", "gradient × input", "integrated gradients"])
def test_maps_are_those_of_both_networks(trial, picture, method):
    maps = trial.maps(picture, method)
    classifier = trial.reference.classifier
    for network, heatmap in (
        (classifier, maps.trained),
        (with_shuffled_weights(classifier, SHUFFLING_SEED), maps.shuffled),
    ):
        expected = Attribution(network, method).open(classifier.prepare(picture)).overall()
        np.testing.assert_allclose(heatmap, expected, atol=1e-5 * abs(expected).max())
    assert abs(maps.trained - maps.shuffled).max() > 0
    # As the measurement of faithfulness says it.
    measured = measure_faithfulness(
        classifier, lambda seen: seen.features[:, 0].astype(float), [picture], [method], steps=1, random_orders=1,
        seed=SHUFFLING_SEED,
    )  # fmt: skip
    assert maps.agreement == pytest.approx(measured.shuffled[0, 0], abs=1e-3)


def test_the_network_that_scores_stays_as_it_is(tiny_reference, picture):
    reference = Reference.load(tiny_reference)
    before = reference.classifier.extract([picture]).features
    trial = HeatmapTrial(reference)
    trial.maps(picture, "CRP")
    np.testing.assert_array_equal(reference.classifier.extract([picture]).features, before)


def test_methods_are_those_that_fit_the_best_first(trial):
    assert trial.methods[0] == trial.best == "CRP"
    assert sorted(trial.methods) == sorted(title for title, fit in trial.reference.attributions.fits.items() if fit)
    with pytest.raises(InputError):
        trial.maps(coloured_noise((1, 2, 3), 0), "conservative propagation")


def test_curves_are_those_of_both_orders_and_of_chance(trial, picture):
    maps, told = trial.maps(picture, "CRP"), []
    measured = trial.curves(picture, maps, random_orders=3, progress=lambda *at: told.append(at))
    assert measured.methods == (TRAINED, SHUFFLED, RANDOM)
    assert told[-1][0] == told[-1][1] == 2 + 9 * 2 * 5
    classifier = trial.reference.classifier
    orders = [np.argsort(-cell_means(each, CELLS), kind="stable") for each in (maps.trained, maps.shuffled)]
    alone = [
        curves_along(classifier, trial._score(), classifier.prepare(picture), [order], measured.shares)
        for order in orders
    ]
    for place, (predicted, probability, score) in enumerate(alone):
        assert measured.predicted[0] == predicted
        for which, kind in enumerate(("deletion", "insertion")):
            np.testing.assert_allclose(measured.probability[kind][place, 0], probability[which, 0], rtol=1e-4)
            np.testing.assert_allclose(measured.score[kind][place, 0], score[which, 0], rtol=1e-3)
    for kind in ("deletion", "insertion"):
        random = measured.random_probability[kind]
        assert random.shape == (3, 1, 11)
        np.testing.assert_allclose(measured.probability[kind][-1], random.mean(axis=0))
    assert np.isnan(measured.stability).all()
    assert measured.shuffled[0, 0] == maps.agreement
    assert measured.effect(TRAINED).low is not None


def test_no_random_order_is_refused(trial, picture):
    with pytest.raises(InputError, match="wanted at least 1"):
        trial.curves(picture, TwoMaps(*np.zeros((2, 64, 64), np.float32)), random_orders=0)


def test_sides_are_drawn_for_a_visit_and_a_picture():
    names = [f"{n}.png" for n in range(60)]
    drawn = [trained_is_first(7, name) for name in names]
    assert drawn == [trained_is_first(7, name) for name in names]
    assert 15 < sum(drawn) < 45
    assert drawn != [trained_is_first(8, name) for name in names]
    for name in names[:9]:
        assert sides(7, name)[0] == (TRAINED if trained_is_first(7, name) else SHUFFLED)
        assert sorted(sides(7, name)) == [SHUFFLED, TRAINED]
