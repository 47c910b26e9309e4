"""Where in the image the network, or one of its neurons, looked.

A heatmap method is one file in :mod:`~nero_core.attribution.methods` with a class in the registry
(:data:`~nero_core.attribution.base.METHODS`). Where nobody chooses, a network is explained by the first that it has of

* **CRP**, Concept Relevance Propagation, for convolutional networks: relevance comes down by the rules that zennit
  calls `EpsilonPlusFlat` (:mod:`~nero_core.attribution.rules`, :mod:`~nero_core.attribution.tracing`).
* **conservative propagation**, for networks with attention or layer norms
  (:mod:`~nero_core.attribution.holding`).
* **instant map**: r_j · A_j / Σ A_j at the resolution of the last feature map, without any backward pass.
* **gradient × input**, which every network has.

Three more are run by zennit-crp under zennit's composites (:mod:`~nero_core.attribution.zennit_crp`), and two by
zennit, SmoothGrad and integrated gradients.

In each, relevance starts from the whole softmax vector. Nothing is hooked into a network that scores, and no weight of
it is swapped: a private copy is run.
"""

from nero_core.attribution import methods
from nero_core.attribution.attribution import EXACT, PREFERRED, Attribution, Attributions, fits_of, fitting, supports
from nero_core.attribution.base import (
    METHODS,
    AttributionPass,
    Fit,
    HeatmapMethod,
    OverallMap,
    describe_methods,
    register_method,
    share_arriving,
)
from nero_core.attribution.families import FAMILIES, Family, describe_families
from nero_core.attribution.instant import instant_maps
from nero_core.entry_points import load_entry_points

ENTRY_POINTS = "nero.heatmaps"
"""Under this group other packages name the modules that register their methods."""

load_entry_points(ENTRY_POINTS)

__all__ = [
    "ENTRY_POINTS", "EXACT", "FAMILIES", "METHODS", "PREFERRED", "Attribution", "AttributionPass", "Attributions",
    "Family", "Fit", "HeatmapMethod", "OverallMap", "describe_families", "describe_methods", "fits_of", "fitting",
    "instant_maps", "methods", "register_method", "share_arriving", "supports",
]  # fmt: skip
