"""What a check found, as a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]


class Rectangle(NamedTuple):
    """Part of an image, in its pixels; the right and the lower edge are outside, as Pillow has it."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, eq=False)
class Check:
    """One thing that was noticed about an image.

    Attributes
    ----------
    name : str
        In a few words, for tables.
    sentence : str
        What was seen.
    effect : str
        What it may do to the score.
    region : tuple of Rectangle, or (h, w) bool
        Where it is, in pixels of the image or as a mask over a reduced copy of it; empty where it is everywhere.
    """

    name: str
    sentence: str
    effect: str
    region: tuple[Rectangle, ...] | BoolArray = ()

    def covered(self, width: int, height: int) -> BoolArray:
        """The region as a mask over the image, (height, width).

        Parameters
        ----------
        width, height : int
            Of the image that was checked, in pixels.
        """
        if isinstance(self.region, tuple):
            return marked(self.region, width, height)
        rows, columns = (np.arange(n) * m // n for n, m in zip((height, width), self.region.shape, strict=True))
        mask: BoolArray = self.region[rows[:, None], columns]
        return mask

    def as_data(self) -> dict[str, Any]:
        """As plain JSON values: rectangles where there are any, of a mask its share of the image."""
        data: dict[str, Any] = {"name": self.name, "sentence": self.sentence, "effect": self.effect}
        if isinstance(self.region, tuple):
            return data | ({"rectangles": [list(each) for each in self.region]} if self.region else {})
        return data | {"share": float(self.region.mean())}


def marked(rectangles: tuple[Rectangle, ...], width: int, height: int) -> BoolArray:
    """A mask that is true within any of the rectangles, (height, width)."""
    mask = np.zeros((height, width), bool)
    for left, top, right, bottom in rectangles:
        mask[top:bottom, left:right] = True
    return mask
