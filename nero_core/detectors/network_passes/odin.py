"""ODIN: the softmax of an image moved a small step towards its predicted class, at a high temperature."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from nero_core.detectors.base import DetectorInfo, Paper
from nero_core.detectors.network_passes.base import SeesImages
from nero_core.detectors.registry import register
from nero_core.records import Activations, Float64Array, Head
from nero_core.storage.typed import AboveZero, Range

STEPS = Range(-1, 1)
"""Of ε: grey values have no further to go."""


@register
class ODIN(SeesImages):
    """S = −max_k softmax(z(x̂)/T)_k at x̂ = x + ε·sign(∂ log p_ŷ(x; T)/∂x), a step towards the predicted class.

    Parameters
    ----------
    temperature : float
        T; the paper's 1000.
    epsilon : float
        ε in grey values of [0, 1]; the paper's 0.0014 (it tunes ε on out-of-distribution images: this is its
        value for DenseNet on CIFAR-10).
    """

    # Far point: not claimed, a softmax grows more certain far away.
    info = DetectorInfo("odin", "ODIN", Paper(
        "Enhancing The Reliability of Out-of-distribution Image Detection in Neural Networks",
        ("Shiyu Liang", "Yixuan Li", "R. Srikant"),
        "ICLR", 2018, "https://arxiv.org/abs/1706.02690",
    ), needs=frozenset({"source"}), fits=False)  # fmt: skip

    def __init__(self, temperature: AboveZero = 1000.0, epsilon: Annotated[float, STEPS] = 0.0014) -> None:
        self.temperature = temperature
        self.epsilon = epsilon

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        """Nothing is learnt."""

    def _score(self, batch: Activations) -> Float64Array:
        from pytorch_ood.detector import MaxSoftmax, odin_preprocessing

        opened = self._opened(batch)
        scores: list[Float64Array] = []
        for images in opened.images():
            stepped = odin_preprocessing(
                opened.network,
                images,
                eps=self.epsilon,
                temperature=self.temperature,
                norm_std=list(opened.source.deviation),
            )
            # At T = 1000 scores differ in the fourth digit only: float64 from here on.
            logits, _ = opened.forward(stepped)
            scores.append(MaxSoftmax.score(logits, self.temperature).numpy())
        return np.concatenate([np.empty(0), *scores])
