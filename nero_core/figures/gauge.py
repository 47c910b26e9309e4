"""How rare a score is among ordinary images, on a scale that is read as "1 in N"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nero_core import wording
from nero_core.calibration.conformal import BORDERLINE_FACTOR
from nero_core.errors import InputError
from nero_core.figures import palette
from nero_core.figures.palette import Cell, Chart, blank_figure, significant
from nero_core.records import State
from nero_core.wording import said, state_word

HEIGHT = 66
"""Pixels: the bar with its words, the ticks above it and the axis below."""

DECADES = (1, 10, 100, 1_000, 10_000, 100_000)
"""Where the axis has its marks, as far as it reaches."""

BAR = 1.0
"""Height of the bar, to which all else in the gauge is relative."""

SIDE = 0.03
"""Room beside the bar for a mark that lies on its end, as a share of it."""

OWN, OTHER = 0.75, 0.3
"""Opacity of the stretch that the image lies in, and of the others."""

ROUNDING = 1e-9
"""By which a logarithm may exceed the end of the axis."""


def gauge(
    p_value: float,
    alpha: float,
    images: int,
    members: Mapping[str, float] | None = None,
    *,
    state: State,
    dark: bool = False,
) -> Chart:
    """The gauge of one image: −log10 p, from every ordinary image to one in n + 1, with the states as its stretches.

    Parameters
    ----------
    p_value : float
        In (0, 1]: of ordinary images from the same source, the share that is at least as unusual.
    alpha : float
        In (0, 1): at or below it an image is flagged.
    images : int
        n calibration images: no p is smaller than 1/(n + 1), where the axis ends.
    members : {title: p}, optional
        Of each detector alone, a tick.
    state : State
        Of the image.
    dark : bool
        Text and grid for a dark page.

    Raises
    ------
    InputError
        A p or α is not in (0, 1], or there is no calibration image.
    """
    others = dict(members or {})
    for name, p in {"the image": p_value, "α": alpha, **others}.items():
        if not 0 < p <= 1:
            raise InputError(f"The p-value of {name} is {p}; wanted more than 0 and at most 1.")
    if images < 1:
        raise InputError(f"There are {images} calibration images; wanted at least 1.")
    smallest = min(1 / (images + 1), p_value, alpha, *others.values())
    end = -math.log10(smallest)
    ticks = [n for n in DECADES if math.log10(n) <= end + ROUNDING]
    figure = blank_figure(dark, height=HEIGHT)
    figure.add_traces(_marks(p_value, others))
    figure.update_layout(
        **_stretches(p_value, alpha, smallest, state),
        showlegend=False,
        margin={"l": 12, "r": 12, "t": 0, "b": 24},
        xaxis={
            "range": [-SIDE * end, (1 + SIDE) * end],
            "tickvals": [math.log10(n) for n in ticks],
            "ticktext": [said("1 in {n}", n=f"{n:,}".replace(",", "\u202f")) for n in ticks],
            "showgrid": False,
            "zeroline": False,
        },
        yaxis={"visible": False, "range": [-0.8 * BAR, 1.6 * BAR]},
    )
    rows: list[dict[str, Cell]] = [
        {said("what"): name, said("as unusual among ordinary images"): one_in(p), "p": palette.rounded(p)}
        for name, p in {said(wording.THIS_IMAGE): p_value, said("flagged from"): alpha, **others}.items()
    ]
    alt = said(
        "Gauge: {rarity} ordinary images is as unusual as this one; flagged from {alpha}",
        rarity=one_in(p_value),
        alpha=one_in(alpha),
    )
    return Chart(figure, rows, alt + (said("; {n} detectors have a tick each.", n=len(others)) if others else "."))


def _stretches(p_value: float, alpha: float, smallest: float, state: State) -> dict[str, Any]:
    """The bar as three stretches, that of the image the strongest, with their words."""
    borderline = min(BORDERLINE_FACTOR * alpha, 1.0)
    stretches: tuple[tuple[State, float, float], ...] = (
        ("in-distribution", 1.0, borderline),
        ("borderline", borderline, alpha),
        ("out-of-distribution", alpha, smallest),
    )
    shapes = [
        {
            "type": "rect",
            "x0": -math.log10(most),
            "x1": -math.log10(least),
            "y0": -BAR / 2,
            "y1": BAR / 2,
            "line": {"width": 0},
            "fillcolor": palette.STATE_COLOURS[name],
            "opacity": OWN if name == state else OTHER,
            "layer": "below",
        }
        for name, most, least in stretches
    ]
    named = [  # but the narrow one: where the image is borderline, its sign and word stand above the gauge
        {
            "x": _beside(-math.log10(p_value), -math.log10(most), -math.log10(least)),
            "y": 0,
            "font": {"size": 12},
            "text": state_word(name),
            "showarrow": False,
        }
        for name, most, least in stretches
        if name != "borderline"
    ]
    return {"shapes": shapes, "annotations": named}


def _beside(mark: float, left: float, right: float) -> float:
    """The middle of what a mark leaves of a stretch: of its larger part, where it lies within."""
    if not left <= mark <= right:
        return (left + right) / 2
    return (left + mark) / 2 if mark - left >= right - mark else (mark + right) / 2


def _marks(p_value: float, others: Mapping[str, float]) -> list[dict[str, Any]]:
    """The image on the bar, and a tick above it for each detector."""
    return [
        {
            "type": "scatter",
            "x": [-math.log10(p) for p in others.values()],
            "y": [BAR] * len(others),
            "mode": "markers",
            "marker": {"symbol": "line-ns-open", "size": 13, "color": palette.NEUTRAL, "line": {"width": 2}},
            "text": [f"{name}: {one_in(p)}" for name, p in others.items()],
            "hovertemplate": "%{text}<extra></extra>",
        },
        {
            "type": "scatter",
            "x": [-math.log10(p_value)],
            "y": [0],
            "mode": "markers",
            "marker": {"symbol": "diamond", "size": 17} | palette.OWN,
            "hovertemplate": f"{said(wording.THIS_IMAGE)}: {one_in(p_value)}<extra></extra>",
        },
    ]


def one_in(p_value: float) -> str:
    """A p-value as "1 in N": 0.05 → "1 in 20"."""
    return said("1 in {n}", n=significant(1 / p_value, 3 if p_value > 0.1 else 2))
