"""How well scores tell out-of-distribution (OOD) from in-distribution (ID) images, with bootstrap intervals.

Scores have one direction: larger = more out-of-distribution. Two conventions for the false positive rate at 95 %
true positives are in use and differ a lot, so both are given under names that say what they count:

- ``fpr_ood_at_95_id_tpr``: ID is the positive class (NERO, LINe, ODIN). The share of OOD images that pass as ID where
  95 % of ID images do.
- ``fpr_id_at_95_ood_tpr``: OOD is the positive class (OpenOOD 1.5, Zhang et al., 2023). The share of ID images that
  are flagged where 95 % of OOD images are.

Intervals: percentile bootstrap (Efron and Tibshirani, 1993), ID and OOD images resampled separately.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from nero_core.errors import InputError
from nero_core.records import Float64Array, IntArray

METRICS = ("auroc", "aupr_in", "aupr_out", "fpr_ood_at_95_id_tpr", "fpr_id_at_95_ood_tpr")
"""Every metric, in the order of files; all are fractions in [0, 1]. `wording` has their titles."""

HIGHER_IS_BETTER: Mapping[str, bool] = {name: not name.startswith("fpr") for name in METRICS}

RESAMPLES = 1000
CONFIDENCE = 0.95
BLOCK = 50
"""Resamples worked on at a time, so that memory grows with the number of images and not with that of resamples."""

Draws = Mapping[str, Float64Array]
"""{metric: (resamples,)}: what each metric is on each resample."""


class Interval(NamedTuple):
    """A value and its bootstrap 95 % interval."""

    value: float
    low: float
    high: float


MEDIUM_EFFECT = 0.5
"""Standard deviations: from here on Cohen calls a difference of means medium (Statistical power analysis for the
behavioral sciences, 2nd edition, 1988, section 2.2.3); below it nobody sees one without counting."""


class Effect(NamedTuple):
    """Paired differences: their mean, its 95 % interval, and how large it is beside their own spread.

    Attributes
    ----------
    mean : float
    low, high : float or None
        None where there is a single difference, which has no spread.
    standardized : float or None
        Cohen's d_z (1988, section 2.3.5): the mean in standard deviations of the differences. None where they do not
        vary.
    """

    mean: float
    low: float | None
    high: float | None
    standardized: float | None

    @property
    def certain(self) -> bool:
        """Whether the whole interval is above 0, however small the effect."""
        return self.low is not None and self.low > 0

    @property
    def better(self) -> bool:
        """The one rule for "better than chance": the interval is above 0, and d_z at least `MEDIUM_EFFECT`."""
        return self.certain and (self.standardized is None or self.standardized >= MEDIUM_EFFECT)


class RocPoints(NamedTuple):
    """The ROC curve with OOD as the positive class: two arrays of shares in [0, 1], both rising."""

    id_flagged: Float64Array
    ood_flagged: Float64Array


# Values ----------------------------------------------------------------------------------------------------------


def point_metrics(id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike) -> dict[str, float]:
    """Every metric of :data:`METRICS` on these scores.

    With n ID and m OOD scores, sorted ascending as s and t::

        fpr_ood_at_95_id_tpr = share(OOD ≤ s[⌊0.95 n⌋])
        fpr_id_at_95_ood_tpr = share(ID ≥ τ), τ the largest threshold with share(OOD ≥ τ) ≥ 0.95, which is t[⌊0.05 m⌋]

    Equal scores count half in AUROC and all together elsewhere, so that scores that are all equal give AUROC 0.5 and
    rates of 1.

    Parameters
    ----------
    id_scores : (n,)
    ood_scores : (m,)

    Raises
    ------
    InputError
        Either is empty, or a score is not finite.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score  # a stored result is shown without it

    usual, unusual = _checked(id_scores, ood_scores)
    is_ood = np.r_[np.zeros(len(usual)), np.ones(len(unusual))]
    scores = np.r_[usual, unusual]
    return {
        "auroc": float(roc_auc_score(is_ood, scores)),
        "aupr_in": float(average_precision_score(1 - is_ood, -scores)),
        "aupr_out": float(average_precision_score(is_ood, scores)),
        "fpr_ood_at_95_id_tpr": float((unusual <= np.sort(usual)[95 * len(usual) // 100]).mean()),
        "fpr_id_at_95_ood_tpr": float((usual >= np.sort(unusual)[5 * len(unusual) // 100]).mean()),
    }


def roc_points(id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike) -> RocPoints:
    """The corners of the ROC curve, OOD as the positive class.

    Parameters
    ----------
    id_scores : (n,)
    ood_scores : (m,)

    Raises
    ------
    InputError
        Either is empty, or a score is not finite.
    """
    s, t = (np.sort(scores) for scores in _checked(id_scores, ood_scores))
    thresholds = np.unique(np.r_[s, t])[::-1]
    flagged = [np.r_[0, len(scores) - scores.searchsorted(thresholds)] for scores in (s, t)]
    corner = np.r_[True, np.any([np.diff(counts, 2) != 0 for counts in flagged], axis=0), True]
    return RocPoints(*(counts[corner] / counts[-1] for counts in flagged))


def _checked(id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike) -> tuple[Float64Array, Float64Array]:
    both = []
    for what, given in (("in-distribution", id_scores), ("out-of-distribution", ood_scores)):
        scores = np.asarray(given, np.float64)
        if scores.ndim != 1 or not len(scores):
            raise InputError(f"The {what} scores have shape {scores.shape}; wanted one number per image, at least one.")
        if not np.isfinite(scores).all():
            raise InputError(
                f"{(~np.isfinite(scores)).sum()} of {len(scores)} {what} scores are not finite; leave those images out."
            )
        both.append(scores)
    return both[0], both[1]


def rank_correlations(values: npt.ArrayLike) -> Float64Array:
    """Spearman's rank correlation between the rows of `values` (m, n), (m, m); NaN where a row is constant."""
    from scipy.stats import rankdata  # half a second, which nothing else here needs

    with np.errstate(invalid="ignore", divide="ignore"):
        rho: Float64Array = np.atleast_2d(np.corrcoef(rankdata(values, axis=1)))
    return rho


# Intervals -------------------------------------------------------------------------------------------------------


def interval(value: float, draws: Float64Array) -> Interval:
    """A value with the central 95 % of its resampled values.

    Parameters
    ----------
    draws : (resamples,)
    """
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(value), float(low), float(high))


def metrics_with_intervals(values: Mapping[str, float], draws: Draws) -> dict[str, Interval]:
    """What :func:`point_metrics` and :func:`bootstrap` give, together."""
    return {name: interval(value, draws[name]) for name, value in values.items()}


def paired_differences(
    values: Mapping[str, float], draws: Draws, other_values: Mapping[str, float], other_draws: Draws
) -> dict[str, Interval]:
    """Each metric of one detector minus that of another on the same images, with intervals.

    Both draws must come from :func:`bootstrap` with one seed and equally many images in the same order: then each
    resample holds the same images for both, and what makes an image hard for both cancels.
    """
    return {
        name: interval(value - other_values[name], draws[name] - other_draws[name]) for name, value in values.items()
    }


def effect(mean: float, standard_error: float, count: int) -> Effect:
    """The effect of `count` paired differences with this mean and standard error; Student's t interval of the mean."""
    return _effect(mean, standard_error * math.sqrt(count), standard_error, count)


def effect_of_one(differences: Float64Array) -> Effect:
    """The effect of one value over r random ones, of which any further one might do as well.

    The interval is that of a further difference, s · √(1 + 1/r) wide instead of s/√r (Hahn, "Factors for calculating
    two-sided prediction intervals", 1969): the value is one, and more random ones do not make it surer.

    Parameters
    ----------
    differences : (r,)
        The value minus each of the random ones.
    """
    count = len(differences)
    deviation = float(np.std(differences, ddof=1)) if count > 1 else 0.0
    return _effect(float(np.mean(differences)), deviation, deviation * math.sqrt(1 + 1 / count), count)


def _effect(mean: float, deviation: float, width: float, count: int) -> Effect:
    if count < 2:
        return Effect(mean, None, None, None)
    half = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * width
    return Effect(mean, mean - half, mean + half, mean / deviation if deviation else None)


def bootstrap(
    id_scores: npt.ArrayLike,
    ood_scores: npt.ArrayLike,
    seed: int = 0,
    resamples: int = RESAMPLES,
    id_groups: IntArray | None = None,
    ood_groups: IntArray | None = None,
) -> dict[str, Float64Array]:
    """Every metric on resamples of the images, {metric: (resamples,)}.

    The resamples depend on the seed and on how many images there are, not on the scores. Nothing is sorted again: a
    resample is how often each image was drawn, and the sums of these counts along the scores' order give all five.

    Parameters
    ----------
    id_scores : (n,)
    ood_scores : (m,)
    id_groups : (n,) int64, optional
        Which images belong together, such as those of a patient: whole groups are drawn, as many as there are (the
        cluster bootstrap; Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8).
    ood_groups : (m,) int64, optional

    Raises
    ------
    InputError
        Either is empty, a score is not finite, or groups do not match the scores.
    """
    usual, unusual = (np.argsort(scores, kind="stable") for scores in _checked(id_scores, ood_scores))
    s, t = np.asarray(id_scores, np.float64)[usual], np.asarray(ood_scores, np.float64)[unusual]
    order = _Order(s, t)
    blocks = [
        _metrics_of_counts(order, id_counts[:, usual], ood_counts[:, unusual])
        for id_counts, ood_counts in zip(
            _resampled_counts(_members(len(s), id_groups), (seed, 0), resamples),
            _resampled_counts(_members(len(t), ood_groups), (seed, 1), resamples),
            strict=True,
        )
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in METRICS}


def _members(n: int, groups: IntArray | None) -> IntArray:
    """The group of each of n images as numbers from 0, (n,); without groups each image is one."""
    if groups is None:
        return np.arange(n)
    if np.shape(groups) != (n,):
        raise InputError(f"There are {n} scores and groups of shape {np.shape(groups)}; give one group per score.")
    _, numbers = np.unique(groups, return_inverse=True)
    return numbers.astype(np.int64)


def _resampled_counts(member: IntArray, seed: tuple[int, int], resamples: int) -> Iterator[IntArray]:
    """How often each of n images is drawn where as many groups as there are are drawn: (at most BLOCK, n) at a time."""
    rng = np.random.default_rng(seed)
    n = int(member.max()) + 1
    for start in range(0, resamples, BLOCK):
        rows = min(BLOCK, resamples - start)
        drawn = rng.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)[:, member]


class _Order:
    """Where sorted ID scores s and sorted OOD scores t lie among each other and among their equals."""

    def __init__(self, s: Float64Array, t: Float64Array) -> None:
        self.id_below_ood = s.searchsorted(t, "left")  # (m,) number of ID scores < t_j
        self.id_upto_ood = s.searchsorted(t, "right")  # (m,) number of ID scores ≤ t_j
        self.ood_below_ood = t.searchsorted(t, "left")
        self.id_upto_id = s.searchsorted(s, "right")
        self.ood_upto_id = t.searchsorted(s, "right")


def _metrics_of_counts(order: _Order, id_counts: IntArray, ood_counts: IntArray) -> dict[str, Float64Array]:
    """Every metric on samples in which the sorted scores occur so often: counts (b, n) and (b, m) → (b,) each."""
    n, m = id_counts.sum(axis=1), ood_counts.sum(axis=1)  # of each sample: groups differ in size
    each_n, each_m = n[:, None], m[:, None]
    ids, oods = _running(id_counts), _running(ood_counts)
    rows = np.arange(len(ids))

    # Each OOD score beats the ID scores below it, and half of its equals.
    below = ids[:, order.id_below_ood]
    auroc = np.einsum("bm,bm->b", ood_counts, below + ids[:, order.id_upto_ood]) / (2 * n * m)

    # Average precision: the precision at each positive's score, averaged over positives.
    flagged_ood = each_m - oods[:, order.ood_below_ood]
    aupr_out = np.einsum("bm,bm->b", ood_counts, flagged_ood / np.maximum(flagged_ood + each_n - below, 1)) / m
    passed_id = ids[:, order.id_upto_id]
    passed = np.maximum(passed_id + oods[:, order.ood_upto_id], 1)
    aupr_in = np.einsum("bn,bn->b", id_counts, passed_id / passed) / n

    # The k-th smallest score of a sample is the first whose running count passes k.
    id_threshold = (ids[:, 1:] <= 95 * each_n // 100).sum(axis=1)
    ood_threshold = (oods[:, 1:] <= 5 * each_m // 100).sum(axis=1)
    return {
        "auroc": auroc,
        "aupr_in": aupr_in,
        "aupr_out": aupr_out,
        "fpr_ood_at_95_id_tpr": oods[rows, order.ood_upto_id[id_threshold]] / m,
        "fpr_id_at_95_ood_tpr": 1 - ids[rows, order.id_below_ood[ood_threshold]] / n,
    }


def _running(counts: IntArray) -> Float64Array:
    """(b, n) → (b, n + 1): how many lie before each position, and in all."""
    sums = np.zeros((len(counts), counts.shape[1] + 1))
    np.cumsum(counts, axis=1, out=sums[:, 1:])
    return sums
