"""Fused: several detectors that look for different things, each read on its own in-distribution scale.

Ours. The combination of p-values: Fisher, "Statistical Methods for Research Workers", 1925; Tippett, "The Methods of
Statistics", 1931; conformal p-values of a combined score: Bates et al., Annals of Statistics 2023. The exponential
tail: Pickands, "Statistical inference using extreme order statistics", Annals of Statistics 1975 (shape 0). What each
member is worth: 2·AUROC − 1, Somers' D, American Sociological Review 1962, on synthetic outliers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt

from nero_core.detectors.base import Detector, DetectorInfo, FittedArrays, Paper
from nero_core.detectors.outliers import synthetic_outliers
from nero_core.detectors.registry import make_detector, register
from nero_core.errors import ArtefactError, InputError
from nero_core.metrics import point_metrics
from nero_core.records import Activations, Float64Array, Head
from nero_core.storage.files import arrays_under
from nero_core.storage.typed import Range, Shape

MEMBERS = ("stage_mahalanobis", "energy", "nero", "mahalanobis_pp")
"""Statistics of early stages, a logit score, relevance, and a distance in the last layer."""

TAIL_SHARE = 0.1
"""Beyond the largest tenth of the calibration scores, p-values are extrapolated: empirical ones tie at 1/(n + 1)."""

FEWEST_IMAGES = 10
"""With fewer calibration images there is not one score in the tail."""

SHARPNESS = 2
"""Power of Somers' D in a member's weight: a member with D = ½ counts a quarter of one with D = 1."""

Combination = Literal["max", "fisher"]
Weights = Literal["outliers", "equal"]


@register
class Fused(Detector):
    """Score by how surprising an image is to a set of detectors together.

    For member m with calibration scores s_1 ≤ … ≤ s_n, u their 90th percentile and β the mean excess over u::

        surprise_m(s) = −log p̂(s);   p̂ = (1 + #{s_i ≥ s})/(n + 1), linear between scores,   where s ≤ u
                                     p̂ = p̂(u)·exp(−(s − u)/β)                               where s > u
        S = Σ_m w_m·surprise_m        "fisher", weighted
        S = max_m w_m·surprise_m      "max", Tippett's combination, weighted

    A member is worth what it tells apart of the calibration images and distorted copies of them: patches that change
    places, a strong blur, the mean of two (see `outliers`), with A_m its AUROC averaged over the three::

        w_m ∝ max(2·A_m − 1, 0)²,   Σ_m w_m = 1; all equal where no member tells anything apart

    The members' p-values depend on each other, so S is no p-value (uncalibrated, Fisher's test raises twice the false
    alarms): it is a score like any other, decided on by calibration images that this detector has not seen. No
    out-of-distribution image was used to choose anything.

    Half of the calibration images is learnt from, and only the other half decides. Over draws of them false alarms are
    as many as was asked for, but those of one draw spread √2 times as wide as where all n images decide: as
    Beta(l, m + 1 − l) with m = n/2 and l = ⌊α(m + 1)⌋. With n = 202 and α = 0.2, 95 % of draws give 13 to 28 % instead
    of 15 to 25 %: few or many false alarms on a set of test images are mostly the draw of the deciding half.

    Parameters
    ----------
    members : sequence of str
        Registry names of detectors on arrays that need no calibration themselves.
    combination : {"fisher", "max"}
    weights : {"outliers", "equal"}
        With "equal", no image is needed.
    """

    info = DetectorInfo(
        name="fused",
        title="Fused",
        paper=Paper("ours, after Fisher (1925), Tippett (1931) and Bates et al. (2023)", (), "", 2026),
        needs=frozenset({"stages", "calibration", "outliers"}),
        claims_far_point=False,  # its members claim none
    )
    members_: dict[str, Detector]
    """Fitted, by registry name."""
    surprise_: Annotated[Float64Array, Shape("members", "n")]
    """−log p̂ at the members' sorted calibration scores."""
    scores_: Annotated[Float64Array, Shape("members", "n")]
    """Those scores."""
    tails_: Annotated[Float64Array, Shape("members", 3)]
    """u, −log p̂(u) and β."""
    weights_: Annotated[Float64Array, Shape("members", values=Range(0, 1))]
    """What each member is worth; they sum to 1."""

    def __init__(
        self, members: Sequence[str] = MEMBERS, combination: Combination = "fisher", weights: Weights = "outliers"
    ) -> None:
        self.members = members
        self.combination = combination
        self.weights = weights

    def _unfitted(self) -> dict[str, Detector]:
        if not self.members or len(set(self.members)) < len(self.members):
            raise InputError(f"`members` is {self.members!r}; wanted detector names, each once.")
        members = {name: make_detector(name) for name in self.members}
        for name, member in members.items():
            if member.info.needs & {"calibration", "source", "outliers"}:
                raise InputError(f"{name!r} cannot be a member of Fused: it needs more than activations.")
        return members

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert calibration is not None
        if len(calibration) < FEWEST_IMAGES:
            raise InputError(
                f"Fused was given {len(calibration)} calibration images for its scales; wanted at least "
                f"{FEWEST_IMAGES}, and as many again to decide by."
            )
        self.members_ = {name: member.fit(train, head) for name, member in self._unfitted().items()}
        self.fit_scales(calibration)

    def fit_scales(self, calibration: Activations) -> None:
        """Learn scales and weights from calibration images, the fitted members as they are.

        Raises
        ------
        InputError
            The images themselves are needed to weigh the members, and are not kept.
        """
        scores = np.sort([member.score(calibration) for member in self.members_.values()], axis=1)
        n = scores.shape[1]
        self.scores_ = scores
        self.surprise_ = np.stack([-np.log((1 + _at_least(s, s)) / (n + 1)) for s in scores])
        start = np.quantile(scores, 1 - TAIL_SHARE, axis=1)
        at_start = np.array([np.interp(u, s, h) for u, s, h in zip(start, scores, self.surprise_, strict=True)])
        excess = np.array([np.mean(s[s > u] - u) if (s > u).any() else 0.0 for s, u in zip(scores, start, strict=True)])
        # Equal scores have no tail of their own: the smallest step that is not rounding stands in.
        rounding = np.finfo(np.float32).eps * np.maximum(np.abs(scores).max(axis=1), 1.0)
        self.tails_ = np.stack([start, at_start, np.maximum(excess, rounding)], axis=1)
        self.weights_ = self._weighed(calibration)

    def _weighed(self, calibration: Activations) -> Float64Array:
        """w, (M,), from what the fitted members tell apart."""
        equal = np.full(len(self.members_), 1 / len(self.members_))
        if self.weights == "equal":
            return equal
        if calibration.source is None:
            raise InputError("Fused distorts calibration images to weigh its members; extract with keep_source=True.")
        outliers = synthetic_outliers(calibration.source, len(calibration)).values()
        told_apart = [
            2 * np.mean([point_metrics(seen, member.score(distorted))["auroc"] for distorted in outliers]) - 1
            for seen, member in zip(self.scores_, self.members_.values(), strict=True)
        ]
        worth: Float64Array = np.maximum(told_apart, 0.0) ** SHARPNESS
        return worth / worth.sum() if worth.any() else equal

    def surprises(self, batch: Activations) -> Float64Array:
        """Each member's −log p̂, (M, n); larger = more out-of-distribution."""
        self._check_batch(batch)
        rows = []
        parts = zip(self.members_.values(), self.scores_, self.surprise_, self.tails_, strict=True)
        for member, scores, surprise, (start, at_start, excess) in parts:
            s = member.score(batch)
            rows.append(np.where(s > start, at_start + (s - start) / excess, np.interp(s, scores, surprise)))
        return np.stack(rows)

    def _score(self, batch: Activations) -> Float64Array:
        weighted = self.weights_[:, None] * self.surprises(batch)
        combined: Float64Array = weighted.max(axis=0) if self.combination == "max" else weighted.sum(axis=0)
        return combined

    def fitted_arrays(self) -> FittedArrays:
        """Its own arrays, and the members' under their names."""
        arrays: FittedArrays = {name: getattr(self, name) for name in self._declared()}
        for name, member in self.members_.items():
            arrays |= {f"{name}/{key}": array for key, array in member.fitted_arrays().items()}
        return arrays

    def _restore(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        members = self._unfitted()
        own = {key: array for key, array in arrays.items() if "/" not in key}
        foreign = sorted({key.partition("/")[0] for key in arrays if "/" in key} - set(members))
        if foreign:
            raise ArtefactError(f"{self.info.title}: fitted arrays of {foreign}, which are no members; fit again.")
        for name, member in members.items():
            member.restore(arrays_under(f"{name}/", arrays), self.head_)
        self.members_ = members
        super()._restore(own)
        excess = self.tails_[:, 2]
        if len(excess) != len(members) or not (excess > 0).all():
            raise InputError(
                f"`tails_` of {self.info.title} holds {len(excess)} members, the least excess {excess.min():g}; wanted "
                f"{len(members)}, all above 0."
            )


def _at_least(sorted_scores: Float64Array, s: Float64Array) -> Float64Array:
    """#{s_i ≥ s}."""
    return len(sorted_scores) - np.searchsorted(sorted_scores, s, side="left").astype(np.float64)
