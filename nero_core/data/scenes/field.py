"""Scalar fields out of which scenes are made: waves, smooth unions, fractal noise, branching vessels.

Everything on whole arrays is addition, multiplication, division or a square root, which IEEE 754 rounds the
same way on every machine; sines and powers, which are not, are replaced by parabolas and rational bumps.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

Field = npt.NDArray[np.floating]
"""One number per point or pixel; float32 throughout, which halves the memory to be moved."""

TILE = 512
"""Edge of a mucosa tile in texels."""
TILES = 6
"""How many different mucosa tiles there are."""


def stream(*names: object) -> np.random.Generator:
    """A random stream of its own for each sequence of names: PCG64 seeded by their SHA-256."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def wave(turns: Field) -> Field:
    """A sine of period 1 made of two parabolas, in [-1, 1]."""
    u = turns - np.rint(turns)
    slope = np.abs(u)
    slope *= -16
    slope += 8
    u *= slope
    return u


def crease(turns: Field) -> Field:
    """Round ridges with narrow creases between them, period 1, in [0, 1]."""
    u = turns - np.rint(turns)  # the crest is at whole turns
    u *= u
    u *= 4
    v = u * u
    return 1 - 0.35 * u - 0.65 * v * v


def turn(x: Field, y: Field) -> Field:
    """Angle of (x, y) in turns, in [0, 1]; within 0.001 of atan2."""
    ax, ay = np.abs(x), np.abs(y)
    small, large = np.minimum(ax, ay), np.maximum(ax, ay) + np.float32(1e-9)
    a = small / large
    a = a * (0.125 + 0.04345 * (1 - a))
    a = np.where(ay > ax, 0.25 - a, a)
    a = np.where(x < 0, 0.5 - a, a)
    return np.where(y < 0, 1 - a, a)


def smoothstep(value: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, a smooth cubic between; `low` > `high` turns it round."""
    u: Field = np.clip((value - low) * (1 / (high - low)), 0, 1)
    return u * u * (3 - 2 * u)


def bump(value: Field) -> Field:
    """A bell of height 1 and half-width about 0.64: 1/(1 + v²)²."""
    b = 1 / (1 + value * value)
    return b * b


def smin(a: Field, b: Field, k: float) -> Field:
    """Minimum of two distances with an edge rounded over `k`."""
    h = np.maximum(k - np.abs(a - b), 0)
    return np.minimum(a, b) - h * h * (0.25 / k)


def smax(a: Field, b: Field, k: float) -> Field:
    """Maximum of two distances with an edge rounded over `k`."""
    h = np.maximum(k - np.abs(a - b), 0)
    return np.maximum(a, b) + h * h * (0.25 / k)


def norm(x: Field, y: Field, z: Field | float = 0.0) -> Field:
    """Euclidean length."""
    return np.sqrt(x * x + y * y + z * z)


def resize(field: Field, size: int) -> Field:
    """A square field brought to `size` × `size`, bilinear."""
    return np.asarray(Image.fromarray(field).resize((size, size), Image.Resampling.BILINEAR))


def fractal(rng: np.random.Generator, size: int, cells: tuple[int, ...], fade: float) -> Field:
    """Periodic noise: one random lattice per number of cells, each `fade` times as strong as the last."""
    total = np.zeros((size, size), np.float32)
    strength = 1.0
    for n in cells:
        lattice = np.pad(rng.uniform(-1, 1, (n, n)).astype(np.float32), 4, mode="wrap")
        smooth = Image.fromarray(lattice).resize((size, size), Image.Resampling.BICUBIC, box=(4, 4, 4 + n, 4 + n))
        total += np.float32(strength) * np.asarray(smooth, np.float32)
        strength *= fade
    return total


class Twig(NamedTuple):
    """A vessel still to be drawn: where it starts, where it heads (radians), how wide it is (texels)."""

    x: float
    y: float
    course: float
    width: float


def vessels(rng: np.random.Generator, size: int) -> Field:
    """Periodic tree of tapering, branching vessels; 1 in the middle of a wide one, 0 beside it."""
    edge = 2 * size  # drawn twice as large, then averaged
    canvas = Image.new("L", (edge, edge))
    draw = ImageDraw.Draw(canvas)
    starts = [(edge * (i + rng.random()) / 5, edge * (j + rng.random()) / 5) for i in range(5) for j in range(5)]
    twigs = [Twig(x, y, rng.uniform(0, 2 * math.pi), rng.uniform(2.0, 6.5)) for x, y in starts]
    while twigs:
        x, y, course, width = twigs.pop()
        swing = 0.0  # of the heading around the course
        while width > 0.8:
            swing = 0.86 * swing + 0.17 * rng.standard_normal()
            course += 0.02 * rng.standard_normal()
            to_x, to_y = x + 8 * math.cos(course + swing), y + 8 * math.sin(course + swing)
            shade = int(min(255, 50 + 36 * width))
            for dx in (-edge, 0, edge):
                for dy in (-edge, 0, edge):
                    if -20 < x + dx < edge + 20 and -20 < y + dy < edge + 20:
                        draw.line((x + dx, y + dy, to_x + dx, to_y + dy), fill=shade, width=max(1, round(width)))
            x, y = to_x % edge, to_y % edge
            width *= 0.984
            if rng.random() < 0.09:
                side = (1 if rng.random() < 0.5 else -1) * rng.uniform(0.4, 1.0)
                twigs.append(Twig(x, y, course + side, width * rng.uniform(0.5, 0.85)))
                width *= 0.94
                course -= 0.25 * side
    soft = canvas.filter(ImageFilter.GaussianBlur(1.2)).resize((size, size), Image.Resampling.BOX)
    return np.asarray(soft, np.float32) / 255


@lru_cache(maxsize=TILES)
def tile(index: int) -> Field:
    """(TILE², 4) texels of mucosa: mottling, two slopes of its relief, vessels. Periodic, read-only."""
    rng = stream("tile", index)
    mottle = fractal(rng, TILE, (4, 8, 16, 32, 64, 128), 0.77)
    relief = fractal(rng, TILE, (20, 40, 80), 0.55)
    slope_u = np.roll(relief, -1, 1) - np.roll(relief, 1, 1)
    slope_v = np.roll(relief, -1, 0) - np.roll(relief, 1, 0)
    net = np.maximum(1 - 9 * np.abs(fractal(rng, TILE, (22, 44), 0.5)), 0) * np.clip(0.5 + mottle, 0, 1)
    vein = np.maximum(vessels(rng, TILE), 0.4 * net)
    texels = np.stack([mottle, slope_u * 14, slope_v * 14, vein], axis=-1).reshape(-1, 4)
    texels.flags.writeable = False
    return texels


def sample(texels: Field, u: Field, v: Field) -> Field:
    """Bilinear look-up of a periodic tile at (u, v) in tile edges; (n, channels)."""
    u = (u - np.floor(u)) * np.float32(TILE)
    v = (v - np.floor(v)) * np.float32(TILE)
    i, j = u.astype(np.int32), v.astype(np.int32)
    fu, fv = (u - i)[:, None], (v - j)[:, None]
    last = TILE - 1
    i, j = i & last, j & last
    i1, j1 = (i + 1) & last, (j + 1) & last
    top = texels.take(j * TILE + i, 0)
    top += fu * (texels.take(j * TILE + i1, 0) - top)
    low = texels.take(j1 * TILE + i, 0)
    low += fu * (texels.take(j1 * TILE + i1, 0) - low)
    top += fv * (low - top)
    return top
