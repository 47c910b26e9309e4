"""Patch KNN: how far the most novel places of an image lie from places of the training images.

Source: Roth, Pemula, Zepeda, Schölkopf, Brox, Gehler, "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022
(arXiv 2106.08265), without its re-weighting; the bank is its greedy coreset. Random projection: Johnson, Lindenstrauss,
1984, as there.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from nero_core.detectors.base import DetectorInfo, Paper
from nero_core.detectors.places.base import OnSmoothedPlaces, Scale, Share
from nero_core.detectors.registry import register
from nero_core.records import Float32Array, Float64Array, IntArray
from nero_core.storage.typed import AtLeastOne, Shape

PROJECTED = 64
"""Coordinates in which the coreset is chosen."""


@register
class PatchKNN(OnSmoothedPlaces):
    """S = mean of the largest t_p, t_p the mean squared distance of a place to its k nearest in a bank.

    A place has the mean of its own features and its neighbours' (3 × 3), of the network's inner stages, standardised.
    The bank is a greedy coreset of training places: one after the other the place that is farthest from all before.

    Parameters
    ----------
    k : int
        Nearest places.
    bank : int
        How many places the bank keeps; 4·bank·c bytes.
    share : float
        Of all places, those that count.
    scale : float
        How large the image is seen, in times the network's own input.
    """

    info = DetectorInfo("patch_knn", "Patch KNN", Paper(
        "Towards Total Recall in Industrial Anomaly Detection",
        ("Karsten Roth", "Latha Pemula", "Joaquin Zepeda", "Bernhard Schölkopf", "Thomas Brox", "Peter Gehler"),
        "CVPR", 2022, "https://arxiv.org/abs/2106.08265",
    ), needs=frozenset({"source"}))  # fmt: skip
    bank_: Annotated[Float32Array, Shape("places", "channels")]
    """Standardised places of training images."""

    def __init__(self, k: AtLeastOne = 5, bank: AtLeastOne = 4096, share: Share = 0.01, scale: Scale = 2.0) -> None:
        self.k = k
        self.bank = bank
        self.share = share
        self.scale = scale

    def _learn(self, places: Float32Array, rng: np.random.Generator) -> None:
        self.bank_ = places[greedy_coreset(places, self.bank, rng)]

    def _novelty_of(self, places: Float32Array) -> Float64Array:
        k = min(self.k, len(self.bank_))
        squares = squared_distances(places, self.bank_)
        nearest: Float64Array = np.partition(squares, k - 1, axis=1)[:, :k].mean(axis=1, dtype=np.float64)
        return nearest


def squared_distances(places: Float32Array, bank: Float32Array) -> Float32Array:
    """‖v − b‖² between all of two sets, (places, bank), not below 0.

    Parameters
    ----------
    places : (places, c)
    bank : (bank, c)
    """
    squares = (places**2).sum(axis=1)[:, None] + (bank**2).sum(axis=1) - 2 * places @ bank.T
    distances: Float32Array = np.maximum(squares, 0)
    return distances


def greedy_coreset(places: Float32Array, count: int, rng: np.random.Generator) -> IntArray:
    """Rows of a greedy k-centre: from a random one on, always the farthest from all that are chosen; in their order.

    Parameters
    ----------
    places : (n, c)
    count : int
        Rows wanted; all where there are no more.
    """
    n, c = places.shape
    if n <= count:
        return np.arange(n)
    if c > PROJECTED:
        places = (places @ rng.normal(size=(c, PROJECTED)).astype(np.float32)) / np.float32(np.sqrt(PROJECTED))
    chosen = np.empty(count, np.int64)
    chosen[0] = rng.integers(n)
    lengths = (places**2).sum(axis=1)
    gap = np.full(n, np.inf, np.float32)
    for number in range(1, count):
        last = places[chosen[number - 1]]
        np.minimum(gap, lengths + float(last @ last) - 2 * places @ last, out=gap)
        chosen[number] = gap.argmax()
    return np.sort(chosen)
