"""Neurons in two groups of images, one neuron's values and weights, relevance as a map: arrays to charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nero_core.errors import InputError
from nero_core.figures.palette import ACCENT, NEUTRAL, RAISES, UNUSUAL, Cell, Chart, blank_figure, rounded, significant
from nero_core.neurons.statistics import Comparison
from nero_core.records import Float64Array, FloatArray, IntArray
from nero_core.wording import KNOWN_OOD_IMAGES, said

CLASS_COLOURS = ("#3F84A6", "#8E6BB0", "#4F8F5B", "#A8577E", "#6B7FD7", "#7A7A2E")
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


def _cell(value: float) -> Cell:
    """A number for a table; nothing where it does not exist."""
    return rounded(float(value)) if np.isfinite(value) else None


def neuron_rows(
    comparison: Comparison,
    order: IntArray,
    weight: FloatArray,
    classes: Sequence[str],
    names: tuple[str, str] = ("first", "second"),
) -> list[dict[str, Cell]]:
    """The table of neurons: means with their spread, effects, and the weight into each class, (K, d)."""
    columns: dict[str, FloatArray] = {}
    for name, group in zip(names, (comparison.first, comparison.second), strict=True):
        columns |= {f"mean, {name}": group.moments.mean, f"deviation, {name}": group.moments.std}
    columns |= {
        "difference": comparison.difference,
        "Cohen’s d": comparison.effect,
        "AUROC alone, %": 100 * comparison.auroc,
    }
    columns |= {f"weight into {name}": row for name, row in zip(classes, weight, strict=True)}
    return [{"neuron": int(j)} | {name: _cell(values[j]) for name, values in columns.items()} for j in order]


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
    for group, colour, pattern in ((comparison.first, ACCENT, ""), (comparison.second, UNUSUAL, "/")):
        mean, std = group.moments.mean[order], group.moments.std[order]
        spread = {"type": "data", "array": std, "thickness": 1, "width": 2, "color": NEUTRAL}
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
            font={"color": RAISES, "size": 13},
        )  # fmt: skip
    figure.update_layout(
        barmode="group",
        clickmode="event+select",
        xaxis={"title": "Neuron", "type": "category", "showgrid": False, "nticks": min(len(order), 40)},
        yaxis={"title": "Mean relevance to the answer", "zeroline": True},
    )
    first, second = comparison.first, comparison.second
    rows: list[Mapping[str, Cell]] = [
        {
            "neuron": int(j),
            "first: mean": _cell(first.moments.mean[j]),
            "second: mean": _cell(second.moments.mean[j]),
            "difference": _cell(comparison.difference[j]),
        }
        for j in order
    ]
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
            figure.add_vline(x=next(iter(single.values())), line={"color": RAISES, "width": 1, "dash": "dot"})
        figure.add_scatter(
            x=list(single.values()),
            y=[f"★ {label}"] * len(single),
            text=[_text(name) for name in single],
            mode="markers",
            marker={"symbol": "star", "size": 13, "color": RAISES},
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
            line={"color": UNUSUAL if unusual else ACCENT, "width": 1.6},
            marker={"symbol": "diamond-open" if unusual else "circle", "size": 4},
            showlegend=False,
        )
    figure.update_layout(xaxis={"title": what}, yaxis={"autorange": "reversed", "automargin": True, "type": "category"})
    rows: list[Mapping[str, Cell]] = []
    for name, group in filled.items():
        low, q1, median, q3, high = np.quantile(group, [0, 0.25, 0.5, 0.75, 1])
        rows.append(
            {
                "group": name,
                "images": len(group),
                "lowest": rounded(low),
                "25 %": rounded(q1),
                "median": rounded(median),
                "75 %": rounded(q3),
                "highest": rounded(high),
            }
        )
    rows += [{"group": name, "images": 1, "median": rounded(value)} for name, value in (marks or {}).items()]
    medians = ", ".join(f"{name} {significant(float(np.median(group)))}" for name, group in filled.items())
    return Chart(figure, rows, f"{what} in {len(filled)} groups of images; medians: {medians}.")


def _starred(marks: Mapping[str, float]) -> dict[str, Mapping[str, float]]:
    """Single images by row: each has its own, unless they are many."""
    if len(marks) > STARRED_APART:
        return {f"{len(marks)} images": marks}
    return {_text(name): {name: value} for name, value in marks.items()}


def class_weights(weight: FloatArray, classes: Sequence[str], *, dark: bool = False) -> Chart:
    """A neuron's weight into each class, (K,), as bars."""
    w = np.asarray(weight, np.float64)
    low, high = min(0.0, float(w.min())), max(0.0, float(w.max()))
    pad = LABEL_ROOM * (high - low or 1.0)
    reach = [low - pad * (low < 0), high + pad * (high > 0)]
    figure = blank_figure(dark, height=GROUP_HEIGHT * len(w) + 80)
    figure.add_bar(
        orientation="h",
        x=w,
        y=[_text(name) for name in classes],
        marker={"color": ACCENT, "line": {"width": 0}},
        text=[significant(float(value)) for value in w],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
        showlegend=False,
    )
    figure.update_layout(
        xaxis={"title": "Weight into the class (higher = speaks for it)", "zeroline": True, "range": reach},
        yaxis={"autorange": "reversed", "automargin": True, "type": "category", "showgrid": False},
    )
    rows: list[Mapping[str, Cell]] = [
        {"class": n, "weight": rounded(float(v))} for n, v in zip(classes, w, strict=True)
    ]
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
        _add_group(figure, points, np.flatnonzero(groups == number), name, number, K)
    _add_centroids(figure, centroids, names[:K])
    for name, point in case.items():
        _add_case(figure, name, point)
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


def _add_group(figure: Any, points: Float64Array, rows: IntArray, name: str, number: int, classes: int) -> None:
    """Images of one class, or of one known out-of-distribution set."""
    ordinary = number < classes
    symbols, turn = (CLASS_SYMBOLS, number) if ordinary else (KNOWN_SYMBOLS, number - classes)
    figure.add_scatter(
        x=points[rows, 0],
        y=points[rows, 1],
        mode="markers",
        name=f"{_text(name)} ({len(rows)})",
        customdata=rows,
        marker={
            "symbol": symbols[turn % len(symbols)],
            "color": CLASS_COLOURS[turn % len(CLASS_COLOURS)] if ordinary else UNUSUAL,
            "size": 6 if ordinary else 8,
            "opacity": 0.7 if ordinary else 1,
        },
        hovertemplate=f"{_text(name)}<extra></extra>",
    )


def _add_centroids(figure: Any, centroids: Float64Array, names: Sequence[str]) -> None:
    figure.add_scatter(
        x=centroids[:, 0],
        y=centroids[:, 1],
        mode="markers+text",
        name="Centroids",
        text=[_text(name) for name in names],
        textposition=[LABEL_PLACES[i % len(LABEL_PLACES)] for i in range(len(names))],
        marker={
            "symbol": "x",
            "size": 13,
            "color": [CLASS_COLOURS[i % len(CLASS_COLOURS)] for i in range(len(names))],
            "line": {"width": 1.5, "color": "#FFFFFF"},
        },
        hovertemplate="centroid of %{text}<extra></extra>",
    )


def _add_case(figure: Any, name: str, point: FloatArray) -> None:
    """One image of the open case."""
    figure.add_scatter(
        x=[point[0]],
        y=[point[1]],
        mode="markers",
        name=f"★ {_text(name)}",
        marker={"symbol": "star", "size": 18, "color": RAISES, "line": {"width": 1.5, "color": "#FFFFFF"}},
        hovertemplate=f"{_text(name)}<extra></extra>",
    )


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
) -> list[Mapping[str, Cell]]:
    """Images, centroids and the case as a table."""
    named: list[tuple[int | None, str, Any]] = [(i, names[groups[i]], point) for i, point in enumerate(points)]
    named += [(None, f"centroid of {name}", point) for name, point in zip(names, centroids, strict=False)]
    named += [(None, name, point) for name, point in case.items()]
    return [
        {"image": image, "group": name, "first": rounded(float(x)), "second": rounded(float(y))}
        for image, name, (x, y) in named
    ]
