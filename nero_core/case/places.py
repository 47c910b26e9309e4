"""What lies at a place of an endoscopic frame, as far as a look at its pixels tells: black border and glare."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from nero_core.records import Float32Array

Mask = npt.NDArray[np.bool_]

BORDER, GLARE = "black border", "glare"
"""What is looked for."""

LOOKED_AT_SIDE = 256
"""Longer side, pixels, of the copy that is looked at: borders and glare are larger than its pixels."""

BLACK = 32
"""Grey level, of 255, up to which the brightest colour of a border's pixel goes: JPEG leaves it not quite black."""

WHITE = 235
"""Grey level, of 255, from which the darkest colour of a pixel on is a reflection of the lamp: tissue is not white."""

LEAST_BORDER = 0.005
"""Share of the image below which what is black at its edge is no border."""


def find_places(image: Image.Image) -> dict[str, Mask]:
    """Where the image is black up to its edge, and where it glares, {name: (H, W) bool}.

    Parameters
    ----------
    image : RGB image
    """
    scale = min(1.0, LOOKED_AT_SIDE / max(image.size))
    small = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    pixels = np.asarray(image.convert("RGB").resize(small, Image.Resampling.BOX))
    found = {BORDER: _touching_the_edge(pixels.max(axis=2) <= BLACK), GLARE: pixels.min(axis=2) >= WHITE}
    return {name: _of_size(mask, image.size) for name, mask in found.items()}


def _touching_the_edge(dark: Mask) -> Mask:
    """Connected parts that reach the edge, where together they are more than a sliver."""
    from scipy import ndimage  # the first paint waits for none of it

    labels, _ = ndimage.label(dark)
    at_edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    border: Mask = np.isin(labels, at_edge[at_edge > 0])
    return border if border.mean() >= LEAST_BORDER else np.zeros_like(border)


def _of_size(mask: Mask, size: tuple[int, int]) -> Mask:
    values: Float32Array = np.asarray(Image.fromarray(mask.astype(np.uint8)).resize(size, Image.Resampling.NEAREST))
    return values > 0
