"""The reduced copies of an image that the checks look at, and where on them there is tissue to see."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from nero_core.data.input_checks.check import BoolArray, Pixels, Rectangle
from nero_core.data.input_checks.windows import eroded, opened

Levels = npt.NDArray[np.float32]

FINE_SIDE = 800
"""Longer side of the copy that letters are looked for in, in pixels, at most: in frames of 576 lines letters are about
12 pixels high, and at half of that they still have strokes."""
COARSE_SIDE = 320
"""Longer side of the copy for everything else, in pixels, at most: not much more than what networks read (224), so that
what does not show in it can hardly move a score."""
BLACK = 28
"""Brightest channel of a backdrop, in grey levels: processors draw it at 0 to 22, and JPEG adds some."""
RIM = 2
"""Pixels of the coarse copy beside the border that are neither border nor tissue: the lens's dark rim."""
AWAY_FROM_RIM = 4
"""How many more pixels of the coarse copy at the rim of the tissue may hold edges that are the border's."""
LUMA = np.array((0.299, 0.587, 0.114), np.float32)
"""Weights of red, green and blue: ITU-R BT.601."""


@dataclass(frozen=True, eq=False)
class View:
    """One image, reduced twice.

    Attributes
    ----------
    width, height : int
        Of the image itself, in pixels.
    fine : (h, w) uint8
        Luma of the copy for letters.
    coarse : (h', w', 3) uint8
        RGB of the copy for everything else.
    """

    width: int
    height: int
    fine: Pixels
    coarse: Pixels

    @classmethod
    def of(cls, image: Image.Image) -> View:
        """Reduce an image; means over whole pixels, so that nothing rings."""
        fine = image.convert("RGB").reduce(_times(image, FINE_SIDE))
        coarse = fine.reduce(_times(fine, COARSE_SIDE))
        return cls(*image.size, np.asarray(fine.convert("L")), np.asarray(coarse))

    @cached_property
    def luma(self) -> Levels:
        """Of the coarse copy, in grey levels, (h', w')."""
        return np.asarray(self.coarse @ LUMA, np.float32)

    @cached_property
    def border(self) -> BoolArray:
        """Black that hangs together with an edge of the coarse copy, (h', w')."""
        parts, _ = ndimage.label(np.maximum.reduce(np.moveaxis(self.coarse, 2, 0)) <= BLACK)
        at_edge = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
        found: BoolArray = np.isin(parts, np.unique(at_edge[at_edge > 0]))
        return found

    def tissue(self, drawn_over: tuple[Rectangle, ...]) -> BoolArray:
        """What lies inside the border and under none of these rectangles of the image, (h', w')."""
        high, wide = self.luma.shape
        window = (2 * RIM + 1, 2 * RIM + 1)
        found: BoolArray = eroded(opened((~self.border).view(np.uint8), window), window).view(bool)
        for left, top, right, bottom in drawn_over:
            rows = slice(top * high // self.height, -(-bottom * high // self.height))
            found[rows, left * wide // self.width : -(-right * wide // self.width)] = False
        return found

    def colours(self, tissue: BoolArray) -> Levels:
        """Red, green and blue of the tissue's pixels, in grey levels, (3, n).

        Parameters
        ----------
        tissue : (h', w') bool
        """
        return np.asarray([channel[tissue] for channel in np.moveaxis(self.coarse, 2, 0)], np.float32)

    def inner(self, tissue: BoolArray) -> BoolArray:
        """Tissue whose edges are its own: away from the border, and from the image's end, where a line is often dark.

        Parameters
        ----------
        tissue : (h', w') bool
        """
        window = 2 * AWAY_FROM_RIM + 1
        inner: BoolArray = eroded(np.pad(tissue, 1).view(np.uint8), (window, window)).view(bool)
        return inner[1:-1, 1:-1]

    def rectangle(self, rows: slice, columns: slice, copy: Pixels, margin: int = 0) -> Rectangle:
        """A part of one of the copies with a margin around it, in pixels of the image.

        Parameters
        ----------
        rows, columns : slice
        copy : (h, w) or (h', w', 3) uint8
            The copy that they count in.
        margin : int
            In pixels of the copy.
        """
        y, x = self.height / copy.shape[0], self.width / copy.shape[1]
        return Rectangle(
            max(0, math.floor((columns.start - margin) * x)),
            max(0, math.floor((rows.start - margin) * y)),
            min(self.width, math.ceil((columns.stop + margin) * x)),
            min(self.height, math.ceil((rows.stop + margin) * y)),
        )


def _times(image: Image.Image, longest: int) -> int:
    """By what whole number an image is reduced to have no longer side than this."""
    return max(1, math.ceil(max(image.size) / longest))
