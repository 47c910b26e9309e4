"""Integrated gradients, run by zennit: gradients summed along the way from a grey image to this one.

Source: Sundararajan et al., "Axiomatic attribution for deep networks", ICML 2017, arXiv 1703.01365.
"""

from __future__ import annotations

from torch import Tensor
from zennit.attribution import IntegratedGradients as ZennitIntegratedGradients

from nero_core.attribution.base import HeatmapMethod, OverallMap, as_array, register_method
from nero_core.attribution.private_network import PrivateNetwork
from nero_core.network.classifier import Classifier
from nero_core.records import Float32Array
from nero_core.wording import message

STEPS = 20
"""Steps from the baseline to the image: zennit's default, and the least that the paper advises."""


@register_method
class IntegratedGradients(HeatmapMethod):
    """For any network.

    The answer is Σ_k p_k z_k: logits z weighted by the softmax p of the image itself, held constant. The baseline is 0
    in the network's input, the mean colour of the images that preprocessing was made for. With many steps the map sums
    to the answer of the image less that of the baseline.
    """

    title = "integrated gradients"
    meaning = message(
        "gradients summed over {n} steps from a plain grey image to this one, times the difference: slow", n=STEPS
    )
    single_neurons = False

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(classifier)
        self._network = PrivateNetwork(classifier.private_copy)

    def _open(self, image: Tensor) -> OverallMap:
        return OverallMap(self.title, self.size, lambda: self._map(image))

    def _map(self, image: Tensor) -> Float32Array:
        with self._network.borrowed() as network:
            weights = network(image).softmax(dim=1)
            _, relevance = ZennitIntegratedGradients(network, attr_output=weights, n_iter=STEPS)(image)
        return as_array(relevance.sum(dim=1)[0])
