"""KNN: the distance to the k-th nearest training feature on the unit sphere.

Source: Sun, Ming, Zhu, Li, "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML 2022 (arXiv 2204.06507).
In float64: in pytorch-ood's float32 an account would add up to three digits only.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from nero_core.detectors.base import AgainstClassMeans, DetectorInfo, Paper, account_of
from nero_core.detectors.linear_algebra import chunks, class_means, unit_rows
from nero_core.detectors.registry import register
from nero_core.records import Account, Activations, Float32Array, Float64Array, Head, IntArray
from nero_core.storage.typed import AtLeastOne, Shape

PAIR_CHUNK_NUMBERS = 1 << 23
"""Distances to training images held at a time, numbers: 64 MB in float64."""

LEAST_LENGTH = 1e-12
"""What pytorch-ood divides shorter features by."""


def kth_neighbours(z: Float64Array, bank: Float32Array, k: int) -> IntArray:
    """The position in the bank of the k-th nearest row, (n,); of a bank with fewer rows the farthest.

    Parameters
    ----------
    z : (n, d)
    bank : (m, d)
    """
    k = min(k, len(bank))
    neighbours = np.empty(len(z), np.int64)
    rows_at_once = max(1, PAIR_CHUNK_NUMBERS // len(bank))
    for start in range(0, len(z), rows_at_once):
        part = z[start : start + rows_at_once]
        squares = np.empty((len(part), len(bank)))
        for rows, members in chunks(bank):
            # ‖z − z'‖² without ‖z‖², which does not change the order
            squares[:, rows] = (members**2).sum(axis=1) - 2 * part @ members.T
        neighbours[start : start + rows_at_once] = np.argpartition(squares, k - 1, axis=1)[:, k - 1]
    return neighbours


@register
class KNN(AgainstClassMeans):
    """S = ‖z − z₍ₖ₎‖₂, the distance to the k-th nearest training feature, all of length one.

    Keeps all training features: 4·n·d bytes, and 64 MB each of distances and of their order while it scores.

    Parameters
    ----------
    k : int
        The paper's 50 for data sets of its smallest kind (CIFAR-10), at most n.
    """

    # Far point: not claimed, lengths are divided out.
    info = DetectorInfo("knn", "KNN", Paper(
        "Out-of-Distribution Detection with Deep Nearest Neighbors",
        ("Yiyou Sun", "Yifei Ming", "Xiaojin Zhu", "Yixuan Li"),
        "ICML", 2022, "https://arxiv.org/abs/2204.06507",
    ))  # fmt: skip
    bank_: Annotated[Float32Array, Shape("n", "d")]
    """Training features of length one."""
    labels_: Annotated[IntArray, Shape("n", below="K")]
    """Their classes."""

    def __init__(self, k: AtLeastOne = 50) -> None:
        self.k = k

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.labels is not None
        self.class_means_ = class_means(train.features, train.labels, head.classes)
        self.bank_ = np.empty(train.features.shape, np.float32)
        for rows, features in chunks(train.features):
            self.bank_[rows] = unit_rows(features, LEAST_LENGTH)
        self.labels_ = train.labels.copy()

    def _score(self, batch: Activations) -> Float64Array:
        scores: Float64Array = np.linalg.norm(self._to_neighbour(batch)[0], axis=1)
        return scores

    def _to_neighbour(self, batch: Activations) -> tuple[Float64Array, IntArray]:
        """z − z₍ₖ₎ (n, d), and the neighbours' positions (n,)."""
        # In the bank's precision, so that a training image is at distance zero from itself.
        z = unit_rows(batch.features.astype(np.float64), LEAST_LENGTH).astype(np.float32).astype(np.float64)
        neighbours = kth_neighbours(z, self.bank_, self.k)
        return z - self.bank_[neighbours], neighbours

    def account(self, batch: Activations) -> Account:
        """S = Σ_j (z_j − z₍ₖ₎_j)² / S; the class is that of the k-th neighbour."""
        self._check_batch(batch)
        difference, neighbours = self._to_neighbour(batch)
        length = np.linalg.norm(difference, axis=1, keepdims=True)
        return account_of(difference**2 / np.where(length > 0, length, 1), self.labels_[neighbours])
