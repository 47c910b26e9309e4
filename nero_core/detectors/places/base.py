"""What detectors on places share: maps of early stages on one grid, what is masked, and the mean of the largest few.

Means over a whole image wash a small finding out; a mean over the most novel places does not. The account over places
is exact by construction: it is what the score is made of.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
from PIL import Image

from nero_core.data.input_checks.places import find_places
from nero_core.detectors.network_passes.base import Opened, SeesImages
from nero_core.errors import InputError
from nero_core.records import Activations, Float32Array, Float64Array, Head, ImageSource, Layout
from nero_core.storage.typed import ABOVE_ZERO, Range, Shape

if TYPE_CHECKING:
    from torch import Tensor

MASKED_SHARE = 0.25
"""A place takes part where less of it is masked."""

PLACES_PER_IMAGE = 24
"""Of each training image, at random: neighbours are much alike."""

LEARNT_FROM = 600
"""Training images at most, spread evenly: they are seen at several times the network's own size, and 14,400 places of
them are more than a bank keeps."""

STEADY = 1e-6
"""A channel whose deviation over places is less than this share of its mean is constant to rounding."""

BoolArray = npt.NDArray[np.bool_]
Scale = Annotated[float, Range(0.5, 4.0)]
Share = Annotated[float, Range(0.0001, 1.0)]


@dataclass(frozen=True, eq=False)
class Places:
    """What one image has at its places.

    Attributes
    ----------
    values : (h, w, c) float32
        Features.
    usable : (h, w) bool
        Where less than a quarter is masked: black border, burnt-in text, position picture and glare, as the input
        checks notice them. All of an image of which nothing would be left.
    """

    values: Float32Array
    usable: BoolArray


class Viewer:
    """A private copy of a network that sees whole pictures at a detector's own size, place by place.

    Parameters
    ----------
    opened : Opened
        With taps on the stages that are read.
    scale : float
        Of the network's own input size.
    """

    def __init__(self, opened: Opened, scale: float, title: str) -> None:
        self._opened, self._scale, self._title = opened, scale, title

    def see(self, picture: Image.Image, mask: BoolArray | None = None) -> Places:
        """The places of one picture; the maps of all stages are brought to the grid of the coarsest.

        Parameters
        ----------
        picture : RGB image
        mask : (H, W) bool, optional
            What takes no part, of the picture's size; found by the input checks where not given.
        """
        import torch
        from torch.nn.functional import adaptive_avg_pool2d

        prepared = self._opened.source.prepared(picture, self._scale)
        self._opened.run_to(torch.from_numpy(prepared)[None])
        maps = self._maps()
        high, wide = min((tuple(each.shape[2:]) for each in maps), key=lambda size: size[0] * size[1])
        values = torch.cat([adaptive_avg_pool2d(each, (high, wide)) for each in maps], dim=1)[0].permute(1, 2, 0)
        usable = shares_in(masked(picture) if mask is None else mask, high, wide) < MASKED_SHARE
        return Places(values.numpy(), usable if usable.any() else np.ones_like(usable))

    def _maps(self) -> list[Tensor]:
        maps = [self._opened.seen[name].float().cpu() for name in self._opened.taps]
        if any(each.ndim != 4 for each in maps):
            raise InputError(f"{self._title} reads maps with rows and columns; this network has tokens. Leave it out.")
        return self._opened.channels_first(maps)


class OnPlaces(SeesImages):
    """A detector whose score is a mean over the most novel places, so that its heatmap is its account.

    With t_p the novelty of place p, and m a share of all places, rounded up::

        S = (1/m) Σ of the m largest t_p

    Places under the black border, burnt-in text, a position picture or glare, as the input checks notice them, take no
    part. Ties at the m-th place go by position; with fewer than m places all of them count.
    """

    scale: float
    share: float
    mean_: Annotated[Float32Array, Shape("channels")]
    """Of each channel over the training images' places."""
    deviation_: Annotated[Float32Array, Shape("channels", values=ABOVE_ZERO)]
    """1 where a channel is constant."""

    def _tapped(self, layout: Layout) -> tuple[str, ...]:
        """All stages but the first, which sees edges, and the last, which has few places; all where there are two."""
        if layout.map is None or not layout.stages:
            raise InputError(
                f"{self.info.title} reads maps with rows and columns, which this network does not give; leave it out, "
                "or take a convolutional network."
            )
        return layout.stages[1:-1] if len(layout.stages) > 2 else layout.stages

    def _viewer(self, source: ImageSource) -> Viewer:
        return Viewer(Opened(source, self._tapped(source.layout)), self.scale, self.info.title)

    def _standardise(self, values: Float32Array) -> Float32Array:
        """Places of training images (places, c), standardised; what that takes is kept."""
        mean, spread = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
        self.mean_ = mean.astype(np.float32)
        self.deviation_ = np.where(spread > STEADY * np.abs(mean), spread, 1).astype(np.float32)
        standardised: Float32Array = (values - self.mean_) / self.deviation_
        return standardised

    # Score ---------------------------------------------------------------------------------------------------

    def account_over_places(self, batch: Activations) -> Float64Array:
        """What each place adds to each score, (n, h, w): the score is their sum."""
        self._check_batch(batch)
        assert batch.source is not None
        viewer = self._viewer(batch.source)
        return np.stack([self._account(viewer.see(picture)) for picture in batch.source.pictures()])

    def _account(self, seen: Places) -> Float64Array:
        return mean_of_largest(self._novelty(seen), seen.usable, self.share)

    @abstractmethod
    def _novelty(self, seen: Places) -> Float64Array:
        """t of every place, (h, w); larger = more unlike the training images' places."""

    def _score(self, batch: Activations) -> Float64Array:
        scores: Float64Array = self.account_over_places(batch).sum(axis=(1, 2))
        return scores


class OnSmoothedPlaces(OnPlaces):
    """A detector that learns places of training images, each the mean of itself and its neighbours (3 × 3)."""

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.source is not None
        rng, found = np.random.default_rng(0), []
        viewer = self._viewer(train.source)
        for picture in spread(train, LEARNT_FROM).pictures():
            seen = viewer.see(picture)
            found.append(some_of(smoothed(seen)[seen.usable], PLACES_PER_IMAGE, rng))
        self._learn(self._standardise(np.concatenate(found)), rng)

    @abstractmethod
    def _learn(self, places: Float32Array, rng: np.random.Generator) -> None:
        """Fit to standardised places of training images, (places, c)."""

    def _novelty(self, seen: Places) -> Float64Array:
        values = (smoothed(seen) - self.mean_) / self.deviation_
        return self._novelty_of(values.reshape(-1, values.shape[2])).reshape(seen.usable.shape)

    @abstractmethod
    def _novelty_of(self, places: Float32Array) -> Float64Array:
        """t of standardised places (places, c), each for itself."""


# Places --------------------------------------------------------------------------------------------------------------


def masked(picture: Image.Image) -> BoolArray:
    """What of a picture is no tissue, or hides it, (H, W), as the input checks notice it.

    Parameters
    ----------
    picture : RGB image
    """
    found: BoolArray = np.logical_or.reduce(list(find_places(picture).values()))
    return found


def shares_in(mask: BoolArray, high: int, wide: int) -> Float32Array:
    """Which share of each cell of a grid a mask covers, (high, wide).

    Parameters
    ----------
    mask : (H, W) bool
    high, wide : int
        Cells.
    """
    picture = Image.fromarray(mask.astype(np.float32))
    return np.asarray(picture.resize((wide, high), Image.Resampling.BOX), np.float32)


def smoothed(seen: Places) -> Float32Array:
    """The mean over each place and its eight neighbours, of those that are usable, (h, w, c); see PatchCore, eq. 2."""
    return mean_around(seen, 1)


def mean_around(seen: Places, reach: int) -> Float32Array:
    """The mean over the usable places of a square round each place, (h, w, c); its own value where there is none.

    Parameters
    ----------
    seen : Places
    reach : int
        Places from the centre to the square's edge.
    """
    weighed = np.where(seen.usable[..., None], seen.values, np.float32(0))
    counts = box_sums(seen.usable[..., None].astype(np.float32), reach)
    return np.where(counts > 0, box_sums(weighed, reach) / np.maximum(counts, 1), seen.values)


def box_sums(values: Float32Array, reach: int) -> Float32Array:
    """Sums over squares round each place, as far as they lie within the grid, (h, w, c).

    Parameters
    ----------
    values : (h, w, c)
    """
    for axis in (0, 1):
        padded = np.pad(values, [(reach + 1, reach) if each == axis else (0, 0) for each in range(3)])
        total = padded.cumsum(axis=axis, dtype=np.float64)
        width = 2 * reach + 1
        above = np.take(total, range(width, total.shape[axis]), axis)
        values = (above - np.take(total, range(total.shape[axis] - width), axis)).astype(np.float32)
    return values


def spread(train: Activations, most: int) -> ImageSource:
    """The images of at most so many of the training images, evenly spread over them."""
    assert train.source is not None
    return train.source[np.unique(np.linspace(0, len(train) - 1, min(len(train), most)).round().astype(np.int64))]


def some_of(values: Float32Array, most: int, rng: np.random.Generator) -> Float32Array:
    """At most so many rows, at random and in their order.

    Parameters
    ----------
    values : (n, c)
    """
    if len(values) <= most:
        return values
    return values[np.sort(rng.choice(len(values), most, replace=False))]


def mean_of_largest(novelty: Float64Array, usable: BoolArray, share: float) -> Float64Array:
    """What each place adds to the mean of the largest few, (h, w).

    Parameters
    ----------
    novelty : (h, w)
    usable : (h, w) bool
        At least one.
    share : float
        Of all places, rounded up, that count.
    """
    m = min(int(np.ceil(share * usable.size)), int(usable.sum()))
    ordered = np.where(usable, novelty, -np.inf).ravel()
    largest = np.argsort(-ordered, kind="stable")[:m]
    account = np.zeros(usable.size)
    account[largest] = ordered[largest] / m
    return account.reshape(usable.shape)
