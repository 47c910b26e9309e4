"""Class folders, and pictures that look nearly the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from nero_core.errors import ArtefactError, InputError
from nero_core.images import DECODING_THREADS, Source, display_name, read_image
from nero_core.records import IntArray, Progress
from nero_core.storage.files import digest

T = TypeVar("T")
HashArray = npt.NDArray[np.uint64]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif"})
HASH_SIDE = 8
"""The difference hash has 8 × 8 bits."""
BORDER_GREY = 16
"""Greys up to this are border: endoscopic borders are black, and JPEG leaves a little noise on them."""
NEAR_DUPLICATE_BITS = 2
"""Distances of 4 or 8 bits chain unrelated capsule frames into one group."""
LARGE_GROUP_SHARE = 0.05
"""A group of near-duplicates above this share of a class is worth a look."""
EMPTY_FILE = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """n image files with their classes.

    Attributes
    ----------
    paths : n paths
    labels : (n,) int64
        Index into `classes`.
    classes : K names
    digests : n texts
        SHA-256 of each file's bytes.
    groups : n texts or None
        Which images belong together: those of one patient, examination or clip. None where nobody said.
    parts : n texts or None
        What each image is meant for: "train", "calibration", "test", or "" where it is free. None where nobody said.
    """

    paths: tuple[Path, ...]
    labels: IntArray
    classes: tuple[str, ...]
    digests: tuple[str, ...]
    groups: tuple[str, ...] | None = None
    parts: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        counts = {len(self.labels), len(self.digests)} | {
            len(each) for each in (self.groups, self.parts) if each is not None
        }
        if counts != {len(self.paths)}:
            raise InputError(
                f"{len(self.paths)} paths, {len(self.labels)} labels and {len(self.digests)} digests were given; "
                "give one of each per image, and of groups and parts as many or none."
            )

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def sources(self) -> tuple[Path, ...]:
        """The images themselves."""
        return self.paths

    def select(self, rows: Sequence[bool] | Sequence[int] | npt.NDArray[np.generic]) -> LabelledImages:
        """The same record for some of its images (indices or a mask), in that order."""
        index = np.arange(len(self))[np.asarray(rows, dtype=np.int64 if len(rows) == 0 else None)]
        return LabelledImages(
            paths=tuple(self.paths[i] for i in index),
            labels=self.labels[index],
            classes=self.classes,
            digests=tuple(self.digests[i] for i in index),
            groups=None if self.groups is None else tuple(self.groups[i] for i in index),
            parts=None if self.parts is None else tuple(self.parts[i] for i in index),
        )

    def counts(self) -> dict[str, int]:
        """How many images each class has."""
        found = np.bincount(self.labels, minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, found, strict=True)}


def list_images(folder: Path) -> list[Path]:
    """Every image file below a folder, in order of its path.

    Hidden files and folders are left out, and so are symbolic links that lead out of the folder.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    InputError
        The folder is missing or cannot be listed, or holds no image.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} {'is not a folder' if folder.exists() else 'does not exist'}; wanted a folder.")

    def refuse(error: OSError) -> None:
        raise InputError(f"{folder} cannot be listed: {error}.") from error

    inside = folder.resolve()
    found: list[Path] = []
    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(place, name) for name in files if not name.startswith(".")):
            if path.suffix.lower() in SUFFIXES and path.is_file() and path.resolve().is_relative_to(inside):
                found.append(path)
    if not found:
        wanted = ", ".join(sorted(SUFFIXES))
        raise InputError(
            f"{folder} holds no images; looked in it and below for {wanted}, not through links leaving it."
        )
    return sorted(found, key=lambda path: path.as_posix())


def read_class_folders(
    root: Path, classes: Sequence[str] | None = None, progress: Progress | None = None
) -> LabelledImages:
    """Images sorted into one sub-folder per class; nothing is decoded yet.

    Parameters
    ----------
    root : Path
        Its direct sub-folders are the classes.
    classes : K names, optional
        What the sub-folders must be called, and the order of the labels; by default all, sorted by name.

    Raises
    ------
    InputError
        There are fewer than two classes (unless `classes` says so), the names differ from `classes`, a class is
        empty, or the same file lies in two classes.
    """
    if not root.is_dir():
        raise InputError(f"{root} {'is not a folder' if root.exists() else 'does not exist'}; wanted class folders.")
    found = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not found:
        raise InputError(f"{root} has no sub-folders; wanted one per class, named after it, with its images inside.")
    if classes is None and len(found) < 2:
        raise InputError(f"{root} has one class, {found[0]!r}; wanted at least two sub-folders, one per class.")
    if classes is not None and set(found) != set(classes):
        missing, surplus = sorted(set(classes) - set(found)), sorted(set(found) - set(classes))
        parts = [f"{what}: {', '.join(names)}" for what, names in (("missing", missing), ("surplus", surplus)) if names]
        raise InputError(
            f"The sub-folders of {root} are not the classifier's classes ({'; '.join(parts)}); rename them."
        )
    names = tuple(found if classes is None else classes)
    per_class = [list_images(root / name) for name in names]
    paths = tuple(path for images in per_class for path in images)
    labels = np.repeat(np.arange(len(names)), [len(images) for images in per_class])
    images = LabelledImages(paths, labels.astype(np.int64), names, file_digests(paths, progress))
    refuse_contradictions(images)
    return images


def file_digests(paths: Sequence[Path], progress: Progress | None = None) -> tuple[str, ...]:
    """SHA-256 of each file's bytes.

    Raises
    ------
    InputError
        A file cannot be read.
    """
    digests = []
    for done, path in enumerate(paths, start=1):
        try:
            digests.append(digest(path))
        except ArtefactError as error:
            raise InputError(str(error)) from error
        if progress is not None:
            progress(done, len(paths))
    return tuple(digests)


def refuse_contradictions(images: LabelledImages) -> None:
    """Refuse one file in two classes.

    Raises
    ------
    InputError
        Names the first.
    """
    first: dict[str, int] = {}
    clashes = [
        (earlier, row)
        for row, key in enumerate(images.digests)
        if images.labels[earlier := first.setdefault(key, row)] != images.labels[row] and key != EMPTY_FILE
    ]
    if clashes:
        one, other = (_shown(images.paths[row]) for row in clashes[0])
        raise InputError(
            f"{len(clashes)} images lie in two classes, the first {one} and {other}; keep each in the class it shows."
        )


def _shown(path: Path) -> str:
    """A file and its folder, safe to print: names are untrusted."""
    return f"{display_name(path.parent, 0)}/{display_name(path, 0)}"


def decode_each(
    images: Sequence[Source], use: Callable[[Image.Image], T], progress: Progress | None = None
) -> tuple[list[T | None], dict[int, str]]:
    """Read every image and hand it on, two at a time.

    Parameters
    ----------
    images : n sources
    use : callable
        Called in a thread with each picture as RGB.
    progress : callable, optional

    Returns
    -------
    results : n values
        None for an image that cannot be read.
    unreadable : {position: reason}
    """
    results: list[T | None] = []
    unreadable: dict[int, str] = {}
    pool = ThreadPoolExecutor(DECODING_THREADS)
    try:
        futures = [pool.submit(lambda source: use(read_image(source)), source) for source in images]
        for position, future in enumerate(futures):
            try:
                results.append(future.result())
            except InputError as error:
                results.append(None)
                unreadable[position] = str(error)
            if progress is not None:
                progress(position + 1, len(images))
    finally:
        pool.shutdown(cancel_futures=True)
    return results, unreadable


def difference_hash(image: Image.Image) -> int:
    """64 bits that nearly agree for pictures that look the same: is each of 8 × 9 greys darker than the next?

    Krawetz (2013), "Kind of like that", on the content without its black border.

    Parameters
    ----------
    image : PIL image
        Mode RGB.
    """
    grey = image.convert("L")
    content = grey.point([0] * (BORDER_GREY + 1) + [255] * (255 - BORDER_GREY)).getbbox()
    # Cropped first: a resize with `box` also mixes in what lies just outside.
    small = np.asarray(grey.crop(content).resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BILINEAR))
    return int.from_bytes(np.packbits(small[:, :-1] < small[:, 1:]).tobytes(), "big")


def difference_hashes(images: Sequence[Source], progress: Progress | None = None) -> tuple[HashArray, dict[int, str]]:
    """:func:`difference_hash` of every image: (n,) uint64, 0 where unreadable, and {position: reason} of those."""
    hashes, unreadable = decode_each(images, difference_hash, progress)
    return np.array([value or 0 for value in hashes], dtype=np.uint64), unreadable


def near_duplicate_groups(hashes: HashArray, max_distance: int = NEAR_DUPLICATE_BITS) -> IntArray:
    """Group pictures so that any two of a group differ by at most `max_distance` bits (complete linkage).

    Single linkage would chain unrelated frames into one group. Groups are joined at distance 0 first, then 1, and
    so on; ties go to the smaller hashes, so that the order of the images changes nothing.

    Parameters
    ----------
    hashes : (n,) uint64
    max_distance : int
        Hamming distance, bits.

    Returns
    -------
    (n,) int64
        Group numbers, from 0 in order of first appearance.
    """
    distinct, member_of = np.unique(np.asarray(hashes, dtype=np.uint64), return_inverse=True)
    groups = [[i] for i in range(len(distinct))]  # entry i: the members of the group that i is in, one list for all
    first, second, distance = _near_pairs(distinct, max_distance)
    for level in range(1, max_distance + 1):
        for i, j in zip(first[distance <= level], second[distance <= level], strict=True):
            one, other = groups[i], groups[j]
            if one is not other and np.bitwise_count(distinct[one][:, None] ^ distinct[other]).max() <= level:
                one += other
                for k in other:
                    groups[k] = one
    leaders = np.array([min(group) for group in groups], dtype=np.int64)[member_of]
    _, starts, numbers = np.unique(leaders, return_index=True, return_inverse=True)
    by_appearance: IntArray = np.argsort(np.argsort(starts)).astype(np.int64)
    return by_appearance[numbers]


def near_any(hashes: HashArray, known: HashArray, max_distance: int = NEAR_DUPLICATE_BITS) -> npt.NDArray[np.bool_]:
    """Which pictures look nearly the same as one of the known ones.

    Parameters
    ----------
    hashes : (n,) uint64
    known : (m,) uint64
    max_distance : int
        Hamming distance, bits.

    Returns
    -------
    (n,) bool
    """
    asked, held = np.asarray(hashes, dtype=np.uint64), np.unique(np.asarray(known, dtype=np.uint64))
    distinct, place = np.unique(np.concatenate([asked, held]), return_inverse=True)
    is_known = np.zeros(len(distinct), bool)
    is_known[place[len(asked) :]] = True
    first, second, _ = _near_pairs(distinct, max_distance)
    near = is_known.copy()
    near[first[is_known[second]]] = True
    near[second[is_known[first]]] = True
    found: npt.NDArray[np.bool_] = near[place[: len(asked)]]
    return found


def _near_pairs(distinct: HashArray, max_distance: int) -> tuple[IntArray, IntArray, IntArray]:
    """All pairs i < j within `max_distance`, in order of i, then j, and their distances.

    Pigeonhole: of max_distance + 1 blocks of bits, two such hashes share at least one whole block. Only hashes that
    share a block are compared: neighbours at every step along the list sorted by that block.
    """
    found = [np.empty((0, 2), dtype=np.int64)]
    edges = np.linspace(0, 64, max_distance + 2).astype(int)
    for low, high in pairwise(edges):
        block = (distinct >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(block, kind="stable")
        block = block[order]
        place, step = np.arange(len(order)), 0
        while len(place):
            step += 1
            place = place[place + step < len(order)]
            place = place[block[place] == block[place + step]]
            pair = np.sort(np.stack([order[place], order[place + step]], axis=1), axis=1)
            found.append(pair[np.bitwise_count(distinct[pair[:, 0]] ^ distinct[pair[:, 1]]) <= max_distance])
    pairs = np.unique(np.concatenate(found), axis=0)
    distance = np.bitwise_count(distinct[pairs[:, 0]] ^ distinct[pairs[:, 1]]).astype(np.int64)
    return pairs[:, 0], pairs[:, 1], distance


def large_groups(images: LabelledImages, groups: IntArray) -> list[str]:
    """One warning for each class in which a single group of near-duplicates passes 5 % of the images."""
    warnings = []
    for label, name in enumerate(images.classes):
        of_class = groups[images.labels == label]
        members, sizes = np.unique(of_class, return_counts=True)
        if len(sizes) and sizes.max() > max(1, LARGE_GROUP_SHARE * len(of_class)):
            alike = np.flatnonzero((groups == members[sizes.argmax()]) & (images.labels == label))
            warnings.append(
                f"{len(alike)} of {len(of_class)} images of {name!r} look the same (such as "
                f"{_shown(images.paths[alike[0]])}); they stay on one side of the split, and the figures for this "
                "class rest on few different images."
            )
    return warnings


def mixed_groups(images: LabelledImages, groups: IntArray) -> list[str]:
    """A warning where pictures of different classes look the same, as a copy saved in another format does."""
    _, starts = np.unique(groups, return_index=True)
    twin = starts[groups]
    mixed = np.flatnonzero(images.labels != images.labels[twin])
    if not len(mixed):
        return []
    looks = "1 image looks" if len(mixed) == 1 else f"{len(mixed)} images look"
    return [
        f"{looks} the same as one of another class, the first {images.paths[mixed[0]]} and "
        f"{images.paths[twin[mixed[0]]]}; keep each in the class it shows, or the network learns to contradict itself."
    ]
