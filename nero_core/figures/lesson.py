"""The lesson's charts: a point among centroids, and a threshold on a ROC curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nero_core import wording
from nero_core.errors import InputError
from nero_core.figures import palette
from nero_core.figures.palette import Cell, Chart, blank_figure, rounded, significant
from nero_core.figures.relevance_map import CLASS_COLOURS, CLASS_SYMBOLS
from nero_core.records import Float64Array, IntArray
from nero_core.wording import said

PLANE_HEIGHT, ROC_HEIGHT = 460, 400  # pixels


def plane_chart(
    points: Float64Array,
    groups: IntArray,
    classes: Sequence[str],
    centroids: Float64Array,
    path: Float64Array,
    frame: tuple[Float64Array, Float64Array],
    *,
    dark: bool = False,
) -> Chart:
    """A point between class centroids, and its way along the axes to the nearest one.

    Parameters
    ----------
    points : (n, 2)
        Images of the classes and others; those of no class are drawn as known unusual ones.
    groups : (n,) int64
        Index into `classes`; K and more where an image is of no class.
    classes : K names
    centroids : (K, 2)
    path : (3, 2)
        From the point, along the first axis, to the centroid.
    frame : two (2,)
        Lowest and highest ends of the axes.

    Raises
    ------
    InputError
        The path has not three points.
    """
    if np.shape(path) != (3, 2):
        raise InputError(
            f"`path` has shape {np.shape(path)}; wanted (3, 2): from the point over a corner to a centroid."
        )
    low, high = frame
    figure = blank_figure(dark, PLANE_HEIGHT)
    others = points[groups >= len(classes)]
    faint = {"symbol": "diamond-open", "color": palette.UNUSUAL, "size": 5}
    figure.add_scatter(x=others[:, 0], y=others[:, 1], mode="markers", marker=faint, opacity=0.5, hoverinfo="skip",
                       name=f"{wording.label(wording.KNOWN_UNUSUAL_IMAGES)} ({len(others)})")  # fmt: skip
    for number, name in enumerate(classes):
        of_class = points[groups == number]
        mark = {"symbol": CLASS_SYMBOLS[number % len(CLASS_SYMBOLS)], "size": 5,
                "color": CLASS_COLOURS[number % len(CLASS_COLOURS)]}  # fmt: skip
        figure.add_scatter(x=of_class[:, 0], y=of_class[:, 1], mode="markers", marker=mark, opacity=0.5,
                           name=f"{name} ({len(of_class)})", hoverinfo="skip")  # fmt: skip
    crosses = {"symbol": "x", "size": 14, "line": palette.OWN["line"],
               "color": [CLASS_COLOURS[i % len(CLASS_COLOURS)] for i in range(len(classes))]}  # fmt: skip
    figure.add_scatter(x=centroids[:, 0], y=centroids[:, 1], mode="markers+text", marker=crosses, text=list(classes),
                       textposition="top center", name=said(
                           "centroids"), hovertemplate="%{text}<extra></extra>")  # fmt: skip
    rimmed = {"x": path[:, 0], "y": path[:, 1], "mode": "lines", "hoverinfo": "skip"}
    figure.add_scatter(**rimmed, line={"color": palette.RIM, "width": 6}, showlegend=False)  # seen on a dark page, too
    figure.add_scatter(**rimmed, line={"color": palette.OWN["color"], "width": 3}, name=said("way along the axes"))
    star = palette.OWN | {"symbol": "star", "size": 20}
    figure.add_scatter(x=path[:1, 0], y=path[:1, 1], mode="markers", marker=star, name=said("your point"),
                       hovertemplate="%{x:.3f}, %{y:.3f}<extra></extra>")  # fmt: skip
    figure.update_layout(
        xaxis={"title": said("First component of relevance"), "range": [low[0], high[0]], "zeroline": False},
        yaxis={"title": said("Second component"), "range": [low[1], high[1]], "zeroline": False},
        legend={"y": -0.2, "yanchor": "top"},
    )
    rows: list[Mapping[str, Cell]] = [
        {said("what"): name, said("first component"): rounded(x), said("second component"): rounded(y)}
        for name, (x, y) in [(said("your point"), path[0]), *zip(classes, centroids, strict=True)]
    ]
    alt = said(
        "A point at {x}, {y} among {count} class centroids; the way to the nearest one leads over {a} along the first "
        "axis and {b} along the second.",
        x=significant(path[0, 0]), y=significant(path[0, 1]), count=len(classes),
        a=significant(abs(path[1, 0] - path[0, 0])), b=significant(abs(path[2, 1] - path[1, 1])),
    )  # fmt: skip
    return Chart(figure, rows, alt)


def threshold_chart(
    curve: tuple[Float64Array, Float64Array], point: tuple[float, float], alpha: float, *, dark: bool = False
) -> Chart:
    """A ROC curve, OOD as the positive class, and where one threshold stands on it.

    Parameters
    ----------
    curve : two (s,)
        Share of ordinary and of unusual images flagged, in [0, 1].
    point : two numbers
        The same at the threshold in question.
    alpha : float
        Accepted share of false alarms, drawn as a line.
    """
    figure = blank_figure(dark, ROC_HEIGHT)
    ordinary, unusual = curve
    figure.add_scatter(x=ordinary, y=unusual, mode="lines", line={"color": palette.ACCENT, "width": 2, "shape": "hv"},
                       name=said("every threshold"), hovertemplate="%{x:.1%}, %{y:.1%}<extra></extra>")  # fmt: skip
    dotted = {"color": palette.NEUTRAL, "width": 1, "dash": "dot"}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=dotted, name=said("chance"), hoverinfo="skip")
    dashed = {"color": palette.NEUTRAL, "width": 1, "dash": "dash"}
    figure.add_scatter(x=[alpha, alpha], y=[0, 1], mode="lines", line=dashed, name=said("α: what was accepted"),
                       hoverinfo="skip")  # fmt: skip
    star = palette.OWN | {"symbol": "star", "size": 18}
    figure.add_scatter(x=[point[0]], y=[point[1]], mode="markers", marker=star, name=said("this threshold"),
                       hovertemplate="%{x:.1%}, %{y:.1%}<extra></extra>")  # fmt: skip
    figure.update_layout(
        xaxis={"title": said(wording.ID_FLAGGED), "range": [-0.01, 1.01], "tickformat": ".0%", "zeroline": False},
        yaxis={"title": said(wording.OOD_FLAGGED), "range": [-0.01, 1.01], "tickformat": ".0%", "zeroline": False},
        legend={"y": -0.25, "yanchor": "top"},
    )
    shares = (alpha, *point)
    names = (said("accepted (%)"), said("ordinary images flagged (%)"), said("unusual images flagged (%)"))
    rows: list[Mapping[str, Cell]] = [{name: rounded(100 * share) for name, share in zip(names, shares, strict=True)}]
    alt = said(
        "ROC curve; the threshold in question flags {ordinary} % of the ordinary and {unusual} % of the unusual "
        "images.",
        ordinary=significant(100 * point[0]), unusual=significant(100 * point[1]),
    )  # fmt: skip
    return Chart(figure, rows, alt)
