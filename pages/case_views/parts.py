"""What explains the verdict, below the frame: tabs, one press away each, of which only the one in sight is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from nero_core.case import Case
from nero_core.wording import message, said
from pages.case_views import account, covers, detectors, reasons, similar, top_neurons
from pages.shared import session

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from nero_core.records import Neuron

WHY, TOP, CONCEPTS, DETECTORS = message("Why"), message("Top neurons"), message("Concepts"), message("Detectors")
EVERY, SIMILAR, COVERS = message("All neurons"), message("Similar frames"), covers.PART
OPENED = "parts-opened"
PARTS = (WHY, TOP, CONCEPTS, DETECTORS, EVERY, SIMILAR, COVERS)


def opened() -> int:
    """How often a part was opened by hand in this session."""
    times: int = st.session_state.get(OPENED, 0)
    return times


def _note_opened() -> None:
    st.session_state[OPENED] = opened() + 1


@dataclass
class Waiting:
    """What of the part in sight is made once everything else is painted."""

    maps: list[Neuron | None]  # those that are in sight
    concepts: DeltaGenerator | None = None  # their place
    carried: DeltaGenerator | None = None  # of how much the leading neurons carry
    method: DeltaGenerator | None = None  # of the control that asks by which method: what fits is known late


def in_sight(frame: session.Frame, whole: Case) -> Waiting:
    """What explains the verdict; only the part in sight is made."""
    named = [said(part) for part in PARTS]
    if st.session_state.get(session.PART) not in named:  # it was opened in another language
        st.session_state.pop(session.PART, None)
    tabs = dict(zip(PARTS, st.tabs(named, key=session.PART, on_change=_note_opened), strict=True))
    title = next((title for title, tab in tabs.items() if tab.open), WHY)
    read = whole.under(whole.explained) if whole.explained != whole.detector else whole
    waiting = Waiting([])
    with tabs[title]:
        if title == DETECTORS:
            detectors.show(whole)
        elif title == SIMILAR:
            similar.show(whole)
        elif title == COVERS:
            covers.check_by_covering(frame, whole)
        elif title == EVERY:
            account.profile(whole)
        elif (e := read.explanation) is None:
            account.no_account(read)
            waiting.method = st.container(key="method") if title == TOP else None
        else:
            heading = st.container(horizontal=True, vertical_alignment="bottom")
            if read is not whole:
                with heading:
                    account.whose(whole)
            if title == WHY:
                waiting.carried = account.why(read, e)
                reasons.show_carried(frame, whole, waiting.carried)
            elif title == TOP:
                ranking = account.ranking_control(e)
                waiting.method = heading.container(key="method", width="content")
                top_neurons.show(frame, read, e, ranking)
                waiting.maps += top_neurons.leading(e, ranking) if read.single_neurons else []
            else:
                waiting.concepts = st.empty()
                waiting.concepts.caption(reasons.waiting(frame, whole))
    return waiting
