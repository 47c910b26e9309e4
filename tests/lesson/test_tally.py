"""The record of a question and its answers: who answers counts once, whatever happens at the same time."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nero_core.errors import InputError
from nero_core.lesson import tally as module
from nero_core.lesson.tally import NotAskedError, NotOfferedError, Tally, TooManyDevicesError

OPTIONS = {"a": "First", "b": "Second", "c": "Third"}


def asked(question="how-many"):
    """A tally, and its round."""
    tally = Tally()
    return tally, tally.ask(question, "How many?", OPTIONS)


def test_answers_are_counted_by_option():
    tally, number = asked()
    for device, option in {"x": "a", "y": "c", "z": "c"}.items():
        tally.answer(device, number, option)
    assert tally.now().counts == {"a": 1, "b": 0, "c": 2}
    assert tally.now().answers == 3
    assert list(tally.now().counts) == list(OPTIONS), "in the order of the question"


def test_an_answer_that_is_changed_moves_one():
    tally, number = asked()
    tally.answer("x", number, "a")
    tally.answer("y", number, "a")
    tally.answer("x", number, "b")
    assert tally.now().counts == {"a": 1, "b": 1, "c": 0}
    assert tally.answer_of("x") == "b"
    assert tally.answer_of("z") is None


@given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from(sorted(OPTIONS)))))
def test_each_device_counts_once_by_its_last_answer(given_answers):
    tally, number = asked()
    for device, option in given_answers:
        tally.answer(str(device), number, option)
    last = dict(given_answers)
    assert tally.now().answers == len(last)
    assert {value: count for value, count in tally.now().counts.items() if count} == Counter(last.values())


def test_two_hundred_threads_at_once():
    tally, number = asked()
    together = threading.Barrier(200)

    def vote(i):
        together.wait(60)
        for option in ("a", "b", "c", "abc"[i % 3]):
            tally.answer(f"device {i % 100}", number, option)
            assert tally.now().answers <= 100

    with ThreadPoolExecutor(200) as pool:
        list(pool.map(vote, range(200)))
    assert tally.now().answers == 100


def test_another_question_forgets_and_the_same_again_keeps():
    tally, first = asked()
    tally.answer("x", first, "a")
    assert tally.ask("how-many", "How many?", dict(OPTIONS)) == first
    assert tally.now().answers == 1
    second = tally.ask("which", "Which?", OPTIONS)
    assert second != first
    assert tally.now().answers == 0
    assert tally.answer_of("x") is None
    back = tally.ask("how-many", "How many?", OPTIONS)
    assert back not in (first, second)
    assert tally.now().answers == 0


def test_other_options_of_the_same_question_are_another():
    tally, first = asked()
    tally.answer("x", first, "a")
    assert tally.ask("how-many", "How many?", OPTIONS | {"a": "Something else"}) != first
    assert tally.now().answers == 0


def test_a_second_vote_begins_at_zero():
    tally, first = asked()
    tally.answer("x", first, "a")
    tally.reveal(first)
    second = tally.ask_anew("how-many", "How many?", OPTIONS)
    assert second != first
    assert (tally.now().answers, tally.now().revealed) == (0, False)
    with pytest.raises(NotAskedError):
        tally.answer("x", first, "a")


def test_what_does_not_stand_takes_no_answer():
    tally, first = asked()
    with pytest.raises(NotAskedError):
        tally.answer("x", first + 1, "a")
    tally.answer("x", first, "a")
    tally.reveal(first)
    with pytest.raises(NotAskedError):
        tally.answer("x", first, "b")
    assert tally.now().counts["a"] == 1
    tally.close()
    with pytest.raises(NotAskedError):
        tally.answer("x", first, "a")
    assert tally.now() is None


def test_only_the_round_that_stands_is_revealed():
    tally, first = asked()
    second = tally.ask("which", "Which?", OPTIONS)
    tally.reveal(first)
    assert not tally.now().revealed
    tally.reveal(second)
    assert tally.now().revealed
    tally.close()
    tally.reveal(second)
    assert tally.now() is None


def test_an_answer_that_is_not_offered_is_refused():
    tally, number = asked()
    for option in ("d", "", "First", "A"):
        with pytest.raises(NotOfferedError):
            tally.answer("x", number, option)
    assert tally.now().answers == 0


def test_no_more_devices_than_are_kept(monkeypatch):
    monkeypatch.setattr(module, "MOST_DEVICES", 3)
    tally, number = asked()
    for device in "xyz":
        tally.answer(device, number, "a")
    with pytest.raises(TooManyDevicesError):
        tally.answer("one more", number, "a")
    tally.answer("x", number, "b")
    assert tally.now().counts == {"a": 2, "b": 1, "c": 0}


def test_a_question_without_a_choice_is_none():
    for options in ({}, {"a": "only"}):
        with pytest.raises(InputError, match="at least two"):
            Tally().ask("x", "x", options)


def test_what_was_asked_does_not_change_with_what_it_was_asked_from():
    options = dict(OPTIONS)
    tally = Tally()
    tally.ask("x", "x", options)
    options["d"] = "Fourth"
    assert list(tally.now().options) == list(OPTIONS)


def test_nothing_about_devices_is_in_what_is_read():
    tally, number = asked()
    tally.answer("secret-device", number, "a")
    assert "secret" not in repr(tally.now())
