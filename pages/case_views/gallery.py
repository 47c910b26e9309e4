"""Where the leading neurons looked, beside the reference images they stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from nero_core.case import ALL
from nero_core.data.images import displayed
from nero_core.figures.overlays import overlay, tiled
from nero_core.figures.palette import Cell, rounded, significant
from nero_core.wording import ADDS_TO_THE_SCORE, NO_WEIGHT, said
from pages.shared import controls, heatmaps, widgets, words
from pages.shared.session import Frame
from pages.shared.words import plain

if TYPE_CHECKING:
    from PIL import Image
    from streamlit.delta_generator import DeltaGenerator
    from streamlit.elements.lib.grid_container import GridContainer

    from nero_core.case import Case
    from nero_core.explanation import Explanation, Ranking
    from nero_core.neurons.crops import Concepts
    from nero_core.records import Float32Array, Neuron

SHOWN = 6  # neurons with a heatmap
PICTURE_PIXELS = 448  # longer side of an overlay
METHOD = "heatmap-method"


def seen_picture(picture: Image.Image, reading: Case) -> Image.Image:
    """What the network saw, large enough to look at, and not stretched where the network saw it stretched."""
    size = reading.reference.classifier.preprocessing
    wide, high = (size.width, size.height) if size.crop_share else picture.size
    scale = PICTURE_PIXELS / max(wide, high)
    return displayed(picture, replace(size, width=max(1, round(wide * scale)), height=max(1, round(high * scale))))


def gallery(
    frame: Frame, reading: Case, e: Explanation, ranking: Ranking, overall: DeltaGenerator
) -> tuple[DeltaGenerator, Callable[[Float32Array], Image.Image]]:
    """Heatmaps of the leading neurons beside training images; they arrive one by one and can be abandoned.

    `overall` is the place for the map of all neurons together. Returns the place above them, of concepts, and what lays
    a map over the picture in the same way.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        percent = st.slider("Heatmap opacity (%)", 0, 100, 75, 5, key="opacity", persist_state="session", width=220)
        outline = st.toggle("Outline", key="outline", persist_state="session")
        control = st.empty()  # filled last: which methods a network has takes longer to know than its maps
        widgets.colour_bar()
    take_method(frame, reading)
    status, by, caution, picture = st.empty(), st.empty(), st.empty(), seen_picture(frame.decoded(), reading)
    cards = st.empty()
    places = [place for place, _ in e.top(SHOWN, by=ranking)]
    slots: dict[Neuron | None, DeltaGenerator] = {}
    single = st.expander("Single neurons", icon=":material/center_focus_strong:")
    with single, st.grid(2, min_column_width=420, border=True) as grid:
        for place in places:
            slots[e.neurons[place]] = neuron_card(grid, reading.reference.concepts, e, place)
    slots[ALL] = overall
    wanted = list(slots) if reading.single_neurons else [ALL]

    def lay_over(heatmap: Float32Array) -> Image.Image:
        return overlay(picture, heatmap, opacity=percent / 100, outline=outline)

    def draw(neuron: Neuron | None) -> None:
        laid_over = lay_over(reading.maps[neuron])
        if neuron is ALL:
            show_overall(overall, laid_over)
        else:
            slots[neuron].image(laid_over, width="stretch", alt=f"Where neuron {neuron} looked on this image")
        only = "" if len(wanted) > 1 else " It gives one map of the whole answer, above, and none of single neurons."
        by.caption(words.heatmaps_by(reading.methods[slot] for slot in wanted if slot in reading.maps) + only)

    for neuron in wanted:
        if neuron in reading.maps:
            draw(neuron)
    missing = [neuron for neuron in wanted if neuron not in reading.maps]
    if missing and frame.stopped:
        with status.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"Stopped: {len(wanted) - len(missing)} of {len(wanted)} heatmaps are shown.", width="content")
            st.button("Continue", key="continue-heatmaps", on_click=set_stopped, args=(frame, False))
    elif missing:
        compute(frame, reading, missing, status, draw)
    if reading.caution:
        caution.warning(plain(reading.caution))
    with control:
        heatmaps.method_control(reading.reference, METHOD)
    widgets.table_twin(gallery_rows(e, places), "Leading neurons")
    return cards, lay_over


def show_overall(place: DeltaGenerator, heatmap: Image.Image) -> None:
    """The map of all neurons together."""
    caption, alt = "Where the network looked, all neurons together", "Heatmap of all neurons together"
    place.image(heatmap, width="stretch", caption=caption, alt=alt)


def take_method(frame: Frame, reading: Case) -> None:
    """Have heatmaps by the method that was chosen."""
    if reading.take(heatmaps.chosen(reading.reference, METHOD)):
        frame.stopped = False


def set_stopped(frame: Frame, stopped: bool) -> None:
    """Abandon this image's heatmaps, or go on with them."""
    frame.stopped = stopped


def only_overall(frame: Frame, reading: Case, overall: DeltaGenerator) -> None:
    """The map of all neurons together, for a score without an account."""
    control = st.empty()
    take_method(frame, reading)
    if ALL not in reading.maps:
        with overall.container(), st.spinner("Where the network looked…"):
            list(reading.draw(frame.decoded(), [ALL]))
    show_overall(overall, overlay(seen_picture(frame.decoded(), reading), reading.maps[ALL]))
    st.caption(words.heatmaps_by([reading.methods[ALL]]))
    if reading.caution:
        st.warning(plain(reading.caution))
    with control:
        heatmaps.method_control(reading.reference, METHOD)


def neuron_card(grid: GridContainer, concepts: Concepts | None, e: Explanation, place: int) -> DeltaGenerator:
    """One neuron: a place for its heatmap, what it does to the score, the reference images it cares for most."""
    neuron = e.neurons[place]
    with grid.cell():
        part = e.factor * float(e.contributions[place])
        beside = ""
        if words.is_nero(e):
            beside = (
                f"; relevance {significant(float(e.relevance[place]))}, "
                f"usually {significant(float(e.class_relevance[place]))}"
            )
        st.markdown(
            f"**Neuron {plain(str(neuron))}** {'raises' if part >= 0 else 'lowers'} the score by "
            f"{significant(abs(part))}{beside}"
        )
        left, right = st.columns(2, gap="small")
        slot = left.empty()
        with right, controls.errors_said(st.warning):
            if crops := concepts.crops(neuron) if concepts is not None else []:
                alt = f"{len(crops)} training images for neuron {neuron}, cropped to where it looked, strongest first"
                st.image(tiled(crops), width="stretch", alt=alt, output_format="JPEG")
                most = "mattered for" if neuron.stage is None else "responded to"
                st.caption(f"Training images it {most} most")
            elif concepts is None or neuron.stage:
                st.caption("This reference carries no example images for it.")
            else:
                st.caption(said(NO_WEIGHT))
    return slot


def compute(
    frame: Frame,
    reading: Case,
    missing: Sequence[Neuron | None],
    status: DeltaGenerator,
    draw: Callable[[Neuron | None], None],
) -> None:
    """The missing heatmaps, one by one; a click anywhere ends it after the map at work."""
    with status.container(horizontal=True, vertical_alignment="center"):
        bar = st.progress(0.0, text=f"Heatmap 1 of {len(missing)}…")
        st.button("Stop", key="stop-heatmaps", on_click=set_stopped, args=(frame, True))
    with controls.errors_said(status.warning, "No heatmaps: "):
        for done, neuron in enumerate(reading.draw(frame.decoded(), missing), start=1):
            draw(neuron)
            if done < len(missing):
                bar.progress(done / len(missing), text=f"Heatmap {done + 1} of {len(missing)}…")
        status.empty()


def gallery_rows(e: Explanation, places: Sequence[int]) -> list[dict[str, Cell]]:
    """The leading neurons in numbers."""
    rows: list[dict[str, Cell]] = [
        {"neuron": str(e.neurons[place]), said(ADDS_TO_THE_SCORE): rounded(e.factor * float(e.contributions[place]))}
        for place in places
    ]
    if words.is_nero(e):
        for row, place in zip(rows, places, strict=True):
            row["relevance here"] = rounded(float(e.relevance[place]))
            row[f"usual for {e.nearest_class}"] = rounded(float(e.class_relevance[place]))
    return rows
