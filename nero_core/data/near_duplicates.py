"""Pictures that look nearly the same: a hash of how each looks, and groups of those whose hashes nearly agree."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image

from nero_core.data.class_folders import LabelledImages, short_path
from nero_core.data.decoding import decode_each
from nero_core.records import IntArray, Progress, Source

HashArray = npt.NDArray[np.uint64]

HASH_SIDE = 8
"""The difference hash has 8 × 8 bits."""

BORDER_GREY = 16
"""Greys up to this are border: endoscopic borders are black, and JPEG leaves a little noise on them."""

NEAR_DUPLICATE_BITS = 2
"""Distances of 4 or 8 bits chain unrelated capsule frames into one group."""

LARGE_GROUP_SHARE = 0.05
"""A group of near-duplicates above this share of a class is worth a look."""


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
    return numbered_by_appearance(np.array([min(group) for group in groups], dtype=np.int64)[member_of])


def numbered_by_appearance(values: npt.NDArray[np.generic]) -> IntArray:
    """Numbers of equal values, (n,) int64, from 0 in the order in which `values` (n,) first has them."""
    _, starts, numbers = np.unique(values, return_index=True, return_inverse=True)
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
    return near[place[: len(asked)]]


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
    """One warning for each class in which a single group of near-duplicates passes 5 % of the images.

    Parameters
    ----------
    groups : (n,) int64
        Of :func:`near_duplicate_groups`.
    """
    warnings = []
    for label, name in enumerate(images.classes):
        of_class = groups[images.labels == label]
        members, sizes = np.unique(of_class, return_counts=True)
        if len(sizes) and sizes.max() > max(1, LARGE_GROUP_SHARE * len(of_class)):
            alike = np.flatnonzero((groups == members[sizes.argmax()]) & (images.labels == label))
            warnings.append(
                f"{len(alike)} of {len(of_class)} images of {name!r} look the same (such as "
                f"{short_path(images.paths[alike[0]])}); they stay on one side of the split, and the figures for this "
                "class rest on few different images."
            )
    return warnings


def mixed_groups(images: LabelledImages, groups: IntArray) -> list[str]:
    """A warning where pictures of different classes look the same, as a copy saved in another format does.

    Parameters
    ----------
    groups : (n,) int64
        Of :func:`near_duplicate_groups`.
    """
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
