"""CARef and CADRef: how far a feature vector is from the mean of its predicted class, relative to its size.

Source: Ling, Chang, Zhao, Zhao, Chow, Deng, "CADRef: Robust Out-of-Distribution Detection via Class-Aware
Decoupled Relative Feature Leveraging", CVPR 2025 (arXiv 2503.00325). CARef is the paper's first step, CADRef the
whole method.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from nero_core.detectors.base import AgainstClassMeans, DetectorInfo, Paper, account_of
from nero_core.detectors.linear_algebra import class_means, floor_of, logsumexp_of
from nero_core.detectors.registry import register
from nero_core.records import Account, Activations, Float64Array, Head
from nero_core.storage.typed import ABOVE_ZERO, Shape

PAPER = Paper(
    "CADRef: Robust Out-of-Distribution Detection via Class-Aware Decoupled Relative Feature Leveraging",
    ("Zhiwei Ling", "Yachen Chang", "Hailiang Zhao", "Xinkui Zhao", "Kingsum Chow", "Shuiguang Deng"),
    "CVPR", 2025, "https://arxiv.org/abs/2503.00325",
)  # fmt: skip


def predicted_means(train: Activations, classes: int) -> Float64Array:
    """Mean feature of the training images predicted as each class, (K, d); by label where none is predicted so."""
    assert train.labels is not None
    a = train.features.astype(np.float64)
    predicted = train.logits.argmax(axis=1)
    means = class_means(a, train.labels, classes)
    for c in np.unique(predicted):
        means[c] = a[predicted == c].mean(axis=0)
    return means


@register
class CARef(AgainstClassMeans):
    """Score by the relative distance to the predicted class.

    With μ_c the mean of the training features predicted c::

        S = ‖a − μ_ŷ‖₁ / ‖a‖₁ = Σ_j |a_j − μ_ŷj| / ‖a‖₁

    ‖a‖₁ is at least a hundredth of its training median, so that a vector of zeros has a score.
    """

    # Far point: not claimed, tends to 1 far out, and images close to zero exceed that.
    info = DetectorInfo("caref", "CARef", PAPER)
    size_floor_: Annotated[Float64Array, Shape(values=ABOVE_ZERO)]
    """Least ‖a‖₁."""

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        self.class_means_ = predicted_means(train, head.classes)
        sizes = np.linalg.norm(train.features.astype(np.float64), 1, axis=1)
        self.size_floor_ = floor_of(sizes, "the size of the feature vector", self.info.title)

    def _shares(self, batch: Activations) -> Float64Array:
        a = batch.features.astype(np.float64)
        errors = np.abs(a - self.class_means_[batch.logits.argmax(axis=1)])
        shares: Float64Array = errors / np.maximum(np.linalg.norm(a, 1, axis=1), self.size_floor_)[:, None]
        return shares

    def _score(self, batch: Activations) -> Float64Array:
        scores: Float64Array = self._shares(batch).sum(axis=1)
        return scores

    def account(self, batch: Activations) -> Account:
        """S as the sum over j that it is, held against the predicted class; no contribution is negative."""
        self._check_batch(batch)
        return account_of(self._shares(batch), batch.logits.argmax(axis=1))


@register
class CADRef(CARef):
    """Score by the relative distance to the predicted class, along and against its weights.

    With e = (a − μ_ŷ) ∗ sign(W_ŷ), E± = ‖max(±e, 0)‖₁ / ‖a‖₁ and L = logsumexp(z)::

        S = E₊ / L + E₋ / mean_train(L) = Σ_j (max(e_j, 0)/L + max(−e_j, 0)/mean_train(L)) / ‖a‖₁

    L and ‖a‖₁ are at least a hundredth of the training median of their size.
    """

    # Far point: not claimed, relative to the size of the features, and divided by a logit that grows with it.
    info = DetectorInfo("cadref", "CADRef", PAPER)
    energy_floor_: Annotated[Float64Array, Shape(values=ABOVE_ZERO)]
    """Least L."""
    mean_energy_: Annotated[Float64Array, Shape(values=ABOVE_ZERO)]
    """mean_train(L)."""

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        super()._fit(train, head, calibration)
        energy = logsumexp_of(train.logits)
        self.energy_floor_ = floor_of(energy, "the logsumexp of the logits", self.info.title)
        self.mean_energy_ = np.asarray(np.maximum(energy, self.energy_floor_).mean())

    def _shares(self, batch: Activations) -> Float64Array:
        a, W = batch.features.astype(np.float64), self.head_.weight.astype(np.float64)
        predicted = batch.logits.argmax(axis=1)
        e = (a - self.class_means_[predicted]) * np.sign(W[predicted])
        L = np.maximum(logsumexp_of(batch.logits), self.energy_floor_)[:, None]
        weighted = np.maximum(e, 0) / L + np.maximum(-e, 0) / self.mean_energy_
        shares: Float64Array = weighted / np.maximum(np.linalg.norm(a, 1, axis=1), self.size_floor_)[:, None]
        return shares
