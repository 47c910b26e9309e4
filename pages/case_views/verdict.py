"""The verdict on one image, and the table of several."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from nero_core.case import Case
from nero_core.data.input_checks import NOTHING_TO_JUDGE
from nero_core.figures.charts import score_histogram
from nero_core.figures.palette import STATES, rounded, significant
from nero_core.records import Decision
from nero_core.reference.reference import Reference
from nero_core.storage.spreadsheets import inert
from pages.shared import controls, session, widgets, words
from pages.shared.session import Frame
from pages.shared.words import plain

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


def card(reading: Case) -> tuple[float, Decision | None]:
    """State, standing, guarantee, and only then what the network itself says."""
    calibration = reading.calibration
    alpha = current_alpha()
    decision = decide(reading, alpha)
    with st.container(border=True):
        if decision is not None:
            mark, paint = STATES[decision.state], PAINT[decision.state]
            st.header(f":{paint}[{mark.symbol} {mark.word}]", anchor=False)
        else:
            st.header("No verdict", anchor=False)
        percentile = reading.percentile
        st.subheader(words.standing(percentile, len(calibration), calibration.of_class), anchor=False)
        if decision is not None:
            st.markdown(words.guarantee(alpha, decision, calibration))
        else:
            st.warning(words.refusal(alpha, calibration.smallest_alpha, len(calibration), calibration.of_class))
        name, probability = reading.predicted_class, reading.probability
        said = f"The network’s own answer: **{plain(name)}**, {100 * probability:.0f} % sure."
        if decision is not None and decision.state == "out-of-distribution":
            said = f":gray[{said} Do not lean on it: this image is unlike those it learned from.]"
        st.markdown(said)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"Score {significant(reading.score)} (higher = more unusual)", width="content")
            alpha_control()
        other_verdicts(reading, alpha)
    return alpha, decision


def detector_control(reference: Reference) -> str:
    """Which detector decides and is explained; nothing to choose where the reference has one."""
    titles = {name: detector.info.title for name, detector in reference.detectors.items()}
    if len(titles) == 1:
        return next(iter(titles))
    return controls.select(
        "How unusualness is measured",
        titles,
        session.DETECTOR,
        width=320,
        help="Each measure looks for something else, and no measure is best everywhere. The Benchmark page compares.",
    )


def other_verdicts(reading: Case, alpha: float) -> None:
    """What the reference's other detectors say of the same image, beside the one in use."""
    said = []
    for name, fitted in reading.reference.detectors.items():
        if name == reading.detector or "source" in fitted.info.needs:  # those would touch the network again
            continue
        other = reading.under(name)
        decision = decide(other, alpha)
        mark = f"{STATES[decision.state].symbol} {STATES[decision.state].word}" if decision else "no verdict"
        percentile = other.percentile
        said.append(f"{fitted.info.title}: {mark}, above {words.share_below(percentile, len(other.calibration))}")
    if said:
        st.caption("Other measures · " + " · ".join(said))


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
    if reading.nothing_to_judge:
        return NOTHING_TO_JUDGE
    return f"{STATES[decision.state].symbol} {STATES[decision.state].word}" if decision else "no verdict"


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
