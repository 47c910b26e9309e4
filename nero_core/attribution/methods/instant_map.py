"""The instant map: r_j · A_j / Σ A_j at the resolution of the last feature map, without a way down to the pixels."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from nero_core.attribution.base import as_array, register_method
from nero_core.attribution.instant import instant_maps
from nero_core.attribution.linearised import GradientMethod, GradientPass, Linearised
from nero_core.errors import InputError
from nero_core.network.classifier import Classifier
from nero_core.records import Float32Array
from nero_core.wording import message

OF_STAGES = "gradient × input"
"""By which method the maps of stages are made, whose channels are not what the head reads."""


@register_method
class InstantMap(GradientMethod):
    """For networks that pool a feature map into what their head reads."""

    title = "instant map"
    meaning = message("the last feature map weighted by relevance: coarse, and nothing is handed back to the pixels")

    def __init__(self, classifier: Classifier) -> None:
        """Prepare a copy of the network.

        Raises
        ------
        InputError
            The network does not pool a feature map into what its head reads.
        """
        if classifier.layout.map is None:
            raise InputError(f"{classifier.architecture} does not pool a feature map into what its head reads.")
        super().__init__(classifier)

    def _open(self, image: Tensor) -> InstantPass:
        return InstantPass(self._linearised, image)


class InstantPass(GradientPass):
    """The maps of one image at the resolution of the last feature map, enlarged; of stages, gradient × input."""

    def __init__(self, linearised: Linearised, image: Tensor) -> None:
        super().__init__(linearised, image, InstantMap.title)
        name = cast(str, self._layout.map)
        self._map = as_array(self._layout.channels_first(name, self._values[name])[0])

    def method_at(self, stage: str | None) -> str:
        return self.method if stage is None else OF_STAGES

    def overall(self) -> Float32Array:
        r = self._relevance(None)
        whole = instant_maps(r, self._map, range(len(r))).sum(axis=0)
        return cast(Float32Array, self._enlarged(whole[None])[0])

    def _maps(self, neurons: npt.NDArray[np.int64], stage: str | None) -> Float32Array:
        if stage is not None:
            return super()._maps(neurons, stage)
        return self._enlarged(instant_maps(self._relevance(None), self._map, neurons.tolist()))

    def _enlarged(self, maps: npt.NDArray[np.float64]) -> Float32Array:
        cells = torch.from_numpy(maps)[None]
        height, width = self._size
        shares = maps.shape[1] * maps.shape[2] / (height * width)
        return as_array(F.interpolate(cells, (height, width), mode="bilinear")[0] * shares)
