"""What input checks noticed about an image: it stands above the verdict."""

from __future__ import annotations

import streamlit as st

from nero_core.case import Case
from nero_core.data.input_checks import NOTHING_NOTICED
from nero_core.wording import message, said
from pages.case_views.verdict import HEADLINE
from pages.shared.session import Frame

LOUD = ("not like endoscopy",)  # what puts the whole verdict in doubt
NOTHING = message("Nothing to judge")


def nothing_to_judge(frame: Frame, reading: Case) -> bool:
    """Say so of a black or flat image, in place of a verdict and heatmaps; whether it is one."""
    if not reading.nothing_to_judge:
        return False
    with st.container(border=True, key=HEADLINE):
        st.header(said(NOTHING), anchor=False)
        st.markdown(f"{said(reading.checks[0].sentence)} {said(reading.checks[0].effect)}")
        for check in reading.checks[1:]:
            _line(check.sentence, check.effect)
    st.image(frame.decoded(), width=320, alt=said("The image under review"), output_format="JPEG")
    st.text(frame.name)
    return True


def loud(reading: Case) -> bool:
    """Whether something puts the whole verdict in doubt."""
    return any(check.name in LOUD for check in reading.checks)


def noticed(reading: Case) -> None:
    """What each check saw, in the order they speak; one sentence where none does."""
    if not reading.checks:
        st.caption(said(NOTHING_NOTICED))
        return
    sentences = f":small[{' '.join(f'**{said(check.sentence)}**' for check in reading.checks)}]"
    if loud(reading):
        in_doubt = " ".join(said(check.effect) for check in reading.checks if check.name in LOUD)
        st.warning(f"{sentences} :small[{in_doubt}]")
    else:
        st.markdown(sentences)


def effects(reading: Case) -> None:
    """What each of them may do to the verdict, one press away."""
    if not reading.checks:
        return
    with st.popover(said("What it may do"), type="tertiary", width="content"):
        for check in reading.checks:
            _line(check.sentence, check.effect)


def _line(sentence: str, effect: str) -> None:
    """What was seen, and smaller what it may do."""
    st.markdown(f":small[**{said(sentence)}** {said(effect)}]")
