"""Where in the image a neuron looked.

Two answers, from cheap to fine:

* :func:`instant_maps`, at the resolution of the last feature map, without any backward pass;
* :class:`Attribution`, at the resolution of the pixels: Concept Relevance Propagation (Achtibat et al., 2023,
  doi 10.1038/s42256-023-00711-8) under the rules that zennit calls `EpsilonPlusFlat`, with the relevance started from
  the whole softmax vector.

Nothing is hooked into a network that scores, and no weight is swapped. A private copy is run once to list the functions
it calls; each gets a rule, a pure function with weights of its own (:mod:`~nero_core.attribution.rules`,
:mod:`~nero_core.attribution.tracing`); an image goes up through those rules once, and relevance comes down through them
once per question. Passes share nothing but constants, so threads need no lock, and a pass that is dropped is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nero_core.attribution.tracing import IMAGE, Steps, trace
from nero_core.errors import InputError
from nero_core.records import Float32Array, Float64Array, FloatArray

if TYPE_CHECKING:
    from nero_core.classifier import Classifier

__all__ = ["Attribution", "AttributionPass", "instant_maps", "supports"]

CONDITIONS_AT_ONCE = 8
"""Neurons that share one way down. More are no faster, and the widest layer of a ResNet-18 takes 3 MB for each."""


def instant_maps(relevance: FloatArray, activation_map: FloatArray, neurons: Sequence[int]) -> Float64Array:
    """Where some neurons looked, at the resolution of the last feature map: r_j · A_j(u, v) / Σ A_j.

    Exact for a network with global average pooling, whose feature a_j is the mean of A_j.

    Parameters
    ----------
    relevance : (d,)
        Relevance r of one image's neurons.
    activation_map : (d, h, w)
        That image's feature map A before pooling.
    neurons : k ints
        Which neurons, each in 0 … d−1.

    Returns
    -------
    (k, h, w) float64
        Each map sums to its r_j. Where Σ A_j = 0 the feature is 0 and so is its relevance; one that was handed in from
        elsewhere is spread evenly.

    Raises
    ------
    InputError
        Shapes disagree, a value is NaN or infinite, or there is no such neuron.
    """
    r, activation = np.asarray(relevance, np.float64), np.asarray(activation_map, np.float64)
    if activation.ndim != 3 or r.shape != activation.shape[:1]:
        raise InputError(
            f"`relevance` has shape {r.shape} and `activation_map` {activation.shape}; "
            "wanted (d,) and (d, h, w) of one image."
        )
    if not (np.isfinite(r).all() and np.isfinite(activation).all()):
        raise InputError("`relevance` or `activation_map` holds NaN or infinity; check the image and the network.")
    chosen = _indices(neurons, len(r), "the features")
    maps = activation[chosen]
    total = maps.sum(axis=(1, 2), keepdims=True)
    flat = np.full_like(maps, 1 / np.prod(activation.shape[1:]))
    share = np.divide(maps, total, out=flat, where=total != 0)
    return cast(Float64Array, r[chosen, None, None] * share)


def _indices(neurons: Sequence[int], width: int, where: str) -> npt.NDArray[np.int64]:
    chosen = np.asarray(neurons)
    if chosen.shape == (0,):
        return chosen.astype(np.int64)
    if chosen.ndim != 1 or not np.issubdtype(chosen.dtype, np.integer):
        raise InputError(f"`neurons` is {neurons!r}; wanted a list of whole numbers.")
    outside = chosen[(chosen < 0) | (chosen >= width)]
    if outside.size:
        raise InputError(f"There is no neuron {outside[0]}: {where} are numbered 0 to {width - 1}.")
    return chosen.astype(np.int64)


def supports(classifier: Classifier) -> bool:
    """Whether there are pixel maps for this classifier; costs about one forward pass.

    :class:`Attribution` says why, where there are none.
    """
    try:
        Attribution(classifier)
    except InputError:
        return False
    return True


class Attribution:
    """Pixel maps of a classifier's neurons.

    Made once per classifier, from a private copy that is not kept; may be used by any number of threads.

    Parameters
    ----------
    classifier : Classifier
        Read, never changed.

    Raises
    ------
    InputError
        There is no exact rule for something the network computes.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._size = (classifier.preprocessing.height, classifier.preprocessing.width)
        self._stages = classifier.layout.stages
        self._steps = trace(classifier.private_copy(), classifier.layout.head, *self._size, classifier.architecture)
        weight = next(classifier.network.parameters())
        self._device, self._dtype = weight.device, weight.dtype

    def open(self, image: Float32Array) -> AttributionPass:
        """Run the one forward pass that all maps of an image share.

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
        if pixels.shape != (3, *self._size):
            raise InputError(
                f"The image has shape {pixels.shape}; wanted {(3, *self._size)}, as preprocessing gives it."
            )
        if not np.isfinite(pixels).all():
            raise InputError("The image holds NaN or infinity; read it again.")
        batch = torch.tensor(pixels[None], dtype=self._dtype, device=self._device)
        return AttributionPass(self._steps, batch.contiguous(memory_format=torch.channels_last), self._stages)


class AttributionPass:
    """The maps of one image, on demand; made by :meth:`Attribution.open`.

    Maps are float32 at the input's size, positive where a pixel spoke for and negative where it spoke against. Biases
    take a part of the relevance with them, so a map does not sum to its neuron's relevance.
    """

    def __init__(self, steps: Steps, image: Tensor, stages: tuple[str, ...]) -> None:
        self._steps = steps
        self._stages = stages
        self._size = image.shape[2:]
        with torch.no_grad():
            logits, self._downs = steps.up(image)
        # Relevance starts from the whole softmax vector (Chhetri et al., 2025), not from one class.
        self._arrived = {steps.logits: logits.softmax(dim=1)}

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
        place = self._place(stage)
        relevance = self._relevance_at(place)
        chosen = _indices(neurons, relevance.shape[1], f"the channels of `{stage}`" if stage else "the features")
        maps = np.empty((len(chosen), *self._size), np.float32)
        for start in range(0, len(chosen), CONDITIONS_AT_ONCE):
            some = chosen[start : start + CONDITIONS_AT_ONCE]
            conditioned = relevance.new_zeros(len(some), *relevance.shape[1:])
            for row, neuron in enumerate(some):
                conditioned[row, neuron] = relevance[0, neuron]
            maps[start : start + len(some)] = self._pixels(conditioned, place)
        return maps

    def overall(self) -> Float32Array:
        """Where the network looked: the map of all relevance, (H, W) float32."""
        return cast(Float32Array, self._pixels(self._arrived[self._steps.logits], self._steps.logits)[0])

    def feature_relevance(self) -> Float32Array:
        """Relevance r that arrives at the features, (d,) float32: that of NERO with ε = 1e-6."""
        return cast(Float32Array, self._relevance_at(self._steps.features)[0].float().cpu().numpy())

    def _place(self, stage: str | None) -> int:
        if stage is None:
            return self._steps.features
        if stage not in self._steps.places:
            raise InputError(f"There is no stage {stage!r}; choose one of {', '.join(self._stages)}.")
        return self._steps.places[stage]

    def _relevance_at(self, place: int) -> Tensor:
        """Relevance (1, …) that arrives at a value; what has come down once is kept."""
        if place not in self._arrived:
            start = self._steps.logits
            with torch.no_grad():
                self._arrived[place] = self._steps.down(self._downs, self._arrived[start], start, place)
        return self._arrived[place]

    def _pixels(self, relevance: Tensor, place: int) -> Float32Array:
        with torch.no_grad():
            pixels = self._steps.down(self._downs, relevance, place, IMAGE).sum(dim=1)
        return cast(Float32Array, pixels.float().cpu().numpy())
