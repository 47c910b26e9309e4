"""Synthetic outliers: distorted copies of in-distribution images, to weigh detectors without any real outlier.

Four distortions that leave something of the image as it was: its colours and textures but not their arrangement (after
the puzzles of Noroozi and Favaro, ECCV 2016), its arrangement but no texture (a strong blur), two images in one (after
mixup, Zhang et al., ICLR 2018), and all but a small part, which is of another image (CutPaste, Li et al., CVPR 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from nero_core.records import Activations, Float32Array, ImageSource

IMAGES_AT_MOST = 128
"""So many images are distorted, spread evenly: an AUROC against as many has a standard error of about 0.03."""
PATCHES_PER_SIDE = 4
PASTED_SHARE = 0.25
BLUR_SHARE = 0.05
"""Standard deviation of the blur, as a share of the image's side."""

Distortion = Callable[[Float32Array, np.random.Generator], Float32Array]


def shuffled(images: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Each image cut into 4×4 patches that change places; what does not divide by four is cut off.

    Parameters
    ----------
    images : (n, 3, H, W)
    """
    g = PATCHES_PER_SIDE
    n, channels, height, width = images.shape
    h, w = height // g, width // g
    patches = images[:, :, : g * h, : g * w].reshape(n, channels, g, h, g, w).transpose(0, 2, 4, 1, 3, 5)
    patches = patches.reshape(n, g * g, channels, h, w)
    moved = np.stack([image[rng.permutation(g * g)] for image in patches])
    return moved.reshape(n, g, g, channels, h, w).transpose(0, 3, 1, 4, 2, 5).reshape(n, channels, g * h, g * w)


def blurred(images: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Each image without anything finer than a tenth of its side.

    Parameters
    ----------
    images : (n, 3, H, W)
    """
    blur: Float32Array = gaussian_filter(images, BLUR_SHARE * images.shape[3], axes=(2, 3))
    return blur


def mixed(images: Float32Array, rng: np.random.Generator) -> Float32Array:
    """The mean of each image and another.

    Parameters
    ----------
    images : (n, 3, H, W)
    """
    return np.float32(0.5) * (images + images[_others(len(images), rng)])


def pasted(images: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Each image with a square of another in it, a quarter of its side, at a place of its own.

    Parameters
    ----------
    images : (n, 3, H, W)
    """
    height, width = images.shape[2:]
    side = max(1, int(PASTED_SHARE * min(height, width)))
    found = images.copy()
    for target, giver in enumerate(_others(len(images), rng)):
        top, left, its_top, its_left = rng.integers([height - side + 1, width - side + 1] * 2)
        part = images[giver, :, its_top : its_top + side, its_left : its_left + side]
        found[target, :, top : top + side, left : left + side] = part
    return found


def _others(n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """For each of n images another one, each once."""
    order = rng.permutation(n)
    another = np.empty_like(order)
    another[order] = np.roll(order, 1)
    return another


DISTORTIONS: Mapping[str, Distortion] = {"shuffled": shuffled, "blurred": blurred, "mixed": mixed, "pasted": pasted}


def synthetic_outliers(source: ImageSource, count: int, seed: int = 0) -> dict[str, Activations]:
    """What a network gives for distorted copies of in-distribution images, by distortion.

    Parameters
    ----------
    source : ImageSource
        The images, preprocessed: distortions are linear, so it does not matter that colours are standardised.
    count : int
        How many images there are.
    seed : int
        Same images and seed, same outliers.
    """
    rows = np.unique(np.linspace(0, count - 1, min(count, IMAGES_AT_MOST)).round().astype(np.int64))
    images = np.concatenate(list(source[rows].batches()))
    rng = np.random.default_rng(seed)
    return {name: source.forward(distort(images, rng)) for name, distort in DISTORTIONS.items()}
