"""A benchmark as files: tables in Markdown and CSV, one page that opens offline, and two pictures."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nero_core.benchmark.columns import CLASS_KINDS, COMPARED, difference, of_counts, papers, percent
from nero_core.benchmark.result import ID, POOLED, RESULTS_NAME, SCORES_NAME, BenchmarkResult, DetectorResult
from nero_core.figures.benchmark import (
    benchmark_histogram,
    breakdown_chart,
    correlation_chart,
    label,
    leading,
    ood_scores,
    roc_chart,
)
from nero_core.figures.palette import Chart
from nero_core.metrics import HIGHER_IS_BETTER, METRICS
from nero_core.storage.files import replacing_together, write_bytes
from nero_core.storage.spreadsheets import comma_separated as table_text

if TYPE_CHECKING:
    from nero_core.detectors import Paper

DISCLAIMER = "Research use. “Unusual” does not mean diseased, and “usual” does not mean healthy."
READING = (
    "Percent, with bootstrap 95 % intervals in brackets; the best value of a column is marked ★. AUROC and AUPR: "
    "higher is better, and an AUROC of 50 is chance. FPR (OOD passing at 95 % ID): share of OOD images that pass where "
    "95 % of ID images do. FPR (ID flagged at 95 % OOD): share of ID images flagged where 95 % of OOD images are. Of "
    "both, lower is better. Two detectors whose intervals overlap may still differ: see the differences."
)


@dataclass(frozen=True)
class Table:
    """One table of texts, with a sentence on how to read it."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str = ""
    linked: bool = False
    """Whether the last column holds addresses."""


def write_report(result: BenchmarkResult, folder: Path) -> list[Path]:
    """Write everything that a person or a machine may want to read of a benchmark.

    ``results.json`` and ``scores.safetensors`` hold all of it (:func:`~nero_core.benchmark.reading.read_results`),
    ``results.csv`` the figures, ``report.md`` and ``report.html`` tables and charts, ``roc.png`` and
    ``histograms.png`` pictures for a paper. A report is whole or absent: without ``results.json`` there is none.

    Returns
    -------
    paths
        What was written, in this order.

    Raises
    ------
    ArtefactError
        The folder cannot be written.
    """
    from nero_core.reports.pictures import histogram_picture, roc_picture  # matplotlib only where it draws

    texts = {"report.html": page(result), "report.md": markdown(result), "results.csv": comma_separated(result)}
    pictures = {"roc.png": roc_picture(result), "histograms.png": histogram_picture(result)} if result.scores else {}
    with replacing_together(Path(folder), last=RESULTS_NAME) as staged:
        for name, content in ({name: text.encode() for name, text in texts.items()} | pictures).items():
            write_bytes(staged / name, content)
        result.save(staged)
    return [Path(folder) / name for name in (*texts, RESULTS_NAME, SCORES_NAME, *pictures)]


# Tables ----------------------------------------------------------------------------------------------------------


def tables(result: BenchmarkResult) -> list[Table]:
    """Every table of a report, the main one first."""
    column = result.columns[-1] if result.sets else POOLED
    ranked = result.ranked()
    found = [_main_table(result, ranked, column)] if ranked else []
    if ranked and len(result.ood_sets) > 1:
        found += [_per_set_table(result, ranked, metric) for metric in ("auroc", "fpr_ood_at_95_id_tpr")]
    found += [table for kind in CLASS_KINDS if (table := _class_table(result, ranked, kind)) is not None]
    if result.baseline is not None and len(ranked) > 1:
        found.append(_difference_table(result, ranked, column))
    if refused := [row for row in result.detectors if not row.done]:
        found.append(Table("Could not run", ("Detector", "Why"), [(label(row), row.reason) for row in refused]))
    if result.published:
        found.append(_published_table(result))
    if cited := papers(result.detectors):
        found.append(_papers_table(cited))
    found.append(
        Table(
            "Images",
            ("Set", "Used", "Images", "Unreadable", "SHA-256 of all"),
            [(s.name, _use(s.role), str(s.images), str(s.unreadable), s.digest[:16]) for s in result.sets],
        )
    )
    return found


def _use(role: str) -> str:
    return {
        "fit": "fits the detectors",
        "calibration": "calibrates decisions",
        "id": "scored as in-distribution",
        "ood": "scored as out-of-distribution",
    }[role]


def _best(rows: Sequence[DetectorResult], column: str, metric: str) -> float:
    values = [row.metrics[column][metric].value for row in rows]
    return max(values) if HIGHER_IS_BETTER[metric] else min(values)


def _main_table(result: BenchmarkResult, ranked: Sequence[DetectorResult], column: str) -> Table:
    best = {metric: _best(ranked, column, metric) for metric in METRICS}
    alpha = f"{100 * result.alpha:g} %"
    header = ("Detector", *METRICS.values(), f"ID flagged at α = {alpha}", f"OOD flagged at α = {alpha}", "Seconds")
    rows = []
    for row in ranked:
        figures = row.metrics[column]
        cells = [percent(figures[metric], figures[metric].value == best[metric]) for metric in METRICS]
        shares = [f"{100 * row.flagged[name]:.1f}" if name in row.flagged else "–" for name in (ID, column)]
        rows.append((label(row), *cells, *shares, f"{row.fit_seconds + row.score_seconds:.2f}"))
    counts = {each.role: each.images for each in result.sets}
    ood = sum(each.images for each in result.sets if each.role == "ood")
    title = f"ID ({counts['id']} images) against {'all OOD sets' if column == POOLED else column} ({ood} images)"
    return Table(title, header, rows, READING)


def _per_set_table(result: BenchmarkResult, ranked: Sequence[DetectorResult], metric: str) -> Table:
    best = {column: _best(ranked, column, metric) for column in result.columns}
    rows = [
        (
            label(row),
            *(percent(row.metrics[c][metric], row.metrics[c][metric].value == best[c]) for c in result.columns),
        )
        for row in ranked
    ]
    sizes = {each.name: each.images for each in result.sets if each.role == "ood"}
    header = ("Detector", *(f"{name} ({sizes[name]})" if name in sizes else "all" for name in result.columns))
    return Table(f"{METRICS[metric]} per OOD set", header, rows, "One large set can carry the figures over all.")


def _class_table(result: BenchmarkResult, ranked: Sequence[DetectorResult], kind: str) -> Table | None:
    """False alarms of each class, as counts; None where none were counted."""
    counted = [row for row in ranked if kind in row.false_alarms]
    if not counted:
        return None
    rows = [(label(row), *(of_counts(row.false_alarms[kind][name]) for name in result.classes)) for row in counted]
    title = f"ID images flagged at α = {100 * result.alpha:g} %, by {kind} class"
    return Table(title, ("Detector", *result.classes), rows, CLASS_KINDS[kind])


def _difference_table(result: BenchmarkResult, ranked: Sequence[DetectorResult], column: str) -> Table:
    base = next(row for row in ranked if row.name == result.baseline)
    rows = [
        (label(row), *(difference(row.differences[column][metric]) for metric in COMPARED))
        for row in ranked
        if row is not base
    ]
    note = (
        f"Percentage points, each detector minus {label(base)} on the same resampled images; an interval without 0 is "
        "a difference that these images show."
    )
    return Table(f"Differences from {label(base)}", ("Detector", *(METRICS[metric] for metric in COMPARED)), rows, note)


def _published_table(result: BenchmarkResult) -> Table:
    published = result.published
    rows: list[tuple[str, ...]] = []
    ours = {row.detector: row for row in result.detectors if row.done and not row.ablation}
    for entry in published["rows"]:
        row = ours.get(entry["detector"])
        here = row and row.metrics[result.columns[-1]]
        rows.append(
            (
                entry["title"],
                f"{100 * entry['auroc']:.2f}",
                percent(here["auroc"]) if here else "–",
                f"{100 * entry['fpr_ood_at_95_id_tpr']:.2f}",
                percent(here["fpr_ood_at_95_id_tpr"]) if here else "–",
            )
        )
    header = ("Detector", "AUROC published", "AUROC here", "FPR published", "FPR here (OOD passing at 95 % ID)")
    verdict = "Comparable" if published["comparable"] else "Not comparable"
    source = f" Source: {published['source']}" if published["source"] else ""
    note = f"{verdict}: {published['reason']}{source}"
    return Table(f"Published figures, protocol {published['protocol']}", header if rows else (), rows, note)


def _papers_table(cited: Mapping[str, Paper]) -> Table:
    rows: list[tuple[str, ...]] = [
        (title, paper.citation, paper.title if paper.authors else "", paper.url) for title, paper in cited.items()
    ]
    return Table("Papers", ("Detector", "Paper", "Title", "Link"), rows, linked=True)


# Texts -----------------------------------------------------------------------------------------------------------


def _title(result: BenchmarkResult) -> str:
    return f"Benchmark of {result.title}"


def _facts(result: BenchmarkResult) -> list[str]:
    accuracy = "" if result.accuracy is None else f", accuracy {100 * result.accuracy:.1f} % on the ID test images"
    done = sum(row.done for row in result.detectors)
    facts = [
        f"{result.architecture}, classes {', '.join(result.classes)}{accuracy}. {done} detectors; intervals from "
        f"{result.resamples} resamples, seed {result.seed}.",
    ]
    facts += result.promises()
    return [*facts, DISCLAIMER]


def _origin(result: BenchmarkResult) -> list[str]:
    versions = ", ".join(f"{name} {number}" for name, number in result.provenance["versions"].items())
    return [f"Versions: {versions}.", f"Digest of the network: {result.provenance['classifier_digest'][:16]}."]


def markdown(result: BenchmarkResult) -> str:
    """The report as Markdown."""

    def cell(text: str) -> str:
        return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())

    lines = [f"# {cell(_title(result))}", "", *(f"{cell(fact)}\n" for fact in _facts(result))]
    if result.warnings:
        lines += ["**Warnings**", "", *(f"- {cell(text)}" for text in result.warnings), ""]
    for table in tables(result):
        lines += [f"## {cell(table.title)}", ""]
        if table.header:
            lines.append("| " + " | ".join(cell(text) for text in table.header) + " |")
            lines.append("|" + "|".join(["---"] + ["---:"] * (len(table.header) - 1)) + "|")
        lines += ["| " + " | ".join(cell(text) for text in row) + " |" for row in table.rows]
        lines += ["", cell(table.note), ""] if table.note else [""]
    if command := result.provenance.get("command"):
        lines += ["## The same again", "", "```", str(command).replace("`", "'"), "```", ""]
    lines += [f"{cell(text)}\n" for text in _origin(result)]
    return "\n".join(lines)


def comma_separated(result: BenchmarkResult) -> str:
    """One line per detector and OOD set, fractions with their intervals; refused detectors last, with the reason."""
    header = ["detector", "title", "set", "id_images", "ood_images", "status", "reason"]
    for metric in METRICS:
        header += [metric, f"{metric}_low", f"{metric}_high"]
    header += ["id_flagged", "ood_flagged", "guaranteed", "no_guarantee_because", "fit_seconds", "score_seconds"]
    lines: list[dict[str, object]] = []
    for row in [*result.ranked(), *(row for row in result.detectors if not row.done)]:
        about: dict[str, object] = {
            "detector": row.name,
            "title": label(row),
            "status": row.status,
            "reason": row.reason,
        }
        if not row.done:
            lines.append(about)
        for column in result.columns if row.done else ():
            figures = {
                f"{metric}{end}": each
                for metric, interval in row.metrics[column].items()
                for end, each in zip(("", "_low", "_high"), interval, strict=True)
            }
            counts = {
                "id_images": len(result.scores[row.name].id),
                "ood_images": len(ood_scores(result, row.name, column)),
            }
            shares: dict[str, object] = {"id_flagged": row.flagged.get(ID), "ood_flagged": row.flagged.get(column)}
            if row.calibration is not None:
                shares |= {
                    "guaranteed": row.calibration.guaranteed,
                    "no_guarantee_because": row.calibration.no_guarantee_because,
                }
            seconds = {"fit_seconds": round(row.fit_seconds, 4), "score_seconds": round(row.score_seconds, 4)}
            lines.append(about | {"set": column} | counts | figures | shares | seconds)
    return table_text(lines, header)


STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; color: #1c2329; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #d5dbe0; text-align: right; vertical-align: top; }
td { white-space: nowrap; } th:first-child, td:first-child { text-align: left; }
.words td { text-align: left; white-space: normal; }
.wide { overflow-x: auto; } pre { white-space: pre-wrap; background: #f2f4f6; padding: .8rem; }
.note { color: #4a5560; max-width: 60rem; } .warning { border-left: 4px solid #C28000; padding-left: .8rem; }
"""


def page(result: BenchmarkResult) -> str:
    """The report as one HTML page that needs no network."""
    parts = [f"<h1>{_safe(_title(result))}</h1>", *(f"<p>{_safe(fact)}</p>" for fact in _facts(result))]
    parts += [f'<p class="warning">{_safe(text)}</p>' for text in result.warnings]
    every = tables(result)
    if result.scores:
        parts.append(_html_table(every.pop(0)))
        charts = [("ROC curves", roc_chart(result))]
        if len(result.columns) > 1:
            charts.append(("AUROC per OOD set", breakdown_chart(result)))
        charts += [
            (f"Scores of {label(row)}", benchmark_histogram(result.scores[row.name], row.title))
            for row in result.ranked()
            if row.name in leading(result)
        ]
        titles = {row.name: label(row) for row in result.detectors}
        charts.append(("Agreement between detectors", correlation_chart(result.rank_correlation, titles=titles)))
        for number, (title, chart) in enumerate(charts):
            parts += [f"<h2>{_safe(title)}</h2>", _figure(chart, with_library=number == 0)]
    parts += [_html_table(table) for table in every]
    if command := result.provenance.get("command"):
        parts += ["<h2>The same again</h2>", f"<pre>{_safe(str(command))}</pre>"]
    parts += [f'<p class="note">{_safe(text)}</p>' for text in _origin(result)]
    head = f'<meta charset="utf-8"><title>{_safe(_title(result))}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _safe(text: str) -> str:
    return html.escape(text)


def _html_table(table: Table) -> str:
    words = ' class="words"' if table.title in ("Could not run", "Papers") else ""
    head = "".join(f'<th scope="col">{_safe(text)}</th>' for text in table.header)
    cells = [[_safe(text) for text in row] for row in table.rows]
    if table.linked:
        cells = [[*rest, f'<a href="{url}">{url}</a>' if url else ""] for *rest, url in cells]
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in cells)
    note = f'<p class="note">{_safe(table.note)}</p>' if table.note else ""
    if not table.header:
        return f"<h2>{_safe(table.title)}</h2>{note}"
    return (
        f"<h2>{_safe(table.title)}</h2>{note}\n"
        f'<div class="wide"><table{words}><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'
    )


def _figure(chart: Chart, with_library: bool) -> str:
    drawn: str = chart.figure.to_html(full_html=False, include_plotlyjs=with_library, config={"displayModeBar": False})
    alt = _safe(chart.alt)
    return f'<figure role="img" aria-label="{alt}">{drawn}<figcaption>{alt}</figcaption></figure>'
