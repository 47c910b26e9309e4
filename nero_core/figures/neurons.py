"""Neurons in two groups of images, one neuron's values and weights, relevance as a map: arrays to charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nero_core.errors import InputError
from nero_core.figures import palette
from nero_core.figures.palette import Cell, Chart, add_rows, blank_figure, rounded, significant, table
from nero_core.neurons.statistics import Comparison
from nero_core.records import Float64Array, FloatArray, IntArray
from nero_core.wording import KNOWN_OOD_IMAGES, said

CLASS_COLOURS = tuple(colour for colour in palette.SERIES if colour != palette.UNUSUAL)
"""Classes take them in turn; a class also has a symbol of its own."""
CLASS_SYMBOLS = ("circle", "square", "triangle-up", "pentagon", "hexagon", "star-triangle-down")
KNOWN_SYMBOLS = (
    "diamond-open",
    "triangle-down-open",
    "cross-open",
    "hexagram-open",
    "square-open",
    "triangle-left-open",
    "circle-open",
    "triangle-right-open",
    "bowtie-open",
    "pentagon-open",
)
LABEL_PLACES = ("top center", "bottom center", "middle right", "middle left")
QUANTILES = {"lowest": 0.0, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "highest": 1.0}
SPREAD_SHOWN = 64
"""Up to so many neurons, bars carry their spread and their number."""
LABEL_ROOM = 0.25
"""Room for a number beside a bar, as a share of the axis."""
FRAME_LEAVES_OUT = 0.01
"""Share of the images, on each side, that the map leaves out at first: they would press the others together."""
FRAME_ROOM = 0.06
"""Room around what the map shows, as a share of it."""
STARRED_APART = 6
"""Up to so many single images have a row each."""
MAP_HEIGHT, LEGEND_ROW, LEGEND_MARK, LEGEND_LETTER = 440, 19, 12, 6  # pixels
GROUP_HEIGHT = 34  # pixels per horizontal box


def _text(name: str) -> str:
    """A name that a figure shows as it is: plotly reads angle brackets as markup and percent signs as values."""
    return name.replace("<", "‹").replace(">", "›").replace("%{", "% {")


def neuron_rows(
    comparison: Comparison,
    order: IntArray,
    weight: FloatArray,
    classes: Sequence[str],
    names: tuple[str, str] = ("first", "second"),
) -> list[dict[str, Cell]]:
    """The table of neurons: means with their spread, effects, and the weight into each class, (K, d).

    Parameters
    ----------
    order : (m,) int64
        The neurons of the rows.
    weight : (K, d)
    """
    columns: dict[str, FloatArray | IntArray] = {"neuron": np.arange(len(comparison.difference))}
    for name, group in zip(names, (comparison.first, comparison.second), strict=True):
        columns |= {f"mean, {name}": group.moments.mean, f"deviation, {name}": group.moments.std}
    columns |= {
        "difference": comparison.difference,
        "Cohen’s d": comparison.effect,
        "AUROC alone, %": 100 * comparison.auroc,
    }
    columns |= {f"weight into {name}": row for name, row in zip(classes, weight, strict=True)}
    return table({name: values[order] for name, values in columns.items()})


def neuron_bars(comparison: Comparison, order: IntArray, *, chosen: int | None = None, dark: bool = False) -> Chart:
    """Mean relevance of some neurons in two groups of images, with one standard deviation where there is room.

    Parameters
    ----------
    comparison : Comparison
    order : (k,) int64
        Which neurons, from left to right; each bar carries its neuron as `customdata`.
    chosen : int, optional
        A neuron to mark.

    Raises
    ------
    InputError
        No neuron is left to draw.
    """
    if not len(order):
        raise InputError("No neuron is left to draw; widen the filter.")
    names = [str(j) for j in order]
    figure = blank_figure(dark, height=360)
    for group, colour, pattern in ((comparison.first, palette.ACCENT, ""), (comparison.second, palette.UNUSUAL, "/")):
        mean, std = group.moments.mean[order], group.moments.std[order]
        spread = {"type": "data", "array": std, "thickness": 1, "width": 2, "color": palette.NEUTRAL}
        figure.add_bar(
            x=names,
            y=mean,
            name=f"{_text(group.name)} ({group.moments.count})",
            customdata=order,
            error_y=spread if len(order) <= SPREAD_SHOWN and np.isfinite(std).all() else None,
            marker={"color": colour, "line": {"width": 0}, "pattern": {"shape": pattern, "size": 5}},
            hovertemplate="neuron %{x}: %{y:.3g}<extra></extra>",
        )
    if chosen is not None and str(chosen) in names:
        figure.add_annotation(  # by position: a category that looks like a number is taken for one
            x=names.index(str(chosen)), y=1, yref="paper", text=f"<b>▼ {chosen}</b>", showarrow=False, yanchor="top",
            font={"size": 13},
        )  # fmt: skip
    figure.update_layout(
        barmode="group",
        clickmode="event+select",
        xaxis={"title": "Neuron", "type": "category", "showgrid": False, "nticks": min(len(order), 40)},
        yaxis={"title": "Mean relevance to the answer", "zeroline": True},
    )
    first, second = comparison.first, comparison.second
    means = {"first: mean": first.moments.mean[order], "second: mean": second.moments.mean[order]}
    rows = table({"neuron": order, **means, "difference": comparison.difference[order]})
    leading = int(order[np.argmax(np.abs(comparison.difference[order]))])
    alt = (
        f"Mean relevance of {len(order)} neurons in {first.name} and in {second.name}; neuron {leading} differs most, "
        f"{significant(first.moments.mean[leading])} against {significant(second.moments.mean[leading])}."
    )
    return Chart(figure, rows, alt)


def value_boxes(
    values: Mapping[str, FloatArray],
    known: Sequence[str],
    what: str,
    *,
    marks: Mapping[str, float] | None = None,
    dark: bool = False,
) -> Chart:
    """One neuron's values in several groups of images: quartiles, whiskers of 1.5 ranges, and what lies beyond.

    Parameters
    ----------
    values : {group: (n,)}
    known : names
        Those of the groups that are out-of-distribution.
    what : str
        The values, in words with their unit.
    marks : {name: value}, optional
        Single images, drawn as stars: each in a row of its own, or all in one where they are many.

    Raises
    ------
    InputError
        No group has an image.
    """
    filled = {name: np.asarray(v, np.float64) for name, v in values.items() if len(v)}
    if not filled:
        raise InputError("No image is left to draw; choose a group that has some.")
    stars = _starred(marks or {})
    figure = blank_figure(dark, height=GROUP_HEIGHT * (len(filled) + len(stars)) + 90)
    for label, single in stars.items():
        if len(single) == 1:
            figure.add_vline(x=next(iter(single.values())), line={"color": palette.NEUTRAL, "width": 1, "dash": "dot"})
        figure.add_scatter(
            x=list(single.values()),
            y=[f"★ {label}"] * len(single),
            text=[_text(name) for name in single],
            mode="markers",
            marker=palette.OWN | {"symbol": "star", "size": 14},
            showlegend=False,
            hovertemplate="%{text}: %{x:.3g}<extra></extra>",
        )
    for name, group in filled.items():
        unusual = name in known
        figure.add_box(
            x=group,
            y=[_text(name)] * len(group),
            orientation="h",
            boxpoints="outliers",
            line={"color": palette.UNUSUAL if unusual else palette.ACCENT, "width": 1.6},
            marker={"symbol": "diamond-open" if unusual else "circle", "size": 4},
            showlegend=False,
        )
    figure.update_layout(xaxis={"title": what}, yaxis={"autorange": "reversed", "automargin": True, "type": "category"})
    rows: list[Mapping[str, Cell]] = []
    for name, group in filled.items():
        quantiles = zip(QUANTILES, np.quantile(group, list(QUANTILES.values())), strict=True)
        rows.append({"group": name, "images": len(group), **{place: rounded(value) for place, value in quantiles}})
    rows += [{"group": name, "images": 1, "median": rounded(value)} for name, value in (marks or {}).items()]
    medians = ", ".join(f"{name} {significant(float(np.median(group)))}" for name, group in filled.items())
    return Chart(figure, rows, f"{what} in {len(filled)} groups of images; medians: {medians}.")


def _starred(marks: Mapping[str, float]) -> dict[str, Mapping[str, float]]:
    """Single images by row: each has its own, unless they are many."""
    if len(marks) > STARRED_APART:
        return {f"{len(marks)} images": marks}
    return {_text(name): {name: value} for name, value in marks.items()}


def class_weights(weight: FloatArray, classes: Sequence[str], *, dark: bool = False) -> Chart:
    """A neuron's weight into each class, (K,), as bars.

    Parameters
    ----------
    weight : (K,)
    """
    w = np.asarray(weight, np.float64)
    low, high = min(0.0, float(w.min())), max(0.0, float(w.max()))
    pad = LABEL_ROOM * (high - low or 1.0)
    reach = [low - pad * (low < 0), high + pad * (high > 0)]
    figure = blank_figure(dark, height=GROUP_HEIGHT * len(w) + 80)
    colours = [palette.RAISES if value > 0 else palette.LOWERS for value in w]
    add_rows(figure, [_text(name) for name in classes], w, [significant(float(value)) for value in w], colours)
    figure.update_layout(
        xaxis={"title": "Weight into the class (higher = speaks for it)", "zeroline": True, "range": reach},
        yaxis={"type": "category"},
    )
    rows = table({"class": classes, "weight": w})
    alt = f"Weight into {len(w)} classes; the largest into {classes[int(w.argmax())]}, {significant(float(w.max()))}."
    return Chart(figure, rows, alt)


def relevance_map(
    points: Float64Array,
    groups: IntArray,
    names: Sequence[str],
    centroids: Float64Array,
    *,
    case: Mapping[str, FloatArray] | None = None,
    shares: tuple[float, float] | None = None,
    dark: bool = False,
) -> Chart:
    """Images as points by their relevance in two principal components, with the classes' centroids.

    Parameters
    ----------
    points : (n, 2)
        Each drawn point carries its row as `customdata`.
    groups : (n,) int64
        Index into `names`: the K classes, then known out-of-distribution sets.
    centroids : (K, 2)
    case : {name: (2,)}, optional
        Images of the open case.
    shares : optional
        Share of the points' variance along each axis, in [0, 1].
    """
    case = case or {}
    K = len(centroids)
    entries = [*names, "Centroids", *case]
    figure = blank_figure(dark, height=MAP_HEIGHT + LEGEND_ROW * -(-len(entries) // 2))  # a phone has two columns
    for number, name in enumerate(names):
        rows = np.flatnonzero(groups == number)
        named = f"{_text(name)} ({len(rows)})"
        _add_points(figure, points[rows], _marker(number, K), named, _text(name), customdata=rows)
    edge = palette.OWN["line"]
    _add_points(
        figure,
        centroids,
        {"symbol": "x", "size": 13, "color": [_marker(i, K)["color"] for i in range(K)], "line": edge},
        "Centroids",
        "centroid of %{text}",
        "markers+text",
        text=[_text(name) for name in names[:K]],
        textposition=[LABEL_PLACES[i % len(LABEL_PLACES)] for i in range(K)],
    )
    star = palette.OWN | {"symbol": "star", "size": 18}
    for name, point in case.items():
        _add_points(figure, np.asarray(point)[None], star, f"★ {_text(name)}", _text(name))
    frame = _frame(points, np.concatenate([centroids, *(np.asarray(point)[None] for point in case.values())]))
    part = ["" if shares is None else f" ({100 * share:.0f} % of variance)" for share in shares or (0, 0)]
    figure.update_layout(
        dragmode="lasso",
        xaxis={"title": f"First component of relevance{part[0]}", "zeroline": False, "range": list(frame[:, 0])},
        yaxis={"title": f"Second{part[1]}", "zeroline": False, "range": list(frame[:, 1])},
        legend={"entrywidth": LEGEND_MARK + LEGEND_LETTER * max(len(f"{name} (999)") for name in names)},
    )
    alt = (
        f"Map of {len(points)} images by their relevance; classes, with their centroids: {K}; sets of "
        f"{said(KNOWN_OOD_IMAGES)}: {len(names) - K}"
    )
    alt += f", and {len(case)} of the open case." if case else "."
    return Chart(figure, _map_rows(points, groups, names, centroids, case), alt)


def _add_points(
    figure: Any,
    places: FloatArray,
    marker: Mapping[str, Any],
    name: str,
    hover: str,
    mode: str = "markers",
    **more: Any,
) -> None:
    x, y = places.T
    hover += "<extra></extra>"
    figure.add_scatter(x=x, y=y, mode=mode, name=name, marker=marker, hovertemplate=hover, **more)


def _marker(number: int, classes: int) -> dict[str, Any]:
    """How images of a class are drawn, or those of a known out-of-distribution set."""
    if number < classes:
        colour = CLASS_COLOURS[number % len(CLASS_COLOURS)]
        return {"symbol": CLASS_SYMBOLS[number % len(CLASS_SYMBOLS)], "color": colour, "size": 6, "opacity": 0.7}
    symbol = KNOWN_SYMBOLS[(number - classes) % len(KNOWN_SYMBOLS)]
    return {"symbol": symbol, "color": palette.UNUSUAL, "size": 8, "opacity": 1}


def _frame(points: Float64Array, own: Float64Array) -> Float64Array:
    """What is in sight, (2, 2) from and to: nearly all points, and all of `own`: centroids and the case."""
    frame = np.quantile(np.concatenate([points, own]), [FRAME_LEAVES_OUT, 1 - FRAME_LEAVES_OUT], axis=0)
    frame = np.stack([np.minimum(frame[0], own.min(axis=0)), np.maximum(frame[1], own.max(axis=0))])
    room: Float64Array = np.array([[-1], [1]]) * FRAME_ROOM * np.ptp(frame, axis=0)
    return frame + room


def _map_rows(
    points: Float64Array,
    groups: IntArray,
    names: Sequence[str],
    centroids: Float64Array,
    case: Mapping[str, FloatArray],
) -> list[dict[str, Cell]]:
    """Images, centroids and the case as a table."""
    named = [*(names[group] for group in groups), *(f"centroid of {name}" for name in names[: len(centroids)]), *case]
    places = np.concatenate([points, centroids, *(np.asarray(point)[None] for point in case.values())])
    images = [*range(len(points)), *[None] * (len(named) - len(points))]
    return table({"image": images, "group": named, "first": places[:, 0], "second": places[:, 1]})
