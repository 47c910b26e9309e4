"""The frozen records that one room hands to the next.

Shapes use the symbols of the method: n images, d features, K classes, c channels of a stage.
Scores follow one convention everywhere: a larger score means more out-of-distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Protocol, Self, cast

import numpy as np
import numpy.typing as npt

from nero_core.errors import InputError
from nero_core.storage.typed import Count, Range, check

if TYPE_CHECKING:
    from torch import nn

    from nero_core.network.inspection import Layout

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

INPUT_SIDES = Range(8, 2048)
"""Of a network's input, pixels. Networks in use take 28 to 1,024."""
COLOUR_MEANS, COLOUR_DEVIATIONS = Range(-255, 255), Range(0.001, 255)
"""Of a colour channel: shares of white, or grey levels for a network that was trained on these (1/255 = 0.004). What is
divided by less is no picture any more."""
CROP_SHARES = Range(0.5, 1.25)
"""Networks in use have 0.875 to 1, and VOLO 1.15, which lays the picture on black. A picture is resized by the inverse
before it is cropped: a share of 0.005 makes 44,800 × 44,800 pixels for an input of 224 × 224."""
ColourMean = Annotated[float, COLOUR_MEANS]
ColourDeviation = Annotated[float, COLOUR_DEVIATIONS]


def _matrix(what: str, array: npt.ArrayLike, rows: int | None = None) -> FloatArray:
    """Validate one (n, ·) array: two-dimensional, floating, finite, and as long as its neighbours."""
    matrix = np.asanyarray(array)
    if matrix.ndim != 2:
        raise InputError(f"`{what}` has shape {matrix.shape}; wanted two dimensions (images, values).")
    if not np.issubdtype(matrix.dtype, np.floating):
        matrix = matrix.astype(np.float64)
    if rows is not None and len(matrix) != rows:
        raise InputError(f"`{what}` has {len(matrix)} rows but `features` has {rows}; give one row per image.")
    # NaN is both the smallest and the largest of all values; a mask would grow with mapped files.
    if matrix.size and not (np.isfinite(matrix.min()) and np.isfinite(matrix.max())):
        bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
        raise InputError(
            f"`{what}` holds NaN or infinity in {len(bad)} of {len(matrix)} rows (first: row {bad[0]}); "
            "remove those images or check the network."
        )
    return matrix


class ImageSource(Protocol):
    """The images behind some activations, for detectors that have to touch the network again."""

    layout: Layout
    """Where the network's head, last map and stages are."""
    deviation: tuple[float, float, float]
    """What preprocessing divides each colour channel by: a step of one grey level is 1/255 of this, inverted."""

    def network(self) -> nn.Module:
        """A copy that belongs to the caller, who may hook and differentiate it."""
        ...

    def batches(self) -> Iterator[Float32Array]:
        """The preprocessed images (·, 3, H, W), in the order of the activations' rows."""
        ...

    def forward(self, images: Float32Array) -> Activations:
        """What the network gives for preprocessed images (n, 3, H, W) of the caller's."""
        ...

    def __getitem__(self, rows: slice | Sequence[int] | npt.NDArray[np.generic]) -> ImageSource:
        """The same for some of the images (a slice, indices or a mask)."""
        ...


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
    source : ImageSource or None
        The images themselves, where they were asked for.

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
    source: ImageSource | None = None

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
            source=None if self.source is None else self.source[index],
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


class Neuron(NamedTuple):
    """What an account gives a share to: a feature (`stage` is None), or a channel of a stage."""

    stage: str | None
    channel: int

    def __str__(self) -> str:
        return f"{self.channel}" if self.stage is None else f"{self.stage} · {self.channel}"


@dataclass(frozen=True, eq=False)
class Account:
    """Exact accounts of the scores of n images: score = factor·(Σ_j contributions_j + Σ terms).

    Attributes
    ----------
    contributions : (n, c) float64
        One column per neuron; both signs may occur.
    nearest : (n,) int64
        The class that each image is held against.
    neurons : c Neurons
        What the columns are.
    terms : {name: (n,) float64}
        What no single neuron stands for, such as NERO's bias term; may be empty.
    factor : (n,) float64
        1 where the score has none.
    """

    contributions: Float64Array
    nearest: IntArray
    neurons: tuple[Neuron, ...]
    terms: Mapping[str, Float64Array]
    factor: Float64Array

    @property
    def score(self) -> Float64Array:
        """What the account adds up to, (n,)."""
        total: Float64Array = self.contributions.sum(axis=1) + sum(self.terms.values(), np.zeros(len(self.factor)))
        return self.factor * total


@dataclass(frozen=True)
class Guarantee:
    """Whether flagging at p ≤ α bounds the share of false alarms, and why not; made with a calibration, kept with it.

    Attributes
    ----------
    holds : bool
        Whether the calibration images are known to be unseen by classifier, fit and choice of detector: then at most
        a share α of new images from the same source is flagged, on average over calibration sets.
    reason : str
        Why it does not hold, as the part of a sentence that follows "no guarantee:"; empty where it holds.
    origin : str
        Where the calibration images come from, in words.
    dropped : int
        Images that were to calibrate, but are trained or fitted on, nearly the same as one that is, or of the same
        group; they take no part.
    """

    holds: bool
    reason: str = ""
    origin: str = "not stated"
    dropped: Count = 0

    def __post_init__(self) -> None:
        if self.holds == bool(self.reason):
            raise InputError(
                f"A guarantee that {'holds' if self.holds else 'does not hold'} has the reason {self.reason!r}."
            )

    def withdrawn(self, reason: str) -> Guarantee:
        """The same without its promise, for this reason; an earlier reason stays."""
        return self if self.reason else replace(self, holds=False, reason=reason)

    @property
    def left_out(self) -> list[str]:
        """That images were to calibrate and take no part: a sentence without its full stop, or none."""
        if not self.dropped:
            return []
        return [
            f"{self.dropped} images that were to calibrate take no part: they were trained or fitted on, look nearly "
            "like images that were, or are of the same group"
        ]


def needed_images(alpha: float) -> int:
    """The fewest calibration images that support a share α of false alarms: ⌈1/α⌉ − 1, as 1/(n + 1) ≤ α."""
    return math.ceil(1 / alpha - 1e-9) - 1


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
        Whether the :class:`Guarantee` of the calibration holds for this image's predicted class.
    no_guarantee_because : str
        Why it does not; empty where it does.
    calibration_images : int
        How many scores this one was read against.
    calibration_class : str or None
        The predicted class whose images those are; None where they are of all classes together.
    """

    score: float
    percentile: float
    p_value: float
    state: State
    guaranteed: bool
    no_guarantee_because: str
    calibration_images: int
    calibration_class: str | None


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
        None stretches the whole image to the input size. A share resizes the shorter side to size / crop_share and
        takes the centre.
    """

    height: Annotated[int, INPUT_SIDES] = 224
    width: Annotated[int, INPUT_SIDES] = 224
    mean: tuple[ColourMean, ColourMean, ColourMean] = (0.485, 0.456, 0.406)
    std: tuple[ColourDeviation, ColourDeviation, ColourDeviation] = (0.229, 0.224, 0.225)
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    crop_share: Annotated[float, CROP_SHARES] | None = None

    def checked(self) -> Self:
        """The same, once it is known to be a network's: pages make other sizes of it, to show a picture.

        Raises
        ------
        InputError
            A field is of another type, or out of its range.
        """
        check(asdict(self), Preprocessing, "preprocessing")
        return self

    @classmethod
    def read(cls, described: Any) -> Self:
        """From a mapping of its fields, as a file holds it.

        Raises
        ------
        InputError
            A field is not known, of another type, or out of its range.
        """
        check(described, Preprocessing, "preprocessing")
        colours = {name: cast(Any, tuple(described[name])) for name in ("mean", "std") if name in described}
        return cls(**{**described, **colours})


@dataclass(frozen=True)
class TrainingRecord:
    """What a classifier was trained on, and which images were kept from it.

    The false-alarm guarantee rests on it: an image may calibrate a decision only if neither its digest (SHA-256 of
    the file's bytes) is in `train`, nor an image of `train` looks nearly the same or is of its group.

    Attributes
    ----------
    train, calibration, test : digests
    recipe, history
        How it was trained, and what each epoch came to.
    hashes : {digest: difference hash}
        Of all these images; empty in records of earlier versions.
    groups : {digest: digest of its group's name}
        Patients or clips, where they were given; names are not kept.
    """

    train: frozenset[str]
    calibration: frozenset[str]
    test: frozenset[str]
    recipe: Mapping[str, str | int | float] = field(default_factory=dict)
    history: tuple[Mapping[str, float], ...] = ()
    hashes: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not all(0 <= value < 1 << 64 for value in self.hashes.values()):
            raise InputError("A difference hash in the training record does not have 64 bits; restore the file.")


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
