"""Neurons: which of them tell ordinary images from unusual ones, and what each has learnt."""

import pandas  # noqa: F401  # waits for the loader's import: plotly trips over a pandas that is half there
import streamlit as st

from nero_core.errors import NeroError
from nero_core.neurons.statistics import Comparison
from nero_core.records import IntArray
from nero_core.reference.manifest import ReferenceEntry
from nero_core.reference.reference import Reference
from nero_core.wording import said
from pages.neuron_views import detail, groups, heatmaps, link, overview, relevance_map, truth
from pages.shared import controls, door, widgets
from pages.shared.words import plain


def no_sample(entry: ReferenceEntry) -> None:
    """The empty state of an older reference."""
    st.header(said("This reference keeps no sample of its neurons"), anchor=False)
    st.markdown(
        said(
            "*{title}* was fitted before samples were kept: means, distributions and the map are missing. Its "
            "verdicts and heatmaps on Case review are not concerned. Fit it once more:",
            title=plain(entry.title),
        )
    )
    widgets.command(
        "python -m nero_core fit IMAGES --classifier classifier.safetensors --ood NAME=FOLDER --out REFERENCE"
    )


@controls.section
def neurons(stored: Reference, choices: groups.Choices, comparison: Comparison, order: IntArray) -> None:
    """The neurons that were asked for, and beside them one of these, or two."""
    sample = choices.sample
    width, leading = sample.head.width, int(order[0]) if len(order) else 0
    shown = detail.chosen(leading)
    left, *places = st.columns([6, 5] if len(shown) == 1 else [5, 4, 4], gap="medium")
    detail.boxes(places, width)
    with left:
        if len(few := order[: st.session_state[link.SHOWN]]):
            overview.bars(comparison, few, shown)
            overview.table(comparison, few, choices)
        else:
            st.info(said("No neuron is left: widen the range of numbers, or choose another class."))
    for place, neuron in zip(places, shown, strict=True):
        with place:
            detail.show(stored.feature_concepts, choices, comparison, neuron, shown)
    link.write(groups.token(choices.entry.path), width)
    st.header(said("Where it looked") if len(shown) == 1 else said("Where they looked"), anchor=False)
    heatmaps.show(choices, shown)


@controls.section
def images(stored: Reference, choices: groups.Choices) -> None:
    """The map of this reference, and of those that it is compared with."""
    st.header(said("Images by relevance"), anchor=False)
    case = choices.case_points()
    compared = [st.session_state[key] for key in (link.FIRST, link.SECOND)]
    others = {key: choices.others[key.partition("-")[2]] for key in compared if key.startswith("ref-")}
    if not others:
        relevance_map.show(choices.entry, stored, case, "own")
        return
    for place, (key, entry) in zip(st.columns(1 + len(others)), [("own", choices.entry), *others.items()], strict=True):
        with place:
            st.markdown(f"**{plain(entry.title)}**")
            relevance_map.show(entry, groups.stored(entry.path), case if key == "own" else {}, key, wide=False)


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
            said("This link was made with another reference; choose that one above to see what it meant.")
            if meant is None
            else said(
                "This link was made with the reference *{title}*; choose that one above to see what it meant.",
                title=plain(meant.title),
            )
        )
    if rest := [name for name in ignored if name != "reference"]:
        st.info(
            said("Ignored in the link, as nothing here fits: {names}.", names=", ".join(plain(name) for name in rest))
        )
    overview.ask(choices)
    try:
        comparison = overview.compared(choices)
    except NeroError:
        link.write(token, width)  # or the address would bring back groups that cannot be compared
        raise
    neurons(stored, choices, comparison, overview.shown(comparison, choices))
    controls.section(truth.show)(choices)
    images(stored, choices)
