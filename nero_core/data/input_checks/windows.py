"""Grey-scale morphology with flat, odd windows, as scipy's with ``mode="nearest"``, some twenty times as fast.

The least of 2 k neighbours is the lesser of the least of k and of the next k, so a window of w takes log₂ w steps over
the whole copy (van Herk, 1992, has a constant number; for windows below ten there is no difference).
"""

from __future__ import annotations

import numpy as np

from nero_core.data.input_checks.check import Pixels


def eroded(copy: Pixels, window: tuple[int, int]) -> Pixels:
    """The least value in a window around each pixel.

    Parameters
    ----------
    copy : (h, w) uint8
        Beyond its edges the nearest pixel is taken.
    window : (rows, columns)
        Odd.

    Returns
    -------
    (h, w) uint8
    """
    return _extreme(_extreme(copy, window[0], np.minimum).T, window[1], np.minimum).T


def dilated(copy: Pixels, window: tuple[int, int]) -> Pixels:
    """The largest value in a window around each pixel; arguments as of :func:`eroded`."""
    return _extreme(_extreme(copy, window[0], np.maximum).T, window[1], np.maximum).T


def opened(copy: Pixels, window: tuple[int, int]) -> Pixels:
    """Without what is brighter than its surroundings and narrower than the window; arguments as of :func:`eroded`."""
    return dilated(eroded(copy, window), window)


def closed(copy: Pixels, window: tuple[int, int]) -> Pixels:
    """Without what is darker than its surroundings and narrower than the window; arguments as of :func:`eroded`."""
    return eroded(dilated(copy, window), window)


def _extreme(copy: Pixels, window: int, of_two: np.ufunc) -> Pixels:
    """The least or largest over a window of rows."""
    found = np.pad(copy, ((window // 2, window // 2), (0, 0)), mode="edge")
    spans = 1
    while spans < window:
        step = min(spans, window - spans)
        found = of_two(found[:-step], found[step:])
        spans += step
    return found
