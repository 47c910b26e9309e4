"""The frozen records that one room hands to the next.

Shapes use the symbols of the method: n images, d features, K classes, c channels of a stage.
Scores follow one convention everywhere: a larger score means more out-of-distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.special import softmax

from nero_core.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn


FloatArray = npt.NDArray[np.floating]
Float64Array = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

Source = str | Path | bytes | Image.Image
"""A file's path, a file's bytes, or a Pillow image."""
"""An image: a path, a file's bytes, or a picture."""

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
    # NaN is both the smallest and the largest of all values; a mask would grow with mapped files.
    if matrix.size and not (np.isfinite(matrix.min()) and np.isfinite(matrix.max())):
        bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
        raise InputError(
            f"`{what}` holds NaN or infinity in {len(bad)} of {len(matrix)} rows (first: row {bad[0]}); "
            "remove those images or check the network."
        )
    return matrix


@dataclass(frozen=True)
class Layout:
    """Dotted module names of the places this package reads.

    Attributes
    ----------
    head : str
        The linear layer that gives the logits.
    map : str or None
        The module whose output of more than one cell, averaged over space, is the head's input; None without one.
    stages : tuple of str
        Per spatial resolution, the last block of layers at that resolution, in order of depth. A network that keeps
        one resolution, as a transformer does, has its blocks in four groups; its tokens are its space.
    channels_last : frozenset of str
        Those of these places whose output has its channels in the last axis: (n, h, w, c) or (n, tokens, c).
    """

    head: str
    map: str | None
    stages: tuple[str, ...]
    channels_last: frozenset[str] = frozenset()

    def channels_first(self, name: str, output: Tensor) -> Tensor:
        """The output of the module `name` as (n, c, h, w), a view; tokens become (n, c, tokens, 1).

        Parameters
        ----------
        output : (n, c, h, w), (n, h, w, c) or (n, tokens, c)
        """
        if output.ndim == 3:
            return output.transpose(1, 2).unsqueeze(3)
        return output.permute(0, 3, 1, 2) if name in self.channels_last else output


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

    def pictures(self) -> Iterator[Image.Image]:
        """The images as they are, RGB, one by one and in the order of the activations' rows."""
        ...

    def prepared(self, picture: Image.Image, scale: float) -> Float32Array:
        """A whole RGB picture for the network, (3, H, W), at so many times its own input size; nothing is cropped."""
        ...

    def forward(self, images: Float32Array) -> Activations:
        """What the network gives for preprocessed images (n, 3, H, W) of the caller's.

        Parameters
        ----------
        images : (n, 3, H, W)
        """
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
        p: Float64Array = softmax(self.logits.astype(np.float64), axis=1)
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
