"""Gram: whether the maps of the stages correlate as they do in training images of the predicted class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt

from nero_core.detectors.base import DetectorInfo, Paper
from nero_core.detectors.network_passes.base import Opened, SeesImages, check_channels
from nero_core.detectors.pytorch_ood.base import as_array, as_tensor, in_words
from nero_core.detectors.registry import register
from nero_core.records import Activations, Float64Array, Head, IntArray
from nero_core.storage.typed import ABOVE_ZERO, Range, Shape

if TYPE_CHECKING:
    from torch import Tensor

SEED = 0
"""Of the split that is drawn among the training images."""


class Loader:
    """What the library takes for a data loader: batches of images with their labels."""

    def __init__(self, opened: Opened, labels: IntArray) -> None:
        self._opened, self._labels = opened, labels

    def __len__(self) -> int:
        return len(self._labels)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        import torch

        start = 0
        for images in self._opened.images():
            yield images, torch.from_numpy(self._labels[start : start + len(images)])
            start += len(images)


def gram_rows(maps: Tensor, order: int) -> Tensor:
    """Sums of the rows of the Gram matrix of (n, c, h, w), its order-th root, (n, c).

    Σ_c' Σ_x F_cx F_c'x = Σ_x F_cx (Σ_c' F_c'x): the c² entries, which the library adds up, are not needed.

    Parameters
    ----------
    maps : (n, c, h, w)
    """
    powers = (maps**order).flatten(start_dim=2)
    rows = (powers @ powers.sum(dim=1).unsqueeze(2)).squeeze(2)
    return rows.sign() * rows.abs() ** (1 / order)


@register
class Gram(SeesImages):
    """S = Σ over stages of how far the rows of Gram matrices leave the range of the training images of class ŷ.

    Orders 1 to the number of stages; each stage's deviation is divided by its mean over a tenth of the training
    images, drawn with a fixed seed and held out of the ranges.
    """

    # Far point: not claimed, it reads maps, not the feature vector.
    info = DetectorInfo("gram", "Gram", Paper(
        "Detecting Out-of-Distribution Examples with Gram Matrices",
        ("Chandramouli Shama Sastry", "Sageev Oore"),
        "ICML", 2020, "https://arxiv.org/abs/1912.12510",
    ), needs=frozenset({"source"}))  # fmt: skip
    place = "stages"
    lowest_: Annotated[Float64Array, Shape("orders", "K", "channels")]
    """Smallest value of each Gram row."""
    highest_: Annotated[Float64Array, Shape("orders", "K", "channels")]
    """Largest value of each."""
    scale_: Annotated[Float64Array, Shape("stages", values=ABOVE_ZERO)]
    """Mean deviation of held-out training images."""
    channels_: Annotated[IntArray, Shape("stages", values=Range(1))]
    """Channels of each."""

    def _theirs(self, batch: Activations) -> tuple[Any, Opened]:
        from pytorch_ood.detector import Gram as Theirs

        opened = self._opened(batch)
        theirs = Theirs(None, list(opened.taps), self.head_.classes)
        theirs.to("cpu")
        # The library runs a chain of layers; a network is not always one, and its taps give the same maps.
        theirs._create_feature_list = opened.forward
        theirs._gram_vector = gram_rows
        return theirs, opened

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        import torch

        from nero_core.network.random_state import global_generator

        assert train.labels is not None
        theirs, opened = self._theirs(train)
        with global_generator(SEED), in_words(self.info.title):
            theirs.fit(Loader(opened, train.labels))
        self.channels_ = np.asarray([stage[0].shape[1] for stage in theirs.feature_min])
        self.lowest_ = as_array(torch.cat([torch.stack(stage) for stage in theirs.feature_min], dim=2))
        self.highest_ = as_array(torch.cat([torch.stack(stage) for stage in theirs.feature_max], dim=2))
        self.scale_ = as_array(theirs.layer_norm)

    def _restore(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        super()._restore(arrays)
        check_channels(self.channels_, self.lowest_.shape[2], self.info.title)

    def _score(self, batch: Activations) -> Float64Array:
        import torch

        theirs, opened = self._theirs(batch)
        sizes = self.channels_.tolist()
        theirs.feature_min, theirs.feature_max = (
            [list(stage) for stage in as_tensor(bounds, torch.float64).split_with_sizes(sizes, dim=2)]
            for bounds in (self.lowest_, self.highest_)
        )
        theirs.layer_norm = as_tensor(self.scale_, torch.float64)
        scores: list[Float64Array] = []
        for images in opened.images():
            with in_words(self.info.title):
                scores.append(theirs.predict_structured(*opened.forward(images)).double().numpy())
        return np.concatenate([np.empty(0), *scores])
