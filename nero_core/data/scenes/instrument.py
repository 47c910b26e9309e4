"""An instrument that reaches into the scene: a biopsy forceps or a snare."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from nero_core.data.scenes.field import Field

Track = list[tuple[float, float, float]]
"""x, y, half-width, in pixels."""
STEEL = (0.86, 0.88, 0.92)
"""Its colour as displayed."""


def _stroke(draw: ImageDraw.ImageDraw, track: Track, part: float, offset: float, colour: tuple[int, ...]) -> None:
    """A tapering band along `track`, `part` of its width, moved sideways by `offset` of the width."""
    left, right = [], []
    for index, (x, y, half) in enumerate(track):
        before, after = track[max(index - 1, 0)], track[min(index + 1, len(track) - 1)]
        tx, ty = after[0] - before[0], after[1] - before[1]
        length = math.hypot(tx, ty) + 1e-9
        sx, sy = -ty / length, tx / length
        x, y = x + offset * half * sx, y + offset * half * sy
        left.append((x + part * half * sx, y + part * half * sy))
        right.append((x - part * half * sx, y - part * half * sy))
    draw.polygon(left + right[::-1], fill=colour)


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
    start = (edge * (0.5 + 0.85 * math.cos(side)), edge * (0.5 + 0.85 * math.sin(side)))
    tip = tuple(edge * (0.5 + rng.uniform(-0.16, 0.16)) for _ in range(2))
    bow = rng.uniform(-0.12, 0.12)
    thick, thin = rng.uniform(0.055, 0.085) * edge, rng.uniform(0.022, 0.04) * edge
    track: Track = []
    for step in range(25):
        part = step / 24
        sag = bow * 4 * part * (1 - part)
        x = start[0] + part * (tip[0] - start[0]) - sag * (tip[1] - start[1])
        y = start[1] + part * (tip[1] - start[1]) + sag * (tip[0] - start[0])
        track.append((x, y, thick + (thin - thick) * part))
    ahead = math.atan2(track[-1][1] - track[-4][1], track[-1][0] - track[-4][0])
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
        for (x, y, half), (nx, ny, _) in pairwise(track):
            for part in (0.0, 0.25, 0.5, 0.75):
                cx, cy = x + part * (nx - x), y + part * (ny - y)
                tx, ty = nx - x, ny - y
                length = math.hypot(tx, ty) + 1e-9
                sx, sy = -ty / length * half, tx / length * half
                draw.line((cx - sx, cy - sy, cx + sx + 0.3 * tx, cy + sy + 0.3 * ty), fill=(60, 62, 68, 120), width=2)
    x, y, _ = track[-1]
    opening = rng.uniform(0.3, 0.75)
    long = thin * rng.uniform(2.6, 3.8)
    for sign in (-1, 1):
        cup: Track = []
        for step in range(9):
            part = step / 8
            heading = ahead + sign * opening * (1 - 0.75 * part)
            x_at = x + long * part * math.cos(heading)
            y_at = y + long * part * math.sin(heading)
            cup.append((x_at, y_at, thin * (0.45 + 1.7 * part * (1 - part)) * (1.0 if part < 1 else 0.2)))
        _rod(draw, cup, STEEL, 1.0)
    draw.ellipse((x - 0.8 * thin, y - 0.8 * thin, x + 0.8 * thin, y + 0.8 * thin), fill=(150, 154, 160, 255))


def _snare(
    draw: ImageDraw.ImageDraw, track: Track, ahead: float, thin: float, edge: int, rng: np.random.Generator
) -> None:
    """A plastic sheath and a loop of wire."""
    sheath = ((0.92, 0.92, 0.95), (0.40, 0.52, 0.80), (0.92, 0.85, 0.66))[rng.integers(3)]
    _rod(draw, track, sheath, 0.8)
    x, y, _ = track[-1]
    long, wide = edge * rng.uniform(0.12, 0.24), edge * rng.uniform(0.05, 0.1)
    loop: Track = []
    for step in range(41):
        angle = 2 * math.pi * step / 40
        u, v = long * (1 - math.cos(angle)), wide * math.sin(angle) * (1 - 0.3 * math.cos(angle))
        at = (x + u * math.cos(ahead) - v * math.sin(ahead), y + u * math.sin(ahead) + v * math.cos(ahead))
        loop.append((*at, 0.006 * edge))
    for a, b in ((0, 21), (20, 41)):
        _rod(draw, loop[a:b], STEEL, 1.0)
