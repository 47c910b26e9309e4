"""The one contract of every detector, and the record of the paper it comes from.

Scores have one direction: larger = more out-of-distribution.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from nero_core.data.guarantee import CalibrationSettings
from nero_core.errors import ArtefactError, InputError, NotFittedError
from nero_core.records import Account, Activations, Float64Array, FloatArray, Head, IntArray, Layout, Neuron
from nero_core.storage.typed import Shape, check, check_array

Need = Literal["peaks", "stages", "source", "pool", "outliers"]
NEEDS_IN_WORDS: Mapping[Need, str] = {
    "peaks": "peaks of the last map",
    "stages": "statistics of stages",
    "source": "the images once more",
    "pool": "all calibration images",
    "outliers": "distorted copies of training images",
}
FittedArrays = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Paper:
    """Where a detector comes from.

    Attributes
    ----------
    title : str
    authors : names
        In full and in the paper's order.
    venue : str
        Conference or journal, "arXiv" where it has appeared nowhere else; empty for a detector of our own.
    year : int
        Of publication there.
    url : str
        Its page, https; empty where there is none.
    """

    title: str
    authors: tuple[str, ...]
    venue: str
    year: int
    url: str = ""

    @property
    def citation(self) -> str:
        """Such as "Liu et al., NeurIPS 2020"; for a detector of our own, which has no paper, what `title` says."""
        if not self.venue:
            return self.title
        names = [name.split()[-1] for name in self.authors]
        whose = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
        return f"{whose}, {self.venue} {self.year}"

    @property
    def markdown(self) -> str:
        """The citation as a link, or as plain text where there is none."""
        return f"[{self.citation}]({self.url})" if self.url else self.citation


@dataclass(frozen=True)
class DetectorInfo:
    """What a detector is.

    Attributes
    ----------
    name : str
        Registry name.
    title : str
        As it is written in the field.
    paper : Paper
        Where it comes from.
    needs : set of {"peaks", "stages", "source", "pool", "outliers"}
        What it reads beside features, logits, labels and head.
    fits : bool
        Whether it learns from training images.
    claims_far_point : bool
        Whether a feature vector far from all training images must score higher than they do; most methods promise no
        such thing.
    """

    name: str
    title: str
    paper: Paper
    needs: frozenset[Need] = frozenset()
    fits: bool = True
    claims_far_point: bool = False


class Detector(ABC):
    """A score for how far out of distribution an image is.

    Parameters given to ``__init__`` are stored unchanged under their names, and held against its annotations, such as
    ``k: Annotated[int, Range(1)]``, when it is fitted or restored. `fit` sets only attributes whose names end in an
    underscore. Each array among them is declared, ``means_: Annotated[Float64Array, Shape("K", "d")]``: "K" and "d" are
    those of the head, other axes are named as one likes, and what is restored is held against it.
    """

    info: ClassVar[DetectorInfo]
    head_: Head

    def fit(self, train: Activations, head: Head, calibration: Activations | None = None) -> Self:
        """Learn from in-distribution training images.

        Parameters
        ----------
        train : Activations
            With labels.
        head : Head
        calibration : Activations, optional
            Held-out in-distribution images, for detectors that need them.

        Raises
        ------
        InputError
            A parameter cannot be used, something that `info.needs` names is missing, shapes disagree, or a class has no
            image.
        """
        self._check_parameters()
        if len(train) == 0:
            raise InputError(f"{self.info.title} was given no training images; wanted at least one per class.")
        if train.features.shape[1] != head.width or train.logits.shape[1] != head.classes:
            raise InputError(
                f"{self.info.title} was given features {train.features.shape} and logits {train.logits.shape} for a "
                f"head of {head.classes} classes on {head.width} features; give both of one network."
            )
        self._check_needs(train)
        if "pool" in self.info.needs and calibration is None:
            raise InputError(f"{self.info.title} needs calibration images; pass `calibration=`.")
        if self.info.fits:
            if train.labels is None:
                raise InputError(f"{self.info.title} learns from labelled images; give Activations with `labels`.")
            counts = np.bincount(train.labels[train.labels >= 0], minlength=head.classes)
            if len(counts) > head.classes or (train.labels < 0).any():
                raise InputError(
                    f"Labels run from {train.labels.min()} to {train.labels.max()}; wanted 0 to {head.classes - 1}."
                )
            if (counts == 0).any():
                empty = ", ".join(map(str, np.flatnonzero(counts == 0)))
                raise InputError(f"No training image of class {empty}; wanted at least one of each of {head.classes}.")
        self._check_head(head)
        self.head_ = head
        self._fit(train, head, calibration)
        self._check_arrays({name: np.asarray(getattr(self, name)) for name in self._declared()})
        return self

    def check_network(self, layout: Layout, head: Head) -> None:
        """Refuse a network that this detector cannot be fitted to, as far as that is known before any image is read.

        Parameters
        ----------
        layout : Layout
            The places of the network that can be read.
        head : Head

        Raises
        ------
        InputError
            A parameter cannot be used, or the network lacks what this detector reads.
        """
        self._check_parameters()
        self._check_head(head)
        for need, given in (("peaks", layout.map is not None), ("stages", bool(layout.stages))):
            if need in self.info.needs and not given:
                raise InputError(self._not_given(need))

    def _check_head(self, head: Head) -> None:  # noqa: B027  most can do with every head
        """For a detector that cannot do with every head: refuse one."""

    def _not_given(self, need: str) -> str:
        return f"{self.info.title} reads `{need}`, which this network does not give."

    def score(self, batch: Activations) -> Float64Array:
        """Scores (n,), float64, finite; larger = more out-of-distribution.

        Raises
        ------
        NotFittedError
            `fit` has not been called.
        InputError
            The activations are of another network, or something that `info.needs` names is missing.
        """
        self._check_batch(batch)
        scores = np.asarray(self._score(batch), np.float64)
        if scores.shape != (len(batch),) or not np.isfinite(scores).all():
            bad = int((~np.isfinite(scores)).sum())
            raise InputError(
                f"{self.info.title} gave {bad} scores of {len(batch)} that are not finite on these activations."
            )
        return scores

    def held_against(self, calibration: Activations, settings: CalibrationSettings) -> Self:
        """Itself; or, for a detector whose score depends on all calibration images (`pool`), the same with these."""
        return self

    def calibration_scores(self, calibration: Activations) -> Float64Array:
        """What the calibration images are compared by, (n,): their scores."""
        return self.score(calibration)

    @abstractmethod
    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None: ...

    @abstractmethod
    def _score(self, batch: Activations) -> Float64Array: ...

    def _check_batch(self, batch: Activations) -> None:
        if not hasattr(self, "head_"):
            raise NotFittedError(f"{self.info.title} has not been fitted; call fit(train, head) first.")
        if batch.features.shape[1] != self.head_.width or batch.logits.shape[1] != self.head_.classes:
            raise InputError(
                f"`features` has shape {batch.features.shape} and `logits` {batch.logits.shape}; {self.info.title} was "
                f"fitted on {self.head_.width} features and {self.head_.classes} classes: choose the reference made "
                "for this network."
            )
        self._check_needs(batch)

    def _check_needs(self, batch: Activations) -> None:
        for need in sorted(self.info.needs & {"peaks", "stages"}):
            if getattr(batch, need) is None:
                raise InputError(self._not_given(need))
        if "source" in self.info.needs and batch.source is None:
            raise InputError(f"{self.info.title} has to see the images again; extract them with keep_source=True.")

    def parameters(self) -> dict[str, Any]:
        """The parameters it was made with, by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def fitted_arrays(self) -> FittedArrays:
        """What `fit` has set, as arrays by name (the head left out: it is the network's)."""
        return {name: np.asarray(value) for name, value in vars(self).items() if name.endswith("_") and name != "head_"}

    def restore(self, arrays: Mapping[str, npt.NDArray[np.generic]], head: Head) -> Self:
        """The fitted detector again, from its arrays and its network's head.

        Raises
        ------
        ArtefactError
            An array is missing or surplus.
        InputError
            A parameter cannot be used, or an array has another type or shape than `fit` gives it, or holds NaN or a
            number that cannot be one of its own.
        """
        self._check_parameters()
        self._check_head(head)
        self.head_ = head
        self._restore(arrays)
        return self

    def _restore(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Take the arrays; what must agree beside shared axes is for the detector to check."""
        declared = self._declared()
        if declared.keys() != arrays.keys():
            missing, surplus = sorted(declared.keys() - arrays.keys()), sorted(arrays.keys() - declared.keys())
            raise ArtefactError(f"{self.info.title}: fitted arrays missing {missing}, surplus {surplus}; fit again.")
        self._check_arrays(arrays)
        for name, array in arrays.items():
            setattr(self, name, array)

    def _check_arrays(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        sizes = {"K": self.head_.classes, "d": self.head_.width}
        for name, declared in self._declared().items():
            check_array(arrays[name], declared, name, sizes, f" of {self.info.title}")

    @classmethod
    def _declared(cls) -> Mapping[str, Any]:
        """The arrays that `fit` sets, with their declarations."""
        return _declared_arrays(cls)

    def _check_parameters(self) -> None:
        given = self.parameters()
        for name, parameter in inspect.signature(type(self), eval_str=True).parameters.items():
            check(given[name], parameter.annotation, name, f" of {self.info.title}")


@cache
def _declared_arrays(detector: type[Detector]) -> Mapping[str, Any]:
    """Annotations with a shape, of a class and those it extends."""
    found = [inspect.get_annotations(each, eval_str=True) for each in reversed(detector.__mro__)]
    return {
        name: annotation
        for annotations in found
        for name, annotation in annotations.items()
        if any(isinstance(argument, Shape) for argument in get_args(annotation))
    }


class ExplainedDetector(Detector):
    """A detector whose score is a sum over neurons, exactly."""

    @abstractmethod
    def account(self, batch: Activations) -> Account:
        """What each neuron adds to each score; adds up to `score` to rounding."""

    @abstractmethod
    def what_if(self, batch: Activations, neurons: Sequence[int]) -> Float64Array:
        """Scores (n,) recomputed with the chosen neurons (columns of the account) as usual for the nearest class.

        A computation of its own: the score may rise.
        """


def with_features(batch: Activations, features: FloatArray, head: Head) -> Activations:
    """The batch with other features, and the logits that the head gives for them.

    Parameters
    ----------
    features : (n, d)
    """
    logits = features.astype(np.float64) @ head.weight.T.astype(np.float64) + head.bias
    return Activations(features, logits, batch.labels)


def with_usual_features(batch: Activations, neurons: Sequence[int], usual: FloatArray, head: Head) -> Activations:
    """`with_features`, the chosen neurons' features taken from `usual` (n, d)."""
    features = batch.features.astype(np.float64)
    features[:, list(neurons)] = usual[:, list(neurons)]
    return with_features(batch, features, head)


def account_of(
    contributions: Float64Array,
    nearest: IntArray,
    neurons: tuple[Neuron, ...] | None = None,
    factor: Float64Array | None = None,
    terms: Mapping[str, Float64Array] | None = None,
) -> Account:
    """The account of a score that is a sum over neurons and terms, times a factor where there is one.

    Parameters
    ----------
    contributions : (n, c)
    nearest : (n,) int64
        Class that each image is held against.
    neurons : c of them, optional
        The d features where not given.
    factor : (n,), optional
    terms : {name: (n,)}, optional
    """
    n, columns = contributions.shape
    if neurons is None:
        neurons = tuple(Neuron(None, channel) for channel in range(columns))
    return Account(contributions, nearest, neurons, dict(terms or {}), np.ones(n) if factor is None else factor)


class AgainstClassMeans(ExplainedDetector):
    """A detector for which a neuron is as usual where its feature is the mean of the class held against."""

    class_means_: Annotated[Float64Array, Shape("K", "d")]
    """Mean training feature of each class."""

    def what_if(self, batch: Activations, neurons: Sequence[int]) -> Float64Array:
        """The score recomputed with the chosen features at the mean of the account's class.

        Features and logits are recomputed, and with them the class. The score may rise.
        """
        usual = self.class_means_[self.account(batch).nearest]
        return self.score(with_usual_features(batch, neurons, usual, self.head_))
