"""The colour of the wall: salmon, orange or pink mucosa, mottled, veined, darker and redder in its recesses."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nero_core.data.scenes.anatomy import Landmark
from nero_core.data.scenes.field import TILES, Field, norm, sample, smoothstep, tile, wave
from nero_core.data.scenes.optics import Surface

TINTS = np.array([(0.88, 0.52, 0.44), (0.88, 0.50, 0.36), (0.88, 0.58, 0.53), (0.82, 0.42, 0.34)], np.float32)
"""Mucosa as displayed (the square root of its reflectance): salmon, orange, pink, red-brown."""
GASTRIC = np.array((0.95, 0.64, 0.56), np.float32)
"""The salmon side of the border of two mucosas."""
RESIDUE = np.array((0.90, 0.66, 0.36), np.float32)
"""Bile and thin stool."""
PALE = np.array([(0.98, 0.77, 0.79), (0.97, 0.74, 0.69)], np.float32)
"""Squamous mucosa of the oesophagus: lilac-white, cream."""


@dataclass
class Coat:
    """What covers the wall, one value per pixel; lesions paint over it.

    Attributes
    ----------
    colour : (n, 3)
        Square root of the reflectance.
    slopes : (n, 2)
        Fine relief.
    gloss : (n,)
        Wetness.
    mottle, grain : (n,)
        The noise it was made with, coarse and fine, about in [-1, 1].
    """

    colour: Field
    slopes: Field
    gloss: Field
    mottle: Field
    grain: Field

    def blend(self, weight: Field, colour: Field | tuple[float, float, float]) -> None:
        """Cover with `colour` where `weight` is 1."""
        self.colour += weight[:, None] * (np.asarray(colour, np.float32) - self.colour)


def coat(rng: np.random.Generator, landmark: Landmark, surface: Surface, veins: float, residue: float) -> Coat:
    """Mucosa for every pixel.

    Parameters
    ----------
    rng : Generator
    landmark : Landmark
    surface : Surface
    veins : float
        How strongly vessels shine through, 0 to 1.
    residue : float
        How much of the wall bile or stool covers, 0 to 1.
    """
    x, y, z = surface.point
    # Unrolled like the petals of a flower: the angle stays, the way along the wall becomes the radius.
    rho = norm(x, y) + np.float32(1e-4)
    reach = (rho + 0.7 * (landmark.end + 0.4 - z)) / rho
    scale, spin = rng.uniform(0.26, 0.42), rng.uniform(0, 2 * math.pi)
    c, s = scale * math.cos(spin), scale * math.sin(spin)
    u, v = reach * x, reach * y
    u, v = c * u - s * v + rng.uniform(), s * u + c * v + rng.uniform()
    u, v = u + 0.02 * wave(2 * v + rng.uniform()), v + 0.02 * wave(2 * u + rng.uniform())
    texels = sample(tile(int(rng.integers(TILES))), u, v)
    mottle, vein = texels[:, 0], texels[:, 3]
    grain = 0.5 * (texels[:, 1] + texels[:, 2])

    weights = rng.dirichlet((0.7,) * len(TINTS)).astype(np.float32)
    base = (weights[:, None] * TINTS).sum(0)
    colour = np.empty((len(x), 3), np.float32)
    red, patch = rng.uniform(0.03, 0.12), rng.uniform(0.0, 0.09)
    flush = red * mottle + patch * smoothstep(mottle, 0.3, 1.1)
    if landmark.pale is not None:
        side = landmark.pale(x, y, z, mottle)
        width = rng.uniform(0.01, 0.05)
        white = smoothstep(side, -width, width)
        mix = rng.uniform()
        base = base + np.float32(rng.uniform(0.3, 0.7)) * (GASTRIC - base)
        cream = PALE[0] + np.float32(mix) * (PALE[1] - PALE[0])
        rim = rng.uniform(0, 0.08) * (1 - smoothstep(np.abs(side), 0, 0.06))
        flush = flush * (1 - 0.4 * white) + rim
        colour[:] = base + white[:, None] * (cream - base)
        vein = vein * (1 - 0.3 * white)
    else:
        colour[:] = base
    recess = np.clip(1 - surface.openness, -0.3, 1)
    speckle = 0.012 * grain
    vein = veins * vein
    for channel, (blush, dark, blood) in enumerate(((0.25, 0.10, 0.16), (1.0, 0.34, 0.50), (1.0, 0.36, 0.46))):
        colour[:, channel] *= (1 - blush * flush + speckle) * (1 - dark * recess) * (1 - blood * vein)
    if residue > 0:
        film = smoothstep(recess - 0.7 * mottle + 0.1 * grain, 1.1 - 0.9 * residue, 2.0 - 0.9 * residue)
        colour += (0.8 * film)[:, None] * (RESIDUE * (1 + 0.1 * mottle[:, None]) - colour)
    relief = rng.uniform(0.05, 0.12)
    dry = rng.uniform(-0.6, 0.7)
    gloss = rng.uniform(0.4, 1.0) * smoothstep(mottle, dry, dry + 0.6)
    return Coat(colour, texels[:, 1:3] * np.float32(relief), gloss, mottle, grain)
