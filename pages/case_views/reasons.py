"""What is found behind a score once everything else is painted: concepts, and the tested sentence of why."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from nero_core.case import Concept, group, leading_neurons, tell_why
from nero_core.errors import NeroError
from nero_core.figures.overlays import tiled
from nero_core.figures.palette import Cell
from nero_core.wording import SCORE_DECOMPOSITION, said
from pages.shared import controls, widgets, words
from pages.shared.words import plain

if TYPE_CHECKING:
    from PIL import Image
    from streamlit.delta_generator import DeltaGenerator

    from nero_core.case import Case, Cover
    from nero_core.records import Float32Array
    from pages.shared.session import Frame

    LayOver = Callable[[Float32Array], Image.Image]

TESTING = "Testing where the score comes from: that place is covered, and as much at eight random places…"
WAITING = "Where the score comes from is tested once the heatmaps are there."
STOPPED = "Where the score comes from was not tested: the heatmaps were stopped."
LISTED = 6  # neurons of a concept that are named on its card


def tell(
    frame: Frame, reading: Case, sentence: DeltaGenerator, cards: DeltaGenerator | None, lay_over: LayOver | None
) -> None:
    """Compute what is not known yet, and show each part as soon as it is there; of stopped heatmaps nothing is made.

    Parameters
    ----------
    sentence, cards : empty places
        Of the sentence, and of the concepts; without `cards` the score is no sum over neurons.
    lay_over : callable
        Lays a map over the picture as the heatmaps are laid.
    """
    found = frame.reasons_of(reading)
    leading, known = None, found.why is not None
    try:
        if found.concepts is None and not found.failed and not frame.stopped:
            sentence.caption(TESTING)
            leading = leading_neurons(reading, frame.decoded())
            found.concepts = [] if leading is None else group(leading)
        if cards is not None and lay_over is not None and found.concepts:
            with cards.container():
                show_concepts(reading, found.concepts, lay_over)
        if found.concepts is not None and found.why is None and not found.failed and not frame.stopped:
            sentence.caption(TESTING)
            found.why = tell_why(reading, frame.decoded(), leading=leading)
    except NeroError as error:
        found.failed = str(error)
    if not known:  # else it stands there already
        show_sentence(frame, reading, sentence)


def show_sentence(frame: Frame, reading: Case, place: DeltaGenerator) -> None:
    """The sentence where it is known, else why it is not there."""
    found = frame.reasons_of(reading)
    if found.why is None:
        failed = f"Where the score comes from was not tested: {plain(found.failed)}"
        place.caption(failed if found.failed else STOPPED if frame.stopped else WAITING)
        return
    told = found.why
    with place.container():
        st.markdown(plain(told.sentence))
        if told.carries:
            st.caption(plain(told.carries))
        if told.region is not None and told.region not in frame.covers:
            st.button("Cover that place", key="why-cover", on_click=cover, args=(frame, told.region), type="tertiary")


def cover(frame: Frame, region: Cover) -> None:
    """Take a cover in, once."""
    if region not in frame.covers:
        frame.covers.append(region)


def show_concepts(reading: Case, concepts: list[Concept], lay_over: LayOver) -> None:
    """Places that several neurons looked at, each a card with its map, its share and its training images."""
    st.caption("Leading neurons that looked at the same place, together: each card is one concept.")
    with st.grid(2, min_column_width=420, border=True) as grid:
        for number, concept in enumerate(concepts, start=1):
            with grid.cell():
                card(reading, number, concept, lay_over)
    if not reading.single_neurons:
        st.caption(words.heatmaps_by([reading.reference.attributions.by().method]))
    widgets.table_twin(rows(concepts), "Concepts")


def card(reading: Case, number: int, concept: Concept, lay_over: LayOver) -> None:
    """One concept."""
    many = len(concept.neurons)
    names = ", ".join(plain(str(neuron)) for neuron in concept.neurons[:LISTED])
    more = f" and {many - LISTED} more" if many > LISTED else ""
    st.markdown(f"**Concept {number}** {does(concept.share)}")
    left, right = st.columns(2, gap="small")
    left.image(lay_over(concept.heatmap), width="stretch", alt=f"Where the neurons of concept {number} looked")
    with right, controls.errors_said(st.warning):
        if crops := concept.crops(reading.reference.concepts):
            alt = f"{len(crops)} training images for concept {number}, cropped to where its neurons looked"
            st.image(tiled(crops), width="stretch", alt=alt, output_format="JPEG")
            st.caption("Training images that its neurons stand for")
        else:
            st.caption("This reference carries no example images for it.")
    st.caption(f"{'Neuron' if many == 1 else 'Neurons'} {names}{more}")


def does(share: float) -> str:
    """What a concept does to the score of the decomposition, in words."""
    size = f"{100 * abs(share):.0f} % of the score in the {said(SCORE_DECOMPOSITION)}"
    return f"carries {size}" if share >= 0 else f"lowers it, by {size}"


def rows(concepts: list[Concept]) -> list[dict[str, Cell]]:
    """The same in numbers."""
    return [
        {
            "concept": number,
            "share of the score (%)": round(100 * concept.share, 1),
            "neurons": ", ".join(map(str, concept.neurons)),
        }
        for number, concept in enumerate(concepts, start=1)
    ]
