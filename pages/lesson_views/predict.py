"""Step 6: healthy but unusual, sick but usual; six guesses, then the verdicts."""

from __future__ import annotations

import streamlit as st

from nero_core import wording
from nero_core.figures.palette import significant
from nero_core.lesson.frames import Role
from nero_core.lesson.readings import FrameReading
from nero_core.wording import message, said, state_mark
from pages.lesson_views import pictures
from pages.lesson_views.frame import Answer, Lesson, Question
from pages.shared import controls
from pages.shared.words import plain

NO_GUESS, FLAGGED, NOT_FLAGGED = "", "flagged", "not-flagged"
SEARCHED: dict[Role, str] = {
    "ordinary": message("ordinary, and not flagged by the panel"),
    "flagged-ordinary": message("ordinary, and flagged by the panel all the same"),
    "caught": message("a finding that the panel and NERO flag"),
    "missed": message("a finding that the panel misses"),
    "missed-by-nero": message("a finding that NERO misses and the panel does not"),
}


def before(lesson: Lesson) -> None:
    """What each picture shows, and a guess for each."""
    words = {NO_GUESS: said("no guess"), FLAGGED: said("flagged"), NOT_FLAGGED: said(wording.NOT_FLAGGED)}
    frames = lesson.frames.predict

    def below(number: int) -> None:
        st.markdown(_shows(_readings(lesson)[number]))
        controls.select(said("Picture {number}: it will be", number=number + 1), words, f"lesson-verdict-{number}")

    pictures.row(frames, below)


def question(lesson: Lesson) -> Question:
    """How often finding and verdict go together."""
    return Question({str(count): str(count) for count in range(len(lesson.frames.predict) + 1)})


def answer(lesson: Lesson) -> Answer:
    """Counted."""
    found = _readings(lesson)
    without = sum(reading.flagged and not reading.finding for reading in found)
    missed = sum(reading.finding and not reading.flagged for reading in found)
    return Answer(
        str(sum(reading.together for reading in found)),
        said(
            "Without a finding and flagged: {without}. With a finding and not flagged: {missed}.",
            without=without,
            missed=missed,
        ),
    )


def explore(lesson: Lesson) -> None:
    """The verdict on each, beside the guess, and among how many it was searched for."""
    found = _readings(lesson)
    guesses = [st.session_state.get(f"lesson-verdict-{number}", NO_GUESS) for number in range(len(found))]
    if any(guesses):
        hit = sum(guess == (FLAGGED if reading.flagged else NOT_FLAGGED)
                  for guess, reading in zip(guesses, found, strict=True))  # fmt: skip
        st.markdown(said("The class foresaw {hit} of {guessed} verdicts.", hit=hit, guessed=sum(map(bool, guesses))))

    def below(number: int) -> None:
        _told(found[number])

    pictures.row(lesson.frames.predict, below)


def _told(reading: FrameReading) -> None:
    """The verdict of the panel and of NERO on one picture."""
    st.markdown(
        said("**{panel}** by the panel (p = {p}); NERO: {nero}.", panel=state_mark(reading.panel.state),
             p=significant(reading.panel.p_value, 2), nero=state_mark(reading.nero.state))
    )  # fmt: skip
    st.markdown(_shows(reading))
    if (what := SEARCHED.get(reading.frame.role)) is not None:
        pictures.searched_for(reading.frame, said(what))


def _shows(reading: FrameReading) -> str:
    kind = plain(reading.frame.kind)
    return (
        said("Rendered with a finding: *{kind}*.", kind=kind)
        if reading.finding
        else said("Rendered without a finding: *{kind}*.", kind=kind)
    )


def _readings(lesson: Lesson) -> list[FrameReading]:
    return pictures.readings(lesson.reference, tuple(lesson.frames.predict))
