"""NAC: how well the training images cover the states that an image puts the neurons of each stage into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt

from nero_core.detectors.base import DetectorInfo, Paper
from nero_core.detectors.network_passes.base import SeesImages, check_channels
from nero_core.detectors.registry import register
from nero_core.errors import InputError
from nero_core.records import Activations, Float64Array, Head, IntArray
from nero_core.storage.typed import ABOVE_ZERO, AT_LEAST_ZERO, AboveZero, AtLeastOne, Range, Shape

if TYPE_CHECKING:
    from torch import Tensor

SPREAD_IMAGES = 100
"""Training images from which the steepness is derived."""

BINS = Range(2, 10_000)
"""Per neuron. The paper and the library have tens."""

OUTERMOST = float(np.log((1 - 1e-6) / 1e-6))
"""α·p at the outermost edges of the library's bins, sigmoid⁻¹(1 − 10⁻⁶)."""


@register
class NAC(SeesImages):
    """S = −Σ over stages of the mean coverage min(count/O, 1) of the bins that the image's neurons fall into.

    A neuron's state is sigmoid(α·p), p = mean over space of map ∗ ∂KL(uniform ‖ softmax)/∂map; the training images
    fill the bins. The paper tunes α and O per stage on out-of-distribution images.

    Parameters
    ----------
    bins : int
        Per neuron; the library's 50.
    alpha : float, optional
        Steepness of the sigmoid. Where it is not given, it spreads each stage's states over the bins: 99 % of ``|p|``
        on training images lie within the outermost edges.
    full_count : int, optional
        O, from which a bin counts as covered. Where it is not given, n/bins: what each bin would hold if all were
        alike.
    """

    # Far point: not claimed, beyond the outermost bins nothing changes.
    info = DetectorInfo("nac", "NAC", Paper(
        "Neuron Activation Coverage: Rethinking Out-of-distribution Detection and Generalization",
        ("Yibing Liu", "Chris Xing Tian", "Haoliang Li", "Lei Ma", "Shiqi Wang"),
        "ICLR", 2024, "https://arxiv.org/abs/2306.02879",
    ), needs=frozenset({"source"}))  # fmt: skip
    place = "stages"
    counts_: Annotated[IntArray, Shape("channels", "bins", values=AT_LEAST_ZERO)]
    """Training images per bin."""
    channels_: Annotated[IntArray, Shape("stages", values=Range(1))]
    """Channels of each."""
    alpha_: Annotated[Float64Array, Shape("stages", values=ABOVE_ZERO)]
    """α."""
    full_count_: Annotated[IntArray, Shape(values=Range(1))]
    """O."""

    def __init__(
        self, bins: Annotated[int, BINS] = 50, alpha: AboveZero | None = None, full_count: AtLeastOne | None = None
    ) -> None:
        self.bins = bins
        self.alpha = alpha
        self.full_count = full_count

    def _responses(self, batch: Activations) -> Iterator[list[Tensor]]:
        """p of each image, one (1, channels) per stage; the gradients of all stages from one way down."""
        import torch

        # Bins have edges: in a batch, the rounding of float32 could put an image on another side of one.
        opened = self._opened(batch, one_by_one=True)
        for image in opened.images():
            with torch.enable_grad():
                p_of_classes = opened.network(image.requires_grad_()).softmax(dim=1)
                divergence = -torch.log(p_of_classes + 1e-12).mean(dim=1).sum()
                maps = [opened.seen[name] for name in opened.taps]
                gradients = torch.autograd.grad(divergence, maps)
            states = [seen.detach() * gradient for seen, gradient in zip(maps, gradients, strict=True)]
            yield [state.flatten(start_dim=2).mean(dim=2).cpu() for state in opened.channels_first(states)]

    def _bins(self, p: Tensor, alpha: float) -> Tensor:
        """The bin of each state sigmoid(α·p), (1, channels)."""
        import torch
        from pytorch_ood.detector.nac import _bin_indices_geometric

        bins: Tensor = _bin_indices_geometric(torch.sigmoid(alpha * p), m=self.bins)
        return bins

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.source is not None
        stages = len(self._tapped(train.source.layout))
        full = max(1, len(train) // self.bins) if self.full_count is None else self.full_count
        first = np.unique(np.linspace(0, len(train) - 1, SPREAD_IMAGES).astype(int))
        seen = list(self._responses(train[first]))
        self.full_count_ = np.asarray(full)
        self.channels_ = np.asarray([p.shape[1] for p in seen[0]])
        self.alpha_ = self._spread(seen) if self.alpha is None else np.full(stages, float(self.alpha))
        counts = [np.zeros((channels, self.bins), np.int64) for channels in self.channels_]
        for responses in chain(seen, self._responses(train[np.setdiff1d(np.arange(len(train)), first)])):
            for stage, (p, alpha) in enumerate(zip(responses, self.alpha_, strict=True)):
                counts[stage][np.arange(p.shape[1]), self._bins(p, float(alpha))[0].numpy()] += 1
        self.counts_ = np.concatenate(counts)

    def _spread(self, seen: Sequence[Sequence[Tensor]]) -> Float64Array:
        """α per stage from ``|p|`` of some training images."""
        sizes = [
            np.quantile(np.concatenate([np.abs(p.numpy()) for p in stage]), 0.99) for stage in zip(*seen, strict=True)
        ]
        return OUTERMOST / np.maximum(sizes, np.finfo(np.float32).tiny)

    def _restore(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        super()._restore(arrays)
        channels, bins = self.counts_.shape
        check_channels(self.channels_, channels, self.info.title)
        if bins != self.bins:
            raise InputError(f"`counts_` of {self.info.title} has {bins} bins; wanted {self.bins}, as `bins` says.")

    def _score(self, batch: Activations) -> Float64Array:
        stages = np.split(self.counts_, np.cumsum(self.channels_)[:-1])
        coverage = [np.minimum(counts / self.full_count_, 1) for counts in stages]
        scores = [
            -sum(
                covered[np.arange(len(covered)), self._bins(p, float(alpha))[0].numpy()].mean()
                for p, alpha, covered in zip(responses, self.alpha_, coverage, strict=True)
            )
            for responses in self._responses(batch)
        ]
        return np.asarray(scores, np.float64)
