"""From a score to a decision: percentile, conformal p-value, three states and batch control.

Source: Bates, Candès, Lei, Romano, Sesia, "Testing for outliers with conformal p-values", Annals of Statistics 2023.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nero_core.data.guarantee import (
    BY_CLASS,
    DEFAULT_ALPHA,
    CalibrationSettings,
    Guarantee,
    is_share,
    needed_images,
    too_alike,
    too_few_of_class,
)
from nero_core.errors import InputError
from nero_core.records import Decision, Float64Array, IntArray, State

TIE_TOLERANCE = 1e-4
"""Scores move by 1e-5 of their size with the batch size; closer ones count as equal."""

BORDERLINE_FACTOR = 2.0
"""Between α and this many α an image is borderline."""

BAND = 0.95
"""A band is the central 95 % of what the share of false alarms can be, given the calibration images."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores of held-out in-distribution images, and what they say of a new score.

    Attributes
    ----------
    scores : (n,) float64
        Sorted here, and what lies beside them with them.
    guarantee : Guarantee
        What flagging at p ≤ α promises: false alarms on at most a share α of new images from the same source.
    predicted : (n,) int64 or None
        Predicted class of each image, where images are read by class; None where by all together.
    classes : K names
        Of the predicted classes; empty where there are none.
    groups : (n,) int64 or None
        Which images belong together; None where it is not known.
    settings : CalibrationSettings
    of_class : str or None
        The class that all these images are predicted as; None where they are of all classes.
    looks : (n,) int64 or None
        Where no groups are known, which images look nearly the same.
    """

    scores: Float64Array
    guarantee: Guarantee
    predicted: IntArray | None = None
    classes: tuple[str, ...] = ()
    groups: IntArray | None = None
    settings: CalibrationSettings = BY_CLASS
    of_class: str | None = None
    looks: IntArray | None = None

    def __post_init__(self) -> None:
        scores = np.asarray(self.scores, np.float64).ravel()
        if not len(scores) or not np.isfinite(scores).all():
            raise InputError(f"Calibration has {len(scores)} scores, all of which must be finite; wanted at least one.")
        order = np.argsort(scores, kind="stable")
        object.__setattr__(self, "scores", scores[order])
        for name in ("predicted", "groups", "looks"):
            if (given := getattr(self, name)) is None:
                continue
            beside = np.asarray(given)
            if beside.shape != scores.shape or not np.issubdtype(beside.dtype, np.integer):
                raise InputError(f"`{name}` has shape {beside.shape}; wanted {len(scores)} integers, one per score.")
            object.__setattr__(self, name, beside[order].astype(np.int64))
        if self.predicted is not None and not (self.predicted.min() >= 0 and self.predicted.max() < len(self.classes)):
            raise InputError(f"`predicted` names class {self.predicted.max()}; there are {len(self.classes)} classes.")

    def __len__(self) -> int:
        return len(self.scores)

    # By class --------------------------------------------------------------------------------------------------

    def of(self, predicted: int) -> Calibration:
        """The scores that an image of this predicted class is read against, with the guarantee for that class.

        Raises
        ------
        InputError
            There is no such class.
        """
        if self.predicted is None:
            return self
        if not 0 <= predicted < len(self.classes):
            raise InputError(f"There is no class {predicted}; this calibration has {len(self.classes)}.")
        return self._by_class[predicted]

    @cached_property
    def _by_class(self) -> tuple[Calibration, ...]:
        return tuple(self._class(number) for number in range(len(self.classes)))

    def _class(self, number: int) -> Calibration:
        assert self.predicted is not None
        name, rows = self.classes[number], self.predicted == number
        settings = replace(self.settings, by_class=False)
        if (count := int(rows.sum())) < self.settings.needed:
            guarantee = self.guarantee.withdrawn(too_few_of_class(count, name, self.settings))
            return replace(self, guarantee=guarantee, predicted=None, classes=(), settings=settings)
        groups, looks = (None if each is None else each[rows] for each in (self.groups, self.looks))
        own = Calibration(
            self.scores[rows], self.guarantee, groups=groups, looks=looks, settings=settings, of_class=name
        )
        if own.independent >= self.settings.needed:
            return own
        return replace(own, guarantee=self.guarantee.withdrawn(own.too_alike))

    @property
    def too_alike(self) -> str:
        """Why images of few patients, or of few views, promise nothing, as the part of a sentence."""
        return too_alike(len(self), self.independent, self.settings, self.of_class, self.group_count)

    def per_class(self) -> dict[str, dict[str, int | bool]]:
        """For each class how many images calibrate it, and whether its guarantee holds; empty where all are one."""
        if self.predicted is None:
            return {}
        counts = np.bincount(self.predicted, minlength=len(self.classes))
        return {
            name: {"predicted": int(counts[place]), "guaranteed": self.of(place).guarantee.holds}
            for place, name in enumerate(self.classes)
        }

    def described(self) -> dict[str, Any]:
        """Everything but the scores, as plain JSON values; see :func:`restored`."""
        return {
            "images": len(self),
            "guarantee": asdict(self.guarantee),
            "settings": asdict(self.settings),
            "per_class": self.per_class(),
            "groups": self.group_count,
            "smallest_alpha": self.smallest_alpha,
        }

    # What n images support -------------------------------------------------------------------------------------

    @property
    def smallest_alpha(self) -> float:
        """The smallest α that this many calibration scores can support, 1/(n + 1); by class, for every class."""
        if self.predicted is not None:
            return max(each.smallest_alpha for each in self._by_class)
        return 1 / (len(self) + 1)

    def check_alpha(self, alpha: float) -> None:
        """Refuse an α outside (0, 1), or one too small for n.

        Raises
        ------
        InputError
            Names the number of calibration images needed.
        """
        if not is_share(alpha):
            raise InputError(f"`alpha` is {alpha}; wanted a share of false alarms between 0 and 1, such as 0.05.")
        if self.predicted is not None:
            for each in self._by_class:
                each.check_alpha(alpha)
        elif not self.supports(alpha):
            of_class = "" if self.of_class is None else f" of class {self.of_class!r}"
            raise InputError(
                f"α = {alpha:g} needs at least {needed_images(alpha)} calibration images{of_class}; this reference has "
                f"{len(self)}, which support α ≥ {rounded_up(self.smallest_alpha)}. Choose a larger α or calibrate on "
                "more images."
            )

    def supports(self, alpha: float) -> bool:
        """Whether there are calibration images enough for an α in (0, 1); by class, in every class."""
        if self.predicted is not None:
            return all(each.supports(alpha) for each in self._by_class)
        return self._average(alpha) >= 1

    def _average(self, alpha: float) -> int:
        """floor(α(n + 1)), safe against α(n + 1) falling a rounding error short of a whole number."""
        return math.floor(alpha * (len(self) + 1) + 1e-9)

    def confident(self, alpha: float) -> bool:
        """Whether the bound at this α holds with the settings' confidence, not only on average."""
        return (
            self.settings.confidence is not None
            and math.isclose(alpha, self.settings.alpha, rel_tol=1e-9)
            and self.independent >= self.settings.needed
        )

    def allowed(self, alpha: float) -> int:
        """l: an image is flagged when its p-value is at most l/(n + 1).

        On average l = floor(α(n + 1)). With confidence 1 − δ it is the largest l whose share of false alarms,
        Beta(l, n + 1 − l) over calibration sets, has a (1 − δ) quantile of at most α (Vovk, 2012). That holds for the
        one α that was fixed beforehand; at another one, and with too few images for it, the bound is on average.
        """
        most = self._average(alpha)
        if not self.confident(alpha):
            return most
        from scipy.stats import beta

        assert self.settings.confidence is not None
        n = self.independent
        scale = (n + 1) / (len(self) + 1)
        flagged = np.arange(1, most + 1) * scale
        bound = beta.ppf(self.settings.confidence, flagged, n + 1 - flagged)
        return int(np.count_nonzero(bound <= alpha))

    @property
    def group_count(self) -> int | None:
        """How many groups there are; None where it is not known."""
        return None if self.groups is None else len(np.unique(self.groups))

    @property
    def independent(self) -> int:
        """How many independent images these stand for at least, as if all images of a group, or look, said the same.

        n²/Σ m_g² for groups of m_g images, which is their number where all are of one size (Kish, "Survey Sampling",
        1965): a patient with 200 images beside 19 with one each decides on nearly every threshold alone.
        """
        alike = self.looks if self.groups is None else self.groups
        if alike is None:
            return len(self)
        sizes = np.unique(alike, return_counts=True)[1]
        return int(len(self) ** 2 // (sizes**2).sum())

    def band(self, alpha: float) -> tuple[float, float]:
        """What the share of false alarms at this α is in 95 of 100 calibration sets of this size, two shares.

        For continuous scores Beta(l, n + 1 − l) (Vovk, 2012; ties only lower it). With groups it is as if all images
        of one said the same: l and n + 1 times (`independent` + 1)/(n + 1), the widest that dependence
        within groups can make it.

        Raises
        ------
        InputError
            As `check_alpha`.
        """
        self.check_alpha(alpha)
        if (allowed := self.allowed(alpha)) == 0:
            return 0.0, 0.0
        from scipy.stats import beta  # half a second, for whoever asks

        scale = (self.independent + 1) / (len(self) + 1)
        low, high = beta.ppf([(1 - BAND) / 2, (1 + BAND) / 2], allowed * scale, (len(self) + 1 - allowed) * scale)
        return float(low), float(high)

    # Of scores -------------------------------------------------------------------------------------------------

    def percentiles(self, scores: npt.ArrayLike, predicted: npt.ArrayLike | None = None) -> Float64Array:
        """Share of calibration scores below each of `scores` (n,) by more than a tie, in [0, 1], (n,).

        `predicted` (n,) as for :meth:`p_values`.
        """

        def below(of: Calibration, s: Float64Array) -> Float64Array:
            return _below(of.scores, s) / len(of)

        return self._each(below, scores, predicted)

    def p_values(self, scores: npt.ArrayLike, predicted: npt.ArrayLike | None = None) -> Float64Array:
        """Conformal p-values p = (1 + #{s_i ≥ s}) / (n + 1), in (0, 1]; small = unusual.

        Parameters
        ----------
        scores : (m,)
        predicted : (m,) int
            Predicted class of each image; only where images are read by class.
        """

        def p_value(of: Calibration, s: Float64Array) -> Float64Array:
            at_least = len(of) - _below(of.scores, s)
            p: Float64Array = (1 + at_least) / (len(of) + 1)
            return p

        return self._each(p_value, scores, predicted)

    def _each(
        self,
        figure: Callable[[Calibration, Float64Array], Float64Array],
        scores: npt.ArrayLike,
        predicted: npt.ArrayLike | None,
    ) -> Float64Array:
        """A figure of each score under the calibration of its class."""
        s = _finite(scores)
        if self.predicted is None:
            return figure(self, s)
        if predicted is None or np.shape(predicted) != s.shape:
            raise InputError(
                f"This calibration reads images by predicted class; {len(s)} scores came with `predicted` of shape "
                f"{np.shape(predicted) if predicted is not None else None}. Give one class per score."
            )
        classes, found = np.asarray(predicted), np.empty(len(s))
        for number in np.unique(classes):
            found[classes == number] = figure(self.of(int(number)), s[classes == number])
        return found

    def threshold(self, alpha: float = DEFAULT_ALPHA) -> float:
        """The calibration score that a flagged image must exceed (by more than a tie) at this α; of one class.

        Raises
        ------
        InputError
            As `check_alpha`; or images are read by class, and none was chosen with :meth:`of`.
        """
        if self.predicted is not None:
            raise InputError("Each class has a threshold of its own; choose a class first.")
        self.check_alpha(alpha)
        allowed = self.allowed(alpha)
        return float(self.scores[len(self) - allowed]) if allowed else math.inf

    def decide(
        self, scores: npt.ArrayLike, alpha: float = DEFAULT_ALPHA, predicted: npt.ArrayLike | None = None
    ) -> list[Decision]:
        """One decision for each of `scores` (n,); `predicted` (n,) as for :meth:`p_values`.

        Raises
        ------
        InputError
            α is not in (0, 1), or floor(α(n + 1)) < 1; a score is not finite; or a predicted class is missing.
        """
        s = _finite(scores)
        percentiles, p_values = self.percentiles(s, predicted), self.p_values(s, predicted)
        classes = np.zeros(len(s), np.int64) if self.predicted is None else np.asarray(predicted)
        for number in np.unique(classes) if len(s) else [0]:
            self.of(int(number)).check_alpha(alpha)
        return [
            self.of(int(number))._decision(float(score), float(percentile), float(p), alpha)
            for number, score, percentile, p in zip(classes, s, percentiles, p_values, strict=True)
        ]

    def _decision(self, score: float, percentile: float, p: float, alpha: float) -> Decision:
        level = self.allowed(alpha) / (len(self) + 1) if self.confident(alpha) else alpha
        return Decision(
            score=score,
            percentile=percentile,
            p_value=p,
            state=_state(p, level, alpha),
            guaranteed=self.guarantee.holds,
            no_guarantee_because=self.guarantee.reason,
            calibration_images=len(self),
            calibration_class=self.of_class,
        )


def _below(calibration: Float64Array, s: Float64Array) -> IntArray:
    """How many calibration scores lie below each score by more than a tie."""
    found: IntArray = np.searchsorted(calibration, s - TIE_TOLERANCE * np.abs(s), side="left")
    return found


def of_most_images(calibrations: Mapping[str, Calibration]) -> Calibration:
    """The calibration that speaks for all of a reference's detectors; in older ones some have half of the images."""
    return max(calibrations.values(), key=len)


def rounded_up(alpha: float) -> str:
    """An α in three figures that is not smaller than this one, so that it can be typed and is not refused."""
    unit = 10.0 ** (math.floor(math.log10(alpha)) - 2)
    return f"{math.ceil(alpha / unit - 1e-9) * unit:.3g}"


def _finite(scores: npt.ArrayLike) -> Float64Array:
    s = np.atleast_1d(np.asarray(scores, np.float64))
    if s.ndim != 1 or not np.isfinite(s).all():
        raise InputError(f"`scores` has shape {s.shape}; wanted one finite number per image.")
    return s


def state_of(p: float, alpha: float) -> State:
    """The state of a p-value at this α; larger p = more ordinary."""
    return _state(p, alpha, alpha)


def _state(p: float, level: float, alpha: float) -> State:
    rounding = 1e-12  # p and α are ratios of small whole numbers: 2/40 and 0.05 must meet
    if p <= level + rounding:
        return "out-of-distribution"
    return "borderline" if p <= min(BORDERLINE_FACTOR * alpha, 1.0) + rounding else "in-distribution"


def flag_batch(p_values: npt.ArrayLike, alpha: float = DEFAULT_ALPHA) -> npt.NDArray[np.bool_]:
    """Benjamini–Hochberg over `p_values` (n,): of the flagged, (n,) bool, at most α are expected to be false alarms."""
    p = np.asarray(p_values, np.float64)
    if not len(p):
        return np.zeros(0, bool)
    from scipy.stats import false_discovery_control  # a threshold is shown without it

    flagged: npt.NDArray[np.bool_] = false_discovery_control(p, method="bh") <= alpha
    return flagged
