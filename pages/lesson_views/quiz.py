"""The quiz: answers are kept for the visit and nowhere else, and each is explained."""

from __future__ import annotations

import streamlit as st

from nero_core.lesson.quiz import QUIZ, QuizQuestion
from nero_core.lesson.steps import STEPS
from nero_core.wording import said
from pages.lesson_views import link
from pages.shared import controls


def _key(number: int) -> str:
    return f"lesson-quiz-{number}"


def show() -> None:
    """Every question, with its explanation once it is answered, and how many are right."""
    st.header(said("Quiz"), anchor=False)
    st.caption(said("Your answers stay in this visit: they are written nowhere, and gone when you leave."))
    _questions()


@controls.section
def _questions() -> None:
    given = [_ask(number, question) for number, question in enumerate(QUIZ)]
    answered = [number for number, choice in enumerate(given) if choice is not None]
    if not answered:
        return
    right = sum(given[number] == QUIZ[number].right for number in answered)
    st.markdown(
        said("**{right} of {answered} right**; {left} to go.", right=right, answered=len(answered),
             left=len(QUIZ) - len(answered))
        if len(answered) < len(QUIZ)
        else said("**{right} of {answered} right.**", right=right, answered=len(answered))
    )  # fmt: skip
    st.button(said("Begin again"), key="lesson-quiz-again", on_click=_again, type="tertiary")


def _ask(number: int, question: QuizQuestion) -> int | None:
    """One question; returns the answer that was chosen."""
    with st.container(border=True):
        options = {place: said(text) for place, text in enumerate(question.options)}
        given: int | None = st.radio(
            f"{number + 1}. {said(question.text)}", list(options), index=None, format_func=options.__getitem__,
            key=_key(number), persist_state="session",
        )  # fmt: skip
        if given is None:
            return None
        because = said(question.because)
        if given == question.right:
            st.success(said("Right. {because}", because=because))
        else:
            st.error(said("It is: {right} {because}", right=options[question.right], because=because))
        place = next(place for place, step in enumerate(STEPS) if step.name == question.step)
        if st.button(said("Back to step {number}", number=place + 1), key=f"lesson-quiz-to-{number}", type="tertiary"):
            st.session_state[link.GOES_TO] = place
            st.rerun()  # the whole page: this is a part of it
    return given


def _again() -> None:
    for number in range(len(QUIZ)):
        st.session_state.pop(_key(number), None)
