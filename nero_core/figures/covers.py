"""A picture on which rectangles are drawn with the mouse, and the covers that these are."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from nero_core.case import Cover
from nero_core.figures.palette import Cell, Chart

BOARD_PIXELS = 640
"""Longer side of the picture that is sent to the browser."""
GRID = 24
"""Points along each side that nobody sees: a box can be drawn where there are points to select."""
SMALLEST = 0.01
"""Share of a side below which a box is a slip of the hand."""


def drawing_board(image: Image.Image, covers: Sequence[Cover]) -> Chart:
    """The image with the covers that lie over it; a box that is drawn on it comes back as a selection.

    Parameters
    ----------
    image : RGB image
    covers : sequence of Cover
    """
    scale = min(1.0, BOARD_PIXELS / max(image.size))
    small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    source = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    steps = (np.arange(GRID) + 0.5) / GRID
    x, y = (each.ravel() for each in np.meshgrid(steps, steps))
    figure = go.Figure(go.Scatter(x=x, y=y, mode="markers", marker={"opacity": 0}, hoverinfo="skip"))
    figure.add_layout_image(
        source=source, x=0, y=0, sizex=1, sizey=1, xref="x", yref="y", sizing="stretch", layer="below"
    )
    for cover in covers:
        figure.add_shape(
            type="rect",
            x0=cover.left,
            y0=cover.top,
            x1=cover.left + cover.width,
            y1=cover.top + cover.height,
            line={"width": 2, "color": "#0f6b8c"},
            fillcolor="rgba(127,127,127,0.6)",
        )
    figure.update_xaxes(visible=False, range=[0, 1], fixedrange=True)
    figure.update_yaxes(visible=False, range=[1, 0], fixedrange=True)
    figure.update_layout(
        dragmode="select",
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        width=small.width,
        height=small.height,
        showlegend=False,
    )
    rows: list[dict[str, Cell]] = [
        dict(zip(("left", "top", "width", "height"), astuple(cover), strict=True)) for cover in covers
    ]
    alt = f"The image under review, on which covers are drawn with the mouse; {len(covers)} lie on it"
    return Chart(figure, rows, alt)


def drawn_covers(boxes: Sequence[Mapping[str, Any]]) -> tuple[Cover, ...]:
    """The covers that drawn boxes are, cut to the image; one smaller than a hundredth of a side is none.

    Parameters
    ----------
    boxes : sequence of {"x": two floats, "y": two floats}
        Corners in fractions of the image's width and height, in any order.
    """
    found = []
    for box in boxes:
        (left, right), (top, bottom) = (sorted(min(max(float(end), 0.0), 1.0) for end in box[axis]) for axis in "xy")
        if right - left >= SMALLEST and bottom - top >= SMALLEST:
            found.append(Cover(left, top, right - left, bottom - top))
    return tuple(found)
