"""Heatmaps can lie: maps of the trained network beside those of one that knows nothing, and how to tell."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import streamlit as st

from nero_core.data.images import read_image
from nero_core.errors import InputError
from nero_core.figures.faithfulness import WAYS, faithfulness_curves
from nero_core.figures.overlays import overlay
from nero_core.figures.palette import Cell, rounded, significant
from nero_core.reference.heatmap_truth import said_of_chance
from nero_core.wording import heatmap_method, said
from pages.lesson_views.frame import Answer, Lesson, Question, ask_again
from pages.shared import controls, resources, widgets
from pages.shared.words import plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL import Image

    from nero_core.attribution.faithfulness import Faithfulness
    from nero_core.lesson.heatmap_trial import HeatmapTrial, TwoMaps

STEP = "heatmaps_can_lie"
PICTURE, METHODS, TRIED = "lesson-heatmaps-picture", "lesson-heatmaps-methods", "lesson-heatmaps-tried"
VISIT, CURVES = "lesson-heatmaps-visit", "lesson-heatmaps-curves"
SEEDS = 2**32
BESIDE = ("gradient × input", "EpsilonAlpha2Beta1Flat")  # shown beside the best at first, where a network has them
VOTED_ON = "gradient × input"
KEPT_MAPS = 96  # pairs in memory: every example by every method of the bundled network, 0.4 MB each
OPTIONS = ("a", "b")
NARROWEST = 130  # pixels of a map: two stand side by side on a telephone


@dataclass(frozen=True, eq=False)
class Chosen:
    """The example that is looked at, and both networks."""

    trial: HeatmapTrial
    title: str
    path: Path


# Both networks and their maps: of bundled pictures only, so that sessions may share them ----------------------------


@st.cache_resource(max_entries=1, show_spinner=False)
def _trial(of: int, _lesson: Lesson) -> HeatmapTrial:
    """Both networks of a reference; `of` is its identity, which is nobody else's while this holds it."""
    from nero_core.lesson.heatmap_trial import HeatmapTrial  # the first paint waits for no torch

    return HeatmapTrial(_lesson.reference)


@st.cache_data(max_entries=KEPT_MAPS, show_spinner=False)
def _maps(of: int, path: Path, method: str, _trial: HeatmapTrial) -> TwoMaps:
    return _trial.maps(path, method)


def _maps_of(chosen: Chosen, method: str) -> TwoMaps:
    """Both maps of an example by a method, made once."""
    with st.spinner(said("Drawing both maps by {method}…", method=heatmap_method(method))):
        return _maps(id(chosen.trial), chosen.path, method, chosen.trial)


def _chosen(lesson: Lesson) -> Chosen:
    with st.spinner(said("Shuffling the weights…")):
        trial = _trial(id(lesson.reference), lesson)
    example, path = next((each, path) for each, path in resources.examples() if each.file == st.session_state[PICTURE])
    return Chosen(trial, example.kind, path)


def _sides(chosen: Chosen) -> Sequence[str]:
    """Which network's map is A and which is B: drawn for this visit and this picture."""
    from nero_core.lesson.heatmap_trial import sides

    visit: int = st.session_state.setdefault(VISIT, secrets.randbelow(SEEDS))
    return sides(visit, chosen.path.name)


def _voted_on(chosen: Chosen) -> str:
    """The method of the vote: one whose maps of both networks look much alike, where the network has it."""
    return VOTED_ON if VOTED_ON in chosen.trial.methods else chosen.trial.best


# The step ----------------------------------------------------------------------------------------------------------


def before(lesson: Lesson) -> None:
    """Which picture; it, and the two maps, unnamed."""
    offered = {example.file: example.kind for example, _ in resources.examples()}
    if not offered:
        raise InputError(said("This installation carries no examples, and this step needs one."))
    if st.session_state.get(PICTURE) not in offered:
        st.session_state.pop(PICTURE, None)
    controls.select(said("Picture"), offered, PICTURE, width=320, on_change=ask_again, args=(STEP,))
    chosen = _chosen(lesson)
    method = _voted_on(chosen)
    maps = _maps_of(chosen, method)
    picture = chosen.trial.shown(read_image(chosen.path))
    left, right = st.columns([1, 2], gap="medium")
    with left:
        st.markdown(f"**{said('The picture')}**")
        st.image(picture, width="stretch", alt=said("The picture: {name}", name=chosen.title))
    with right, st.grid(2, min_column_width=NARROWEST, gap="medium") as grid:
        for name, network in zip(OPTIONS, _sides(chosen), strict=True):
            letter = name.upper()
            with grid.cell():
                st.markdown(f"**{letter}**")
                alt = said("Heatmap {letter} by {method}", letter=letter, method=heatmap_method(method))
                st.image(overlay(picture, getattr(maps, network)), width="stretch", alt=alt)
    st.caption(said("Both by {method}, of the same picture.", method=plain(heatmap_method(method))))
    widgets.colour_bar()


def question(lesson: Lesson) -> Question:
    """Which of the two is the trained network's."""
    return Question({name: name.upper() for name in OPTIONS})


def answer(lesson: Lesson) -> Answer:
    """Which side the trained network's map was put on, and how far the two agree."""
    from nero_core.lesson.heatmap_trial import TRAINED

    chosen = _chosen(lesson)
    method = _voted_on(chosen)
    maps = _maps_of(chosen, method)
    right = OPTIONS[_sides(chosen).index(TRAINED)]
    because = said(
        "The sides were drawn by chance for this visit and this picture. {agreement}",
        agreement=_agreement(method, maps),
    )
    return Answer(right, because)


def explore(lesson: Lesson) -> None:
    """Other methods side by side, and the test by hiding."""
    chosen = _chosen(lesson)
    _side_by_side(chosen)
    _hiding(chosen)


def _agreement(method: str, maps: TwoMaps) -> str:
    """How far both maps agree, in a sentence."""
    named = plain(heatmap_method(method))
    sizes, signed = _correlation(maps.agreement_of_sizes), _correlation(maps.agreement)
    if maps.alike:
        return said(
            "With {method} the two pictures agree at **{sizes}** on where they point, and at {signed} with signs: much "
            "of it is drawn without any knowledge.",
            method=named,
            sizes=sizes,
            signed=signed,
        )
    return said(
        "With {method} the two pictures agree at **{sizes}** on where they point, and at {signed} with signs: what the "
        "network has learnt changes the picture.",
        method=named,
        sizes=sizes,
        signed=signed,
    )


def _correlation(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


# Other methods -----------------------------------------------------------------------------------------------------


@controls.section
def _side_by_side(chosen: Chosen) -> None:
    """Trained and shuffled by several methods; runs by itself when another is chosen."""
    st.subheader(said("The same by other methods"), anchor=False)
    with st.spinner(said("Asking which methods this network has…")):
        offered = chosen.trial.methods
    first = [chosen.trial.best, *(title for title in BESIDE if title in offered)]
    methods = controls.several(
        said("Heatmap methods; SmoothGrad and integrated gradients take several seconds"),
        offered,
        METHODS,
        said("Choose at least one"),
        default=list(dict.fromkeys(first)),
        format_func=heatmap_method,
    )
    picture = chosen.trial.shown(read_image(chosen.path))
    rows: list[dict[str, Cell]] = []
    for method in methods:
        with controls.errors_said(st.warning, f"{plain(heatmap_method(method))}: "):
            maps = _maps_of(chosen, method)
            _pair(method, maps, picture)
            rows.append(
                {
                    said("method"): heatmap_method(method),
                    said("agreement on places"): rounded(maps.agreement_of_sizes, 2),
                    said("agreement with signs"): rounded(maps.agreement, 2),
                }
            )
    if rows:
        st.caption(
            said(
                "Agreement is the rank correlation over square parts of the picture: 1 is the same order, 0 none. A "
                "map of what was learnt should be near 0."
            )
        )
        widgets.table_twin(rows, said("Agreement"))


def _pair(method: str, maps: TwoMaps, picture: Image.Image) -> None:
    """Both maps of one method, named, and how far they agree."""
    named = heatmap_method(method)
    with st.container(border=True):
        pair, told = st.columns([2, 1], gap="medium")
        with pair, st.grid(2, min_column_width=NARROWEST, gap="medium") as grid:
            for title, heatmap in ((said("Trained"), maps.trained), (said("Shuffled"), maps.shuffled)):
                with grid.cell():
                    alt = said("Heatmap by {method}, {network}", method=named, network=title)
                    st.image(overlay(picture, heatmap), width="stretch", alt=alt, caption=title)
        with told:
            st.markdown(f"**{plain(named)}**")
            st.markdown(_agreement(method, maps))


# Hiding what a map points at ---------------------------------------------------------------------------------------


@controls.section
def _hiding(chosen: Chosen) -> None:
    """Deletion and insertion along both maps, measured when asked; runs by itself."""
    st.subheader(said("Does hiding what it points at change the answer?"), anchor=False)
    st.markdown(
        said(
            "Parts of the picture are blurred in the order in which a map ranks them, and the trained network is asked "
            "again each time: by its own map, by that of the shuffled network, and in random order."
        )
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        methods = {title: heatmap_method(title) for title in chosen.trial.methods}
        method = controls.select(said("Method"), methods, TRIED, width=320)
        asked = st.button(said("Measure the curves"), key="lesson-heatmaps-measure", icon=":material/play_arrow:")
    of = (id(chosen.trial), chosen.path.name, method)
    kept = cast("dict[tuple[int, str, str], Faithfulness]", st.session_state.get(CURVES, {}))
    if asked and of not in kept:
        kept = {of: _measured(chosen, method)}
        st.session_state[CURVES] = kept
    if of in kept:
        _found(kept[of])


def _measured(chosen: Chosen, method: str) -> Faithfulness:
    """Measure, with a bar; a click anywhere stops it."""
    bar = st.progress(0.0, text=said("Drawing both maps…"))

    def tell(done: int, total: int) -> None:
        bar.progress(done / total, text=said("{done} of {total} blurred pictures read…", done=done, total=total))

    try:
        return chosen.trial.curves(chosen.path, _maps_of(chosen, method), progress=tell)
    finally:
        bar.empty()


def _found(measured: Faithfulness) -> None:
    """What the curves say, and the curves."""
    from nero_core.lesson.heatmap_trial import SHUFFLED, TRAINED

    orders = len(measured.random_gain)
    for network, words in (
        (TRAINED, said("The trained network’s map")),
        (SHUFFLED, said("The shuffled network’s map")),
    ):
        found = measured.effect(network)
        st.markdown(
            said(
                "**{map}** ranks places better than {beaten} of {orders} random orders (gain {points} points): "
                "**{chance}**.",
                map=words,
                beaten=int(measured.beaten(network)[0]),
                orders=orders,
                points=significant(100 * found.mean),
                chance=said_of_chance(found),
            )
        )
    tables = {"deletion": said("Deletion"), "insertion": said("Insertion")}
    for place, kind in zip(st.columns(2, gap="large"), WAYS, strict=True):
        with place:
            widgets.chart(faithfulness_curves(measured, kind), table=tables[kind])
