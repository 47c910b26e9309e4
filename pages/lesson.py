"""Lesson: seven steps on bundled pictures, for a class with a projector; every number on it is computed here."""

from collections.abc import Mapping

import streamlit as st

from nero_core.demo.rendered import BUNDLED
from nero_core.lesson.frames import read_frames
from nero_core.lesson.steps import STEPS
from nero_core.wording import said
from pages.lesson_views import (
    break_it,
    centroids,
    feature_to_relevance,
    handout,
    heatmaps_can_lie,
    link,
    predict,
    quiz,
    sure_and_wrong,
    threshold,
)
from pages.lesson_views.frame import Lesson, StepView, show
from pages.shared import controls, door, resources, words_explained

VIEWS: Mapping[str, StepView] = {
    "sure_and_wrong": sure_and_wrong,
    "feature_to_relevance": feature_to_relevance,
    "centroids": centroids,
    "threshold": threshold,
    "break_it": break_it,
    "predict": predict,
    "heatmaps_can_lie": heatmaps_can_lie,
}


def navigation(place: str) -> None:
    """Before and after, and which step this is. Keys for presenters, and at the top alone: twice would press twice."""
    at = st.session_state[link.STEP]
    keys = ("PageUp", "PageDown") if place == "top" and st.session_state[link.PRESENTS] else (None, None)
    with st.container(horizontal=True, vertical_alignment="center", key=f"lesson-{place}"):
        st.button(said("Back"), icon=":material/arrow_back:", key=f"lesson-back-{place}", disabled=at == 0,
                  on_click=link.go, args=(at - 1,), shortcut=keys[0])  # fmt: skip
        if place == "top":
            titles = {i: f"{i + 1}. {said(step.title)}" for i, step in enumerate(STEPS)} | {link.QUIZ: said("Quiz")}
            controls.select(said("Step"), titles, link.STEP, label_visibility="collapsed", width=320)
        st.button(said("Next step"), icon=":material/arrow_forward:", key=f"lesson-next-{place}", type="primary",
                  disabled=at == link.QUIZ, on_click=link.go, args=(at + 1,), shortcut=keys[1])  # fmt: skip
        if place == "top":
            st.toggle(
                said("Presenter"),
                key=link.PRESENTS,
                persist_state="session",
                help=said("Large type, notes for whoever presents, and the keys Page Up and Page Down."),
            )


door.enter()
link.restore()
with controls.errors_said():
    navigation("top")
    lesson = Lesson(resources.reference(BUNDLED), read_frames())
    with st.container(key="presented" if st.session_state[link.PRESENTS] else "lesson"):
        if (place := st.session_state[link.STEP]) == link.QUIZ:
            quiz.show()
        else:
            show(STEPS[place], VIEWS[STEPS[place].name], lesson)
    navigation("bottom")
    handout.show(lesson)
    link.write()
words_explained.all_words()
