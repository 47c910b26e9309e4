"""Neurons of held-out images: what a reference keeps of them, and means over all."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from nero_core.errors import InputError
from nero_core.neurons.statistics import Group, Moments, pooled
from nero_core.records import Activations, Float64Array, FloatArray, Head, IntArray
from nero_core.relevance import relevance_of
from nero_core.storage.typed import AT_LEAST_ZERO, Range, Shape, check_arrays

SHEET_ROLE = "concepts/sample"
"""What the sheet of the sample's pictures is called in a reference."""
TRAINED_ROLE = "concepts/trained"
"""What the sheet of the training frames' pictures is called."""
ORDINARY_KEPT, KNOWN_KEPT = 1000, 400
"""At most so many in-distribution and known out-of-distribution images are kept: 2 kB each at d = 512."""
TRAINED_KEPT = 300
"""At most so many training frames are kept, spread over the classes: 2 kB each at d = 512, and 1 kB for the picture."""
SAMPLE_SEED = 0
CHUNK_ROWS = 512
"""Images whose relevance is worked out at a time, so that memory does not grow with their number."""

SAMPLE_ARRAYS = {
    "weight": Annotated[FloatArray, Shape("K", "d")],
    "bias": Annotated[FloatArray, Shape("K")],
    "epsilon": Annotated[FloatArray, Shape(values=AT_LEAST_ZERO)],
    "features": Annotated[FloatArray, Shape("n", "d")],
    "groups": Annotated[IntArray, Shape("n", below="groups")],
    "counts": Annotated[IntArray, Shape("groups", values=Range(0))],
    "means": Annotated[FloatArray, Shape("groups", "d")],
    "squares": Annotated[FloatArray, Shape("groups", "d", values=AT_LEAST_ZERO)],
    "trained_features": Annotated[FloatArray, Shape("t", "d")],
    "trained_labels": Annotated[IntArray, Shape("t", below="K")],
}
TRAINED_ARRAYS = ("trained_features", "trained_labels")
"""Those that a reference without pictures, or of an earlier version, does not have."""


@dataclass(frozen=True, eq=False)
class TrainedFrames:
    """Some training frames, kept with pictures.

    Attributes
    ----------
    features : (t, d) float32
    labels : (t,) int64
        Their true classes.
    read_sheet : callable
        Bytes of the sheet of their pictures.
    """

    features: FloatArray
    labels: IntArray
    read_sheet: Callable[[], bytes]


@dataclass(frozen=True, eq=False)
class NeuronSample:
    """Held-out images of every class, and known out-of-distribution images: their neurons, and means over all of them.

    Groups are numbered: 0 … K−1 are the classes, K … K+M−1 the known out-of-distribution sets.

    Attributes
    ----------
    names : K+M str
        Classes, then sets.
    head : Head
    epsilon : float
        ε of the relevance.
    features : (n, d) float32
        Activation of each neuron on the images that were kept.
    groups : (n,) int64
        The group of each of them.
    moments : K+M Moments
        Of the relevance, over all images of a group.
    read_sheet : callable or None
        Bytes of the sheet of their pictures; None where the reference carries none.
    trained : TrainedFrames or None
        None where the reference carries no pictures, or is of an earlier version.
    calibrates : bool
        Whether its held-out images calibrate the reference; not where that was calibrated on others since.
    """

    names: tuple[str, ...]
    head: Head
    epsilon: float
    features: FloatArray
    groups: IntArray
    moments: tuple[Moments, ...]
    read_sheet: Callable[[], bytes] | None = None
    trained: TrainedFrames | None = None
    calibrates: bool = True

    @property
    def classes(self) -> int:
        """K."""
        return self.head.classes

    @cached_property
    def relevance(self) -> Float64Array:
        """r of the images that were kept, (n, d)."""
        return relevance_of(Activations(self.features, self.logits), self.head, self.epsilon).neurons

    @cached_property
    def logits(self) -> Float64Array:
        """z = W a + b of the images that were kept, (n, K)."""
        return self._logits(self.features)

    @cached_property
    def trained_relevance(self) -> Float64Array:
        """r of the training frames that were kept, (t, d); t is 0 where there are none."""
        if self.trained is None:
            return np.empty((0, self.head.width))
        features = self.trained.features
        return relevance_of(Activations(features, self._logits(features)), self.head, self.epsilon).neurons

    def _logits(self, features: FloatArray) -> Float64Array:
        z: Float64Array = np.asarray(features, np.float64) @ np.asarray(self.head.weight, np.float64).T
        return z + self.head.bias

    def group(self, name: str, members: Sequence[int]) -> Group:
        """Some of the groups as one.

        Raises
        ------
        InputError
            There is no such group.
        """
        if outside := [number for number in members if not 0 <= number < len(self.names)]:
            raise InputError(f"There is no group {outside[0]}; this reference has groups 0 to {len(self.names) - 1}.")
        rows = np.isin(self.groups, members)
        moments = pooled((self.moments[number] for number in members), self.head.width)
        return Group(name, moments, self.relevance[rows], self.features[rows])

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What is stored."""
        return {
            "weight": np.asarray(self.head.weight),
            "bias": np.asarray(self.head.bias),
            "epsilon": np.asarray(self.epsilon, np.float64),
            "features": np.asarray(self.features, np.float32),
            "groups": self.groups,
            "counts": np.array([moments.count for moments in self.moments], np.int64),
            "means": np.stack([moments.mean for moments in self.moments]),
            "squares": np.stack([moments.squares for moments in self.moments]),
            **(
                {}
                if self.trained is None
                else {
                    "trained_features": np.asarray(self.trained.features, np.float32),
                    "trained_labels": self.trained.labels,
                }
            ),
        }

    @classmethod
    def restore(
        cls,
        arrays: Mapping[str, npt.NDArray[Any]],
        names: Sequence[str],
        classes: int,
        read_sheet: Callable[[], bytes] | None,
        read_trained: Callable[[], bytes] | None = None,
        calibrates: bool = True,
    ) -> NeuronSample:
        """The sample again, from what `arrays` gave, and the names of its groups, K classes first.

        Raises
        ------
        InputError
            An array is missing, or is not what it can be, or they do not belong together.
        """
        has_trained = any(name in arrays for name in TRAINED_ARRAYS)
        optional = () if has_trained else TRAINED_ARRAYS
        check_arrays(arrays, SAMPLE_ARRAYS, {"K": classes, "groups": len(names)}, " of the sample", optional=optional)
        if has_trained != (read_trained is not None):
            raise InputError(
                f"`trained_features` of the sample and the pictures {TRAINED_ROLE} go together; one is not there."
            )
        trained = None
        if read_trained is not None:
            trained = TrainedFrames(arrays["trained_features"], arrays["trained_labels"], read_trained)
        head = Head(arrays["weight"], arrays["bias"])
        moments = tuple(
            Moments(int(count), mean, squares)
            for count, mean, squares in zip(arrays["counts"], arrays["means"], arrays["squares"], strict=True)
        )
        epsilon, features, groups = float(arrays["epsilon"]), arrays["features"], arrays["groups"]
        return cls(tuple(names), head, epsilon, features, groups, moments, read_sheet, trained, calibrates)


def chosen_rows(count: int, most: int) -> IntArray:
    """Which of `count` images are kept: all of them, or `most` drawn with a fixed seed, in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(SAMPLE_SEED).choice(count, most, replace=False))


def spread_rows(labels: IntArray, most: int) -> IntArray:
    """Which of some images are kept: at most `most`, evenly of each class, drawn with a fixed seed; in order.

    Parameters
    ----------
    labels : (n,)
    """
    drawn = np.random.default_rng(SAMPLE_SEED).permutation(len(labels))
    place_in_class = np.empty(len(labels), np.int64)
    for number in np.unique(labels):
        of_class = drawn[labels[drawn] == number]
        place_in_class[of_class] = np.arange(len(of_class))
    # The first of each class, then the second of each, and so on.
    rows: IntArray = np.sort(np.lexsort((labels, place_in_class))[:most])
    return rows


def sample_neurons(
    classes: Sequence[str],
    head: Head,
    epsilon: float,
    held_out: Activations,
    known: Mapping[str, Activations],
    kept: Sequence[IntArray],
) -> NeuronSample:
    """Means over all held-out and known out-of-distribution images, and the neurons of those that are kept.

    Parameters
    ----------
    held_out : Activations
        With labels.
    known : {name: Activations}
        By name.
    kept : 1 + M arrays of int64
        Rows of `held_out`, then of each known set.

    Raises
    ------
    InputError
        The calibration images have no labels.
    """
    if held_out.labels is None:
        raise InputError("The calibration images have no labels; wanted the true class of each.")
    sets = [held_out, *known.values()]
    groups = [held_out.labels] + [np.full(len(a), len(classes) + number) for number, a in enumerate(known.values())]
    moments = [Moments.none(head.width)] * (len(classes) + len(known))
    for activations, group in zip(sets, groups, strict=True):
        for start in range(0, len(activations), CHUNK_ROWS):
            some, those = activations[start : start + CHUNK_ROWS], group[start : start + CHUNK_ROWS]
            r = relevance_of(some, head, epsilon).neurons
            for number in np.unique(those):
                moments[number] = moments[number].merged(Moments.of(r[those == number]))
    features = [np.asarray(a.features[rows], np.float32) for a, rows in zip(sets, kept, strict=True)]
    labels = np.concatenate([group[rows] for group, rows in zip(groups, kept, strict=True)])
    return NeuronSample((*classes, *known), head, epsilon, np.concatenate(features), labels, tuple(moments))


@dataclass(frozen=True, eq=False)
class Projection:
    """Relevance in two dimensions: NERO's first two principal components, with the classes' centroids.

    Attributes
    ----------
    mean : (d,)
    components : (2, d)
    centroids : (K, 2)
    """

    mean: Float64Array
    components: Float64Array
    centroids: Float64Array

    def __call__(self, relevance: FloatArray) -> Float64Array:
        """Relevance (n, d) as points (n, 2)."""
        points: Float64Array = (np.asarray(relevance, np.float64) - self.mean) @ self.components.T
        return points


def as_npz(sample: NeuronSample) -> bytes:
    """The raw arrays as one ``.npz`` file, which opens without pickles; text is stored as Unicode arrays.

    `relevance` and `activation` (n, d), `group` (n,) an index into `names`, the first `classes` of which are classes;
    `count`, `mean` and `deviation` of the relevance over all images of each group; `weight` (K, d) and `bias` (K,).
    """
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        relevance=sample.relevance.astype(np.float32),
        activation=np.asarray(sample.features, np.float32),
        group=sample.groups,
        names=np.array(sample.names, np.str_),
        classes=np.array(sample.classes),
        count=np.array([moments.count for moments in sample.moments]),
        mean=np.stack([moments.mean for moments in sample.moments]),
        deviation=np.stack([moments.std for moments in sample.moments]),
        weight=np.asarray(sample.head.weight),
        bias=np.asarray(sample.head.bias),
    )
    return buffer.getvalue()


def group_names(manifest: Mapping[str, Any]) -> list[str]:
    """The classes, then the known out-of-distribution sets by name."""
    return [*manifest["classes"], *sorted(manifest["ood"])]
