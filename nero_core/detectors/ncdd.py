"""NCDD: how much nearer a feature vector's direction is to one class than to all the others.

Source: Pokhrel et al., "NCDD: Nearest Centroid Distance Deficit for Out-Of-Distribution Detection in
Gastrointestinal Vision", 2024 (arXiv 2412.01590).
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from scipy.spatial.distance import cdist

from nero_core.detectors.base import AgainstClassMeans, DetectorInfo, Paper, account_of
from nero_core.detectors.linear_algebra import RESOLUTION, centre_and_scale, class_means, floor_of, unit_rows
from nero_core.detectors.registry import register
from nero_core.errors import InputError
from nero_core.records import Account, Activations, Float64Array, Head
from nero_core.storage.typed import ABOVE_ZERO, Shape

NEAREST_SCALE = 10.0
"""The paper's: what ‖a − g‖₁ is divided by for the nearest class."""

OTHERS_SCALE = 1e4
"""The paper's: what ‖a − g‖₁ is divided by for the other classes."""


@register
class Ncdd(AgainstClassMeans):
    """Score by the deficit of the nearest centroid.

    With g the mean training feature, h = (a − g)/‖a − g‖₂, m_c the class means of a − g, normalised,
    d_(1) ≤ … ≤ d_(K) the squared distances of h to them, and s = ‖a − g‖₁::

        S = ln(s/10)·d_(1) − ln(s/10⁴)·Σ_{i≥2} d_(i)

    The constants are bound to the scale of the paper's features, and S is not monotone in the distance. An image
    at g has h = 0; s is at least a hundredth of its training median. Needs two classes.
    """

    # Far point: not claimed, not monotone in the distance.
    info = DetectorInfo("ncdd", "NCDD", Paper(
        "NCDD: Nearest Centroid Distance Deficit for Out-Of-Distribution Detection in Gastrointestinal Vision",
        ("Sandesh Pokhrel", "Sanjay Bhandari", "Sharib Ali", "Tryphon Lambrou", "Anh Nguyen", "Yash Raj Shrestha",
         "Angus Watson", "Danail Stoyanov", "Prashnna Gyawali", "Binod Bhattarai"),
        "arXiv", 2024, "https://arxiv.org/abs/2412.01590",
    ))  # fmt: skip
    mean_: Annotated[Float64Array, Shape("d")]
    """g."""
    centroids_: Annotated[Float64Array, Shape("K", "d")]
    """m_c; zero for a class whose mean is g."""
    size_floor_: Annotated[Float64Array, Shape(values=ABOVE_ZERO)]
    """Least s."""

    def _check_head(self, head: Head) -> None:
        if head.classes < 2:
            raise InputError("NCDD compares the nearest class with the others; wanted at least 2 classes, got 1.")

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.labels is not None
        a = train.features.astype(np.float64)
        self.mean_, _ = centre_and_scale(a)
        self.class_means_ = class_means(a, train.labels, head.classes)
        self.size_floor_ = floor_of(np.abs(a - self.mean_).sum(axis=1), "the distance from the mean", "NCDD")
        m = self.class_means_ - self.mean_
        m[np.linalg.norm(m, axis=1) <= RESOLUTION * np.linalg.norm(self.class_means_, axis=1)] = 0
        self.centroids_ = unit_rows(m)

    def _parts(self, batch: Activations) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
        """h (n, d), squared distances (n, K), ln(s/10) and ln(s/10⁴) (n,)."""
        centred = batch.features.astype(np.float64) - self.mean_
        h = unit_rows(centred)
        s = np.maximum(np.abs(centred).sum(axis=1), self.size_floor_)
        distances = cdist(h, self.centroids_, "sqeuclidean")
        return h, distances, np.log(s / NEAREST_SCALE), np.log(s / OTHERS_SCALE)

    def _score(self, batch: Activations) -> Float64Array:
        _, d, of_nearest, of_others = self._parts(batch)
        nearest = d.min(axis=1)
        scores: Float64Array = of_nearest * nearest - of_others * (d.sum(axis=1) - nearest)
        return scores

    def account(self, batch: Activations) -> Account:
        """S is linear in the d_(i), and each of them is a sum over j of (h_j − m_j)²; both signs occur."""
        self._check_batch(batch)
        h, d, of_nearest, of_others = self._parts(batch)
        nearest, m = d.argmin(axis=1), self.centroids_
        to_nearest = (h - m[nearest]) ** 2
        to_all = len(m) * h**2 - 2 * h * m.sum(axis=0) + (m**2).sum(axis=0)
        contributions = of_nearest[:, None] * to_nearest - of_others[:, None] * (to_all - to_nearest)
        return account_of(contributions, nearest)
