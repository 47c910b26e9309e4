"""An instrument that reaches into the scene: a biopsy forceps or a snare."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from nero_core.data.scenes.field import Field

Track = list[tuple[complex, float]]
"""Points x + iy and half-widths, in pixels: to turn is to multiply."""
STEEL = (0.86, 0.88, 0.92)
"""Its colour as displayed."""


def _stroke(draw: ImageDraw.ImageDraw, track: Track, part: float, offset: float, colour: tuple[int, ...]) -> None:
    """A tapering band along `track`, `part` of its width, moved sideways by `offset` of the width."""
    left, right = [], []
    for index, (at, half) in enumerate(track):
        way = track[min(index + 1, len(track) - 1)][0] - track[max(index - 1, 0)][0]
        across = _across(way)
        left.append(at + offset * half * across + part * half * across)
        right.append(at + offset * half * across - part * half * across)
    draw.polygon(_corners(left + right[::-1]), fill=colour)


def _across(way: complex) -> complex:
    """Of length one, at a right angle to `way`."""
    return 1j * way / (abs(way) + 1e-9)


def _corners(points: Sequence[complex]) -> list[tuple[float, float]]:
    return [(point.real, point.imag) for point in points]


def _rod(draw: ImageDraw.ImageDraw, track: Track, tint: tuple[float, float, float], shine: float) -> None:
    """A round, shaded rod: nested bands from its dark edge to the streak where the lamp is mirrored."""
    for step in range(9):
        part = 1 - step / 9
        level = 0.20 + 0.65 * (1 - part * part)
        _stroke(draw, track, part, -0.22 * (1 - part), (*(int(255 * level * c) for c in tint), 255))
    _stroke(draw, track, 0.10, -0.32, (*(int(255 * (c + (1 - c) * shine)) for c in tint), 255))


def hold(display: Field, rng: np.random.Generator) -> Field:
    """Put a biopsy forceps or a snare, reaching in from the edge, before the scene.

    Parameters
    ----------
    display : (size, size, 3)
        Display values in [0, 1].

    Returns
    -------
    (size, size, 3)
    """
    size = len(display)
    edge = 2 * size  # drawn twice as large, then averaged
    layer = Image.new("RGBA", (edge, edge))
    draw = ImageDraw.Draw(layer)
    side = rng.uniform(0, 2 * math.pi)
    start = edge * complex(0.5 + 0.85 * math.cos(side), 0.5 + 0.85 * math.sin(side))
    way = edge * complex(0.5 + rng.uniform(-0.16, 0.16), 0.5 + rng.uniform(-0.16, 0.16)) - start
    bow = rng.uniform(-0.12, 0.12)
    thick, thin = rng.uniform(0.055, 0.085) * edge, rng.uniform(0.022, 0.04) * edge
    track: Track = []
    for part in (step / 24 for step in range(25)):
        sag = bow * 4 * part * (1 - part)
        track.append((start + part * way + sag * (1j * way), thick + (thin - thick) * part))
    ahead = cmath.phase(track[-1][0] - track[-4][0])
    if rng.random() < 0.5:
        _forceps(draw, track, ahead, thin, rng)
    else:
        _snare(draw, track, ahead, thin, edge, rng)
    layer = layer.reduce(2)
    coverage = layer.getchannel("A")
    shift = (round(size * 0.02), round(size * 0.03))
    shadow = Image.new("L", layer.size)
    shadow.paste(coverage, shift)
    dark = np.asarray(shadow.filter(ImageFilter.GaussianBlur(size * 0.02)), np.float32) / 255
    scene = display * (1 - 0.5 * dark[..., None])
    opaque = np.asarray(coverage, np.float32)[..., None] / 255
    metal = np.asarray(layer.convert("RGB"), np.float32) / 255
    return scene + opaque * (metal - scene)


def _forceps(draw: ImageDraw.ImageDraw, track: Track, ahead: float, thin: float, rng: np.random.Generator) -> None:
    """A coiled metal shaft and two open cups."""
    coated = rng.random() < 0.4
    tint = ((0.32, 0.47, 0.75), (0.88, 0.74, 0.38), (0.42, 0.66, 0.54))[rng.integers(3)] if coated else STEEL
    _rod(draw, track, tint, 0.9)
    if not coated:  # the turns of the coil
        for (at, half), (then, _) in pairwise(track):
            across = _across(then - at) * half
            for part in (0.0, 0.25, 0.5, 0.75):
                turn = at + part * (then - at)
                ends = _corners([turn - across, turn + across + 0.3 * (then - at)])
                draw.line(ends, fill=(60, 62, 68, 120), width=2)
    at, _ = track[-1]
    opening = rng.uniform(0.3, 0.75)
    long = thin * rng.uniform(2.6, 3.8)
    for sign in (-1, 1):
        cup: Track = []
        for part in (step / 8 for step in range(9)):
            edge = at + cmath.rect(long * part, ahead + sign * opening * (1 - 0.75 * part))
            cup.append((edge, thin * (0.45 + 1.7 * part * (1 - part)) * (1.0 if part < 1 else 0.2)))
        _rod(draw, cup, STEEL, 1.0)
    hinge = 0.8 * thin * (1 + 1j)
    draw.ellipse(_corners([at - hinge, at + hinge]), fill=(150, 154, 160, 255))


def _snare(
    draw: ImageDraw.ImageDraw, track: Track, ahead: float, thin: float, edge: int, rng: np.random.Generator
) -> None:
    """A plastic sheath and a loop of wire."""
    sheath = ((0.92, 0.92, 0.95), (0.40, 0.52, 0.80), (0.92, 0.85, 0.66))[rng.integers(3)]
    _rod(draw, track, sheath, 0.8)
    at, _ = track[-1]
    long, wide = edge * rng.uniform(0.12, 0.24), edge * rng.uniform(0.05, 0.1)
    loop: Track = []
    for angle in (2 * math.pi * step / 40 for step in range(41)):
        bow = complex(long * (1 - math.cos(angle)), wide * math.sin(angle) * (1 - 0.3 * math.cos(angle)))
        loop.append((at + bow * cmath.rect(1, ahead), 0.006 * edge))
    for a, b in ((0, 21), (20, 41)):
        _rod(draw, loop[a:b], STEEL, 1.0)
