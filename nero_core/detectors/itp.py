"""ITP: energy without the weights that contribute little, and without the neurons that contribute unusually much.

Source: Xu, Yang, "ITP: Instance-Aware Test Pruning for Out-of-Distribution Detection", AAAI 2025
(arXiv 2412.12566).
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from scipy.special import logsumexp

from nero_core.detectors.base import Detector, DetectorInfo, Paper
from nero_core.detectors.linear_algebra import class_means, constant_columns
from nero_core.detectors.registry import register
from nero_core.records import Activations, Float64Array, Head
from nero_core.storage.typed import ABOVE_ZERO, AboveZero, Percentile, Shape


@register
class Itp(Detector):
    """Score by energy after pruning.

    With C_cj = W_cj a_j, and its mean and standard deviation over the training images of class c::

        keep weight (c, j)  where mean(C_cj) > percentile over all (c, j) of those means
        drop neuron j       where (C_ŷj − mean(C_ŷj)) / std(C_ŷj) > deviations
        S = −logsumexp of the pruned logits

    A neuron with std(C_ŷj) = 0 is kept, as all are where class ŷ has one image.

    Parameters
    ----------
    weight_percentile : float
        In [0, 100); the paper's 30.
    deviations : float
        The right tail of the test on one image; the paper's 1.5.
    """

    # Far point: not claimed, neurons far below their mean are kept, and a large logit lowers the score.
    info = DetectorInfo("itp", "ITP", Paper(
        "ITP: Instance-Aware Test Pruning for Out-of-Distribution Detection",
        ("Haonan Xu", "Yang Yang"),
        "AAAI", 2025, "https://arxiv.org/abs/2412.12566",
    ))  # fmt: skip
    class_means_: Annotated[Float64Array, Shape("K", "d")]
    """Of the features of class c; mean(C_cj) = W_cj · mean_cj."""
    deviations_: Annotated[Float64Array, Shape("K", "d", values=ABOVE_ZERO, endless=True)]
    """Their standard deviation, ``std(C_cj) = |W_cj| · deviation_cj``; infinite for a constant neuron."""
    threshold_: Annotated[Float64Array, Shape()]
    """What mean(C_cj) has to exceed."""

    def __init__(self, weight_percentile: Percentile = 30, deviations: AboveZero = 1.5) -> None:
        self.weight_percentile = weight_percentile
        self.deviations = deviations

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.labels is not None
        a, labels = train.features.astype(np.float64), train.labels
        self.class_means_ = class_means(a, labels, head.classes)
        self.deviations_ = np.full((head.classes, head.width), np.inf)
        for c in range(head.classes):
            own = a[labels == c]
            self.deviations_[c] = np.where(constant_columns(own), np.inf, own.std(axis=0))
        contributions = head.weight.astype(np.float64) * self.class_means_
        self.threshold_ = np.asarray(np.percentile(contributions, self.weight_percentile))

    def _score(self, batch: Activations) -> Float64Array:
        a, W = batch.features.astype(np.float64), self.head_.weight.astype(np.float64)
        predicted = batch.logits.argmax(axis=1)
        # (C_ŷj − mean(C_ŷj)) / std(C_ŷj), in which |W_ŷj| cancels.
        z = np.sign(W[predicted]) * (a - self.class_means_[predicted]) / self.deviations_[predicted]
        kept = W * self.class_means_ > self.threshold_
        logits = np.where(z > self.deviations, 0.0, a) @ np.where(kept, W, 0.0).T + self.head_.bias
        return -np.asarray(logsumexp(logits, axis=1), np.float64)
