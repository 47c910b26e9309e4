"""The verdict on one image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from nero_core import wording
from nero_core.calibration.in_words import caught_in_words
from nero_core.case import Case, members_in_words
from nero_core.figures.charts import score_histogram
from nero_core.figures.palette import Cell, significant
from nero_core.records import Decision
from nero_core.reference.reference import Reference
from nero_core.wording import label, said, state_mark
from pages.shared import controls, session, widgets, words
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
    caught = None
    with st.container(border=True):
        if decision is not None:
            st.header(f":{PAINT[decision.state]}[{state_mark(decision.state)}]", anchor=False)
        else:
            st.header(label(wording.NO_VERDICT), anchor=False)
        percentile = reading.percentile
        st.subheader(words.standing(percentile, len(calibration), calibration.of_class), anchor=False)
        flagged = decision is not None and decision.state == "out-of-distribution"
        if led := members_in_words(reading.members, alpha, flagged):
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
            caught = reading.reference.caught(alpha, reading.detector)
            st.markdown(caught_in_words(caught, len(reading.reference.ood_scores.get(reading.detector, {}))))
        else:
            st.warning(words.refusal(alpha, calibration.smallest_alpha, len(calibration), calibration.of_class))
        name, probability = reading.predicted_class, reading.probability
        answer = f"The network’s own answer: **{plain(name)}**, {100 * probability:.0f} % sure."
        st.markdown(answer if decision is None else f":gray[{answer} {said(wording.CAUTIONS[decision.state])}]")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"{said(wording.OOD_SCORE)}: {significant(reading.score)}", width="content")
            alpha_control()
    widgets.table_twin(others, "What each detector says")
    if caught:
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
