"""Several scores as one test: the calibration images and the image itself, treated alike.

An image and the n images that it is read against are a pool of n + 1. Each detector's scores in the pool become
surprises, their weighted sum is compared within the pool, and the conformal p-value is the share of the pool that is at
least as surprising as the image. Nothing in it tells the image from the others, so that the p-value is exact for
exchangeable images (Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005, chapter 2), and no
calibration image is spent on scales. The combination is Fisher's ("Statistical Methods for Research Workers", 1925);
the tail is exponential (Pickands, Annals of Statistics 1975, shape 0): ranks alone would tie where n ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from nero_core.calibration.conformal import TIE_TOLERANCE
from nero_core.records import Float64Array, IntArray

TAIL_SHARE = 0.1
"""The largest tenth of a pool is its tail."""

STEP_MARGIN = 0.25
"""A surprise keeps this share of a step away from either end of it, so that rounding moves no image across."""

BLOCK = 2**22
"""So many scores are worked on at a time: 32 MiB."""


def surprises(pool: Float64Array) -> Float64Array:
    """How surprising each score of a pool is among all of them: −log p̂, larger = more unusual.

    With u the (k + 1)-th largest of N scores, k = ⌊0.1·N⌋ but at least 1, and β the mean excess of the k largest::

        −log(#{s_j ≥ s} / N)                      s ≤ u
        −log((k + 1)/N) + (s − u)/β               s > u

    Parameters
    ----------
    pool : (…, N)
        Scores of one detector in the last axis, N ≥ 2.

    Returns
    -------
    (…, N) float64
        The same function of the pool for each of its members, in whatever order they come.
    """
    size = pool.shape[-1]
    k = max(1, int(TAIL_SHARE * size))
    at_least = rankdata(-pool, method="max", axis=-1)
    largest = -np.partition(-pool, k, axis=-1)[..., : k + 1]
    start = largest.min(axis=-1, keepdims=True)
    excess = (largest.sum(axis=-1, keepdims=True) - (k + 1) * start) / k
    # Equal scores have no tail of their own: the smallest step that is not rounding stands in.
    rounding = np.finfo(np.float32).eps * np.maximum(np.abs(pool).max(axis=-1, keepdims=True), 1.0)
    beyond = np.log(size / (k + 1)) + (pool - start) / np.maximum(excess, rounding)
    found: Float64Array = np.where(pool > start, beyond, np.log(size / at_least))
    return found


@dataclass(frozen=True, eq=False)
class PoolReading:
    """Images held against calibration images, each in a pool of its own.

    Attributes
    ----------
    surprises : (M, m)
        Of each detector at each image.
    value : (m,)
        Weighted sum of them: what is compared.
    calibration : (m, n)
        The same of the calibration images in each image's pool.
    alone : (M, m)
        Conformal p-value of each image by each detector alone.
    """

    surprises: Float64Array
    value: Float64Array
    calibration: Float64Array
    alone: Float64Array

    @property
    def exceeded_by(self) -> IntArray:
        """How many calibration images are at least as surprising as each image, ties counted, (m,)."""
        ties = TIE_TOLERANCE * np.abs(self.value)
        count: IntArray = (self.calibration >= (self.value - ties)[:, None]).sum(axis=1)
        return count

    @property
    def p_values(self) -> Float64Array:
        """Conformal p-values (1 + #{v_i ≥ v}) / (n + 1), (m,), in (0, 1]."""
        p: Float64Array = (1 + self.exceeded_by) / (self.calibration.shape[1] + 1)
        return p

    @property
    def scores(self) -> Float64Array:
        """−log of the p-value made continuous, (m,), larger = more unusual: e^S reads "1 in so many ordinary images".

        An image with a others at least as surprising lies strictly between −log((a + 1)/(n + 1)) and −log(a/(n + 1)),
        by its place between the two values around it; beyond all others (a = 0) it goes on by its excess over them, in
        units of their own mean excess. So :func:`ranks_as_scores` as calibration scores give back the exact p-value.
        """
        n = self.calibration.shape[1]
        ordered = np.sort(self.calibration, axis=1)
        a = self.exceeded_by
        rows = np.arange(len(a))
        above = ordered[rows, np.minimum(n - a, n - 1)]
        below = np.where(a < n, ordered[rows, np.maximum(n - a - 1, 0)], 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            place = np.clip((self.value - below) / (above - below), 0, 1)
            step = np.log((a + 1) / a)
        place = STEP_MARGIN + (1 - 2 * STEP_MARGIN) * np.nan_to_num(place, nan=0.5)
        k = min(max(1, int(TAIL_SHARE * n)), n - 1) if n > 1 else 0
        tail = ordered[:, n - k :].mean(axis=1) - ordered[:, n - k - 1] if k else np.ones(len(a))
        excess = (self.value - ordered[:, -1]) / np.maximum(tail, np.finfo(np.float32).eps)
        found: Float64Array = np.log((n + 1) / (a + 1)) + np.where(a > 0, place * step, STEP_MARGIN + excess)
        return found


def held_against(calibration: Float64Array, images: Float64Array, weights: Float64Array) -> PoolReading:
    """Images read one by one against the same calibration images.

    Parameters
    ----------
    calibration : (M, n)
        Scores of M detectors, larger = more out-of-distribution.
    images : (M, m)
    weights : (M,)
        At least 0.
    """
    detectors, n = calibration.shape
    block = max(1, BLOCK // (detectors * (n + 1)))
    found = []
    for start in range(0, images.shape[1], block):
        some = images[:, start : start + block, None]
        pools = np.concatenate([np.broadcast_to(calibration[:, None], (*some.shape[:2], n)), some], axis=2)
        found.append(surprises(pools))
    each = np.concatenate(found, axis=1) if found else np.empty((detectors, 0, n + 1))
    values = np.einsum("k,kmn->mn", weights, each)
    below = [
        np.searchsorted(np.sort(own), s - TIE_TOLERANCE * np.abs(s)) for own, s in zip(calibration, images, strict=True)
    ]
    return PoolReading(each[:, :, -1], values[:, -1], values[:, :-1], (1 + n - np.stack(below)) / (n + 1))


def ranks_as_scores(calibration: Float64Array, weights: Float64Array) -> Float64Array:
    """What calibration images have in place of scores, (n,): −log(rank/(n + 1)), the most surprising one first.

    Parameters
    ----------
    calibration : (M, n)
    weights : (M,)
    """
    values = weights @ surprises(calibration) if calibration.shape[1] > 1 else np.zeros(1)
    found: Float64Array = -np.log(rankdata(-values, method="ordinal") / (len(values) + 1))
    return found
