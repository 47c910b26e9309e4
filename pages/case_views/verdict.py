"""The verdict on one image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from nero_core import wording
from nero_core.calibration.in_words import caught_in_words
from nero_core.case import Case, MemberReading, members_in_words
from nero_core.figures.charts import score_histogram
from nero_core.figures.gauge import gauge
from nero_core.figures.palette import Cell, Chart, significant
from nero_core.records import Decision
from nero_core.reference.reference import Reference
from nero_core.wording import label, said, state_mark, state_word
from pages.shared import controls, session, widgets, words
from pages.shared.words import plain

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator
    from streamlit.elements.lib.mutable_popover_container import PopoverContainer

HEADLINE = "headline"  # key of what is announced and scrolled to
HISTOGRAM_PIXELS = 160  # as high as leaves room for all of the card on a screen of 800
BELOW_A_STRIP = 144  # the same with several images
PAINT = {"in-distribution": "blue", "borderline": "orange", "out-of-distribution": "red"}  # names of theme colours


def current_alpha() -> float:
    """How many ordinary images may be flagged, as a fraction."""
    return float(st.session_state.get(session.ALPHA, controls.DEFAULT_ALPHA_PERCENT)) / 100


def alpha_control() -> None:
    """Where that share is changed: beside the sentence that it changes."""
    controls.flagged_in_100(
        session.ALPHA, "Lower: fewer false alarms, more unusual images missed. In statistics this share is called α."
    )


def decide(reading: Case, alpha: float) -> Decision | None:
    """The decision at this setting; None where the reference has too few images for it."""
    return reading.decide(alpha) if reading.calibration.supports(alpha) else None


def marked(decision: Decision | None) -> str:
    """The state of a decision in a table or a line."""
    return said(wording.NO_VERDICT) if decision is None else state_mark(decision.state)


def headline(reading: Case) -> PopoverContainer:
    """State and standing, beside what they rest on; returns the place of all that stands below, as tables."""
    calibration, alpha = reading.calibration, current_alpha()
    decision = decide(reading, alpha)
    with st.container(key=HEADLINE, gap="xxsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            painted = f":{PAINT[decision.state]}[{state_mark(decision.state)}]" if decision is not None else ""
            st.header(painted or label(wording.NO_VERDICT), anchor=False)
            tables = settings(reading)
        st.markdown(f"**{words.standing(reading.percentile, len(calibration), calibration.of_class)}**")
    return tables


def evidence(reading: Case, tables: PopoverContainer) -> tuple[DeltaGenerator, DeltaGenerator]:
    """Gauge and histogram, and who led; returns the places of the tested sentence of why, and of a button under it."""
    calibration, alpha = reading.calibration, current_alpha()
    decision = decide(reading, alpha)
    others = members(reading, alpha)
    twins: dict[str, Sequence[Mapping[str, Cell]]] = {"What each detector says": others}
    if decision is None:
        st.warning(words.refusal(alpha, calibration.smallest_alpha, len(calibration), calibration.of_class))
    else:
        rarity = rarity_of(reading, decision, alpha)
        widgets.plot(rarity, "Gauge", key="gauge")
        twins["Gauge"] = rarity.rows
    scores = histogram(reading, alpha, decision, HISTOGRAM_PIXELS if len(session.case()) == 1 else BELOW_A_STRIP)
    widgets.plot(scores, "Histogram", key="histogram")
    twins["Histogram"] = scores.rows
    flagged = decision is not None and decision.state == "out-of-distribution"
    lines = [f"**{plain(led)}**"] if (led := members_in_words(reading.members, alpha, flagged)) else []
    if otherwise := [row for row in others if row["verdict"] != marked(decision)]:
        named = ", ".join(f"{plain(str(row['detector']))} ({row['verdict']})" for row in otherwise)
        lines.append(f"Detectors that say otherwise: {named}.")
    small(*lines, f"{said(wording.OOD_SCORE)}: {significant(reading.score)}.")
    with st.container(key="why", gap="xxsmall"):
        sentence, button = st.empty(), st.empty()
    if caught := reading.reference.caught(alpha, reading.detector) if decision is not None else None:
        twins[label(wording.KNOWN_UNUSUAL_IMAGES)] = [
            {"kind": name, "flagged": flagged, "of": images} for name, (flagged, images) in caught.items()
        ]
    if tables.open:
        with tables:
            as_tables(twins)
    return sentence, button


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
            sure = f"{100 * reading.probability:.0f} % sure"
            answer = f"The network’s own answer: **{plain(reading.predicted_class)}**, {sure}."
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
        with st.popover("Settings", icon=":material/tune:", type="tertiary"):
            alpha_control()
            detector_control(reading.reference)
        return st.popover("Tables", icon=":material/table_rows:", type="tertiary", key="card-tables", on_change="rerun")


def as_tables(twins: Mapping[str, Sequence[Mapping[str, Cell]]]) -> None:
    """Every chart's twin, and what the cameras of the charts save."""
    for name, rows in twins.items():
        if rows:
            st.caption(name)
            st.dataframe([dict(row) for row in rows], hide_index=True, placeholder="–", alt=name)
    widgets.picture_choice("Histogram")


def detector_control(reference: Reference) -> None:
    """Which detector decides and is explained; nothing to choose where the reference has one."""
    titles = {name: detector.info.title for name, detector in reference.detectors.items()}
    if len(titles) > 1:
        controls.select(
            label(wording.DETECTOR),
            titles,
            session.DETECTOR,
            help="Each detector looks for something else, and none is best everywhere. The Benchmark page compares.",
        )


def judges_of(reading: Case) -> Iterator[tuple[str, Case, MemberReading | None]]:
    """The reference's detectors but those that would touch the network again: name, reading, part in the panel.

    Those of the panel come first, the one that adds most before the others.
    """
    reference, panel = reading.reference, {each.name: each for each in reading.members}
    for name in [*panel, *(name for name in reference.detectors if name not in panel)]:
        if name in reference.detectors and "source" not in reference.detectors[name].info.needs:
            yield name, reading.under(name), panel.get(name)


def members(reading: Case, alpha: float) -> list[dict[str, Cell]]:
    """What each of the reference's detectors says of the same image, those of the panel with what they add to it."""
    return [
        {
            "detector": reading.reference.detectors[name].info.title,
            "verdict": marked(decide(other, alpha)),
            "more unusual than": words.share_below(other.percentile, len(other.calibration)),
            "weight in the panel (%)": None if part is None else round(100 * part.weight),
            "adds to this verdict (%)": None if part is None else round(100 * part.share),
        }
        for name, other, part in judges_of(reading)
    ]


def rarity_of(reading: Case, decision: Decision, alpha: float) -> Chart:
    """How rare the image is among ordinary ones, with a tick for each detector that has a verdict on it."""
    alone = {
        reading.reference.detectors[name].info.title: own.p_value
        for name, other, _ in judges_of(reading)
        if name != reading.detector and (own := decide(other, alpha)) is not None
    }
    return gauge(decision.p_value, alpha, len(reading.calibration), alone, state=decision.state)


def histogram(reading: Case, alpha: float, decision: Decision | None, height: int = HISTOGRAM_PIXELS) -> Chart:
    """Where this image's score lies among the reference's."""
    calibration = reading.calibration
    threshold = calibration.threshold(alpha) if decision is not None else None
    return score_histogram(
        calibration.scores,
        reading.score,
        threshold=threshold,
        known=reading.reference.ood_scores.get(reading.detector),
        state=decision.state if decision is not None else None,
        height=height,
    )
