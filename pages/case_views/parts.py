"""What explains a verdict, one press away each: only the part in sight is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from nero_core.case import ALL
from pages.case_views import account, covers, detectors, reasons, similar, top_neurons
from pages.shared import session

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from nero_core.case import Case
    from nero_core.explanation import Explanation
    from nero_core.records import Neuron

WHY, TOP, CONCEPTS, DETECTORS = "Why", "Top neurons", "Concepts", "Detectors"
EVERY, SIMILAR, COVERS = "All neurons", "Similar frames", covers.PART
PARTS = (WHY, TOP, CONCEPTS, DETECTORS, EVERY, SIMILAR, COVERS)


def show(frame: session.Frame, whole: Case) -> tuple[DeltaGenerator | None, list[Neuron | None]]:
    """The part in sight.

    Returns the place of the concepts, where these are in sight, and the heatmaps that are.
    """
    tabs = dict(zip(PARTS, st.tabs(PARTS, key=session.PART, on_change="rerun"), strict=True))
    title = next((title for title, tab in tabs.items() if tab.open), WHY)
    wanted: list[Neuron | None] = [ALL]
    with tabs[title]:
        if title == DETECTORS:
            detectors.show(whole)
        elif title == SIMILAR:
            similar.show(whole)
        elif title == COVERS:
            covers.check_by_covering(frame, whole)
        elif title == EVERY:
            account.profile(whole)
        else:
            return _of_the_account(title, frame, whole, wanted)
    return None, wanted


def _of_the_account(
    title: str, frame: session.Frame, whole: Case, wanted: list[Neuron | None]
) -> tuple[DeltaGenerator | None, list[Neuron | None]]:
    """A part that takes the score apart: of a panel, that of the first member that has an account."""
    read = whole.under(whole.explained) if whole.explained != whole.detector else whole
    e: Explanation | None = read.explanation
    if e is None:
        account.no_account(read)
        top_neurons.by(read)
        return None, wanted
    if read is not whole:
        account.whose(whole)
    if title == WHY:
        account.why(read, e, reasons.carries(frame, whole))
    elif title == TOP:
        ranking = account.ranking_control(e)
        top_neurons.show(frame, read, e, ranking)
        wanted += top_neurons.leading(e, ranking) if read.single_neurons else []
    else:
        cards = st.empty()
        cards.caption(reasons.waiting(frame, whole))
        return cards, wanted
    return None, wanted
