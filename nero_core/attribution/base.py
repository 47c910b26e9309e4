"""The one contract of every heatmap method, and the registry that menus, command line, README and tests read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nero_core.attribution.instant import indices
from nero_core.errors import InputError
from nero_core.network.classifier import Classifier
from nero_core.records import Float32Array, Float64Array, FloatArray
from nero_core.wording import heatmap_method

CONDITIONS_AT_ONCE = 8
"""Neurons that share one way down. More are no faster, and the widest layer of a ResNet-18 takes 3 MB for each."""


@dataclass(frozen=True)
class Fit:
    """Whether a network has a method, and where it has not, why.

    Attributes
    ----------
    fits : bool
    reason : str
        A sentence; empty where it fits.
    """

    fits: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.fits


class HeatmapMethod(ABC):
    """A way of making heatmaps, prepared for one classifier; any number of threads may use it.

    A method of one's own sets `title` and `meaning`, prepares itself in ``__init__`` and opens an image in `_open`.

    Parameters
    ----------
    classifier : Classifier
        Read, never changed: what has to change a network changes a private copy.

    Attributes
    ----------
    title : str
        As it is written in the field, chosen by and shown.
    meaning : str
        What it does, in one line without a full stop.
    single_neurons : bool
        Whether it gives maps of single neurons, or only the one of the whole answer.

    Raises
    ------
    InputError
        The network does not have this method; the message says why.
    """

    title: ClassVar[str]
    meaning: ClassVar[str]
    single_neurons: ClassVar[bool] = True

    def __init__(self, classifier: Classifier) -> None:
        self.size = (classifier.preprocessing.height, classifier.preprocessing.width)
        weight = next(classifier.network.parameters())
        self._device, self._dtype = weight.device, weight.dtype

    @classmethod
    def fits(cls, classifier: Classifier) -> Fit:
        """Whether this network has the method; costs a few forward passes."""
        try:
            cls(classifier)
        except InputError as error:
            return Fit(False, str(error))
        return Fit(True)

    def open(self, image: Float32Array) -> AttributionPass:
        """The maps of one image, on demand.

        Parameters
        ----------
        image : (3, H, W) float32
            Preprocessed, at the network's input size.

        Raises
        ------
        InputError
            The image has another shape, or holds NaN or infinity.
        """
        pixels = np.asarray(image, np.float32)
        if pixels.shape != (3, *self.size):
            raise InputError(
                f"The image has shape {pixels.shape}; wanted {(3, *self.size)}, as preprocessing gives it."
            )
        if not np.isfinite(pixels).all():
            raise InputError("The image holds NaN or infinity; read it again.")
        batch = torch.tensor(pixels[None], dtype=self._dtype, device=self._device)
        return self._open(batch.contiguous(memory_format=torch.channels_last))

    @abstractmethod
    def _open(self, image: Tensor) -> AttributionPass:
        """The maps of an image (1, 3, H, W), in the precision and on the device of the network."""


METHODS: dict[str, type[HeatmapMethod]] = {}
"""Every heatmap method by title."""

AnyMethod = TypeVar("AnyMethod", bound=type[HeatmapMethod])


def register_method(method: AnyMethod) -> AnyMethod:
    """Class decorator: enter a heatmap method into the registry under its title.

    Raises
    ------
    InputError
        Another method has that title.
    """
    other = METHODS.setdefault(method.title, method)
    if (other.__module__, other.__qualname__) != (method.__module__, method.__qualname__):
        raise InputError(
            f"There is a heatmap method {method.title!r} already, in {other.__module__}; choose another title."
        )
    METHODS[method.title] = method
    return method


def describe_methods() -> str:
    """The registry as a table in Markdown."""
    lines = ["| method | name | what it does | maps |", "|---|---|---|---|"]
    for title, method in METHODS.items():
        maps = "whole answer, single neurons" if method.single_neurons else "whole answer"
        lines.append(f"| {heatmap_method(title)} | `{title}` | {method.meaning} | {maps} |")
    return "\n".join(lines)


class AttributionPass(ABC):
    """The maps of one image, on demand; made by `HeatmapMethod.open`.

    Maps are float32 at the input's size, positive where a pixel spoke for and negative where it spoke against. Biases
    take a part of the relevance with them, so a map need not sum to its neuron's relevance: see `share_arriving`.

    Attributes
    ----------
    method : str
        Title of the method by which maps of features are made.
    stages : tuple of str
        Names of the classifier's stages.
    single_neurons : bool
        Whether there are maps of single neurons; else `neurons` and `relevance` refuse.
    """

    single_neurons = True

    def __init__(self, method: str, size: tuple[int, int], stages: tuple[str, ...]) -> None:
        self.method = method
        self._size = size
        self.stages = stages

    @property
    def caution(self) -> str:
        """Why not to lean on the maps of this image, in a sentence; empty where nothing speaks against it."""
        return ""

    def method_at(self, stage: str | None) -> str:
        """Title of the method by which maps of a stage's channels are made; of features without one."""
        return self.method

    def neuron(self, neuron: int, stage: str | None = None) -> Float32Array:
        """Where one neuron looked, (H, W); see :meth:`neurons`."""
        return cast(Float32Array, self.neurons([neuron], stage)[0])

    def neurons(self, neurons: Sequence[int], stage: str | None = None) -> Float32Array:
        """Where some neurons looked: the part of the relevance that comes down through each of them.

        Parameters
        ----------
        neurons : k ints
            Features, each in 0 … d−1; or channels of a stage.
        stage : str, optional
            Dotted name of a module, such as one of the classifier's stages. Without it neurons are the features the
            head reads; for a network with global average pooling these are the channels of its last map.

        Returns
        -------
        (k, H, W) float32

        Raises
        ------
        InputError
            There is no such neuron or no such stage.
        """
        chosen = self._chosen(neurons, stage)
        maps = np.empty((len(chosen), *self._size), np.float32)
        for start in range(0, len(chosen), CONDITIONS_AT_ONCE):
            some = chosen[start : start + CONDITIONS_AT_ONCE]
            maps[start : start + len(some)] = self._maps(some, stage)
        return maps

    def relevance(self, neurons: Sequence[int], stage: str | None = None) -> Float32Array:
        """Relevance that arrives at some neurons, (k,) float32.

        Raises
        ------
        InputError
            There is no such neuron or no such stage.
        """
        return self._relevance(stage)[self._chosen(neurons, stage)]

    def feature_relevance(self) -> Float32Array:
        """Relevance r that arrives at the features, (d,) float32: that of NERO with ε = 1e-6."""
        return self._relevance(None)

    @abstractmethod
    def overall(self) -> Float32Array:
        """Where the network looked: the map of all relevance, (H, W) float32."""

    @abstractmethod
    def _relevance(self, stage: str | None) -> Float32Array:
        """Relevance of all neurons of a place, (c,)."""

    @abstractmethod
    def _maps(self, neurons: npt.NDArray[np.int64], stage: str | None) -> Float32Array:
        """Maps of a few neurons that are there, (k, H, W)."""

    def _chosen(self, neurons: Sequence[int], stage: str | None) -> npt.NDArray[np.int64]:
        where = f"the channels of `{stage}`" if stage else "the features"
        return indices(neurons, len(self._relevance(stage)), where)

    def _no_stage(self, stage: str) -> InputError:
        return InputError(f"There is no stage {stage!r}; choose one of {', '.join(self.stages)}.")


class OverallMap(AttributionPass):
    """One map of the whole answer, computed when first asked for, and none of single neurons.

    Parameters
    ----------
    method : str
        Title of the method.
    size : (int, int)
        Height and width of the map, pixels.
    compute : callable
        Gives the map, (H, W) float32.
    """

    single_neurons = False

    def __init__(self, method: str, size: tuple[int, int], compute: Callable[[], Float32Array]) -> None:
        super().__init__(method, size, ())
        self._compute = compute
        self._map: Float32Array | None = None

    def overall(self) -> Float32Array:
        if self._map is None:
            self._map = self._compute()
        return self._map

    def _relevance(self, stage: str | None) -> Float32Array:
        raise InputError(
            f"{self.method} gives one map of the whole answer and none of single neurons; choose another method for "
            "these."
        )

    def _maps(self, neurons: npt.NDArray[np.int64], stage: str | None) -> Float32Array:
        return self._relevance(stage)  # refuses


def as_array(tensor: Tensor) -> Float32Array:
    """A tensor without its history, float32 on the CPU.

    Parameters
    ----------
    tensor : (…)
        Of any shape.
    """
    return cast(Float32Array, tensor.detach().float().cpu().numpy())


def share_arriving(maps: FloatArray, relevance: FloatArray) -> Float64Array:
    """What share of its neuron's relevance each map holds, (k,): 1 where all of it arrives at the pixels.

    The rest went to biases, or, with a sign of its own, came from them: the share may exceed 1 or be negative.

    Parameters
    ----------
    maps : (k, H, W)
    relevance : (k,)
        NaN comes back for a neuron of relevance 0, which has no share.
    """
    sums = np.asarray(maps, np.float64).sum(axis=(1, 2))
    r = np.asarray(relevance, np.float64)
    return cast(Float64Array, np.divide(sums, r, out=np.full(len(sums), np.nan), where=r != 0))
