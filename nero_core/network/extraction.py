"""What one pass through a network gives, batch by batch, and how batches become one record."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nero_core.data.input_checks import Check
from nero_core.data.near_duplicates import HashArray
from nero_core.errors import InputError
from nero_core.records import Activations, Float32Array, FloatArray, IntArray

BATCH_SIZE = 32
"""Images in one pass."""

STAGE = "stage:"
"""Before the names of stages, where arrays of several kinds are together."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Some of the images of a stream.

    Attributes
    ----------
    rows : (n,) int64
        Positions of these images in the list that was asked for.
    activations : Activations
    places : (n, d) int64 or None
        Where each channel of the last map peaks, as an index into its h·w cells; None without a map.
    grid : (int, int) or None
        h and w of that map.
    hashes : (n,) uint64 or None
        How the images look (:func:`~nero_core.data.near_duplicates.difference_hash`), where it was asked for.
    checks : n tuples of Check, or None
        What is noticed about the images (:func:`~nero_core.data.input_checks.check_image`), where it was asked for.
    """

    rows: IntArray
    activations: Activations
    places: IntArray | None
    grid: tuple[int, int] | None
    hashes: HashArray | None = None
    checks: tuple[tuple[Check, ...], ...] | None = None


class Rows:
    """Rows of activations gathered batch by batch into arrays allocated once, in memory or in mapped files."""

    def __init__(self, count: int, spool: Path | None) -> None:
        self._count, self._spool, self._filled = count, spool, 0
        self._arrays: dict[str, Float32Array] = {}
        self._kept: list[IntArray] = []

    def _array(self, name: str, width: int) -> Float32Array:
        if name not in self._arrays:
            shape = (self._count, width)
            if self._spool is None:
                self._arrays[name] = np.empty(shape, np.float32)
            else:
                with tempfile.NamedTemporaryFile(dir=self._spool, suffix=".rows", delete=False) as file:
                    self._arrays[name] = np.memmap(file, np.float32, "w+", shape=shape)
        return self._arrays[name]

    def add(self, batch: Batch) -> None:
        """Append the rows of one batch."""
        reached = self._filled + len(batch.activations)
        for name, values in arrays_of(batch.activations).items():
            self._array(name, values.shape[1])[self._filled : reached] = values
        self._filled = reached
        self._kept.append(batch.rows)

    def kept(self) -> IntArray:
        """Positions of the images whose rows were added."""
        return np.concatenate(self._kept)

    def activations(self, labels: IntArray | None) -> Activations:
        """Everything added so far as one record.

        Parameters
        ----------
        labels : (n,) int64, optional
            Of all images, also of those that could not be read.

        Raises
        ------
        InputError
            Nothing was added.
        """
        if not self._filled:
            raise InputError(f"None of the {self._count} images could be read; give at least one readable image.")
        filled = {name: array[: self._filled] for name, array in self._arrays.items()}
        return activations_of(filled, None if labels is None else np.asarray(labels)[self.kept()])


def arrays_of(activations: Activations) -> dict[str, FloatArray]:
    """Everything but the labels by name: features, logits, peaks and the statistics of each stage."""
    arrays = {"features": activations.features, "logits": activations.logits}
    if activations.peaks is not None:
        arrays["peaks"] = activations.peaks
    return arrays | {STAGE + name: values for name, values in (activations.stages or {}).items()}


def activations_of(arrays: Mapping[str, FloatArray], labels: IntArray | None = None) -> Activations:
    """The activations whose arrays have these names; see :func:`arrays_of`.

    Parameters
    ----------
    labels : (n,) int64, optional
    """
    stages = {name.removeprefix(STAGE): array for name, array in arrays.items() if name.startswith(STAGE)}
    return Activations(arrays["features"], arrays["logits"], labels, peaks=arrays.get("peaks"), stages=stages or None)


def cells(feature_map: Tensor) -> Tensor:
    """(n, c, h, w) → (n, h·w, c), without a copy where the memory is channels-last.

    Parameters
    ----------
    feature_map : (n, c, h, w)
    """
    return feature_map.permute(0, 2, 3, 1).flatten(1, 2)


def mean_and_deviation(feature_map: Tensor) -> Tensor:
    """Per channel the mean and the (population) standard deviation over space, (n, 2c).

    Parameters
    ----------
    feature_map : (n, c, h, w)
    """
    # Two plain means are ten times faster on a CPU than torch.var_mean, which walks the channels one by one.
    values = cells(feature_map)
    mean = values.mean(dim=1, keepdim=True)
    deviation = (values - mean).square_().mean(dim=1).sqrt_()
    return torch.cat([mean[:, 0], deviation], dim=1)
