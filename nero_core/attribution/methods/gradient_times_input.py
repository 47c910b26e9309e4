"""Gradient × input of the network as it is; every network has it.

Source: Shrikumar et al., "Not just a black box: learning important features through propagating activation
differences", 2016.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from nero_core.attribution.base import HeatmapMethod, register_method
from nero_core.attribution.linearised import GradientPass, Linearised

if TYPE_CHECKING:
    from nero_core.network.classifier import Classifier


@register_method
class GradientTimesInput(HeatmapMethod):
    """For any network."""

    title = "gradient × input"
    meaning = "how steeply the answer changes with each pixel, times the pixel: it is noisy"

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(classifier)
        self._linearised = Linearised(classifier.private_copy(), classifier.layout, {})

    def _open(self, image: Tensor) -> GradientPass:
        return GradientPass(self._linearised, image, self.title)
