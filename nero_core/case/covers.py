"""Covers over an image, and what an image is with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from nero_core.case.inpainting import harmonic
from nero_core.case.parts import bands_of, parts_of
from nero_core.data.input_checks import Check
from nero_core.data.input_checks.places import BORDER
from nero_core.errors import InputError
from nero_core.records import Float32Array, Float64Array

if TYPE_CHECKING:
    from nero_core.case.case import Case

Mask = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]

Fill = Literal["mean", "inpainted"]
FILLS: tuple[Fill, ...] = get_args(Fill)
"""How a cover is filled: by the mean colour of what is not covered, or smoothly from what surrounds it."""

CHANGED = "the image was changed by covering"
"""Why a decision on a covered image has no guarantee."""

INPAINTING_SIDE = 192
"""Longer side, in cells, of the copy that is inpainted: a harmonic filling has no detail that needs more."""


@dataclass(frozen=True)
class Cover:
    """A rectangle over an image, in fractions of its width and height, each in [0, 1].

    Attributes
    ----------
    left, top : float
        Of its upper left corner.
    width, height : float

    Raises
    ------
    InputError
        It is empty, not finite, or reaches beyond the image.
    """

    left: float
    top: float
    width: float
    height: float

    def __post_init__(self) -> None:
        values = (self.left, self.top, self.width, self.height)
        if not all(math.isfinite(value) for value in values):
            raise InputError(f"The cover {self} holds NaN or infinity; wanted fractions of the image from 0 to 1.")
        if self.width <= 0 or self.height <= 0:
            raise InputError(f"The cover {self} is empty; wanted a width and a height above 0.")
        if self.left < 0 or self.top < 0 or max(self.left + self.width, self.top + self.height) > 1 + ROUNDING:
            raise InputError(
                f"The cover {self} reaches beyond the image; wanted left + width and top + height up to 1."
            )

    def __str__(self) -> str:
        return ",".join(f"{100 * value:g}%" for value in (self.left, self.top, self.width, self.height))

    def box(self, size: tuple[int, int]) -> Box:
        """The pixels it covers in an image of this width and height: left, top, right, bottom; at least one."""
        (left, right), (top, bottom) = (
            _pixels(start, length, side)
            for start, length, side in zip((self.left, self.top), (self.width, self.height), size, strict=True)
        )
        return left, top, right, bottom

    @classmethod
    def of_box(cls, box: Box, size: tuple[int, int]) -> Cover:
        """The cover of these pixels (left, top, right, bottom) of an image of this width and height.

        Raises
        ------
        InputError
            The box is empty, or reaches beyond the image.
        """
        (left, top, right, bottom), (wide, high) = box, size
        return cls(left / wide, top / high, (right - left) / wide, (bottom - top) / high)


ROUNDING = 1e-9
"""By which a sum of two fractions may exceed 1."""


def _pixels(start: float, length: float, side: int) -> tuple[int, int]:
    first = min(round(start * side), side - 1)
    return first, min(max(round((start + length) * side), first + 1), side)


def parse_cover(text: str) -> Cover:
    """A cover from "left,top,width,height": fractions such as 0.25, or percent such as 25%.

    Raises
    ------
    InputError
        It is of another form, or no cover.
    """
    parts = [part.strip() for part in text.split(",")]
    try:
        values = [float(part[:-1]) / 100 if part.endswith("%") else float(part) for part in parts]
    except ValueError:
        values = []
    if len(values) != 4:
        raise InputError(
            f"The cover {text!r} was not understood; wanted LEFT,TOP,WIDTH,HEIGHT as fractions of the image or in "
            "percent, such as 0.1,0.2,0.3,0.25 or 10%,20%,30%,25%."
        )
    return Cover(*values)


def drawn_cover(box: Sequence[float]) -> Cover | None:
    """The cover that a drawn rectangle is, cut to the image; None for a slip of the hand, see `SMALLEST_DRAWN`.

    Parameters
    ----------
    box : left, top, width, height
        In fractions of the image; what was drawn may reach beyond it.
    """
    left, top, width, height = box
    (left, right), (top, bottom) = (
        sorted(min(max(float(end), 0.0), 1.0) for end in (start, start + length))
        for start, length in ((left, width), (top, height))
    )
    if not (right - left >= SMALLEST_DRAWN and bottom - top >= SMALLEST_DRAWN):  # so that NaN is a slip, too
        return None
    return Cover(left, top, right - left, bottom - top)


SMALLEST_DRAWN = 0.01
"""Share of a side below which a rectangle is a slip of the hand."""


def suggested_covers(checks: Sequence[Check], size: tuple[int, int]) -> tuple[Cover, ...]:
    """Covers over what the input checks say where it is, in their order; what they did not notice stays uncovered.

    Rectangles as they are, a black border as up to four bands (:func:`~nero_core.case.parts.bands_of`), another mask
    as rectangles round its larger parts (:func:`~nero_core.case.parts.parts_of`).

    Parameters
    ----------
    checks : sequence of Check
    size : (width, height)
        Of the image that was checked, in pixels.
    """
    boxes: list[Box] = []
    for check in checks:
        if isinstance(check.region, tuple):
            boxes += check.region
            continue
        cells = bands_of(check.region) if check.name == BORDER else parts_of(check.region)
        across, down = (side / count for side, count in zip(size, check.region.shape[::-1], strict=True))
        ends = [(left * across, top * down, right * across, bottom * down) for left, top, right, bottom in cells]
        boxes += [(math.ceil(a), math.ceil(b), math.ceil(c), math.ceil(d)) for a, b, c, d in ends]
    return tuple(Cover.of_box(box, size) for box in dict.fromkeys(boxes))


# Covered images ----------------------------------------------------------------------------------------------------


def covered_pixels(size: tuple[int, int], covers: Sequence[Cover]) -> Mask:
    """Which pixels of an image of this width and height are covered, (H, W)."""
    mask = np.zeros(size[::-1], bool)
    for cover in covers:
        left, top, right, bottom = cover.box(size)
        mask[top:bottom, left:right] = True
    return mask


def covered(image: Image.Image, covers: Sequence[Cover], fill: Fill = "inpainted") -> Image.Image:
    """The image with covers over it; what is under them has no part in what is filled in.

    Parameters
    ----------
    image : RGB image
    covers : sequence of Cover
        With none the image comes back as it is.
    fill : {"mean", "inpainted"}
        The mean colour of what is not covered, or the harmonic filling (Laplace's equation) of what surrounds the
        covers, solved on a reduced copy.

    Raises
    ------
    InputError
        There is no such filling, or nothing is left uncovered.
    """
    if fill not in FILLS:
        raise InputError(f"There is no filling {fill!r}; choose {' or '.join(FILLS)}.")
    pixels = np.array(image.convert("RGB"))
    mask = covered_pixels(image.size, covers)
    if mask.all():
        raise InputError("The covers leave nothing of the image to fill them from; make them smaller.")
    if not mask.any():
        return Image.fromarray(pixels)
    if fill == "mean":
        pixels[mask] = np.rint(pixels[~mask].mean(axis=0, dtype=np.float64))
        return Image.fromarray(pixels)
    scale = min(1.0, INPAINTING_SIDE / max(image.size))
    small = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    left, top, right, bottom = _bounds(mask)
    for channel in range(3):
        filled = harmonic(*_reduced(pixels[..., channel], ~mask, small))
        whole = np.asarray(_resized(filled, image.size, Image.Resampling.BILINEAR))
        inside = mask[top:bottom, left:right]
        pixels[top:bottom, left:right, channel][inside] = np.rint(whole[top:bottom, left:right][inside])
    return Image.fromarray(pixels)


def _bounds(mask: Mask) -> Box:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _resized(values: npt.NDArray[Any], size: tuple[int, int], by: Image.Resampling) -> Float32Array:
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(size, by))


def _reduced(channel: npt.NDArray[np.uint8], known: Mask, size: tuple[int, int]) -> tuple[Float64Array, Mask]:
    """The mean of what is known in each cell of a smaller copy, and in which cells something is."""
    weight = _resized(known, size, Image.Resampling.BOX).astype(np.float64)
    total = _resized(channel * known, size, Image.Resampling.BOX).astype(np.float64)
    seen = weight > SLIVER
    if not seen.any():
        raise InputError("The covers leave nothing of the image to fill them from; make them smaller.")
    return np.divide(total, weight, out=np.zeros_like(total), where=seen), seen


SLIVER = 1e-3
"""Of a cell: with less than this share known, rounding would decide its mean."""


def before_and_after(before: Case, after: Case, alpha: float) -> dict[str, Any]:
    """What covering did to a case's score and decision, as plain JSON values.

    Raises
    ------
    InputError
        α is not in (0, 1), or there are too few calibration images for it.
    """
    said = {
        name: {"predicted_class": case.predicted_class, **asdict(case.decide(alpha))}
        for name, case in (("before", before), ("after", after))
    }
    return {"covers": [asdict(cover) for cover in after.covers], "fill": after.fill, **said}
