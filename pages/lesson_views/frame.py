"""The frame around every step: idea, what to look at, the question, the reveal, what to take home."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import streamlit as st

from nero_core.lesson.frames import LessonFrames
from nero_core.lesson.steps import STEPS, Step
from nero_core.reference.reference import Reference
from nero_core.wording import said
from pages.lesson_views import link, room
from pages.shared import controls


@dataclass(frozen=True, eq=False)
class Lesson:
    """What every step has: the bundled reference, which is held for synthetic on every screen, and the frames."""

    reference: Reference
    frames: LessonFrames


@dataclass(frozen=True)
class Question:
    """What is asked: {value: words} of the answers, and what the step's own words are filled in with."""

    options: Mapping[str, str]
    places: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """Which option is right, by a computation, and why; `because` is Markdown."""

    right: str
    because: str


class StepView(Protocol):
    """A module of this package that shows one step."""

    def before(self, lesson: Lesson) -> None:
        """What is looked at, and touched, before the question."""

    def question(self, lesson: Lesson) -> Question:
        """What is asked."""

    def answer(self, lesson: Lesson) -> Answer:
        """What the core says; it may take a moment, and is worked out after the answer was given."""

    def explore(self, lesson: Lesson) -> None:
        """What can be touched after the reveal."""


def _key(step: Step, what: str) -> str:
    return f"lesson-{step.name}-{what}"


def show(step: Step, view: StepView, lesson: Lesson) -> None:
    """One step, from its idea to what to take home."""
    st.header(f"{STEPS.index(step) + 1}. {said(step.title)}", anchor=False)
    st.markdown(said(step.idea))
    if st.session_state[link.PRESENTS]:
        with st.popover(said("Notes"), icon=":material/co_present:", type="tertiary"):  # the class reads along else
            st.info(said(step.notes))
    with controls.errors_said():
        view.before(lesson)
        asked = view.question(lesson)
        given, opened = _ask(step, asked)
        if not opened:
            return
        _reveal(step, asked, view.answer(lesson), given)
        view.explore(lesson)
    st.success(said("To take home: {sentence}", sentence=said(step.take_home)), icon=":material/luggage:")


def _ask(step: Step, asked: Question) -> tuple[str | None, bool]:
    """The answer that was given, None where none was yet; and whether the reveal is opened without one."""
    text = said(step.question, **asked.places)
    with st.container(border=True):
        given: str | None = st.radio(
            text,
            list(asked.options),
            index=None,
            format_func=asked.options.__getitem__,
            key=_key(step, "answer"),
            horizontal=True,
            persist_state="session",
        )
        opened = bool(st.session_state.get(link.opened_key(step.name)))
        if not opened:

            def open_it() -> None:
                st.session_state[link.opened_key(step.name)] = True

            st.button(said("Reveal"), key=_key(step, "open"), icon=":material/visibility:", on_click=open_it)

        room.ask(step.name, text, asked.options, partial(ask_again, step.name), revealed=opened)
    return given, opened


def _reveal(step: Step, asked: Question, answer: Answer, given: str | None) -> None:
    """Right or not, and why."""
    right = asked.options[answer.right]
    if given is None:
        told = said("**The answer: {right}.**", right=right)
    elif given == answer.right:
        told = said("**Right: {right}.**", right=right)
    else:
        told = said("**Not quite: it is {right}.**", right=right)
    st.markdown(f"{told} {answer.because}")
    room.show_counts(step.name, answer.right)


def ask_again(name: str) -> None:
    """Forget what was answered in the step of that name: it asks about another picture, or a class is asked first."""
    [step] = [each for each in STEPS if each.name == name]
    st.session_state[_key(step, "answer")] = None
    st.session_state[link.opened_key(step.name)] = False
