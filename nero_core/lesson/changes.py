"""Eight things that can be done to a picture, each from nothing (strength 0) to much (1).

None of them is a disease. Each gives an RGB picture of the same size, and the same one every time; strength 0 gives
back the very same pixels. They are applied in the order of :data:`CHANGES`: what happens to light first, to a stored
file last.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from nero_core.data.scenes import foreign, frame
from nero_core.errors import InputError
from nero_core.wording import message, said

HALF = 0.5
"""The strength at which the changes are held against each other."""

MOST_DEGREES = 90.0
MOST_BLUR = 0.03
"""Standard deviation, as a share of the picture's shorter side: about that of the bundled scenes that are blurred."""
TINT = (0.5, 0.95, 1.6)
"""What red, green and blue are multiplied by at full strength: a blue cast."""
MOST_GLARE = 0.06
"""Radius of a spot, as a share of the shorter side."""
SPOTS = 24
CORE = 0.5
"""Share of a spot's radius within which it is wholly white."""
GLARE = (255, 252, 244)
MOST_BOX, MOST_FOREIGN = 0.08, 0.24
"""Shares of the picture. A black box moves scores of the bundled scenes most: it is the smaller."""
TEXT_AT = ((10, 14), (230, 14), (120, 250))
"""Where blocks of text begin, on the page of :data:`nero_core.data.scenes.frame.PAGE`: as in the bundled scenes."""
TEXT_LINES, TEXT_ZOOM = 7, 2
WHITE = 255
BEST_QUALITY, WORST_QUALITY = 95, 5
"""Of JPEG: the quality at a strength just above 0, and at 1."""
COARSE_COLOURS = 2
"""Pillow's number for colours stored at half the resolution, as cameras do."""
TEXT_SEED, GLARE_SEED, FOREIGN_SEED = 5, 7, 4
"""So that a change is the same every time; the last gives houses at night."""

Apply = Callable[[Image.Image, float], Image.Image]


@dataclass(frozen=True)
class Change:
    """One thing that can be done to a picture.

    Attributes
    ----------
    title : str
    unit : str
        What a strength means, with a place for the ``{value}``.
    value : callable
        From a strength to that value.
    apply : callable
        From an RGB picture and a strength above 0 to the changed picture; use :func:`changed`, which checks both.
    """

    title: str
    unit: str
    value: Callable[[float], float]
    apply: Apply

    def in_units(self, strength: float) -> str:
        """What a strength means, in words.

        Raises
        ------
        InputError
            The strength is not in [0, 1].
        """
        value = self.value(_checked(self.title, strength))
        return said(self.unit, value=f"{value:.{0 if value >= FEW else 1}f}".removesuffix(".0"))


FEW = 10
"""Values below this are told with one digit behind the point."""


def changed(image: Image.Image, strengths: Mapping[str, float]) -> Image.Image:
    """The picture with some changes, one after the other in the order of :data:`CHANGES`; it stays as it is itself.

    Parameters
    ----------
    image : RGB picture
        Of any size; grey or see-through ones are refused: :func:`~nero_core.data.images.read_image` makes them RGB.
    strengths : {name: strength}
        Each strength in [0, 1]; what is left out has strength 0.

    Raises
    ------
    InputError
        The picture is not RGB, there is no such change, or a strength is not in [0, 1].
    """
    if image.mode != "RGB":
        raise InputError(f"The picture has mode {image.mode}; wanted RGB, as `read_image` returns it.")
    if unknown := [name for name in strengths if name not in CHANGES]:
        raise InputError(f"There is no change {unknown[0]!r}; choose among {', '.join(CHANGES)}.")
    for name, strength in strengths.items():
        _checked(name, strength)
    result = image.copy()
    for name, change in CHANGES.items():
        if (strength := strengths.get(name, 0.0)) > 0:
            result = change.apply(result, strength)
    return result


def total(strengths: Mapping[str, float]) -> float:
    """The strengths of several changes added up."""
    return math.fsum(strengths.values())


def _checked(name: str, strength: float) -> float:
    if not 0 <= strength <= 1:  # so that NaN is refused, too
        raise InputError(f"The strength of {name!r} is {strength}; wanted a number from 0 to 1.")
    return strength


# The eight ---------------------------------------------------------------------------------------------------------


def _rotation(image: Image.Image, strength: float) -> Image.Image:
    """Turned against the clock about its middle; what comes in from outside is black."""
    return image.rotate(MOST_DEGREES * strength, Image.Resampling.BICUBIC)


def _glare(image: Image.Image, strength: float) -> Image.Image:
    """White spots with a soft rim, as wet tissue throws light back; they grow from points."""
    width, height = image.size
    radius = MOST_GLARE * strength * min(width, height)
    white = np.zeros((height, width), np.float32)
    for across, down, share in _spots():
        x, y, r = across * width, down * height, max(share * radius, POINT)
        left, top = max(math.floor(x - r), 0), max(math.floor(y - r), 0)
        right, bottom = min(math.ceil(x + r) + 1, width), min(math.ceil(y + r) + 1, height)
        columns, rows = np.arange(left, right) + PIXEL_MIDDLE - x, np.arange(top, bottom) + PIXEL_MIDDLE - y
        far = np.hypot(columns, rows[:, None]) / r
        spot = np.clip((1 - far) / (1 - CORE), 0, 1).astype(np.float32)
        white[top:bottom, left:right] = np.maximum(white[top:bottom, left:right], spot)
    mask = Image.fromarray(np.rint(white * WHITE).astype(np.uint8))
    return Image.composite(Image.new("RGB", image.size, GLARE), image, mask)


PIXEL_MIDDLE = 0.5
POINT = 1e-6
"""Radius in pixels of the smallest spot: it lies between the middles of pixels, and whitens none."""


@cache
def _spots() -> tuple[tuple[float, float, float], ...]:
    """Middles in fractions of the picture, and how large each is beside the largest."""
    rng = np.random.default_rng(GLARE_SEED)
    middles, sizes = rng.uniform(0.15, 0.85, (SPOTS, 2)), rng.uniform(0.3, 1.0, SPOTS)
    return tuple((float(x), float(y), float(size)) for (x, y), size in zip(middles, sizes, strict=True))


def _tint(image: Image.Image, strength: float) -> Image.Image:
    """Another light: each colour times its factor."""
    factors = np.array([1 + strength * (full - 1) for full in TINT])
    pixels: npt.NDArray[np.float64] = np.rint(np.clip(np.asarray(image) * factors, 0, WHITE))
    return Image.fromarray(pixels.astype(np.uint8))


def _blur(image: Image.Image, strength: float) -> Image.Image:
    """Out of focus."""
    return image.filter(ImageFilter.GaussianBlur(MOST_BLUR * strength * min(image.size)))


def _foreign(image: Image.Image, strength: float) -> Image.Image:
    """Houses at night in the upper right corner, in the proportions of the picture."""
    wide, high = _sides(image.size, MOST_FOREIGN * strength)
    result = image.copy()
    if wide and high:
        elsewhere = _elsewhere().resize((wide, high), Image.Resampling.BICUBIC)
        result.paste(elsewhere, (image.width - wide, 0))
    return result


@cache
def _elsewhere() -> Image.Image:
    return foreign.picture(np.random.default_rng(FOREIGN_SEED), foreign.EDGE)


def _box(image: Image.Image, strength: float) -> Image.Image:
    """A black rectangle over the middle, in the proportions of the picture."""
    wide, high = _sides(image.size, MOST_BOX * strength)
    left, top = (image.width - wide) // 2, (image.height - high) // 2
    result = image.copy()
    result.paste((0, 0, 0), (left, top, left + wide, top + high))
    return result


def _sides(size: tuple[int, int], share: float) -> tuple[int, int]:
    """Width and height of a rectangle that has so large a share of the picture, in whole pixels."""
    width, height = (round(side * math.sqrt(share)) for side in size)
    return width, height


def _text(image: Image.Image, strength: float) -> Image.Image:
    """Lines such as a processor burns in, from faint to white."""
    rng = np.random.default_rng(TEXT_SEED)
    for at in TEXT_AT:
        lines = frame.caption(rng, TEXT_LINES)
        image = frame.write(image, lines, at, round(WHITE * strength), zoom=TEXT_ZOOM)
    return image


def _jpeg(image: Image.Image, strength: float) -> Image.Image:
    """Stored as a JPEG file and read again."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=round(_quality(strength)), subsampling=COARSE_COLOURS)
    with Image.open(file) as stored:
        return stored.convert("RGB")


def _quality(strength: float) -> float:
    return BEST_QUALITY - (BEST_QUALITY - WORST_QUALITY) * strength


PERCENT = 100

CHANGES: Mapping[str, Change] = {
    "rotation": Change(message("Rotation"), message("turned by {value}°"), lambda s: MOST_DEGREES * s, _rotation),
    "glare": Change(
        message("Glare"),
        message("spots up to {value} % of the shorter side wide"),
        lambda s: 2 * MOST_GLARE * PERCENT * s,
        _glare,
    ),
    "tint": Change(
        message("Tint"), message("{value} % of a blue cast (red × 0.5, blue × 1.6)"), lambda s: PERCENT * s, _tint
    ),
    "blur": Change(
        message("Blur"), message("σ is {value} % of the shorter side"), lambda s: MOST_BLUR * PERCENT * s, _blur
    ),
    "foreign": Change(
        message("A picture from elsewhere"),
        message("over {value} % of the picture"),
        lambda s: MOST_FOREIGN * PERCENT * s,
        _foreign,
    ),
    "box": Change(
        message("Black box"), message("over {value} % of the picture"), lambda s: MOST_BOX * PERCENT * s, _box
    ),
    "text": Change(message("Text"), message("{value} % opaque"), lambda s: PERCENT * s, _text),
    "jpeg": Change(message("JPEG"), message("quality {value} of 100"), _quality, _jpeg),
}
"""By name, in the order in which they are applied."""
