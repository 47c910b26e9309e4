"""Step 1: six pictures, what the class thinks the network says, and what it says."""

from __future__ import annotations

import streamlit as st

from nero_core.figures.palette import significant
from nero_core.lesson.frames import SURE
from nero_core.lesson.readings import FrameReading
from nero_core.wording import said
from pages.lesson_views import pictures
from pages.lesson_views.frame import Answer, Lesson, Question
from pages.shared import controls
from pages.shared.words import plain

NO_GUESS = ""
COUNTS = ("0", "1", "2", "3", "4", "5", "6")


def before(lesson: Lesson) -> None:
    """The pictures, with a guess for each; and what is said of them, once the step is revealed."""
    classes = {NO_GUESS: said("no guess"), **{name: name for name in lesson.reference.classes}}
    st.markdown(
        said(
            "The network was trained on rendered pictures of {classes}. What will it say of each of these?",
            classes=", ".join(f"*{plain(name)}*" for name in lesson.reference.classes),
        )
    )

    def below(number: int) -> None:
        controls.select(said("Picture {number}: it will say", number=number + 1), classes, f"lesson-guess-{number}")

    pictures.row(lesson.frames.sure_and_wrong, below)


def question(lesson: Lesson) -> Question:
    """How often it is sure."""
    counts = COUNTS[: len(lesson.frames.sure_and_wrong) + 1]
    return Question({count: count for count in counts}, {"sure": f"{100 * SURE:g}"})


def answer(lesson: Lesson) -> Answer:
    """Counted."""
    found = _readings(lesson)
    sure = [reading for reading in found if reading.confidence >= SURE]
    strange = sum(not reading.frame.known for reading in sure)
    return Answer(
        str(len(sure)),
        said(
            "{strange} of these show something that it was never trained on: no answer it can give is right.",
            strange=strange,
        ),
    )


def explore(lesson: Lesson) -> None:
    """What it says of each, beside the guess."""
    found = _readings(lesson)
    guesses = [st.session_state.get(f"lesson-guess-{number}", NO_GUESS) for number in range(len(found))]
    if any(guesses):
        hit = sum(guess == reading.answer for guess, reading in zip(guesses, found, strict=True))
        st.markdown(said("The class foresaw {hit} of {guessed} answers.", hit=hit, guessed=sum(map(bool, guesses))))

    def below(number: int) -> None:
        _told(found[number], guesses[number])

    pictures.row(lesson.frames.sure_and_wrong, below)


def _told(reading: FrameReading, guess: str) -> None:
    """What the network says of one picture, and what it shows."""
    st.markdown(
        said("“**{answer}**”, {confidence} % sure.", answer=plain(reading.answer),
             confidence=significant(100 * reading.confidence))
    )  # fmt: skip
    shown = plain(reading.frame.kind)
    if reading.right:
        st.markdown(said("✓ It shows *{kind}*.", kind=shown))
    elif reading.frame.known:
        st.markdown(said("✕ It shows *{kind}*.", kind=shown))
    else:
        st.markdown(said("✕ It shows *{kind}*, which the network cannot say.", kind=shown))
    if guess:
        st.caption(said("The guess: {guess}", guess=guess))
    if reading.frame.role == "sure":
        pictures.searched_for(reading.frame, said("answered with at least {sure} %", sure=f"{100 * SURE:g}"))


def _readings(lesson: Lesson) -> list[FrameReading]:
    return pictures.readings(lesson.reference, tuple(lesson.frames.sure_and_wrong))
