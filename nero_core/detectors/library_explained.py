"""The library's detectors whose score is a sum over neurons: its formulas, in float64, with their exact accounts.

pytorch-ood computes these in float32, where an account would add up to three digits only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from nero_core.detectors.base import DetectorInfo, ExplainedDetector, feature_neurons, register, with_features
from nero_core.errors import InputError
from nero_core.records import (
    Account,
    Activations,
    Float32Array,
    Float64Array,
    FloatArray,
    Head,
    IntArray,
)
from nero_core.storage.typed import AtLeastOne, Shape

CHUNK_ROWS = 4096
"""Training images worked on at a time, so that memory grows with d², not with n."""

PAIR_CHUNK_NUMBERS = 1 << 23
"""Distances to training images held at a time, numbers: 64 MB in float64."""

RIDGE = 1e-6
"""What the library adds to the diagonal of a scatter matrix before it inverts it."""

ROUNDING = 1e-9
"""Share of a length below which it is rounding."""


class AgainstClassMeans(ExplainedDetector):
    """Neurons become usual by taking the mean of their class."""

    class_means_: Annotated[Float64Array, Shape("K", "d")]
    """Mean training feature per class."""

    def what_if(self, batch: Activations, neurons: Sequence[int]) -> Float64Array:
        """The score recomputed with the chosen features set to the nearest class's training mean.

        Features and logits are recomputed, and with them the nearest class. The score may rise.
        """
        chosen = list(neurons)
        features = batch.features.astype(np.float64)
        features[:, chosen] = self.class_means_[self.account(batch).nearest][:, chosen]
        return self.score(with_features(batch, features, self.head_))

    def _account(self, contributions: Float64Array, nearest: IntArray, **terms: Float64Array) -> Account:
        n, d = contributions.shape
        return Account(contributions, nearest, feature_neurons(d), terms, np.ones(n))


def chunks(features: FloatArray) -> Iterator[tuple[slice, Float64Array]]:
    """Rows and their features in float64, CHUNK_ROWS at a time."""
    for start in range(0, len(features), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        yield rows, features[rows].astype(np.float64)


def means_by_class(train: Activations, classes: int) -> Float64Array:
    """(K, d) mean feature per class."""
    assert train.labels is not None
    sums = np.zeros((classes, train.features.shape[1]))
    for rows, features in chunks(train.features):
        np.add.at(sums, train.labels[rows], features)
    means: Float64Array = sums / np.bincount(train.labels, minlength=classes)[:, None]
    return means


def whitening(train: Activations, means: Float64Array, labels: IntArray) -> Float64Array:
    """T (d, d) with T Tᵀ = (Σ_i (a_i − m_i)(a_i − m_i)ᵀ + 10⁻⁶·I)⁻¹, m_i the row of `means` that labels give.

    The library's scatter, a sum and not a mean: only the scale of the score differs. By eigenvalues, which the ridge
    bounds from below, so that a singular scatter leaves distances that are finite and not negative.
    """
    d = means.shape[1]
    scatter = np.zeros((d, d))
    for rows, features in chunks(train.features):
        centred = features - means[labels[rows]]
        scatter += centred.T @ centred
    values, vectors = np.linalg.eigh(scatter)
    transform: Float64Array = vectors / np.sqrt(np.maximum(values, 0) + RIDGE)
    return transform


@register
class Mahalanobis(AgainstClassMeans):
    """S = min_c ½ (a − μ_c)ᵀ Σ⁻¹ (a − μ_c), one scatter matrix Σ for all classes."""

    info = DetectorInfo(
        name="mahalanobis",
        title="Mahalanobis",
        paper="Lee et al., NeurIPS 2018, arXiv 1807.03888",
        year=2018,
        claims_far_point=True,  # Σ⁻¹ is positive definite: the distance grows along every direction
    )
    whitening_: Annotated[Float64Array, Shape("d", "d")]
    """T with T Tᵀ = Σ⁻¹."""

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.labels is not None
        self.class_means_ = means_by_class(train, head.classes)
        self.whitening_ = whitening(train, self.class_means_, train.labels)

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
        v = batch.features - self.class_means_[nearest]
        return self._account(v * (v @ self.whitening_ @ self.whitening_.T) / 2, nearest)


@register
class RMD(AgainstClassMeans):
    """S = min_c (a − μ_c)ᵀ Σ⁻¹ (a − μ_c) − (a − μ₀)ᵀ Σ₀⁻¹ (a − μ₀), with μ₀, Σ₀ of all classes together."""

    info = DetectorInfo(
        name="rmd",
        title="Relative Mahalanobis",
        paper="Ren et al., 2021, arXiv 2106.09022",
        year=2021,
        claims_far_point=False,  # far along a direction in which the classes do not differ, the two cancel
    )
    whitening_: Annotated[Float64Array, Shape("d", "d")]
    """T with T Tᵀ = Σ⁻¹."""
    mean_: Annotated[Float64Array, Shape("d")]
    """μ₀."""
    background_whitening_: Annotated[Float64Array, Shape("d", "d")]
    """T₀ with T₀ T₀ᵀ = Σ₀⁻¹."""

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.labels is not None
        self.class_means_ = means_by_class(train, head.classes)
        self.whitening_ = whitening(train, self.class_means_, train.labels)
        self.mean_ = np.bincount(train.labels, minlength=head.classes) @ self.class_means_ / len(train)
        self.background_whitening_ = whitening(train, self.mean_[None], np.zeros_like(train.labels))

    def _distances(self, batch: Activations) -> Float64Array:
        white = batch.features.astype(np.float64) @ self.whitening_
        distances: Float64Array = cdist(white, self.class_means_ @ self.whitening_, "sqeuclidean")
        return distances

    def _score(self, batch: Activations) -> Float64Array:
        background = (batch.features - self.mean_) @ self.background_whitening_
        scores: Float64Array = self._distances(batch).min(axis=1) - (background**2).sum(axis=1)
        return scores

    def account(self, batch: Activations) -> Account:
        """S = Σ_j [v_j (Σ⁻¹v)_j − u_j (Σ₀⁻¹u)_j] with v = a − μ_c, c the nearest class, and u = a − μ₀."""
        self._check_batch(batch)
        nearest = self._distances(batch).argmin(axis=1)
        v = batch.features - self.class_means_[nearest]
        u = batch.features - self.mean_
        return self._account(
            v * (v @ self.whitening_ @ self.whitening_.T)
            - u * (u @ self.background_whitening_ @ self.background_whitening_.T),
            nearest,
        )


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

    info = DetectorInfo(
        name="vim",
        title="ViM",
        paper="Wang et al., CVPR 2022, arXiv 2203.10807",
        year=2022,
        claims_far_point=False,  # the energy of a far point may outgrow its residual
    )
    origin_: Annotated[Float64Array, Shape("d")]
    """u."""
    residual_: Annotated[Float64Array, Shape("d", "left")]
    """Orthonormal basis of what the principal components leave."""
    alpha_: Annotated[Float64Array, Shape()]
    """α."""

    def __init__(self, dimension: AtLeastOne | None = None) -> None:
        self.dimension = dimension

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        n, d = train.features.shape
        usual = 1000 if d >= 2048 else 512 if d >= 768 else d // 2
        dimension = max(1, min(usual, n // 2)) if self.dimension is None else self.dimension
        if dimension >= d:
            raise InputError(
                f"`dimension` is {dimension!r}; {self.info.title} wants a whole number of principal components, "
                f"at least 1 and less than the {d} features, so that a residual is left."
            )
        self.class_means_ = means_by_class(train, head.classes)
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
        return self._account(self.alpha_ * x * direction, logits.argmax(axis=1), energy=-logsumexp(logits, axis=1))


@register
class KNN(AgainstClassMeans):
    """S = ‖z − z₍ₖ₎‖₂, the distance to the k-th nearest training feature, all of length one.

    Keeps all training features: 4·n·d bytes, and 64 MB each of distances and of their order while it scores.

    Parameters
    ----------
    k : int
        The paper's 50 for data sets of its smallest kind (CIFAR-10), at most n.
    """

    info = DetectorInfo(
        name="knn",
        title="KNN",
        paper="Sun et al., ICML 2022, arXiv 2204.06507",
        year=2022,
        claims_far_point=False,  # lengths are divided out
    )
    bank_: Annotated[Float32Array, Shape("n", "d")]
    """Training features of length one."""
    labels_: Annotated[IntArray, Shape("n", below="K")]
    """Their classes."""

    def __init__(self, k: AtLeastOne = 50) -> None:
        self.k = k

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.labels is not None
        self.class_means_ = means_by_class(train, head.classes)
        self.bank_ = np.empty(train.features.shape, np.float32)
        for rows, features in chunks(train.features):
            self.bank_[rows] = _of_length_one(features)
        self.labels_ = train.labels.copy()

    def _score(self, batch: Activations) -> Float64Array:
        scores: Float64Array = np.linalg.norm(self._to_neighbour(batch)[0], axis=1)
        return scores

    def _to_neighbour(self, batch: Activations) -> tuple[Float64Array, IntArray]:
        """z − z₍ₖ₎ (n, d), and the neighbours' positions (n,)."""
        # In the bank's precision, so that a training image is at distance zero from itself.
        z = _of_length_one(batch.features.astype(np.float64)).astype(np.float32).astype(np.float64)
        k = min(self.k, len(self.bank_))
        neighbours = np.empty(len(z), np.int64)
        rows_at_once = max(1, PAIR_CHUNK_NUMBERS // len(self.bank_))
        for start in range(0, len(z), rows_at_once):
            part = z[start : start + rows_at_once]
            squares = np.empty((len(part), len(self.bank_)))
            for rows, bank in chunks(self.bank_):
                # ‖z − z'‖² without ‖z‖², which does not change the order
                squares[:, rows] = (bank**2).sum(axis=1) - 2 * part @ bank.T
            neighbours[start : start + rows_at_once] = np.argpartition(squares, k - 1, axis=1)[:, k - 1]
        return z - self.bank_[neighbours], neighbours

    def account(self, batch: Activations) -> Account:
        """S = Σ_j (z_j − z₍ₖ₎_j)² / S; the class is that of the k-th neighbour."""
        self._check_batch(batch)
        difference, neighbours = self._to_neighbour(batch)
        length = np.linalg.norm(difference, axis=1, keepdims=True)
        return self._account(difference**2 / np.where(length > 0, length, 1), self.labels_[neighbours])


def _of_length_one(features: Float64Array) -> Float64Array:
    # The library's bound keeps a zero vector a zero vector.
    unit: Float64Array = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    return unit
