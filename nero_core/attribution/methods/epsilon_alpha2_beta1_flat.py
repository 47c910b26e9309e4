"""zennit's composite `EpsilonAlpha2Beta1Flat`, run by zennit-crp.

Epsilon for linear layers, α = 2 and β = 1 (Bach et al., 2015) for convolutions, flat for the first of them.
"""

from __future__ import annotations

from zennit.composites import Composite, EpsilonAlpha2Beta1Flat

from nero_core.attribution.base import register_method
from nero_core.attribution.zennit_crp import CompositeMethod
from nero_core.wording import message


@register_method
class ZennitEpsilonAlpha2Beta1Flat(CompositeMethod):
    """What spoke against counts, too, half as much as what spoke for."""

    title = "EpsilonAlpha2Beta1Flat"
    meaning = message(
        "as CRP, but in each convolution what speaks against is counted, too, half as much as what speaks for"
    )

    def composite(self) -> Composite:
        return EpsilonAlpha2Beta1Flat(canonizers=self.canonizers())
