"""From a score to a decision: percentile, conformal p-value, three states and batch control.

Source: Bates, Candès, Lei, Romano, Sesia, "Testing for outliers with conformal p-values", Annals of Statistics 2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nero_core.errors import InputError
from nero_core.records import Activations, Decision, Float64Array, State

TIE_TOLERANCE = 1e-4
"""Scores move by 1e-5 of their size with the batch size; closer ones count as equal."""

BORDERLINE_FACTOR = 2.0
"""Between α and this many α an image is borderline."""

DEFAULT_ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores of held-out in-distribution images, and what they say of a new score.

    Attributes
    ----------
    scores : (n,) float64
        Sorted here.
    guaranteed : bool
        Whether the calibration images are known to be unseen by the classifier. Only then does flagging at
        p ≤ α raise a false alarm on at most a share α of new images from the same source.
    """

    scores: Float64Array
    guaranteed: bool

    def __post_init__(self) -> None:
        scores = np.sort(np.asarray(self.scores, np.float64).ravel())
        if not len(scores) or not np.isfinite(scores).all():
            raise InputError(f"Calibration has {len(scores)} scores, all of which must be finite; wanted at least one.")
        object.__setattr__(self, "scores", scores)

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def smallest_alpha(self) -> float:
        """The smallest α that this many calibration scores can support, 1/(n + 1)."""
        return 1 / (len(self) + 1)

    def check_alpha(self, alpha: float) -> None:
        """Refuse an α outside (0, 1), or one too small for n.

        Raises
        ------
        InputError
            Names the number of calibration images needed.
        """
        if not (isinstance(alpha, (int, float, np.number)) and math.isfinite(alpha) and 0 < alpha < 1):
            raise InputError(f"`alpha` is {alpha}; wanted a share of false alarms between 0 and 1, such as 0.05.")
        if not self.supports(alpha):
            needed = math.ceil(1 / alpha - 1e-9) - 1
            raise InputError(
                f"α = {alpha:g} needs at least {needed} calibration images; this reference has {len(self)}, which "
                f"support α ≥ {rounded_up(self.smallest_alpha)}. Choose a larger α or calibrate on more images."
            )

    def supports(self, alpha: float) -> bool:
        """Whether there are calibration images enough for an α in (0, 1)."""
        return self._allowed(alpha) >= 1

    def _allowed(self, alpha: float) -> int:
        """floor(α(n + 1)), safe against α(n + 1) falling a rounding error short of a whole number."""
        return math.floor(alpha * (len(self) + 1) + 1e-9)

    def percentiles(self, scores: npt.ArrayLike) -> Float64Array:
        """Share of calibration scores below each score, in [0, 1]."""
        s = _finite(scores)
        return np.searchsorted(self.scores, s, side="left") / len(self)

    def p_values(self, scores: npt.ArrayLike) -> Float64Array:
        """Conformal p-values p = (1 + #{s_i ≥ s}) / (n + 1), in (0, 1]; small = unusual."""
        s = _finite(scores)
        at_least = len(self) - np.searchsorted(self.scores, s - TIE_TOLERANCE * np.abs(s), side="left")
        p: Float64Array = (1 + at_least) / (len(self) + 1)
        return p

    def threshold(self, alpha: float = DEFAULT_ALPHA) -> float:
        """The calibration score that a flagged image must exceed (by more than a tie) at this α."""
        self.check_alpha(alpha)
        return float(self.scores[len(self) - self._allowed(alpha)])

    def decide(self, scores: npt.ArrayLike, alpha: float = DEFAULT_ALPHA) -> list[Decision]:
        """One decision per score.

        Raises
        ------
        InputError
            α is not in (0, 1), or floor(α(n + 1)) < 1; or a score is not finite.
        """
        self.check_alpha(alpha)
        s = _finite(scores)
        return [
            Decision(float(score), float(percentile), float(p), _state(p, alpha), self.guaranteed)
            for score, percentile, p in zip(s, self.percentiles(s), self.p_values(s), strict=True)
        ]


def rounded_up(alpha: float) -> str:
    """An α in three figures that is not smaller than this one, so that it can be typed and is not refused."""
    unit = 10.0 ** (math.floor(math.log10(alpha)) - 2)
    return f"{math.ceil(alpha / unit - 1e-9) * unit:.3g}"


def _finite(scores: npt.ArrayLike) -> Float64Array:
    s = np.atleast_1d(np.asarray(scores, np.float64))
    if s.ndim != 1 or not np.isfinite(s).all():
        raise InputError(f"`scores` has shape {s.shape}; wanted one finite number per image.")
    return s


def _state(p: float, alpha: float) -> State:
    rounding = 1e-12  # p and α are ratios of small whole numbers: 2/40 and 0.05 must meet
    if p <= alpha + rounding:
        return "out-of-distribution"
    return "borderline" if p <= min(BORDERLINE_FACTOR * alpha, 1.0) + rounding else "in-distribution"


def halves(held_out: Activations) -> tuple[Activations, Activations]:
    """Calibration images for a detector that learns from some of them: those it learns from, and those that decide.

    Every second image, so that classes stay balanced. Only the second half is unseen by the detector, and only as far
    as it holds no near-duplicates of the first: with every image twice, once in each half, Fused flags 5.5 % where
    4.9 % are expected.

    Raises
    ------
    InputError
        There are fewer than two.
    """
    if len(held_out) < 2:
        raise InputError(f"{len(held_out)} calibration images cannot be divided in two; give at least 2.")
    return held_out[0::2], held_out[1::2]


def flag_batch(p_values: npt.ArrayLike, alpha: float = DEFAULT_ALPHA) -> npt.NDArray[np.bool_]:
    """Benjamini–Hochberg over a batch: the expected share of false alarms among the flagged is at most α."""
    p = np.asarray(p_values, np.float64)
    if not len(p):
        return np.zeros(0, bool)
    from scipy.stats import false_discovery_control  # a threshold is shown without it

    flagged: npt.NDArray[np.bool_] = false_discovery_control(p, method="bh") <= alpha
    return flagged
