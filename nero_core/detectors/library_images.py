"""The library's detectors that see the images again: through a gradient, a feature map or the maps of stages.

Each call works on a copy of the network that is thrown away afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt

from nero_core.detectors.base import Detector, DetectorInfo, register
from nero_core.detectors.library_adapters import as_array, as_tensor, in_words, linear
from nero_core.errors import InputError
from nero_core.records import (
    Activations,
    Float64Array,
    Head,
    ImageSource,
    IntArray,
)
from nero_core.storage.typed import ABOVE_ZERO, AT_LEAST_ZERO, AboveZero, AtLeastOne, Range, Shape

if TYPE_CHECKING:
    from torch import Tensor, nn

SEED = 0
"""Of the split that Gram draws among the training images."""

SPREAD_IMAGES = 100
"""Training images from which NAC's steepness is derived."""

STEPS = Range(-1, 1)
"""Of ODIN's ε: grey values have no further to go."""

BINS = Range(2, 10_000)
"""Of NAC, per neuron. The paper and the library have tens."""

OUTERMOST = float(np.log((1 - 1e-6) / 1e-6))
"""α·p at the outermost edges of the library's bins, sigmoid⁻¹(1 − 10⁻⁶)."""


class Opened:
    """A private copy of a network and its images, with taps on some of its modules."""

    def __init__(self, source: ImageSource, taps: Sequence[str], one_by_one: bool = False) -> None:
        network = source.network().eval().requires_grad_(False)
        self._one_by_one = one_by_one
        self.network, self.source, self.taps = network, source, taps
        self.seen: dict[str, Tensor] = {}
        for name in taps:
            network.get_submodule(name).register_forward_hook(self._keeper(name))

    def _keeper(self, name: str) -> Any:
        def keep(module: nn.Module, args: object, output: Tensor) -> None:
            self.seen[name] = output

        return keep

    def images(self) -> Iterator[Tensor]:
        """The preprocessed batches, where and as the network takes them."""
        import torch

        parameter = next(self.network.parameters())
        for batch in self.source.batches():
            images = torch.from_numpy(batch).to(parameter.device, parameter.dtype)
            yield from images.split(1) if self._one_by_one else [images]  # type: ignore[no-untyped-call]

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits and the tapped maps (n, c, h, w), in float64 where the device has it, without gradients."""
        import torch

        parameter = next(self.network.parameters())
        with torch.no_grad():
            logits = self.network(images.to(parameter.device, parameter.dtype))
        return logits.cpu().double(), self.channels_first([self.seen[name].cpu().double() for name in self.taps])

    def channels_first(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps of the taps as (n, c, h, w), wherever the network has its channels."""
        layout = self.source.layout
        return [layout.channels_first(name, each) for name, each in zip(self.taps, maps, strict=True)]


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
    """
    powers = (maps**order).flatten(start_dim=2)
    rows = (powers @ powers.sum(dim=1).unsqueeze(2)).squeeze(2)
    return rows.sign() * rows.abs() ** (1 / order)


def check_channels(channels: IntArray, wanted: int, title: str) -> None:
    """Refuse channels per stage that do not add up to an array's axis of all of them.

    Raises
    ------
    InputError
        They do not.
    """
    if int(channels.sum()) != wanted:
        raise InputError(f"`channels_` of {title} are {channels.sum()} in all; wanted {wanted}.")


class SeesImages(Detector):
    """A detector that runs the network."""

    def _source(self, batch: Activations) -> ImageSource:
        assert batch.source is not None  # `needs` was checked
        return batch.source

    def _stages(self, batch: Activations) -> tuple[str, ...]:
        stages = self._source(batch).layout.stages
        if not stages:
            raise InputError(
                f"{self.info.title} reads the maps of a network's stages, and this network has none; leave it out."
            )
        return stages


@register
class ODIN(SeesImages):
    """S = −max_k softmax(z(x̂)/T)_k at x̂ = x + ε·sign(∂ log p_ŷ(x; T)/∂x), a step towards the predicted class.

    Parameters
    ----------
    temperature : float
        T; the paper's 1000.
    epsilon : float
        ε in grey values of [0, 1]; the paper's 0.0014 (it tunes ε on out-of-distribution images: this is its
        value for DenseNet on CIFAR-10).
    """

    info = DetectorInfo(
        name="odin",
        title="ODIN",
        paper="Liang et al., ICLR 2018, arXiv 1706.02690",
        year=2018,
        needs=frozenset({"source"}),
        fits=False,
        claims_far_point=False,  # a softmax grows more certain far away
    )

    def __init__(self, temperature: AboveZero = 1000.0, epsilon: Annotated[float, STEPS] = 0.0014) -> None:
        self.temperature = temperature
        self.epsilon = epsilon

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        """Nothing is learnt."""

    def _score(self, batch: Activations) -> Float64Array:
        from pytorch_ood.detector import MaxSoftmax, odin_preprocessing

        source = self._source(batch)
        opened = Opened(source, [])
        scores: list[Float64Array] = []
        for images in opened.images():
            stepped = odin_preprocessing(
                opened.network,
                images,
                eps=self.epsilon,
                temperature=self.temperature,
                norm_std=list(source.deviation),
            )
            # At T = 1000 scores differ in the fourth digit only: float64 from here on.
            logits, _ = opened.forward(stepped)
            scores.append(MaxSoftmax.score(logits, self.temperature).numpy())
        return np.concatenate([np.empty(0), *scores])


@register
class RankFeat(SeesImages):
    """Energy of the last map without its first singular component, pooled and through the head."""

    info = DetectorInfo(
        name="rankfeat",
        title="RankFeat",
        paper="Song et al., NeurIPS 2022, arXiv 2209.08590",
        year=2022,
        needs=frozenset({"source"}),
        fits=False,
        claims_far_point=False,  # an energy
    )

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        self._map(train)

    def _map(self, batch: Activations) -> str:
        place = self._source(batch).layout.map
        if place is None:
            raise InputError(
                f"{self.info.title} reads the map before global pooling, and this network has none; leave it out."
            )
        return place

    def _score(self, batch: Activations) -> Float64Array:
        import torch
        from pytorch_ood.detector import RankFeat as Theirs

        opened = Opened(self._source(batch), [self._map(batch)])
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

    info = DetectorInfo(
        name="nac",
        title="NAC",
        paper="Liu et al., ICLR 2024, arXiv 2306.02879",
        year=2024,
        needs=frozenset({"source"}),
        claims_far_point=False,  # beyond the outermost bins nothing changes
    )
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
        opened = Opened(self._source(batch), self._stages(batch), one_by_one=True)
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
        full = max(1, len(train) // self.bins) if self.full_count is None else self.full_count
        stages = len(self._stages(train))
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


@register
class Gram(SeesImages):
    """S = Σ over stages of how far the rows of Gram matrices leave the range of the training images of class ŷ.

    Orders 1 to the number of stages; each stage's deviation is divided by its mean over a tenth of the training
    images, drawn with a fixed seed and held out of the ranges.
    """

    info = DetectorInfo(
        name="gram",
        title="Gram",
        paper="Sastry and Oore, ICML 2020, arXiv 1912.12510",
        year=2020,
        needs=frozenset({"source"}),
        claims_far_point=False,  # it reads maps, not the feature vector
    )
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

        opened = Opened(self._source(batch), self._stages(batch))
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
        theirs.feature_min = [
            list(stage) for stage in as_tensor(self.lowest_, torch.float64).split_with_sizes(sizes, dim=2)
        ]
        theirs.feature_max = [
            list(stage) for stage in as_tensor(self.highest_, torch.float64).split_with_sizes(sizes, dim=2)
        ]
        theirs.layer_norm = as_tensor(self.scale_, torch.float64)
        scores: list[Float64Array] = []
        for images in opened.images():
            with in_words(self.info.title):
                scores.append(theirs.predict_structured(*opened.forward(images)).double().numpy())
        return np.concatenate([np.empty(0), *scores])
