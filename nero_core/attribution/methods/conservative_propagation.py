"""Conservative propagation: gradient × input, with those parts held constant that make a network more than linear.

Source: Ali et al., "XAI for Transformers: better explanations through conservative propagation", ICML 2022.
"""

from __future__ import annotations

from nero_core.attribution.base import register_method
from nero_core.attribution.holding import HELD
from nero_core.attribution.linearised import GradientMethod
from nero_core.network.classifier import Classifier
from nero_core.wording import message


@register_method
class ConservativePropagation(GradientMethod):
    """For networks with attention or layer norms (:mod:`~nero_core.attribution.holding`)."""

    title = "conservative propagation"
    meaning = message("gradient × input with attention and norms held still, so that relevance keeps its sum")
    table = HELD

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(classifier)
        self._linearised.check(*self.size, classifier.architecture)
