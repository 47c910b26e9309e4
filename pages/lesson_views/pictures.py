"""The lesson's six pictures in a row, each with what a step puts below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from nero_core.lesson.frames import BUNDLED_FRAMES, LessonFrame
from nero_core.lesson.readings import FrameReading, read_all
from nero_core.reference.reference import Reference
from nero_core.wording import said

PIXELS = 170
"""Width of a picture: six in a row at 1280, two on a telephone; for a projector the style sheet has another."""


def row(frames: Sequence[LessonFrame], below: Callable[[int], None]) -> None:
    """Pictures, numbered, and below each of them what `below` draws; as many beside each other as there is room for."""
    place = below.__qualname__.partition(".")[0]  # before the reveal or after it
    with st.container(horizontal=True, gap="small"):
        for number, frame in enumerate(frames):
            with st.container(width=PIXELS, gap="xsmall", key=f"lesson-picture-{place}-{number}"):
                name = said("Picture {number}", number=number + 1)
                st.image(str(BUNDLED_FRAMES / frame.file), width="stretch", alt=name)
                below(number)


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs={Reference: id})
def readings(reference: Reference, frames: tuple[LessonFrame, ...]) -> list[FrameReading]:
    """What is said of bundled pictures: no patient's, so that sessions may share it."""
    return read_all(reference, frames)


def searched_for(frame: LessonFrame, what: str) -> None:
    """That a picture is no sample: among how many it was found."""
    st.caption(
        said("Searched for: {what}. So are {found} of {searched} rendered scenes of this kind.",
             what=what, found=frame.found, searched=frame.searched)
    )  # fmt: skip
