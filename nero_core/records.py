"""The frozen records that one room hands to the next.

Shapes use the symbols of the method: n images, d features, K classes, c channels of a stage.
Scores follow one convention everywhere: a larger score means more out-of-distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from nero_core.errors import InputError

FloatArray = npt.NDArray[np.floating]
Float64Array = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

Progress = Callable[[int, int], None]
"""``progress(done, total)``; raising :class:`~nero_core.errors.Cancelled` from it stops the work."""

Begin = Callable[[str], Progress]
"""``begin(what)`` announces the next stretch of work and returns its progress callback."""

Say = Callable[[str], None]
"""Takes one line of text for a person."""

State = Literal["in-distribution", "borderline", "out-of-distribution"]


def _matrix(what: str, array: npt.ArrayLike, rows: int | None = None) -> FloatArray:
    """Validate one (n, ·) array: two-dimensional, floating, finite, and as long as its neighbours."""
    matrix = np.asanyarray(array)
    if matrix.ndim != 2:
        raise InputError(f"`{what}` has shape {matrix.shape}; wanted two dimensions (images, values).")
    if not np.issubdtype(matrix.dtype, np.floating):
        matrix = matrix.astype(np.float64)
    if rows is not None and len(matrix) != rows:
        raise InputError(f"`{what}` has {len(matrix)} rows but `features` has {rows}; give one row per image.")
    if not np.isfinite(matrix).all():
        bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
        raise InputError(
            f"`{what}` holds NaN or infinity in {len(bad)} of {len(matrix)} rows (first: row {bad[0]}); "
            "remove those images or check the network."
        )
    return matrix


@dataclass(frozen=True, eq=False)
class Activations:
    """What one pass through a network gives for n images.

    Attributes
    ----------
    features : (n, d)
        Input of the last linear layer.
    logits : (n, K)
        Output of the last linear layer.
    labels : (n,) int64 or None
        True class of each image, where it is known.
    peaks : (n, d) or None
        Spatial maximum of each channel of the map before pooling; None for networks without one.
    stages : {name: (n, 2c)} or None
        Per stage, the channels' means over space followed by their standard deviations.

    Raises
    ------
    InputError
        Shapes disagree, or a value is NaN or infinite.
    """

    features: FloatArray
    logits: FloatArray
    labels: IntArray | None = None
    peaks: FloatArray | None = None
    stages: Mapping[str, FloatArray] | None = None

    def __post_init__(self) -> None:
        features = _matrix("features", self.features)
        rows = len(features)
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "logits", _matrix("logits", self.logits, rows))
        if self.peaks is not None:
            peaks = _matrix("peaks", self.peaks, rows)
            if peaks.shape != features.shape:
                raise InputError(f"`peaks` has shape {peaks.shape}; wanted that of `features`, {features.shape}.")
            object.__setattr__(self, "peaks", peaks)
        if self.stages is not None:
            stages = {name: _matrix(f"stages[{name!r}]", values, rows) for name, values in self.stages.items()}
            object.__setattr__(self, "stages", stages)
        if self.labels is not None:
            labels = np.asarray(self.labels)
            if labels.shape != (rows,) or not np.issubdtype(labels.dtype, np.integer):
                raise InputError(
                    f"`labels` has shape {labels.shape} and type {labels.dtype}; wanted {rows} integers, one per image."
                )
            object.__setattr__(self, "labels", labels.astype(np.int64))

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice | Sequence[int] | npt.NDArray[np.generic]) -> Activations:
        """The same record for some of its images (a slice, indices or a mask)."""
        index = rows if isinstance(rows, slice) else np.asarray(rows)
        return Activations(
            features=self.features[index],
            logits=self.logits[index],
            labels=None if self.labels is None else self.labels[index],
            peaks=None if self.peaks is None else self.peaks[index],
            stages=None if self.stages is None else {name: values[index] for name, values in self.stages.items()},
        )

    @property
    def probabilities(self) -> Float64Array:
        """softmax(logits), (n, K), in float64."""
        z = self.logits.astype(np.float64)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        p: Float64Array = e / e.sum(axis=1, keepdims=True)
        return p


@dataclass(frozen=True, eq=False)
class Head:
    """The last linear layer: z = W a + b, with W (K, d) and b (K,)."""

    weight: FloatArray
    bias: FloatArray

    def __post_init__(self) -> None:
        weight = _matrix("weight", self.weight)
        bias = np.asarray(self.bias)
        if bias.shape != (len(weight),) or not np.isfinite(bias).all():
            raise InputError(f"`bias` has shape {bias.shape}; wanted {len(weight)} finite values, one per class.")
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)

    @property
    def classes(self) -> int:
        """K, the number of in-distribution classes."""
        return len(self.weight)

    @property
    def width(self) -> int:
        """d, the number of features."""
        return int(self.weight.shape[1])


@dataclass(frozen=True, eq=False)
class Relevance:
    """How relevant each neuron was for a prediction: neurons (n, d) and bias (n,), float64."""

    neurons: Float64Array
    bias: Float64Array

    @property
    def total(self) -> Float64Array:
        """Sum over neurons and bias, (n,); 1 for every image where ε = 0 (conservation)."""
        total: Float64Array = self.neurons.sum(axis=1) + self.bias
        return total


@dataclass(frozen=True)
class Decision:
    """One score, read against the in-distribution calibration scores.

    Attributes
    ----------
    score : float
        Larger = more out-of-distribution.
    percentile : float
        Share of calibration scores below this one, in [0, 1].
    p_value : float
        Conformal p-value in (0, 1]; small = unusual.
    state : {"in-distribution", "borderline", "out-of-distribution"}
    guaranteed : bool
        Whether the calibration images are known to be unseen by the classifier, so that flagging at
        p ≤ α raises a false alarm on at most a share α of new images from the same source.
    """

    score: float
    percentile: float
    p_value: float
    state: State
    guaranteed: bool = False


@dataclass(frozen=True)
class Preprocessing:
    """How an RGB image becomes a network's input; stored with the classifier, never assumed.

    Attributes
    ----------
    height, width : int
        Size of the network's input, pixels.
    mean, std : three floats each
        Per-channel normalisation of values in [0, 1].
    interpolation : {"bilinear", "bicubic"}
        Resampling filter of the resize, antialiased.
    crop_share : float or None
        None stretches the whole image to the input size. A fraction in (0, 1] resizes the shorter side
        to size / crop_share and takes the centre.
    """

    height: int = 224
    width: int = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    crop_share: float | None = None


@dataclass(frozen=True)
class TrainingRecord:
    """What a classifier was trained on, and which images were kept from it.

    The digests (SHA-256 of the files' bytes) are what the false-alarm guarantee rests on: an image may
    calibrate a decision only if its digest is not in `train`.
    """

    train: frozenset[str]
    calibration: frozenset[str]
    test: frozenset[str]
    recipe: Mapping[str, str | int | float] = field(default_factory=dict)
    history: tuple[Mapping[str, float], ...] = ()


@dataclass(frozen=True, eq=False)
class RelevanceProfile:
    """Mean neuron relevance of held-out in-distribution images, and of known out-of-distribution ones.

    Attributes
    ----------
    mean, std : (d,) float64
        Over `count` in-distribution images.
    ood_mean : (d,) float64 or None
        Over `ood_count` out-of-distribution images; None where the reference knows none.
    """

    mean: Float64Array
    std: Float64Array
    count: int
    ood_mean: Float64Array | None = None
    ood_count: int = 0
