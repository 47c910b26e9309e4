"""SmoothGrad, run by zennit: gradient × input, the gradient averaged over noisy copies of the image.

Source: Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017, arXiv 1706.03825.
"""

from __future__ import annotations

from torch import Tensor
from zennit.attribution import SmoothGrad as ZennitSmoothGrad

from nero_core.attribution.base import HeatmapMethod, OverallMap, as_array, register_method
from nero_core.attribution.private_network import PrivateNetwork
from nero_core.network.classifier import Classifier
from nero_core.network.random_state import global_generator
from nero_core.records import Float32Array
from nero_core.wording import message

NOISE_LEVEL = 0.1
"""Standard deviation of the noise, as a share of the image's range: zennit's default; the paper advises 0.1 to 0.2."""

COPIES = 20
"""Copies that are averaged, the last without noise: zennit's default."""

SEED = 0
"""Of the noise, so that an image has one map."""


@register_method
class SmoothGrad(HeatmapMethod):
    """For any network.

    The answer is Σ_k p_k z_k: logits z weighted by the softmax p of the image itself, held constant.
    """

    title = "SmoothGrad"
    meaning = message(
        "gradient × input, the gradient averaged over {n} noisy copies of the image: less noisy, and slow", n=COPIES
    )
    single_neurons = False

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(classifier)
        self._network = PrivateNetwork(classifier.private_copy)

    def _open(self, image: Tensor) -> OverallMap:
        return OverallMap(self.title, self.size, lambda: self._map(image))

    def _map(self, image: Tensor) -> Float32Array:
        with self._network.borrowed() as network, global_generator(SEED, image.device):
            weights = network(image).softmax(dim=1)
            smooth = ZennitSmoothGrad(network, attr_output=weights, noise_level=NOISE_LEVEL, n_iter=COPIES)
            _, gradient = smooth(image)
        return as_array((image * gradient).sum(dim=1)[0])
