"""A benchmark's figures in words: numbers with their intervals, the best of a column marked, differences judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nero_core.benchmark.result import ID, DetectorResult
from nero_core.metrics import HIGHER_IS_BETTER, Interval

if TYPE_CHECKING:
    from nero_core.detectors import Paper

BEST = " ★ best"
NO_VALUE = "–"

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


CLASS_KINDS = {
    "predicted": "By the class that the network reads. With calibration by class the bound holds for each of these.",
    "true": "By the class an image is of. The bound holds for it only as far as the network reads it rightly.",
}
"""How false alarms are counted per class, with a sentence on what that says."""


@dataclass(frozen=True)
class Column:
    """One column: what it sorts by and what it says, per row."""

    label: str
    help: str
    values: Sequence[float | None]
    texts: Sequence[str]


def percent(interval: Interval, best: bool = False) -> str:
    """Such as ``95.8 (93.2–97.9) ★ best``, in percent."""
    return f"{100 * interval.value:.1f} ({100 * interval.low:.1f}–{100 * interval.high:.1f}){BEST if best else ''}"


def difference(interval: Interval) -> str:
    """Such as ``+3.1 (+0.4 to +5.9)``, percentage points."""
    value, low, high = (f"{100 * each:+.1f}".replace("-", "−") for each in interval)
    return f"{value} ({low} to {high})"


def judged(interval: Interval, higher_is_better: bool) -> str:
    """A paired difference with a word: ``+3.1 (+0.4 to +5.9) better``."""
    if interval.low <= 0 <= interval.high:
        word = "not told apart"
    else:
        word = "better" if (interval.value > 0) == higher_is_better else "worse"
    return f"{difference(interval)} {word}"


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
        texts = [f"{NO_VALUE} this is {baseline}" if e is None else judged(e, HIGHER_IS_BETTER[metric]) for e in found]
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


def class_columns(rows: Sequence[DetectorResult], classes: Sequence[str], kind: str) -> list[Column]:
    """How many ID images of each class are flagged, by "predicted" or by "true" class; counts, as classes are small."""
    columns = []
    for name in classes:
        counts = [row.false_alarms.get(kind, {}).get(name) for row in rows]
        values = [None if each is None or not each[1] else 100 * each[0] / each[1] for each in counts]
        texts = [NO_VALUE if each is None else of_counts(each) for each in counts]
        columns.append(Column(name, CLASS_KINDS[kind], values, texts))
    return columns


def of_counts(counts: Sequence[int]) -> str:
    """Such as ``3 of 21``."""
    return f"{counts[0]} of {counts[1]}"


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


def papers(rows: Sequence[DetectorResult]) -> dict[str, Paper]:
    """The paper of each detector that is installed here, by its title; a file that was read may name any other."""
    from nero_core.detectors import paper_of  # a second, which figures alone need not wait for

    found = {row.title: paper_of(row.detector) for row in rows}
    return {title: paper for title, paper in found.items() if paper is not None}


def _value(value: object) -> str:
    """A parameter as it was set; None where it follows from the images."""
    if value is None:
        return "auto"
    return " + ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
