"""The Lesson page beside a class: nothing without one; asked, counted and revealed with one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nero_core.demo.rendered import BUNDLED
from nero_core.lesson import steps
from nero_core.lesson.tally import Tally
from pages.classroom import server
from pages.lesson_views import frame, sure_and_wrong, threshold
from pages.lesson_views.frame import Answer, Question
from pages.shared import resources
from tests.app.conftest import words_of

ADDRESS = "http://192.0.2.7:8502"
OPTIONS = {"2": "Two", "4": "Four", "6": "*All* six"}
FIRST, SECOND = f"lesson-{sure_and_wrong.__name__.rpartition('.')[2]}", "lesson-threshold"


@pytest.fixture
def lesson(open_app, monkeypatch):
    """Opens the Lesson page in a new session; its steps ask what is the same whatever they show."""
    load = resources.reference
    monkeypatch.setattr(resources, "reference", lambda path: None if path == BUNDLED else load(path))
    monkeypatch.setattr("nero_core.lesson.frames.read_frames", lambda: None)
    texts = {"sure_and_wrong": "How **many**?", "threshold": "Which?"}
    asking = tuple(replace(step, question=texts.get(step.name, step.question)) for step in steps.STEPS)
    for module in (steps, frame):
        monkeypatch.setattr(module, "STEPS", asking)
    for view in (sure_and_wrong, threshold):
        monkeypatch.setattr(view, "before", lambda lesson: None)
        monkeypatch.setattr(view, "explore", lambda lesson: None)
        monkeypatch.setattr(view, "question", lambda lesson: Question(OPTIONS))
        monkeypatch.setattr(view, "answer", lambda lesson: Answer("4", "Because."))

    def opened():
        app = open_app().switch_page("pages/lesson.py").run()
        assert not app.exception
        return app

    return opened


@pytest.fixture
def tally(monkeypatch):
    """Of a class that is on."""
    room = server.Room(Tally(), [ADDRESS], 8502, None)
    monkeypatch.setattr(server, "_room", room)
    return room.tally


def ask(app, step=FIRST):
    return app.button(f"{step}-class").click().run()


def reveal(app, step=FIRST):
    return app.button(f"{step}-open").click().run()


def vote(tally, **answers):
    for device, option in answers.items():
        tally.answer(device, tally.now().number, option)


def charts(app):
    return [each.proto.alt for each in app.get("plotly_chart")]


def test_without_a_class_nothing_of_it_is_seen(lesson):
    assert server.room() is None
    app = reveal(lesson())
    assert not [each for each in app.button if (each.key or "").endswith("-class")]
    assert "http://" not in words_of(app)


def test_nothing_is_asked_until_somebody_asks(lesson, tally):
    app = lesson()
    assert ADDRESS in words_of(app)
    assert "Nothing is asked yet." in words_of(app)
    reveal(app)
    assert tally.now() is None


def test_the_question_goes_to_the_room_and_its_answers_come_back(lesson, tally):
    app = ask(lesson())
    asked = tally.now()
    assert (asked.text, dict(asked.options)) == ("How many?", {"2": "Two", "4": "Four", "6": "All six"})
    vote(tally, x="2", y="4", z="4")
    app.run()
    assert "Answers of the class so far: 3" in words_of(app)
    assert charts(app) == [], "counts would tell what most think"
    assert not tally.now().revealed
    app.radio(f"{FIRST}-answer").set_value("4").run()
    assert not tally.now().revealed, "an answer alone reveals nothing"
    reveal(app)
    assert not app.exception
    assert tally.now().revealed
    [alt] = [alt for alt in charts(app) if "answers" in alt]
    assert alt == "3 answers. Two: 1; Four: 2; All six: 0. Right: Four."
    table = next(each.value for each in app.dataframe if "How many" in each.value)
    assert list(table["How many"]) == [1, 2, 0]
    assert list(table["Right"]) == ["no", "yes", "no"]


def test_asking_hides_an_answer_that_is_shown(lesson, tally):
    app = reveal(lesson())
    assert "Because." in words_of(app)
    ask(app)
    assert "Because." not in words_of(app)
    assert not tally.now().revealed
    app.radio(f"{FIRST}-answer").set_value("2").run()
    reveal(app)
    assert tally.now().revealed
    assert "Nobody in the class answered." in words_of(app)
    ask(app)
    assert app.radio(f"{FIRST}-answer").value is None
    assert not tally.now().revealed


def test_a_second_vote_begins_at_zero(lesson, tally):
    app = ask(lesson())
    vote(tally, x="2")
    reveal(app)
    assert app.button(f"{FIRST}-class").label == "Ask again"
    ask(app)
    assert tally.now().answers == 0
    assert not tally.now().revealed


def test_another_step_says_what_the_class_has_and_does_not_take_it_away(lesson, tally):
    app = ask(lesson())
    vote(tally, x="2")
    app.session_state["lesson-step"] = [step.name for step in steps.STEPS].index("threshold")
    app.run()
    assert "the last that was asked: “How many?” Answers: 1." in words_of(app)
    assert app.button(f"{SECOND}-class").label == "Ask the class"
    reveal(app, SECOND)
    assert not tally.now().revealed
    assert charts(app) == []
    ask(app, SECOND)
    assert tally.now().text == "Which?"


def test_of_two_tabs_the_last_that_asks_stands_and_only_it_reveals(lesson, tally):
    one, other = lesson(), reveal(lesson())
    ask(one)
    vote(tally, x="2")
    other.run()
    assert not tally.now().revealed, "its answer was shown long before"
    other.session_state["lesson-step"] = [step.name for step in steps.STEPS].index("threshold")
    other.run()
    ask(other, SECOND)
    one.run()
    assert "the last that was asked: “Which?”" in words_of(one)
    reveal(one)
    assert tally.now().text == "Which?"
    assert not tally.now().revealed


def test_a_page_that_is_opened_again_goes_on_with_its_question(lesson, tally):
    ask(lesson())
    vote(tally, x="2")
    app = lesson()
    assert "Answers of the class so far: 1" in words_of(app)
    ask(app)
    assert tally.now().answers == 1
    reveal(app)
    assert tally.now().revealed


def test_where_no_address_is_found_it_is_said(lesson, monkeypatch):
    monkeypatch.setattr(server, "_room", server.Room(Tally(), [], 8502, None))
    told = words_of(lesson())
    assert "http://ADDRESS:8502" in told
    assert "in place of ADDRESS" in told
