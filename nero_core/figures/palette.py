"""One palette, one way to write a number, and what every chart consists of.

One colour, one meaning. States alone are blue, amber and vermillion: of Okabe and Ito, "Color Universal Design"
(2008), darkened. What has a sign, a heatmap or what raises and lowers a score, is purple or teal: of PRGn and BrBG of
Harrower and Brewer, "ColorBrewer.org" (2003). Magnitudes are in cividis: Nuñez, Anderton, Renslow (2018). All else is
slate, or one of `SERIES`. Each reaches a contrast of 3:1 on the light and on the dark page. Meaning never rests on
colour alone: a state has a symbol and a word, a bar its sign, a line its label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import plotly.io as pio

from nero_core.records import Float64Array, State

Cell = str | int | float | None


STATE_COLOURS: Mapping[State, str] = {
    "in-distribution": "#2E7EBB",
    "borderline": "#C28000",
    "out-of-distribution": "#D55E00",
}
"""Never alone: `wording` has the sign and the word of each state."""

ACCENT = "#586A7C"
"""Slate: what is ordinary. States and signs have taken the hues; one more would mean something."""
NEUTRAL = "#8A8F96"
"""Lines that divide, spreads, and what has no sign."""
UNUSUAL = "#C0628E"
"""Images known to be unusual, which are no verdict: never in the colour of a state."""
RAISES, LOWERS = "#8B539B", "#35978F"
"""For and against. The teal is the third of BrBG's 11; the purple lies between the second and the third of PRGn's, of
which the one is too dark for the dark page, and the other too like the blue of a state for who sees no red."""
DIVERGING = ("#01665E", "#5AB4AC", "#FFFFFF", "#AF8DC3", "#762A83")
"""Teal, white, purple, the ends of BrBG and PRGn in 6: from a signed map's lowest value to its highest, white at 0."""
SCALE = [[i / (len(DIVERGING) - 1), colour] for i, colour in enumerate(DIVERGING)]
"""The same as plotly takes it."""
MAGNITUDES = "Cividis"
"""Colours of what has no sign."""
BRIGHT_FROM = 0.469
"""Share of `MAGNITUDES` from which black writing stands out more than white: both have 4.6:1 there."""
SERIES = (ACCENT, UNUSUAL, "#427A4F", "#8A78D0", "#8E6F4E", "#6F8F3A", NEUTRAL)
"""Classes, detectors and methods take them in turn; each also has a symbol or a dash of its own."""
RIM = "#FFFFFF"
OWN = {"color": "#101820", "line": {"color": RIM, "width": 1.5}}
"""The image in question, as a mark: dark with a white rim; one of both is seen on either page and over any colour."""

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


def table(columns: Mapping[str, Iterable[Any]], digits: int = 3) -> list[dict[str, Cell]]:
    """The rows of a table from its columns, all of one length.

    Fractions are rounded to so many significant digits; a number that does not exist leaves its cell empty.
    """
    return [
        {name: _cell(value, digits) for name, value in zip(columns, row, strict=True)}
        for row in zip(*columns.values(), strict=True)
    ]


def _cell(value: Any, digits: int) -> Cell:
    if isinstance(value, float | np.floating):
        return rounded(float(value), digits) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


@cache
def _template(dark: bool) -> go.layout.Template:
    """Plotly's own for a page, without what it holds for kinds of traces that are not drawn: it is copied each time."""
    whole = pio.templates["plotly_dark" if dark else "plotly_white"]
    return go.layout.Template(layout=whole.layout, data={kind: whole.data[kind] for kind in DRAWN})


def see_through(colour: str, opacity: float) -> str:
    """A colour with so much of its opacity, in [0, 1], as plotly takes it."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def histogram_shares(values: Float64Array, edges: Float64Array) -> Float64Array:
    """Percent of `values` (n,) per bin between `edges` (b + 1,); what lies outside counts in the outermost bins."""
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    shares: Float64Array = 100 * counts / len(values)
    return shares


def add_rows(
    figure: go.Figure,
    labels: Sequence[str],
    values: npt.ArrayLike,
    texts: Sequence[str],
    colours: str | Sequence[str],
    base: npt.ArrayLike | None = None,
) -> None:
    """Horizontal bars, the first on top, each with its label before it and its number as text behind it.

    Parameters
    ----------
    values : (n,)
        How long they are.
    colours : one, or n of them
    base : (n,), optional
        Where they begin; at 0 by default.
    """
    figure.add_bar(
        orientation="h",
        y=labels,
        x=values,
        base=base,
        marker={"color": colours, "line": {"width": 0}},
        text=texts,
        textposition="outside",
        cliponaxis=False,
        showlegend=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", showgrid=False, automargin=True)


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
