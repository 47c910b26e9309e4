"""Where the leading neurons of an account looked: their maps, and the rectangle where these are densest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from nero_core.case.case import ALL, Case
from nero_core.case.covers import Box, Cover
from nero_core.data.images import displayed
from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import InputError
from nero_core.records import Float32Array, Float64Array, FloatArray, Neuron

Mask = npt.NDArray[np.bool_]

Between = Callable[[], object]
"""Called between passes through the network. It may leave by an exception: what is made by then is kept."""

LEADING = 32
"""Neurons whose maps are made: of a ResNet-18 with a panel they carry about half of a score."""

CELLS = 16
"""A map is read as sums over so many cells along each side: neurons of a 7 × 7 feature map tell apart no more."""

LONGEST = 5
"""Cells of a region's longer side at most, of `CELLS`: less than a third, so that wherever it lies there is room beside
it for others of its size."""


@dataclass(frozen=True, eq=False)
class Leading:
    """The leading neurons of one account and where they looked.

    Attributes
    ----------
    neurons : k Neurons
        Of largest contribution by size, the largest first.
    contributions : (k,)
        To the score, times the account's factor.
    maps : (k, H, W) float32
        Their heatmaps, at the network's input size.
    terms : {name: float}
        What no neuron stands for, times the factor.
    score : float
        What the whole account adds up to.
    """

    neurons: tuple[Neuron, ...]
    contributions: Float64Array
    maps: Float32Array
    terms: Mapping[str, float]
    score: float

    @property
    def raising(self) -> Float64Array:
        """Where the neurons that raise the score looked, (H, W): Σ_j max(c_j, 0)·|m_j| / Σ|m_j|.

        A neuron that spoke against the answer looked somewhere as well, so that a map counts by its size.
        """
        weights = np.maximum(self.contributions, 0)
        raising: Float64Array = np.tensordot(weights, shares_of(self.maps), axes=1)
        return raising


def shares_of(maps: FloatArray) -> Float64Array:
    """Maps by size, each as shares of its sum, (k, H, W); a map of zeros stays one.

    Parameters
    ----------
    maps : (k, H, W)
    """
    sizes = np.abs(np.asarray(maps, np.float64))
    sums = sizes.sum(axis=(1, 2), keepdims=True)
    shares: Float64Array = np.divide(sizes, sums, out=np.zeros_like(sizes), where=sums > 0)
    return shares


def leading_neurons(
    case: Case, image: Image.Image, count: int = LEADING, between: Between | None = None
) -> Leading | None:
    """The leading neurons of the case's account with their maps; None where its score is no sum over neurons.

    Maps are those that the case has, where its method gives maps of single neurons; else they are by the best method
    that the network has.

    Parameters
    ----------
    image : RGB image
        The one that the case is of.
    between : callable, optional
        See `Between`.
    """
    from nero_core.attribution.base import CONDITIONS_AT_ONCE  # the first paint waits for no torch

    e = case.explanation
    if e is None:
        return None
    places = [place for place, _ in e.top(count)]
    neurons = tuple(e.neurons[place] for place in places)
    own = case.single_neurons
    found: dict[Neuron, Float32Array] = {n: case.maps[n] for n in neurons if own and n in case.maps}
    missing = [neuron for neuron in neurons if neuron not in found]
    if missing:
        maps = case.reference.open_heatmaps(image, case.method if own else None)
        for stage in dict.fromkeys(neuron.stage for neuron in missing):
            channels = [neuron.channel for neuron in missing if neuron.stage == stage]
            for start in range(0, len(channels), CONDITIONS_AT_ONCE):
                if between is not None:
                    between()
                some = channels[start : start + CONDITIONS_AT_ONCE]
                for channel, heatmap in zip(some, maps.neurons(some, stage), strict=True):
                    found[Neuron(stage, channel)] = heatmap
                    if own:
                        case.maps[Neuron(stage, channel)] = heatmap
                        case.methods[Neuron(stage, channel)] = maps.method_at(stage)
    maps_of_all = np.stack([found[neuron] for neuron in neurons])
    terms = {name: e.factor * value for name, value in e.terms.items()}
    return Leading(neurons, e.factor * e.contributions[places], maps_of_all, terms, e.score)


def overall_map(case: Case, image: Image.Image) -> Float64Array:
    """Where the network looked, by size, (H, W): for a score that is no sum over neurons.

    Parameters
    ----------
    image : RGB image
        The one that the case is of.
    """
    list(case.draw(image, [ALL]))
    return np.abs(case.maps[ALL]).astype(np.float64)


# The region --------------------------------------------------------------------------------------------------------


def cell_sums(heatmap: FloatArray, cells: int = CELLS) -> Float64Array:
    """Sums of a map over cells × cells parts of it, (cells, cells).

    Parameters
    ----------
    heatmap : (H, W)
    """
    high, wide = heatmap.shape
    row, column = (np.arange(side) * cells // side for side in (high, wide))
    sums = np.zeros((cells, cells))
    np.add.at(sums, (row[:, None], column[None, :]), heatmap)
    return sums


def densest_rectangle(sums: FloatArray, longest: int = LONGEST) -> tuple[Box, float] | None:
    """The rectangle that holds most more than its share of the area, and what share of the sum it holds.

    Its excess is Σ sums inside / Σ sums − cells inside / cells. Of rectangles of equal excess the one of fewest cells,
    of these the lowest, then the first row by row. None where nothing is held, or everywhere alike.

    Parameters
    ----------
    sums : (h, w)
        Not negative.
    longest : int
        Cells of its longer side at most.

    Returns
    -------
    ((left, top, right, bottom), share) or None
    """
    h, w = sums.shape
    total = float(sums.sum())
    if total <= 0:
        return None
    below = np.zeros((h + 1, w + 1))
    below[1:, 1:] = (np.asarray(sums, np.float64) / total).cumsum(axis=0).cumsum(axis=1)
    most, found = ROUNDING, None
    sizes = [(high, wide) for high in range(1, min(h, longest) + 1) for wide in range(1, min(w, longest) + 1)]
    for high, wide in sorted(sizes, key=lambda size: (size[0] * size[1], size)):
        held = below[high:, wide:] - below[:-high, wide:] - below[high:, :-wide] + below[:-high, :-wide]
        top, left = np.unravel_index(held.argmax(), held.shape)
        share = float(held[top, left])
        if share - high * wide / (h * w) > most + ROUNDING:
            most = share - high * wide / (h * w)
            found = (int(left), int(top), int(left) + wide, int(top) + high), share
    return found


ROUNDING = 1e-9
"""By which sums of shares in another order may differ."""


def region_of(heatmap: FloatArray, size: tuple[int, int], preprocessing: Preprocessing) -> tuple[Cover, float] | None:
    """Where in an image of this width and height a map is densest, and what share of the map lies there.

    See :func:`densest_rectangle`; None for a map of zeros, or one that is everywhere alike.

    Parameters
    ----------
    heatmap : (H, W)
        At the network's input size; not negative.
    """
    if (densest := densest_rectangle(cell_sums(heatmap))) is None:
        return None
    box, share = densest
    left, top, wide, high = seen_part(size, preprocessing)
    x0, x1 = (min(max(left + wide * edge / CELLS, 0.0), 1.0) for edge in box[::2])
    y0, y1 = (min(max(top + high * edge / CELLS, 0.0), 1.0) for edge in box[1::2])
    if x1 <= x0 or y1 <= y0:  # a preprocessing that lays the picture on black, and a map of that black alone
        return None
    return Cover(x0, y0, x1 - x0, y1 - y0), share


def seen_part(size: tuple[int, int], preprocessing: Preprocessing) -> tuple[float, float, float, float]:
    """What of an image of this width and height the network sees: left, top, width, height in fractions of it.

    All of it where it is stretched; the middle where it is cropped, which a crop share above 1 makes larger than it.
    """
    if preprocessing.crop_share is None:
        return 0.0, 0.0, 1.0, 1.0
    wide, high = preprocessing.width / preprocessing.crop_share, preprocessing.height / preprocessing.crop_share
    scale = max(wide / size[0], high / size[1])
    width, height = preprocessing.width / (scale * size[0]), preprocessing.height / (scale * size[1])
    return (1 - width) / 2, (1 - height) / 2, width, height


def share_on(mask: Mask, heatmap: FloatArray, region: Cover, preprocessing: Preprocessing) -> float:
    """What share of a map within a region lies on a mask, in [0, 1]; 0 where the map is empty there.

    Parameters
    ----------
    mask : (H, W) bool
        Of the image's size.
    heatmap : (h, w)
        At the network's input size; not negative.

    Raises
    ------
    InputError
        The mask has not two dimensions.
    """
    if mask.ndim != 2:
        raise InputError(f"The mask has shape {mask.shape}; wanted the image's height and width.")
    inside = np.zeros(mask.shape, bool)
    left, top, right, bottom = region.box(mask.shape[::-1])
    inside[top:bottom, left:right] = True
    within, on = (as_seen(each, preprocessing) for each in (inside, inside & mask))
    total = float(heatmap[within].sum())
    return float(heatmap[on].sum()) / total if total > 0 else 0.0


def as_seen(mask: Mask, preprocessing: Preprocessing) -> Mask:
    """A mask of an image as the network sees it, (h, w) bool.

    Parameters
    ----------
    mask : (H, W) bool
    """
    picture = Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).convert("RGB")
    return np.asarray(displayed(picture, preprocessing))[..., 0] >= HALF


HALF = 128
"""Grey level, of 255: of a pixel that the network sees, at least half lies on a mask."""
