"""Concept Relevance Propagation by our own rules: relevance brought down step by step.

Source: Achtibat et al., "From attribution maps to human-understandable explanations through Concept Relevance
Propagation", 2023, doi 10.1038/s42256-023-00711-8. The rules are those that zennit calls `EpsilonPlusFlat`.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nero_core.attribution.base import AttributionPass, HeatmapMethod, as_array, register_method
from nero_core.attribution.tracing import IMAGE, Steps, trace
from nero_core.network.classifier import Classifier
from nero_core.records import Float32Array
from nero_core.wording import message


@register_method
class ConceptRelevancePropagation(HeatmapMethod):
    """For networks that call nothing but functions with a rule (:mod:`~nero_core.attribution.rules`)."""

    title = "CRP"
    meaning = message(
        "Concept Relevance Propagation: relevance handed back from the answer to the pixels, layer by layer"
    )

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(classifier)
        self._stages = classifier.layout.stages
        self._steps = trace(classifier.private_copy(), classifier.layout.head, *self.size, classifier.architecture)

    def _open(self, image: Tensor) -> RelevancePass:
        return RelevancePass(self._steps, image, self._stages)


class RelevancePass(AttributionPass):
    """The maps of one image from one way up through a list of rules, and one way down per few questions."""

    def __init__(self, steps: Steps, image: Tensor, stages: tuple[str, ...]) -> None:
        super().__init__(ConceptRelevancePropagation.title, (image.shape[2], image.shape[3]), stages)
        self._steps = steps
        with torch.no_grad():
            logits, self._downs = steps.up(image)
        # Relevance starts from the whole softmax vector (Chhetri et al., 2025), not from one class.
        self._arrived = {steps.logits: logits.softmax(dim=1)}

    def overall(self) -> Float32Array:
        return cast(Float32Array, self._pixels(self._arrived[self._steps.logits], self._steps.logits)[0])

    def _relevance(self, stage: str | None) -> Float32Array:
        at_place = self._relevance_at(self._place(stage))[0]
        return as_array(at_place.flatten(1).sum(dim=1) if at_place.ndim > 1 else at_place)

    def _maps(self, neurons: npt.NDArray[np.int64], stage: str | None) -> Float32Array:
        place = self._place(stage)
        relevance = self._relevance_at(place)
        conditioned = relevance.new_zeros(len(neurons), *relevance.shape[1:])
        for row, neuron in enumerate(neurons):
            conditioned[row, neuron] = relevance[0, neuron]
        return self._pixels(conditioned, place)

    def _place(self, stage: str | None) -> int:
        if stage is None:
            return self._steps.features
        if stage not in self._steps.places:
            raise self._no_stage(stage)
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
            return as_array(self._steps.down(self._downs, relevance, place, IMAGE).sum(dim=1))
