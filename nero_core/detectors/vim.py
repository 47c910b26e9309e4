"""ViM: the residual outside the principal subspace of the training features, against the energy of the logits.

Source: Wang, Li, Feng, Zhang, "ViM: Out-Of-Distribution with Virtual-logit Matching", CVPR 2022 (arXiv 2203.10807). In
float64: in pytorch-ood's float32 an account would add up to three digits only.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from scipy.special import logsumexp

from nero_core.detectors.base import AgainstClassMeans, DetectorInfo, Paper, account_of
from nero_core.detectors.linear_algebra import chunks, class_means
from nero_core.detectors.registry import register
from nero_core.errors import InputError
from nero_core.records import Account, Activations, Float64Array, Head
from nero_core.storage.typed import AtLeastOne, Shape

ROUNDING = 1e-9
"""Share of a length below which it is rounding."""


@register
class ViM(AgainstClassMeans):
    """S = α‖P⊥(a − u)‖₂ − logsumexp(Wa + b), with u = −W⁺b the origin at which all logits are zero.

    P⊥ projects on what the principal components of the training features leave; α makes the first term as large
    as the largest logit, on the average of the training images.

    Parameters
    ----------
    dimension : int, optional
        Principal components D. The paper's where not given: 1000 for d ≥ 2048, 512 for d ≥ 768, else d/2; at
        most half the training images, so that they leave a residual.
    """

    # Far point: not claimed, the energy of a far point may outgrow its residual.
    info = DetectorInfo("vim", "ViM", Paper(
        "ViM: Out-Of-Distribution with Virtual-logit Matching",
        ("Haoqi Wang", "Zhizhong Li", "Litong Feng", "Wayne Zhang"),
        "CVPR", 2022, "https://arxiv.org/abs/2203.10807",
    ))  # fmt: skip
    origin_: Annotated[Float64Array, Shape("d")]
    """u."""
    residual_: Annotated[Float64Array, Shape("d", "left")]
    """Orthonormal basis of what the principal components leave."""
    alpha_: Annotated[Float64Array, Shape()]
    """α."""

    def __init__(self, dimension: AtLeastOne | None = None) -> None:
        self.dimension = dimension

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.labels is not None
        n, d = train.features.shape
        usual = 1000 if d >= 2048 else 512 if d >= 768 else d // 2
        dimension = max(1, min(usual, n // 2)) if self.dimension is None else self.dimension
        if dimension >= d:
            raise InputError(
                f"`dimension` is {dimension!r}; {self.info.title} wants a whole number of principal components, "
                f"at least 1 and less than the {d} features, so that a residual is left."
            )
        self.class_means_ = class_means(train.features, train.labels, head.classes)
        self.origin_ = -np.linalg.pinv(head.weight.astype(np.float64)) @ head.bias.astype(np.float64)
        covariance = np.zeros((d, d))
        for _, features in chunks(train.features):
            centred = features - self.origin_
            covariance += centred.T @ centred / n
        _, vectors = np.linalg.eigh(covariance)
        self.residual_ = np.ascontiguousarray(vectors[:, : d - int(dimension)])
        logit = length = size = 0.0
        for rows, features in chunks(train.features):
            logit += float(self._logits(train[rows]).max(axis=1).sum())
            length += float(np.linalg.norm((features - self.origin_) @ self.residual_, axis=1).sum())
            size += float(np.linalg.norm(features - self.origin_, axis=1).sum())
        if length <= ROUNDING * size:
            raise InputError(
                f"{self.info.title}: {dimension} principal components leave nothing of the {n} training images; "
                "give more images or a smaller `dimension`."
            )
        self.alpha_ = np.asarray(logit / length)

    def _logits(self, batch: Activations) -> Float64Array:
        logits: Float64Array = batch.features.astype(np.float64) @ self.head_.weight.T.astype(np.float64)
        return logits + self.head_.bias

    def _score(self, batch: Activations) -> Float64Array:
        length = np.linalg.norm((batch.features - self.origin_) @ self.residual_, axis=1)
        scores: Float64Array = self.alpha_ * length - logsumexp(self._logits(batch), axis=1)
        return scores

    def account(self, batch: Activations) -> Account:
        """S = Σ_j α x_j (P⊥x)_j / ‖P⊥x‖ + energy, with x = a − u; the class is the predicted one."""
        self._check_batch(batch)
        x = batch.features - self.origin_
        inside = x @ self.residual_
        length = np.linalg.norm(inside, axis=1, keepdims=True)
        direction = inside @ self.residual_.T / np.where(length > 0, length, 1)
        logits = self._logits(batch)
        return account_of(
            self.alpha_ * x * direction, logits.argmax(axis=1), terms={"energy": -logsumexp(logits, axis=1)}
        )
