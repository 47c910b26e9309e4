"""A benchmark's tables on screen: numbers that sort under the texts that are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from nero_core import wording
from nero_core.benchmark import tables
from nero_core.benchmark.result import POOLED, BenchmarkResult, DetectorResult
from nero_core.wording import label, message, said
from pages.shared import controls
from pages.shared.words import plain

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

    from nero_core.detectors import Paper

KIND_WORDS = {"predicted": message("As read by the network"), "true": message("As they are")}
TABLE, ROWS = "benchmark-table", "benchmark-table-rows"
HAIR = 1e-9
ROWS_AT_ONCE, ROW_PIXELS, FIRST_PIXELS = 24, 35, 160


def set_words(name: str) -> str:
    """An OOD set as it is called on the page."""
    return said("All OOD images together") if name == POOLED else name


def show(
    names: Sequence[str], columns: Sequence[tables.Column], *, first: str | None = None, alt: str, **more: Any
) -> None:
    """One table, of detectors where `first` says nothing else; a column without values sorts by its text.

    `more` as :func:`streamlit.dataframe` has it.
    """
    first = label(wording.DETECTOR) if first is None else first
    settings = {column.label: st.column_config.Column(help=column.help) for column in columns}
    styled = written(names, columns, first)
    height: Literal["content"] | int = (
        "content" if len(names) <= ROWS_AT_ONCE else round(ROW_PIXELS * (ROWS_AT_ONCE + 1.5))
    )
    st.dataframe(
        styled,
        hide_index=True,
        column_config={first: st.column_config.Column(pinned=True, width=FIRST_PIXELS), **settings},
        height=height,
        alt=alt,
        **more,
    )


def written(names: Sequence[str], columns: Sequence[tables.Column], first: str) -> Styler:
    """Numbers to sort by under the texts to read."""
    import pandas

    content: dict[str, Sequence[str] | list[float | None]] = {first: list(names)}
    shown: dict[str, Callable[[float], str]] = {}
    for column in columns:
        if all(value is None for value in column.values):
            content[column.label] = column.texts
            continue
        # A hair apart, so that equal values keep texts of their own: pandas hands a formatter the value alone.
        apart = [None if value is None else value + HAIR * place for place, value in enumerate(column.values)]
        content[column.label] = apart
        shown[column.label] = dict(zip(apart, column.texts, strict=True)).__getitem__
    return pandas.DataFrame(content).style.format(shown, na_rep=tables.NO_VALUE)


def refused(rows: Sequence[DetectorResult]) -> None:
    """The detectors that could not run, each with its reason."""
    if left_out := [row for row in rows if not row.done]:
        st.markdown(f"**{label(wording.COULD_NOT_RUN)} ({len(left_out)})**")
        st.markdown("\n".join(f"- **{plain(row.label)}**: {plain(row.reason)}" for row in left_out))


def main_table(result: BenchmarkResult, ood_set: str, chosen: str) -> None:
    """Every detector on one OOD set, best first, in one of four views.

    Parameters
    ----------
    chosen : str
        The key of the session under which the detector of the row that is chosen is put.
    """
    rows = by_auroc(result.detectors, ood_set)
    base = next((row for row in rows if row.name == result.baseline), None)
    named = base.label if base is not None else ""
    views = {"figures": said("Figures")} | (
        {"difference": said("Against {detector}", detector=plain(named))} if base is not None else {}
    )
    views |= {"decisions": said("Flagged at α = {alpha} %", alpha=f"{100 * result.alpha:g}")}
    if any(row.false_alarms for row in rows):
        views |= {"classes": said("False alarms by class")}
    views |= {"method": said("Method and time")}
    view = controls.one_of(said("Columns"), views, f"benchmark-view-{'-'.join(views)}")
    columns = {
        "figures": lambda: tables.metric_columns(rows, ood_set),
        "difference": lambda: tables.difference_columns(rows, ood_set, named),
        "decisions": lambda: tables.decision_columns(rows, ood_set, result.alpha),
        "classes": lambda: tables.class_columns(rows, result.classes, class_kind(rows)),
        "method": lambda: tables.method_columns(rows),
    }[view]()
    st.session_state[ROWS] = [row.name for row in rows]
    show(
        [row.label for row in rows],
        columns,
        alt=said("Detectors on {images}: {view}", images=set_words(ood_set), view=views[view]),
        key=TABLE,
        on_select=partial(_take_row, chosen),
        selection_mode="single-row",
    )
    st.caption(_reading(view, result, named))
    if view == "method" and (found := tables.papers(rows)):
        with st.expander(said("Papers")):
            st.markdown("\n".join(f"- **{plain(title)}**: {_linked(paper)}" for title, paper in found.items()))


def _take_row(chosen: str) -> None:
    """The detector of the row becomes the one that is looked at; a row that is chosen no more changes nothing."""
    names = st.session_state[ROWS]
    if (rows := st.session_state[TABLE].selection.rows) and rows[0] < len(names):
        st.session_state[chosen] = names[rows[0]]


def _linked(paper: Paper) -> str:
    """The citation as a link, with the title of the paper behind it."""
    return paper.markdown + (f", {plain(paper.title)}" if paper.authors else "")


def class_kind(rows: Sequence[DetectorResult]) -> str:
    """Whether classes are those that the network reads, or those that images are of."""
    kinds = {
        kind: said(KIND_WORDS[kind]) for kind in tables.CLASS_KINDS if any(kind in row.false_alarms for row in rows)
    }
    chosen = controls.one_of(said("Classes"), kinds, f"benchmark-classes-{'-'.join(kinds)}")
    st.caption(said(tables.CLASS_KINDS[chosen]))
    return chosen


def by_auroc(rows: Sequence[DetectorResult], ood_set: str) -> list[DetectorResult]:
    """The detectors proper that are done, best first."""
    done = [row for row in rows if row.done and not row.ablation]
    return sorted(done, key=lambda row: -row.metrics[ood_set]["auroc"].value)


def _reading(view: str, result: BenchmarkResult, baseline: str) -> str:
    if view == "figures":
        note = said("Click a column’s name to sort. Detectors whose intervals overlap may still differ.")
        return f"{said(wording.IN_PERCENT)} {note}"
    if view == "difference":
        note = said("“Not told apart”: the 95 % interval holds 0, so these images do not show a difference.")
        return f"{said(wording.POINTS_AGAINST, baseline=plain(baseline))} {note}"
    if view == "decisions":
        if not any(row.flagged for row in result.detectors):
            return said("No shares: there were too few calibration images, or none.")
        return plain(" ".join(result.promises()))
    if view == "classes":
        return said("Flagged of all ID test images of a class. With few images, chance moves these counts a lot.")
    return said("All detectors share one pass over the images; the seconds are beside it.")
