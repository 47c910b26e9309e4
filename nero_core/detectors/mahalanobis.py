"""Mahalanobis and relative Mahalanobis distance to the nearest class mean, with exact accounts.

Sources: Lee, Lee, Lee, Shin, NeurIPS 2018 (arXiv 1807.03888); Ren, Fort, Liu, Guha Roy, Padhy, Lakshminarayanan, 2021
(arXiv 2106.09022). Scatter and ridge are pytorch-ood's; in float64, as accounts would add up to three digits only in
its float32.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from scipy.spatial.distance import cdist

from nero_core.detectors.base import AgainstClassMeans, DetectorInfo, Paper, account_of
from nero_core.detectors.linear_algebra import class_means, mahalanobis, mahalanobis_shares, scatter, whitening
from nero_core.detectors.registry import register
from nero_core.records import Account, Activations, Float64Array, Head
from nero_core.storage.typed import Shape

RIDGE = 1e-6
"""What pytorch-ood adds to the diagonal of a scatter matrix, a sum and not a mean, before it inverts it."""


@register
class Mahalanobis(AgainstClassMeans):
    """S = min_c ½ (a − μ_c)ᵀ Σ⁻¹ (a − μ_c), one scatter matrix Σ for all classes."""

    # Far point: claimed, Σ⁻¹ is positive definite: the distance grows along every direction.
    info = DetectorInfo("mahalanobis", "Mahalanobis", Paper(
        "A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks",
        ("Kimin Lee", "Kibok Lee", "Honglak Lee", "Jinwoo Shin"),
        "NeurIPS", 2018, "https://arxiv.org/abs/1807.03888",
    ), claims_far_point=True)  # fmt: skip
    whitening_: Annotated[Float64Array, Shape("d", "d")]
    """T with T Tᵀ = Σ⁻¹."""

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.labels is not None
        self.class_means_ = class_means(train.features, train.labels, head.classes)
        self.whitening_ = whitening(scatter(train.features, self.class_means_, train.labels), RIDGE)

    def _distances(self, batch: Activations) -> Float64Array:
        white = batch.features.astype(np.float64) @ self.whitening_
        distances: Float64Array = cdist(white, self.class_means_ @ self.whitening_, "sqeuclidean") / 2
        return distances

    def _score(self, batch: Activations) -> Float64Array:
        nearest: Float64Array = self._distances(batch).min(axis=1)
        return nearest

    def account(self, batch: Activations) -> Account:
        """S = Σ_j ½ v_j (Σ⁻¹v)_j with v = a − μ_c, c the nearest class."""
        self._check_batch(batch)
        nearest = self._distances(batch).argmin(axis=1)
        return account_of(mahalanobis_shares(batch.features - self.class_means_[nearest], self.whitening_) / 2, nearest)


@register
class RMD(Mahalanobis):
    """S = min_c (a − μ_c)ᵀ Σ⁻¹ (a − μ_c) − (a − μ₀)ᵀ Σ₀⁻¹ (a − μ₀), with μ₀, Σ₀ of all classes together."""

    # Far point: not claimed, far along a direction in which the classes do not differ, the two cancel.
    info = DetectorInfo("rmd", "Relative Mahalanobis", Paper(
        "A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection",
        ("Jie Ren", "Stanislav Fort", "Jeremiah Liu", "Abhijit Guha Roy", "Shreyas Padhy", "Balaji Lakshminarayanan"),
        "arXiv", 2021, "https://arxiv.org/abs/2106.09022",
    ))  # fmt: skip
    mean_: Annotated[Float64Array, Shape("d")]
    """μ₀."""
    background_whitening_: Annotated[Float64Array, Shape("d", "d")]
    """T₀ with T₀ T₀ᵀ = Σ₀⁻¹."""

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        super()._fit(train, head, calibration)
        assert train.labels is not None
        self.mean_ = np.bincount(train.labels, minlength=head.classes) @ self.class_means_ / len(train)
        background = scatter(train.features, self.mean_[None], np.zeros_like(train.labels))
        self.background_whitening_ = whitening(background, RIDGE)

    def _score(self, batch: Activations) -> Float64Array:
        # Twice a Mahalanobis score, which halves the distance.
        return 2 * super()._score(batch) - mahalanobis(batch.features - self.mean_, self.background_whitening_)

    def account(self, batch: Activations) -> Account:
        """S = Σ_j [v_j (Σ⁻¹v)_j − u_j (Σ₀⁻¹u)_j] with v = a − μ_c, c the nearest class, and u = a − μ₀."""
        to_class = super().account(batch)
        background = mahalanobis_shares(batch.features - self.mean_, self.background_whitening_)
        return account_of(2 * to_class.contributions - background, to_class.nearest)
