"""Whether there is anything to judge, and whether it looks like endoscopy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nero_core.data.input_checks.check import BoolArray
from nero_core.data.input_checks.view import View
from nero_core.wording import message

LEAST_TISSUE = 0.02
"""Share of the image, below which nothing of it is left to judge."""
LEAST_CONTRAST = 8.0
"""Between the 2nd and the 98th percentile of smoothed luma, in grey levels, below which an image is flat: the flattest
of 460 training frames had 30."""
SMOOTHED_OVER = 5
"""Pixels of the coarse copy over which luma is averaged before, so that noise is no content."""

STRAIGHT, STRAIGHT_EDGES = 0.3, 0.03
"""Share of strong edges that are upright or level, and how much of the tissue they must be. By chance 2 × 12° of 90° is
0.13; of 460 training frames the largest was 0.25, of rendered pages and houses the smallest 0.6."""
ALONG_AXES = 6
"""Degrees from upright or level that still count."""
STRONG_EDGE = 60
"""Sobel magnitude of a strong edge: a step of 15 grey levels."""
EDGES_OVER = 0.7
"""σ of the smoothing before, in pixels of the coarse copy."""

GREY = 0.12
"""Saturation below which a pixel has no hue."""
FEWEST_WARM, MOST_WARM = 0.1, 0.6
"""Share of pixels whose strongest channel is red, between which the picture has several hues: of 460 training frames
none was below 0.96, of rendered dye none below 0.63; a colour cast leaves nearly none."""
HUES_APART = 0.45
"""Sum over channels of the standard deviation of a pixel's share of each channel, relative to the mean colour; with the
same light over one tissue, as in a colour cast of rendered frames, at most 0.37."""
NO_BORDER, COLD = 0.01, 0.7
"""Share of black border and of hues that are not red: a picture without border whose colours are hardly anywhere those
of tissue. Of 460 training frames 459 have a border, and none has more than 0.02 of such hues."""


def contrast(view: View, tissue: BoolArray) -> float:
    """Between the 2nd and the 98th percentile of smoothed luma, in grey levels; 0 where there is too little tissue.

    Parameters
    ----------
    tissue : (h', w') bool
    """
    if tissue.mean() < LEAST_TISSUE:
        return 0.0
    low, high = np.percentile(ndimage.uniform_filter(view.luma, SMOOTHED_OVER)[tissue], [2, 98])
    return float(high - low)


def foreign(view: View, tissue: BoolArray) -> str:
    """What is unlike endoscopy, in a few words; empty where nothing was found.

    Parameters
    ----------
    tissue : (h', w') bool
    """
    if straight_edges(view, tissue) >= STRAIGHT:
        return message("many of its edges are exactly upright or level")
    warm, cold, apart = hues(view.colours(tissue))
    if FEWEST_WARM <= warm <= MOST_WARM and apart >= HUES_APART:
        return message("it has several hues, and few of its colours are those of tissue")
    if cold >= COLD and view.border.mean() < NO_BORDER:
        return message("hardly any of its colours are those of tissue, and it has no black border")
    return ""


def straight_edges(view: View, tissue: BoolArray) -> float:
    """Share of strong edges that are upright or level; 0 where there are few.

    Parameters
    ----------
    tissue : (h', w') bool
    """
    luma = ndimage.gaussian_filter(view.luma, EDGES_OVER)
    inner = view.inner(tissue)
    if not inner.any():
        return 0.0
    across, down = ndimage.sobel(luma, 1)[inner], ndimage.sobel(luma, 0)[inner]
    strong = np.hypot(across, down) > STRONG_EDGE
    if strong.mean() < STRAIGHT_EDGES:
        return 0.0
    angle = np.degrees(np.arctan2(down[strong], across[strong])) % 90
    return float(((angle < ALONG_AXES) | (angle > 90 - ALONG_AXES)).mean())


def hues(colours: npt.NDArray[np.float32]) -> tuple[float, float, float]:
    """Share of pixels that are red first, share that have another hue, and how far the hues are apart.

    Parameters
    ----------
    colours : (3, n) float32
        Red, green and blue in grey levels.
    """
    colours = colours + 1
    most, least = np.maximum.reduce(colours), np.minimum.reduce(colours)
    warm = colours[0] >= most
    coloured = most - least > GREY * most
    relative = colours / colours.mean(axis=1, keepdims=True)
    relative /= relative.mean(axis=0)
    return float(warm.mean()), float((coloured & ~warm).mean()), float(relative.std(axis=1).sum())
