"""What a processor draws over a frame: letters and the position picture.

Letters are thin and brighter than what is behind them; in a line they stand on one height, close together and many.
Chains of glare have none of the last three. The position picture is a flat green rectangle beside an edge.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from nero_core.data.input_checks.check import BoolArray, Rectangle
from nero_core.data.input_checks.view import View
from nero_core.data.input_checks.windows import closed, opened

STROKE = 7
"""Letters are thinner than this, in pixels of the fine copy. This number and the next were chosen, as those of `SURE`,
on 120 frames of three training sets with rendered captions, against 270 whole and cropped ones without letters."""
BRIGHTER = 50
"""By how many grey levels a letter stands out from what is behind it."""
GAPS = (3, 5, 9)
"""Windows that close what lies between the letters of small to large print, in pixels of the fine copy; odd."""
LOWEST, HIGHEST = 4, 30
"""Height of a line, in pixels of the fine copy: smaller print has no strokes left, larger was never seen."""
LONGER = 2.5
"""A line is longer than high, by at least so many times."""
NEAR_LINES, NEAR_ACROSS = 2.5, 5.0
"""Lines of one block: how far below one another and how far beside, as parts of their height."""


class Line(NamedTuple):
    """A candidate for a line of letters, on the fine copy.

    Attributes
    ----------
    rows, columns : slice
        Where it is.
    strokes : float
        How many strokes a row crosses, mean over rows.
    density : float
        Strokes for each height's length of the line.
    thinnest : float
        The emptiest row's share of lit pixels.
    unevenness : float
        Standard deviation of the rows' shares over their mean.
    lit : float
        Share of lit pixels.
    level : float
        Share of its columns that reach the top, or the bottom where those are fewer.
    """

    rows: slice
    columns: slice
    strokes: float
    density: float
    thinnest: float
    unevenness: float
    lit: float
    level: float

    @property
    def height(self) -> int:
        """In pixels of the fine copy."""
        return int(self.rows.stop - self.rows.start)

    @property
    def sure(self) -> bool:
        """Whether this alone is taken for letters."""
        shaped = self.thinnest >= 0.1 and self.unevenness <= 0.5 and self.lit >= 0.2 and self.level >= 0.6
        return self.strokes >= 3.5 and self.density >= 0.6 and shaped

    @property
    def likely(self) -> bool:
        """Whether this is taken for letters beside a line that is sure: short, broken or underlined ones, too."""
        return self.strokes >= 2 and self.density >= 0.5 and self.lit >= 0.15 and self.level >= 0.4

    def near(self, other: Line) -> bool:
        """Whether both may belong to one block of text."""
        height = max(self.height, other.height)
        below = max(self.rows.start, other.rows.start) - min(self.rows.stop, other.rows.stop)
        beside = max(self.columns.start, other.columns.start) - min(self.columns.stop, other.columns.stop)
        alike = min(self.height, other.height) >= height / 2
        return alike and below <= NEAR_LINES * height and beside <= NEAR_ACROSS * height


def text(view: View) -> tuple[Rectangle, ...]:
    """Lines of burnt-in letters, each a rectangle in pixels of the image, from the top."""
    behind = opened(view.fine, (STROKE, STROKE))
    lit = view.fine - behind > BRIGHTER
    candidates = [line for gap in GAPS for line in _lines(lit, gap)]
    block = [line for line in candidates if line.sure]
    waiting = [line for line in candidates if line.likely and not line.sure]
    new = block
    while new and waiting:
        new = [line for line in waiting if any(line.near(known) for known in new)]
        waiting = [line for line in waiting if line not in new]
        block = block + new
    boxes = {view.rectangle(line.rows, line.columns, view.fine, margin=1) for line in block}
    return tuple(sorted((box for box in boxes if not any(_within(box, other) for other in boxes)), key=_from_the_top))


def _lines(lit: BoolArray, gap: int) -> list[Line]:
    """What could be a line, with letters so far apart."""
    joined = closed(lit.view(np.uint8), (1, gap))
    parts, _ = ndimage.label(joined)
    lines = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(parts), start=1):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if LOWEST <= height <= HIGHEST and width >= LONGER * height:
            lines.append(_line(rows, columns, lit[rows, columns] & (parts[rows, columns] == number)))
    return lines


def _line(rows: slice, columns: slice, lit: BoolArray) -> Line:
    """Measure one candidate."""
    height, width = lit.shape
    strokes = float(((lit[:, 1:] & ~lit[:, :-1]).sum(axis=1) + lit[:, 0]).mean())
    shares = lit.mean(axis=1)
    inked = lit[:, lit.any(axis=0)]
    near = max(1, round(0.2 * height))
    level = min(float((part.argmax(axis=0) <= near).mean()) for part in (inked, inked[::-1]))
    return Line(
        rows,
        columns,
        strokes,
        strokes * height / width,
        float(shares.min()),
        float(shares.std() / shares.mean()),
        float(shares.mean()),
        level,
    )


def _within(box: Rectangle, other: Rectangle) -> bool:
    """Whether a rectangle lies in another."""
    inside = box.left >= other.left and box.top >= other.top and box.right <= other.right and box.bottom <= other.bottom
    return inside and box != other


def _from_the_top(box: Rectangle) -> tuple[int, int]:
    return box.top, box.left


GREENER_THAN_RED, GREENER_THAN_BLUE = 24, 8
"""By how many grey levels the ground of a position picture is green: Olympus's teal, (0, 160, 130), far beyond it."""
SMALLEST_PICTURE, LARGEST_PICTURE = 0.004, 0.36
"""Its part of the image: displays give it about 2 to 12 %, the demo's largest is a quarter."""
WIDEST_PICTURE = 0.62
"""Its part of either side; what is wider is the scene."""
FILLED = 0.8
"""How much of its rectangle is green, with what is drawn on it: a rectangle has all, a round patch 79 %."""
FLAT = 12
"""Median distance from its median colour, in grey levels: drawn, not seen."""
BESIDE_EDGE = 0.15
"""How far it is from an edge of the image, as a part of the side."""
SCOPE = 3
"""Half the thickness of the line drawn on it, in pixels of the coarse copy."""


def position_pictures(view: View) -> tuple[Rectangle, ...]:
    """Inset pictures of where the scope lies, each a rectangle in pixels of the image."""
    red, green, blue = np.moveaxis(view.coarse.astype(np.int16), 2, 0)
    is_green = (green - red >= GREENER_THAN_RED) & (green - blue >= GREENER_THAN_BLUE)
    ground = ndimage.binary_opening(is_green, np.ones((2, 2), bool))
    parts, _ = ndimage.label(ground)
    high, wide = ground.shape
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(parts), start=1):
        part = parts[rows, columns] == number
        height, width = part.shape
        if not SMALLEST_PICTURE * ground.size <= height * width <= LARGEST_PICTURE * ground.size:
            continue
        if width > WIDEST_PICTURE * wide or height > WIDEST_PICTURE * high:
            continue
        x = min(columns.start, wide - columns.stop) / wide
        y = min(rows.start, high - rows.stop) / high
        colours = view.coarse[rows, columns][part].astype(np.int16)
        away = np.abs(colours - np.median(colours, axis=0)).max(axis=1)
        drawn = ndimage.binary_closing(np.pad(part, SCOPE), iterations=SCOPE)[SCOPE:-SCOPE, SCOPE:-SCOPE]
        flat = float(np.median(away)) <= FLAT
        if min(x, y) <= BESIDE_EDGE and flat and ndimage.binary_fill_holes(drawn).mean() >= FILLED:
            found.append(view.rectangle(rows, columns, view.coarse, margin=1))
    return tuple(sorted(found, key=_from_the_top))
