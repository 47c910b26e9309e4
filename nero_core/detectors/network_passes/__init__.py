"""Detectors that see the images once more: through a gradient, a feature map or the maps of stages."""

from nero_core.detectors.network_passes.gram import Gram
from nero_core.detectors.network_passes.nac import NAC
from nero_core.detectors.network_passes.odin import ODIN
from nero_core.detectors.network_passes.rankfeat import RankFeat

__all__ = ["NAC", "ODIN", "Gram", "RankFeat"]
