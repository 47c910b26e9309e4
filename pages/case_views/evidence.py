"""What a verdict rests on: how rare the image is, where its score lies, and what each detector says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from nero_core import wording
from nero_core.case import Case, MemberReading, members_in_words
from nero_core.figures.charts import score_histogram
from nero_core.figures.gauge import gauge
from nero_core.figures.palette import Cell, Chart, significant
from nero_core.records import Decision
from nero_core.wording import label, said
from pages.case_views.verdict import current_alpha, decide, marked, small
from pages.shared import widgets, words
from pages.shared.words import plain

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator
    from streamlit.elements.lib.mutable_popover_container import PopoverContainer

HISTOGRAM_PIXELS = 120  # at least: the browser makes it as high as the window leaves, see assets/style.css


def show(reading: Case, tables: PopoverContainer) -> tuple[DeltaGenerator, DeltaGenerator]:
    """Gauge and histogram, and who led; returns the places of the tested sentence of why, and of a button under it."""
    calibration, alpha = reading.calibration, current_alpha()
    decision = decide(reading, alpha)
    others = members(reading, alpha)
    twins: dict[str, Sequence[Mapping[str, Cell]]] = {said("What each detector says"): others}
    if decision is None:
        st.warning(words.refusal(alpha, calibration.smallest_alpha, len(calibration), calibration.of_class))
    else:
        rarity = rarity_of(reading, decision, alpha)
        widgets.plot(rarity, "Gauge", key="gauge")
        twins[said("Gauge")] = rarity.rows
    scores = histogram(reading, alpha, decision)
    with st.container(key="histogram-place"):
        widgets.plot(scores, "Histogram", key="histogram", height="stretch")
    twins[said("Histogram")] = scores.rows
    flagged = decision is not None and decision.state == "out-of-distribution"
    lines = [f"**{plain(led)}**"] if (led := members_in_words(reading.members, alpha, flagged)) else []
    if otherwise := [row for row in others if row[said("verdict")] != marked(decision)]:
        named = ", ".join(f"{plain(str(row[said('detector')]))} ({row[said('verdict')]})" for row in otherwise)
        lines.append(said("Detectors that say otherwise: {named}.", named=named))
    small(*lines, f"{said(wording.OOD_SCORE)}: {significant(reading.score)}.")
    with st.container(key="why", gap="xxsmall"):
        sentence, button = st.empty(), st.empty()
    if caught := reading.reference.caught(alpha, reading.detector) if decision is not None else None:
        twins[label(wording.KNOWN_UNUSUAL_IMAGES)] = [
            {said("kind"): name, said("flagged"): flagged, said("of"): images}
            for name, (flagged, images) in caught.items()
        ]
    if tables.open:
        with tables:
            as_tables(twins)
    return sentence, button


def as_tables(twins: Mapping[str, Sequence[Mapping[str, Cell]]]) -> None:
    """Every chart's twin, and what the cameras of the charts save."""
    for name, rows in twins.items():
        if rows:
            st.caption(name)
            st.dataframe([dict(row) for row in rows], hide_index=True, placeholder="–", alt=name)
    widgets.picture_choice("Histogram")


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
            said("detector"): reading.reference.detectors[name].info.title,
            said("verdict"): marked(decide(other, alpha)),
            said("more unusual than"): words.share_below(other.percentile, len(other.calibration)),
            said("weight in the panel (%)"): None if part is None else round(100 * part.weight),
            said("adds to this verdict (%)"): None if part is None else round(100 * part.share),
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
