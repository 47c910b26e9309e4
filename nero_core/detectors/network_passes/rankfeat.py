"""RankFeat: the energy of the last map without its first singular component."""

from __future__ import annotations

import numpy as np

from nero_core.detectors.base import DetectorInfo, Paper
from nero_core.detectors.network_passes.base import SeesImages
from nero_core.detectors.pytorch_ood.base import in_words, linear
from nero_core.detectors.registry import register
from nero_core.errors import InputError
from nero_core.records import Activations, Float64Array, Head


@register
class RankFeat(SeesImages):
    """Energy of the last map without its first singular component, pooled and through the head."""

    # Far point: not claimed, an energy.
    info = DetectorInfo("rankfeat", "RankFeat", Paper(
        "RankFeat: Rank-1 Feature Removal for Out-of-distribution Detection",
        ("Yue Song", "Nicu Sebe", "Wei Wang"),
        "NeurIPS", 2022, "https://arxiv.org/abs/2209.08590",
    ), needs=frozenset({"source"}), fits=False)  # fmt: skip

    place = "map"

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.source is not None
        self.check_network(train.source.layout, head)

    def _score(self, batch: Activations) -> Float64Array:
        import torch
        from pytorch_ood.detector import RankFeat as Theirs

        opened = self._opened(batch)
        layer = linear(self.head_, torch.float64)
        theirs = Theirs(None, lambda maps: layer(maps.mean(dim=(2, 3))))
        scores: list[Float64Array] = []
        for images in opened.images():
            _, (last,) = opened.forward(images)
            if last.shape[2] * last.shape[3] < 2:
                raise InputError(
                    f"{self.info.title} takes the first singular component from the last map, and this network's has "
                    "one cell: nothing would be left. Leave it out."
                )
            with in_words(self.info.title):
                scores.append(theirs.predict_feature_maps(last.contiguous()).numpy())
        return np.concatenate([np.empty(0), *scores])
