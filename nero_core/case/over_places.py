"""The account of a score over places, as a map that lies on what the network sees of an image."""

from __future__ import annotations

import numpy as np
from PIL import Image

from nero_core.case.leading import seen_part
from nero_core.data.preprocessing import Preprocessing
from nero_core.records import Float32Array, Float64Array


def on_the_image(account: Float64Array, size: tuple[int, int], preprocessing: Preprocessing) -> Float32Array:
    """An account over places at the network's input size, (H, W); its sum is that of the places within what is seen.

    Parameters
    ----------
    account : (h, w)
        Over the whole image.
    size : (int, int)
        Width and height of the image.
    """
    left, top, wide, high = seen_part(size, preprocessing)
    h, w = account.shape
    box = (left * w, top * h, (left + wide) * w, (top + high) * h)
    shape = preprocessing.width, preprocessing.height
    # Beyond the picture, where it is laid on black, nothing adds to the score.
    padded, shift = np.pad(account.astype(np.float32), ((h, h), (w, w))), (w, h, w, h)
    inside = tuple(edge + by for edge, by in zip(box, shift, strict=True))
    cells = Image.fromarray(padded)
    seen = np.asarray(cells.resize(shape, Image.Resampling.BILINEAR, box=inside), np.float32)
    held = np.asarray(cells.resize(shape, Image.Resampling.BOX, box=inside), np.float64)
    within = float(held.sum()) * wide * w * high * h / held.size
    drawn = float(seen.sum(dtype=np.float64))
    return seen * np.float32(within / drawn) if drawn else seen
