"""Outputs against classes: literal twins over all permutations, properties, what chance does, and bad input."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from nero_core.errors import InputError
from nero_core.network.class_agreement import LEVEL, ClassAgreement, _cycles, _log_cycles

NAMES = "abcdefghij"


def agreement(confusion):
    return ClassAgreement(tuple(NAMES[: len(confusion)]), np.array(confusion))


def drawn(seed, K=None, n=None):
    """Images of K classes, answered with a skill between none and full, the outputs in some order."""
    rng = np.random.default_rng(seed)
    K = K or int(rng.integers(2, 6))
    n = n or int(rng.integers(1, 80))
    labels = rng.choice(K, n, p=rng.dirichlet(np.ones(K)))
    answers = np.where(rng.random(n) < rng.random(), labels, rng.integers(0, K, n))
    return ClassAgreement.of(tuple(NAMES[:K]), labels, rng.permutation(K)[answers])


# Literal twins: every permutation, exact fractions ------------------------------------------------------------------


def literal_right(table, order):
    return sum(int(table[order[k]][k]) for k in range(len(order)))


def literal_best(table):
    """The order with most images right; among equals one that leaves most outputs in place."""
    K = len(table)
    value = max((literal_right(table, o), sum(o[k] == k for k in range(K))) for o in permutations(range(K)))
    return value, [
        o for o in permutations(range(K)) if (literal_right(table, o), sum(map(int.__eq__, o, range(K)))) == value
    ]


def literal_tail(successes, trials, share):
    """P(at least so many of `trials`), exactly."""
    return sum(
        math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(max(successes, 0), trials + 1)
    )


def literal_chance(table, order):
    n, K = int(sum(map(sum, table))), len(table)
    by_class, by_answer = [int(sum(row)) for row in table], [int(sum(row[k] for row in table)) for k in range(K)]
    return sum(Fraction(by_class[order[k]] * by_answer[k], n * n) for k in range(K))


def literal_cycles(K, length):
    """How many permutations of K classes are one cycle of this length."""
    moves = [[k for k in range(K) if o[k] != k] for o in permutations(range(K))]
    orders = list(permutations(range(K)))
    return sum(
        len(moved) == length and len(_cycles(np.array(order))) == 1 for moved, order in zip(moves, orders, strict=True)
    )


def literal_likely(table, order):
    """What `likely_order` names, given the best order."""
    K = len(table)
    named = list(range(K))
    for cycle in _cycles(np.array(order)):
        gained = sum(int(table[order[k]][k]) for k in cycle)
        lost = sum(int(table[k][k]) for k in cycle)
        if literal_tail(gained, gained + lost, Fraction(1, 2)) * literal_cycles(K, len(cycle)) * (K - 1) <= Fraction(
            LEVEL
        ):
            for k in cycle:
                named[k] = int(order[k])
    n = int(sum(map(sum, table)))
    if named == list(range(K)):
        return None
    return named if literal_tail(literal_right(table, named), n, literal_chance(table, named)) <= LEVEL else None


@pytest.mark.parametrize("seed", range(60))
def test_it_equals_its_literal_twin(seed):
    seen = drawn(seed)
    table, K, n = seen.confusion.tolist(), len(seen.classes), seen.images
    best = seen.best_order()
    (right, kept), orders = literal_best(table)
    assert tuple(best.tolist()) in orders
    assert (literal_right(table, best), int((best == np.arange(K)).sum())) == (right, kept)
    assert seen.accuracy == pytest.approx(literal_right(table, range(K)) / n)
    for order in (np.arange(K), best):
        chance = literal_chance(table, order.tolist())
        assert seen.chance(order) == pytest.approx(float(chance))
        wanted = literal_tail(literal_right(table, order), n, chance)
        assert seen.chance_p_value(order) == pytest.approx(float(wanted), rel=1e-7, abs=1e-300)
    likely, wanted = seen.likely_order(), literal_likely(table, best)
    assert (None if likely is None else likely.tolist()) == wanted


@pytest.mark.parametrize(("K", "length"), [(2, 2), (3, 2), (3, 3), (4, 2), (4, 3), (4, 4), (5, 3), (5, 5)])
def test_cycles_are_counted(K, length):
    assert math.exp(_log_cycles(K, length)) == pytest.approx(literal_cycles(K, length))


# Properties ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_shuffled_outputs_of_a_good_network_are_put_back(seed):
    rng = np.random.default_rng(seed)
    K = int(rng.integers(2, 9))
    labels = np.repeat(np.arange(K), 30)
    answers = np.where(rng.random(len(labels)) < 0.8, labels, rng.integers(0, K, len(labels)))
    given = ClassAgreement.of(NAMES[:K], labels, answers)
    assert given.likely_order() is None
    assert given.warnings() == ()
    outputs = rng.permutation(K)  # what was output k is now output outputs[k]
    seen = ClassAgreement.of(NAMES[:K], labels, outputs[answers])
    if (outputs == np.arange(K)).all():
        assert seen.likely_order() is None
    else:
        np.testing.assert_array_equal(seen.likely_order(), np.argsort(outputs))
        assert "another order" in seen.warnings()[0]
    assert seen._right(np.argsort(outputs)) / seen.images == given.accuracy


def test_renaming_classes_and_outputs_alike_changes_no_figure():
    seen = drawn(3, K=5, n=60)
    turned = np.random.default_rng(0).permutation(5)
    other = agreement(seen.confusion[np.ix_(turned, turned)])
    assert other.accuracy == seen.accuracy
    assert other.chance() == pytest.approx(seen.chance())
    assert other.chance_p_value() == pytest.approx(seen.chance_p_value())
    assert (other.likely_order() is None) == (seen.likely_order() is None)


@pytest.mark.parametrize("shares", [(1 / 3, 1 / 3, 1 / 3), (0.8, 0.15, 0.05)])
@pytest.mark.parametrize("answered", [(1 / 3, 1 / 3, 1 / 3), (0.05, 0.05, 0.9), (0.0, 0.0, 1.0)])
def test_answers_at_random_are_called_chance_and_no_order_is_named(shares, answered):
    """400 networks that know nothing: at most LEVEL of them pass, or have an order named; 3 standard errors allowed."""
    rng = np.random.default_rng(7)
    passed = named = 0
    for _ in range(400):
        seen = ClassAgreement.of("abc", rng.choice(3, 90, p=shares), rng.choice(3, 90, p=answered))
        passed += seen.chance_p_value() <= LEVEL
        named += seen.likely_order() is not None
    allowed = 400 * LEVEL + 3 * math.sqrt(400 * LEVEL * (1 - LEVEL))
    assert passed <= allowed
    assert named <= allowed


def test_a_network_that_confuses_two_classes_evenly_is_not_told_that_they_are_swapped():
    """The right order and the swapped one are equally good: 400 of them, named at most as often as LEVEL says."""
    rng = np.random.default_rng(1)
    named = 0
    for _ in range(400):
        labels = np.repeat(np.arange(3), 40)
        answers = np.where(labels == 2, 2, rng.integers(0, 2, 120))
        named += ClassAgreement.of("abc", labels, answers).likely_order() is not None
    assert named <= 400 * LEVEL + 3 * math.sqrt(400 * LEVEL * (1 - LEVEL))


# By hand ------------------------------------------------------------------------------------------------------------


def test_by_hand():
    """20 a, 10 b, 10 c; the network says b for each a, a for each b, and is right on 9 of 10 c."""
    seen = agreement([[0, 20, 0], [10, 0, 0], [1, 0, 9]])
    assert (seen.images, seen.accuracy) == (40, 9 / 40)
    assert seen.per_class == {"a": 0, "b": 0, "c": 0.9}
    assert seen.counts == {"a": 20, "b": 10, "c": 10}
    assert seen.chance() == pytest.approx((20 * 11 + 10 * 20 + 10 * 9) / 1600)
    assert seen.likely_order().tolist() == [1, 0, 2]
    (said,) = seen.warnings()
    assert "outputs 0, 1, taken for a, b, seem to be b, a." in said
    assert "97.5% of 40 labelled images right instead of 22.5%" in said
    assert seen.metrics() == {
        "calibration_accuracy": 9 / 40,
        "calibration_accuracy_per_class": {"a": 0.0, "b": 0.0, "c": 0.9},
        "calibration_per_class": {"a": 20, "b": 10, "c": 10},
        "warnings": [said],
    }


def test_always_the_largest_class_is_chance():
    """75 % right, and no better than chance: a share of 1/K would have let it pass."""
    (said,) = agreement([[30, 0], [10, 0]]).warnings()
    assert "75.0% of 40 labelled images, which is not better than chance (75.0% for its answers" in said
    assert agreement([[27, 3], [2, 8]]).warnings() == ()


def test_always_a_small_class_is_chance_and_no_other_order():
    seen = agreement([[0, 40], [0, 5]])
    assert seen.best_order().tolist() == [1, 0]
    assert seen.likely_order() is None
    assert "not better than chance" in seen.warnings()[0]


def test_a_few_images_name_no_order():
    assert agreement([[0, 2], [2, 0]]).likely_order() is None  # p = 1/16
    assert agreement([[0, 3], [2, 0]]).likely_order().tolist() == [1, 0]  # p = 1/32


def test_one_class_and_classes_without_images_are_defined():
    assert agreement([[7]]).warnings() == ()
    seen = agreement([[9, 0, 0], [0, 0, 0], [0, 0, 9]])
    assert seen.per_class == {"a": 1, "c": 1}
    assert seen.warnings() == ()


def test_a_thousand_classes():
    K = 1000
    labels = np.repeat(np.arange(K), 20)
    turned = np.arange(K)
    turned[[3, 5, 900]] = [5, 900, 3]
    np.testing.assert_array_equal(
        ClassAgreement.of([str(k) for k in range(K)], labels, turned[labels]).likely_order(), np.argsort(turned)
    )
    everything = ClassAgreement.of([str(k) for k in range(K)], labels, (labels + 1) % K)
    (said,) = everything.warnings()
    assert "outputs 0, 1, 2, 3, 4, 5, 6, 7, taken for" in said
    assert "(992 more change places)" in said


@pytest.mark.parametrize(
    ("labels", "answers", "message"),
    [
        ([], [], "wanted one of each per image"),
        ([0, 1], [0], "wanted one of each per image"),
        ([[0]], [[0]], "wanted one of each per image"),
        ([0, 3], [0, 0], "not in 0 to 2"),
        ([0, 1], [0, -1], "not in 0 to 2"),
    ],
)
def test_bad_labels_are_refused(labels, answers, message):
    with pytest.raises(InputError, match=message):
        ClassAgreement.of("abc", labels, answers)


@pytest.mark.parametrize("table", [[[1, 2]], [[0, 0], [0, 0]], [[1, -1], [0, 2]], [[0.5, 0], [0, 1]]])
def test_bad_tables_are_refused(table):
    with pytest.raises(InputError, match="wanted counts of images"):
        ClassAgreement(("a", "b"), np.array(table))
