"""Panel: several detectors that look for different things decide together, by one exact test.

Ours. The combination is that of :mod:`nero_core.calibration.pool`: the image and the calibration images of its
predicted class are ranked together (Vovk et al., 2005), so that no calibration image is spent on scales. What each
member is worth: 2·AUROC − 1, Somers' D, American Sociological Review 1962, on distorted copies of training images left
out.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from nero_core.calibration.pool import PoolReading, held_against, ranks_as_scores, surprises
from nero_core.data.guarantee import BY_CLASS, CalibrationSettings
from nero_core.detectors.base import Detector, DetectorInfo, FittedArrays, Paper
from nero_core.detectors.outliers import DISTORTIONS, synthetic_outliers
from nero_core.detectors.registry import make_detector, register
from nero_core.errors import ArtefactError, InputError, NotFittedError
from nero_core.metrics import point_metrics
from nero_core.records import Activations, Float64Array, Head, IntArray, Layout
from nero_core.storage.files import arrays_under
from nero_core.storage.typed import Range, Shape
from nero_core.wording import message

MEMBERS = ("stage_mahalanobis", "stage_knn", "knn", "energy", "nero", "mahalanobis_pp")
"""Statistics of early stages and features, read by distance to classes and to single images; a logit score; relevance.

Chosen on training images of gi-real that were left out, a class of which was left out as well (benchmarks/STUDY.md)."""

LOOKS_FOR: Mapping[str, str] = {
    "stage_mahalanobis": message("colour and texture in early layers"),
    "stage_knn": message("the nearest training image in the inner layers"),
    "energy": message("how strongly the classes answer"),
    "nero": message("which neurons the answer rests on"),
    "mahalanobis_pp": message("the direction of the last layer's features"),
    "knn": message("the nearest training images in the last layer"),
    "vim": message("features that the classes do not use"),
    "patch_knn": message("places that no training image has"),
    "patch_gaussian": message("places off the training images' average"),
    "pseudo_lesion": message("places that look like lesions laid into training images"),
}
"""What a member sees, in words; others are named by their title alone."""

LEFT_OUT = 1 / 3
"""Share of each class's training images by which members are weighed."""

FEWEST_IMAGES = 10
"""With fewer images left out an AUROC says nothing, and all members count the same."""

SHARPNESS = 2
"""Power of Somers' D in a member's weight: a member with D = ½ counts a quarter of one with D = 1."""

LEAST_WEIGHT = 0.05
"""A member that would weigh less takes no part in the verdict."""

Weights = Literal["outliers", "equal"]


@register
class Panel(Detector):
    """Score by how surprising an image is to a set of detectors together.

    With s_m(x) the score of member m, and the n calibration images of the image's predicted class (all of them where
    that class has too few)::

        v(x) = Σ_m w_m·surprise_m(x)                    surprise: −log of the share of the pool with such a score
        p(x) = (1 + #{v(x_i) ≥ v(x)}) / (n + 1)         within the pool of the n and the image
        S(x) = −log p(x), made continuous

    A member is worth what it tells apart of training images left out of its fit, a third of each class, and distorted
    copies of them (see `outliers`), with A_m its AUROC averaged over the distortions::

        w_m ∝ max(2·A_m − 1, 0)²,   Σ_m w_m = 1;   0 where it would be below 0.05

    All count the same where no member tells anything apart, or fewer than 10 images are left out. Neither a calibration
    image nor an out-of-distribution image has a part in the choice, so that p keeps its promise.

    Parameters
    ----------
    members : sequence of str
        Registry names of detectors on arrays that need no calibration themselves.
    weights : {"outliers", "equal"}
        With "equal", no image is needed.
    """

    info = DetectorInfo(
        name="panel",
        title="Panel",
        paper=Paper("ours, after Fisher (1925) and Vovk et al. (2005)", (), "", 2026),
        needs=frozenset({"pool", "outliers"}),
        claims_far_point=False,  # its members claim none
    )
    members_: dict[str, Detector]
    """Fitted, by registry name."""
    weights_: Annotated[Float64Array, Shape("members", values=Range(0, 1))]
    """What each member is worth; they sum to 1."""
    auroc_: Annotated[Float64Array, Shape("rows", "distortions", values=Range(0, 1), empty=True)]
    """Of each member and, last, of all together, on each kind of distorted copies; no row where none was measured."""
    scores_: Annotated[Float64Array, Shape("members", "n")]
    """Of the calibration images."""
    predicted_: Annotated[IntArray, Shape("n", values=Range(0))]
    """The class that each of them is read as."""
    own_: Annotated[IntArray, Shape("K", values=Range(0, 1))]
    """Whether a class is held against calibration images of its own."""

    def __init__(self, members: Sequence[str] = MEMBERS, weights: Weights = "outliers") -> None:
        self.members = members
        self.weights = weights

    # Fit -----------------------------------------------------------------------------------------------------

    def check_network(self, layout: Layout, head: Head) -> None:
        """Refuse a network that one of its members cannot be fitted to.

        Raises
        ------
        InputError
            A parameter cannot be used, or the network lacks what a member reads; the member is named.
        """
        super().check_network(layout, head)
        for member in self._unfitted().values():
            try:
                member.check_network(layout, head)
            except InputError as error:
                raise InputError(f"{self.info.title}, of which {member.info.title} is a member: {error}") from error

    def _unfitted(self) -> dict[str, Detector]:
        if not self.members or len(set(self.members)) < len(self.members):
            raise InputError(f"`members` is {self.members!r}; wanted detector names, each once.")
        members = {name: make_detector(name) for name in self.members}
        for name, member in members.items():
            if not may_join(member):
                raise InputError(f"{name!r} cannot be a member of the panel: it needs more than activations.")
        return members

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert calibration is not None
        self.weights_, self.auroc_ = self._weighed(train, head)
        self.members_ = {name: member.fit(train, head) for name, member in self._unfitted().items()}
        self._take_pool(calibration, BY_CLASS)

    def _weighed(self, train: Activations, head: Head) -> tuple[Float64Array, Float64Array]:
        """w, (M,), and the AUROCs they rest on, from training images left out."""
        M = len(self._unfitted())
        equal, unmeasured = np.full(M, 1 / M), np.empty((0, len(DISTORTIONS)))
        assert train.labels is not None
        left = left_out(train.labels)
        if self.weights == "equal" or left.sum() < FEWEST_IMAGES:
            return equal, unmeasured
        if train.source is None:
            raise InputError("The panel distorts training images to weigh its members; extract with keep_source=True.")
        members = [member.fit(train[~left], head) for member in self._unfitted().values()]
        ordinary = train[left]
        assert ordinary.source is not None
        distorted = list(synthetic_outliers(ordinary.source, len(ordinary)).values())
        seen = np.stack([member.score(ordinary) for member in members])
        strange = [np.stack([member.score(each) for member in members]) for each in distorted]
        auroc = np.array([[point_metrics(seen[m], each[m])["auroc"] for each in strange] for m in range(M)])
        worth = np.maximum(2 * auroc.mean(axis=1) - 1, 0.0) ** SHARPNESS
        weights = worth / worth.sum() if worth.any() else equal
        weights = np.where(weights < LEAST_WEIGHT, 0.0, weights)
        weights /= weights.sum()
        together = [
            point_metrics(weights @ surprises(seen), held_against(seen, each, weights).value)["auroc"]
            for each in strange
        ]
        return weights, np.vstack([auroc, together])

    def described(self) -> dict[str, Any]:
        """What was chosen and how good it looked, as plain JSON values.

        Returns
        -------
        dict
            `members` in their order; `weights` by member; `auroc` by member and distortion, and that of all `together`
            by distortion, empty where nothing was measured.
        """
        names, weights = list(self.members_), map(float, self.weights_)
        rows = [dict(zip(DISTORTIONS, map(float, row), strict=True)) for row in self.auroc_]
        return {
            "members": names,
            "weights": dict(zip(names, weights, strict=True)),
            "auroc": dict(zip(names, rows, strict=False)),  # none, or one more: that of all together
            "together": rows[-1] if rows else {},
        }

    # Calibration images --------------------------------------------------------------------------------------

    def _take_pool(self, calibration: Activations, settings: CalibrationSettings) -> None:
        self.scores_ = np.stack([member.score(calibration) for member in self.members_.values()])
        self.predicted_ = calibration.logits.argmax(axis=1)
        counts = np.bincount(self.predicted_, minlength=self.head_.classes)
        self.own_ = ((counts >= settings.needed) & settings.by_class).astype(np.int64)

    def held_against(self, calibration: Activations, settings: CalibrationSettings) -> Self:
        """The same members and weights with other calibration images."""
        self._check_batch(calibration)
        other = copy.copy(self)
        other._take_pool(calibration, settings)
        return other

    def calibration_scores(self, calibration: Activations) -> Float64Array:
        """−log of each calibration image's rank share among those of its pool, (n,).

        Raises
        ------
        InputError
            These are not as many images as the panel holds.
        """
        if len(calibration) != len(self.predicted_):
            raise InputError(f"The panel holds {len(self.predicted_)} calibration images; got {len(calibration)}.")
        found = ranks_as_scores(self.scores_, self.weights_)
        for number in np.flatnonzero(self.own_):
            rows = self.predicted_ == number
            found[rows] = ranks_as_scores(self.scores_[:, rows], self.weights_)
        return found

    # Scores --------------------------------------------------------------------------------------------------

    def readings(self, batch: Activations) -> Iterator[tuple[IntArray, PoolReading]]:
        """Images with the same pool, as their rows in the batch, and how they compare with it."""
        self._check_batch(batch)
        scores = np.stack([member.score(batch) for member in self.members_.values()])
        return self._readings(scores, batch.logits.argmax(axis=1))

    def _readings(self, scores: Float64Array, predicted: IntArray) -> Iterator[tuple[IntArray, PoolReading]]:
        pools = np.where(self.own_[predicted] > 0, predicted, -1)
        for number in np.unique(pools):
            rows = np.flatnonzero(pools == number)
            own = slice(None) if number < 0 else self.predicted_ == number
            yield rows, held_against(self.scores_[:, own], scores[:, rows], self.weights_)

    def _score(self, batch: Activations) -> Float64Array:
        if not hasattr(self, "scores_"):
            raise NotFittedError("The panel has no calibration images; fit it with some.")
        scores = np.stack([member.score(batch) for member in self.members_.values()])
        return self.combined(scores, batch.logits.argmax(axis=1))

    def combined(self, scores: Float64Array, predicted: IntArray) -> Float64Array:
        """S (m,) from the members' scores, where these are known already.

        Parameters
        ----------
        scores : (M, m)
            In the order of the members.
        predicted : (m,) int64
            The class that each image is read as.
        """
        found = np.empty(len(predicted))
        for rows, reading in self._readings(scores, predicted):
            found[rows] = reading.scores
        return found

    # Arrays --------------------------------------------------------------------------------------------------

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
        if len(self.weights_) != len(members) or abs(self.weights_.sum() - 1) > ROUNDING:
            raise InputError(
                f"`weights_` of {self.info.title} has {len(self.weights_)} members with a sum of "
                f"{self.weights_.sum():g}; wanted {len(members)} with a sum of 1."
            )
        if len(self.auroc_) not in (0, len(members) + 1) or self.auroc_.shape[1] != len(DISTORTIONS):
            raise InputError(
                f"`auroc_` of {self.info.title} has shape {self.auroc_.shape}; wanted 0 or {len(members) + 1} rows of "
                f"{len(DISTORTIONS)}."
            )
        if self.predicted_.size == 0 or self.predicted_.max() >= self.head_.classes:
            raise InputError(f"`predicted_` of {self.info.title} is empty, or names a class that there is not.")
        if absent := np.setdiff1d(np.flatnonzero(self.own_), self.predicted_).tolist():
            raise InputError(f"`own_` of {self.info.title} names classes {absent}, of which there is no image.")


ROUNDING = 1e-9


def left_out(labels: IntArray) -> npt.NDArray[np.bool_]:
    """Which training images take no part in the fit by which members are weighed: the last third of each class.

    The last, since images of one clip or patient mostly follow each other by name: a random third would be like those
    it is left out of.

    Parameters
    ----------
    labels : (n,) int64
    """
    left = np.zeros(len(labels), bool)
    for number in np.unique(labels):
        rows = np.flatnonzero(labels == number)
        left[rows[len(rows) - left_out_of(len(rows)) :]] = True
    return left


def left_out_of(images: int) -> int:
    """How many of so many training images of a class are left out."""
    return int(LEFT_OUT * images)


def may_join(detector: Detector) -> bool:
    """Whether a detector can be a member: one that reads activations alone."""
    return not detector.info.needs - {"peaks", "stages"}


def panel_for(layout: Layout) -> Panel:
    """The unfitted panel of a network: of :data:`MEMBERS`, those whose activations it gives."""
    needs = {name: make_detector(name).info.needs for name in MEMBERS}
    return Panel(tuple(name for name, each in needs.items() if layout.stages or "stages" not in each))
