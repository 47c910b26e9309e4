"""NECO: how much of a standardised feature vector lies in the principal subspace of the training features.

Source: Ammar, Belkhir, Popescu, Manzanera, Franchi, "NECO: NEural Collapse Based Out-of-distribution detection",
ICLR 2024 (arXiv 2310.06823). As in its authors' code, networks without a pooled map multiply by the largest logit.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt

from nero_core.detectors.base import AgainstClassMeans, DetectorInfo, Paper, account_of
from nero_core.detectors.linear_algebra import centre_and_scale, class_means
from nero_core.detectors.registry import register
from nero_core.records import Account, Activations, Float64Array, FloatArray, Head, IntArray
from nero_core.storage.typed import ABOVE_ZERO, AtLeastOne, Shape

PAPER_COMPONENTS = 100
"""q; at most as many as the training features vary in."""


@register
class Neco(AgainstClassMeans):
    """Score by the principal subspace.

    With ã the standardised feature vector and P the projection onto the first q principal components::

        S = −‖P ã‖₂ / ‖ã‖₂        times max_k z_k where the network has no pooled map

    A vector at the training mean, ã = 0, counts as inside the subspace: the ratio is 1.

    Parameters
    ----------
    components : int
        q.
    """

    # Far point: not claimed, a ratio of norms: how far a vector lies out in the subspace does not show.
    info = DetectorInfo("neco", "NECO", Paper(
        "NECO: NEural Collapse Based Out-of-distribution detection",
        ("Mouïn Ben Ammar", "Nacim Belkhir", "Sebastian Popescu", "Antoine Manzanera", "Gianni Franchi"),
        "ICLR", 2024, "https://arxiv.org/abs/2310.06823",
    ))  # fmt: skip
    mean_: Annotated[Float64Array, Shape("d")]
    """Of the training features."""
    scale_: Annotated[Float64Array, Shape("d", values=ABOVE_ZERO)]
    """Their standard deviation."""
    components_: Annotated[Float64Array, Shape("q", "d", empty=True)]
    """Principal components of the standardised training features, orthonormal rows."""
    by_logit_: Annotated[npt.NDArray[np.bool_], Shape()]
    """Whether the network has no pooled map, so that the largest logit multiplies."""

    def __init__(self, components: AtLeastOne = PAPER_COMPONENTS) -> None:
        self.components = components

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.labels is not None
        a = train.features.astype(np.float64)
        self.mean_, self.scale_ = centre_and_scale(a)
        self.class_means_ = class_means(a, train.labels, head.classes)
        self.by_logit_ = np.asarray(train.peaks is None)
        standard = (a - self.mean_) / self.scale_
        variances, vectors = np.linalg.eigh(standard.T @ standard)
        # No direction without variance: which of those a solver returns is chance.
        rank = int((variances > head.width * np.finfo(np.float64).eps * variances.max()).sum())
        self.components_ = np.ascontiguousarray(vectors[:, ::-1][:, : min(self.components, rank)].T)

    def _standardised(self, features: FloatArray) -> Float64Array:
        return (features.astype(np.float64) - self.mean_) / self.scale_

    def _factor(self, batch: Activations) -> Float64Array:
        return batch.logits.astype(np.float64).max(axis=1) if self.by_logit_ else np.ones(len(batch))

    def _score(self, batch: Activations) -> Float64Array:
        standard = self._standardised(batch.features)
        inside = np.linalg.norm(standard @ self.components_.T, axis=1)
        norms = np.linalg.norm(standard, axis=1)
        ratio: Float64Array = np.divide(inside, norms, out=np.ones(len(batch)), where=norms > 0)
        return -ratio * self._factor(batch)

    def _nearest(self, standard: Float64Array) -> IntArray:
        """Class whose mean is nearest in the principal subspace, (n,)."""
        means = self._standardised(self.class_means_) @ self.components_.T
        nearest: IntArray = ((means**2).sum(axis=1) - 2 * (standard @ self.components_.T) @ means.T).argmin(axis=1)
        return nearest

    def account(self, batch: Activations) -> Account:
        """S = factor·Σ_j contribution_j with contribution_j = −ã_j (P ã)_j / (‖P ã‖ ‖ã‖).

        The factor is 1, or the largest logit. A vector at the training mean has no direction: its −1 is shared
        out evenly. The nearest class, which NECO's score does not use, is that of the nearest mean inside the
        principal subspace.
        """
        self._check_batch(batch)
        standard = self._standardised(batch.features)
        coordinates = standard @ self.components_.T
        norms = np.linalg.norm(standard, axis=1)
        product = (np.linalg.norm(coordinates, axis=1) * norms)[:, None]
        shares = standard * (coordinates @ self.components_)
        contributions = -np.divide(shares, product, out=np.zeros_like(shares), where=product > 0)
        contributions[norms == 0] = -1 / self.head_.width
        return account_of(contributions, self._nearest(standard), factor=self._factor(batch))
