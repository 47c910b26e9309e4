"""What several detectors work out of features: class means, scales, whitenings, the Mahalanobis distance.

Σ⁻¹ is kept as a whitening W with W Wᵀ = Σ⁻¹, so that a distance is a plain square, ‖Wᵀ v‖², never below 0.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from nero_core.errors import InputError
from nero_core.records import Float64Array, FloatArray, IntArray

FLOOR_SHARE = 0.01
"""Norms and energies that a score divides by are at least this share of their training median (CADRef's own floor)."""

CHUNK_ROWS = 4096
"""Training images worked on at a time, so that memory grows with d², not with n."""

LOGIT_ROWS = 1024
"""Rows of logits worked on at a time: several copies of them are made."""

RESOLUTION = 8 * float(np.finfo(np.float32).eps)
"""Relative differences that are rounding: networks answer in float32, and a little differently by batch size."""


def chunks(values: FloatArray) -> Iterator[tuple[slice, Float64Array]]:
    """Rows of `values` (n, w), and these in float64, CHUNK_ROWS at a time."""
    for start in range(0, len(values), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        yield rows, values[rows].astype(np.float64)


def class_means(values: FloatArray, labels: IntArray, classes: int) -> Float64Array:
    """Mean of the rows of values of each class, (K, w); every class has a row.

    Parameters
    ----------
    values : (n, w)
    labels : (n,) int64
    """
    sums = np.zeros((classes, values.shape[1]))
    for rows, part in chunks(values):
        np.add.at(sums, labels[rows], part)
    return sums / np.bincount(labels, minlength=classes)[:, None]


def scatter(values: FloatArray, means: Float64Array, labels: IntArray) -> Float64Array:
    """Σ_i (a_i − m_i)(a_i − m_i)ᵀ, (w, w): a_i in `values` (n, w), m_i the row of `means` (K, w) by `labels` (n,)."""
    total = np.zeros((means.shape[1], means.shape[1]))
    for rows, part in chunks(values):
        centred = part - means[labels[rows]]
        total += centred.T @ centred
    return total


def constant_columns(values: Float64Array) -> npt.NDArray[np.bool_]:
    """Which columns hold one value, to the resolution of float32, (w,).

    Parameters
    ----------
    values : (n, w)
    """
    constant: npt.NDArray[np.bool_] = np.ptp(values, axis=0) <= RESOLUTION * np.abs(values).max(axis=0)
    return constant


def centre_and_scale(values: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Mean and (population) standard deviation of each column, (w,) each.

    The scale of a constant column is 1: a departure from that constant counts in the column's own unit.

    Parameters
    ----------
    values : (n, w)
    """
    constant = constant_columns(values)
    return np.where(constant, values[0], values.mean(axis=0)), np.where(constant, 1.0, values.std(axis=0))


def logsumexp_of(logits: FloatArray) -> Float64Array:
    """ln Σ_k exp(z_k), (n,), in float64; a few rows at a time, because it makes several copies of them.

    Parameters
    ----------
    logits : (n, K)
    """
    starts = range(0, len(logits), LOGIT_ROWS)
    parts = [logsumexp(logits[start : start + LOGIT_ROWS].astype(np.float64), axis=1) for start in starts]
    return np.concatenate([np.empty(0), *parts])


def unit_rows(values: Float64Array, least: float = 0.0) -> Float64Array:
    """Rows of values divided by their L2 norm, or by `least` where that is larger; a row of zeros stays zero.

    Parameters
    ----------
    values : (n, w)
    """
    norms = np.maximum(np.linalg.norm(values, axis=1, keepdims=True), least)
    unit: Float64Array = np.divide(values, norms, out=np.zeros_like(values), where=norms > 0)
    return unit


def floor_of(divisors: Float64Array, what: str, title: str) -> Float64Array:
    """The least that a score divides by, (): a share of the training images' median size.

    Parameters
    ----------
    divisors : (n,)
        What the score of each training image divides by.

    Raises
    ------
    InputError
        That median is 0.
    """
    floor = FLOOR_SHARE * np.median(np.abs(divisors))
    if floor == 0:
        raise InputError(
            f"{title} divides by {what}, which is 0 on at least half of the {len(divisors)} training images; "
            "choose another detector for this network."
        )
    return np.asarray(floor)


def residuals(values: Float64Array, means: Float64Array, labels: IntArray, title: str) -> Float64Array:
    """Values minus their class's mean, (n, w).

    Parameters
    ----------
    values : (n, w)
    means : (K, w)
    labels : (n,) int64

    Raises
    ------
    InputError
        The images of each class are all alike, so that there is no spread to measure distances in.
    """
    differences = values - means[labels]
    if np.abs(differences).max() <= RESOLUTION * np.abs(values).max():
        raise InputError(
            f"{title} measures distances in units of the spread inside the classes, and the {len(values)} training "
            f"images of {len(means)} classes have none; give at least two different images of one class."
        )
    return differences


def whitening(covariance: Float64Array, ridge: float = 0.0) -> Float64Array:
    """W (w, r) with W Wᵀ = (Σ + ridge·I)⁻¹; without a ridge Σ⁺, the pseudo-inverse, r the rank of Σ.

    By eigenvalues, which a ridge bounds from below: a singular Σ leaves distances that are finite and not
    negative.

    Parameters
    ----------
    covariance : (w, w)
    """
    eigenvalues, vectors = np.linalg.eigh(covariance)
    if ridge > 0:
        ridged: Float64Array = vectors / np.sqrt(np.maximum(eigenvalues, 0) + ridge)
        return ridged
    # The usual cut-off of a pseudo-inverse (scipy.linalg.pinvh): width times rounding of the largest eigenvalue.
    kept = eigenvalues > len(covariance) * np.finfo(np.float64).eps * eigenvalues.max()
    return np.ascontiguousarray(vectors[:, kept] / np.sqrt(eigenvalues[kept]))


def nearest_mean(values: Float64Array, means: Float64Array, whitener: Float64Array) -> tuple[IntArray, Float64Array]:
    """Class whose mean is nearest by Mahalanobis distance, (n,), and the departures v = u − μ_c from it, (n, w).

    Parameters
    ----------
    values : (n, w)
    means : (K, w)
    whitener : (w, r)
        Of :func:`whitening`.
    """
    # ‖Wᵀu‖² is the same for every class; means are centred because the differences are small beside the values.
    centre = means.mean(axis=0)
    seen, whitened = (values - centre) @ whitener, (means - centre) @ whitener
    nearest: IntArray = ((whitened**2).sum(axis=1) - 2 * seen @ whitened.T).argmin(axis=1)
    return nearest, values - means[nearest]


def mahalanobis(departures: Float64Array, whitener: Float64Array) -> Float64Array:
    """vᵀ Σ⁻¹ v, (n,).

    Parameters
    ----------
    departures : (n, w)
    whitener : (w, r)
    """
    squares: Float64Array = ((departures @ whitener) ** 2).sum(axis=1)
    return squares


def mahalanobis_shares(departures: Float64Array, whitener: Float64Array) -> Float64Array:
    """v_j (Σ⁻¹ v)_j, (n, w); a row adds up to vᵀ Σ⁻¹ v.

    Parameters
    ----------
    departures : (n, w)
    whitener : (w, r)
    """
    return departures * ((departures @ whitener) @ whitener.T)
