"""From a cavity to lit pixels: a wide-angle camera with its lamp beside it, inside a wet, red tube."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

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

    def rays(self, size: int) -> tuple[Field, Field, Field]:
        """Unit directions (dx, dy, dz) of the pixels' rays, each (size²,)."""
        k = math.tan(self.view / 4)
        line = ((np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1) * np.float32(k)
        u, v = np.tile(line, size), np.repeat(line, size)
        q = u * u + v * v
        forward = (1 - q) / (1 + q)
        u, v = 2 * u / (1 + q), 2 * v / (1 + q)
        cr, sr = math.cos(self.roll), math.sin(self.roll)
        u, v = cr * u - sr * v, sr * u + cr * v
        cy, sy = math.cos(self.yaw), math.sin(self.yaw)
        u, forward = cy * u + sy * forward, cy * forward - sy * u
        cp, sp = math.cos(self.pitch), math.sin(self.pitch)
        v, forward = cp * v + sp * forward, cp * forward - sp * v
        return u, v, forward


@dataclass(frozen=True)
class Surface:
    """What the pixels see of the wall; every array is (size²,)."""

    size: int
    x: Field
    y: Field
    z: Field
    nx: Field
    ny: Field
    nz: Field
    depth: Field
    openness: Field
    """1 on flat wall, towards 0 in a crease, above 1 on a ridge."""


def _march(distance: Distance, camera: Camera, size: int, depth: Field, steps: int) -> Field:
    """Go `steps` towards the wall along every ray, then more where the wall is not yet reached."""
    ox, oy, oz = camera.origin
    dx, dy, dz = camera.rays(size)
    for _ in range(steps):
        gap = distance(ox + dx * depth, oy + dy * depth, oz + dz * depth)
        depth = np.clip(depth + 0.85 * gap, 0.02, FAR)
    late = np.flatnonzero(np.abs(gap) > REACHED * depth)
    dx, dy, dz, rest = dx[late], dy[late], dz[late], depth[late]
    for _ in range(MORE_STEPS):
        rest = np.clip(rest + 0.85 * distance(ox + dx * rest, oy + dy * rest, oz + dz * rest), 0.02, FAR)
    depth[late] = rest
    return depth


def _lowest(field: Field) -> Field:
    """Minimum over each 3 × 3 neighbourhood."""
    wide = np.pad(field, 1, mode="edge")
    rows = np.minimum(np.minimum(wide[:-2], wide[1:-1]), wide[2:])
    return np.minimum(np.minimum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])


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
    depth = _march(distance, camera, quarter, np.full(quarter * quarter, 0.05, np.float32), 16)
    nearest = 0.97 * _lowest(depth.reshape(quarter, quarter))  # so that no lip is stepped over
    depth = _march(distance, camera, half, resize(nearest, half).ravel(), 3)
    depth = _march(distance, camera, size, resize(depth.reshape(half, half), size).ravel(), 1)
    ox, oy, oz = camera.origin
    dx, dy, dz = camera.rays(size)
    x, y, z = ox + dx * depth, oy + dy * depth, oz + dz * depth

    # The slope of the distance, from four points of a tetrahedron, at half the resolution.
    px, py, pz = (f.reshape(size, size)[::2, ::2].ravel() for f in (x, y, z))
    e = np.float32(0.012)
    a = distance(px + e, py - e, pz - e)
    b = distance(px - e, py - e, pz + e)
    c = distance(px - e, py + e, pz - e)
    d = distance(px + e, py + e, pz + e)
    nx, ny, nz = a - b - c + d, -a - b + c + d, -a + b - c + d
    length = norm(nx, ny, nz) + np.float32(1e-6)
    nx, ny, nz = nx / length, ny / length, nz / length
    near = distance(px + 0.09 * nx, py + 0.09 * ny, pz + 0.09 * nz) / 0.09
    wide = distance(px + 0.24 * nx, py + 0.24 * ny, pz + 0.24 * nz) / 0.24
    openness = 0.55 * near + 0.45 * wide
    fine = [resize(f.reshape(half, half), size).ravel() for f in (nx, ny, nz, openness)]
    length = norm(*fine[:3]) + np.float32(1e-6)
    nx, ny, nz = (f / length for f in fine[:3])
    return Surface(size, x, y, z, nx, ny, nz, depth, np.asarray(fine[3], np.float32))


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
    s = surface
    ox, oy, oz = camera.origin
    rho = norm(s.x, s.y) + np.float32(1e-4)
    c, w = s.x / rho, s.y / rho
    around, along = 0.5 * slopes[:, 0], 0.5 * slopes[:, 1]
    # Tangents: (-w, c, 0) around the lumen, and the normal crossed with it along the lumen.
    nx = s.nx - (-w * around + -s.nz * c * along)
    ny = s.ny - (c * around + -s.nz * w * along)
    nz = s.nz - (s.nx * c + s.ny * w) * along
    length = norm(nx, ny, nz)
    lx, ly, lz = ox + camera.lamp[0] - s.x, oy + camera.lamp[1] - s.y, oz - s.z
    away = norm(lx, ly, lz) + np.float32(1e-3)
    cosine = (nx * lx + ny * ly + nz * lz) / (away * length)
    vx, vy, vz = ox - s.x, oy - s.y, oz - s.z
    dist = norm(vx, vy, vz) + np.float32(1e-3)
    hx, hy, hz = lx / away + vx / dist, ly / away + vy / dist, lz / away + vz / dist
    mirror = (nx * hx + ny * hy + nz * hz) / (length * norm(hx, hy, hz))

    facing = 0.5 * (cosine + np.sqrt(cosine * cosine + np.float32(0.05)))  # grazed edges glow, they are not black
    shade = 0.32 + 0.68 * np.clip(s.openness, 0, 1.2)
    far = away * away
    falloff = 1 / ((far + 0.06) * (1 + 0.02 * far * far))
    lit = np.empty((len(s.x), 3), np.float32)
    for channel, bleed in enumerate((0.42, 0.22, 0.17)):  # red light travels furthest under the surface
        direct = (facing + bleed) * (falloff / (1 + bleed))
        tint = albedo[:, channel]
        lit[:, channel] = tint * (shade * direct + tint * (0.3 + 0.7 * shade) * (0.32 * falloff + 0.01))
    shine = smoothstep(mirror, 0.990, 0.998) * gloss * np.minimum(falloff, 4)
    lit += (2.0 * shine)[:, None]
    return lit
