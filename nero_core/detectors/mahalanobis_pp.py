"""Mahalanobis++: Mahalanobis distance of L2-normalised features to the nearest class mean.

Source: Müller, Hein, "Mahalanobis++: Improving OOD Detection via Feature Normalization", ICML 2025
(arXiv 2505.18032); the distance itself: Lee, Lee, Lee, Shin, NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from nero_core.detectors.base import DetectorInfo, ExplainedDetector, Paper, account_of, with_usual_features
from nero_core.detectors.linear_algebra import (
    class_means,
    mahalanobis,
    mahalanobis_shares,
    nearest_mean,
    residuals,
    unit_rows,
    whitening,
)
from nero_core.detectors.registry import register
from nero_core.records import Account, Activations, Float64Array, Head
from nero_core.storage.typed import Shape


@register
class MahalanobisPP(ExplainedDetector):
    """Score by Mahalanobis distance on the unit sphere.

    With u = a/‖a‖₂, μ_c the mean of u over class c and Σ the covariance shared by the classes::

        S = min_c (u − μ_c)ᵀ Σ⁻¹ (u − μ_c)

    Σ⁻¹ is the pseudo-inverse: directions in which no training image varies inside its class do not count. A
    feature vector of zeros has u = 0.
    """

    # Far point: not claimed, features are normalised: a far point in a usual direction is usual.
    info = DetectorInfo("mahalanobis_pp", "Mahalanobis++", Paper(
        "Mahalanobis++: Improving OOD Detection via Feature Normalization",
        ("Maximilian Müller", "Matthias Hein"),
        "ICML", 2025, "https://arxiv.org/abs/2505.18032",
    ))  # fmt: skip
    class_means_: Annotated[Float64Array, Shape("K", "d")]
    """μ_c, of normalised features."""
    class_features_: Annotated[Float64Array, Shape("K", "d")]
    """Mean feature per class, not normalised: what is usual for a neuron."""
    whitening_: Annotated[Float64Array, Shape("d", "rank")]
    """W with W Wᵀ = Σ⁻¹."""

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.labels is not None
        a = train.features.astype(np.float64)
        u = unit_rows(a)
        self.class_features_ = class_means(a, train.labels, head.classes)
        self.class_means_ = class_means(u, train.labels, head.classes)
        v = residuals(u, self.class_means_, train.labels, self.info.title)
        self.whitening_ = whitening(v.T @ v / len(v))

    def _score(self, batch: Activations) -> Float64Array:
        u = unit_rows(batch.features.astype(np.float64))
        return mahalanobis(nearest_mean(u, self.class_means_, self.whitening_)[1], self.whitening_)

    def account(self, batch: Activations) -> Account:
        """S = Σ_j v_j (Σ⁻¹ v)_j with v = u − μ_c for the nearest class c; both signs occur."""
        self._check_batch(batch)
        u = unit_rows(batch.features.astype(np.float64))
        nearest, v = nearest_mean(u, self.class_means_, self.whitening_)
        return account_of(mahalanobis_shares(v, self.whitening_), nearest)

    def what_if(self, batch: Activations, neurons: Sequence[int]) -> Float64Array:
        """The score recomputed with the chosen features at the nearest class's mean feature, then normalised again."""
        nearest = self.account(batch).nearest
        return self.score(with_usual_features(batch, neurons, self.class_features_[nearest], self.head_))
