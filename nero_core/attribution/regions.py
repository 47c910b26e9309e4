"""Pieces of the measurement of faithfulness, pure functions of arrays: square cells, orders, areas, blurring."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torchvision.transforms.functional import gaussian_blur

from nero_core.metrics import rank_correlations
from nero_core.records import Float32Array, Float64Array, FloatArray, IntArray

BLUR_SHARE = 1 / 20
"""Standard deviation of the blur, as a share of the image's shorter side: mucosal texture is gone, colour stays."""


def area(values: FloatArray, shares: FloatArray) -> Float64Array:
    """Area under curves by the trapezoid rule; shares run from 0 to 1, so that it is the curves' mean.

    Parameters
    ----------
    values : (…, s)
    shares : (s,)
    """
    return cast(Float64Array, np.trapezoid(np.asarray(values, np.float64), shares, axis=-1))


def cell_of_pixels(height: int, width: int, cells: int) -> IntArray:
    """Which of cells² cells each pixel lies in, (H, W), row by row."""
    rows, columns = (np.arange(side) * cells // side for side in (height, width))
    return cast(IntArray, rows[:, None] * cells + columns)


def cell_means(relevance_map: FloatArray, cells: int) -> Float64Array:
    """Mean relevance of each cell, (cells²,).

    Parameters
    ----------
    relevance_map : (H, W)
    """
    height, width = relevance_map.shape
    places = cell_of_pixels(height, width, cells).ravel()
    sums = np.bincount(places, weights=np.asarray(relevance_map, np.float64).ravel(), minlength=cells**2)
    return sums / np.bincount(places, minlength=cells**2)


def first_cells(order: npt.NDArray[np.integer], shares: FloatArray, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Which pixels lie in the first cells of an order, for each share of them, (s, H, W).

    Parameters
    ----------
    order : (cells²,)
        Numbers of the cells, the first one first.
    shares : (s,)
        In [0, 1].
    """
    cells = round(np.sqrt(len(order)))
    rank = np.empty(len(order))
    rank[order] = np.arange(len(order))
    counts = np.round(np.asarray(shares) * len(order))
    return rank[cell_of_pixels(height, width, cells)] < counts[:, None, None]


def rank_correlation(first: FloatArray, second: FloatArray) -> float:
    """Spearman's rank correlation, in [−1, 1]; 0 where one of the two has no order because it is constant.

    Parameters
    ----------
    first, second : (n,)
    """
    rho = float(rank_correlations([first, second])[0, 1])
    return 0.0 if np.isnan(rho) else rho


def blurred(image: Float32Array) -> Float32Array:
    """The image with its texture gone.

    Parameters
    ----------
    image : (3, H, W)
    """
    sigma = BLUR_SHARE * min(image.shape[1:])
    # Twice σ to each side, but no more than reflection at the border allows.
    reach = min(int(np.ceil(2 * sigma)), min(image.shape[1:]) - 1)
    smooth = gaussian_blur(torch.from_numpy(image), 2 * reach + 1, sigma)
    return cast(Float32Array, smooth.numpy())
