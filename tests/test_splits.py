"""Which image trains, calibrates and tests: groups whole, shares kept, calibration held against what was seen."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nero_core.data.splits import assigned, set_aside
from nero_core.datasets import LabelledImages
from nero_core.errors import InputError
from nero_core.records import needed_images

SHARES = {"train": 0.75, "calibration": 0.15, "test": 0.1}


def labelled(labels, classes=2, groups=None, parts=None):
    """Images that exist by name only."""
    names = tuple(str(i) for i in range(len(labels)))
    return LabelledImages(
        tuple(Path(name) for name in names),
        np.array(labels, dtype=np.int64),
        tuple("abcdefg"[:classes]),
        tuple("d" + name for name in names),
        groups,
        parts,
    )


def distinct_hashes(n):
    """Hashes of n pictures of which no two look alike: any two differ in many bits."""
    return np.random.default_rng(0).integers(0, 2**64, n, dtype=np.uint64)


def split(images, groups, shares, seed):
    """The parts by name."""
    part = assigned(images, np.asarray(groups), shares, seed)
    return {name: images.select(part == place) for place, name in enumerate(shares)}


# One split by groups ------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.lists(st.integers(10, 80), min_size=2, max_size=4), st.integers(1, 4))
@example(4, [10, 10], 3)
def test_splits_are_stratified_and_keep_groups_whole(seed, sizes, largest):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    images = labelled(labels.tolist(), len(sizes))
    groups = np.repeat(np.arange(len(labels)), rng.integers(1, largest + 1, len(labels)))[: len(labels)]
    parts = split(images, groups, SHARES, seed)
    assert sorted(d for part in parts.values() for d in part.digests) == sorted(images.digests)
    group_of = dict(zip(images.digests, groups.tolist(), strict=True))
    for one, other in itertools.combinations(parts.values(), 2):
        assert not {group_of[d] for d in one.digests} & {group_of[d] for d in other.digests}
    for name, part in parts.items():
        for label, size in enumerate(sizes):
            assert abs((part.labels == label).sum() - SHARES[name] * size) <= 2 * largest
    again = split(images, groups, SHARES, seed)
    assert {name: part.digests for name, part in again.items()} == {name: part.digests for name, part in parts.items()}


def test_images_that_come_in_groups_calibrate_as_often_as_others():
    """Were the largest groups placed first, not one of these pairs would calibrate or test."""
    images = labelled([0] * 100 + [1] * 100)
    groups = np.concatenate([np.repeat(np.arange(30), 2), np.arange(30, 70), np.arange(70, 170)])
    pairs, alone = slice(0, 60), slice(60, 100)
    seeds = 400
    parts = np.stack([assigned(images, groups, SHARES, seed) for seed in range(seeds)])
    for place, share in enumerate(SHARES.values()):
        of_pairs, of_alone = ((parts[:, rows] == place).mean() for rows in (pairs, alone))
        assert of_pairs == pytest.approx(share, abs=0.02)
        assert of_alone == pytest.approx(share, abs=0.02)


def test_another_seed_gives_another_split():
    images = labelled([0, 1] * 40)
    tests = {split(images, np.arange(80), SHARES, seed)["test"].digests for seed in range(5)}
    assert len(tests) == 5


def test_the_largest_groups_are_placed_first():
    # 14 alike and 6 others, of which 15, 3 and 2 are wanted: the 14 fit if nothing else was placed before.
    groups = np.array([*[0] * 14, *range(1, 27)])
    for seed in range(10):
        parts = split(labelled([0] * 20 + [1] * 20), groups, SHARES, seed)
        assert [(part.labels == 0).sum() for part in parts.values()] == [15, 3, 2]


def test_a_class_of_one_image_is_trained_on():
    parts = split(labelled([0] * 20 + [1]), np.arange(21), SHARES, 0)
    assert "d20" in parts["train"].digests


def test_a_group_across_classes_stays_whole():
    images = labelled([0] * 20 + [1] * 20)
    groups = np.arange(40)
    groups[20:24] = groups[:4]
    parts = split(images, groups, SHARES, 3)
    for i in range(4):
        assert any({f"d{i}", f"d{20 + i}"} <= set(part.digests) for part in parts.values())


def test_shares_that_are_none_are_refused():
    for shares in ({"train": 0.5, "test": 0.6}, {"train": 1.0, "test": 0.0}):
        with pytest.raises(InputError, match=r"wanted positive numbers that add up to 1"):
            assigned(labelled([0, 1]), np.arange(2), shares, 0)


# Before training ----------------------------------------------------------------------------------------------------


def sizes(parts):
    """Images of train, calibration and test."""
    return [len(parts[name]) for name in ("train", "calibration", "test")]


def test_impossible_splits_say_why():
    with pytest.raises(InputError, match="2 images are too few to set calibration images aside"):
        set_aside(labelled([0, 1]), distinct_hashes(2), 0.15, 0.1, 0.05, 0)
    hashes = distinct_hashes(21)
    hashes[20] = hashes[0]  # the only image of "b" goes with one of "a"
    named = labelled([0] * 20 + [1], parts=("calibration",) + ("",) * 19 + ("calibration",))
    with pytest.raises(InputError, match="No image of 'b' is left to train on"):
        set_aside(named, hashes, 0.15, 0.1, 0.05, 0)


def test_shares_are_of_all_images_as_far_as_the_unseen_suffice():
    """Eighty images, each a group of its own, sixty of them seen: a twentieth of all is four."""
    images = labelled([0] * 40 + [1] * 40)
    seen = frozenset(f"d{i}" for i in range(80) if i % 4)

    def found(calibration, test, seen):
        parts = set_aside(images, distinct_hashes(80), calibration, test, 0.4, 0, seen)  # 0.4 needs two of a class
        assert not seen & (set(parts["calibration"].digests) | set(parts["test"].digests))
        return sizes(parts)

    assert found(0.05, 0.05, frozenset())[1:] == [2 * round(1.25 * needed_images(0.4)), 4]
    assert found(0.1, 0.05, frozenset()) == [68, 8, 4]
    assert found(0.1, 0.05, seen) == [68, 8, 4]
    train, calibration, test = found(0.2, 0.1, seen)  # twenty-four are wanted, and twenty were not seen
    assert train > 60, "some that were not seen are learned from"
    assert calibration + test == 80 - train
    assert calibration > test > 3
