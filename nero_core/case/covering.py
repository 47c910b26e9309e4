"""Whether covering a place lowers a score more than covering as much at random places beside it.

Ours, after occlusion analysis (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014,
section 4.2), with the same cover at random places as the comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from nero_core.calibration.conformal import TIE_TOLERANCE
from nero_core.case.covers import Cover, Fill, Mask
from nero_core.data.input_checks.places import BORDER, find_places
from nero_core.errors import InputError
from nero_core.records import Float64Array

if TYPE_CHECKING:
    from nero_core.case.case import Case

RANDOM_PLACES = 8
"""Covers that a region's is held against: by chance alone it would do most in one of nine images."""

LEAST_FALL = 0.1
"""Share, of what a score is above the usual one, that covering must take away to be worth the name. In noise that is
tinted all over, the densest place does most in three images of ten, but by a hundredth."""

STEPS = 64
"""Random places start at multiples of this part of the image's sides."""

CONTENT_SHARE = 0.9
"""Least share of a random place that is no black border; as little as the region's own where that has less."""


@dataclass(frozen=True)
class CoverTest:
    """What covering a region does to a score, beside covering as much at random places.

    Attributes
    ----------
    region : Cover
    others : tuple of Cover
        Of the region's size, at random places.
    fill : {"mean", "inpainted"}
    seed : int
        Of the random places.
    before : float
        The score of the image as it is; larger = more out-of-distribution.
    after : float
        With the region covered.
    elsewhere : tuple of float
        With each of the others covered instead.
    usual : float
        Median of the calibration scores that the image is held against.
    """

    region: Cover
    others: tuple[Cover, ...]
    fill: Fill
    seed: int
    before: float
    after: float
    elsewhere: tuple[float, ...]
    usual: float

    @property
    def fall(self) -> float:
        """By how much covering the region lowers the score; negative where it raises it."""
        return self.before - self.after

    @property
    def lowers(self) -> bool:
        """Whether it lowers it at all, by more than rounding."""
        return self.fall > TIE_TOLERANCE * abs(self.before)

    @property
    def worth(self) -> bool:
        """Whether that is at least a tenth of what the score is above the usual one."""
        return self.fall >= LEAST_FALL * max(self.before - self.usual, 0.0)

    @property
    def rank(self) -> int:
        """The region's place among all covers by how far each lowers the score: 1 where none lowers it as far.

        Equal within the 1e-4 of the score by which it moves with rounding. Were the region no better than a random
        place, each of the nine ranks would be as likely.
        """
        near = TIE_TOLERANCE * abs(self.before)
        return 1 + sum(self.before - score >= self.fall - near for score in self.elsewhere)

    @property
    def confirmed(self) -> bool:
        """Whether covering the region lowers the score by something, and further than covering any random place."""
        return self.lowers and self.rank == 1 and self.worth


def random_places(region: Cover, content: Mask, seed: int, count: int = RANDOM_PLACES) -> tuple[Cover, ...]:
    """Covers of a region's size at different random places of an image, beside the region and within its content.

    They start at multiples of 1/64 of the image's sides, share no pixel with the region (but perhaps with each other),
    and hold at most a tenth of what is no content, or as much of it as the region does where that is more.

    Parameters
    ----------
    content : (H, W) bool
        What of the image is no black border.
    seed : int

    Returns
    -------
    tuple of Cover
        `count` of them, or none where there are fewer.
    """
    high, wide = content.shape
    left, top, right, bottom = region.box((wide, high))
    w, h = right - left, bottom - top
    sums = np.zeros((high + 1, wide + 1))
    sums[1:, 1:] = content.cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    columns, rows = (np.unique(np.arange(STEPS) * side // STEPS) for side in (wide, high))
    x, y = (each.ravel() for each in np.meshgrid(columns[columns + w <= wide], rows[rows + h <= high]))

    def held(x: npt.NDArray[np.int64] | int, y: npt.NDArray[np.int64] | int) -> Float64Array:
        share: Float64Array = (sums[y + h, x + w] - sums[y, x + w] - sums[y + h, x] + sums[y, x]) / (w * h)
        return share

    beside = (x + w <= left) | (x >= right) | (y + h <= top) | (y >= bottom)
    fit = np.flatnonzero(beside & (held(x, y) >= min(CONTENT_SHARE, float(held(left, top)))))
    if len(fit) < count:
        return ()
    chosen = np.random.default_rng(seed).choice(fit, count, replace=False)
    boxes = [(int(x[i]), int(y[i]), int(x[i]) + w, int(y[i]) + h) for i in chosen]
    return tuple(Cover.of_box(box, (wide, high)) for box in boxes)


def cover_test(
    case: Case,
    image: Image.Image,
    region: Cover,
    seed: int = 0,
    fill: Fill = "inpainted",
    content: Mask | None = None,
    between: Callable[[], object] | None = None,
) -> CoverTest | None:
    """Cover a region, and as much at eight random places instead, each alone; nine passes through the network.

    None where there are no eight places of the region's size beside it.

    Parameters
    ----------
    case : Case
        Whose score is taken.
    image : RGB image
        The one that the case is of.
    fill : {"mean", "inpainted"}
        The latter where not given: a flat rectangle is unusual by itself.
    content : (H, W) bool, optional
        What of the image is no black border; found here where not given.
    between : callable, optional
        Called before each pass through the network; it may leave by an exception.

    Raises
    ------
    InputError
        The content has not the size of the image, or there is no such filling.
    """
    inside = ~find_places(image)[BORDER] if content is None else content
    if inside.shape != image.size[::-1]:
        raise InputError(f"The content has shape {inside.shape}; wanted that of the image, {image.size[::-1]}.")
    others = random_places(region, inside, seed)
    if not others:
        return None
    scores = []
    for cover in (region, *others):
        if between is not None:
            between()
        scores.append(case.score_covered(image, cover, fill))
    after, *elsewhere = scores
    usual = float(np.median(case.calibration.scores))
    return CoverTest(region, others, fill, seed, case.score, after, tuple(elsewhere), usual)
