"""A benchmark's tables: numbers that sort, written with their intervals, the best of a column marked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import streamlit as st

from nero_core.evaluation.result import ID, POOLED, BenchmarkResult, DetectorResult
from nero_core.figures.benchmark import label
from nero_core.metrics import HIGHER_IS_BETTER, Interval
from pages.shared.words import plain

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

BEST = " ★ best"
NO_VALUE = "–"
HAIR = 1e-9
ROWS_AT_ONCE, ROW_PIXELS, FIRST_PIXELS = 20, 35, 160

METRIC_WORDS: Mapping[str, tuple[str, str]] = {
    "auroc": (
        "AUROC ↑",
        "How often an OOD image scores higher than an ID image. Higher is better; 50 % is chance.",
    ),
    "fpr_ood_at_95_id_tpr": (
        "OOD accepted at 95 % ID kept ↓",
        "Share of OOD images that pass as ID where 95 % of the ID images do. Lower is better. FPR95 with ID as the "
        "positive class, as the papers on NERO, LINe and ODIN give it.",
    ),
    "fpr_id_at_95_ood_tpr": (
        "ID flagged at 95 % OOD caught ↓",
        "Share of ID images that are flagged where 95 % of the OOD images are. Lower is better. FPR95 with OOD as the "
        "positive class, as OpenOOD 1.5 gives it.",
    ),
    "aupr_out": ("AUPR-out ↑", "Average precision with OOD as the positive class. Depends on how many of each."),
    "aupr_in": ("AUPR-in ↑", "Average precision with ID as the positive class. Depends on how many of each."),
}
"""Each metric as a column's name, and what it counts."""
COMPARED = ("auroc", "fpr_ood_at_95_id_tpr", "fpr_id_at_95_ood_tpr")
"""The metrics that differences and ablations are shown in; the files hold all."""


@dataclass(frozen=True)
class Column:
    """One column: what it sorts by and what it says, per row."""

    label: str
    help: str
    values: Sequence[float | None]
    texts: Sequence[str]


def set_words(name: str) -> str:
    """An OOD set as it is called on the page."""
    return "All OOD images together" if name == POOLED else name


def is_ablation(row: DetectorResult) -> bool:
    """Whether it is a detector taken apart, such as ``nero[k=100]``."""
    return row.name != row.detector


def percent(interval: Interval, best: bool = False) -> str:
    """Such as ``95.8 (93.2–97.9) ★ best``, in percent."""
    return f"{100 * interval.value:.1f} ({100 * interval.low:.1f}–{100 * interval.high:.1f}){BEST if best else ''}"


def points(interval: Interval, higher_is_better: bool) -> str:
    """A paired difference in percentage points and in a word: ``+3.1 (+0.4 to +5.9) better``."""
    value, low, high = (f"{100 * each:+.1f}".replace("-", "−") for each in interval)
    if interval.low <= 0 <= interval.high:
        word = "not told apart"
    else:
        word = "better" if (interval.value > 0) == higher_is_better else "worse"
    return f"{value} ({low} to {high}) {word}"


# Columns ---------------------------------------------------------------------------------------------------------


def metric_columns(rows: Sequence[DetectorResult], ood_set: str) -> list[Column]:
    """Every metric on one OOD set."""
    columns = []
    for metric, (name, text) in METRIC_WORDS.items():
        found = [row.metrics[ood_set][metric] for row in rows]
        values = [100 * each.value for each in found]
        best = max(values, default=0) if HIGHER_IS_BETTER[metric] else min(values, default=0)
        marked = [percent(each, len(rows) > 1 and value == best) for each, value in zip(found, values, strict=True)]
        columns.append(Column(name, text, values, marked))
    return columns


def difference_columns(rows: Sequence[DetectorResult], ood_set: str, baseline: str) -> list[Column]:
    """The metrics that do not depend on how many images there are, minus the baseline's on the same resamples."""
    columns = []
    for metric in COMPARED:
        name, text = METRIC_WORDS[metric]
        found = [row.differences[ood_set][metric] if row.differences else None for row in rows]
        values = [0.0 if each is None else 100 * each.value for each in found]
        texts = [f"{NO_VALUE} this is {baseline}" if e is None else points(e, HIGHER_IS_BETTER[metric]) for e in found]
        columns.append(Column(f"Δ {name}", f"Percentage points above or below {baseline}. {text}", values, texts))
    return columns


def decision_columns(rows: Sequence[DetectorResult], ood_set: str, alpha: float) -> list[Column]:
    """What is flagged when at most α of the ordinary images may be."""
    aim = f"{100 * alpha:g} %"
    wanted = (
        (f"ID flagged (aim: at most {aim})", ID, "Share of ID test images that are flagged: false alarms."),
        ("OOD flagged ↑", ood_set, "Share of OOD images that are flagged at the same setting. Higher is better."),
    )
    columns = []
    for name, key, text in wanted:
        shares = [row.flagged.get(key) for row in rows]
        values = [None if share is None else 100 * share for share in shares]
        columns.append(Column(name, text, values, [NO_VALUE if v is None else f"{v:.1f} %" for v in values]))
    return columns


def method_columns(rows: Sequence[DetectorResult]) -> list[Column]:
    """Where each comes from, and how it was run."""
    seconds = [row.fit_seconds + row.score_seconds for row in rows]
    parameters = [", ".join(f"{key} = {_value(value)}" for key, value in row.parameters.items()) for row in rows]
    fitted = ["here" if row.fitted == "here" else "reference" for row in rows]
    again = ["images, again" if row.sees_images else "stored activations" for row in rows]
    no_values = [None] * len(rows)
    return [
        Column("Year", "Of publication.", [row.year for row in rows], [str(row.year) for row in rows]),
        Column("Seconds ↓", "Fitting and scoring, beside the pass all share.", seconds, [f"{s:.2f}" for s in seconds]),
        Column("Parameters", "As they were set.", no_values, parameters),
        Column("Fitted", "Here, or taken from the reference.", no_values, fitted),
        Column("Looks at", "Whether it had to go through the network again.", no_values, again),
        Column("Paper", "Where it comes from.", no_values, [row.paper for row in rows]),
    ]


def _value(value: object) -> str:
    """A parameter as it was set; None where it follows from the images."""
    if value is None:
        return "auto"
    return " + ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


# On screen -------------------------------------------------------------------------------------------------------


def show(names: Sequence[str], columns: Sequence[Column], *, first: str, alt: str) -> None:
    """One table; a column without values sorts by its text."""
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
    )


def written(names: Sequence[str], columns: Sequence[Column], first: str) -> Styler:
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
    return pandas.DataFrame(content).style.format(shown, na_rep=NO_VALUE)


def refused(rows: Sequence[DetectorResult]) -> None:
    """The detectors that could not run, each with its reason."""
    if left_out := [row for row in rows if not row.done]:
        st.markdown(f"**Could not run ({len(left_out)})**")
        st.markdown("\n".join(f"- **{plain(label(row))}**: {plain(row.reason)}" for row in left_out))


def main_table(result: BenchmarkResult, ood_set: str) -> None:
    """Every detector on one OOD set, best first, in one of four views."""
    rows = by_auroc(result.detectors, ood_set)
    base = next((row for row in rows if row.name == result.baseline), None)
    named = label(base) if base is not None else ""
    views = {"figures": "Figures"} | ({"difference": f"Against {plain(named)}"} if base is not None else {})
    views |= {"decisions": f"Flagged at α = {100 * result.alpha:g} %", "method": "Method and time"}
    view = st.segmented_control(
        "Columns",
        list(views),
        format_func=views.__getitem__,
        default="figures",
        required=True,
        key=f"benchmark-view-{'-'.join(views)}",
        persist_state="session",
    )
    columns = {
        "figures": lambda: metric_columns(rows, ood_set),
        "difference": lambda: difference_columns(rows, ood_set, named),
        "decisions": lambda: decision_columns(rows, ood_set, result.alpha),
        "method": lambda: method_columns(rows),
    }[view]()
    show([label(row) for row in rows], columns, first="Detector", alt=f"Detectors on {set_words(ood_set)}: {view}")
    st.caption(_reading(view, result, named))


def by_auroc(rows: Sequence[DetectorResult], ood_set: str) -> list[DetectorResult]:
    """The detectors proper that are done, best first."""
    done = [row for row in rows if row.done and not is_ablation(row)]
    return sorted(done, key=lambda row: -row.metrics[ood_set]["auroc"].value)


def _reading(view: str, result: BenchmarkResult, baseline: str) -> str:
    if view == "figures":
        return (
            "Percent, with bootstrap 95 % intervals in brackets. ↑ higher is better, ↓ lower is better, ★ best of its "
            "column. Click a column’s name to sort. Detectors whose intervals overlap may still differ."
        )
    if view == "difference":
        return (
            f"Percentage points, each detector minus {plain(baseline)} on the same resampled images. “Not told apart”: "
            "the 95 % interval holds 0, so these images do not show a difference."
        )
    if view == "decisions":
        if not any(row.flagged for row in result.detectors):
            return "No shares: there were too few held-out calibration images, or none."
        if result.guaranteed:
            return (
                "The calibration images are known to be unseen by the network: the aim holds for ID images on average."
            )
        return "No guarantee: the calibration images are not known to be unseen by the network."
    return "All detectors share one pass over the images; the seconds are beside it."
