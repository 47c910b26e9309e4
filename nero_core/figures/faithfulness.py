"""How true heatmaps are: curves of deletion and insertion, and the numbers of each method in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from nero_core.figures.palette import NEUTRAL, SERIES, Cell, Chart, blank_figure, rounded, see_through, table
from nero_core.wording import heatmap_method, message, said

if TYPE_CHECKING:
    from nero_core.attribution.faithfulness import Faithfulness

Kind = Literal["deletion", "insertion"]

HEIGHT = 300
WAYS: Mapping[Kind, tuple[str, str, str]] = {
    "deletion": (
        message("Deletion: what the heatmap marks is blurred first"),
        message("Share of the image blurred (%)"),
        message("blurred (%)"),
    ),
    "insertion": (
        message("Insertion: what the heatmap marks comes back first"),
        message("Share of the image brought back (%)"),
        message("brought back (%)"),
    ),
}
"""What is done to an image, and its share, on an axis and as a column."""
COLOURS = SERIES[:4]
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star", "hexagon")
"""Methods take them in turn; dashes move on by one with every round of colours, so that no two methods look alike."""
BAND = see_through(NEUTRAL, 0.22)
"""Thin enough to stand behind lines."""


def faithfulness_curves(measured: Faithfulness, kind: Kind, *, dark: bool = False) -> Chart:
    """Probability of the network's answer while an image is blurred or brought back, mean over the images.

    Lines of the methods against the random orders' mean, with the band from their lowest to their highest.
    """
    title, share, column = map(said, WAYS[kind])
    shares = 100 * measured.shares
    means = 100 * measured.probability[kind].mean(axis=1)
    orders = 100 * measured.random_probability[kind].mean(axis=1)
    low, high = orders.min(axis=0), orders.max(axis=0)
    *methods, random = measured.methods
    figure = blank_figure(dark, HEIGHT)
    figure.add_scatter(x=shares, y=low, mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip")
    figure.add_scatter(
        x=shares, y=high, mode="lines", line={"width": 0}, fill="tonexty", fillcolor=BAND, showlegend=False,
        hoverinfo="skip",
    )  # fmt: skip
    label = said("{random} (mean and range of {n})", random=said(random), n=len(orders))
    figure.add_scatter(
        x=shares, y=means[-1], name=label, mode="lines", line={"color": NEUTRAL, "width": 2, "dash": "longdash"}
    )
    for place, method in enumerate(methods):
        dash = DASHES[(place + place // len(COLOURS)) % len(DASHES)]
        line = {"color": COLOURS[place % len(COLOURS)], "dash": dash, "width": 2.5}
        marker = {"symbol": SYMBOLS[place % len(SYMBOLS)], "size": 7}
        name = heatmap_method(method)
        figure.add_scatter(x=shares, y=means[place], name=name, mode="lines+markers", line=line, marker=marker)
    figure.update_traces(hovertemplate="%{x:.0f} %: %{y:.1f} %", selector={"showlegend": None})
    figure.update_layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xanchor": "left", "yref": "container", "y": 0.97},
        margin={"t": 36},
        legend={"yanchor": "top", "y": -0.28},
        xaxis={"title": share, "range": [-2, 102]},
        yaxis={"title": said("Probability of its answer (%)"), "rangemode": "tozero"},
    )
    columns = {column: shares} | {
        f"{heatmap_method(name)} (%)": mean for name, mean in zip(measured.methods, means, strict=True)
    }
    rows = table(columns | {said("random, lowest (%)"): low, said("random, highest (%)"): high})
    areas = 100 * measured.areas(kind).mean(axis=1)
    areas_of = ", ".join(
        f"{heatmap_method(name)} {area:.0f} %" for name, area in zip(measured.methods, areas, strict=True)
    )
    alt = said(
        "{title}; mean probability along the curves of {n} images: {areas}.",
        title=title,
        n=len(measured.predicted),
        areas=areas_of,
    )
    return Chart(figure, rows, alt)


def faithfulness_table(summary: Sequence[Mapping[str, Any]], images: int) -> list[dict[str, Cell]]:
    """One row per method and one of the random order; each column says which end is good."""
    several = images > 1
    rows: list[dict[str, Cell]] = []
    for row in summary:
        cells: dict[str, Cell] = {
            said("method"): heatmap_method(row["method"]),
            said("deletion, % ↓"): rounded(100 * row["deletion"]),
            said("insertion, % ↑"): rounded(100 * row["insertion"]),
        }
        if "gain" in row:
            cells[said("gain, points ↑")] = rounded(100 * row["gain"])
            if several:
                cells[said("standard error")] = rounded(100 * row["gain_standard_error"])
                cells[said("beats random, % ↑")] = rounded(100 * row["better_than_random"])
            cells[said("under noise (best 1)")] = rounded(row["stability"], 2)
            cells[said("shuffled weights (best 0)")] = rounded(row["shuffled"], 2)
        rows.append(cells)
    return rows
