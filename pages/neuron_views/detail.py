"""One neuron: its values in every group, the images it stands for, and what it speaks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from nero_core.figures.neurons import class_weights, value_boxes
from nero_core.figures.overlays import tiled
from nero_core.figures.palette import significant
from nero_core.neurons.crops import RANKED_BY, Concepts, RankedBy
from nero_core.neurons.statistics import Comparison, Group
from nero_core.wording import NO_WEIGHT, RELEVANCE_TO_THE_ANSWER, message, said
from pages.neuron_views.groups import Choices
from pages.neuron_views.link import BESIDE, NEURON
from pages.shared import controls, widgets
from pages.shared.words import plain

CROPS_WIDE = 200  # pixels, at least
RANKED = {"relevance": message("Most relevant"), "activation": message("Most active")}
VALUES: dict[RankedBy, str] = {"relevance": message("Relevance"), "activation": message("Activation")}


def chosen(leading: int) -> list[int]:
    """The neuron to look at, the one that leads until somebody chooses another; and one beside it where one is named.

    Parameters
    ----------
    leading : int
        The neuron that stands out most.
    """
    st.session_state.setdefault(NEURON, leading)
    neuron, beside = st.session_state[NEURON], st.session_state.get(BESIDE)
    return [neuron] if beside is None or beside == neuron else [neuron, beside]


def boxes(places: Sequence[DeltaGenerator], neurons: int) -> None:
    """Both as numbers: each above what is shown of it, or together above the one."""
    number: dict[str, Any] = {"min_value": 0, "max_value": neurons - 1, "step": 1, "persist_state": "session"}
    with places[0].container(horizontal=True):
        st.number_input(said("Neuron"), key=NEURON, width=150, **number)
        if len(places) == 1:
            second = st.container(width=190)
    with second if len(places) == 1 else places[1]:
        st.number_input(
            said("Beside it, another"), value=None, key=BESIDE, placeholder=said("none"), width=190, **number
        )


def show(
    concepts: Concepts | None, choices: Choices, comparison: Comparison, neuron: int, beside: Sequence[int]
) -> None:
    """One neuron: its means, the images it stands for, its values in every group, and what it speaks for.

    Parameters
    ----------
    beside : neurons
        All that are shown, whose values share one axis.
    """
    numbers(comparison, neuron)
    st.header(said("Training images that neuron {neuron} stands for", neuron=neuron), anchor=False)
    reference_images(concepts, list(choices.sample.names[: choices.sample.classes]), neuron)
    distributions(choices, neuron, beside)
    weights(choices, neuron)


def numbers(comparison: Comparison, neuron: int) -> None:
    """The neuron in one line."""
    first, second = comparison.first, comparison.second

    def mean(group: Group) -> str:
        spread = group.moments.std[neuron]
        beside = f" ± {significant(spread)}" if np.isfinite(spread) else ""
        return said(
            "**{mean}**{spread} in *{group}*",
            mean=significant(group.moments.mean[neuron]),
            spread=beside,
            group=plain(group.name),
        )

    effect, auroc = comparison.effect[neuron], comparison.auroc[neuron]
    told = [
        said(
            "Mean relevance of neuron {neuron}: {first}, {second}",
            neuron=neuron,
            first=mean(first),
            second=mean(second),
        )
    ]
    if np.isfinite(effect):
        told.append(said("Cohen’s d **{effect}**", effect=significant(effect)))
    if np.isfinite(auroc):
        told.append(said("AUROC of this neuron alone **{auroc}\u00a0%**", auroc=f"{100 * auroc:.1f}"))
    st.markdown(" · ".join(told))


def distributions(choices: Choices, neuron: int, beside: Sequence[int]) -> None:
    """Its relevance or activation in every class and set of known OOD images."""
    place = "" if neuron == beside[0] else "-beside"
    what = controls.one_of(
        said("Values"),
        {by: said(text) for by, text in VALUES.items()},
        f"neurons-values{place}",
        label_visibility="collapsed",
    )
    sample, case = choices.sample, choices.case_points()
    every = sample.relevance if what == "relevance" else sample.features
    own = {name: group.relevance if what == "relevance" else group.activation for name, group in case.items()}
    together = np.concatenate([each[:, list(beside)].ravel() for each in (every, *own.values())])
    chart = value_boxes(
        {name: every[sample.groups == number, neuron] for number, name in enumerate(sample.names)},
        sample.names[sample.classes :],
        said(RELEVANCE_TO_THE_ANSWER) if what == "relevance" else said("Activation"),
        marks={name: float(value[0, neuron]) for name, value in own.items()},
        reach=(float(together.min()), float(together.max())) if len(beside) > 1 else None,
    )
    widgets.chart(chart, table=said("Values of neuron {neuron}", neuron=neuron))


def weights(choices: Choices, neuron: int) -> None:
    """What it speaks for."""
    sample = choices.sample
    widgets.chart(
        class_weights(np.asarray(sample.head.weight)[:, neuron], sample.names[: sample.classes]),
        table=said("Weights of neuron {neuron}", neuron=neuron),
    )


def reference_images(concepts: Concepts | None, classes: list[str], neuron: int) -> None:
    """The training images where it was most relevant and those where it was most active."""
    if concepts is None:
        st.info(said("This reference carries no pictures of training images."))
        return
    with st.grid(2, min_column_width=CROPS_WIDE) as grid:
        for by in RANKED_BY:
            with grid.cell():
                st.markdown(f"**{said(RANKED[by])}**")
                with controls.errors_said(st.warning):
                    _strongest(concepts, classes, neuron, by)


def _strongest(concepts: Concepts, classes: list[str], neuron: int, by: RankedBy) -> None:
    """The crops of one ranking, and what they are of."""
    crops, labels = concepts.crops(neuron, by), concepts.labels(neuron, by)
    if not crops:
        st.caption(
            said(NO_WEIGHT)
            if by == "relevance" or concepts.crops(neuron)
            else said("Nothing is stored: the neuron is silent, or this reference was fitted by an older version.")
        )
        return
    counts = [(int((labels == number).sum()), name) for number, name in enumerate(classes)]
    of = ", ".join(f"{count} {name}" for count, name in counts if count)
    if by == "relevance":
        alt = said(
            "{n} training images where neuron {neuron} was most relevant, cropped: {of}",
            n=len(crops),
            neuron=neuron,
            of=of,
        )
    else:
        alt = said(
            "{n} training images where neuron {neuron} was most active, cropped: {of}",
            n=len(crops),
            neuron=neuron,
            of=of,
        )
    st.image(tiled(crops), width="stretch", alt=alt, output_format="JPEG")
    strengths = concepts.strengths(neuron, by)
    first, last = significant(float(strengths[0])), significant(float(strengths[-1]))
    span = (
        said("relevance {first} to {last}", first=first, last=last)
        if by == "relevance"
        else said("activation {first} to {last}", first=first, last=last)
    )
    st.caption(f"{plain(of)}; {span}. {said('Cropped to where it peaked, strongest first.')}")
