"""The Lesson page through the whole app: every step, its link, its question, and that each claim is the core's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from nero_core.detectors.nero import NeroTerms
from nero_core.lesson.frames import read_frames
from nero_core.lesson.quiz import QUIZ
from nero_core.lesson.small_network import SmallNetwork, work_out
from nero_core.lesson.steps import STEPS
from pages.lesson_views import centroids, feature_to_relevance, link, pictures, threshold
from pages.shared import language
from tests.app import test_german
from tests.app.conftest import PATIENCE, ROOT, words_of
from tests.app.test_german import left_in

PAGE = "pages/lesson.py"
english = test_german.english


@pytest.fixture(autouse=True)
def nothing_kept():
    """What sessions share of bundled pictures is worked out anew; the reference stays loaded."""
    forget()
    yield
    forget()


def forget():
    for kept in (pictures.readings, threshold._scored, threshold._curve, threshold._pictures, centroids._plane):
        kept.clear()


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """Call it for a session on the Lesson page, with an address."""
    from pages.shared import resources

    monkeypatch.setattr(resources, "USER_REFERENCES", tmp_path / "none")
    monkeypatch.delenv(resources.FOLDERS_VARIABLE, raising=False)

    def open_page(**address):
        session = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE).run()
        session.switch_page(PAGE)
        for name, value in address.items():
            session.query_params[name] = value
        return session.run()

    return open_page


def answered(session, option):
    """The question of the open step, answered and revealed."""
    [radio] = [each for each in session.radio if (each.key or "").endswith("-answer")]
    radio.set_value(option).run()
    [button] = [each for each in session.button if (each.key or "").endswith("-open")]
    return button.click().run()


def metric(session, label):
    return next(each.value for each in session.metric if each.label == label)


# Steps and the link ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(1, len(STEPS) + 1))
def test_every_step_opens_by_its_link_and_reveals(opened, number):
    session = opened(step=str(number))
    assert not session.exception
    assert not session.error
    step = STEPS[number - 1]
    assert f"{number}. {step.title}" in words_of(session)
    assert step.take_home not in words_of(session)
    session.button(key=f"lesson-{step.name}-open").click().run()
    assert not session.exception
    told = "\n".join(element.value for element in (*session.markdown, *session.success))
    assert step.take_home in told
    assert "The answer:" in told


@pytest.mark.parametrize("asked", ["0", "9", "-1", "one", "", "²", "99999999999999999999"])
def test_an_address_of_no_step_opens_the_first(opened, asked):
    session = opened(step=asked)
    assert not session.exception
    assert session.session_state[link.STEP] == 0


def test_buttons_go_on_and_back(opened):
    session = opened()
    session.button(key="lesson-next-bottom").click().run()
    assert session.session_state[link.STEP] == 1
    session.button(key="lesson-back-top").click().run()
    assert session.session_state[link.STEP] == 0
    assert session.button(key="lesson-back-top").disabled


def test_the_presenter_has_notes(opened):
    assert STEPS[1].notes not in "\n".join(each.value for each in opened(step="2").info)
    assert STEPS[1].notes in "\n".join(each.value for each in opened(step="2", presenter="1").info)


def test_answers_stay_for_the_visit_and_another_session_has_none(opened):
    first = answered(opened(step="2"), "one")
    assert "Right:" in words_of(first)
    first.switch_page("pages/neurons.py").run()
    first.switch_page(PAGE).run()
    assert "Right:" in words_of(first)
    assert "Right:" not in words_of(opened(step="2"))


def test_a_wrong_answer_is_told_the_right_one(opened):
    assert "Not quite: it is To 1." in words_of(answered(opened(step="2"), "zero"))


@pytest.mark.parametrize("number", range(1, len(STEPS) + 2))
def test_no_english_is_left_in_german(opened, english, number):
    session = opened(step=str(number), answer="shown", presenter="1")
    session.session_state[language.CHOSEN] = "de"
    session.run()
    assert not session.exception
    assert left_in(session, english) == []


def test_an_address_can_open_a_step_with_its_answer(opened):
    assert "The answer: To 1." in words_of(opened(step="2", answer="shown"))
    assert "The answer:" not in words_of(opened(step="2", answer="what"))


# Every claim is the core's --------------------------------------------------------------------------------------------


def test_step_1_counts_what_the_network_says(opened, monkeypatch):
    real = pictures.read_all

    def surer(reference, frames):
        return [replace(reading, confidence=0.2) for reading in real(reference, frames)]

    monkeypatch.setattr(pictures, "read_all", surer)
    session = answered(opened(step="1"), "0")
    assert "Right: 0." in words_of(session)
    assert "20 % sure" in words_of(session)


def test_step_1_counts_the_guesses(opened):
    session = opened(step="1")
    session.selectbox(key="lesson-guess-0").select_index(1).run()
    session.button(key="lesson-sure_and_wrong-open").click().run()
    assert "of 1 answers" in words_of(session)


def test_step_1_says_that_frames_were_searched_for(opened):
    session = answered(opened(step="1"), "6")
    searched = [frame for frame in read_frames().sure_and_wrong if frame.role == "sure"]
    for frame in searched:
        assert f"So are {frame.found} of {frame.searched} rendered scenes of this kind" in words_of(session)


def test_step_2_shows_the_sum_of_the_core(opened, monkeypatch):
    session = answered(opened(step="2"), "one")
    assert "The sum holds" in "\n".join(each.value for each in session.success)
    real = feature_to_relevance.work_out

    def broken(network, epsilon=0.0):
        found = real(network, epsilon)
        return replace(found, relevance=found.relevance * 2)

    monkeypatch.setattr(feature_to_relevance, "work_out", broken)
    session.run()
    assert "The sum is not 1" in "\n".join(each.value for each in session.warning)


def test_step_2_breaks_by_epsilon_and_by_numbers_of_ones_own(opened):
    session = answered(opened(step="2"), "one")
    session.slider(key="lesson-small-epsilon").set_value(0.5).run()
    assert "took" in "\n".join(each.value for each in session.warning)
    session.slider(key="lesson-small-epsilon").set_value(0.0).run()
    session.toggle(key="lesson-small-own").set_value(True).run()
    session.number_input(key="lesson-small-own-0").set_value(3.0).run()
    assert "not the relevance of this network" in "\n".join(each.value for each in session.error)
    found = work_out(SmallNetwork())
    for place, value in enumerate((0.1, 0.2, 0.7 - found.bias_relevance)):
        session.number_input(key=f"lesson-small-own-{place}").set_value(value).run()
    assert "It adds up to 1" in "\n".join(each.value for each in session.warning)


def test_an_answer_is_not_revealed_until_somebody_reveals_it(opened):
    session = opened(step="2")
    session.radio(key="lesson-feature_to_relevance-answer").set_value("zero").run()
    assert "Not quite" not in words_of(session)


def test_step_3_reads_the_point_by_the_core(opened, monkeypatch):
    session = answered(opened(step="3"), "diagonal")
    assert "Right: The one along the diagonal." in words_of(session)
    real = centroids.read_point

    def farther(*given):
        found = real(*given)
        return replace(found, terms=NeroTerms(found.terms.nearest, np.array([123.0]), *given_terms(found)))

    def given_terms(found):
        return found.terms.bias_term, found.terms.low_share

    monkeypatch.setattr(centroids, "read_point", farther)
    session.slider(key=centroids.FACTOR).set_value(1.0).run()
    assert "= **123** away" in words_of(session)


def test_step_3_puts_the_point_at_a_picture(opened):
    session = answered(opened(step="3"), "axis")
    before = session.slider(key=centroids.X).value
    session.selectbox(key=centroids.EXAMPLE).set_value("colour-cast.png").run()
    assert not session.exception
    assert session.slider(key=centroids.X).value != before
    assert "this picture’s distance is" in words_of(session)


def test_step_4_counts_live(opened, monkeypatch):
    session = answered(opened(step="4"), "most")
    missed = [metric(session, "Unusual, missed")]
    session.slider(key=threshold.PERCENT).set_value(40.0).run()
    missed.append(metric(session, "Unusual, missed"))
    assert int(missed[1].split(" / ")[0]) < int(missed[0].split(" / ")[0])
    forget()
    real = threshold.bundled_scores

    def nothing_is_flagged(reference, detector):
        found = real(reference, detector)
        return replace(found, ordinary=np.zeros(5), predicted=np.zeros(5, np.int64))

    monkeypatch.setattr(threshold, "bundled_scores", nothing_is_flagged)
    session.run()
    assert metric(session, "Ordinary, flagged for nothing") == "0 / 5"


def test_step_4_breaks_the_promise_by_a_second_camera(opened, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(threshold, "second_camera_scenes", lambda progress: [Image.new("RGB", (64, 64))] * 4)
    monkeypatch.setattr(threshold, "flagged_of", lambda *given: np.array([True, True, True, False]))
    session = answered(opened(step="4"), "most")
    session.button(key="lesson-threshold-render").click().run()
    assert "flags 3 of these 4 ordinary scenes; promised were at most 0.2 on average" in words_of(session)
    session.slider(key=threshold.PERCENT).set_value(50.0).run()
    assert "promised were at most 2 on average, at α = 50 in 100" in words_of(session)


def test_step_6_tells_the_verdicts_of_the_core(opened, monkeypatch):
    real = pictures.read_all

    def all_flagged(reference, frames):
        return [
            replace(each, panel=replace(each.panel, state="out-of-distribution")) for each in real(reference, frames)
        ]

    monkeypatch.setattr(pictures, "read_all", all_flagged)
    session = answered(opened(step="6"), "3")
    assert "With a finding and not flagged: 0." in words_of(session)


# The quiz -------------------------------------------------------------------------------------------------------------


def test_the_quiz_explains_and_counts(opened):
    session = opened(step="8")
    assert not session.exception
    for number, question in enumerate(QUIZ):
        session.radio(key=f"lesson-quiz-{number}").set_value(
            question.right if number else (question.right + 1) % 3
        ).run()
    told = words_of(session)
    assert f"{len(QUIZ) - 1} of {len(QUIZ)} right" in told
    messages = "\n".join(each.value for each in (*session.success, *session.error))
    assert all(question.because in messages for question in QUIZ)
    session.button(key="lesson-quiz-to-3").click().run()
    assert session.session_state[link.STEP] == 3


def test_every_step_has_a_question_of_the_quiz():
    assert [question.step for question in QUIZ] == [step.name for step in STEPS]
    assert len({question.right for question in QUIZ}) == 3  # no answer is right by its place
