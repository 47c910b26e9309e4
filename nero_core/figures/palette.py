"""One palette, one way to write a number, and what every chart consists of.

Colours come from Okabe and Ito, "Color Universal Design" (2008), darkened or lightened so that each reaches a
contrast of 3:1 on a white and on a near-black page. Meaning never rests on colour alone: a state has a symbol
and a word, a bar its sign, a line its label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio

from nero_core.records import State

Cell = str | int | float | None


STATE_COLOURS: Mapping[State, str] = {
    "in-distribution": "#2E7EBB",
    "borderline": "#C28000",
    "out-of-distribution": "#D55E00",
}
"""Never alone: `wording` has the sign and the word of each state."""

ACCENT = "#3F84A6"
RAISES = "#D9741F"
LOWERS = "#3B7FB8"
NEUTRAL = "#7C8896"
UNUSUAL = "#B8860B"
DIVERGING = ("#2166AC", "#92C5DE", "#FFFFFF", "#FDB863", "#E66101")
"""Blue, white, orange: from the lowest to the highest value of a signed map, white at zero."""

DRAWN = ("bar", "heatmap", "scatter")
"""Kinds of traces that a template says something about, among those that are drawn."""


@dataclass(frozen=True, eq=False)
class Chart:
    """One figure and its twins.

    Attributes
    ----------
    figure : plotly.graph_objects.Figure
        Transparent, so that it stands on a light and on a dark page.
    rows : list of dict
        The same content as a table, one dict per row.
    alt : str
        The same content in one or two plain sentences.
    """

    figure: go.Figure
    rows: Sequence[Mapping[str, Cell]]
    alt: str


def significant(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, without exponent: 0.0123, 45.7, 1230."""
    text = np.format_float_positional(float(value), precision=digits, unique=False, fractional=False, trim="-")
    return text.replace("-", "−")


def rounded(value: float, digits: int = 3) -> float:
    """A number rounded to so many significant digits, for tables that sort."""
    return float(f"{value:.{digits}g}")


@cache
def _template(dark: bool) -> go.layout.Template:
    """Plotly's own for a page, without what it holds for kinds of traces that are not drawn: it is copied each time."""
    whole = pio.templates["plotly_dark" if dark else "plotly_white"]
    return go.layout.Template(layout=whole.layout, data={kind: whole.data[kind] for kind in DRAWN})


def blank_figure(dark: bool, height: int) -> go.Figure:
    """An empty transparent figure of so many pixels' height, with text for a light or a dark page."""
    clear = "rgba(0,0,0,0)"
    return go.Figure(
        layout={
            "template": _template(dark),
            "paper_bgcolor": clear,
            "plot_bgcolor": clear,
            "height": height,
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
            "dragmode": False,
            "modebar": {"bgcolor": clear, "color": NEUTRAL, "activecolor": ACCENT},
        }
    )
