"""What a neuron looks for: training images where it was strongest, cropped to where it looked; read without torch."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from nero_core.data.images import DECODING_THREADS, displayed, read_image
from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import ArtefactError, InputError
from nero_core.neurons.sheets import read_sheet
from nero_core.records import Float64Array, FloatArray, IntArray, Neuron, Progress, Source
from nero_core.storage.typed import Range, Shape, check_arrays

CROP_PIXELS = 128
"""Side of a stored crop."""
CROP_SHARE = 0.4
"""Side of the square cut around the place of largest activation, as a share of the image's shorter side."""
SHEET_QUALITY = 80
"""WebP quality of the stored sheets."""
TILE_QUALITY = 95
"""JPEG quality of a crop while it waits for its sheet; too high to be seen again."""

RankedBy = Literal["relevance", "activation"]
RANKED_BY: tuple[RankedBy, ...] = get_args(RankedBy)

Centre = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Per neuron the q images where it was strongest, strongest first.

    Attributes
    ----------
    by : {"relevance", "activation"}
        What its strengths are.
    neurons : m Neurons
    strengths : (m, q)
        Relevance or activation of a feature, or mean activation of a stage's channel; −inf where there are fewer than
        q images.
    rows : (m, q) int64
        Positions of those images; −1 where there is none.
    centres : (m, q, 2)
        Where the channel peaked: shares of the image's width and height, in [0, 1].
    """

    by: RankedBy
    neurons: tuple[Neuron, ...]
    strengths: Float64Array
    rows: IntArray
    centres: Float64Array


@dataclass(frozen=True, eq=False)
class Strongest:
    """The images where one neuron was strongest, strongest first.

    Attributes
    ----------
    strengths : (q,)
        Relevance or activation on each image; −inf where there is none.
    labels : (q,) int64
        True class of each image; −1 where there is none.
    """

    strengths: Float64Array
    labels: IntArray

    def __len__(self) -> int:
        return int(np.isfinite(self.strengths).sum())


class Concepts:
    """Crops of training images per neuron, read from their sheets when asked for.

    A neuron is given as a feature's number, or as a :class:`~nero_core.records.Neuron`. A feature's images are ranked
    by its relevance and by its activation, a stage's channel's by its mean activation alone.

    Parameters
    ----------
    strongest : {(neuron, by): Strongest}
    read_sheet : callable
        Neuron → bytes of its sheet: its crops side by side, square, WebP; by relevance first, then by activation.
    """

    def __init__(
        self, strongest: Mapping[tuple[Neuron, RankedBy], Strongest], read_sheet: Callable[[Neuron], bytes]
    ) -> None:
        self._strongest = dict(strongest)
        self._read_sheet = read_sheet

    @property
    def neurons(self) -> list[Neuron]:
        """The neurons that have crops."""
        return list(dict.fromkeys(neuron for (neuron, _), found in self._strongest.items() if len(found)))

    def strongest(self, neuron: int | Neuron, by: RankedBy | None = None) -> Strongest:
        """The images of a neuron: by relevance (by activation for a stage's channel) where `by` is not given."""
        named = _named(neuron)
        return self._strongest.get((named, by or _usual(named)), Strongest(np.zeros(0), np.zeros(0, np.int64)))

    def strengths(self, neuron: int | Neuron, by: RankedBy | None = None) -> Float64Array:
        """Relevance or activation of the neuron on each of its images, largest first."""
        found = self.strongest(neuron, by)
        return found.strengths[: len(found)]

    def labels(self, neuron: int | Neuron, by: RankedBy | None = None) -> IntArray:
        """True class index of each of its images."""
        found = self.strongest(neuron, by)
        return found.labels[: len(found)]

    def crops(self, neuron: int | Neuron, by: RankedBy | None = None) -> list[Image.Image]:
        """The images of a neuron, cropped to where it looked; at most q, strongest first.

        Raises
        ------
        ArtefactError
            Their sheet cannot be read, or holds another number of images.
        """
        named = _named(neuron)
        ranked = by or _usual(named)
        count = len(self.strongest(named, ranked))
        if not count:
            return []
        first = sum(len(self.strongest(named, earlier)) for earlier in RANKED_BY[: RANKED_BY.index(ranked)])
        held = sum(len(self.strongest(named, any_by)) for any_by in RANKED_BY)
        sheet = read_sheet(self._read_sheet(named))
        side = sheet.height
        if sheet.width != side * held:
            raise ArtefactError(
                f"The sheet of neuron {named} has {sheet.width} × {side} pixels; wanted {held} squares. Fit again."
            )
        return [sheet.crop((side * i, 0, side * (i + 1), side)) for i in range(first, first + count)]

    def arrays(self, stages: Sequence[str]) -> dict[str, npt.NDArray[np.generic]]:
        """What is stored beside the sheets, a row per ranking; a stage goes by its number, −1 for a feature."""
        return {
            "stages": np.array([_stage_number(neuron, stages) for neuron, _ in self._strongest], np.int64),
            "channels": np.array([neuron.channel for neuron, _ in self._strongest], np.int64),
            "by": np.array([RANKED_BY.index(by) for _, by in self._strongest], np.int64),
            "strengths": np.stack([found.strengths for found in self._strongest.values()]),
            "labels": np.stack([found.labels for found in self._strongest.values()]),
        }

    def sheets(self, stages: Sequence[str]) -> dict[str, bytes]:
        """Every neuron's sheet by its role in a reference, for saving."""
        return {sheet_role(neuron, stages): self._read_sheet(neuron) for neuron in self.neurons}

    @classmethod
    def restore(
        cls,
        arrays: Mapping[str, npt.NDArray[Any]],
        stages: Sequence[str],
        read_role: Callable[[str], bytes],
        classes: int,
        width: int,
    ) -> Concepts:
        """The concepts again, from what `arrays` gave and a way to read a sheet by its role.

        Without "by", as older references are, features are ranked by relevance and channels of stages by activation.

        Raises
        ------
        InputError
            An array is missing, or names a stage, a class of K or a feature of d that is none.
        """
        declared = {
            "stages": Annotated[IntArray, Shape("m", values=Range(-1, len(stages) - 1), empty=True)],
            "channels": Annotated[IntArray, Shape("m", values=Range(0), empty=True)],
            "by": Annotated[IntArray, Shape("m", values=Range(0, len(RANKED_BY) - 1), empty=True)],
            "strengths": Annotated[FloatArray, Shape("m", "q", endless=True, empty=True)],
            "labels": Annotated[IntArray, Shape("m", "q", values=Range(-1, classes - 1), empty=True)],
        }
        check_arrays(arrays, declared, {}, " of the concepts", optional=("by",))
        if (outside := arrays["channels"][(arrays["stages"] < 0) & (arrays["channels"] >= width)]).size:
            raise InputError(f"`channels` of the concepts names feature {outside[0]}; there are {width}.")
        by = arrays.get("by", np.where(arrays["stages"] < 0, 0, 1))
        rows = zip(arrays["stages"], arrays["channels"], by, arrays["strengths"], arrays["labels"], strict=True)
        strongest: dict[tuple[Neuron, RankedBy], Strongest] = {}
        for stage, channel, ranked, strengths, labels in rows:
            neuron = Neuron(stages[stage] if stage >= 0 else None, int(channel))
            strongest[neuron, RANKED_BY[ranked]] = Strongest(strengths, labels)
        return cls(strongest, lambda neuron: read_role(sheet_role(neuron, stages)))


def _named(neuron: int | Neuron) -> Neuron:
    return neuron if isinstance(neuron, Neuron) else Neuron(None, int(neuron))


def _usual(neuron: Neuron) -> RankedBy:
    return "relevance" if neuron.stage is None else "activation"


def _stage_number(neuron: Neuron, stages: Sequence[str]) -> int:
    return -1 if neuron.stage is None else stages.index(neuron.stage)


def sheet_role(neuron: Neuron, stages: Sequence[str]) -> str:
    """What a neuron's sheet is called in a reference."""
    kind = "neuron" if neuron.stage is None else f"stage{_stage_number(neuron, stages)}"
    return f"concepts/{kind}_{neuron.channel:05d}"


def cut_concepts(
    rankings: Sequence[Ranking],
    images: Sequence[Source],
    labels: IntArray,
    preprocessing: Preprocessing,
    crop_pixels: int = CROP_PIXELS,
    progress: Progress | None = None,
) -> Concepts:
    """Read the ranked images once more, each once, and cut the crops; no pass through the network.

    Parameters
    ----------
    labels : (n,) int64
        Classes of all images, in the order of `images`.

    Raises
    ------
    InputError
        An image can no longer be read.
    """
    q = max(ranking.rows.shape[1] for ranking in rankings)
    rankings = sorted(rankings, key=lambda ranking: RANKED_BY.index(ranking.by))  # their order in a sheet
    keys = [(neuron, ranking.by) for ranking in rankings for neuron in ranking.neurons]
    strengths = np.concatenate([_padded(ranking.strengths, q, -np.inf) for ranking in rankings])
    rows = np.concatenate([_padded(ranking.rows, q, -1) for ranking in rankings])
    centres = np.concatenate([_padded(ranking.centres, q, 0) for ranking in rankings])
    wanted: dict[int, set[Centre]] = defaultdict(set)
    shown: dict[Neuron, list[tuple[int, Centre]]] = defaultdict(list)
    for (neuron, _), neuron_rows, neuron_centres in zip(keys, rows, centres, strict=True):
        for row, (x, y) in zip(neuron_rows, neuron_centres, strict=True):
            if row >= 0:
                wanted[int(row)].add((float(x), float(y)))
                shown[neuron].append((int(row), (float(x), float(y))))
    # Twice the network's input size: the same geometry, sharp enough for the crop's own size.
    geometry = replace(preprocessing, height=2 * preprocessing.height, width=2 * preprocessing.width)

    def cut(row: int) -> dict[tuple[int, Centre], bytes]:
        seen = displayed(read_image(images[row]), geometry)
        return {(row, centre): _tile(seen, centre, crop_pixels) for centre in wanted[row]}

    tiles: dict[tuple[int, Centre], bytes] = {}
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        for done, cut_out in enumerate(pool.map(cut, sorted(wanted)), start=1):
            tiles |= cut_out
            if progress is not None:
                progress(done, len(wanted))

        def sheet(neuron: Neuron) -> bytes:
            return _sheet([tiles[key] for key in shown[neuron]], crop_pixels)

        sheets = dict(zip(shown, pool.map(sheet, shown), strict=True))
    known = np.where(rows >= 0, np.asarray(labels)[rows], -1)
    strongest = {key: Strongest(*found) for key, *found in zip(keys, strengths, known, strict=True)}
    return Concepts(strongest, sheets.__getitem__)


def _padded(array: npt.NDArray[Any], q: int, filling: float) -> npt.NDArray[Any]:
    """The array with its second axis filled up to q."""
    missing = [(0, 0)] * array.ndim
    missing[1] = (0, q - array.shape[1])
    return np.pad(array, missing, constant_values=filling)


def _tile(image: Image.Image, centre: Centre, pixels: int) -> bytes:
    centre_x, centre_y = centre[0] * image.width, centre[1] * image.height
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
