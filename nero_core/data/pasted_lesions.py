"""Lesions laid into ordinary frames: small outliers whose place is known, and no picture of a real one is in them.

Two kinds: a rendered finding relights the frame's own mucosa (:mod:`~nero_core.data.scenes.relit`), or mucosa of
another frame is domed and blended in, in the line of CutPaste (Li et al., CVPR 2021) and of NSA (Schlüter et al., ECCV
2022). Numbers without a name are matters of looks, chosen by eye beside training frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from nero_core.data.scenes.relit import LightChange, light_change
from nero_core.records import Float32Array, FloatArray

BoolArray = npt.NDArray[np.bool_]

SIDES = 0.10, 0.48
"""Longer side of a lesion, as shares of the frame's shorter side; drawn evenly in its logarithm."""
ON_TISSUE = 0.9
"""Share of the square round a lesion that lies on tissue, at least."""
DARK = 12
"""Grey level of 255 below which a pixel is no tissue that a lesion could be seen on."""
KINDS = {"polyp": 70, "ulcer": 20, "dyed-lifted": 8}
"""How many findings of each kind are rendered for a set, of which about half lie whole within their frame. Most are
polyps, which a network meets first in practice; blood runs over all of a frame."""
RENDERED_SIDE = 160
"""Of a rendered frame, pixels: a finding covers about 65 of them."""

Lesion = tuple[Float32Array, BoolArray]
"""A frame with a lesion in it, (H, W, 3) in [0, 255], and where the lesion is, (H, W)."""


@cache
def rendered_findings() -> tuple[LightChange, ...]:
    """Findings of every kind of `KINDS`, always the same ones; rendered once in a process."""
    changes = [light_change(kind, seed, RENDERED_SIDE) for kind, count in KINDS.items() for seed in range(count)]
    return tuple(change for change in changes if change is not None)


def tissue_of(frame: FloatArray, masked: BoolArray) -> BoolArray:
    """Where a lesion could be seen, (H, W).

    Parameters
    ----------
    frame : (H, W, 3)
        In [0, 255].
    masked : (H, W) bool
        What is no tissue, or hides it.
    """
    bright: BoolArray = frame.mean(axis=2) >= DARK
    return bright & ~masked


def relit(
    frame: Float32Array, tissue: BoolArray, findings: Sequence[LightChange], rng: np.random.Generator
) -> Lesion | None:
    """A rendered finding over a frame: it shades and colours the frame's own mucosa. None where there is no room.

    Parameters
    ----------
    frame : (H, W, 3) float32
        In [0, 255].
    tissue : (H, W) bool
    """
    side = _side(frame, rng)
    if (corner := _room(tissue, side, rng)) is None:
        return None
    change = findings[int(rng.integers(len(findings)))]
    turns, mirrored = int(rng.integers(4)), rng.random() < 0.5
    quotient, inside = np.rot90(change.log_quotient, turns), np.rot90(change.inside, turns)
    if mirrored:
        quotient, inside = quotient[:, ::-1], inside[:, ::-1]
    scale = side / max(inside.shape)
    high, wide = (max(8, int(scale * edge)) for edge in inside.shape)
    quotient = np.stack([_resized(quotient[..., channel], high, wide) for channel in range(3)], axis=2)
    grey = quotient.mean(axis=2, keepdims=True)
    quotient = (grey + rng.uniform(0.2, 1.0) * (quotient - grey)) * rng.uniform(0.5, 1.1)
    top, left = corner
    part = slice(top, top + high), slice(left, left + wide)
    light = (frame[part] / 255) ** 2 * np.exp(quotient)
    light = light / np.sqrt(1 + 2 * np.maximum(light - 0.7, 0) ** 2)  # a soft shoulder, as a camera has
    found, where = frame.copy(), np.zeros(tissue.shape, bool)
    found[part] = 255 * np.sqrt(np.clip(light, 0, 1))
    where[part] = _resized(inside.astype(np.float32), high, wide) >= 0.5
    return found, where


def domed(
    frame: Float32Array, tissue: BoolArray, other: Float32Array, its_tissue: BoolArray, rng: np.random.Generator
) -> Lesion | None:
    """Mucosa of another frame as a dome on this one. None where there is no room.

    Parameters
    ----------
    frame : (H, W, 3) float32
        In [0, 255].
    tissue : (H, W) bool
    other : (h, w, 3) float32
        In [0, 255].
    its_tissue : (h, w) bool
    """
    side = _side(frame, rng)
    corner, its_corner = _room(tissue, side, rng), _room(its_tissue, side, rng)
    if corner is None or its_corner is None:
        return None
    part, its_part = (tuple(slice(at, at + side) for at in each) for each in (corner, its_corner))
    depth = _blob(side, rng)
    weight = np.clip(depth / rng.uniform(0.1, 0.35), 0, 1)[..., None]
    below, above = frame[part], other[its_part]
    means = [(weight * each).sum(axis=(0, 1)) / weight.sum() for each in (above, below)]
    own_colour = rng.uniform(0, 0.4)
    above = above * (own_colour + (1 - own_colour) * means[1] / np.maximum(means[0], 1))
    lesion = above * _shading(depth, rng)[..., None] + _highlights(side, rng)[..., None]
    found, where = frame.copy(), np.zeros(tissue.shape, bool)
    found[part] = np.clip(below * (1 - weight) + lesion * weight, 0, 255)
    where[part] = weight[..., 0] > 0.4
    return found, where


# What a lesion is made of ----------------------------------------------------------------------------------------


def _side(frame: FloatArray, rng: np.random.Generator) -> int:
    low, high = np.log(SIDES)
    return max(8, int(min(frame.shape[:2]) * np.exp(rng.uniform(low, high))))


def _room(tissue: BoolArray, side: int, rng: np.random.Generator) -> tuple[int, int] | None:
    """Top and left of a square that lies on tissue; None where there is none."""
    share = ndimage.uniform_filter(tissue.astype(np.float32), side, mode="constant")
    rows, columns = np.nonzero(share >= ON_TISSUE)
    if len(rows) == 0:
        return None
    chosen = rng.integers(len(rows))
    top, left = rows[chosen] - side // 2, columns[chosen] - side // 2
    height, width = tissue.shape
    return int(np.clip(top, 0, height - side)), int(np.clip(left, 0, width - side))


def _resized(values: FloatArray, high: int, wide: int) -> Float32Array:
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(picture.resize((wide, high), Image.Resampling.BICUBIC))


def _blob(side: int, rng: np.random.Generator) -> FloatArray:
    """How deep inside an irregular round shape each pixel lies, (side, side); below 0 outside, at most 1."""
    line = np.linspace(-1, 1, side)
    x, y = np.meshgrid(line, line)
    reach, angle = np.hypot(x, y * rng.uniform(0.7, 1.4)), np.arctan2(y, x)
    edge = 0.75 + sum(rng.normal(0, 0.06) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in range(2, 6))
    depth: FloatArray = np.clip((edge - reach) / edge, -1, 1)
    return depth


def _shading(depth: FloatArray, rng: np.random.Generator) -> FloatArray:
    """How a dome over such a shape is lit, (side, side): darker towards its edge, and on one side."""
    slopes = np.gradient(len(depth) * np.sqrt(np.clip(depth, 0, 1)))
    steep = np.sqrt(1 + slopes[0] ** 2 + slopes[1] ** 2)
    angle, lean = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.6)
    sideways = (slopes[1] * np.cos(angle) + slopes[0] * np.sin(angle)) / steep**2
    shade = (1 - 0.55 * rng.uniform(0.4, 1) * (1 - 1 / steep)) * (1 + 0.5 * lean * sideways)
    clipped: FloatArray = np.clip(shade * rng.uniform(0.95, 1.2), 0.3, 1.6)
    return clipped


def _highlights(side: int, rng: np.random.Generator) -> FloatArray:
    """Light mirrored on a wet dome, (side, side); none on two of five."""
    points = np.zeros((side, side))
    if rng.random() >= 0.6:
        return points
    for _ in range(rng.integers(1, 4)):
        row, column = rng.integers(side // 3, 2 * side // 3 + 1, 2)
        points[row, column] = 1
    spread = ndimage.gaussian_filter(points, max(1.0, side * rng.uniform(0.01, 0.03)))
    lit: FloatArray = rng.uniform(80, 200) * spread / spread.max()
    return lit
