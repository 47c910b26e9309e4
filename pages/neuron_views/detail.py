"""One neuron: its values in every group, the images it stands for, where it looked, and what it speaks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from nero_core.data.images import displayed, read_image
from nero_core.figures.neurons import class_weights, value_boxes
from nero_core.figures.overlays import overlay, tiled
from nero_core.figures.palette import significant
from nero_core.neurons.crops import RANKED_BY, Concepts, RankedBy
from nero_core.neurons.statistics import Comparison, Group
from nero_core.records import Source
from nero_core.wording import NO_WEIGHT, RELEVANCE_TO_THE_ANSWER, heatmap_method, said
from pages.neuron_views.groups import Choices
from pages.neuron_views.link import NEURON
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
RANKED = {"relevance": "Most relevant", "activation": "Most active"}
VALUES: dict[RankedBy, str] = {"relevance": "Relevance", "activation": "Activation"}


def number_box(neurons: int, leading: int) -> int:
    """The neuron to look at, as a number."""
    st.session_state.setdefault(NEURON, leading)
    number: int = st.number_input("Neuron", 0, neurons - 1, step=1, key=NEURON, persist_state="session", width=160)
    return number


def numbers(comparison: Comparison, neuron: int) -> None:
    """The neuron in one line."""
    first, second = comparison.first, comparison.second

    def mean(group: Group) -> str:
        spread = group.moments.std[neuron]
        beside = f" ± {significant(spread)}" if np.isfinite(spread) else ""
        return f"**{significant(group.moments.mean[neuron])}**{beside} in *{plain(group.name)}*"

    effect, auroc = comparison.effect[neuron], comparison.auroc[neuron]
    told = [f"Mean relevance {mean(first)}, {mean(second)}"]
    if np.isfinite(effect):
        told.append(f"Cohen’s d **{significant(effect)}**")
    if np.isfinite(auroc):
        told.append(f"AUROC of this neuron alone **{100 * auroc:.1f}\u00a0%**")
    st.markdown(" · ".join(told))


def distributions(choices: Choices, neuron: int, case: Mapping[str, Group]) -> None:
    """Its relevance or activation in every class and set of known OOD images."""
    what = controls.one_of("Values", VALUES, "neurons-values")
    sample = choices.sample
    values = (sample.relevance if what == "relevance" else sample.features)[:, neuron]
    own = {name: group.relevance if what == "relevance" else group.activation for name, group in case.items()}
    chart = value_boxes(
        {name: values[sample.groups == number] for number, name in enumerate(sample.names)},
        sample.names[sample.classes :],
        said(RELEVANCE_TO_THE_ANSWER) if what == "relevance" else "Activation",
        marks={name: float(value[0, neuron]) for name, value in own.items()},
    )
    widgets.chart(chart, table=f"Values of neuron {neuron}")


def weights(choices: Choices, neuron: int) -> None:
    """What it speaks for."""
    sample = choices.sample
    widgets.chart(
        class_weights(np.asarray(sample.head.weight)[:, neuron], sample.names[: sample.classes]), table="Weights"
    )


def reference_images(concepts: Concepts | None, classes: list[str], neuron: int) -> None:
    """The training images where it was most relevant and those where it was most active."""
    if concepts is None:
        st.info("This reference carries no pictures of training images.")
        return
    for place, by in zip(st.columns(2), RANKED_BY, strict=True):
        with place:
            st.markdown(f"**{RANKED[by]}**")
            with controls.errors_said(st.warning):
                _strongest(concepts, classes, neuron, by)


def _strongest(concepts: Concepts, classes: list[str], neuron: int, by: RankedBy) -> None:
    """The crops of one ranking, and what they are of."""
    crops, labels = concepts.crops(neuron, by), concepts.labels(neuron, by)
    if not crops:
        st.caption(
            said(NO_WEIGHT)
            if by == "relevance" or concepts.crops(neuron)
            else "Nothing is stored: the neuron is silent, or this reference was fitted by an older version."
        )
        return
    counts = [(int((labels == number).sum()), name) for number, name in enumerate(classes)]
    of = ", ".join(f"{count} {name}" for count, name in counts if count)
    alt = f"{len(crops)} training images where neuron {neuron} was {RANKED[by].lower()}, cropped: {of}"
    st.image(tiled(crops), width="stretch", alt=alt, output_format="JPEG")
    strengths = concepts.strengths(neuron, by)
    st.caption(
        f"{plain(of)}; {by} {significant(float(strengths[0]))} to {significant(float(strengths[-1]))}. "
        "Cropped to where it peaked, strongest first."
    )


def heatmaps(choices: Choices, neuron: int) -> None:
    """Where it looked, on images of the case and on bundled examples; nothing is computed until one is chosen."""
    offered = choices.pictures
    if not offered:
        st.caption("Open a case in Case review to see where this neuron looked on it.")
        return
    chosen = controls.several(
        "On which images", offered, "neurons-images", "Choose up to four", max_selections=IMAGES_AT_MOST
    )
    if not chosen:
        st.caption("The network is loaded when an image is chosen.")
        return
    control, places = st.empty(), st.columns(max(2, len(chosen)))
    with controls.errors_said(st.warning, "No heatmap: "):
        reference = resources.reference(choices.entry.path)
        method = methods.chosen(reference, METHOD)
        size = replace(reference.classifier.preprocessing, height=PICTURE_PIXELS, width=PICTURE_PIXELS)
        for place, name in zip(places, chosen, strict=False):
            maps = _opened(reference, offered[name], method)
            picture = overlay(displayed(read_image(offered[name]), size), maps.neuron(neuron))
            relevance = significant(float(maps.relevance([neuron])[0]))
            with place:
                st.image(
                    picture,
                    width="stretch",
                    caption=f"{name} · relevance {relevance} · {heatmap_method(maps.method)}",
                    alt=f"{name}: where neuron {neuron} looked, by {heatmap_method(maps.method)}",
                    output_format="JPEG",
                )
            if maps.caution:
                place.warning(plain(maps.caution))
        with control:
            methods.method_control(reference, METHOD, single_neurons=True)
        widgets.colour_bar()
        st.caption(
            f"{words.heatmaps_by([maps.method])} A heatmap shows what a rule attributes, not what the network means: "
            "test it below before leaning on it."
        )


def _opened(reference: Reference, image: Source, method: str | None) -> AttributionPass:
    """One pass over an image; kept in this session for the next neuron."""
    kept: dict[tuple[str, Source, str | None], AttributionPass] = st.session_state.setdefault(PASSES, {})
    key = (str(reference.path), image, method)
    if key not in kept:
        while len(kept) >= IMAGES_AT_MOST:
            del kept[next(iter(kept))]
        with st.spinner("Where it looked…"):
            kept[key] = reference.open_heatmaps(image, method)
    return kept[key]
