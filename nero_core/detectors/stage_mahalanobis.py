"""Stage Mahalanobis: Mahalanobis distance on what the early stages of a network see, channel by channel.

Our own, in the line of Mahalanobis++ (Müller, Hein, ICML 2025, arXiv 2505.18032) and of the multi-layer
Mahalanobis distance (Lee, Lee, Lee, Shin, NeurIPS 2018, arXiv 1807.03888). Shrinkage: Ledoit, Wolf, "A
well-conditioned estimator for large-dimensional covariance matrices", Journal of Multivariate Analysis 88, 2004.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from sklearn.covariance import ledoit_wolf

from nero_core.detectors.base import DetectorInfo, Paper, account_of
from nero_core.detectors.linear_algebra import (
    centre_and_scale,
    class_means,
    mahalanobis,
    mahalanobis_shares,
    nearest_mean,
    residuals,
    whitening,
)
from nero_core.detectors.registry import register
from nero_core.detectors.stages import OnStages
from nero_core.records import Account, Activations, Float64Array, Head
from nero_core.storage.typed import Shape


@register
class StageMahalanobis(OnStages):
    """Score by the statistics of the early stages.

    For stage s, u_s = [channel means, channel deviations] over space, divided by its L2 norm; u = [u_1; u_2; …];
    μ_c the mean of u over class c, Σ the covariance shared by the classes, with Ledoit–Wolf shrinkage on
    standardised coordinates (parameters as of :class:`~nero_core.detectors.stages.OnStages`)::

        S = min_c (u − μ_c)ᵀ Σ⁻¹ (u − μ_c)

    A coordinate that is constant over the training images keeps its own unit when standardised, and the variance
    that the shrinkage gives it.
    """

    # Far point: not claimed, features are not read, and stages are normalised.
    info = DetectorInfo("stage_mahalanobis", "Stage Mahalanobis", Paper(
        "ours, after Lee et al., NeurIPS 2018, and Müller and Hein, ICML 2025", (), "", 2026
    ), needs=frozenset({"stages"}))  # fmt: skip
    whitening_: Annotated[Float64Array, Shape("coordinates", "rank")]
    """W with W Wᵀ = Σ⁻¹."""

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.labels is not None
        u = self._take_stages(train)
        self.class_means_ = class_means(u, train.labels, head.classes)
        v = residuals(u, self.class_means_, train.labels, self.info.title)
        _, scale = centre_and_scale(u)
        covariance, _ = ledoit_wolf(v / scale, assume_centered=True)
        self.whitening_ = whitening(covariance) / scale[:, None]

    def _score(self, batch: Activations) -> Float64Array:
        return self._distance(self._coordinates(batch))

    def _distance(self, u: Float64Array) -> Float64Array:
        return mahalanobis(nearest_mean(u, self.class_means_, self.whitening_)[1], self.whitening_)

    def account(self, batch: Activations) -> Account:
        """S = Σ over channels; a channel's share is that of its mean plus that of its deviation.

        With v = u − μ_c for the nearest class c, a coordinate's share is v_i (Σ⁻¹ v)_i; both signs occur.
        """
        self._check_batch(batch)
        nearest, v = nearest_mean(self._coordinates(batch), self.class_means_, self.whitening_)
        shares = mahalanobis_shares(v, self.whitening_)
        return account_of(self._by_channel(shares), nearest, self._neurons())

    def what_if(self, batch: Activations, neurons: Sequence[int]) -> Float64Array:
        """The score recomputed with the chosen channels as usual for the nearest class.

        In u, the normalised space: mean and deviation of each chosen channel are set to μ_c there, the other
        coordinates stay as they are (nothing is normalised again), and the nearest class is found anew.
        """
        self._check_batch(batch)
        u = self._coordinates(batch)
        nearest, _ = nearest_mean(u, self.class_means_, self.whitening_)
        return self._distance(self._with_usual(u, neurons, nearest))
