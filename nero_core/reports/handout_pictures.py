"""The handout's drawings, by matplotlib: a small network, the plane of the centroids, and two ROC curves.

All are read in black and white, too: what has a colour also has a symbol, a dash or a number.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from nero_core.figures import palette
from nero_core.figures.palette import significant
from nero_core.figures.relevance_map import CLASS_COLOURS
from nero_core.lesson.plane import Plane
from nero_core.lesson.small_network import CLASSES, NEURONS, WorkedOut
from nero_core.records import Float64Array
from nero_core.wording import said

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 300
WIDE, HIGH = 3.55, 1.5
"""Inches of a drawing beside a step's numbers."""
SMALL, TINY = 6.6, 6.0
"""Points of the writing."""
LEFT, RIGHT = 4.15, 6.4
"""Where a line of the network starts at a neuron and ends at a class, of 10 across the drawing."""
CLASS_MARKS = ("o", "s", "^", "p", "h", "v")
"""Of each class in turn: the symbols of the charts on a screen, as matplotlib names them."""
LINES = ("-", "--", ":", "-.")
MARKS = ("*", "D", "P", "X")
SIZES = (85, 32, 48, 48)
"""Of these marks, so that they look equally large."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One detector's ROC curve, and where its threshold stands on it.

    Attributes
    ----------
    title : str
    ordinary, unusual : (s,)
        Shares flagged, in [0, 1].
    point : two numbers
        The same at the threshold.
    """

    title: str
    ordinary: Float64Array
    unusual: Float64Array
    point: tuple[float, float]


BEHIND = {"boxstyle": "square,pad=0.12", "fc": "white", "ec": "none"}
"""Of a weight, so that it stands out of its line."""


def network_drawing(found: WorkedOut) -> str:
    """Neurons, weights and classes of a small network with their numbers; beside each neuron what it carried."""
    figure = _figure(layout=None)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, 10), ylim=(-0.5, NEURONS + 0.5))
    axes.set_axis_off()
    rows = [float(NEURONS - j) for j in range(NEURONS + 1)]  # the bias last, below the neurons
    classes = [NEURONS - 0.5 - 2.0 * k for k in range(CLASSES)]
    weights = np.concatenate([found.weights, found.biases[:, None]], axis=1)
    for j, y in enumerate(rows):
        for k, there in enumerate(classes):
            value = float(weights[k, j])
            axes.plot([LEFT, RIGHT], [y, there], color=palette.NEUTRAL, linewidth=0.8,
                      linestyle="-" if value >= 0 else "--", zorder=1)  # fmt: skip
            at = 0.3 + 0.4 * k  # where the lines have left each other, or not yet met
            axes.text(LEFT + at * (RIGHT - LEFT), y + at * (there - y), significant(value), fontsize=TINY,
                      ha="center", va="center", zorder=2, bbox=BEHIND)  # fmt: skip
    carried = [*found.relevance.tolist(), found.bias_relevance]
    for j, y in enumerate(rows):
        bias = j == NEURONS
        name = said("bias") if bias else said("neuron {number}", number=j + 1)
        axes.text(0.1, y, name, fontsize=SMALL, va="center")
        shown = f"r = {significant(carried[j])}"
        axes.text(1.45, y, shown, fontsize=SMALL, weight="bold", va="center", color=_signed(carried[j]))
        label = "b" if bias else f"a = {significant(float(found.activations[j]))}"
        _box(axes, LEFT - 0.45, y, label, "round")
    for k, y in enumerate(classes):
        answers = k == found.answer
        text = f"z = {significant(float(found.logits[k]))}\np = {significant(float(found.probabilities[k]))}"
        _box(axes, RIGHT + 0.85, y, text, "square", bold=answers)
        name = said("class {number}", number=k + 1)
        axes.text(RIGHT + 1.8, y, f"{name}\n{said('the answer')}" if answers else name, fontsize=SMALL, va="center",
                  weight="bold" if answers else "normal")  # fmt: skip
    return _url(figure)


def plane_drawing(plane: Plane, path: Float64Array) -> str:
    """Images and centroids in the plane, and one image's way along the axes to the nearest centroid.

    Parameters
    ----------
    path : (3, 2)
        From the image, along the first axis, to the centroid.
    """
    figure = _figure()
    axes = figure.add_subplot()
    others = plane.points[plane.groups >= len(plane.classes)]
    axes.scatter(others[:, 0], others[:, 1], s=5, marker="D", facecolors="none", edgecolors=palette.UNUSUAL,
                 linewidths=0.4, alpha=0.55, label=said("unusual kinds"))  # fmt: skip
    for number, name in enumerate(plane.classes):
        of_class, colour = plane.points[plane.groups == number], CLASS_COLOURS[number % len(CLASS_COLOURS)]
        mark = CLASS_MARKS[number % len(CLASS_MARKS)]
        axes.scatter(of_class[:, 0], of_class[:, 1], s=5, marker=mark, color=colour, linewidths=0, alpha=0.6)
        x, y = plane.centroids[number]
        axes.scatter([x], [y], s=52, marker=mark, color=colour, edgecolors="black", linewidths=0.9, zorder=4,
                     label=said("centroid of {name}", name=_plain(name)))  # fmt: skip
    axes.plot(path[:, 0], path[:, 1], color=palette.OWN["color"], linewidth=1.4, zorder=5,
              label=said("way along the axes"))  # fmt: skip
    axes.scatter(path[:1, 0], path[:1, 1], s=95, marker="*", color=palette.OWN["color"], edgecolors="white",
                 linewidths=0.7, zorder=6, label=said("the picture"))  # fmt: skip
    low, high = np.minimum(plane.low, path.min(axis=0)), np.maximum(plane.high, path.max(axis=0))
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    axes.set_xlabel(said("First component of relevance"), fontsize=SMALL, labelpad=1)
    axes.set_ylabel(said("Second component"), fontsize=SMALL, labelpad=1)
    _finish(figure, axes)
    return _url(figure)


def roc_drawing(curves: Sequence[Curve], alpha: float) -> str:
    """ROC curves, the share of false alarms that was accepted, and where each threshold stands."""
    figure = _figure()
    axes = figure.add_subplot()
    colours = (palette.ACCENT, *(colour for colour in palette.SERIES if colour != palette.ACCENT))
    for number, curve in enumerate(curves):
        colour = colours[number % len(colours)]
        axes.step(curve.ordinary, curve.unusual, where="post", color=colour, linewidth=1.4,
                  linestyle=LINES[number % len(LINES)], label=_plain(curve.title))  # fmt: skip
        (x, y), mark, size = curve.point, MARKS[number % len(MARKS)], SIZES[number % len(SIZES)]
        axes.scatter([x], [y], s=size, marker=mark, color=palette.OWN["color"], edgecolors="white", linewidths=0.7,
                     zorder=5,
                     label=said("{detector}: its threshold", detector=_plain(curve.title)))  # fmt: skip
    axes.plot([0, 1], [0, 1], color=palette.NEUTRAL, linewidth=0.8, linestyle=":", label=said("chance"))
    axes.axvline(alpha, color=palette.NEUTRAL, linewidth=0.9, linestyle="-.",
                 label=said("α = {percent} %", percent=significant(100 * alpha)))  # fmt: skip
    shares = np.linspace(0, 1, 5)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.04), xticks=shares, yticks=shares)
    axes.set_xticklabels([f"{100 * share:g} %" for share in shares])
    axes.set_yticklabels([f"{100 * share:g} %" for share in shares])
    axes.set_xlabel(said("Ordinary images flagged"), fontsize=SMALL, labelpad=1)
    axes.set_ylabel(said("Unusual images flagged"), fontsize=SMALL, labelpad=1)
    _finish(figure, axes)
    return _url(figure)


def _figure(layout: Literal["constrained"] | None = "constrained") -> Figure:
    from matplotlib.figure import Figure  # only where it draws: a page may import this

    return Figure(figsize=(WIDE, HIGH), layout=layout)


def _finish(figure: Figure, axes: Axes) -> None:
    """Small ticks, no box, and the legend outside, where it covers nothing."""
    axes.tick_params(labelsize=TINY, length=2, pad=1.5, width=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_linewidth(0.6)
    figure.legend(loc="outside right center", fontsize=TINY, frameon=False, handlelength=1.8, labelspacing=0.45)


def _box(axes: Axes, x: float, y: float, text: str, shape: str, bold: bool = False) -> None:
    edge = {"boxstyle": f"{shape},pad=0.3", "fc": "white", "ec": palette.OWN["color"], "lw": 1.4 if bold else 0.7}
    axes.text(x, y, text, fontsize=SMALL, ha="center", va="center", bbox=edge, zorder=3)


def _signed(value: float) -> str:
    return palette.RAISES if value > 0 else palette.LOWERS if value < 0 else palette.NEUTRAL


def _plain(name: str) -> str:
    """A name that matplotlib neither hides (a leading underscore) nor reads as mathematics."""
    return name.replace("$", r"\$").lstrip("_") or "–"


def _url(figure: Figure) -> str:
    """The drawing as a PNG at a ``data:`` address, the same every time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(stream, format="png", dpi=DPI, metadata={"Software": None})
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
