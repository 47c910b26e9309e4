"""A picture read before and after it was changed."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nero_core import Reference
from nero_core.case import open_case
from nero_core.errors import InputError
from nero_core.lesson import breaking
from nero_core.lesson.breaking import Movements, Reading, movements, neuron_shifts, read, working_copy
from nero_core.lesson.changes import CHANGES, changed
from nero_core.records import Decision, Neuron
from tests.conftest import coloured_noise


@pytest.fixture(scope="module")
def reference(tiny_reference):
    return Reference.load(tiny_reference)


@pytest.fixture(scope="module")
def ordinary():
    return coloured_noise((200, 140, 60), (5, 5))


def reading(contributions, state="in-distribution"):
    decision = Decision(1.0, 0.5, 0.5, state, True, "", 36, None)
    neurons = tuple(Neuron(None, j) for j in range(len(contributions)))
    return Reading(decision, "nero", neurons, np.array(contributions, float))


def test_a_reading_is_what_case_review_says(reference, ordinary):
    case, found = open_case(reference, ordinary), read(reference, ordinary)
    assert found.decision == case.decide(0.05)
    assert found.accounted == case.explained
    account = case.under(case.explained).explanation
    assert found.neurons == account.neurons
    np.testing.assert_allclose(found.contributions, account.factor * account.contributions)
    terms = account.factor * sum(account.terms.values())
    assert found.contributions.sum() + terms == pytest.approx(account.score)


def test_nothing_changed_is_read_alike(reference, ordinary):
    first = read(reference, ordinary, "nero")
    again = read(reference, changed(ordinary, dict.fromkeys(CHANGES, 0.0)), "nero", accounted=first.accounted)
    assert again.decision == first.decision
    assert {shift.led == shift.leads for shift in neuron_shifts(first, again)} == {True}


def test_a_detector_without_an_account_names_no_neurons(reference, ordinary):
    found = read(reference, ordinary, "msp")
    assert found.neurons == ()
    assert neuron_shifts(found, found) == []


def test_too_small_a_picture_is_refused_in_words(reference):
    with pytest.raises(InputError, match="too small"):
        read(reference, Image.new("RGB", (1, 1)))


def test_neurons_that_come_and_go_on_paper():
    before, after = reading([5, -4, 3, 0, 1]), reading([5, 1, 3, -9, 0])
    shifts = neuron_shifts(before, after, count=2)
    assert [(s.neuron.channel, s.before, s.after, s.led, s.leads) for s in shifts] == [
        (3, 0, -9, False, True),
        (0, 5, 5, True, True),
        (1, -4, 1, True, False),
    ]
    assert neuron_shifts(before, after, count=0) == []


def test_accounts_of_other_neurons_are_not_compared():
    with pytest.raises(InputError, match="other neurons"):
        neuron_shifts(reading([1, 2]), reading([1, 2, 3]))


def test_all_eight_are_what_each_gives_alone(reference, ordinary):
    found = movements(reference, ordinary, "nero")
    assert list(found.after) == list(CHANGES)
    assert found.before == pytest.approx(read(reference, ordinary, "nero").decision.score, rel=1e-5)
    for name, score in found.after.items():
        alone = read(reference, changed(ordinary, {name: 0.5}), "nero").decision.score
        assert score == pytest.approx(alone, rel=1e-4), name


def test_most_is_by_size_and_the_first_of_equals():
    found = Movements(2.0, {"rotation": 2.5, "glare": -1.0, "tint": 5.0})
    assert found.moved == {"rotation": 0.5, "glare": -3.0, "tint": 3.0}
    assert found.most == "glare"


def test_the_challenge_is_the_other_verdict():
    ordinary, borderline, flagged = (
        reading([1], state) for state in ("in-distribution", "borderline", "out-of-distribution")
    )
    assert breaking.goal_of(flagged) == "un-flag"
    assert breaking.goal_of(borderline) == breaking.goal_of(ordinary) == "flag"
    assert breaking.reached(flagged, borderline)
    assert breaking.reached(ordinary, flagged)
    assert not breaking.reached(ordinary, borderline)
    assert not breaking.reached(flagged, flagged)


def test_a_large_picture_is_worked_on_in_small_and_a_small_one_as_it_is():
    small, large = Image.new("RGB", (640, 100)), Image.new("RGB", (1920, 1080))
    assert working_copy(small) is small
    assert working_copy(large).size == (640, 360)
    assert large.size == (1920, 1080)
