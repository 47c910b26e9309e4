"""The frame under review: heatmaps laid over it, covers drawn on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from nero_core.case import ALL, on_the_image, seen_part
from nero_core.figures.data_urls import fitted, jpeg_url
from nero_core.figures.overlays import layer
from nero_core.wording import ALL_NEURONS, PLACES_OF, said
from pages.case_views import checks
from pages.components import frame_viewer as viewer
from pages.shared import controls, words
from pages.shared.words import plain

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from nero_core.case import Case
    from nero_core.records import Float32Array, Neuron
    from pages.shared.session import Frame

CHANNEL = "frame"
LONGEST = 1024  # pixels of the longer side that the browser gets: as large as it is shown on a screen of 1920


RESERVED, STRIP, LOUD = 418, 84, 60
"""Pixels of a screen's height that all but the frame needs down to the names of the parts; the strip; a warning."""


def show(frame: Frame, reading: Case, many: bool, on_drawn: Callable[[], None]) -> None:
    """The frame; its heatmaps come by :func:`lay`."""
    picture = frame.decoded()
    sent = fitted(picture, LONGEST)
    preprocessing = reading.reference.classifier.preprocessing
    viewer.frame_viewer(
        CHANNEL,
        viewer.Shown(jpeg_url(sent), *sent.size),
        said("The image under review"),
        frame=frame.number,
        note=f"{frame.name} · {picture.width} × {picture.height}",
        reserved=RESERVED + STRIP * many + LOUD * checks.loud(reading),
        seen=seen_part(picture.size, preprocessing),
        covers=frame.covers,
        on_drawn=on_drawn,
    )


def lay(frame: Frame, name: str, title: str, heatmap: Float32Array) -> None:
    """Lay a map over the frame: it is shown while it is the one pointed at, and that of all neurons else."""
    viewer.frame_layer(CHANNEL, name, title, layer(heatmap), frame=frame.number)


def name_of(neuron: Neuron | None) -> str:
    """By which name a layer and its card find each other."""
    return viewer.ALL if neuron is ALL else f"neuron-{neuron}"


def make(frame: Frame, reading: Case, wanted: Sequence[Neuron | None], about: DeltaGenerator) -> None:
    """Lay the maps over the frame that are known, then make what is missing, one by one.

    A press anywhere ends it after the map at work, and what is made by then is kept.

    Parameters
    ----------
    about : container
        In sight: where it stands why there are none.
    """
    if ALL in wanted and reading.places is not None:
        wanted = [neuron for neuron in wanted if neuron is not ALL]
        lay(frame, viewer.ALL, places_title(reading), places_map(frame, reading))
    for neuron in wanted:
        if neuron in reading.maps:
            lay(frame, name_of(neuron), title_of(neuron), reading.maps[neuron])
    missing = [neuron for neuron in wanted if neuron not in reading.maps]
    if missing and not frame.stopped:
        with controls.errors_said(about.warning, said("No heatmaps: ")):
            for neuron in reading.draw(frame.decoded(), missing):
                lay(frame, name_of(neuron), title_of(neuron), reading.maps[neuron])


def tell(frame: Frame, reading: Case, wanted: Sequence[Neuron | None], about: DeltaGenerator) -> None:
    """By which method the maps in sight are, what speaks against leaning on them, and that some were not made."""
    if ALL in wanted and reading.places is not None:
        wanted = [neuron for neuron in wanted if neuron is not ALL]
    missing = [neuron for neuron in wanted if neuron not in reading.maps]
    if missing and frame.stopped:
        with about.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                said(
                    "Stopped: {n} of {wanted} heatmaps are shown.",
                    n=len(wanted) - len(missing),
                    wanted=len(wanted),
                ),
                width="content",
            )
            st.button(
                said("Continue"), key="continue-heatmaps", type="tertiary", on_click=set_stopped, args=(frame, False)
            )
    if made := [reading.methods[neuron] for neuron in wanted if neuron in reading.maps]:
        about.caption(words.heatmaps_by(made, meaning=False))
    if reading.caution:
        about.warning(plain(said(reading.caution)))


def set_stopped(frame: Frame, stopped: bool) -> None:
    """Abandon this image's heatmaps and what is tested with them, or go on."""
    frame.stopped = stopped


def places_title(reading: Case) -> str:
    """What the map of a score over places is."""
    return said(PLACES_OF, detector=reading.reference.detector(reading.detector).info.title)


def places_map(frame: Frame, reading: Case) -> Float32Array:
    """The account of the score over places, as a map of what the network sees."""
    account = reading.places
    assert account is not None, "the detector has such an account"
    return on_the_image(account, frame.decoded().size, reading.reference.classifier.preprocessing)


def title_of(neuron: Neuron | None) -> str:
    """What a map is, below the frame."""
    return said(ALL_NEURONS) if neuron is ALL else said("neuron {neuron}", neuron=neuron)
