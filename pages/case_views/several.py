"""Several images: the table of their verdicts, and flagging them together."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from nero_core.data.input_checks import NOTHING_TO_JUDGE
from nero_core.figures.palette import rounded
from nero_core.records import Decision
from nero_core.storage.spreadsheets import inert
from pages.case_views.verdict import decide, marked
from pages.shared import controls, session, words
from pages.shared.session import Frame


def table(frames: Sequence[Frame], alpha: float) -> Frame:
    """All images of the case, sortable; returns the one under review."""
    readings = [(frame, frame.reading) for frame in frames if frame.reading is not None]
    decisions = [None if reading.nothing_to_judge else decide(reading, alpha) for _, reading in readings]
    together = batch_control(decisions, alpha)
    rows = []
    for place, ((frame, reading), decision) in enumerate(zip(readings, decisions, strict=True)):
        rows.append(
            {
                "image": inert(frame.name),  # the table can be saved as CSV
                "verdict": NOTHING_TO_JUDGE if reading.nothing_to_judge else marked(decision),
                "checks": ", ".join(check.name for check in reading.checks) or None,
                "more unusual than": words.share_below(reading.percentile, len(reading.calibration)),
                **({} if together is None else {"flagged together": together.get(place)}),
                "bound holds": None if decision is None else "yes" if decision.guaranteed else "no",
                "score": rounded(reading.score),
                "closest to": reading.explanation.nearest_class if reading.explanation else None,
                "network’s answer": None if reading.nothing_to_judge else reading.predicted_class,
                "sure (%)": None if reading.nothing_to_judge else round(100 * reading.probability),
            }
        )
    st.dataframe(
        rows,
        hide_index=True,
        key="frames",
        on_select=_choose_row,
        selection_mode="single-row",
        alt="All images of the case with their verdicts; select a row to review that image",
    )
    named = {place: f"{place + 1} · {frame.name}" for place, (frame, _) in enumerate(readings)}
    return readings[controls.select("Image under review", named, session.CHOSEN)][0]


def batch_control(decisions: Sequence[Decision | None], alpha: float) -> dict[int, str] | None:
    """What flagging each image at α means for so many, and flagging them together: {place: "yes" or "no"} where asked.

    Benjamini–Hochberg bounds the share of false alarms among the flagged instead of among the ordinary images.
    """
    from nero_core.calibration import flag_batch

    decided = [place for place, decision in enumerate(decisions) if decision is not None]
    if not decided:
        return None
    st.caption(words.of_so_many(alpha, len(decided)))
    if not st.toggle("Flag together", key="flag-together", persist_state="session", help=words.TOGETHER):
        return None
    flags = flag_batch([decision.p_value for decision in decisions if decision is not None], alpha)
    st.caption(words.flagged_together(int(flags.sum()), len(decided), alpha))
    return {place: "yes" if flag else "no" for place, flag in zip(decided, flags, strict=True)}


def _choose_row() -> None:
    if rows := st.session_state["frames"].selection.rows:
        st.session_state[session.CHOSEN] = rows[0]
