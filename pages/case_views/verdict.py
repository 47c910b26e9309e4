"""The verdict on one image, and the table of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from nero_core import wording
from nero_core.calibration.in_words import caught_in_words
from nero_core.case import Case, members_in_words
from nero_core.data.input_checks import NOTHING_TO_JUDGE
from nero_core.figures.charts import score_histogram
from nero_core.figures.palette import Cell, rounded, significant
from nero_core.records import Decision
from nero_core.reference.reference import Reference
from nero_core.storage.spreadsheets import inert
from nero_core.wording import label, said, state_mark
from pages.shared import controls, session, widgets, words
from pages.shared.session import Frame
from pages.shared.words import plain

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

PAINT = {"in-distribution": "blue", "borderline": "orange", "out-of-distribution": "red"}  # names of theme colours


def current_alpha() -> float:
    """How many ordinary images may be flagged, as a fraction."""
    return float(st.session_state.get(session.ALPHA, controls.DEFAULT_ALPHA_PERCENT)) / 100


def alpha_control() -> None:
    """Where that share is changed: beside the sentence that it changes."""
    with st.popover("Change this setting", icon=":material/tune:", type="tertiary"):
        controls.flagged_in_100(
            session.ALPHA,
            "Lower: fewer false alarms, more unusual images missed. In statistics this share is called α.",
        )


def decide(reading: Case, alpha: float) -> Decision | None:
    """The decision at this setting; None where the reference has too few images for it."""
    return reading.decide(alpha) if reading.calibration.supports(alpha) else None


def marked(decision: Decision | None) -> str:
    """The state of a decision in a table or a line."""
    return said(wording.NO_VERDICT) if decision is None else state_mark(decision.state)


def card(reading: Case) -> tuple[float, Decision | None, DeltaGenerator]:
    """State, standing, who led, guarantee, what is missed, and only then what the network itself says.

    Returns also the place of the tested sentence of why, which is filled last.
    """
    calibration = reading.calibration
    alpha = current_alpha()
    decision = decide(reading, alpha)
    with st.container(border=True):
        if decision is not None:
            st.header(f":{PAINT[decision.state]}[{state_mark(decision.state)}]", anchor=False)
        else:
            st.header(label(wording.NO_VERDICT), anchor=False)
        percentile = reading.percentile
        st.subheader(words.standing(percentile, len(calibration), calibration.of_class), anchor=False)
        if led := members_in_words(reading.members, alpha):
            st.markdown(f"**{plain(led)}**")
        others = members(reading, alpha)
        if otherwise := [row for row in others if row["verdict"] != marked(decision)]:
            named = ", ".join(f"{plain(str(row['detector']))} ({row['verdict']})" for row in otherwise)
            st.markdown(f"Detectors that say otherwise: {named}.")
        if reading.reference.synthetic:
            st.markdown(f":gray[{said(wording.ONLY_RENDERED)}]")
        sentence = st.empty()
        if decision is not None:
            st.markdown(words.guarantee(alpha, decision, calibration))
            st.markdown(caught_in_words(reading.reference.caught(alpha, reading.detector)))
        else:
            st.warning(words.refusal(alpha, calibration.smallest_alpha, len(calibration), calibration.of_class))
        name, probability = reading.predicted_class, reading.probability
        answer = f"The network’s own answer: **{plain(name)}**, {100 * probability:.0f} % sure."
        st.markdown(answer if decision is None else f":gray[{answer} {said(wording.CAUTIONS[decision.state])}]")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"{said(wording.OOD_SCORE)}: {significant(reading.score)}", width="content")
            alpha_control()
    widgets.table_twin(others, "What each detector says")
    if decision is not None and (caught := reading.reference.caught(alpha, reading.detector)):
        rows: list[dict[str, Cell]] = [
            {"kind": name, "flagged": flagged, "of": images} for name, (flagged, images) in caught.items()
        ]
        widgets.table_twin(rows, label(wording.KNOWN_UNUSUAL_IMAGES))
    return alpha, decision, sentence


def detector_control(reference: Reference) -> str:
    """Which detector decides and is explained; nothing to choose where the reference has one."""
    titles = {name: detector.info.title for name, detector in reference.detectors.items()}
    if len(titles) == 1:
        return next(iter(titles))
    return controls.select(
        label(wording.DETECTOR),
        titles,
        session.DETECTOR,
        width=320,
        help="Each detector looks for something else, and none is best everywhere. The Benchmark page compares.",
    )


def members(reading: Case, alpha: float) -> list[dict[str, Cell]]:
    """What each of the reference's detectors says of the same image, those of the panel with what they add to it."""
    reference, panel = reading.reference, {each.name: each for each in reading.members}
    names = [*panel, *(name for name in reference.detectors if name not in panel)]
    rows: list[dict[str, Cell]] = []
    for name in names:
        if name not in reference.detectors or "source" in reference.detectors[name].info.needs:
            continue  # no detector of its own, or one that would touch the network again
        other, part = reading.under(name), panel.get(name)
        rows.append(
            {
                "detector": reference.detectors[name].info.title,
                "verdict": marked(decide(other, alpha)),
                "more unusual than": words.share_below(other.percentile, len(other.calibration)),
                "weight in the panel (%)": None if part is None else round(100 * part.weight),
                "adds to this verdict (%)": None if part is None else round(100 * part.share),
            }
        )
    return rows


def histogram(reading: Case, alpha: float, decision: Decision | None) -> None:
    """Where this image's score lies among the reference's."""
    calibration = reading.calibration
    threshold = calibration.threshold(alpha) if decision is not None else None
    chart = score_histogram(
        calibration.scores,
        reading.score,
        threshold=threshold,
        known=reading.reference.ood_scores.get(reading.detector),
        state=decision.state if decision is not None else None,
    )
    flagged = f"Images to the right of the dashed line are flagged: {words.count(alpha)} ordinary ones on average."
    widgets.chart(chart, table="Histogram", note=flagged if threshold is not None else "")


def table(frames: Sequence[Frame], alpha: float) -> Frame:
    """All images of the case, sortable; returns the one under review."""
    readings = [(frame, frame.reading) for frame in frames if frame.reading is not None]
    decisions = [decide(reading, alpha) for _, reading in readings]
    together = batch_control(decisions, alpha)
    rows = []
    for place, ((frame, reading), decision) in enumerate(zip(readings, decisions, strict=True)):
        rows.append(
            {
                "image": inert(frame.name),  # the table can be saved as CSV
                "verdict": _in_a_word(reading, decision),
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


def _in_a_word(reading: Case, decision: Decision | None) -> str:
    """The verdict for a cell of the table."""
    return NOTHING_TO_JUDGE if reading.nothing_to_judge else marked(decision)


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
