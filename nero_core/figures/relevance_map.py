"""Relevance as a map: every image a point, the bulk at a readable scale, and what lies far from it at the edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nero_core.figures import palette
from nero_core.figures.neurons import as_written
from nero_core.figures.palette import Cell, Chart, blank_figure, significant, table
from nero_core.records import Float64Array, FloatArray, IntArray
from nero_core.wording import KNOWN_OOD_IMAGES, message, said

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
FENCE = 3.0
"""The map's frame reaches so many interquartile ranges beyond the quartiles (the outer fences of Tukey, "Exploratory
Data Analysis", 1977), and no further than its farthest image within: a few far images would press the others together.
What lies beyond is drawn at the edge."""
FRAME_ROOM = 0.08
"""Room around what the map shows, as a share of it."""
ARROW_PLACE = 0.6
"""Where in this room an arrow stands for what lies beyond."""
ARROWS = {
    (-1, 0): "triangle-left", (1, 0): "triangle-right", (0, -1): "triangle-down", (0, 1): "triangle-up",
    (-1, -1): "triangle-sw", (1, -1): "triangle-se", (-1, 1): "triangle-nw", (1, 1): "triangle-ne",
}  # fmt: skip
SIDES = {-1: (message("left"), message("below")), 0: ("", ""), 1: (message("right"), message("above"))}
BEYOND = message("beyond")  # the column that says on which side of the frame a point lies
FAR_NAMED = 6
"""So many far images are told in words; the table has all."""
MAP_HEIGHT, LEGEND_ROW, LEGEND_MARK, LEGEND_LETTER = 440, 19, 12, 6  # pixels


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
    entries = [*names, said("Centroids"), *case]
    figure = blank_figure(dark, height=MAP_HEIGHT + LEGEND_ROW * -(-len(entries) // 2))  # a phone has two columns
    singles = np.array([*case.values()], np.float64).reshape(-1, 2)
    bulk = np.concatenate([points, singles])
    inner = _frame(bulk, centroids)
    drawn = np.clip(bulk, *inner)  # what lies beyond is at the edge, with an arrow
    for number, name in enumerate(names):
        rows = np.flatnonzero(groups == number)
        named = f"{as_written(name)} ({len(rows)})"
        _add_points(figure, drawn[rows], _marker(number, K), named, as_written(name), customdata=rows)
    edge = palette.OWN["line"]
    _add_points(
        figure,
        centroids,
        {"symbol": "x", "size": 13, "color": [_marker(i, K)["color"] for i in range(K)], "line": edge},
        said("Centroids"),
        said("centroid of {name}", name="%{text}"),
        "markers+text",
        text=[as_written(name) for name in names[:K]],
        textposition=[LABEL_PLACES[i % len(LABEL_PLACES)] for i in range(K)],
    )
    star = palette.OWN | {"symbol": "star", "size": 18}
    for name, point in zip(case, drawn[len(points) :], strict=True):
        _add_points(figure, point[None], star, f"★ {as_written(name)}", as_written(name))
    rows_of_all = _map_rows(points, groups, names, centroids, case, inner)
    room = FRAME_ROOM * np.ptp(inner, axis=0)
    far = [_where(row) for row in rows_of_all if row[said(BEYOND)]]
    if far:
        _add_arrows(figure, bulk, inner, room, far)
    part = ["" if shares is None else f" ({100 * share:.0f} % of variance)" for share in shares or (0, 0)]
    frame = inner + np.array([[-1], [1]]) * room
    figure.update_layout(
        dragmode="lasso",
        xaxis={
            "title": said("First component of relevance{part}", part=part[0]),
            "zeroline": False,
            "range": list(frame[:, 0]),
        },
        yaxis={"title": said("Second{part}", part=part[1]), "zeroline": False, "range": list(frame[:, 1])},
        legend={"entrywidth": LEGEND_MARK + LEGEND_LETTER * max(len(f"{name} (999)") for name in names)},
    )
    return Chart(figure, rows_of_all, _in_words(len(points), K, len(names) - K, len(case), far))


def _in_words(points: int, classes: int, sets: int, case: int, far: Sequence[str]) -> str:
    """What the map shows, for who does not see it."""
    alt = said(
        "Map of {points} images by their relevance; classes, with their centroids: {classes}; sets of {images}: {sets}",
        points=points,
        classes=classes,
        images=said(KNOWN_OOD_IMAGES),
        sets=sets,
    )
    alt += said(", and {case} of the open case.", case=case) if case else "."
    if far:
        told = {"n": len(far), "far": "; ".join(far[:FAR_NAMED])}
        if len(far) > FAR_NAMED:
            alt += said(
                " {n} lie beyond the frame and are drawn at its edge: {far}; and {more} more, which the table has.",
                **told,
                more=len(far) - FAR_NAMED,
            )
        else:
            alt += said(" {n} lie beyond the frame and are drawn at its edge: {far}.", **told)
    return alt


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
        return {"symbol": CLASS_SYMBOLS[number % len(CLASS_SYMBOLS)], "color": colour, "size": 6}
    symbol = KNOWN_SYMBOLS[(number - classes) % len(KNOWN_SYMBOLS)]
    return {"symbol": symbol, "color": palette.UNUSUAL, "size": 8}


def _frame(points: Float64Array, centroids: Float64Array) -> Float64Array:
    """What is in sight, (2, 2) from and to: the bulk of the points, and every centroid."""
    low, high = np.quantile(points, [0.25, 0.75], axis=0)
    reach = FENCE * (high - low)
    reach[reach == 0] = np.inf  # most points have one value: that is no scale
    within = np.where((points >= low - reach) & (points <= high + reach), points, np.nan)
    return np.stack(
        [
            np.minimum(np.nanmin(within, axis=0), centroids.min(axis=0)),
            np.maximum(np.nanmax(within, axis=0), centroids.max(axis=0)),
        ]
    )


def _beyond(points: Float64Array, inner: Float64Array) -> IntArray:
    """On which side of the frame each point lies, (n, 2) of −1, 0 and 1; 0 is within."""
    sides: IntArray = (points > inner[1]).astype(np.int64) - (points < inner[0])
    return sides


def _add_arrows(figure: Any, points: Float64Array, inner: Float64Array, room: Float64Array, far: Sequence[str]) -> None:
    """One arrow for each point beyond the frame, outside of where it is drawn."""
    sides = _beyond(points, inner)
    rows = np.flatnonzero(sides.any(axis=1))
    symbols = [ARROWS[int(x), int(y)] for x, y in sides[rows]]
    _add_points(
        figure,
        np.clip(points[rows], *inner) + ARROW_PLACE * room * sides[rows],
        {"symbol": symbols, "size": 10, "color": palette.NEUTRAL},
        said("Beyond the frame ({n})", n=len(rows)),
        "%{text}",
        text=[as_written(text) for text in far],
    )


def _map_rows(
    points: Float64Array,
    groups: IntArray,
    names: Sequence[str],
    centroids: Float64Array,
    case: Mapping[str, FloatArray],
    inner: Float64Array,
) -> list[dict[str, Cell]]:
    """Images, the case and the centroids as a table, each where it is, and on which side of the frame."""
    singles = np.array([*case.values()], np.float64).reshape(-1, 2)
    named = [
        *(names[group] for group in groups),
        *case,
        *(said("centroid of {name}", name=name) for name in names[: len(centroids)]),
    ]
    places = np.concatenate([points, singles, centroids])
    images = [*range(len(points)), *[None] * (len(named) - len(points))]
    sides = [" ".join(map(said, filter(None, (SIDES[int(y)][1], SIDES[int(x)][0])))) for x, y in _beyond(places, inner)]
    return table(
        {
            said("image"): images,
            said("group"): named,
            said("first"): places[:, 0],
            said("second"): places[:, 1],
            said(BEYOND): sides,
        }
    )


def _where(row: Mapping[str, Cell]) -> str:
    """One row of what lies beyond the frame, in words."""
    group, image = row[said("group")], row[said("image")]
    first, second = (significant(float(row[axis] or 0)) for axis in (said("first"), said("second")))
    what = group if image is None else said("image {image}, {group}", image=image, group=group)
    return said(
        "{what} ({side}, at {first} and {second})", what=what, side=row[said(BEYOND)], first=first, second=second
    )
