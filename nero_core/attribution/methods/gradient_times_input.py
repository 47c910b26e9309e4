"""Gradient × input of the network as it is; every network has it.

Source: Shrikumar et al., "Not just a black box: learning important features through propagating activation
differences", 2016.
"""

from __future__ import annotations

from nero_core.attribution.base import register_method
from nero_core.attribution.linearised import GradientMethod
from nero_core.wording import message


@register_method
class GradientTimesInput(GradientMethod):
    """For any network."""

    title = "gradient × input"
    meaning = message("how steeply the answer changes with each pixel, times the pixel: it is noisy")
