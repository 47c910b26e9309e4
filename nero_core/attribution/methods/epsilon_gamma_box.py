"""zennit's composite `EpsilonGammaBox`, run by zennit-crp.

Epsilon for linear layers, gamma with γ = 0.25 (Montavon et al., 2019) for convolutions, and for the first of them the
box rule (Montavon et al., 2017), which knows between which values a pixel can lie.
"""

from __future__ import annotations

import torch
from torch import Tensor
from zennit.composites import Composite, EpsilonGammaBox

from nero_core.attribution.base import register_method
from nero_core.attribution.zennit_crp import CompositeMethod
from nero_core.wording import message

BLACK, WHITE = 0.0, 1.0
"""The least and the greatest value of a pixel before preprocessing shifts and scales it."""


@register_method
class ZennitEpsilonGammaBox(CompositeMethod):
    """Sharper than flat: the first layer hands relevance to single pixels."""

    title = "EpsilonGammaBox"
    meaning = message(
        "relevance down to single pixels: what speaks for is favoured in each convolution, and pixels have bounds"
    )

    def composite(self) -> Composite:
        return EpsilonGammaBox(self._bound(BLACK), self._bound(WHITE), canonizers=self.canonizers())

    def _bound(self, grey: float) -> Tensor:
        """A grey as the network sees it, (1, 3, 1, 1)."""
        mean, deviation = (torch.tensor(values) for values in (self._preprocessing.mean, self._preprocessing.std))
        return ((grey - mean) / deviation).to(self._device, self._dtype)[None, :, None, None]
