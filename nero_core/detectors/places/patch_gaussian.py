"""Patch Gaussian: how far the most novel places of an image lie from one Gaussian of all training places.

After Defard, Setkov, Loesch, Audigier, "PaDiM", ICPR 2021 (arXiv 2011.08785), which has a Gaussian for each place and
wants aligned images; endoscopic frames are not. Shrinkage: Ledoit, Wolf, 2004.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from sklearn.covariance import ledoit_wolf

from nero_core.detectors.base import DetectorInfo, Paper
from nero_core.detectors.linear_algebra import mahalanobis, whitening
from nero_core.detectors.places.base import OnSmoothedPlaces, Scale, Share
from nero_core.detectors.registry import register
from nero_core.records import Float32Array, Float64Array
from nero_core.storage.typed import Shape


@register
class PatchGaussian(OnSmoothedPlaces):
    """S = mean of the largest t_p = v_pᵀ Σ⁻¹ v_p, v_p the standardised features of a place.

    A place has the mean of its own features and its neighbours' (3 × 3), of the network's inner stages; Σ is their
    covariance over training places with Ledoit–Wolf shrinkage.

    Parameters
    ----------
    share : float
        Of all places, those that count.
    scale : float
        How large the image is seen, in times the network's own input.
    """

    info = DetectorInfo("patch_gaussian", "Patch Gaussian", Paper(
        "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization",
        ("Thomas Defard", "Aleksandr Setkov", "Angelique Loesch", "Romaric Audigier"),
        "ICPR", 2021, "https://arxiv.org/abs/2011.08785",
    ), needs=frozenset({"source"}))  # fmt: skip
    whitening_: Annotated[Float64Array, Shape("channels", "rank")]
    """W with W Wᵀ = Σ⁻¹."""

    def __init__(self, share: Share = 0.01, scale: Scale = 2.0) -> None:
        self.share = share
        self.scale = scale

    def _learn(self, places: Float32Array, rng: np.random.Generator) -> None:
        covariance, _ = ledoit_wolf(places.astype(np.float64), assume_centered=True)
        self.whitening_ = whitening(covariance)

    def _novelty_of(self, places: Float32Array) -> Float64Array:
        return mahalanobis(places.astype(np.float64), self.whitening_)
