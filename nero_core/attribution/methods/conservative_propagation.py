"""Conservative propagation: gradient × input, with those parts held constant that make a network more than linear.

Source: Ali et al., "XAI for Transformers: better explanations through conservative propagation", ICML 2022.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from nero_core.attribution.base import HeatmapMethod, register_method
from nero_core.attribution.holding import HELD
from nero_core.attribution.linearised import GradientPass, Linearised

if TYPE_CHECKING:
    from nero_core.network.classifier import Classifier


@register_method
class ConservativePropagation(HeatmapMethod):
    """For networks with attention or layer norms (:mod:`~nero_core.attribution.holding`)."""

    title = "conservative propagation"
    meaning = "gradient × input with attention and norms held still, so that relevance keeps its sum"

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(classifier)
        self._linearised = Linearised(classifier.private_copy(), classifier.layout, HELD)
        self._linearised.check(*self.size, classifier.architecture)

    def _open(self, image: Tensor) -> GradientPass:
        return GradientPass(self._linearised, image, self.title)
