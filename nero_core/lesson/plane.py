"""NERO in two dimensions: the first two principal components of relevance, and a point to move between the centroids.

The axes, the centroids and the formula are those of the reference's own NERO; only the other components are left out,
which the page says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nero_core.detectors.nero import Nero, NeroTerms, nearest_centroid
from nero_core.errors import InputError
from nero_core.records import Activations, Float64Array, IntArray
from nero_core.reference.reference import Reference

AXES = 2
REACH = 97.5
"""The plane shows so many percent of the images along each axis; a few far ones would press the others together."""
ROOM = 0.25
"""And so much of that beyond, on each side."""
MOST = 97.5
"""Percentile of the images at which the sliders of bias term and factor end."""


@dataclass(frozen=True, eq=False)
class Plane:
    """Images and centroids in two dimensions.

    Attributes
    ----------
    classes : K names
    centroids : (K, 2)
    points : (n, 2)
        Images that the reference keeps.
    groups : (n,) int64
        Index into `names`.
    names : classes, then known out-of-distribution sets
    components : int
        How many the score really uses.
    share : float
        Of the images' variance in all components, what the two axes show, in [0, 1].
    low, high : (2,)
        Ends of the axes.
    bias_term, factor : (n,)
        B and f of these images.
    """

    nero: Nero
    classes: tuple[str, ...]
    centroids: Float64Array
    points: Float64Array
    groups: IntArray
    names: tuple[str, ...]
    components: int
    share: float
    low: Float64Array
    high: Float64Array
    bias_term: Float64Array
    factor: Float64Array

    @property
    def highest_bias_term(self) -> float:
        """Where its slider ends."""
        return float(np.percentile(self.bias_term, MOST))

    def place(self, batch: Activations) -> tuple[Float64Array, NeroTerms]:
        """Where images lie in the plane, (n, 2), and their terms in all components."""
        return _projected(self.nero, batch), self.nero.terms(batch)


@dataclass(frozen=True, eq=False)
class PlanePoint:
    """One point of the plane, read as NERO reads an image.

    Attributes
    ----------
    nearest : int
        Class of the nearest centroid.
    along : (2,)
        How far it is from there along each axis; D is their sum.
    path : (3, 2)
        From the point along the first axis, then along the second to the centroid.
    straight : float
        The distance with a ruler, which NERO does not use.
    score : float
        S = (D + B)·f.
    """

    nearest: int
    along: Float64Array
    path: Float64Array
    straight: float
    terms: NeroTerms

    @property
    def distance(self) -> float:
        """D, the L1 distance."""
        return float(self.terms.distance[0])

    @property
    def score(self) -> float:
        """S, in the two dimensions."""
        return float(self.terms.score[0])


def plane_of(reference: Reference) -> Plane:
    """The plane of a reference with NERO and a sample of its images.

    Raises
    ------
    InputError
        It has no sample, or its NERO keeps fewer than two components.
    """
    nero = reference.detector("nero")
    sample = reference.sample
    if not isinstance(nero, Nero) or sample is None or len(nero.components_) < AXES:
        raise InputError(
            "This reference keeps no sample of its images, or one component alone; fit it again with nero."
        )
    batch = Activations(sample.features, sample.logits)
    r = nero.relevance(batch)
    every = (r.neurons - nero.mean_) @ nero.components_.T
    points, terms = every[:, :AXES], nero.terms(batch, r)
    variance = every.var(axis=0)
    low, high = np.percentile(points, [100 - REACH, REACH], axis=0)
    centroids = nero.centroids_[:, :AXES]
    low, high = np.minimum(low, centroids.min(axis=0)), np.maximum(high, centroids.max(axis=0))
    room = ROOM * (high - low)
    return Plane(
        nero, tuple(reference.classes), centroids, points, sample.groups, sample.names, len(nero.components_),
        float(variance[:AXES].sum() / variance.sum()), low - room, high + room, terms.bias_term, terms.low_share,
    )  # fmt: skip


def read_point(centroids: Float64Array, point: Float64Array, bias_term: float, factor: float) -> PlanePoint:
    """Nearest class, distance, path and score of a point.

    Parameters
    ----------
    centroids : (K, 2)
    point : (2,)
    bias_term : float
        B, at least 0.
    factor : float
        f, in [0, 1].

    Raises
    ------
    InputError
        A number is not finite or out of its range.
    """
    point = np.asarray(point, np.float64)
    if point.shape != (AXES,) or not np.isfinite(point).all():
        raise InputError(f"The point is {point}; wanted two finite numbers.")
    if not (np.isfinite(bias_term) and bias_term >= 0 and 0 <= factor <= 1):
        raise InputError(f"Bias term {bias_term} and factor {factor}; wanted at least 0, and a number from 0 to 1.")
    [nearest], distance = nearest_centroid(point[None], centroids)
    there = centroids[nearest]
    path = np.array([point, [there[0], point[1]], there])
    terms = NeroTerms(np.array([nearest]), distance, np.array([bias_term]), np.array([factor]))
    return PlanePoint(int(nearest), np.abs(point - there), path, float(np.linalg.norm(point - there)), terms)


def equally_far(length: float = 1.0) -> tuple[float, float]:
    """L1 distance of two points that a ruler finds equally far: one along an axis, one along the diagonal."""
    points = length * np.array([[1.0, 0.0], [np.sqrt(0.5), np.sqrt(0.5)]])
    _, distances = nearest_centroid(points, np.zeros((1, AXES)))
    return float(distances[0]), float(distances[1])


def _projected(nero: Nero, batch: Activations) -> Float64Array:
    points: Float64Array = (nero.relevance(batch).neurons - nero.mean_) @ nero.components_[:AXES].T
    return points
