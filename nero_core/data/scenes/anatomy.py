"""The three landmarks as cavities: where the wall is, given by a distance that grows into the lumen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nero_core.data.scenes.field import Field, bump, crease, norm, smax, smin, smoothstep, turn, wave
from nero_core.data.scenes.optics import Distance


@dataclass(frozen=True)
class Landmark:
    """A place in the gut.

    Attributes
    ----------
    distance : callable
        The cavity.
    end : float
        How far along the lumen its far wall or narrowing is.
    pale : callable or None
        (x, y, z, mottle) → how far each point is on the pale side of the border of two mucosas; negative beyond it.
    """

    distance: Distance
    end: float
    pale: Callable[[Field, Field, Field, Field], Field] | None = None


def _bulges(rng: np.random.Generator, strength: float) -> Distance:
    """Slow waves that keep any wall from being a perfect tube."""
    waves = [(rng.uniform(-1, 1, 3) * f, rng.uniform(), strength / f) for f in (0.4, 0.6, 0.9, 1.3)]

    def height(x: Field, y: Field, z: Field) -> Field:
        total = np.zeros_like(x)
        for (kx, ky, kz), phase, size in waves:
            total += np.float32(size) * wave(
                x * np.float32(kx) + y * np.float32(ky) + (z * np.float32(kz) + np.float32(phase))
            )
        return total

    return height


def pylorus(rng: np.random.Generator) -> Landmark:
    """The antrum, its end wall and a round opening in a raised ring."""
    radius, end = rng.uniform(0.9, 1.35), rng.uniform(1.0, 1.9)
    opening = rng.uniform(0.10, 0.26) * (0.6 + 0.4 * end)
    cx, cy = rng.uniform(-0.28, 0.28, 2).tolist()
    squash, slant = rng.uniform(0.72, 1.0), rng.uniform(0, math.pi)
    c, s = math.cos(slant), math.sin(slant)
    lip = rng.uniform(0.05, 0.14)
    folds, fold_phase, fold_height = int(rng.integers(4, 9)), rng.uniform(), rng.uniform(0.0, 0.05)
    wave_at, wave_height, wave_side = end * rng.uniform(0.35, 0.8), rng.uniform(0, 0.32), rng.uniform()
    dome, wave_phase = rng.uniform(0.0, 0.35), rng.uniform()
    bulges = _bulges(rng, rng.uniform(0.02, 0.055))

    def distance(x: Field, y: Field, z: Field) -> Field:
        rho = norm(x, y)
        bend = bulges(x, y, z)
        around = turn(x, y)
        crest = bump((z - wave_at - 0.12 * wave(around + wave_phase)) / 0.16) * (0.6 + 0.4 * wave(around + wave_side))
        side = radius - rho - wave_height * crest
        wall = smin(side, end - dome * rho * rho - z, 0.8 * radius) + bend
        u, v = (x - cx) * c + (y - cy) * s, ((y - cy) * c - (x - cx) * s) / squash
        r = norm(u, v)
        angle = turn(u, v)
        pleat = fold_height * wave(folds * angle + fold_phase + 0.2 * wave(angle)) * bump((r - opening) / 0.5)
        ring = norm(r - opening - lip, z - end + dome * rho * rho) - lip
        wall = smin(wall, ring, 0.22) + pleat
        hole: Field = opening * (1 + 0.10 * wave(2 * angle + fold_phase) + 0.06 * wave(3 * angle)) - r
        hole = smin(hole + 0.5 * np.clip(z - end - 0.35, 0, 1), end + 3.0 - z, 0.3)
        return smax(wall, hole, 0.07)

    return Landmark(distance, end)


def z_line(rng: np.random.Generator) -> Landmark:
    """The lower oesophagus closing in pleats on the cardia."""
    wide = rng.uniform(0.8, 1.15)
    close = rng.uniform(0.1, 0.4) if rng.random() < 0.5 else rng.uniform(0.0, 0.06)
    start, end = rng.uniform(0.3, 0.7), rng.uniform(1.1, 1.9)
    pleats, puff, phase = int(rng.integers(3, 9)), rng.uniform(0.04, 0.26), rng.uniform()
    sway, sway_phase = rng.uniform(0.1, 0.45), rng.uniform()
    curl, curl_phase = rng.uniform(0.05, 0.3), rng.uniform()
    reach = rng.uniform(0.2, 0.5)
    twist = rng.uniform(-0.15, 0.15)
    bx, by = rng.uniform(-0.16, 0.16, 2).tolist()
    slant, oval = rng.uniform(0, math.pi), rng.uniform(0.65, 1.0)
    c, s = math.cos(slant), math.sin(slant)
    step, step_height = start + rng.uniform(0.0, 0.4), rng.uniform(0.0, 0.1)
    bulges = _bulges(rng, rng.uniform(0.015, 0.045))

    def distance(x: Field, y: Field, z: Field) -> Field:
        bow = z * z
        u, v = x - bx * bow, y - by * bow
        u, v = c * u + s * v, (c * v - s * u) / oval
        rho = norm(u, v)
        angle = turn(u, v)
        narrow = smoothstep(z, start, end)
        radius = wide - (wide - close - puff) * narrow + 0.9 * smoothstep(z, end + 0.3, end + 1.6)
        radius = radius - step_height * bump((z - step) / 0.2)
        warp = sway * wave(angle + sway_phase) + 0.5 * sway * wave(2 * angle + 0.7 * z + phase)
        warp = warp + curl * wave(1.1 * z + wave(angle + curl_phase))
        fold = crease(pleats * angle + phase + twist * z + warp)
        # Some pleats begin early and some late, some are plump and some flat.
        onset = start + reach * wave(2 * angle + curl_phase) + 0.6 * reach * wave(3 * angle + sway_phase)
        grown = smoothstep(z - onset, 0, end - start)
        radius = radius - puff * grown * (fold * (0.7 + 0.3 * wave(3 * angle + phase)) + 0.2)
        wall = smin((radius - rho) * oval, end + 3 - z, 0.3) * (0.8 - 0.3 * grown)
        return wall + bulges(x, y, z) * (1 - 0.8 * narrow)

    border = start + rng.uniform(0.0, 0.6) * (end - start)
    jag = rng.uniform(0.3, 1.2)
    teeth = [(n, rng.uniform(), jag * rng.uniform(0.04, 0.16) / math.sqrt(n)) for n in (1, 2, 3, 5, 8, 13, 21, 34)]
    roughness = jag * rng.uniform(0.04, 0.1)

    def pale(x: Field, y: Field, z: Field, mottle: Field) -> Field:
        bow = z * z
        angle = turn(x - bx * bow, y - by * bow)
        edge = border + roughness * mottle
        for n, at, height in teeth:
            edge = edge + height * wave(n * angle + at)
        return edge - z

    return Landmark(distance, end, pale)


def cecum(rng: np.random.Generator) -> Landmark:
    """The blind end of the colon: three folds that meet, an appendiceal orifice, haustral folds."""
    radius, end = rng.uniform(0.95, 1.35), rng.uniform(1.1, 1.9)
    cx, cy = rng.uniform(-0.25, 0.25, 2).tolist()
    first = rng.uniform(0, 2 * math.pi)
    angles = [first + i * 2 * math.pi / 3 + rng.uniform(-0.35, 0.35) for i in range(3)]
    folds = [
        (
            math.cos(a),
            math.sin(a),
            rng.uniform(-0.5, 0.5),
            rng.uniform(0.1, 0.28),
            rng.uniform(0.12, 0.24),
            rng.uniform(),
        )
        for a in angles
    ]
    where = angles[0] + rng.uniform(0.6, 1.4)
    px, py = cx + 0.2 * math.cos(where), cy + 0.2 * math.sin(where)
    slit, slit_turn, pit = rng.uniform(0.35, 0.9), rng.uniform(0, math.pi), rng.uniform(0.05, 0.1)
    pc, ps = math.cos(slit_turn), math.sin(slit_turn)
    haustra = [
        (end * rng.uniform(0.2, 0.75), rng.uniform(), rng.uniform(0.12, 0.34), rng.uniform(0.1, 0.18))
        for _ in range(rng.integers(0, 3))
    ]
    dome = rng.uniform(0.0, 0.3)
    bulges = _bulges(rng, rng.uniform(0.03, 0.07))

    def distance(x: Field, y: Field, z: Field) -> Field:
        rho = norm(x, y)
        around = turn(x, y)
        side = radius - rho
        for at, phase, height, width in haustra:
            crest = bump((z - at - 0.1 * wave(around + phase + 0.2)) / width)
            side = side - height * crest * np.clip(0.35 + 0.65 * wave(around + phase), 0, 1)
        wall = smin(side, end - dome * rho * rho - z, 0.7 * radius) + bulges(x, y, z)
        u, v = x - cx, y - cy
        raised = np.zeros_like(x)
        for c, s, curve, height, width, phase in folds:
            along, across = u * c + v * s, v * c - u * s
            across = across - curve * along * along - 0.05 * wave(1.1 * along + phase)
            raised = smax(raised, height * smoothstep(along, -0.12, 0.2) * bump(across / width), 0.1)
        u, v = (x - px) * pc + (y - py) * ps, ((y - py) * pc - (x - px) * ps) / slit
        r = norm(u, v)
        wall = wall - raised - 0.05 * bump((r - 2.2 * pit) / pit)
        hole = smin(pit - r, end + 0.5 - z, 0.1)
        return smax(wall, hole, 0.08) * 0.9

    return Landmark(distance, end)


LANDMARKS: Mapping[str, Callable[[np.random.Generator], Landmark]] = {
    "pylorus": pylorus,
    "z-line": z_line,
    "cecum": cecum,
}
"""Every landmark by its name."""
