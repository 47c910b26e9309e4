"""Where in the image a neuron looked.

Four answers, each with a name that the screen shows (:data:`METHODS`):

* **CRP**, Concept Relevance Propagation (Achtibat et al., 2023, doi 10.1038/s42256-023-00711-8), for convolutional
  networks: relevance comes down by the rules that zennit calls `EpsilonPlusFlat`
  (:mod:`~nero_core.attribution.rules`, :mod:`~nero_core.attribution.tracing`).
* **conservative propagation** (Ali et al., 2022), for networks with attention or layer norms: gradient × input, with
  those parts held constant that make the network more than linear (:mod:`~nero_core.attribution.holding`).
* **instant map**: r_j · A_j / Σ A_j at the resolution of the last feature map, without any backward pass.
* **gradient × input**, which every network has.

In each, relevance starts from the whole softmax vector. Nothing is hooked into a network that scores, and no weight is
swapped: a private copy is run, and a pass that is dropped is gone. Passes share nothing but constants, so threads need
no lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from nero_core.attribution.families import FAMILIES, Family, describe_families
from nero_core.attribution.gradients import GradientPass, InstantPass, Linearised
from nero_core.attribution.holding import HELD
from nero_core.attribution.instant import instant_maps
from nero_core.attribution.passes import METHODS, AttributionPass, Method, share_arriving
from nero_core.attribution.propagation import RelevancePass
from nero_core.attribution.tracing import trace
from nero_core.errors import InputError
from nero_core.records import Float32Array

if TYPE_CHECKING:
    from nero_core.network.classifier import Classifier

__all__ = [
    "EXACT",
    "FAMILIES",
    "METHODS",
    "Attribution",
    "AttributionPass",
    "Family",
    "Method",
    "describe_families",
    "instant_maps",
    "share_arriving",
    "supports",
]

EXACT: tuple[Method, ...] = ("CRP", "conservative propagation")
"""The methods with a rule for each function that the network calls."""


def supports(classifier: Classifier) -> bool:
    """Whether there are exact rules for this classifier; costs a few forward passes.

    `Attribution.reason` says why, where there are none.
    """
    return Attribution(classifier).method in EXACT


class Attribution:
    """Pixel maps of a classifier's neurons.

    Made once per classifier, from a private copy; may be used by any number of threads.

    Parameters
    ----------
    classifier : Classifier
        Read, never changed.
    method : str, optional
        One of METHODS; without it the first of them that this network has.

    Attributes
    ----------
    method : str
    reason : str
        Why each method that comes first in METHODS was not taken; empty for the first and for one that was asked for.

    Raises
    ------
    InputError
        The network does not have the method that was asked for.
    """

    def __init__(self, classifier: Classifier, method: Method | None = None) -> None:
        if method is not None and method not in METHODS:
            raise InputError(f"There is no method {method!r}; choose one of {', '.join(METHODS)}.")
        self._size = (classifier.preprocessing.height, classifier.preprocessing.width)
        self._layout = classifier.layout
        weight = next(classifier.network.parameters())
        self._device, self._dtype = weight.device, weight.dtype
        reasons: list[str] = []
        for candidate in METHODS if method is None else (method,):
            try:
                self._prepare(candidate, classifier)
            except InputError as error:
                if method is not None:
                    raise
                reasons.append(f"{candidate}: {error}")
            else:
                self.method: Method = candidate
                break
        self.reason = " ".join(reasons)

    def _prepare(self, method: Method, classifier: Classifier) -> None:
        private, name = classifier.private_copy(), classifier.architecture
        if method == "CRP":
            self._steps = trace(private, self._layout.head, *self._size, name)
            return
        if method == "instant map" and self._layout.map is None:
            raise InputError(f"{name} does not pool a feature map into what its head reads.")
        self._linearised = Linearised(private, self._layout, HELD if method == "conservative propagation" else {})
        if method == "conservative propagation":
            self._linearised.check(*self._size, name)

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
        batch = batch.contiguous(memory_format=torch.channels_last)
        if self.method == "CRP":
            return RelevancePass(self._steps, batch, self._layout.stages)
        if self.method == "instant map":
            return InstantPass(self._linearised, batch)
        return GradientPass(self._linearised, batch, self.method)
