"""What a neuron looks for: the training images where it was most relevant, cropped to where it looked."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from nero_core.extraction import Batch
from nero_core.images import DECODING_THREADS, Source, displayed, read_image
from nero_core.records import Float64Array, Head, IntArray, Preprocessing, Progress
from nero_core.relevance import DEFAULT_EPSILON, relevance_of

CROPS_PER_NEURON = 8
CROP_PIXELS = 128
"""Side of a stored crop."""
CROP_SHARE = 0.4
"""Side of the square cut around the place of largest activation, as a share of the image's shorter side."""
SHEET_QUALITY = 80
"""WebP quality of the stored sheets."""
TILE_QUALITY = 95
"""JPEG quality of a crop while it waits for its sheet; too high to be seen again."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Per neuron the q images of largest relevance, largest first.

    Attributes
    ----------
    relevances : (d, q)
        −inf where fewer than q images had positive relevance.
    rows : (d, q) int64
        Positions of those images; −1 where there is none.
    places : (d, q) int64
        Cell of the feature map, row-major, where the channel peaked.
    grid : (int, int)
        Rows and columns of that map.
    """

    relevances: Float64Array
    rows: IntArray
    places: IntArray
    grid: tuple[int, int]


class RankingCollector:
    """Keeps, batch by batch, each neuron's q most relevant images: memory does not grow with n."""

    def __init__(self, head: Head, epsilon: float = DEFAULT_EPSILON, q: int = CROPS_PER_NEURON) -> None:
        self._head, self._epsilon, self._q = head, epsilon, q
        self._relevances = np.full((head.width, q), -np.inf)
        self._rows = np.full((head.width, q), -1, np.int64)
        self._places = np.zeros((head.width, q), np.int64)
        self._grid = (1, 1)

    def add(self, batch: Batch) -> None:
        """See one more batch; a network without a feature map is cropped at its centre."""
        r = relevance_of(batch.activations, self._head, self._epsilon).neurons.T
        places = np.zeros(r.T.shape, np.int64) if batch.places is None else batch.places
        self._grid = batch.grid or self._grid
        values = np.hstack([self._relevances, np.where(r > 0, r, -np.inf)])
        rows = np.hstack([self._rows, np.broadcast_to(batch.rows, r.shape)])
        spots = np.hstack([self._places, places.T])
        best = np.argsort(-values, axis=1, kind="stable")[:, : self._q]
        self._relevances = np.take_along_axis(values, best, axis=1)
        self._rows = np.where(np.isfinite(self._relevances), np.take_along_axis(rows, best, axis=1), -1)
        self._places = np.take_along_axis(spots, best, axis=1)

    def ranking(self) -> Ranking:
        """What has been seen so far."""
        return Ranking(self._relevances, self._rows, self._places, self._grid)


class Concepts:
    """Crops of training images per neuron, read from their sheets when asked for.

    Parameters
    ----------
    relevances : (d, q)
        Relevance of the neuron on each crop's image; −inf where there is no crop.
    labels : (d, q) int64
        True class of each crop's image; −1 where there is no crop.
    read_sheet : callable
        Neuron → bytes of its sheet: its crops side by side, square, WebP.
    """

    def __init__(self, relevances: Float64Array, labels: IntArray, read_sheet: Callable[[int], bytes]) -> None:
        self._relevances, self._labels, self._read_sheet = relevances, labels, read_sheet

    def relevances(self, neuron: int) -> Float64Array:
        """Relevance of the neuron on each of its reference images, largest first."""
        values = self._relevances[neuron]
        found: Float64Array = values[np.isfinite(values)]
        return found

    def labels(self, neuron: int) -> IntArray:
        """True class index of each of its reference images."""
        found: IntArray = self._labels[neuron][self._labels[neuron] >= 0]
        return found

    def crops(self, neuron: int) -> list[Image.Image]:
        """The reference images of a neuron, cropped to where it looked; at most q, most relevant first."""
        count = len(self.relevances(neuron))
        if not count:
            return []
        with Image.open(io.BytesIO(self._read_sheet(neuron)), formats=["WEBP"]) as sheet:
            side = sheet.height
            return [sheet.crop((side * i, 0, side * (i + 1), side)) for i in range(count)]

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What is stored beside the sheets."""
        return {"relevances": self._relevances, "labels": self._labels}

    def sheets(self) -> dict[int, bytes]:
        """Every neuron's sheet, for saving."""
        return {n: self._read_sheet(n) for n in range(len(self._relevances)) if len(self.relevances(n))}


def cut_concepts(
    ranking: Ranking,
    images: Sequence[Source],
    labels: IntArray,
    preprocessing: Preprocessing,
    crop_pixels: int = CROP_PIXELS,
    progress: Progress | None = None,
) -> Concepts:
    """Read the ranked images once more, each once, and cut the crops; no pass through the network.

    Raises
    ------
    InputError
        An image can no longer be read.
    """
    wanted: dict[int, set[int]] = defaultdict(set)
    for row, place in zip(ranking.rows.ravel(), ranking.places.ravel(), strict=True):
        if row >= 0:
            wanted[int(row)].add(int(place))
    # Twice the network's input size: the same geometry, sharp enough for the crop's own size.
    geometry = replace(preprocessing, height=2 * preprocessing.height, width=2 * preprocessing.width)

    def cut(row: int) -> dict[tuple[int, int], bytes]:
        seen = displayed(read_image(images[row]), geometry)
        return {(row, place): _tile(seen, place, ranking.grid, crop_pixels) for place in wanted[row]}

    tiles: dict[tuple[int, int], bytes] = {}
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        for done, cut_out in enumerate(pool.map(cut, sorted(wanted)), start=1):
            tiles |= cut_out
            if progress is not None:
                progress(done, len(wanted))

        def sheet(neuron: int) -> bytes:
            pairs = zip(ranking.rows[neuron], ranking.places[neuron], strict=True)
            return _sheet([tiles[int(row), int(place)] for row, place in pairs if row >= 0], crop_pixels)

        neurons = [neuron for neuron in range(len(ranking.rows)) if ranking.rows[neuron, 0] >= 0]
        sheets: Mapping[int, bytes] = dict(zip(neurons, pool.map(sheet, neurons), strict=True))
    known = np.where(ranking.rows >= 0, np.asarray(labels)[ranking.rows], -1)
    return Concepts(ranking.relevances, known, sheets.__getitem__)


def _tile(image: Image.Image, place: int, grid: tuple[int, int], pixels: int) -> bytes:
    rows, columns = grid
    centre_x = (place % columns + 0.5) / columns * image.width
    centre_y = (place // columns + 0.5) / rows * image.height
    side = round(CROP_SHARE * min(image.size))
    left = round(min(max(centre_x - side / 2, 0), image.width - side))
    top = round(min(max(centre_y - side / 2, 0), image.height - side))
    square = image.resize((pixels, pixels), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    buffer = io.BytesIO()
    square.save(buffer, "JPEG", quality=TILE_QUALITY, subsampling=0)
    return buffer.getvalue()


def _sheet(tiles: Sequence[bytes], pixels: int) -> bytes:
    sheet = Image.new("RGB", (pixels * len(tiles), pixels))
    for position, tile in enumerate(tiles):
        with Image.open(io.BytesIO(tile), formats=["JPEG"]) as crop:
            sheet.paste(crop, (pixels * position, 0))
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=SHEET_QUALITY, method=2)
    return buffer.getvalue()
