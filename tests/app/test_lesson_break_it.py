"""The lesson's step that breaks a picture: every number comes from the core, and follows what is moved."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from nero_core.lesson import breaking, changes
from nero_core.lesson.breaking import Movements
from pages.lesson_views import break_it
from pages.shared import resources
from pages.shared import session as held
from tests.app.conftest import picture_bytes, words_of
from tests.app.lesson_examples import ORDINARY, STRANGE, alts_of, answer, open_step  # noqa: F401

STEP = "break_it"


@pytest.fixture
def step(open_step):  # noqa: F811
    return open_step(STEP)


def choose(session, key):
    session.selectbox(key=break_it.PICTURE).set_value(key).run()
    assert not session.exception
    return session


def test_it_begins_with_a_flagged_example_and_asks_for_a_change(step):
    picture = step.selectbox(key=break_it.PICTURE)
    assert picture.value == STRANGE
    assert picture.options[0].startswith("violet · ▲ Unusual")
    asked = step.radio(key=f"lesson-{STEP}-answer")
    assert asked.options == [change.title for change in changes.CHANGES.values()]
    assert asked.value is None
    assert "turned by 45°" in alts_of(step)
    assert not step.slider, "nothing is to be tried before the question"


def test_the_reveal_tells_what_the_core_reads(step, monkeypatch):
    scores = dict.fromkeys(changes.CHANGES, 2.0) | {"tint": -7.25}
    monkeypatch.setattr(breaking, "movements", lambda *_: Movements(2.0, scores))
    told = words_of(answer(step, STEP, "blur"))
    assert "**Not quite: it is Tint.**" in told
    assert "takes the score from 2 to **−7.25**" in told
    assert "Tint **−7.25** (−9.25), Rotation **2** (0)" in told
    assert "**Right: Tint.**" in words_of(answer(step, STEP, "tint"))
    assert len(step.slider) == 8


def test_another_picture_is_asked_about_anew_and_begins_unchanged(step):
    answer(step, STEP, "blur")
    step.slider(key="lesson-break-blur").set_value(40).run()
    choose(step, ORDINARY)
    assert step.radio(key=f"lesson-{STEP}-answer").value is None
    assert not step.slider
    answer(step, STEP, "blur")
    assert {slider.value for slider in step.slider} == {0}
    assert "Challenge: **Flag an ordinary one with the weakest change**" in words_of(step)


def test_moving_a_slider_changes_what_the_core_is_asked_and_what_is_told(step, monkeypatch):
    answer(step, STEP, "blur")
    assert "Not yet; the total strength is 0 of 8" in words_of(step)
    asked, read = [], breaking.read
    monkeypatch.setattr(changes, "changed", lambda image, strengths: asked.append(dict(strengths)) or image)

    def otherwise(*args, **named):
        found = read(*args, **named)
        decision = replace(found.decision, score=1234.0, percentile=0.42, p_value=0.5873, state="in-distribution")
        return replace(found, decision=decision, contributions=found.contributions[::-1])

    monkeypatch.setattr(breaking, "read", otherwise)
    step.slider(key="lesson-break-blur").set_value(40).run()
    assert not step.exception
    assert asked[-1] == {name: 0.4 if name == "blur" else 0 for name in changes.CHANGES}
    told = words_of(step)
    assert re.search(r"score \*\*1230\*\*, above 42 in 100 of (the )?36 calibration images.*; p = 0\.59", told)
    assert ":blue[● Not flagged]" in told
    assert "σ is 1.2 % of the shorter side" in told
    assert "**Reached**, with a total strength of 0.4 of 8" in told
    assert "Best of this visit, “Get it un-flagged”: 0.4, with violet" in told
    assert "Came in: none" not in told


def test_the_best_of_a_visit_is_the_weakest(step, monkeypatch):
    answer(step, STEP, "blur")
    monkeypatch.setattr(breaking, "reached", lambda before, after: True)
    for percent, best in ((40, "0.4"), (60, "0.4"), (25, "0.25")):
        step.slider(key="lesson-break-blur").set_value(percent).run()
        assert f"“Get it un-flagged”: {best}, with violet" in words_of(step)


def test_all_are_set_back(step):
    answer(step, STEP, "blur")
    for name in ("blur", "text"):
        step.slider(key=f"lesson-break-{name}").set_value(55).run()
    assert "the total strength is 1.1 of 8" in words_of(step)
    step.button(key="lesson-break-back").click().run()
    assert {slider.value for slider in step.slider} == {0}


def test_the_picture_is_read_once_while_sliders_move(step, monkeypatch):
    answer(step, STEP, "blur")
    read, count = breaking.read, []
    monkeypatch.setattr(breaking, "read", lambda *args, **named: count.append(1) or read(*args, **named))
    step.slider(key="lesson-break-blur").set_value(10).run()
    assert len(count) == 1


def test_an_image_of_the_open_case_is_offered_and_named_as_it_is(step):
    step.session_state[held.CASE] = [held.Frame("a*b*.png", picture_bytes())]
    step.run()
    own = f"own-{step.session_state[held.CASE][0].number}"
    choose(step, own)
    answer(step, STEP, "blur")
    assert "Challenge:" in words_of(step)
    kept = step.session_state[break_it.KEPT]
    assert kept.of[0] == own
    step.session_state[held.CASE] = []
    step.run()
    assert not step.exception
    assert step.selectbox(key=break_it.PICTURE).value == STRANGE


def test_a_large_image_is_read_in_small_and_it_says_so(step):
    step.session_state[held.CASE] = [held.Frame("large.png", picture_bytes(size=(900, 300)))]
    step.run()
    choose(step, f"own-{step.session_state[held.CASE][0].number}")
    assert "Read as a copy of at most 640 pixels a side" in words_of(step)
    assert "Read as a copy" not in words_of(choose(step, STRANGE))


def test_without_examples_it_says_so_and_the_lesson_goes_on(step, monkeypatch):
    monkeypatch.setattr(resources, "examples", list)
    step.run()
    assert "carries no examples" in step.error[0].value
    assert step.button(key="lesson-back-bottom")


def test_what_cannot_be_read_is_told(step):
    step.session_state[held.CASE] = [held.Frame("broken.png", b"not a picture")]
    step.run()
    choose(step, f"own-{step.session_state[held.CASE][0].number}")
    assert "is not an image" in step.error[0].value


def test_a_detector_without_an_account_says_so(step, monkeypatch):
    monkeypatch.setattr(breaking, "neuron_shifts", lambda before, after: [])
    assert "is no sum over neurons" in words_of(answer(step, STEP, "blur"))
