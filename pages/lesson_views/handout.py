"""The handout to take away, at the end of the page: each file is made when it is asked for."""

from __future__ import annotations

import streamlit as st

from nero_core.lesson.frames import LessonFrames
from nero_core.reference.reference import Reference
from nero_core.reports.handout import PaperSize, page, pdf, why_no_pdf
from nero_core.wording import language, said
from pages.lesson_views.frame import Lesson
from pages.shared import controls
from pages.shared.words import plain

PAPER, OPEN = "lesson-handout-paper", "lesson-handout-open"


@controls.section
def show(lesson: Lesson) -> None:
    """Two files, on the paper that was chosen; what lays out a PDF is loaded once somebody looks."""
    folded = st.expander(said("Handout: two pages to print"), key=OPEN, on_change="rerun")
    if folded.open:
        with folded:
            _files(lesson)


def _files(lesson: Lesson) -> None:
    st.markdown(said("The seven steps with their pictures and numbers, computed anew; it takes up to a minute."))
    sizes: dict[PaperSize, str] = {"a4": "A4", "letter": "US Letter"}
    paper = controls.one_of(said("Paper size"), sizes, PAPER)

    def html() -> str:
        return _page(lesson.reference, lesson.frames, paper, language())

    missing = why_no_pdf()
    with st.container(horizontal=True):
        icon = ":material/download:"
        controls.download("HTML", lambda: html().encode(), "lesson.html", "text/html", "lesson-handout-html", icon=icon)
        controls.download("PDF", lambda: pdf(html()), "lesson.pdf", "application/pdf", "lesson-handout-pdf", icon=icon,
                          disabled=bool(missing))  # fmt: skip
    if missing:
        st.caption(plain(missing))


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs={Reference: id, LessonFrames: repr})
def _page(reference: Reference, frames: LessonFrames, paper: PaperSize, language: str) -> str:
    """Of bundled pictures, which are no patient's: sessions may share it, in each language."""
    return page(reference, frames, paper)
