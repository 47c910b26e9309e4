"""The images behind some activations, for detectors that have to touch the network again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from nero_core.data.images import preprocess, read_image
from nero_core.network.extraction import BATCH_SIZE, Rows
from nero_core.records import Activations, Float32Array, Source

if TYPE_CHECKING:
    from nero_core.network.classifier import Classifier


class Images:
    """The images behind some activations, readable once more; see :class:`~nero_core.records.ImageSource`."""

    def __init__(self, classifier: Classifier, images: Sequence[Source]) -> None:
        self._classifier, self._images = classifier, images
        self.layout = classifier.layout
        self.deviation = classifier.preprocessing.std

    def network(self) -> nn.Module:
        """A copy that belongs to the caller."""
        return self._classifier.private_copy()

    def batches(self) -> Iterator[Float32Array]:
        """The preprocessed images, BATCH_SIZE at a time."""
        for start in range(0, len(self._images), BATCH_SIZE):
            yield np.stack([self._classifier.prepare(image) for image in self._images[start : start + BATCH_SIZE]])

    def pictures(self) -> Iterator[Image.Image]:
        """The images as they are, RGB, one by one."""
        yield from (read_image(image) for image in self._images)

    def prepared(self, picture: Image.Image, scale: float) -> Float32Array:
        """A whole RGB picture for the network, (3, H, W), at so many times its own input size; nothing is cropped."""
        own = self._classifier.preprocessing
        height, width = round(scale * own.height), round(scale * own.width)
        return preprocess(picture, replace(own, height=height, width=width, crop_share=None))

    def forward(self, images: Float32Array) -> Activations:
        """What the network gives for preprocessed images, BATCH_SIZE at a time.

        Parameters
        ----------
        images : (n, 3, H, W)
        """
        rows = Rows(len(images), None)
        for start in range(0, len(images), BATCH_SIZE):
            chunk = np.ascontiguousarray(images[start : start + BATCH_SIZE], np.float32)
            rows.add(self._classifier.forward(torch.from_numpy(chunk), np.arange(start, start + len(chunk))))
        return rows.activations(None)

    def __getitem__(self, rows: slice | Sequence[int] | npt.NDArray[np.generic]) -> Images:
        chosen = np.arange(len(self._images))[rows if isinstance(rows, slice) else np.asarray(rows)]
        return Images(self._classifier, [self._images[row] for row in chosen])
