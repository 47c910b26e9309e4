"""The verdict on one image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from nero_core import wording
from nero_core.calibration.in_words import caught_in_words
from nero_core.case import Case
from nero_core.records import Decision
from nero_core.reference.reference import Reference
from nero_core.wording import label, said, state_mark, state_word
from pages.shared import controls, session, words
from pages.shared.words import plain

if TYPE_CHECKING:
    from streamlit.elements.lib.mutable_popover_container import PopoverContainer

HEADLINE = "headline"  # key of what is announced and scrolled to
PAINT = {"in-distribution": "blue", "borderline": "orange", "out-of-distribution": "red"}  # names of theme colours


def current_alpha() -> float:
    """How many ordinary images may be flagged, as a fraction."""
    return float(st.session_state.get(session.ALPHA, controls.DEFAULT_ALPHA_PERCENT)) / 100


def alpha_control() -> None:
    """Where that share is changed: beside the sentence that it changes."""
    controls.flagged_in_100(
        session.ALPHA,
        said("Lower: fewer false alarms, more unusual images missed. In statistics this share is called α."),
    )


def decide(reading: Case, alpha: float) -> Decision | None:
    """The decision at this setting; None where the reference has too few images for it."""
    return reading.decide(alpha) if reading.calibration.supports(alpha) else None


def marked(decision: Decision | None) -> str:
    """The state of a decision in a table or a line."""
    return said(wording.NO_VERDICT) if decision is None else state_mark(decision.state)


def headline(reading: Case) -> PopoverContainer:
    """State and standing, beside what they rest on; returns the place of all that the evidence shows, as tables."""
    calibration, alpha = reading.calibration, current_alpha()
    decision = decide(reading, alpha)
    with st.container(key=HEADLINE, gap="xxsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            painted = f":{PAINT[decision.state]}[{state_mark(decision.state)}]" if decision is not None else ""
            st.header(painted or label(wording.NO_VERDICT), anchor=False)
            tables = settings(reading)
        st.markdown(f"**{words.standing(reading.percentile, len(calibration), calibration.of_class)}**")
    return tables


def promises(reading: Case) -> None:
    """What the flag promises, what is missed and, last, what the network itself says with its caution, side by side."""
    alpha = current_alpha()
    decision = decide(reading, alpha)
    with st.container(key="promises"):
        promise, missed, own = st.columns([5, 5, 4], gap="medium")
        if decision is not None:
            with promise:
                small(words.guarantee(alpha, decision, reading.calibration))
            with missed:
                caught = reading.reference.caught(alpha, reading.detector)
                sets = len(reading.reference.ood_scores.get(reading.detector, {}))
                rendered = [said(wording.ONLY_RENDERED)] if reading.reference.synthetic else []
                small(caught_in_words(caught, sets), *rendered)
        with own:
            answer = said(
                "The network’s own answer: **{answer}**, {sure} % sure.",
                answer=plain(reading.predicted_class),
                sure=f"{100 * reading.probability:.0f}",
            )
            small(answer, *([] if decision is None else [said(wording.CAUTIONS[decision.state])]))


def announced(reading: Case) -> str:
    """The headline in one sentence, for those who do not see it."""
    calibration = reading.calibration
    standing = words.standing(reading.percentile, len(calibration), calibration.of_class)
    decision = decide(reading, current_alpha())
    return words.spoken(f"{said(wording.NO_VERDICT) if decision is None else state_word(decision.state)}. {standing}")


def small(*sentences: str) -> None:
    """Sentences of the card, in its smaller type, one after the other."""
    if sentences:
        st.markdown(f":small[{' '.join(sentences)}]")


def settings(reading: Case) -> PopoverContainer:
    """What decides and how strictly; returns the place of all that the card shows, as tables."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
        with st.popover(said("Settings"), icon=":material/tune:", type="tertiary"):
            alpha_control()
            detector_control(reading.reference)
        return st.popover(
            said("Tables"), icon=":material/table_rows:", type="tertiary", key="card-tables", on_change="rerun"
        )


def detector_control(reference: Reference) -> None:
    """Which detector decides and is explained; nothing to choose where the reference has one."""
    titles = {name: detector.info.title for name, detector in reference.detectors.items()}
    if len(titles) > 1:
        controls.select(
            label(wording.DETECTOR),
            titles,
            session.DETECTOR,
            help=said(
                "Each detector looks for something else, and none is best everywhere. The Benchmark page compares."
            ),
        )
