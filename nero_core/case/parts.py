"""The larger parts of a mask, as rectangles that can be covered."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nero_core.data.input_checks import Rectangle

Mask = npt.NDArray[np.bool_]

MOST_PARTS = 8
"""Parts of a mask that get a rectangle each, the largest first: more of them would be no few rectangles."""

LEAST_PART = 0.1
"""Share of the largest part's cells that a part has at least to get one."""

TOUCHING = np.ones((3, 3), bool)
"""Cells that meet at a side or a corner hang together."""


def parts_of(mask: Mask) -> list[Rectangle]:
    """Rectangles round the larger connected parts of a mask, the largest part first; at most `MOST_PARTS`.

    Left, top, right and bottom in cells of the mask. Of equally large parts the first row by row comes first.

    Parameters
    ----------
    mask : (h, w) bool
    """
    parts, count = ndimage.label(mask, TOUCHING)
    cells = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-cells, kind="stable")[:MOST_PARTS]
    larger = [part for part in order if cells[part] >= LEAST_PART * cells[order[0]]]
    slices = ndimage.find_objects(parts)
    boxes: list[Rectangle] = []
    for part in larger:
        rows, columns = slices[part]
        boxes.append(Rectangle(columns.start, rows.start, columns.stop, rows.stop))
    return boxes


def bands_of(border: Mask) -> list[Rectangle]:
    """Up to four bands beside the rectangle round the largest part that is no border: top, bottom, left, right.

    Left, top, right and bottom in cells of the mask. What is black within that rectangle, such as the corners of a
    round picture, is in none of them.

    Parameters
    ----------
    border : (h, w) bool
    """
    content = parts_of(~border)
    if not content:
        return []
    (high, wide), (left, top, right, bottom) = border.shape, content[0]
    bands = (
        Rectangle(0, 0, wide, top),
        Rectangle(0, bottom, wide, high),
        Rectangle(0, top, left, bottom),
        Rectangle(right, top, wide, bottom),
    )
    return [band for band in bands if band.left < band.right and band.top < band.bottom]
