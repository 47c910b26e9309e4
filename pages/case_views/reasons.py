"""What is found behind a score once everything else is painted: concepts, and the tested sentence of why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from nero_core.case import Concept, group, leading_neurons, tell_why
from nero_core.errors import NeroError
from nero_core.figures.palette import Cell
from nero_core.wording import NAMED_PLACE, SCORE_DECOMPOSITION, TESTED_PLACE, counted, label, message, said
from pages.case_views.top_neurons import NO_CROPS, tiles
from pages.case_views.viewer import CHANNEL, lay, set_stopped
from pages.components.frame_viewer import frame_region, layer_card
from pages.shared import controls, widgets, words
from pages.shared.words import plain

if TYPE_CHECKING:
    from PIL import Image
    from streamlit.delta_generator import DeltaGenerator

    from nero_core.case import Case
    from pages.shared.session import Frame

TESTING = message("Testing where the score comes from: that place is covered, and as much at eight random places…")
WAITING = message("Where the score comes from is tested once the heatmaps are there.")
STOPPED = message("Where the score comes from was not tested: the heatmaps were stopped.")
GROUPING = message("The leading neurons are grouped by where they looked once their heatmaps are there…")
LISTED = 6  # neurons of a concept that are named on its card


def tell(frame: Frame, reading: Case, why: tuple[DeltaGenerator, DeltaGenerator], cards: DeltaGenerator | None) -> None:
    """Compute what is not known yet, and show each part as soon as it is there; of stopped heatmaps nothing is made.

    A press anywhere ends it before the next pass through the network, and what is made by then is kept.

    Parameters
    ----------
    why : empty places
        Of the sentence, and of a button under it.
    cards : empty place
        Of the concepts, where these are in sight.
    """
    found = frame.reasons_of(reading)
    leading, ends = None, found.why is not None or bool(found.failed) or frame.stopped

    def between() -> None:
        step.empty()  # where Streamlit ends a run that another is asked for

    step = st.empty()
    try:
        if not ends:
            why[0].caption(said(TESTING))
            why[1].button(said("Stop"), key="stop-testing", type="tertiary", on_click=set_stopped, args=(frame, True))
        if found.concepts is None and not ends:
            leading = leading_neurons(reading, frame.decoded(), between=between)
            found.concepts = [] if leading is None else group(leading)
        if cards is not None and found.concepts:
            with cards.container():
                show_concepts(frame, reading, found.concepts)
        if not ends:
            found.why = tell_why(reading, frame.decoded(), leading=leading, between=between)
    except NeroError as error:
        found.failed = str(error)
    if not ends:  # else what there is to say stands there already
        show_sentence(frame, reading, why)


def waiting(frame: Frame, reading: Case) -> str:
    """What stands in place of the concepts until they are there."""
    found = frame.reasons_of(reading)
    if found.failed:
        return said("No concepts: {failed}", failed=plain(found.failed))
    return said(STOPPED if frame.stopped else GROUPING)


def show_carried(frame: Frame, reading: Case, place: DeltaGenerator) -> None:
    """How much of the score the leading neurons carry, once that is known."""
    if (why := frame.reasons_of(reading).why) is not None:
        place.caption(plain(said(why.carries)))


def show_sentence(frame: Frame, reading: Case, why: tuple[DeltaGenerator, DeltaGenerator]) -> None:
    """The sentence where it is known, else why it is not there."""
    found, (sentence, button) = frame.reasons_of(reading), why
    button.empty()
    if found.why is not None:
        sentence.markdown(f":small[{plain(said(found.why.sentence))}]")
    elif found.failed:
        sentence.caption(said("Where the score comes from was not tested: {failed}", failed=plain(found.failed)))
    elif frame.stopped:
        sentence.caption(said(STOPPED))
        button.button(said("Continue"), key="continue", type="tertiary", on_click=set_stopped, args=(frame, False))
    else:
        sentence.caption(said(WAITING))


def lay_place(frame: Frame, reading: Case, place: DeltaGenerator) -> bool:
    """Draw on the frame where the sentence says that its neurons looked most; whether there is such a place already.

    Parameters
    ----------
    place : empty place
        Of that layer: what lies there of another detector goes.
    """
    place.empty()
    if (why := frame.reasons_of(reading).why) is None or why.region is None:
        return False
    title = label(NAMED_PLACE if why.test is None else TESTED_PLACE)
    with place:
        frame_region(CHANNEL, title, why.region, frame=frame.number)
    return True


def show_concepts(frame: Frame, reading: Case, concepts: list[Concept]) -> None:
    """Places that several neurons looked at, each a card with its map, its share and its training images."""
    st.caption(said("Leading neurons that looked at the same place, together: each card is one concept."))
    with st.grid(2, min_column_width=330) as grid:
        for number, concept in enumerate(concepts, start=1):
            with grid.cell():
                card(frame, reading, number, concept)
    if not reading.single_neurons:
        st.caption(words.heatmaps_by([reading.reference.attributions.by().method]))
    widgets.table_twin(rows(concepts), said("Concepts"))


def card(frame: Frame, reading: Case, number: int, concept: Concept) -> None:
    """One concept."""
    many, title = len(concept.neurons), said("Concept {number}", number=number)
    names = ", ".join(str(neuron) for neuron in concept.neurons[:LISTED])
    more = said(" and {n} more", n=many - LISTED) if many > LISTED else ""
    crops: list[Image.Image] = []
    with controls.errors_said(st.warning):
        crops = concept.crops(reading.reference.concepts)
    alt = said(
        "{crops} training images for concept {number}, cropped to where its neurons looked",
        crops=len(crops),
        number=number,
    )
    stands = said("Training images that its neurons stand for") if crops else said(NO_CROPS)
    told = counted(many, "Neuron {names}", "Neurons {names}", names=f"{names}{more}")
    text = f"{does(concept.share)}. {told}"
    layer_card(CHANNEL, title, title, f"{text[:1].upper()}{text[1:]}", tiles(crops), alt, stands, frame=frame.number)
    lay(frame, title, title, concept.heatmap)


def does(share: float) -> str:
    """What a concept does to the score of the decomposition, in words."""
    size, decomposition = f"{100 * abs(share):.0f}", said(SCORE_DECOMPOSITION)
    if share >= 0:
        return said("carries {size} % of the score in the {decomposition}", size=size, decomposition=decomposition)
    return said("lowers it, by {size} % of the score in the {decomposition}", size=size, decomposition=decomposition)


def rows(concepts: list[Concept]) -> list[dict[str, Cell]]:
    """The same in numbers."""
    return [
        {
            said("concept"): number,
            said("share of the score (%)"): round(100 * concept.share, 1),
            said("neurons"): ", ".join(map(str, concept.neurons)),
        }
        for number, concept in enumerate(concepts, start=1)
    ]
