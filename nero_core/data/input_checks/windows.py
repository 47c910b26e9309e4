"""Smallest and largest values in windows, by doubling: many times faster than scipy's filters on small numbers."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Kind = TypeVar("Kind", bound=np.generic)


def smallest(values: npt.NDArray[Kind], height: int, width: int) -> npt.NDArray[Kind]:
    """The smallest value in the window around each place, edges repeated; of a mask, its erosion.

    Parameters
    ----------
    values : (h, w)
    height, width : int
        Of the window, odd.
    """
    return _over(_over(values, height, 0, np.minimum), width, 1, np.minimum)


def largest(values: npt.NDArray[Kind], height: int, width: int) -> npt.NDArray[Kind]:
    """The largest value in the window around each place, edges repeated; of a mask, its dilation.

    Parameters
    ----------
    values : (h, w)
    height, width : int
        Of the window, odd.
    """
    return _over(_over(values, height, 0, np.maximum), width, 1, np.maximum)


def _over(values: npt.NDArray[Kind], size: int, axis: int, extreme: np.ufunc) -> npt.NDArray[Kind]:
    """Along one axis; van Herk's idea in its simplest form: windows of 1, 2, 4, …, and the last two overlap."""
    pad = [(0, 0), (0, 0)]
    pad[axis] = (size // 2, size // 2)
    reached = np.pad(values, pad, mode="edge")
    covered = 1
    while covered < size:
        step = min(covered, size - covered)
        early, late = [slice(None), slice(None)], [slice(None), slice(None)]
        early[axis], late[axis] = slice(None, -step), slice(step, None)
        reached = extreme(reached[tuple(early)], reached[tuple(late)])
        covered += step
    return reached
