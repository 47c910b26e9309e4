"""Concepts: neurons with the same map are together, shares add up, and there are as few as explain enough."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nero_core.case import group, leading_neurons, open_case
from nero_core.case.concepts import EXPLAINED, explained, factorised, owners
from nero_core.case.leading import Leading
from nero_core.neurons.crops import Concepts
from nero_core.records import Neuron
from tests.case.conftest import grey


def at(top, left, noise=0.0, seed=0):
    """A map with a block at a place."""
    heatmap = noise * np.random.default_rng(seed).random((56, 56))
    heatmap[top : top + 12, left : left + 12] += 1
    return heatmap.astype(np.float32)


def leading_of(maps, contributions, score=10.0):
    neurons = tuple(Neuron("layer1" if place % 2 else None, place) for place in range(len(maps)))
    return Leading(neurons, np.asarray(contributions, np.float64), np.stack(maps), {}, score)


def test_neurons_that_looked_at_the_same_place_are_one_concept():
    maps = [at(4, 4), at(40, 40), -2 * at(4, 4), at(40, 40), at(4, 40)]
    found = group(leading_of(maps, [5, 1, 2, -3, 1]))
    assert [[neuron.channel for neuron in concept.neurons] for concept in found] == [[0, 2], [1, 3], [4]]
    assert [concept.share for concept in found] == pytest.approx([0.7, -0.2, 0.1])
    np.testing.assert_allclose(found[0].heatmap, at(4, 4) / 144, atol=1e-7)


def test_maps_that_are_all_alike_are_one_concept():
    assert len(group(leading_of([at(4, 4, 0.01, seed) for seed in range(6)], [1] * 6))) == 1


def test_a_neuron_without_a_map_belongs_to_no_concept():
    found = group(leading_of([at(4, 4), np.zeros((56, 56), np.float32)], [3, 2]))
    assert [concept.neurons for concept in found] == [(Neuron(None, 0),)]
    assert group(leading_of([np.zeros((56, 56), np.float32)], [3])) == []


def test_neurons_that_add_nothing_count_the_same():
    [concept] = group(leading_of([at(4, 4), at(4, 4)], [0, 0]))
    assert (concept.share, len(concept.neurons)) == (0, 2)
    assert concept.heatmap.sum() == pytest.approx(1)


def test_it_is_the_fewest_parts_that_explain_enough():
    rng = np.random.default_rng(0)
    maps = np.eye(3)[np.arange(12) % 3] @ np.kron(np.eye(3), np.ones(20)) + 0.02 * rng.random((12, 60))
    weights, parts = factorised(maps)
    assert weights.shape == (12, 3)
    assert (weights >= 0).all()
    assert (parts >= 0).all()
    twin = 1 - sum(
        (maps[k, p] - sum(weights[k, c] * parts[c, p] for c in range(3))) ** 2 for k in range(12) for p in range(60)
    ) / sum(value**2 for value in maps.ravel())
    assert explained(maps, weights, parts) == pytest.approx(twin)
    assert twin >= EXPLAINED > explained(maps, *factorised(maps, most=2))
    again = factorised(maps)
    np.testing.assert_array_equal(weights, again[0])
    np.testing.assert_array_equal(parts, again[1])


def test_one_part_is_the_best_of_rank_one():
    """No other pair of columns comes nearer: alternating least squares, from another start, ends at the same error."""
    maps = np.random.default_rng(1).random((5, 9))
    weights, parts = factorised(maps, most=1)
    column, row = np.ones(5), np.ones(9)
    for _ in range(200):
        row = column @ maps / (column @ column)
        column = maps @ row / (row @ row)
    np.testing.assert_allclose(weights @ parts, np.outer(column, row), atol=1e-9)


def test_owners_by_hand():
    assert owners(np.array([[1.0, 3.0], [1.0, 1.0]]), np.array([[6.0, 0.0], [1.0, 1.0]])).tolist() == [0, 0]
    assert owners(np.array([[1.0, 4.0]]), np.array([[6.0, 0.0], [1.0, 1.0]])).tolist() == [1]


def test_concepts_of_an_image_carry_together_what_the_neurons_carry(green_reference):
    image = grey(3, 120, [(20, 20, 36, 36)])
    leading = leading_neurons(open_case(green_reference, image, "greenness"), image)
    found = group(leading)
    placed = [neuron for concept in found for neuron in concept.neurons]
    assert len(set(placed)) == len(placed)
    kept = [neuron in placed for neuron in leading.neurons]
    assert sum(concept.share for concept in found) == pytest.approx(leading.contributions[kept].sum() / leading.score)


def test_crops_are_taken_from_each_neuron_in_turn():
    class Stored(Concepts):
        def __init__(self):
            pass

        def crops(self, neuron, by=None):
            count = {0: 2, 1: 0, 2: 3}[neuron.channel]
            return [Image.new("RGB", (4, 4), (neuron.channel, place, 0)) for place in range(count)]

    [concept] = group(leading_of([at(4, 4)] * 3, [3, 2, 1]))
    shown = [crop.getpixel((0, 0))[:2] for crop in concept.crops(Stored(), 4)]
    assert shown == [(0, 0), (2, 0), (0, 1), (2, 1)]
    assert concept.crops(None) == []
