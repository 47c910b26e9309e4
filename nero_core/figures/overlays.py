"""Heatmaps over pictures, and their colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from nero_core.errors import InputError
from nero_core.figures.data_urls import png_url
from nero_core.figures.palette import DIVERGING, SCALE, Chart, blank_figure
from nero_core.records import Float32Array, Float64Array, FloatArray
from nero_core.wording import VIEWER, said

PEAK_QUANTILE = 0.98
"""A map's symmetric limits: this quantile of absolute value, so that a narrow border does not fade all the rest."""

CELLS = 56
"""A map is drawn as averages over so many cells along its longer side: finer structure is the grid that a network's
strides leave in a CRP map, eight times finer than what a neuron of a 7 × 7 feature map can tell apart."""

TILE_GAP = 0.04
"""Between tiled pictures, as a share of their width."""

TILE_BACKGROUND = (128, 128, 128)
"""Seen between tiles and where a row is not full; as far from a white page as from a black one."""

OUTLINE_LEVEL = 0.5
"""The outline goes round what exceeds this share of the smoothed map's peak."""

OUTLINE_SIDE = 1000
"""Of the square that an outline's path is drawn in, whatever the sides of the picture."""

LAYER_SIZE = (2 * CELLS, 2 * CELLS)
"""Pixels of a layer's picture: the browser makes it as large as the frame, smoothly, and there is no more in a map."""

OUTLINE_BLUR = 0.02
"""Smoothing before outlining: standard deviation as a share of the picture's longer side."""


def tiled(pictures: Sequence[Image.Image], columns: int = 4) -> Image.Image:
    """Pictures of one size side by side in rows, as one picture: a screen fetches it at once.

    Raises
    ------
    InputError
        There is no picture.
    """
    if not pictures:
        raise InputError("There are no pictures to tile; give at least one.")
    wide, high = pictures[0].size
    rows = -(-len(pictures) // columns)
    gap = max(1, round(TILE_GAP * wide))
    sheet = Image.new("RGB", (columns * (wide + gap) - gap, rows * (high + gap) - gap), TILE_BACKGROUND)
    for place, picture in enumerate(pictures):
        sheet.paste(picture, (place % columns * (wide + gap), place // columns * (high + gap)))
    return sheet


def symmetric_limit(heatmap: FloatArray) -> float:
    """The value drawn in full colour, and its negative in the opposite one; 0 for an empty map.

    Parameters
    ----------
    heatmap : (H, W)
    """
    return float(np.quantile(np.abs(heatmap), PEAK_QUANTILE)) or float(np.abs(heatmap).max())


def overlay(image: Image.Image, heatmap: FloatArray, *, opacity: float = 0.7, outline: bool = False) -> Image.Image:
    """A signed map over a picture: purple where positive, teal where negative, clear where zero.

    The picture itself turns grey with the opacity, since no colour shows well on mucosa.

    Parameters
    ----------
    image : RGB picture
        What the network saw, at any size.
    heatmap : (h, w)
        Averaged over `CELLS` and resized to the picture; symmetric limits, see `symmetric_limit`.
    opacity : float
        In [0, 1]; how much of the picture the strongest values cover.
    outline : bool
        Also draw a line round the strongest region.

    Raises
    ------
    InputError
        The heatmap has not two dimensions of finite values.
    """
    picture = image.convert("RGB")
    strength = _strength(heatmap, picture.size)
    colours = _coloured(strength)
    opacity = float(np.clip(opacity, 0, 1))
    cover = (opacity * np.abs(strength))[..., None]
    ground = np.asarray(Image.blend(picture, picture.convert("L").convert("RGB"), opacity))
    blended = Image.fromarray((ground * (1 - cover) + colours * cover).round().astype(np.uint8))
    return _outlined(blended, np.abs(strength)) if outline and np.abs(strength).max() > 0 else blended


@dataclass(frozen=True)
class Layer:
    """A heatmap alone, to be laid over a picture by what shows both.

    Attributes
    ----------
    colours : str
        The map as a PNG at a ``data:`` address, clear where nothing is; to be stretched over what the network saw.
    outline : str
        The line round the strongest region, as the path of an SVG whose sides are `OUTLINE_SIDE` long; empty for an
        empty map.
    """

    colours: str
    outline: str


def layer(heatmap: FloatArray) -> Layer:
    """A signed map as a layer: the colours of `overlay`, at full strength, and its outline.

    Parameters
    ----------
    heatmap : (h, w)

    Raises
    ------
    InputError
        The heatmap has not two dimensions of finite values.
    """
    strength = _strength(heatmap, LAYER_SIZE)
    rgba = np.concatenate([_coloured(strength), 255 * np.abs(strength)[..., None]], axis=-1)
    return Layer(png_url(Image.fromarray(rgba.round().astype(np.uint8), "RGBA")), outline_path(np.abs(strength)))


def outline_path(strength: FloatArray) -> str:
    """The line round the strongest region as the path of an SVG; empty for a map of zeros.

    Parameters
    ----------
    strength : (h, w)
        In [0, 1].
    """
    from contourpy import contour_generator  # only where an outline is drawn
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter(np.asarray(strength, np.float64), OUTLINE_BLUR * max(strength.shape), mode="nearest")
    if (peak := float(blurred.max())) <= 0:
        return ""
    # A rim of zeros closes every line at the edge of the picture.
    height, width = strength.shape
    x, y = (np.concatenate([[0], np.arange(n) + 0.5, [n]]) * OUTLINE_SIDE / n for n in (width, height))
    lines = cast("list[FloatArray]", contour_generator(x, y, np.pad(blurred, 1)).lines(OUTLINE_LEVEL * peak))
    return "".join("M" + "L".join(f"{px:.0f} {py:.0f}" for px, py in line) + "Z" for line in lines)


def colour_bar(*, dark: bool = False) -> Chart:
    """The labelled colour bar of `overlay`: from lowering (teal) over nothing (white) to raising (purple)."""
    figure = blank_figure(dark, height=74)
    steps = np.linspace(-1, 1, 101)
    against, nothing, speaks_for = (said(VIEWER[end]) for end in ("against", "nothing", "for"))
    figure.add_heatmap(x=steps, z=[steps], colorscale=SCALE, zmin=-1, zmax=1, showscale=False, hoverinfo="skip")
    figure.update_layout(
        margin={"l": 70, "r": 70, "t": 4, "b": 36},
        xaxis={"tickvals": [-1, 0, 1], "ticktext": [against, nothing, speaks_for], "showgrid": False},
        yaxis={"visible": False},
    )
    alt = said("Colour bar: teal speaks against the neuron's relevance, white is nothing, purple speaks for it.")
    meanings = [
        {said("colour"): said("teal"), said("meaning"): against},
        {said("colour"): said("purple"), said("meaning"): speaks_for},
    ]
    return Chart(figure, meanings, alt)


def _strength(heatmap: FloatArray, size: tuple[int, int]) -> Float32Array:
    """A map (h, w) in [−1, 1] of its symmetric limits, at a picture's (width, height)."""
    values = np.asarray(heatmap, np.float32)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise InputError(f"The heatmap has shape {values.shape}; wanted two dimensions of finite values.")
    coarse = _averaged(values)
    limit = symmetric_limit(np.asarray(coarse)) or 1.0
    strength: Float32Array = np.clip(np.asarray(coarse.resize(size, Image.Resampling.BICUBIC)) / limit, -1, 1)
    return strength


def _coloured(strength: Float32Array) -> Float64Array:
    """The colours of a map in [−1, 1], (h, w), as (h, w, 3) in [0, 255]."""
    positions = np.linspace(-1, 1, len(DIVERGING))
    stops = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in DIVERGING], np.float64)
    return np.stack([np.interp(strength, positions, stops[:, channel]) for channel in range(3)], axis=-1)


def _averaged(values: Float32Array) -> Image.Image:
    """The map's mean over the cells it is drawn with."""
    height, width = values.shape
    shrink = max(1.0, max(height, width) / CELLS)
    return Image.fromarray(values).resize(
        (max(1, round(width / shrink)), max(1, round(height / shrink))), Image.Resampling.BOX
    )


def _outlined(picture: Image.Image, strength: FloatArray) -> Image.Image:
    """A white line with a dark rim round the strongest region, visible on any picture."""
    blurred = Image.fromarray((255 * strength).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(OUTLINE_BLUR * max(picture.size))
    )
    peak = max(int(np.asarray(blurred).max()), 1)
    region = blurred.point(lambda value: 255 if value >= OUTLINE_LEVEL * peak else 0)
    line, rim = region.filter(ImageFilter.MaxFilter(5)), region.filter(ImageFilter.MaxFilter(7))
    result = picture.copy()
    result.paste("#101418", mask=ImageChops.subtract(rim, region))
    result.paste("#FFFFFF", mask=ImageChops.subtract(line, region))
    return result
