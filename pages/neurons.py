"""Neurons: which of them tell ordinary images from unusual ones, and what each has learnt."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import pandas  # noqa: F401  # waits for the loader's import: plotly trips over a pandas that is half there
import streamlit as st

from nero_core.neurons.statistics import Comparison
from nero_core.records import IntArray
from nero_core.reference.manifest import ReferenceEntry
from nero_core.reference.reference import Reference
from pages.neuron_views import detail, groups, link, overview, relevance_map, truth
from pages.shared import controls, door, widgets
from pages.shared.words import plain

P = ParamSpec("P")


def no_sample(entry: ReferenceEntry) -> None:
    """The empty state of an older reference."""
    st.subheader("This reference keeps no sample of its neurons", anchor=False)
    st.markdown(
        f"*{plain(entry.title)}* was fitted before samples were kept: means, distributions and the map are missing. "
        "Its verdicts and heatmaps on Case review are not concerned. Fit it once more:"
    )
    widgets.command(
        "python -m nero_core fit IMAGES --classifier classifier.safetensors --ood NAME=FOLDER --out REFERENCE"
    )


def section(part: Callable[P, None]) -> Callable[P, None]:
    """A part of the page that runs by itself when a control in it is used, and says itself what is wrong."""

    @st.fragment
    @wraps(part)
    def run(*args: P.args, **named: P.kwargs) -> None:
        with controls.errors_said():
            part(*args, **named)

    return run


@section
def neurons(stored: Reference, choices: groups.Choices, comparison: Comparison, order: IntArray) -> None:
    """The neurons that were asked for, and one of them."""
    sample = choices.sample
    if len(few := order[: st.session_state[link.SHOWN]]):
        overview.bars(comparison, few)
        overview.table(comparison, few, choices)
    else:
        st.info("No neuron is left: widen the range of numbers, or choose another class.")
    st.subheader("One neuron", anchor=False)
    neuron = detail.number_box(sample.head.width, int(order[0]) if len(order) else 0)
    link.write(groups.token(choices.entry.path), sample.head.width)
    detail.numbers(comparison, neuron)
    left, right = st.columns([7, 5], gap="large")
    with left:
        detail.distributions(choices, neuron, choices.case_points())
    with right:
        detail.weights(choices, neuron)
    st.markdown("##### Training images it stands for")
    detail.reference_images(stored.feature_concepts, list(sample.names[: sample.classes]), neuron)
    st.markdown("##### Where it looked")
    detail.heatmaps(choices, neuron)


@section
def images(stored: Reference, choices: groups.Choices) -> None:
    """The map of this reference, and of those that it is compared with."""
    st.subheader("Images by relevance", anchor=False)
    case = choices.case_points()
    compared = [st.session_state[key] for key in (link.FIRST, link.SECOND)]
    others = {key: choices.others[key.partition("-")[2]] for key in compared if key.startswith("ref-")}
    if not others:
        relevance_map.show(choices.entry, stored, case, "own")
        return
    for place, (key, entry) in zip(st.columns(1 + len(others)), [("own", choices.entry), *others.items()], strict=True):
        with place:
            st.markdown(f"**{plain(entry.title)}**")
            relevance_map.show(entry, groups.stored(entry.path), case if key == "own" else {}, key)


door.enter()
entry = widgets.needed_reference()
with controls.errors_said():
    stored = groups.stored(entry.path)
    if stored.sample is None:
        no_sample(entry)
        st.stop()
    choices, token = groups.choices(entry, stored.sample), groups.token(entry.path)
    width, classes = stored.sample.head.width, stored.sample.classes
    ignored = link.restore(choices.words, choices.default(), overview.ORDERS, width, classes, token)
    if "reference" in ignored:
        meant = choices.others.get(st.session_state[link.ASKED])
        st.info(
            f"This link was made with {f'the reference *{plain(meant.title)}*' if meant else 'another reference'}; "
            "choose that one above to see what it meant."
        )
    if rest := [name for name in ignored if name != "reference"]:
        st.info(f"Ignored in the link, as nothing here fits: {', '.join(plain(name) for name in rest)}.")
    try:
        comparison = overview.compared(choices)
    finally:
        link.write(token, width)  # also where the groups cannot be compared, or the address would bring them back
    neurons(stored, choices, comparison, overview.shown(comparison, choices))
    section(truth.show)(choices)
    images(stored, choices)
