"""Which image trains, calibrates and tests: groups whole, shares kept, calibration held against what was seen."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nero_core.data.class_folders import LabelledImages
from nero_core.data.guarantee import CalibrationSettings, Guarantee, needed_images
from nero_core.data.image_set import ImageSet
from nero_core.data.listing import read_images
from nero_core.data.near_duplicates import difference_hashes
from nero_core.data.splits import (
    ASIDE_ORIGIN,
    CALIBRATED_ON_SEEN,
    FOLDER_ORIGIN,
    LOOKS_UNKNOWN,
    SEEN_ORIGIN,
    UNKNOWN_TRAINING,
    assigned,
    counted,
    looking_alike,
    said_of_split,
    set_aside,
    split_for_fit,
)
from nero_core.errors import InputError
from nero_core.records import TrainingRecord
from nero_core.storage.files import digest
from tests.scenes import COPIES, save_again, write_classes

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


@settings(max_examples=40)
@given(st.integers(0, 1000), st.lists(st.integers(30, 120), min_size=2, max_size=4), st.sampled_from([0.05, 0.1]))
def test_every_class_sets_enough_aside_for_alpha_where_it_can(seed, counts, alpha):
    labels = np.repeat(np.arange(len(counts)), counts)
    images = labelled(labels, len(counts))
    parts = set_aside(images, distinct_hashes(len(labels)), 0.15, 0.1, alpha, seed)
    needed = needed_images(alpha)
    for label, count in enumerate(counts):
        found = int((parts["calibration"].labels == label).sum())
        assert found >= min(needed, int(0.4 * count) - 1)
        assert (parts["train"].labels == label).sum() >= 0.49 * count - 1, "at most half is set aside"
    assert sum(sizes(parts)) == len(labels)


def test_a_small_class_sets_more_aside_than_its_share():
    """Of 84 images 15 % are 12, and α = 0.05 needs 19; a quarter more are set aside, as some are read wrongly."""
    images = labelled([0] * 84 + [1] * 400 + [2] * 20, 3)
    parts = set_aside(images, distinct_hashes(504), 0.15, 0.1, 0.05, 0)
    counts = counted(parts)
    assert counts["a"]["calibration"] == 24
    assert counts["b"]["calibration"] == 60
    assert counts["c"] == {"train": 10, "calibration": 8, "test": 2}
    said = said_of_split(counts, 0.05)
    assert said[:3] == [
        f"{name}: {each['train']} train, {each['calibration']} calibration, {each['test']} test"
        for name, each in counts.items()
    ]
    assert said[3:] == [
        "note: c has 8 calibration images, and α = 0.05 needs 19: without more, images that are read as this class get "
        "no guarantee."
    ]
    assert [line[:6] for line in said_of_split(counts, 0.05, CalibrationSettings(confidence=0.9).needed)[3:]] == [
        "note: ", "note: "
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_a_class_of_one_view_has_nothing_to_calibrate_with(seed):
    """A hundred nearly identical frames stay on one side, and the class is named."""
    images = labelled([0] * 60 + [1] * 100)
    hashes = distinct_hashes(160)
    hashes[60:] = hashes[60]
    parts = set_aside(images, hashes, 0.15, 0.1, 0.05, seed)
    assert counted(parts)["b"] == {"train": 100, "calibration": 0, "test": 0}
    assert "note: b has 0 calibration images, and α = 0.05 needs 19" in said_of_split(counted(parts), 0.05)[-1]


@pytest.mark.parametrize("seed", range(5))
def test_patients_end_on_one_side_each(seed):
    """Twenty patients with up to nine images, some of both classes; parts keep near their shares all the same."""
    rng = np.random.default_rng(seed)
    patients = np.sort(rng.integers(0, 20, 120))
    labels = np.where(patients < 15, patients % 2, rng.integers(0, 2, 120))
    images = labelled(labels, groups=tuple(f"p{number}" for number in patients))
    parts = set_aside(images, np.zeros(120, np.uint64), 0.15, 0.1, 0.2, seed)
    sides = [set(part.groups) for part in parts.values()]
    assert all(not one & other for one, other in itertools.combinations(sides, 2))
    assert sum(map(len, sides)) == len(set(images.groups))
    assert min(map(len, sides)) >= 1


def test_a_part_that_is_named_is_kept_to_and_its_group_follows():
    """Of p1 one image is to calibrate, so that its others do too; of p2 one is to train and one to test."""
    groups = ("p1", "p1", "p1", "p2", "p2", "p2", *(f"q{number}" for number in range(34)))
    named = ("calibration", "", "", "train", "test", "", *[""] * 34)
    images = labelled([0] * 20 + [1] * 20, groups=groups, parts=named)
    for seed in range(5):
        parts = set_aside(images, np.zeros(40, np.uint64), 0.15, 0.1, 0.5, seed)
        assert {"d0", "d1", "d2"} <= set(parts["calibration"].digests)
        assert {"d3", "d5"} <= set(parts["train"].digests), "training wins where a group is of two minds"
        assert "d4" in parts["test"].digests
        assert len(parts["train"]) > 15, "the others are divided as ever"
    everything = labelled([0, 0, 1, 1], parts=("train", "calibration", "train", "test"))
    assert sizes(set_aside(everything, distinct_hashes(4), 0.15, 0.1, 0.05, 0)) == [2, 1, 1]


# After training -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Two classes of 50 pictures."""
    return read_images(write_classes(tmp_path_factory.mktemp("data") / "id", a=50, b=50))


def part(images, *which):
    """Every image whose place in a cycle of ten is among these."""
    return images.select(np.isin(np.arange(len(images)) % 10, which))


def record_of(images, hashed=True, groups=None):
    """Seven of ten images train, two calibrate, one tests."""
    known = hashes_of(images) if hashed else {}
    parts = [part(images, *range(7)), part(images, 7, 8), part(images, 9)]
    return TrainingRecord(*(frozenset(each.digests) for each in parts), hashes=known, groups=groups or {})


def hashes_of(images):
    return {key: int(value) for key, value in zip(images.digests, difference_hashes(images.paths)[0], strict=True)}


def test_what_training_set_aside_calibrates_with_a_guarantee(frames):
    split = split_for_fit(record_of(frames), frames)
    assert [len(each) for each in (split.fit, split.calibration, split.test)] == [70, 20, 10]
    assert split.guarantee == Guarantee(True, "", ASIDE_ORIGIN, 0)
    assert split.per_class() == {name: {"train": 35, "calibration": 10, "test": 5} for name in ("a", "b")}


@pytest.mark.parametrize("how", COPIES)
def test_copies_of_training_images_do_not_calibrate(frames, tmp_path, how):
    """A third of the calibration images are training frames saved again: left out, counted, and nothing is promised.

    Their bytes are new, so that the digests alone said "unseen", with a guarantee.
    """
    record = record_of(frames)
    for path in part(frames, 0, 1).paths:
        save_again(path, tmp_path / "own" / path.parent.name, how)
    write_classes(tmp_path / "own", first=7000, a=20, b=20)
    own = read_images(tmp_path / "own")
    assert not set(own.digests) & set(frames.digests)
    split = split_for_fit(record, frames, own)
    assert not split.guarantee.holds
    assert 18 <= split.guarantee.dropped <= 20
    assert len(split.calibration) == 60 - split.guarantee.dropped
    assert split.guarantee.reason.startswith(f"{split.guarantee.dropped} of 60 calibration images (")
    assert split.guarantee.origin == FOLDER_ORIGIN
    assert len(split.guarantee.left_out) == 1
    untold = split_for_fit(record_of(frames, hashed=False), frames, own)
    assert untold.guarantee == split.guarantee, "an earlier record's images are looked at"


@pytest.mark.parametrize(("copied", "holds"), [(0, True), (2, True), (3, False)])
def test_a_few_copies_are_left_out_and_more_than_a_twentieth_void_the_promise(frames, tmp_path, copied, holds):
    write_classes(tmp_path / "own", first=7000, a=25, b=25 - copied)
    for path in frames.paths[:copied]:
        save_again(path, tmp_path / "own" / "a", "jpeg 95")
    own = read_images(tmp_path / "own")
    assert len(own) == 50
    guarantee = split_for_fit(record_of(frames), frames, own).guarantee
    assert (guarantee.dropped, guarantee.holds) == (copied, holds)


def test_where_training_images_are_not_at_hand_copies_cannot_be_told(frames, tmp_path):
    """An earlier version kept no hashes: with half of what it trained on nobody can say what the others look like."""
    own = read_images(write_classes(tmp_path / "own", first=7000, a=20, b=20))
    half = frames.select(np.arange(100) % 2 == 0)
    record = record_of(frames, hashed=False)
    assert split_for_fit(record, half, own).guarantee.reason == LOOKS_UNKNOWN
    assert split_for_fit(record, frames, own).guarantee.holds
    assert split_for_fit(record_of(frames), half, own).guarantee.holds, "the record says how they look"


def test_images_that_trained_and_those_that_fit_are_both_seen(frames, tmp_path):
    """A folder with new images besides: they fit the detectors, so that copies of them may not calibrate either."""
    new = write_classes(tmp_path / "both", first=7000, a=10, b=10)
    for path in frames.paths:
        shutil.copy(path, new / path.parent.name)
    everything = read_images(new)
    for number in range(10):
        save_again(new / "a" / f"{7000 + number}.png", tmp_path / "own" / "a", "jpeg 95")
    write_classes(tmp_path / "own", first=9000, a=10, b=20)
    split = split_for_fit(record_of(frames), everything, read_images(tmp_path / "own"))
    assert len(split.fit) == 70 + 20
    assert (split.guarantee.dropped, split.guarantee.holds) == (10, False)


def test_nothing_known_and_nothing_unseen(frames, tmp_path):
    with pytest.raises(InputError, match="not known what this classifier was trained on"):
        split_for_fit(None, frames)
    own = read_images(write_classes(tmp_path / "own", first=7000, a=20, b=20))
    assert split_for_fit(None, frames, own).guarantee.reason == UNKNOWN_TRAINING
    seen = split_for_fit(record_of(frames), frames, calibration_seen=True)
    assert seen.guarantee == Guarantee(False, CALIBRATED_ON_SEEN, SEEN_ORIGIN)
    assert seen.calibration is seen.fit
    with pytest.raises(InputError, match="All 100 calibration images were trained or fitted on"):
        split_for_fit(None, frames, frames)
    with pytest.raises(InputError, match="not both"):
        split_for_fit(None, frames, frames, calibration_seen=True)
    with pytest.raises(InputError, match="None of the 20 images that `train` set aside"):
        split_for_fit(record_of(frames), part(frames, *range(7)))


def test_a_manifests_parts_divide_for_a_network_of_unknown_training(frames):
    named = replace(frames, parts=tuple(("train", "calibration", "test", "")[number % 4] for number in range(100)))
    split = split_for_fit(None, named)
    assert [len(each) for each in (split.fit, split.calibration, split.test)] == [50, 25, 25]
    assert split.guarantee.reason == UNKNOWN_TRAINING, "whoever wrote the manifest may not know what trained it"


def test_patients_on_both_sides_do_not_calibrate(frames):
    """Trained without groups, so that half of the calibration images are of patients who trained, too."""
    straddling = [i % 10 in (7, 8) and i % 20 < 10 for i in range(100)]
    patients = tuple(f"p{i // 10}" if i % 10 < 7 or straddling[i] else f"q{i}" for i in range(100))
    split = split_for_fit(record_of(frames), replace(frames, groups=patients))
    assert all(group.startswith("q") for group in split.calibration.groups)
    assert (split.guarantee.dropped, len(split.calibration)) == (10, 10)
    assert split.guarantee.reason.startswith("10 of 20 calibration images (50%) were trained or fitted on")
    with pytest.raises(InputError, match=r"All 20 calibration images .* or are of the same group"):
        split_for_fit(record_of(frames), replace(frames, groups=("p",) * 100))


def test_patients_that_the_record_knows_do_not_calibrate(frames, tmp_path):
    """The classifier was trained with groups; other images of those patients come from another folder."""
    groups = {key: digest(f"p{number // 5}".encode()) for number, key in enumerate(frames.digests)}
    record = record_of(frames, groups=groups)
    own = read_images(write_classes(tmp_path / "own", first=7000, a=20, b=20))
    new = replace(own, groups=tuple(f"new{number // 2}" for number in range(40)))
    assert split_for_fit(record, frames, new).guarantee.holds
    known = replace(own, groups=("p0",) * 2 + new.groups[2:])
    guarantee = split_for_fit(record, frames, known).guarantee
    assert (guarantee.holds, guarantee.dropped) == (True, 2)
    assert split_for_fit(record, frames, replace(own, groups=("p0",) * 3 + new.groups[3:])).guarantee.holds is False


def test_test_images_that_calibrate_are_not_counted(frames, tmp_path):
    """Images set aside for testing are given to calibrate: they do, and no false alarms are counted on them."""
    tested = part(frames, 9)
    for path in tested.paths[:6]:
        (tmp_path / "own" / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "own" / path.parent.name)
    write_classes(tmp_path / "own", first=7000, a=20, b=20)
    split = split_for_fit(record_of(frames), frames, read_images(tmp_path / "own"))
    assert split.guarantee.holds
    assert set(tested.digests[:6]) <= set(split.calibration.digests)
    assert set(split.test.digests) == set(tested.digests[6:])


def test_images_that_look_alike_have_one_look():
    images = ImageSet(tuple("abcd"), ("d0", "d1", "d2", "d3"))
    rows = np.array([3, 0, 1])
    looks = looking_alike(images, rows, {"d0": 7, "d3": 7 ^ 1, "d2": 7})
    assert looks[0] == looks[1] != looks[2], "d1 cannot be looked at, and is like no other"
    assert looking_alike(replace(images, groups=("p",) * 4), rows, {}) is None
    assert len(set(looking_alike(images, np.arange(4), {}).tolist())) == 4
