"""A benchmark as charts: ROC curves, score histograms, figures per OOD set, and agreement between detectors."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import numpy as np

from nero_core import wording
from nero_core.benchmark.result import POOLED, BenchmarkResult, Scores
from nero_core.errors import InputError
from nero_core.figures import palette
from nero_core.figures.palette import Cell, Chart, blank_figure, histogram_shares, rounded, table
from nero_core.metrics import roc_points
from nero_core.records import Float64Array
from nero_core.wording import metric_title, said

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "5px,2px")
LINES = tuple(zip(palette.SERIES, DASHES, strict=True))
"""Each colour with a dash of its own."""

FILLS = ("/", "\\", ".", "x", "-", "|")

LEGEND_BELOW = 84  # pixels, under the axis and its title

SHOWN = 6
"""So many curves are drawn at first; the others are one click away."""

CHANCE = 50.0
"""AUROC in percent of a score that tells nothing: where the colours of a map begin."""

BINS = 40
BULK = (0.005, 0.995)
"""Quantiles of all scores between which a histogram's bins lie; what is beyond counts in the outermost."""
REACH = 3
"""So many times the spread of ordinary scores is shown beyond them: far images would press all others flat."""


def leading(result: BenchmarkResult, count: int = SHOWN) -> tuple[str, ...]:
    """The best detectors by pooled AUROC, and the baseline; a detector taken apart is not among them."""
    names = [row.name for row in result.ranked() if not row.ablation]
    first = names[:count]
    return tuple(first if result.baseline is None or result.baseline in first else [*first, result.baseline])


def _shown(name: str) -> str:
    """A user's text in a figure, where plotly would take markup for markup."""
    return html.escape(name, quote=False)


def ood_scores(result: BenchmarkResult, name: str, ood_set: str) -> Float64Array:
    """Scores of one detector on an OOD set, or on all of them for "pooled".

    Raises
    ------
    InputError
        The benchmark has no such detector or set.
    """
    if name not in result.scores:
        raise InputError(f"No scores of {name!r}; there are {', '.join(result.scores) or 'none'}.")
    sets = result.scores[name].ood
    if ood_set == POOLED:
        return np.concatenate(list(sets.values()))
    if ood_set not in sets:
        raise InputError(f"No OOD set {ood_set!r}; there are {', '.join(sets)}.")
    return sets[ood_set]


def roc_chart(
    result: BenchmarkResult,
    names: Sequence[str] | None = None,
    ood_set: str | None = None,
    *,
    height: int = 520,
    dark: bool = False,
) -> Chart:
    """ROC curves, OOD as the positive class.

    Parameters
    ----------
    names : rows, optional
        Drawn at first; the others wait in the legend. By default :func:`leading`.
    ood_set : str, optional
        By default all OOD images.
    height : int
        In pixels.
    """
    shown = leading(result) if names is None else tuple(names)
    column = ood_set or result.columns[-1]
    figure = blank_figure(dark, height=height)
    rows: list[Mapping[str, Cell]] = []
    ordered = sorted(result.ranked(), key=lambda row: row.name not in shown)
    for number, row in enumerate(ordered):
        curve = roc_points(result.scores[row.name].id, ood_scores(result, row.name, column))
        colour, dash = LINES[number % len(LINES)]
        area = row.metrics[column]["auroc"]
        figure.add_scatter(
            x=curve.id_flagged, y=curve.ood_flagged, mode="lines", line={"color": colour, "dash": dash, "width": 2},
            name=f"{_shown(row.label)} · {100 * area.value:.1f} %",
            visible=True if row.name in shown else "legendonly",
            hovertemplate=said("{id} of ID flagged, {ood} of OOD flagged", id="%{x:.1%}", ood="%{y:.1%}"),
        )  # fmt: skip
        ends = zip(("AUROC (%)", said("AUROC from (%)"), said("AUROC to (%)")), area, strict=True)
        rows.append({said("detector"): row.label} | {name: rounded(100 * value) for name, value in ends})
    dotted = {"color": palette.NEUTRAL, "width": 1, "dash": "dot"}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=dotted, name=said("chance"), hoverinfo="skip")
    figure.update_layout(
        xaxis={"title": said(wording.ID_FLAGGED), "range": [0, 1], "tickformat": ".0%"},
        yaxis={"title": said(wording.OOD_FLAGGED), "range": [0, 1.005], "tickformat": ".0%"},
    )
    if set(shown) >= {row.name for row in ordered}:
        figure.update_layout(legend={"y": -LEGEND_BELOW / height, "yanchor": "top"})
    else:  # the many that wait would push the curves away
        figure.update_layout(legend={"orientation": "v", "x": 1.02, "y": 1, "yanchor": "top"})
    best = max(ordered, key=lambda row: row.metrics[column]["auroc"].value, default=None)
    alt = said("ROC curves of {n} detectors on {column}", n=len(rows), column=column)
    if best:
        largest = f"{best.metrics[column]['auroc'].value:.1%}"
        alt += said("; the largest area is that of {detector}, {area}.", detector=best.label, area=largest)
    else:
        alt += "."
    return Chart(figure, rows, alt)


def benchmark_histogram(scores: Scores, title: str, *, threshold: float | None = None, dark: bool = False) -> Chart:
    """Histograms of one detector's scores: ID test images and each OOD set.

    Parameters
    ----------
    threshold : float, optional
        Scores above it are flagged.
    """
    edges = histogram_edges(scores)
    figure = blank_figure(dark, height=340)
    centres, width = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    share_of = {said("ID test images ({n})", n=len(scores.id)): histogram_shares(scores.id, edges)}
    share_of |= {f"{name} ({len(values)})": histogram_shares(values, edges) for name, values in scores.ood.items()}
    for number, (name, shares) in enumerate(share_of.items()):
        colour = palette.ACCENT if number == 0 else LINES[number % len(LINES)][0]
        pattern = {} if number == 0 else {"shape": FILLS[(number - 1) % len(FILLS)], "fgcolor": colour, "size": 6}
        figure.add_bar(
            x=centres, y=[share or None for share in shares], width=width, name=_shown(name),
            marker={
                "color": colour if number == 0 else "rgba(0,0,0,0)", "pattern": pattern,
                "line": {"width": 0 if number == 0 else 1.5, "color": colour},
            },
            hovertemplate=said("score about {score}: {share} %", score="%{x:.3g}", share="%{y:.2g}"),
        )  # fmt: skip
    if threshold is not None and edges[0] <= threshold <= edges[-1]:
        flagged = said(wording.FLAGGED_BEYOND)
        figure.add_vline(x=threshold, line={"color": palette.NEUTRAL, "dash": "dash"}, annotation_text=flagged)
    tallest = max((max(shares, default=0.0) for shares in share_of.values()), default=0.0)
    figure.update_layout(
        barmode="overlay",
        xaxis={"title": said(wording.OOD_SCORE_OF, detector=_shown(title)), "range": [edges[0], edges[-1]]},
        yaxis={"title": said(wording.SHARE_OF_IMAGES), "range": [0, 1.15 * tallest or 1]},  # room for the line's words
    )
    rows = table({said(wording.SCORE_FROM): edges[:-1], said("to"): edges[1:], **share_of})
    above = {name: float((values > np.median(scores.id)).mean()) for name, values in scores.ood.items()}
    shares_in_words = ", ".join(
        said("{share} of {name}", share=f"{share:.0%}", name=name) for name, share in above.items()
    )
    return Chart(
        figure,
        rows,
        said(
            "Histograms of {title} scores; above the median ID test image lie {shares}.",
            title=title,
            shares=shares_in_words,
        ),
    )


def histogram_edges(scores: Scores) -> Float64Array:
    """Equal bins over the bulk of all scores, as far as `REACH` allows."""
    everything = np.concatenate([scores.id, *scores.ood.values()])
    low, high = np.quantile(everything, BULK)
    usual = np.quantile(scores.id, BULK)
    if (spread := usual[1] - usual[0]) > 0:
        low, high = max(low, usual[0] - REACH * spread), min(high, usual[1] + REACH * spread)
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges: Float64Array = np.linspace(low, high, BINS + 1)
    return edges


def breakdown_chart(
    result: BenchmarkResult, names: Sequence[str] | None = None, metric: str = "auroc", *, dark: bool = False
) -> Chart:
    """One metric per OOD set with its interval: a large set can carry a pooled figure.

    Parameters
    ----------
    names : rows, optional
        By default :func:`leading`.
    metric : str
        One of :data:`nero_core.metrics.METRICS`.
    """
    shown = [row for row in result.ranked(metric) if row.name in (leading(result) if names is None else names)]
    figure = blank_figure(dark, height=120 + 34 * len(result.columns) * max(1, len(shown)) // 2)
    rows: list[Mapping[str, Cell]] = []
    places = np.arange(len(result.columns), dtype=np.float64)
    for number, row in enumerate(shown):
        found = [row.metrics[column][metric] for column in result.columns]
        values = np.array([each.value for each in found])
        offset = (number - (len(shown) - 1) / 2) * 0.8 / max(1, len(shown))
        figure.add_scatter(
            x=values, y=places + offset, mode="markers", name=_shown(row.label),
            marker={"color": LINES[number % len(LINES)][0], "symbol": number % len(LINES), "size": 9},
            error_x={
                "type": "data", "symmetric": False, "thickness": 1.5,
                "array": [each.high - each.value for each in found],
                "arrayminus": [each.value - each.low for each in found],
            },
            hovertemplate="%{x:.1%}",
        )  # fmt: skip
        for column, each in zip(result.columns, found, strict=True):
            cells: dict[str, Cell] = {
                said("detector"): row.name,
                said("OOD set"): column,
                metric_title(metric): rounded(each.value),
            }
            rows.append(cells | {said("from"): rounded(each.low), said("to"): rounded(each.high)})
    sets = [_shown(column) for column in result.columns]
    figure.update_layout(
        xaxis={
            "title": said("{metric} with its 95 % interval", metric=metric_title(metric)),
            "tickformat": ".0%",
        },
        yaxis={"tickvals": places, "ticktext": sets, "autorange": "reversed", "showgrid": False},
    )
    return Chart(
        figure,
        rows,
        said(
            "{metric} of {n} detectors on {sets} sets.",
            metric=metric_title(metric),
            n=len(shown),
            sets=len(result.columns),
        ),
    )


def breakdown_map(
    result: BenchmarkResult, names: Sequence[str] | None = None, metric: str = "auroc", *, dark: bool = False
) -> Chart:
    """One metric of every detector on every OOD set, in percent, as colours and numbers.

    Parameters
    ----------
    names : rows, optional
        By default all that are done; best first.
    metric : str
        One of :data:`nero_core.metrics.METRICS`.
    """
    shown = [row for row in result.ranked(metric) if names is None or row.name in names]
    sets = [said("all together") if column == POOLED else column for column in result.columns]
    across, down = [_shown(name) for name in sets], [_shown(row.label) for row in shown]
    low, falls = CHANCE if metric == "auroc" else 0.0, metric.startswith("fpr")
    values = [[100 * row.metrics[column][metric].value for column in result.columns] for row in shown]
    figure = blank_figure(dark, height=110 + 26 * len(shown))
    figure.add_heatmap(
        z=values, x=across, y=down,
        colorscale=palette.MAGNITUDES, zmin=low, zmax=100, reversescale=falls,
        xgap=2, ygap=2, colorbar={"title": "%", "thickness": 12},
        hovertemplate=said("{detector} on {images}: {value} %", detector="%{y}", images="%{x}", value="%{z:.1f}")
        + "<extra></extra>",
    )  # fmt: skip
    figure.update_layout(
        xaxis={"side": "top", "showgrid": False, "type": "category"},
        yaxis={"autorange": "reversed", "showgrid": False, "automargin": True, "type": "category"},
    )
    dark_until = 1 - palette.BRIGHT_FROM if falls else palette.BRIGHT_FROM  # a scale that falls is turned round
    middle = low + dark_until * (100 - low)
    for colour, bright in (("#000000", True), ("#FFFFFF", False)):  # the map's bright part and its dark one
        cells = [
            (i, j) for i, line in enumerate(values) for j, v in enumerate(line) if ((v > middle) ^ falls) == bright
        ]
        figure.add_scatter(
            x=[across[j] for _, j in cells], y=[down[i] for i, _ in cells], mode="text",
            text=[f"{values[i][j]:.1f}" for i, j in cells], textfont={"color": colour, "size": 12},
            showlegend=False, hoverinfo="skip",
        )  # fmt: skip
    rows = table(
        {said("detector"): [row.label for row in shown], **dict(zip(sets, np.transpose(values), strict=False))}
    )
    best = []
    alt = said(
        "{metric} in percent of {n} detectors on {sets} sets",
        metric=metric_title(metric),
        n=len(shown),
        sets=len(sets),
    )
    for name, column in zip(sets, np.transpose(values) if shown else (), strict=bool(shown)):
        place = int(np.argmin(column) if falls else np.argmax(column))
        best.append(
            said(
                "{detector} on {images} ({value})",
                detector=shown[place].label,
                images=name,
                value=f"{column[place]:.1f}",
            )
        )
    return Chart(figure, rows, alt + (said("; best are {best}.", best=", ".join(best)) if best else "."))


def correlation_chart(
    correlation: Mapping[str, Mapping[str, float | None]],
    names: Sequence[str] | None = None,
    titles: Mapping[str, str] | None = None,
    *,
    dark: bool = False,
) -> Chart:
    """Rank correlation between detectors: 1 where they put the images in one order.

    Parameters
    ----------
    names : rows, optional
        By default all.
    titles : {row: text}, optional
        What they are called.
    """
    shown = [name for name in (names or correlation) if name in correlation]
    values = [[correlation[one][other] for other in shown] for one in shown]
    figure = blank_figure(dark, height=160 + 22 * len(shown))
    called = [(titles or {}).get(name, name) for name in shown]
    axis = [_shown(title) for title in called]
    figure.add_heatmap(
        z=values, x=axis, y=axis, zmin=-1, zmax=1, colorscale=palette.SCALE,
        colorbar={"title": "ρ", "thickness": 12},
        hovertemplate=said("{one} and {other}", one="%{y}", other="%{x}") + ": %{z:.2f}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(
        xaxis={"type": "category", "tickangle": -90, "showgrid": False, "automargin": True},
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False, "automargin": True},
    )
    rows = table({said("detector"): called, **dict(zip(called, zip(*values, strict=True), strict=True))}, digits=2)
    return Chart(figure, rows, said("Rank correlation (Spearman's ρ) between {n} detectors.", n=len(shown)))
