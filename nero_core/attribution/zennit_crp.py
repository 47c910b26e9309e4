"""Relevance by zennit-crp: `CondAttribution` under one of zennit's composites, on a private copy of the network.

Sources: Anders et al., "Software for dataset-wide XAI: from local explanations to global insights with Zennit, CoRelAy,
and ViRelAy", 2021; Achtibat et al., 2023, doi 10.1038/s42256-023-00711-8 (conditions on single neurons).
"""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from crp.attribution import CondAttribution
from torch import Tensor, nn
from zennit.canonizers import Canonizer
from zennit.composites import Composite
from zennit.torchvision import ResNetCanonizer

from nero_core.attribution.base import AttributionPass, HeatmapMethod, as_array
from nero_core.attribution.private_network import PrivateNetwork
from nero_core.attribution.zennit_rules import check_rules
from nero_core.network.classifier import Classifier
from nero_core.records import Float32Array

FEATURES, LOGITS = "features", "logits"
"""The two parts of a head: conditions are put on the first, since crp puts them on the output of a module."""

GROWN = 10.0
"""Relevance that grows more than so many times on its way down is not that of the answer any more."""


class CompositeMethod(HeatmapMethod):
    """Relevance under one of zennit's composites; a method of this kind says which in `composite`.

    For networks all of whose layers are modules with a rule of zennit's (:mod:`~nero_core.attribution.zennit_rules`).
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(classifier)
        self.layout = classifier.layout
        self.features = f"{self.layout.head}.{FEATURES}"
        self._preprocessing = classifier.preprocessing
        self._network = PrivateNetwork(partial(_with_features, classifier, self.layout.head))
        with self._network.borrowed() as network:
            check_rules(network, self.composite(), *self.size, classifier.architecture)

    @abstractmethod
    def composite(self) -> Composite:
        """A new composite with its canonizers: zennit keeps in it what it has to undo."""

    def canonizers(self) -> list[Canonizer]:
        """What brings a network into the form that rules are for: batch norms merged into convolutions, sums as
        modules."""
        return [ResNetCanonizer()]

    def relevance(
        self, image: Tensor, conditions: Sequence[Mapping[str, Any]], record: Sequence[str] = ()
    ) -> tuple[Float32Array, dict[str, Tensor]]:
        """Maps (k, H, W) of `image` (1, 3, H, W) under k conditions, and relevance (k, …) at some modules."""
        with self._network.borrowed() as network, torch.enable_grad():
            result = CondAttribution(network)(
                image.detach().clone().requires_grad_(),
                list(conditions),
                self.composite(),
                record_layer=list(record),
                # Relevance starts from the whole softmax vector (Chhetri et al., 2025), not from one class.
                init_rel=lambda logits: logits.softmax(dim=1),
            )
            return as_array(result.heatmap), dict(result.relevances)

    def _open(self, image: Tensor) -> CompositePass:
        return CompositePass(self, image)


def _with_features(classifier: Classifier, head: str) -> nn.Module:
    """A private copy whose head is two modules, the features that it reads and the logits that it makes of them."""
    network = classifier.private_copy()
    parent, _, name = head.rpartition(".")
    split = nn.Sequential(OrderedDict({FEATURES: nn.Identity(), LOGITS: network.get_submodule(head)}))
    setattr(network.get_submodule(parent), name, split)
    return network


class CompositePass(AttributionPass):
    """The maps of one image: one way up and down through the network for every few questions."""

    def __init__(self, method: CompositeMethod, image: Tensor) -> None:
        super().__init__(method.title, method.size, method.layout.stages)
        self._method, self._image = method, image
        self._whole: tuple[Float32Array, dict[str, Tensor]] | None = None

    def overall(self) -> Float32Array:
        return self._answer()[0]

    def _answer(self) -> tuple[Float32Array, dict[str, Tensor]]:
        """The map of all relevance, and what arrives at features and stages on the way."""
        if self._whole is None:
            maps, arrived = self._method.relevance(self._image, [{}], [self._method.features, *self.stages])
            self._whole = maps[0], arrived
        return self._whole

    def _relevance(self, stage: str | None) -> Float32Array:
        arrived = self._answer()[1][self._place(stage)][0]
        return as_array(arrived.flatten(1).sum(dim=1) if arrived.ndim > 1 else arrived)

    def _maps(self, neurons: npt.NDArray[np.int64], stage: str | None) -> Float32Array:
        place = self._place(stage)
        return self._method.relevance(self._image, [{place: [int(neuron)]} for neuron in neurons])[0]

    @property
    def caution(self) -> str:
        started = float(np.abs(self._relevance(None)).sum())
        grown = float(np.abs(self.overall()).sum()) / started if started else 0.0
        if grown <= GROWN:
            return ""
        return (
            f"Relevance by {self.method} grew {grown:.0f}-fold on its way to the pixels of this image: its rules "
            "divide by numbers near zero in this network. Do not lean on these maps."
        )

    def _place(self, stage: str | None) -> str:
        if stage is None:
            return self._method.features
        if stage not in self.stages:
            raise self._no_stage(stage)
        return stage
