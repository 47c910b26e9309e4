"""Pictures at a network's input size: kept in memory where they fit, else decoded ahead of each batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from nero_core.data.class_folders import LabelledImages
from nero_core.data.decoding import decode_each
from nero_core.data.images import DECODING_THREADS, displayed, read_image
from nero_core.data.near_duplicates import HashArray, difference_hash
from nero_core.data.preprocessing import Preprocessing
from nero_core.records import IntArray, Progress

Pixels = npt.NDArray[np.uint8]

KEPT_BYTES = 2 * 2**30
"""Pictures at input size stay in memory up to this; of more, every epoch decodes its own."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """n pictures at the network's input size: kept in memory, or decoded for each batch."""

    images: LabelledImages
    preprocessing: Preprocessing
    kept: Sequence[Pixels] | None

    def select(self, part: LabelledImages) -> Pictures:
        """The pictures of one part of the images."""
        if self.kept is None:
            return Pictures(part, self.preprocessing, None)
        row = {path: number for number, path in enumerate(self.images.paths)}
        return Pictures(part, self.preprocessing, [self.kept[row[path]] for path in part.paths])

    def batches(self, order: Sequence[IntArray]) -> Iterator[tuple[Tensor, Tensor]]:
        """Per entry of `order` the pictures (n, 3, H, W) uint8 and their labels; the next is decoded meanwhile."""
        pool = ThreadPoolExecutor(DECODING_THREADS)
        ahead: list[list[Future[Pixels]]] = []
        try:
            for number, rows in enumerate(order):
                for wanted in order[number + len(ahead) : number + 2]:
                    ahead.append([pool.submit(self._pixels, int(row)) for row in wanted])
                pixels = np.stack([future.result() for future in ahead.pop(0)])
                yield torch.from_numpy(pixels).permute(0, 3, 1, 2), torch.from_numpy(self.images.labels[rows])
        finally:
            pool.shutdown(cancel_futures=True)

    def inputs(self, pixels: Tensor) -> Tensor:
        """Pictures as the network's input, as :func:`~nero_core.data.images.preprocess` makes it.

        Parameters
        ----------
        pixels : (n, 3, H, W) uint8

        Returns
        -------
        (n, 3, H, W) float32
        """
        mean, std = (torch.tensor(each)[:, None, None] for each in (self.preprocessing.mean, self.preprocessing.std))
        return (pixels.float() / 255 - mean) / std

    def _pixels(self, row: int) -> Pixels:
        if self.kept is not None:
            return self.kept[row]
        return np.asarray(displayed(read_image(self.images.paths[row]), self.preprocessing))


def decode_pictures(
    images: LabelledImages, preprocessing: Preprocessing, progress: Progress
) -> tuple[Pictures, HashArray, dict[str, str]]:
    """Pictures and difference hashes of all readable images in one pass, and {path: reason} of the others."""
    keep = len(images) * preprocessing.height * preprocessing.width * 3 <= KEPT_BYTES

    def use(image: Image.Image) -> tuple[int, Pixels | None]:
        return difference_hash(image), np.asarray(displayed(image, preprocessing)) if keep else None

    results, unreadable = decode_each(images.paths, use, progress)
    readable = [row for row, result in enumerate(results) if result is not None]
    kept = [result[1] for result in results if result is not None and result[1] is not None]
    pictures = Pictures(images.select(readable), preprocessing, kept if keep else None)
    hashes = np.array([result[0] for result in results if result is not None], dtype=np.uint64)
    return pictures, hashes, {str(images.paths[row]): reason for row, reason in unreadable.items()}
