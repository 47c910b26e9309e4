"""A benchmark's ROC curves and histograms as PNG, drawn without a browser or a screen."""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nero_core.benchmark.result import BenchmarkResult
from nero_core.figures.benchmark import FILLS, LINES, histogram_edges, leading, ood_scores
from nero_core.figures.palette import ACCENT, NEUTRAL, histogram_shares
from nero_core.metrics import roc_points
from nero_core.wording import ID_FLAGGED, OOD_FLAGGED, OOD_SCORE, SHARE_OF_IMAGES, said


def roc_picture(result: BenchmarkResult) -> bytes:
    """ROC curves of the leading detectors over all OOD images, as PNG."""
    column = result.columns[-1]
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axes = figure.add_subplot()
    rows = [row for row in result.ranked() if row.name in leading(result)]
    for number, row in enumerate(rows):
        curve = roc_points(result.scores[row.name].id, ood_scores(result, row.name, column))
        area = row.metrics[column]["auroc"]
        axes.plot(
            curve.id_flagged, curve.ood_flagged, color=LINES[number % len(LINES)][0], linewidth=1.8,
            linestyle=("-", "--", ":", "-.")[number % 4],
            label=f"{row.label} {100 * area.value:.1f} ({100 * area.low:.1f}–{100 * area.high:.1f})",
        )  # fmt: skip
    axes.plot([0, 1], [0, 1], color=NEUTRAL, linewidth=0.8)
    axes.set(xlabel=said(ID_FLAGGED), ylabel=said(OOD_FLAGGED), xlim=(0, 1), ylim=(0, 1.01))
    axes.legend(title="AUROC in percent (95 % interval)", loc="lower right", fontsize=8, title_fontsize=8)
    return _png(figure)


def histogram_picture(result: BenchmarkResult) -> bytes:
    """Score histograms of the leading detectors, as PNG."""
    rows = [row for row in result.ranked() if row.name in leading(result)]
    columns = min(2, len(rows))
    lines = -(-len(rows) // columns)
    figure = Figure(figsize=(5 * columns, 2.6 * lines + 0.5), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, row in zip(grid, rows, strict=False):
        scores = result.scores[row.name]
        edges = histogram_edges(scores)
        axes.stairs(histogram_shares(scores.id, edges), edges, fill=True, color=ACCENT, alpha=0.6, label="ID test")
        for number, (name, values) in enumerate(scores.ood.items()):
            axes.stairs(
                histogram_shares(values, edges), edges, color=LINES[(number + 1) % len(LINES)][0], linewidth=1.4,
                hatch=FILLS[number % len(FILLS)], alpha=0.9, label=_plain(name),
            )  # fmt: skip
        axes.locator_params(axis="x", nbins=5)
        axes.set(title=_plain(row.label), xlabel=said(OOD_SCORE), ylabel=said(SHARE_OF_IMAGES))
    for axes in grid[len(rows) :]:
        axes.set_axis_off()
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return _png(figure)


def _plain(name: str) -> str:
    """A user's name that matplotlib neither hides (a leading underscore) nor reads as mathematics."""
    return name.replace("$", r"\$").lstrip("_") or "OOD"


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(stream, format="png", dpi=150, metadata={"Software": None})
    return stream.getvalue()
