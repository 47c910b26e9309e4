"""zennit's composite `EpsilonPlusFlat`, run by zennit-crp.

Epsilon for linear layers, z-plus (Montavon et al., 2017) for convolutions, flat (Lapuschkin et al., 2019) for the first
of them: the rules of our own CRP, by the library that they are held against.
"""

from __future__ import annotations

from zennit.composites import Composite, EpsilonPlusFlat

from nero_core.attribution.base import register_method
from nero_core.attribution.zennit_crp import CompositeMethod
from nero_core.wording import message


@register_method
class ZennitEpsilonPlusFlat(CompositeMethod):
    """The rules of CRP, as zennit-crp runs them."""

    title = "EpsilonPlusFlat"
    meaning = message("the rules of CRP run by the library zennit-crp: slower, to check CRP against")

    def composite(self) -> Composite:
        return EpsilonPlusFlat(canonizers=self.canonizers())
