"""Where neurons looked, on images side by side; nothing is computed until one is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from nero_core.data.images import displayed, read_image
from nero_core.figures.overlays import overlay
from nero_core.figures.palette import significant
from nero_core.records import Source
from nero_core.wording import heatmap_method, said
from pages.neuron_views.groups import Choices
from pages.shared import controls, resources, widgets, words
from pages.shared import heatmaps as methods
from pages.shared.words import plain

if TYPE_CHECKING:
    from nero_core import Reference
    from nero_core.attribution import AttributionPass

IMAGES_AT_MOST = 4
METHOD = "neurons-heatmap-method"
PASSES = "neurons-passes"
PICTURE_PIXELS = 336


def show(choices: Choices, neurons: Sequence[int]) -> None:
    """Images of the case and bundled examples: a column for each that is chosen, a row for each neuron."""
    offered = choices.pictures
    if not offered:
        st.caption(said("Open a case in Case review to see where this neuron looked on it."))
        return
    chosen = controls.several(
        said("On which images"), offered, "neurons-images", said("Choose up to four"), max_selections=IMAGES_AT_MOST
    )
    if not chosen:
        st.caption(said("The network is loaded when an image is chosen. Two images or more are set side by side."))
        return
    *places, about = st.columns(len(chosen) + 1)
    with controls.errors_said(st.warning, said("No heatmap: ")):
        reference = resources.reference(choices.entry.path)
        method = methods.chosen(reference, METHOD)
        for place, name in zip(places, chosen, strict=True):
            with place:
                maps = _opened(reference, offered[name], method)
                _pictures(reference, name, offered[name], maps, neurons)
        with about:
            methods.method_control(reference, METHOD, single_neurons=True)
            widgets.colour_bar()
            st.caption(
                words.heatmaps_by([maps.method])
                + said(
                    " A heatmap shows what a rule attributes, not what the network means: test it below before "
                    "leaning on it."
                )
            )


def _pictures(reference: Reference, name: str, image: Source, maps: AttributionPass, neurons: Sequence[int]) -> None:
    """One image, with what each neuron saw in it."""
    size = replace(reference.classifier.preprocessing, height=PICTURE_PIXELS, width=PICTURE_PIXELS)
    picture = displayed(read_image(image), size)
    for neuron in neurons:
        relevance = significant(float(maps.relevance([neuron])[0]))
        told = said(
            "{name} · relevance {relevance} · {method}",
            name=name,
            relevance=relevance,
            method=heatmap_method(maps.method),
        )
        st.image(
            overlay(picture, maps.neuron(neuron)),
            width="stretch",
            caption=told if len(neurons) == 1 else said("Neuron {neuron} · {told}", neuron=neuron, told=told),
            alt=said(
                "{name}: where neuron {neuron} looked, by {method}",
                name=name,
                neuron=neuron,
                method=heatmap_method(maps.method),
            ),
            output_format="JPEG",
        )
    if maps.caution:
        st.warning(plain(said(maps.caution)))


def _opened(reference: Reference, image: Source, method: str | None) -> AttributionPass:
    """One pass over an image; kept in this session for the next neuron."""
    kept: dict[tuple[str, Source, str | None], AttributionPass] = st.session_state.setdefault(PASSES, {})
    key = (str(reference.path), image, method)
    if key not in kept:
        while len(kept) >= IMAGES_AT_MOST:
            del kept[next(iter(kept))]
        with st.spinner(said("Where it looked…")):
            kept[key] = reference.open_heatmaps(image, method)
    return kept[key]
