"""LINe: energy of the logits that a class's important neurons and weights give, features clipped.

Source: Ahn, Park, Kim, "LINe: Out-of-Distribution Detection by Leveraging Important Neurons", CVPR 2023
(arXiv 2303.13995). With a linear head the Taylor form of the Shapley value is exact: no backward pass is needed.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from scipy.special import logsumexp

from nero_core.detectors.base import Detector, DetectorInfo, Paper
from nero_core.detectors.linear_algebra import class_means
from nero_core.detectors.registry import register
from nero_core.records import Activations, Float64Array, Head
from nero_core.storage.typed import MOST, Percentile, Range, Shape

CLIP_PERCENTILE = 90
"""δ of training features that are never negative, as ReAct chooses it."""

SIGNED_CLIP_PERCENTILES = (5, 95)
"""The same share clipped of features of both signs, from both sides."""


@register
class Line(Detector):
    """Score by important neurons.

    With C[j,c] = W_cj · mean_{i: y_i=c} a_j, a ← min(a, δ) and ŷ = argmax(W a + b)::

        keep neuron j       where C[j,ŷ] > percentile_j(C[:,ŷ], p_a)
        keep weight (k, j)  where |C[j,ŷ]|·W_kj > percentile_(k,j)(that product, p_w)
        S = −logsumexp_k(Σ_j a_j·keep_j·W_kj·keep_kj + b_k)

    Parameters
    ----------
    clip : float, optional
        δ; from the training features where not given. The paper has 1.0 for CIFAR and 0.8 for ImageNet.
    activation_percentile : float
        p_a in [0, 100): 90 for CIFAR-10, 10 for CIFAR-100 and ImageNet in the paper.
    weight_percentile : float
        p_w in [0, 100): 90 for CIFAR-10 and CIFAR-100, 10 for ImageNet in the paper.
    """

    # Far point: not claimed, clipped features are bounded, and a large logit lowers the score.
    info = DetectorInfo("line", "LINe", Paper(
        "LINe: Out-of-Distribution Detection by Leveraging Important Neurons",
        ("Yong Hyun Ahn", "Gyeong-Moon Park", "Seong Tae Kim"),
        "CVPR", 2023, "https://arxiv.org/abs/2303.13995",
    ))  # fmt: skip
    contributions_: Annotated[Float64Array, Shape("K", "d")]
    """C, transposed."""
    neuron_thresholds_: Annotated[Float64Array, Shape("K")]
    """What C has to exceed."""
    weight_thresholds_: Annotated[Float64Array, Shape("K")]
    """What ``|C|·W`` has to exceed."""
    clip_: Annotated[Float64Array, Shape(2, endless=True)]
    """Features are clipped to this range."""

    def __init__(
        self,
        clip: Annotated[float, Range(-MOST)] | None = None,
        activation_percentile: Percentile = 10,
        weight_percentile: Percentile = 10,
    ) -> None:
        self.clip = clip
        self.activation_percentile = activation_percentile
        self.weight_percentile = weight_percentile

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.labels is not None
        a, W = train.features.astype(np.float64), head.weight.astype(np.float64)
        self.clip_ = self._clip_range(a)
        self.contributions_ = W * class_means(a, train.labels, head.classes)
        self.neuron_thresholds_ = np.percentile(self.contributions_, self.activation_percentile, axis=1)
        # One product of K·d numbers at a time, overwritten: a copy of each would take twice as long.
        self.weight_thresholds_ = np.array(
            [
                np.percentile((np.abs(C) * W).ravel(), self.weight_percentile, overwrite_input=True)
                for C in self.contributions_
            ]
        )

    def _clip_range(self, features: Float64Array) -> Float64Array:
        if self.clip is not None:
            return np.array([-np.inf, self.clip])
        if (features < 0).any():
            return np.percentile(features, SIGNED_CLIP_PERCENTILES)
        return np.array([-np.inf, np.percentile(features, CLIP_PERCENTILE)])

    def _score(self, batch: Activations) -> Float64Array:
        W, b = self.head_.weight.astype(np.float64), self.head_.bias.astype(np.float64)
        a = np.clip(batch.features.astype(np.float64), *self.clip_)
        predicted = (a @ W.T + b).argmax(axis=1)
        a = np.where(self.contributions_[predicted] > self.neuron_thresholds_[predicted, None], a, 0.0)
        scores = np.empty(len(batch))
        # One K·d mask at a time: all of them at once are K·K·d.
        for c in np.unique(predicted):
            kept = np.abs(self.contributions_[c]) * W > self.weight_thresholds_[c]
            rows = predicted == c
            scores[rows] = -logsumexp(a[rows] @ np.where(kept, W, 0.0).T + b, axis=1)
        return scores
