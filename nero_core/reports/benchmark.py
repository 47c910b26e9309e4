"""A benchmark as files: tables in Markdown and CSV, one page that opens offline, and two pictures."""

from __future__ import annotations

from pathlib import Path

from nero_core import wording
from nero_core.benchmark.result import ID, RESULTS_NAME, SCORES_NAME, BenchmarkResult
from nero_core.benchmark.tables import tables
from nero_core.figures.benchmark import (
    benchmark_histogram,
    breakdown_chart,
    correlation_chart,
    leading,
    ood_scores,
    roc_chart,
)
from nero_core.figures.palette import Chart
from nero_core.metrics import METRICS
from nero_core.reports.templates import render
from nero_core.storage.files import replacing_together, write_bytes
from nero_core.storage.spreadsheets import comma_separated as table_text
from nero_core.wording import said


def write_report(result: BenchmarkResult, folder: Path) -> list[Path]:
    """Write everything that a person or a machine may want to read of a benchmark.

    ``results.json`` and ``scores.safetensors`` hold all of it (:func:`~nero_core.benchmark.reading.read_results`),
    ``results.csv`` the figures, ``scores.csv`` every image under every detector, ``report.md`` and ``report.html``
    tables and charts, ``roc.png`` and ``histograms.png`` pictures for a paper. A report is whole or absent: without
    ``results.json`` there is none.

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
    texts |= {"scores.csv": each_image(result)} if result.images else {}
    pictures = {"roc.png": roc_picture(result), "histograms.png": histogram_picture(result)} if result.scores else {}
    with replacing_together(Path(folder), last=RESULTS_NAME) as staged:
        for name, content in ({name: text.encode() for name, text in texts.items()} | pictures).items():
            write_bytes(staged / name, content)
        result.save(staged)
    return [Path(folder) / name for name in (*texts, RESULTS_NAME, SCORES_NAME, *pictures)]


# Texts -----------------------------------------------------------------------------------------------------------


def _facts(result: BenchmarkResult) -> list[str]:
    accuracy = "" if result.accuracy is None else f", accuracy {100 * result.accuracy:.1f} % on the ID test images"
    done = sum(row.done for row in result.detectors)
    facts = [
        f"{result.architecture}, classes {', '.join(result.classes)}{accuracy}. {done} detectors; intervals from "
        f"{result.resamples} resamples, seed {result.seed}."
    ]
    facts += result.promises()
    return [*facts, said(wording.STANDING_LINE)]


def _origin(result: BenchmarkResult) -> list[str]:
    versions = ", ".join(f"{name} {number}" for name, number in result.provenance["versions"].items())
    return [f"Versions: {versions}.", f"Digest of the network: {result.provenance['classifier_digest'][:16]}."]


def markdown(result: BenchmarkResult) -> str:
    """The report as Markdown."""
    command = str(result.provenance.get("command", "")).replace("`", "'")
    return render("benchmark.md", **_content(result), command=command)


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
            "title": row.label,
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


def each_image(result: BenchmarkResult) -> str:
    """One line per image and detector; calibration images of the reference itself have no names, and are left out."""
    header = ["set", "image", "sha256", "class", "predicted", "detector", "score"]
    lines: list[dict[str, object]] = []
    for set_name, images in result.images.items():
        labels = [""] * len(images.names) if images.labels is None else [result.classes[i] for i in images.labels]
        for row, scores in result.scores.items():
            given, rows = scores.ood.get(set_name.removeprefix("ood/"), scores.id), range(len(images.names))
            if set_name == "calibration":
                if scores.calibration is None or scores.calibration_rows is None:
                    continue
                given, rows = scores.calibration, scores.calibration_rows.tolist()
            lines += [
                {
                    "set": set_name,
                    "image": images.names[place],
                    "sha256": images.digests[place],
                    "class": labels[place],
                    "predicted": result.classes[images.predicted[place]],
                    "detector": row,
                    "score": float(score),
                }
                for place, score in zip(rows, given, strict=True)
            ]
    return table_text(lines, header)


def page(result: BenchmarkResult) -> str:
    """The report as one HTML page that needs no network."""
    command = str(result.provenance.get("command", ""))
    return render("benchmark.html", **_content(result), command=command, charts=_charts(result))


def _content(result: BenchmarkResult) -> dict[str, object]:
    return {
        "title": f"Benchmark of {result.title}",
        "facts": _facts(result),
        "warnings": result.warnings,
        "tables": tables(result),
        "origin": _origin(result),
    }


def _charts(result: BenchmarkResult) -> list[tuple[str, Chart]]:
    """Every chart of the page with its heading; none where no detector is done."""
    if not result.scores:
        return []
    charts = [(said(wording.ROC_CURVES), roc_chart(result))]
    if len(result.columns) > 1:
        charts.append(("AUROC per OOD set", breakdown_chart(result)))
    charts += [
        (f"Scores of {row.label}", benchmark_histogram(result.scores[row.name], row.title))
        for row in result.ranked()
        if row.name in leading(result)
    ]
    titles = {row.name: row.label for row in result.detectors}
    return [*charts, ("Agreement between detectors", correlation_chart(result.rank_correlation, titles=titles))]
