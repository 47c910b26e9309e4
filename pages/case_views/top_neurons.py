"""CRP maps of the single top neurons, each beside the reference images it stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from nero_core.figures.data_urls import jpeg_url
from nero_core.figures.overlays import tiled
from nero_core.figures.palette import Cell, rounded, significant
from nero_core.wording import ADDS_TO_THE_SCORE, NO_WEIGHT, message, said
from pages.case_views import viewer
from pages.components.frame_viewer import Shown, layer_card
from pages.shared import controls, heatmaps, widgets, words
from pages.shared.session import Frame

if TYPE_CHECKING:
    from PIL import Image

    from nero_core.case import Case
    from nero_core.explanation import Explanation, Ranking
    from nero_core.records import Neuron

SHOWN = 6  # neurons with a card
METHOD = "heatmap-method"
NO_CROPS = message("This reference carries no example images for it.")


def take_method(frame: Frame, reading: Case) -> None:
    """Have heatmaps by the method that was chosen."""
    if reading.take(heatmaps.chosen(reading.reference, METHOD)):
        frame.stopped = False


def leading(e: Explanation, ranking: Ranking) -> list[Neuron]:
    """The neurons that have a card."""
    return [e.neurons[place] for place, _ in e.top(SHOWN, by=ranking)]


def show(frame: Frame, reading: Case, e: Explanation, ranking: Ranking) -> None:
    """A card for each of the leading neurons; pointing at one lays its map over the frame."""
    places = [place for place, _ in e.top(SHOWN, by=ranking)]
    if not reading.single_neurons:
        st.markdown(said("This method gives one map of the whole answer, and none of single neurons."))
    with st.grid(3, min_column_width=330) as grid:
        for place in places:
            with grid.cell():
                neuron_card(frame, reading, e, place)
    widgets.table_twin(rows(e, places), said("Leading neurons"))


def neuron_card(frame: Frame, reading: Case, e: Explanation, place: int) -> None:
    """One neuron: what it does to the score, where it looked, the reference images it cares for most."""
    neuron, concepts = e.neurons[place], reading.reference.concepts
    part = e.factor * float(e.contributions[place])
    size = significant(abs(part))
    text = said("Raises the score by {size}", size=size) if part >= 0 else said("Lowers the score by {size}", size=size)
    if words.is_nero(e):
        text += said(
            "; relevance {here}, usually {usual}",
            here=significant(float(e.relevance[place])),
            usual=significant(float(e.class_relevance[place])),
        )
    crops: list[Image.Image] = []
    with controls.errors_said(st.warning):
        crops = concepts.crops(neuron) if concepts is not None else []
    if crops:
        caption = (
            said("Training images it mattered for most")
            if neuron.stage is None
            else said("Training images it responded to most")
        )
    elif concepts is None or neuron.stage:
        caption = said(NO_CROPS)
    else:
        caption = said(NO_WEIGHT)
    alt = said(
        "{crops} training images for neuron {neuron}, cropped to where it looked, strongest first",
        crops=len(crops),
        neuron=neuron,
    )
    layer_card(
        viewer.CHANNEL,
        viewer.name_of(neuron),
        said("Neuron {neuron}", neuron=neuron),
        text,
        tiles(crops),
        alt,
        caption,
        frame=frame.number,
        waiting="none" if not reading.single_neurons else "stopped" if frame.stopped else "waiting",
    )


def tiles(crops: list[Image.Image]) -> Shown | None:
    """Crops as one picture."""
    if not crops:
        return None
    sheet = tiled(crops)
    return Shown(jpeg_url(sheet), *sheet.size)


def rows(e: Explanation, places: list[int]) -> list[dict[str, Cell]]:
    """The leading neurons in numbers."""
    rows: list[dict[str, Cell]] = [
        {
            said("neuron"): str(e.neurons[place]),
            said(ADDS_TO_THE_SCORE): rounded(e.factor * float(e.contributions[place])),
        }
        for place in places
    ]
    if words.is_nero(e):
        for row, place in zip(rows, places, strict=True):
            row[said("relevance here")] = rounded(float(e.relevance[place]))
            row[said("usual for {class_name}", class_name=e.nearest_class)] = rounded(float(e.class_relevance[place]))
    return rows
