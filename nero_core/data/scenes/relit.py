"""What a finding does to the light of a wall, without the wall: to be laid over frames of another.

The same scene is rendered twice, with the finding and without it, in linear light before any exposure. Where they
differ, the quotient holds the finding's shading, its shadows and its colour, and nothing of the rendered mucosa.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nero_core.data.scenes import mucosa, optics
from nero_core.data.scenes.anatomy import LANDMARKS
from nero_core.data.scenes.field import Field, stream
from nero_core.data.scenes.lesions import FINDINGS

DARKEST = 1e-4
"""Light that is added to both, so that a quotient of two shadows is about 1."""
STRONGEST = 2.5
"""Natural logarithm of a change at most, either way: twelvefold."""
LEAST_CHANGE, SHARE_OF_STRONGEST = 0.12, 0.3
"""A pixel belongs to the finding where the logarithm of its change is at least this, and this share of the largest."""
SMALLEST_PART, LARGEST_PART = 0.004, 0.4
"""Of the rendered frame that a finding covers; others are a speck, or a wash over all of it."""
SOFT = 1 / 112
"""Standard deviation by which a finding's edge fades, as a share of the frame's side."""


@dataclass(frozen=True, eq=False)
class LightChange:
    """A finding as a change of light.

    Attributes
    ----------
    log_quotient : (h, w, 3) float32
        Natural logarithm of the linear light with the finding over that without it; fades to 0 at its edge.
    inside : (h, w) bool
        The finding itself.
    """

    log_quotient: Field
    inside: npt.NDArray[np.bool_]


def light_change(kind: str, seed: int, size: int = 224) -> LightChange | None:
    """Render a finding with and without itself; equal arguments give equal values.

    Parameters
    ----------
    kind : {"polyp", "ulcer", "blood", "dyed-lifted"}
    seed : int
        Which of that kind.
    size : int
        Edge of the rendered frame in pixels, of which the finding is cut out.

    Returns
    -------
    LightChange or None
        None where the finding is a speck in this frame, all over it, or cut off by its edge.
    """
    rng = stream("light change", kind, seed)
    landmark = LANDMARKS[str(rng.choice(list(LANDMARKS)))](rng)
    camera = optics.Camera.drawn(rng)
    finding = FINDINGS[kind](landmark.distance, camera, rng)
    coat_seed = int(rng.integers(1 << 30))

    def light(distance: optics.Distance, painted: bool) -> Field:
        surface = optics.see(distance, camera, size)
        coat = mucosa.coat(np.random.default_rng(coat_seed), landmark, surface, veins=0.3, residue=0.0)
        if painted:
            finding.paint(surface, coat)
        lit = optics.light(surface, camera, coat.colour * coat.colour, coat.slopes, coat.gloss)
        return lit.reshape(size, size, 3) + np.float32(DARKEST)

    quotient = np.log(light(finding.distance, painted=True) / light(landmark.distance, painted=False))
    quotient = np.clip(quotient, -STRONGEST, STRONGEST)
    inside = _largest_part(np.abs(quotient).max(axis=2))
    if inside is None or not SMALLEST_PART <= inside.mean() <= LARGEST_PART:
        return None
    reach = SOFT * size
    soft = ndimage.gaussian_filter(ndimage.binary_dilation(inside, iterations=3).astype(np.float32), reach)
    if max(soft[0].max(), soft[-1].max(), soft[:, 0].max(), soft[:, -1].max()) > 0:
        return None  # cut off by the rendered frame, it would end in a straight edge
    rows, columns = (np.flatnonzero((soft > 0).any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return LightChange((quotient * soft[..., None])[box].astype(np.float32), inside[box])


def _largest_part(strength: Field) -> npt.NDArray[np.bool_] | None:
    """The largest connected part where the light changes, without holes; None where it changes nowhere.

    Parameters
    ----------
    strength : (size, size)
        Size of the logarithm of the change.
    """
    most = float(np.quantile(strength, 0.995))  # a single blown-out pixel sets no scale
    changed = ndimage.binary_opening(strength > max(LEAST_CHANGE, SHARE_OF_STRONGEST * most), iterations=2)
    parts, count = ndimage.label(changed)
    if count == 0:
        return None
    largest = 1 + int(np.bincount(parts.ravel())[1:].argmax())
    filled: npt.NDArray[np.bool_] = ndimage.binary_fill_holes(parts == largest)
    return filled
