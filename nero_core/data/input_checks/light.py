"""How the tissue was recorded: how sharp, how bright, in what colours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nero_core.data.input_checks.check import BoolArray
from nero_core.data.input_checks.view import Levels, View
from nero_core.wording import message

BLURRED = 0.78
"""Share of the energy of edges that is left after a further blur of σ = `FURTHER`, from which an image is called
blurred. Of 460 training frames the largest was 0.71; of 75 with a blur of σ = 2 % of the longer side the smallest was
0.87; after Crété et al., 'The blur effect' (2007), who blur once more and compare."""
FURTHER = 2.0
"""σ of that blur, in pixels of the coarse copy."""
EDGE_NOISE = 24.0
"""Energy of both Sobel operators in white noise of variance 1: the sum of their squared weights."""
NOISE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
"""Blind to edges and slopes, with squared weights of sum 1 (Immerkær, 'Fast noise variance estimation', 1996)."""
MEDIAN_OF_NORMAL = 0.6745
"""Median distance of a normal variable from its mean, in standard deviations."""

DARK_LEVEL, DARK_SHARE = 60, 0.9
"""Too dark: that share of the tissue has less luma than this. Of 460 training frames 5 have: 4 of blood in a capsule's
light and 1 of the colon."""
FULL_LEVEL, FULL_SHARE = 245, 0.12
"""Too bright: that share of the tissue has this luma. The largest of 460 training frames was 0.119."""
BRIGHT_MEDIAN = 195
"""Too bright as well: half of the tissue has this luma. The largest of 460 training frames was 175."""
WHITE_LEVEL, GLARE_SHARE = 225, 0.04
"""Glare: that share of the tissue has all channels this high. Of 460 training frames 19 have it."""

REDDEST_GREEN = 0.1
"""ln(mean red / mean green) of tissue, below which it is too green or blue: the smallest of 460 training frames was
0.16."""
LEAST_BLUE, MOST_BLUE = -1.7, 0.25
"""ln(mean blue / mean green) of tissue: training frames had −1.58 (bile) to 0.18 (blood in a capsule's light)."""
COLOURLESS = 0.08
"""Median saturation below which an image has no colour: the palest training frame had 0.17."""


def blur(view: View, tissue: BoolArray) -> float:
    """Share of the energy of edges that a further blur leaves, less what noise has of it; 0 without tissue enough.

    Parameters
    ----------
    tissue : (h', w') bool
    """
    inner = view.inner(tissue)
    if not inner.any():
        return 0.0
    noise = np.median(np.abs(ndimage.convolve(view.luma, NOISE)[inner])) / MEDIAN_OF_NORMAL
    before = _edges(view.luma, inner) - EDGE_NOISE * float(noise) ** 2
    after = _edges(ndimage.gaussian_filter(view.luma, FURTHER), inner)
    return after / before if before > after else float(after > 0)


def _edges(luma: Levels, where: BoolArray) -> float:
    """Mean energy of the Sobel operators."""
    energy = ndimage.sobel(luma, 0) ** 2 + ndimage.sobel(luma, 1) ** 2
    return float(energy[where].mean())


def too_dark(luma: Levels) -> bool:
    """Whether nearly all of the tissue is dark.

    Parameters
    ----------
    luma : (n,)
        Of the tissue's pixels.
    """
    return float(np.quantile(luma, DARK_SHARE)) < DARK_LEVEL


def too_bright(luma: Levels) -> bool:
    """Whether much of the tissue is at the end of the scale, or half of it near.

    Parameters
    ----------
    luma : (n,)
        Of the tissue's pixels.
    """
    return float((luma >= FULL_LEVEL).mean()) >= FULL_SHARE or float(np.median(luma)) >= BRIGHT_MEDIAN


def glare(view: View, tissue: BoolArray) -> BoolArray:
    """Where light comes back white from wet tissue, (h', w').

    Parameters
    ----------
    tissue : (h', w') bool
    """
    white: BoolArray = np.minimum.reduce(np.moveaxis(view.coarse, 2, 0)) >= WHITE_LEVEL
    return white & tissue


def colour_cast(colours: npt.NDArray[np.float32]) -> str:
    """In a few words what is wrong with the colours of the tissue; empty where nothing is.

    Parameters
    ----------
    colours : (3, n) float32
        Red, green and blue of the tissue's pixels, in grey levels.
    """
    if saturation(colours) < COLOURLESS:
        return message("no colour")
    red, green, blue = np.log(colours.mean(axis=1) + 1)
    if blue - green > MOST_BLUE:
        return message("too blue")
    if red - green < REDDEST_GREEN:
        return message("too green") if green >= blue else message("too blue")
    return message("too yellow") if blue - green < LEAST_BLUE else ""


def saturation(colours: npt.NDArray[np.float32]) -> float:
    """Median over pixels of (largest − smallest channel) / largest.

    Parameters
    ----------
    colours : (3, n) float32
        In grey levels.
    """
    most, least = np.maximum.reduce(colours), np.minimum.reduce(colours)
    return float(np.median((most - least) / np.maximum(most, 1)))
