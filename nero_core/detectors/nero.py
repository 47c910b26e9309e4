"""NERO: distance of a prediction's neuron relevance from the relevance of the known classes.

Source: Chhetri, Korhonen, Gyawali, Bhattarai, "NERO", MICCAI 2025 (arXiv 2506.15404). The paper's own mode is
``epsilon=0``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.utils.extmath import svd_flip

from nero_core.detectors.base import DetectorInfo, ExplainedDetector, Paper, account_of
from nero_core.detectors.registry import register
from nero_core.records import Account, Activations, Float64Array, Head, IntArray, Relevance
from nero_core.relevance import DEFAULT_EPSILON, low_relevance_share, relevance_of
from nero_core.storage.typed import AT_LEAST_ZERO, AtLeastOne, Range, Shape

PAPER_K = 175
"""Size of the low-relevance set L (section 2 of the paper, d = 512)."""

COMPONENT_SHARE = 2 / 3
"""The paper keeps int(2d/3) principal components."""

CHUNK_ROWS = 4096
"""Training rows worked on at a time, so that memory grows with d², not with n."""


@dataclass(frozen=True, eq=False)
class NeroTerms:
    """The parts of the scores of n images; S = (D + B)·f.

    Attributes
    ----------
    nearest : (n,) int64
        Class whose centroid is nearest.
    distance : (n,)
        D, the L1 distance to that centroid in the principal components of relevance.
    bias_term : (n,)
        ``B = λ |r_β|``.
    low_share : (n,)
        f, the share of activation carried by the k neurons of smallest signed relevance.
    """

    nearest: IntArray
    distance: Float64Array
    bias_term: Float64Array
    low_share: Float64Array

    @property
    def score(self) -> Float64Array:
        """S = (D + B)·f, (n,)."""
        return (self.distance + self.bias_term) * self.low_share


def nearest_centroid(points: Float64Array, centroids: Float64Array) -> tuple[IntArray, Float64Array]:
    """The nearest of K centroids by the L1 distance, (n,) int64, and that distance, (n,).

    Parameters
    ----------
    points : (n, m)
    centroids : (K, m)
    """
    distances = cdist(points, centroids, "cityblock")
    nearest: IntArray = distances.argmin(axis=1)
    return nearest, distances[np.arange(len(distances)), nearest]


@register
class Nero(ExplainedDetector):
    """Score by neuron relevance.

    Parameters
    ----------
    epsilon : float
        ε of the relevance; 0 is the paper's mode.
    k : int or float
        Size of the low-relevance set, as a number of neurons or as a fraction of d in (0, 1).
    m : int, optional
        Principal components kept; int(2d/3), at most min(n, d), where not given.
    """

    # Far point: not claimed, relevance is a share of the prediction: it does not grow with the features.
    info = DetectorInfo("nero", "NERO", Paper(
        "NERO: Explainable Out-of-Distribution Detection with Neuron-level Relevance",
        ("Anju Chhetri", "Jari Korhonen", "Prashnna Gyawali", "Binod Bhattarai"),
        "MICCAI", 2025, "https://arxiv.org/abs/2506.15404",
    ))  # fmt: skip
    mean_: Annotated[Float64Array, Shape("d")]
    """Mean relevance of all training images."""
    components_: Annotated[Float64Array, Shape("m", "d")]
    """Principal components of the relevance, orthonormal rows."""
    class_means_: Annotated[Float64Array, Shape("K", "d")]
    """r̄_c, the mean relevance per class."""
    centroids_: Annotated[Float64Array, Shape("K", "m")]
    """μ_c = P(r̄_c)."""
    bias_scale_: Annotated[Float64Array, Shape(values=AT_LEAST_ZERO)]
    """λ."""

    def __init__(
        self,
        epsilon: Annotated[float, Range(0)] = DEFAULT_EPSILON,
        k: AtLeastOne | Annotated[float, Range(0, 1, "both")] = PAPER_K,
        m: AtLeastOne | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.k = k
        self.m = m

    # Fit -----------------------------------------------------------------------------------------------------

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        n, d = train.features.shape
        assert train.labels is not None
        m = int(d * COMPONENT_SHARE) if self.m is None else self.m
        m = max(1, min(m, n, d))

        # [r, r_β], summed per class
        counts = np.bincount(train.labels, minlength=head.classes)
        sums = np.zeros((head.classes, d + 1))
        bias_size = 0.0
        for labels, r in self._relevance_in_chunks(train, head):
            np.add.at(sums, labels, np.column_stack([r.neurons, r.bias]))
            bias_size += float(np.abs(r.bias).sum()) / n
        rho = sums / counts[:, None]
        self.class_means_ = np.ascontiguousarray(rho[:, :d])
        self.mean_ = sums[:, :d].sum(axis=0) / n

        # The covariance route of PCA is exact and needs d² numbers, whatever n is.
        covariance = np.zeros((d, d))
        deviation = 0.0
        for _, r in self._relevance_in_chunks(train, head):
            centred = r.neurons - self.mean_
            covariance += centred.T @ centred
            joined = np.column_stack([r.neurons, r.bias])
            deviation += float(cdist(joined, rho, "cityblock").min(axis=1).sum()) / n
        _, vectors = np.linalg.eigh(covariance)
        leading = np.ascontiguousarray(vectors[:, ::-1][:, :m].T)
        self.components_ = svd_flip(None, leading, u_based_decision=False)[1]
        self.centroids_ = (self.class_means_ - self.mean_) @ self.components_.T
        # A head without bias has r_β = 0 everywhere: its bias term is 0 whatever λ is.
        self.bias_scale_ = np.asarray(deviation / bias_size if bias_size > 0 else 0.0)

    def _relevance_in_chunks(self, train: Activations, head: Head) -> Iterator[tuple[IntArray, Relevance]]:
        assert train.labels is not None
        for start in range(0, len(train), CHUNK_ROWS):
            rows = train[start : start + CHUNK_ROWS]
            yield train.labels[start : start + CHUNK_ROWS], relevance_of(rows, head, self.epsilon)

    def _low_set_size(self, d: int) -> int:
        return max(1, round(self.k * d)) if self.k < 1 else int(self.k)

    # Score ---------------------------------------------------------------------------------------------------

    def _score(self, batch: Activations) -> Float64Array:
        return self.terms(batch).score

    def relevance(self, batch: Activations) -> Relevance:
        """Neuron relevance of a batch under this detector's ε."""
        self._check_batch(batch)
        return relevance_of(batch, self.head_, self.epsilon)

    def terms(self, batch: Activations, relevance: Relevance | None = None) -> NeroTerms:
        """Nearest class, D, B and f of each image; `relevance` replaces the batch's own where given."""
        r = self.relevance(batch) if relevance is None else relevance
        projected = (r.neurons - self.mean_) @ self.components_.T
        nearest, distance = nearest_centroid(projected, self.centroids_)
        return NeroTerms(
            nearest=nearest,
            distance=distance,
            bias_term=self.bias_scale_ * np.abs(r.bias),
            low_share=low_relevance_share(batch.features, r.neurons, self._low_set_size(batch.features.shape[1])),
        )

    # Explain -------------------------------------------------------------------------------------------------

    def account(self, batch: Activations) -> Account:
        """S = f·(Σ_j contribution_j + B); the contributions of the d neurons add up to D.

        With c the nearest class, v = Vᵀ(r − r̄_c) and s = sign(v)::

            D = Σ_k |v_k| = Σ_j (r_j − r̄_cj) · (V s)_j

        The Aumann–Shapley split of D along the straight path from the class mean to r. It does not say what
        happens when one neuron is restored: that is `what_if`.
        """
        r = self.relevance(batch)
        terms = self.terms(batch, r)
        deviation = r.neurons - self.class_means_[terms.nearest]
        signs = np.sign(deviation @ self.components_.T)
        contributions = deviation * (signs @ self.components_)
        return account_of(contributions, terms.nearest, factor=terms.low_share, terms={"bias term": terms.bias_term})

    def what_if(self, batch: Activations, neurons: Sequence[int]) -> Float64Array:
        """The score recomputed with the relevance of the chosen neurons set to their class mean.

        Features and r_β stay; the low-relevance set, the nearest class, D, f and S are recomputed. The score
        may rise.
        """
        r = self.relevance(batch)
        nearest = self.terms(batch, r).nearest
        restored = r.neurons.copy()
        restored[:, list(neurons)] = self.class_means_[nearest][:, list(neurons)]
        return self.terms(batch, Relevance(restored, r.bias)).score
