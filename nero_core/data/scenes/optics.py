"""From a cavity to lit pixels: a wide-angle camera with its lamp beside it, inside a wet, red tube."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nero_core.data.scenes.field import Field, norm, resize, smoothstep

Distance = Callable[[Field, Field, Field], Field]
"""How far (x, y, z) is from the wall, positive within the cavity; the lumen runs along +z."""

FAR = 7.0
"""Where rays end that meet no wall; the unit is about the radius of the lumen."""
REACHED = 0.005
"""A ray this near to the wall, as part of its length, has arrived."""
MORE_STEPS = 10
"""How much longer the rays that have not arrived may go on."""


@dataclass(frozen=True)
class Camera:
    """Where the tip of the endoscope is and how it looks.

    Attributes
    ----------
    origin : x, y, z
        Position; the lumen runs along +z from z = 0.
    yaw, pitch, roll : float
        Radians.
    view : float
        Angle of view from edge to edge, radians; stereographic projection.
    lamp : x, y
        Position of the lamp beside the lens.
    """

    origin: tuple[float, float, float]
    yaw: float
    pitch: float
    roll: float
    view: float
    lamp: tuple[float, float]

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Camera:
        """One somewhere about the middle of the lumen, looking along it more or less."""
        x, y = rng.uniform(-0.25, 0.25, 2).tolist()
        yaw, pitch = rng.uniform(-0.35, 0.35, 2).tolist()
        lamp_x, lamp_y = rng.uniform(-0.12, 0.12, 2).tolist()
        return cls(
            origin=(x, y, rng.uniform(-0.5, 0.15)),
            yaw=yaw,
            pitch=pitch,
            roll=rng.uniform(0, 2 * math.pi),
            view=math.radians(rng.uniform(105, 140)),
            lamp=(lamp_x, lamp_y),
        )

    @property
    def place(self) -> Field:
        """`origin` as a column, (3, 1)."""
        return np.array(self.origin, np.float32)[:, None]

    def rays(self, size: int) -> Field:
        """Unit directions of the pixels' rays, (3, size²)."""
        k = math.tan(self.view / 4)
        line = ((np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1) * np.float32(k)
        u, v = np.tile(line, size), np.repeat(line, size)
        q = u * u + v * v
        forward = (1 - q) / (1 + q)
        u, v = 2 * u / (1 + q), 2 * v / (1 + q)
        u, v = _turned(u, v, self.roll)
        forward, u = _turned(forward, u, self.yaw)
        forward, v = _turned(forward, v, self.pitch)
        return np.stack([u, v, forward])


def _turned(u: Field, v: Field, angle: float) -> tuple[Field, Field]:
    """(u, v) turned by an angle in radians."""
    c, s = math.cos(angle), math.sin(angle)
    return c * u - s * v, c * v + s * u


@dataclass(frozen=True)
class Surface:
    """What the pixels see of the wall."""

    point: Field
    """(3, size²)."""
    normal: Field
    """Of length one, into the cavity, (3, size²)."""
    openness: Field
    """1 on flat wall, towards 0 in a crease, above 1 on a ridge; (size²,)."""


def march(distance: Distance, place: Field, rays: Field, depth: Field, steps: int, pace: float = 0.85) -> Field:
    """Go `steps` towards the wall along every ray from `place`, (3, 1); how far they are then, (rays,)."""
    for _ in range(steps):
        depth = np.clip(depth + pace * distance(*(place + rays * depth)), 0.02, FAR)
    return depth


def _arrive(distance: Distance, camera: Camera, size: int, depth: Field, steps: int) -> Field:
    """Go `steps` towards the wall along every ray, then more where the wall is not yet reached."""
    rays = camera.rays(size)
    before = march(distance, camera.place, rays, depth, steps - 1)
    gap = distance(*(camera.place + rays * before))
    depth = np.clip(before + 0.85 * gap, 0.02, FAR)
    late = np.flatnonzero(np.abs(gap) > REACHED * depth)
    depth[late] = march(distance, camera.place, rays[:, late], depth[late], MORE_STEPS)
    return depth


def see(distance: Distance, camera: Camera, size: int) -> Surface:
    """Follow each pixel's ray to the wall, coarse to fine.

    Parameters
    ----------
    distance : callable
        The cavity.
    camera : Camera
    size : int
        Edge of the picture in pixels.

    Returns
    -------
    Surface
    """
    quarter, half = -(-size // 4), -(-size // 2)
    depth = _arrive(distance, camera, quarter, np.full(quarter * quarter, 0.05, np.float32), 16)
    # On from the nearest of each pixel's 3 × 3 neighbours, so that no lip is stepped over.
    about = sliding_window_view(np.pad(depth.reshape(quarter, quarter), 1, mode="edge"), (3, 3))
    nearest = 0.97 * about.min(axis=(2, 3))
    depth = _arrive(distance, camera, half, resize(nearest, half).ravel(), 3)
    depth = _arrive(distance, camera, size, resize(depth.reshape(half, half), size).ravel(), 1)
    point = camera.place + camera.rays(size) * depth

    # The slope of the distance, from four points of a tetrahedron, at half the resolution.
    at = point.reshape(3, size, size)[:, ::2, ::2].reshape(3, -1)
    corners = np.array([(1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)], np.float32)[:, :, None]
    normal = sum(corner * distance(*(at + np.float32(0.012) * corner)) for corner in corners)
    normal = normal / (norm(*normal) + np.float32(1e-6))
    near, wide = (distance(*(at + reach * normal)) / reach for reach in (0.09, 0.24))
    openness = 0.55 * near + 0.45 * wide
    fine = np.stack([resize(f.reshape(half, half), size).ravel() for f in (*normal, openness)])
    return Surface(point, fine[:3] / (norm(*fine[:3]) + np.float32(1e-6)), fine[3])


def light(surface: Surface, camera: Camera, albedo: Field, slopes: Field, gloss: Field) -> Field:
    """Light that comes back from the wall.

    Parameters
    ----------
    surface : Surface
    camera : Camera
    albedo : (size², 3)
        Linear reflectance.
    slopes : (size², 2)
        Fine relief: tilt of the wall around and along the lumen.
    gloss : (size²,)
        How wet it is, 0 to 1.

    Returns
    -------
    (size², 3)
        Linear light, before exposure.
    """
    x, y, _ = surface.point
    rho = norm(x, y) + np.float32(1e-4)
    c, w = x / rho, y / rho
    nx, ny, nz = surface.normal
    around = np.stack([-w, c, np.zeros_like(c)])
    along = np.stack([-nz * c, -nz * w, nx * c + ny * w])  # the normal crossed with it
    normal = surface.normal - (0.5 * slopes[:, 0] * around + 0.5 * slopes[:, 1] * along)
    length = norm(*normal)
    (x0, y0, z0), (side, up) = camera.origin, camera.lamp
    to_lamp = np.array([[x0 + side], [y0 + up], [z0]], np.float32) - surface.point
    to_lens = camera.place - surface.point
    away = norm(*to_lamp) + np.float32(1e-3)
    cosine = (normal * to_lamp).sum(axis=0) / (away * length)
    between = to_lamp / away + to_lens / (norm(*to_lens) + np.float32(1e-3))
    mirror = (normal * between).sum(axis=0) / (length * norm(*between))

    facing = 0.5 * (cosine + np.sqrt(cosine * cosine + np.float32(0.05)))  # grazed edges glow, they are not black
    shade = 0.32 + 0.68 * np.clip(surface.openness, 0, 1.2)
    far = away * away
    falloff = 1 / ((far + 0.06) * (1 + 0.02 * far * far))
    lit = np.empty((len(x), 3), np.float32)
    for channel, bleed in enumerate((0.42, 0.22, 0.17)):  # red light travels furthest under the surface
        direct = (facing + bleed) * (falloff / (1 + bleed))
        tint = albedo[:, channel]
        lit[:, channel] = tint * (shade * direct + tint * (0.3 + 0.7 * shade) * (0.32 * falloff + 0.01))
    shine = smoothstep(mirror, 0.990, 0.998) * gloss * np.minimum(falloff, 4)
    lit += (2.0 * shine)[:, None]
    return lit
