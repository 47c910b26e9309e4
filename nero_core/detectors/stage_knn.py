"""Stage k-NN: the distance to the nearest training image in what the early stages of a network see.

Our own: KNN (Sun, Ming, Zhu, Li, ICML 2022, arXiv 2204.06507) on the coordinates of Stage Mahalanobis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from nero_core.detectors.base import DetectorInfo, Paper, account_of
from nero_core.detectors.knn import kth_neighbours
from nero_core.detectors.linear_algebra import class_means
from nero_core.detectors.registry import register
from nero_core.detectors.stages import OnStages
from nero_core.records import Account, Activations, Float32Array, Float64Array, Head, IntArray
from nero_core.storage.typed import AtLeastOne, Shape


@register
class StageKNN(OnStages):
    """S = ‖u − u₍ₖ₎‖₂, the distance to the k-th nearest training image.

    u = [u_1; u_2; …] with u_s = [channel means, channel deviations] of stage s over space, of length one, so that every
    stage counts alike.

    Parameters
    ----------
    stages : sequence of str, optional
        Where not given, all but the first, which sees edges, and the last, which sees classes; of two or fewer all.
        Chosen on training images left out, beside a class of which none was trained on.
    k : int
        At most n.
    """

    # Far point: not claimed, features are not read, and stages are normalised.
    info = DetectorInfo("stage_knn", "Stage KNN", Paper(
        "ours, after Sun et al., ICML 2022", (), "", 2026
    ), needs=frozenset({"stages"}))  # fmt: skip
    bank_: Annotated[Float32Array, Shape("n", "coordinates")]
    """u of the training images."""
    labels_: Annotated[IntArray, Shape("n", below="K")]
    """Their classes."""

    def __init__(self, stages: Sequence[str] | None = None, k: AtLeastOne = 1) -> None:
        super().__init__(stages)
        self.k = k

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.labels is not None
        u = self._take_stages(train)
        self.class_means_ = class_means(u, train.labels, head.classes)
        self.bank_ = u.astype(np.float32)
        self.labels_ = train.labels.copy()

    def _usual(self, names: list[str]) -> list[str]:
        return names[1:-1] if len(names) > 2 else names

    def _score(self, batch: Activations) -> Float64Array:
        return self._distance(self._coordinates(batch))

    def _distance(self, u: Float64Array) -> Float64Array:
        distances: Float64Array = np.linalg.norm(self._to_neighbour(u)[0], axis=1)
        return distances

    def _to_neighbour(self, u: Float64Array) -> tuple[Float64Array, IntArray]:
        """u − u₍ₖ₎ (n, w), and the neighbours' positions (n,)."""
        # In the bank's precision, so that a training image is at distance zero from itself.
        u = u.astype(np.float32).astype(np.float64)
        neighbours = kth_neighbours(u, self.bank_, self.k)
        return u - self.bank_[neighbours], neighbours

    def account(self, batch: Activations) -> Account:
        """S = Σ_j (u_j − u₍ₖ₎_j)² / S over channels, mean and deviation together; the class is that neighbour's."""
        self._check_batch(batch)
        difference, neighbours = self._to_neighbour(self._coordinates(batch))
        length = np.linalg.norm(difference, axis=1, keepdims=True)
        shares = difference**2 / np.where(length > 0, length, 1)
        return account_of(self._by_channel(shares), self.labels_[neighbours], self._neurons())

    def what_if(self, batch: Activations, neurons: Sequence[int]) -> Float64Array:
        """The score recomputed with the chosen channels as usual for the neighbour's class.

        In u mean and deviation of each chosen channel are set to μ_c; nothing is normalised again, and the neighbour is
        found anew.
        """
        self._check_batch(batch)
        u = self._coordinates(batch)
        classes = self.labels_[self._to_neighbour(u)[1]]
        return self._distance(self._with_usual(u, neurons, classes))
