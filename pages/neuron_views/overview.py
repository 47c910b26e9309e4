"""All neurons in two groups of images: what to compare, which to show, bars, table, files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import streamlit as st

from nero_core.figures.neurons import SPREAD_SHOWN, neuron_bars, neuron_rows
from nero_core.figures.palette import Cell
from nero_core.neurons.sample import as_npz
from nero_core.neurons.statistics import Comparison, Order
from nero_core.records import IntArray
from nero_core.storage.spreadsheets import comma_separated
from nero_core.wording import message, said, speaking
from nero_core.wording.languages import ENGLISH
from pages.neuron_views.groups import Choices
from pages.neuron_views.link import EVERY_CLASS, FEWEST_SHOWN, FIRST, NEURON, OF_CLASS, ORDER, RANGE, SECOND, SHOWN
from pages.shared import controls, widgets
from pages.shared.words import plain

ORDERS: dict[Order, str] = {
    "effect": message("Effect size (Cohen’s d)"),
    "auroc": message("AUROC of the neuron alone"),
    "difference": message("Difference of means"),
    "first": message("Mean, first group"),
    "second": message("Mean, second group"),
    "number": message("Number"),
}
BARS, TABLE = "neurons-bars", "neurons-table"
TABLE_HEIGHT, ROW_PIXELS = 620, 35


def ask(choices: Choices) -> None:
    """What to compare, in which order, and which neurons: one line where there is room."""
    d, classes = choices.sample.head.width, list(choices.sample.names[: choices.sample.classes])
    with st.grid(4, min_column_width=210, vertical_alignment="bottom") as grid:
        for label, key in ((said("Compare"), FIRST), (said("with"), SECOND)):
            with grid.cell():
                controls.select(label, choices.words, key)
        with grid.cell():
            controls.select(said("Order by"), {order: said(text) for order, text in ORDERS.items()}, ORDER)
        with grid.cell(), st.popover(said("Which neurons"), icon=":material/filter_list:", width="stretch"):
            st.slider(
                said("Neurons shown ({d} = all)", d=d), min(FEWEST_SHOWN, d), d, key=SHOWN, persist_state="session"
            )
            st.slider(said("Numbers from … to"), 0, d - 1, key=RANGE, persist_state="session")
            controls.select(
                said("Speaking most for"),
                {EVERY_CLASS: said("any class"), **dict(enumerate(classes))},
                OF_CLASS,
                help=said("Neurons whose largest weight leads into this class."),
            )
    if "ref" in {st.session_state[key].partition("-")[0] for key in (FIRST, SECOND)}:
        st.caption(
            said(
                "Neuron by neuron, two references are comparable only where they hold the same network; neurons of "
                "networks trained apart share nothing but their number."
            )
        )


def compared(choices: Choices) -> Comparison:
    """Which two groups of images; the first is the scale of the second.

    Raises
    ------
    NeroError
        A group cannot be read, or belongs to a network of another size.
    """
    return Comparison(choices.group(st.session_state[FIRST]), choices.group(st.session_state[SECOND]))


def shown(comparison: Comparison, choices: Choices) -> IntArray:
    """Which neurons, the one that stands out most first."""
    weight = np.asarray(choices.sample.head.weight)
    low, high = st.session_state[RANGE]
    order: IntArray = comparison.order(st.session_state[ORDER])
    order = order[(order >= low) & (order <= high)]
    if (wanted := st.session_state[OF_CLASS]) != EVERY_CLASS:
        order = order[weight.argmax(axis=0)[order] == wanted]
    return order


def bars(comparison: Comparison, order: IntArray, looked_at: Sequence[int]) -> None:
    """The chart; a click on a bar chooses its neuron."""
    chart = neuron_bars(comparison, order, chosen=looked_at)
    widgets.plot(chart, "Neurons", key=BARS, on_select=_take_bar, selection_mode="points")
    means = (
        said("Bars: mean relevance over all images of a group; whiskers: one standard deviation.")
        if len(order) <= SPREAD_SHOWN
        else said("Bars: mean relevance over all images of a group.")
    )
    st.caption(f"{means} {said('Choose a bar, a row of the table or a number: that neuron is beside.')}")


def table(comparison: Comparison, order: IntArray, choices: Choices) -> None:
    """The same neurons in numbers, sortable; a row chooses its neuron."""
    sample = choices.sample
    weight, classes = np.asarray(sample.head.weight), sample.names[: sample.classes]
    rows = neuron_rows(comparison, order, weight, classes)
    st.session_state[f"{TABLE}-order"] = [int(j) for j in order]
    st.dataframe(
        rows,
        hide_index=True,
        height=min(ROW_PIXELS * (len(rows) + 1) + 3, TABLE_HEIGHT),
        placeholder="–",
        key=TABLE,
        on_select=_take_row,
        selection_mode="single-row",
        alt=said("{n} neurons with their mean relevance in both groups, effect sizes and weights", n=len(order)),
    )
    everything = comparison.order(st.session_state[ORDER])
    kept = min(len(comparison.first.relevance), len(comparison.second.relevance))
    first, second = len(comparison.first.relevance), len(comparison.second.relevance)
    notes = [
        said(
            "Differences, Cohen’s d and AUROC: second group ({second}) against the first ({first}); positive d and an "
            "AUROC above 50 % mean higher relevance in the second.",
            second=plain(comparison.second.name),
            first=plain(comparison.first.name),
        ),
        said("AUROC from the {first} and {second} images that are kept.", first=first, second=second)
        if kept > 1
        else said(
            "AUROC from the {first} and {second} images that are kept: too few for a group of one image; what has no "
            "number is ordered by difference.",
            first=first,
            second=second,
        ),
        said(
            "One far below 50 % tells the groups apart, too. The best of {n} neurons is partly luck.", n=len(everything)
        ),
    ]
    st.caption(" ".join(notes))
    with st.container(horizontal=True):
        named = partial(neuron_rows, comparison, everything, weight, classes, names=_apart(comparison))
        controls.download(said("All neurons (CSV)"), lambda: _as_csv(named), "neurons.csv", "text/csv", "neurons-csv")
        controls.download(
            said("Raw arrays (NPZ)"),
            lambda: as_npz(sample),
            "neurons.npz",
            "application/octet-stream",
            "neurons-npz",
            help=said(
                "Relevance, activation and group of every image that is kept, means over all images, weights of the "
                "head. Opens with numpy.load, without pickles."
            ),
        )
    widgets.picture_choice("Neurons")


def _as_csv(rows: Callable[[], list[dict[str, Cell]]]) -> str:
    """A table as a file, whose columns are of no language."""
    with speaking(ENGLISH):
        return comma_separated(rows())


def _apart(comparison: Comparison) -> tuple[str, str]:
    """The names of both groups, which may be the same group twice."""
    first, second = comparison.first.name, comparison.second.name
    return first, second if second != first else said("{group} (second)", group=second)


def _take_bar() -> None:
    points = st.session_state[BARS].selection.points
    if points and str(number := points[0].get("x", "")).isdigit():
        st.session_state[NEURON] = int(number)


def _take_row() -> None:
    order = st.session_state[f"{TABLE}-order"]
    if (rows := st.session_state[TABLE].selection.rows) and rows[0] < len(order):
        st.session_state[NEURON] = order[rows[0]]
