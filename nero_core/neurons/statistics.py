"""How neurons differ between two groups of images: means with their spread, effect size, and each neuron alone.

Means and deviations are streamed (Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing
sample variances", 1979), so that they are exact over any number of images. AUROCs come from the images that were kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from nero_core.errors import InputError
from nero_core.records import Float64Array, FloatArray, IntArray

Order = Literal["difference", "effect", "auroc", "first", "second", "number"]


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and squared deviations of d neurons over any number of images.

    Attributes
    ----------
    count : int
    mean : (d,) float64
    squares : (d,) float64
        Σ (value − mean)².
    """

    count: int
    mean: Float64Array
    squares: Float64Array

    @classmethod
    def none(cls, width: int) -> Moments:
        """Of no image yet."""
        return cls(0, np.zeros(width), np.zeros(width))

    @classmethod
    def of(cls, values: FloatArray) -> Moments:
        """Of n images.

        Parameters
        ----------
        values : (n, d)

        Raises
        ------
        InputError
            The array has another shape.
        """
        x = np.asarray(values, np.float64)
        if x.ndim != 2:
            raise InputError(f"`values` has shape {x.shape}; wanted (images, neurons).")
        if not len(x):
            return cls.none(x.shape[1])
        mean = x.mean(axis=0)
        return cls(len(x), mean, ((x - mean) ** 2).sum(axis=0))

    def merged(self, other: Moments) -> Moments:
        """Of both sets of images (Chan et al., eq. 2.1).

        Raises
        ------
        InputError
            They are of different numbers of neurons.
        """
        if self.mean.shape != other.mean.shape:
            raise InputError(f"{len(self.mean)} neurons cannot be merged with {len(other.mean)}; use one network.")
        count = self.count + other.count
        if not count:
            return self
        gap = other.mean - self.mean
        return Moments(
            count,
            self.mean + gap * (other.count / count),
            self.squares + other.squares + gap**2 * (self.count * other.count / count),
        )

    @property
    def std(self) -> Float64Array:
        """Sample standard deviation (n − 1), (d,); NaN for fewer than two images."""
        if self.count < 2:
            return np.full(len(self.mean), np.nan)
        deviation: Float64Array = np.sqrt(self.squares / (self.count - 1))
        return deviation


def pooled(moments: Iterable[Moments], width: int) -> Moments:
    """Of all these images together."""
    total = Moments.none(width)
    for one in moments:
        total = total.merged(one)
    return total


def cohens_d(first: Moments, second: Moments) -> Float64Array:
    """Cohen's d per neuron, (d,): (mean₂ − mean₁) / s, positive where the second group is higher.

    s² = ((n₁−1)s₁² + (n₂−1)s₂²) / (n₁+n₂−2), so that one image can be held against a group. 0 for a neuron that is the
    same on all images; NaN where s is 0 but the means differ, and everywhere for one image against one.

    Source: Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988.
    """
    gap = second.mean - first.mean
    freedom = first.count + second.count - 2
    if freedom < 1:
        return np.full(len(gap), np.nan)
    s = np.sqrt((first.squares + second.squares) / freedom)
    d: Float64Array = np.divide(gap, s, out=np.where(gap == 0, 0.0, np.nan), where=s > 0)
    return d


def neuron_auroc(first: FloatArray, second: FloatArray) -> Float64Array:
    """AUROC of each neuron alone, (d,): the share of pairs in which the second group's value is higher, ties half.

    Parameters
    ----------
    first, second : (n, d), (m, d)
        NaN comes back where a group has fewer than two images.

    Raises
    ------
    InputError
        The groups are of different numbers of neurons.
    """
    a, b = np.asarray(first), np.asarray(second)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise InputError(f"Groups have shapes {a.shape} and {b.shape}; wanted the same number of neurons in both.")
    auroc = np.full(a.shape[1], np.nan)
    if min(len(a), len(b)) < 2:
        return auroc
    ordered = np.sort(a, axis=0)
    for j in range(a.shape[1]):
        column = np.ascontiguousarray(ordered[:, j])
        below = np.searchsorted(column, b[:, j], "left") + np.searchsorted(column, b[:, j], "right")
        auroc[j] = below.mean() / (2 * len(a))
    return auroc


@dataclass(frozen=True, eq=False)
class Group:
    """Some images under one name.

    Attributes
    ----------
    name : str
    moments : Moments
        Of the relevance on all of the images.
    relevance, activation : (n, d)
        On those that were kept; `moments` may stand for more.
    """

    name: str
    moments: Moments
    relevance: FloatArray
    activation: FloatArray


@dataclass(frozen=True, eq=False)
class Comparison:
    """The relevance of d neurons in two groups of images; differences and effects are second against first."""

    first: Group
    second: Group

    def __post_init__(self) -> None:
        widths = [len(group.moments.mean) for group in (self.first, self.second)]
        if widths[0] != widths[1]:
            raise InputError(f"Groups have {widths[0]} and {widths[1]} neurons; compare networks of one size.")

    @property
    def difference(self) -> Float64Array:
        """Mean of the second group minus that of the first, (d,)."""
        gap: Float64Array = self.second.moments.mean - self.first.moments.mean
        return gap

    @cached_property
    def effect(self) -> Float64Array:
        """Cohen's d, (d,)."""
        return cohens_d(self.first.moments, self.second.moments)

    @cached_property
    def auroc(self) -> Float64Array:
        """AUROC of each neuron alone, (d,), in [0, 1]; 0.5 tells nothing apart."""
        return neuron_auroc(self.first.relevance, self.second.relevance)

    def order(self, by: Order) -> IntArray:
        """All neurons, the one that stands out most first; numbers that do not exist come last.

        Differences and effect sizes count by their size, AUROCs by their distance from 0.5; among equals the larger
        difference comes first, so that two single images, which have no effect sizes, are ordered by it.
        """
        values = {
            "difference": np.abs(self.difference),
            "effect": np.abs(self.effect),
            "auroc": np.abs(self.auroc - 0.5),
            "first": self.first.moments.mean,
            "second": self.second.moments.mean,
            "number": -np.arange(len(self.difference), dtype=np.float64),
        }[by]
        known = np.where(np.isnan(values), -np.inf, values)
        order: IntArray = np.lexsort((-np.abs(self.difference), -known))
        return order
