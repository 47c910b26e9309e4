"""A benchmark's tables, once for every place that prints them: numbers with intervals, the best marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nero_core import wording
from nero_core.benchmark.result import ID, POOLED, BenchmarkResult, DetectorResult
from nero_core.metrics import HIGHER_IS_BETTER, Interval
from nero_core.wording import label, message, metric_meaning, metric_title, said

if TYPE_CHECKING:
    from nero_core.detectors import Paper

BEST = message(" ★ best")
NO_VALUE = "–"

COMPARED = ("auroc", "fpr_ood_at_95_id_tpr", "fpr_id_at_95_ood_tpr")
"""The metrics that differences and ablations are shown in; the files hold all."""


CLASS_KINDS = {
    "predicted": message(
        "By the class that the network reads. With calibration by class the bound holds for each of these."
    ),
    "true": message("By the class an image is of. The bound holds for it only as far as the network reads it rightly."),
}
"""How false alarms are counted per class, with a sentence on what that says."""


@dataclass(frozen=True)
class Column:
    """One column: what it sorts by and what it says, per row."""

    label: str
    help: str
    values: Sequence[float | None]
    texts: Sequence[str]
    links: bool = False
    """Whether the texts are addresses."""

    @classmethod
    def of_texts(cls, label: str, texts: Sequence[str], help: str = "", links: bool = False) -> Column:
        """A column that sorts by its texts."""
        return cls(label, help, [None] * len(texts), texts, links)


@dataclass(frozen=True)
class Table:
    """One table; the page, the report, the command line and its files print it from here.

    Attributes
    ----------
    title : str
    first : str
        What the names are, as the heading of their column.
    names : texts
        One per row.
    columns : Columns
    note : str
        A sentence on how to read it.
    """

    title: str
    first: str
    names: Sequence[str]
    columns: Sequence[Column]
    note: str = ""

    @property
    def header(self) -> tuple[str, ...]:
        """The heading of every column."""
        return (self.first, *(column.label for column in self.columns))

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The texts of every row."""
        return [(name, *(c.texts[place] for c in self.columns)) for place, name in enumerate(self.names)]


def titled(metric: str) -> str:
    """A metric as a column's name, with an arrow to its better end."""
    return f"{metric_title(metric)} {'↑' if HIGHER_IS_BETTER[metric] else '↓'}"


def percent(interval: Interval, best: bool = False) -> str:
    """Such as ``95.8 (93.2–97.9) ★ best``, in percent."""
    return (
        f"{100 * interval.value:.1f} ({100 * interval.low:.1f}–{100 * interval.high:.1f}){said(BEST) if best else ''}"
    )


def difference(interval: Interval) -> str:
    """Such as ``+3.1 (+0.4 to +5.9)``, percentage points."""
    value, low, high = (f"{100 * each:+.1f}".replace("-", "−") for each in interval)
    return said("{value} ({low} to {high})", value=value, low=low, high=high)


def judged(interval: Interval, higher_is_better: bool) -> str:
    """A paired difference with a word: ``+3.1 (+0.4 to +5.9) better``."""
    if interval.low <= 0 <= interval.high:
        word = said("not told apart")
    else:
        word = said("better") if (interval.value > 0) == higher_is_better else said("worse")
    return f"{difference(interval)} {word}"


def metric_columns(
    rows: Sequence[DetectorResult], ood_set: str, metrics: Sequence[str] = tuple(wording.METRICS)
) -> list[Column]:
    """Metrics on one OOD set."""
    columns = []
    for metric in metrics:
        found = [row.metrics[ood_set][metric] for row in rows]
        values = [100 * each.value for each in found]
        best = max(values, default=0) if HIGHER_IS_BETTER[metric] else min(values, default=0)
        marked = [percent(each, len(rows) > 1 and value == best) for each, value in zip(found, values, strict=True)]
        columns.append(Column(titled(metric), metric_meaning(metric), values, marked))
    return columns


def difference_columns(rows: Sequence[DetectorResult], ood_set: str, baseline: str) -> list[Column]:
    """The metrics that do not depend on how many images there are, minus the baseline's on the same resamples."""
    columns = []
    for metric in COMPARED:
        found = [row.differences[ood_set][metric] if row.differences else None for row in rows]
        values = [0.0 if each is None else 100 * each.value for each in found]
        texts = [
            f"{NO_VALUE} {said('this is {baseline}', baseline=baseline)}"
            if e is None
            else judged(e, HIGHER_IS_BETTER[metric])
            for e in found
        ]
        above = said("Percentage points above or below {baseline}.", baseline=baseline)
        text = f"{above} {metric_meaning(metric)}"
        columns.append(Column(f"Δ {titled(metric)}", text, values, texts))
    return columns


def decision_columns(rows: Sequence[DetectorResult], ood_set: str, alpha: float) -> list[Column]:
    """What is flagged when at most α of the ordinary images may be."""
    aim = f"{100 * alpha:g} %"
    wanted = (
        (
            said("ID flagged (aim: at most {aim})", aim=aim),
            ID,
            said("Share of ID test images that are flagged: false alarms."),
        ),
        (
            said("OOD flagged ↑"),
            ood_set,
            said("Share of OOD images that are flagged at the same setting. Higher is better."),
        ),
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
        texts = [NO_VALUE if each is None else said("{n} of {of}", n=each[0], of=each[1]) for each in counts]
        columns.append(Column(name, said(CLASS_KINDS[kind]), values, texts))
    return columns


def method_columns(rows: Sequence[DetectorResult]) -> list[Column]:
    """Where each comes from, and how it was run."""
    seconds = [row.fit_seconds + row.score_seconds for row in rows]
    parameters = [", ".join(f"{key} = {_value(value)}" for key, value in row.parameters.items()) for row in rows]
    fitted = [said("here") if row.fitted == "here" else said("reference") for row in rows]
    again = [said("images, again") if row.sees_images else said("stored activations") for row in rows]
    return [
        Column(said("Year"), said("Of publication."), [row.year for row in rows], [str(row.year) for row in rows]),
        Column(
            said("Seconds ↓"),
            said("Fitting and scoring, beside the pass all share."),
            seconds,
            [f"{s:.2f}" for s in seconds],
        ),
        Column.of_texts(said("Parameters"), parameters, said("As they were set.")),
        Column.of_texts(said("Fitted"), fitted, said("Here, or taken from the reference.")),
        Column.of_texts(said("Looks at"), again, said("Whether it had to go through the network again.")),
        Column.of_texts(said("Paper"), [row.paper for row in rows], said("Where it comes from.")),
    ]


def papers(rows: Sequence[DetectorResult]) -> dict[str, Paper]:
    """The paper of each detector that is installed here, by its title; a file that was read may name any other."""
    from nero_core.detectors import paper_of  # a second, which figures alone need not wait for

    found = {row.title: paper_of(row.detector) for row in rows}
    return {title: paper for title, paper in found.items() if paper is not None}


def _value(value: object) -> str:
    """A parameter as it was set; None where it follows from the images."""
    if value is None:
        return said("auto")
    return " + ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def comparable(result: BenchmarkResult) -> str:
    """Whether published figures may be held against these."""
    return said(wording.COMPARABLE if result.published["comparable"] else wording.NOT_COMPARABLE)


def published_columns(result: BenchmarkResult) -> list[Column]:
    """Published figures beside ours, for each published row; ours are missing where a detector did not run."""
    ours = {row.detector: row for row in result.detectors if row.done and not row.ablation}
    column, entries = result.columns[-1], result.published["rows"]
    columns: list[Column] = []
    for metric in ("auroc", "fpr_ood_at_95_id_tpr"):
        theirs = [100 * float(entry[metric]) for entry in entries]
        here = [ours[e["detector"]].metrics[column][metric] if e["detector"] in ours else None for e in entries]
        values = [None if each is None else 100 * each.value for each in here]
        texts = [NO_VALUE if each is None else percent(each) for each in here]
        name, text = titled(metric), metric_meaning(metric)
        columns += [Column(said("{metric} published", metric=name), text, theirs, [f"{value:.2f}" for value in theirs])]
        columns += [Column(said("{metric} here", metric=name), text, values, texts)]
    return columns


FLAGGED_BY = {
    "predicted": message("ID images flagged at α = {alpha} %, by predicted class"),
    "true": message("ID images flagged at α = {alpha} %, by true class"),
}


# Whole tables ----------------------------------------------------------------------------------------------------

EXPLAINED = ("fpr_ood_at_95_id_tpr", "fpr_id_at_95_ood_tpr")
"""Metrics that the main table explains under it: two that share a name."""
USES = {
    "fit": message("fits the detectors"),
    "calibration": message("calibrates decisions"),
    "id": message("scored as in-distribution"),
    "ood": message("scored as out-of-distribution"),
}
"""What each role of images does."""


def tables(result: BenchmarkResult) -> list[Table]:
    """Every table of a report, the main one first."""
    ranked = result.ranked()
    found = [main_table(result, ranked)] if ranked else []
    if ranked and len(result.ood_sets) > 1:
        found += [_per_set_table(result, ranked, metric) for metric in ("auroc", "fpr_ood_at_95_id_tpr")]
    for kind, note in CLASS_KINDS.items():
        if counted := [row for row in ranked if kind in row.false_alarms]:
            title = said(FLAGGED_BY[kind], alpha=f"{100 * result.alpha:g}")
            found.append(_of_detectors(title, counted, class_columns(counted, result.classes, kind), said(note)))
    if result.baseline is not None and len(ranked) > 1:
        found.append(_difference_table(result, ranked))
    if refused := [row for row in result.detectors if not row.done]:
        found.append(
            _of_detectors(
                label(wording.COULD_NOT_RUN), refused, [Column.of_texts(said("Why"), [r.reason for r in refused])]
            )
        )
    if result.published:
        found.append(_published_table(result))
    if cited := papers(result.detectors):
        columns = [
            Column.of_texts(said("Paper"), [paper.citation for paper in cited.values()]),
            Column.of_texts(said("Title"), [paper.title if paper.authors else "" for paper in cited.values()]),
            Column.of_texts(said("Link"), [paper.url for paper in cited.values()], links=True),
        ]
        found.append(Table(said("Papers"), label(wording.DETECTOR), list(cited), columns))
    facts = {
        said("Used"): [said(USES[each.role]) for each in result.sets],
        said("Images"): [str(each.images) for each in result.sets],
        said("Unreadable"): [str(each.unreadable) for each in result.sets],
        said("SHA-256 of all"): [each.digest[:16] for each in result.sets],
    }
    names = [each.name for each in result.sets]
    found.append(
        Table(said("Images"), said("Set"), names, [Column.of_texts(name, texts) for name, texts in facts.items()])
    )
    return found


def main_table(result: BenchmarkResult, ranked: Sequence[DetectorResult]) -> Table:
    """Every detector over all OOD images: metrics, what is flagged, and the time."""
    column = result.columns[-1]
    counts = {each.role: each.images for each in result.sets}
    ood = sum(each.images for each in result.sets if each.role == "ood")
    told = {"id": counts["id"], "ood": ood}
    title = (
        said("ID ({id} images) against all OOD sets ({ood} images)", **told)
        if column == POOLED
        else said("ID ({id} images) against {set} ({ood} images)", set=column, **told)
    )
    columns = [*metric_columns(ranked, column), *decision_columns(ranked, column, result.alpha)]
    return _of_detectors(title, ranked, [*columns, method_columns(ranked)[1]], reading())


def reading() -> str:
    """How the main table is read, with the two metrics that share a name explained."""
    explained = (f"{metric_title(metric)}: {metric_meaning(metric)}" for metric in EXPLAINED)
    overlap = said("Detectors whose intervals overlap may still differ: see the differences.")
    return " ".join([said(wording.IN_PERCENT), overlap, *explained])


def _of_detectors(title: str, rows: Sequence[DetectorResult], columns: Sequence[Column], note: str = "") -> Table:
    return Table(title, label(wording.DETECTOR), [row.label for row in rows], columns, note)


def _per_set_table(result: BenchmarkResult, ranked: Sequence[DetectorResult], metric: str) -> Table:
    sizes = {each.name: each.images for each in result.sets if each.role == "ood"}
    columns = []
    for name in result.columns:
        (found,) = metric_columns(ranked, name, [metric])
        label = f"{name} ({sizes[name]})" if name in sizes else said("all")
        columns.append(Column(label, found.help, found.values, found.texts))
    note = said("One large set can carry the figures over all.")
    return _of_detectors(said("{metric} per OOD set", metric=metric_title(metric)), ranked, columns, note)


def _difference_table(result: BenchmarkResult, ranked: Sequence[DetectorResult]) -> Table:
    base = next(row for row in ranked if row.name == result.baseline)
    others = [row for row in ranked if row is not base]
    shows = said("An interval without 0 is a difference that these images show.")
    note = f"{said(wording.POINTS_AGAINST, baseline=base.label)} {shows}"
    columns = difference_columns(others, result.columns[-1], base.label)
    return _of_detectors(said("Differences from {baseline}", baseline=base.label), others, columns, note)


def _published_table(result: BenchmarkResult) -> Table:
    published = result.published
    verdict = label(comparable(result))
    source = said(" Source: {source}", source=published["source"]) if published["source"] else ""
    note = f"{verdict}: {said(published['reason'])}{source}"
    columns = published_columns(result) if published["rows"] else []
    names = [entry["title"] for entry in published["rows"]]
    return Table(
        said("Published figures, protocol {protocol}", protocol=published["protocol"]),
        label(wording.DETECTOR),
        names,
        columns,
        note,
    )
