"""What does not belong to the three landmarks: growths, ulcers, blood and dye on their walls."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nero_core.data.scenes.field import Field, bump, norm, smin, smoothstep, wave
from nero_core.data.scenes.mucosa import Coat
from nero_core.data.scenes.optics import Camera, Distance, Surface, march

Point = tuple[float, float, float]
Paint = Callable[[Surface, Coat], None]


@dataclass(frozen=True)
class Finding:
    """A changed wall and how it is coloured."""

    distance: Distance
    paint: Paint


def spot(distance: Distance, camera: Camera, rng: np.random.Generator) -> tuple[Point, Point, float]:
    """A place on the wall that the camera sees well: the point, the normal there, its distance."""
    rays = camera.rays(9)
    depth = march(distance, camera.place, rays, np.full(81, 0.05, np.float32), 40, pace=0.8)
    row, column = rng.integers(2, 7, 2)
    chosen = np.arange(81)
    # Of the places about here, the one at the handiest distance.
    about = (np.abs(chosen // 9 - row) <= 1) & (np.abs(chosen % 9 - column) <= 1)
    best = int(chosen[about][np.argmin(np.abs(depth[about] - rng.uniform(0.7, 1.1)))])
    away = float(depth[best])
    x, y, z = (start + float(ray) * away for start, ray in zip(camera.origin, rays[:, best], strict=True))
    steps = np.float32(0.02) * np.concatenate([np.eye(3), -np.eye(3)], axis=1, dtype=np.float32)
    around = distance(*(np.array([[x], [y], [z]], np.float32) + steps))
    slope = (around[:3] - around[3:]).astype(np.float64)
    nx, ny, nz = (slope / (math.sqrt(sum(c * c for c in slope.tolist())) + 1e-9)).tolist()
    return (x, y, z), (nx, ny, nz), away


def _from(point: Point, x: Field, y: Field, z: Field) -> Field:
    return norm(x - point[0], y - point[1], z - point[2])


def polyp(distance: Distance, camera: Camera, rng: np.random.Generator) -> Finding:
    """A rounded or lobed growth, broad-based or on a neck."""
    point, normal, away = spot(distance, camera, rng)
    radius = rng.uniform(0.17, 0.36) * (0.4 + 0.6 * away)
    lift = radius * rng.uniform(0.2, 1.0)
    cx, cy, cz = (p + lift * n for p, n in zip(point, normal, strict=True))
    knobs = [
        (*(rng.uniform(-1, 1, 3) * f / radius).tolist(), rng.uniform(), rng.uniform(least, most) * radius)
        for least, most, waves in ((0.03, 0.12, (0.3, 0.5, 0.9)), (0.0, 0.03, (1.6, 2.4, 2.4)))
        for f in waves
    ]
    neck = rng.uniform(0.3, 1.0) * radius
    colour = np.array([(0.80, 0.36, 0.30), (0.74, 0.28, 0.25), (0.86, 0.58, 0.50)], np.float32)[rng.integers(3)]
    cover, pits = rng.uniform(0.5, 0.95), rng.uniform(0.01, 0.04)

    def body(x: Field, y: Field, z: Field) -> Field:
        gap = norm(x - cx, y - cy, z - cz) - radius
        for kx, ky, kz, phase, height in knobs:
            gap = gap - height * wave(kx * x + ky * y + (kz * z + phase))
        return gap

    def shaped(x: Field, y: Field, z: Field) -> Field:
        return smin(distance(x, y, z), body(x, y, z) * 0.85, neck)

    def paint(surface: Surface, coat: Coat) -> None:
        weight = cover * (1 - smoothstep(body(*surface.point), -0.05 * radius, 0.8 * radius))
        shade = 1 + pits * coat.grain[:, None] + 0.06 * coat.mottle[:, None]
        coat.blend(weight, colour * shade)
        coat.gloss += 0.5 * weight * (1 - coat.gloss)

    return Finding(shaped, paint)


def ulcer(distance: Distance, camera: Camera, rng: np.random.Generator) -> Finding:
    """A crater with a raised red rim, its ground covered with fibrin."""
    point, _, away = spot(distance, camera, rng)
    radius = rng.uniform(0.18, 0.34) * (0.4 + 0.6 * away)
    depth, rim = rng.uniform(0.2, 0.45) * radius, rng.uniform(0.1, 0.25) * radius
    ragged, long = rng.uniform(0.25, 0.5), rng.uniform(0.55, 1.0)
    ax, ay, az = (rng.standard_normal(3)).tolist()
    scale = 1 / math.sqrt(ax * ax + ay * ay + az * az)
    ax, ay, az = ax * scale, ay * scale, az * scale
    fibrin = np.array([(1.0, 0.85, 0.66), (1.0, 0.90, 0.80), (1.0, 0.78, 0.50)], np.float32)[rng.integers(3)]
    bled = rng.uniform(0, 0.6)

    def away_from(x: Field, y: Field, z: Field) -> Field:
        u, v, w = x - point[0], y - point[1], z - point[2]
        side = u * ax + v * ay + w * az
        u, v, w = u - (1 - long) * side * ax, v - (1 - long) * side * ay, w - (1 - long) * side * az
        return norm(u, v, w) / radius

    def shaped(x: Field, y: Field, z: Field) -> Field:
        r = away_from(x, y, z)
        wall: Field = distance(x, y, z) + depth * (1 - smoothstep(r, 0.4, 1.0)) - rim * bump((r - 1.1) / 0.3)
        return wall * 0.85

    def paint(surface: Surface, coat: Coat) -> None:
        r = away_from(*surface.point) + ragged * coat.mottle + 0.05 * coat.grain
        coat.blend(0.6 * (1 - smoothstep(r, 1.0, 2.0)), (0.76, 0.26, 0.22))
        ground = 1 - smoothstep(r, 0.72, 0.92)
        coat.blend(ground, fibrin * (1 + 0.04 * coat.grain[:, None] + 0.08 * coat.mottle[:, None]))
        dark = bled * ground * smoothstep(-coat.mottle + 0.12 * coat.grain, 0.35, 0.9)
        coat.blend(dark, (0.32, 0.12, 0.09))
        coat.slopes *= (1 + 0.8 * ground)[:, None]
        coat.gloss *= 1 - 0.4 * ground

    return Finding(shaped, paint)


def blood(distance: Distance, camera: Camera, rng: np.random.Generator) -> Finding:
    """Fresh blood: a level pool at the low side, running streaks and smears above it."""
    roll = rng.uniform(0, 2 * math.pi)
    down = (math.cos(roll), math.sin(roll))
    level = rng.uniform(0.3, 0.8)
    streaks = rng.uniform(0.5, 1.6)
    phase, amount = rng.uniform(), rng.uniform(0.25, 1.0)
    colour = np.array((rng.uniform(0.36, 0.56), rng.uniform(0.03, 0.08), rng.uniform(0.03, 0.08)), np.float32)

    def pool(x: Field, y: Field, z: Field) -> Field:
        ripple = 0.012 * wave(2.5 * x + 1.1 * z) + 0.012 * wave(2.1 * y - 1.7 * z)
        return level - (x * down[0] + y * down[1]) + ripple

    def shaped(x: Field, y: Field, z: Field) -> Field:
        return smin(distance(x, y, z), pool(x, y, z), 0.04)

    def paint(surface: Surface, coat: Coat) -> None:
        x, y, z = surface.point
        height = pool(x, y, z)
        sideways = -x * down[1] + y * down[0]
        course = streaks * (sideways + 0.5 * z) + phase + 0.12 * coat.mottle + 0.15 * wave(1.3 * height)
        run = smoothstep(wave(course) + 0.2 * coat.mottle, 1.0 - 0.5 * amount, 1.4 - 0.3 * amount)
        smear = smoothstep(coat.mottle - 0.8 * height, 0.7 - 0.9 * amount, 1.6 - 0.9 * amount)
        pooled = 1 - smoothstep(height, 0.0, 0.12)
        film = np.maximum(np.maximum(run, 0.8 * smear), pooled)
        coat.colour *= 1 - film[:, None] * np.array((0.05, 0.75, 0.75), np.float32)  # a thin film only tints
        weight = smoothstep(film, 0.25, 0.9)
        thick = 0.7 + 0.3 * (1 - pooled) + 0.08 * coat.mottle
        coat.blend(0.9 * weight, colour * thick[:, None])
        coat.slopes *= (1 - 0.7 * weight - 0.25 * pooled)[:, None]
        coat.gloss += weight * (0.9 - coat.gloss)

    return Finding(shaped, paint)


def dyed_lifted(distance: Distance, camera: Camera, rng: np.random.Generator) -> Finding:
    """Mucosa raised on a cushion of fluid stained blue, dye in its grooves and round about."""
    point, normal, away = spot(distance, camera, rng)
    radius = rng.uniform(0.35, 0.6) * (0.4 + 0.6 * away)
    height = rng.uniform(0.35, 0.75) * radius
    blue = np.array((rng.uniform(0.16, 0.34), rng.uniform(0.48, 0.62), rng.uniform(0.66, 0.82)), np.float32)
    cover, splash = rng.uniform(0.65, 0.92), rng.uniform(0.1, 0.6)
    cx, cy, cz = (p - 0.1 * n for p, n in zip(point, normal, strict=True))

    def shaped(x: Field, y: Field, z: Field) -> Field:
        r = norm(x - cx, y - cy, z - cz) / radius
        swell = (
            height
            * (1 - smoothstep(r, 0.1, 1.1))
            * (1 + 0.18 * wave(2.2 * x + 1.3 * y) + 0.15 * wave(2.4 * z - 1.2 * y))
        )
        return (distance(x, y, z) - swell) * 0.75

    def paint(surface: Surface, coat: Coat) -> None:
        r = _from((cx, cy, cz), *surface.point) / radius + 0.22 * coat.mottle
        stain = cover * (1 - smoothstep(r, 0.6, 1.35))
        stain *= 1 - 0.35 * smoothstep(coat.mottle + 0.2 * coat.grain, -0.2, 0.8)
        coat.blend(stain, blue * (1 + 0.08 * coat.mottle[:, None]))
        grooves = smoothstep(1 - surface.openness - 0.05 * coat.grain + 0.4 * coat.mottle, 0.1, 0.9)
        coat.blend(splash * grooves, blue * np.float32(0.6))
        coat.gloss += 0.3 * stain

    return Finding(shaped, paint)


FINDINGS: Mapping[str, Callable[[Distance, Camera, np.random.Generator], Finding]] = {
    "polyp": polyp,
    "ulcer": ulcer,
    "blood": blood,
    "dyed-lifted": dyed_lifted,
}
"""Every finding by its name."""
