"""Class folders and near-duplicates."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw, ImageFilter

from nero_core.data import decoding
from nero_core.data.class_folders import LabelledImages, list_images, read_class_folders
from nero_core.data.images import read_image
from nero_core.data.near_duplicates import (
    difference_hash,
    difference_hashes,
    large_groups,
    mixed_groups,
    near_duplicate_groups,
)
from nero_core.errors import Cancelled, InputError
from nero_core.records import Source
from nero_core.storage.files import digest


def scene(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A smooth random picture without black in it, as tissue is."""
    noise = np.random.default_rng(seed).integers(60, 250, (6, 7, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def save(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    scene(seed).save(path, "PNG")
    return path


def folders(root: Path, **counts: int) -> Path:
    for label, (name, count) in enumerate(counts.items()):
        for number in range(count):
            save(root / name / f"{number:03}.png", 1000 * label + number)
    return root


def labelled(labels: list[int], classes: int = 2) -> LabelledImages:
    """Images that exist by name only."""
    names = tuple(str(i) for i in range(len(labels)))
    return LabelledImages(
        tuple(Path(name) for name in names), np.array(labels), tuple("abcdefg"[:classes]), tuple("d" + n for n in names)
    )


# Folders ----------------------------------------------------------------------------------------------------------


def test_images_are_listed_below_a_folder_in_order(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "sub/c.tiff", "sub/deeper/d.webp"):
        save(tmp_path / name, 0)
    for name in (".hidden.png", ".git/e.png", "notes.txt", "._a.png", "f.png.part"):
        save(tmp_path / name, 0)
    (tmp_path / "folder.png").mkdir()
    assert [p.relative_to(tmp_path).as_posix() for p in list_images(tmp_path)] == [
        "a.png",
        "b.JPG",
        "sub/c.tiff",
        "sub/deeper/d.webp",
    ]


def test_links_that_leave_the_folder_are_not_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    save(inside / "a.png", 0)
    save(outside / "secret.png", 1)
    (inside / "within.png").symlink_to(inside / "a.png")
    (inside / "leaves.png").symlink_to(outside / "secret.png")
    (inside / "folder").symlink_to(outside)
    (inside / "round").symlink_to(inside)
    (inside / "broken.png").symlink_to(tmp_path / "nothing")
    assert [p.name for p in list_images(inside)] == ["a.png", "within.png"]


def test_a_folder_without_images_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"holds no images; looked in it and below for \.bmp, \.gif, \.jpeg"):
        list_images(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        list_images(tmp_path / "gone")
    with pytest.raises(InputError, match=r"notes\.txt is not a folder"):
        list_images(tmp_path / "notes.txt")


def test_class_folders_are_read_in_order_of_their_names(tmp_path: Path) -> None:
    folders(tmp_path, polyp=2, bleeding=3)
    save(tmp_path / ".cache" / "a.png", 5)
    save(tmp_path / "loose.png", 5)
    calls: list[tuple[int, int]] = []
    images = read_class_folders(tmp_path, progress=lambda done, total: calls.append((done, total)))
    assert images.classes == ("bleeding", "polyp")
    assert images.labels.tolist() == [0, 0, 0, 1, 1]
    assert [p.parent.name for p in images.paths] == ["bleeding"] * 3 + ["polyp"] * 2
    assert list(images.digests) == [digest(p) for p in images.paths]
    assert calls == [(i, 5) for i in range(1, 6)]


def test_given_classes_set_the_order_and_must_match(tmp_path: Path) -> None:
    folders(tmp_path, a=1, b=2)
    images = read_class_folders(tmp_path, ["b", "a"])
    assert images.classes == ("b", "a")
    assert images.labels.tolist() == [0, 0, 1]
    with pytest.raises(InputError, match=r"\(missing: c, d; surplus: b\)"):
        read_class_folders(tmp_path, ["d", "a", "c"])
    with pytest.raises(InputError, match=r"\(missing: c\)"):
        read_class_folders(tmp_path, ["a", "b", "c"])


def test_bad_roots_say_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; wanted class folders"):
        read_class_folders(tmp_path / "gone")
    with pytest.raises(InputError, match="has no sub-folders; wanted one per class"):
        read_class_folders(tmp_path)
    folders(tmp_path, only=2)
    with pytest.raises(InputError, match="has one class, 'only'; wanted at least two"):
        read_class_folders(tmp_path)
    assert len(read_class_folders(tmp_path, ["only"])) == 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no images"):
        read_class_folders(tmp_path)


def test_one_picture_in_two_classes_is_refused(tmp_path: Path) -> None:
    folders(tmp_path, a=2, b=2)
    for name in ("x", "y"):
        (tmp_path / "b" / f"{name}.png").write_bytes((tmp_path / "a" / "001.png").read_bytes())
    with pytest.raises(InputError, match=r"2 images lie in two classes, the first a/001\.png and b/x\.png;"):
        read_class_folders(tmp_path)


def test_duplicates_within_a_class_and_empty_files_are_no_contradiction(tmp_path: Path) -> None:
    folders(tmp_path, a=2, b=2)
    (tmp_path / "a" / "copy.png").write_bytes((tmp_path / "a" / "001.png").read_bytes())
    for name in "ab":
        (tmp_path / name / "empty.png").touch()
    assert len(read_class_folders(tmp_path)) == 7


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the administrator may read everything")
def test_a_file_that_may_not_be_read_is_an_input_error(tmp_path: Path) -> None:
    folders(tmp_path, a=1, b=1)
    (tmp_path / "a" / "000.png").chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        read_class_folders(tmp_path)


def test_records_are_checked_and_selected_from() -> None:
    images = labelled([0, 1, 0])
    assert images.select([2, 0]).digests == ("d2", "d0")
    assert images.select(np.array([False, True, False])).paths == (Path("1"),)
    assert len(images.select([])) == 0
    assert len(images.select(np.zeros(3, bool))) == 0
    with pytest.raises(InputError, match="3 paths, 2 labels and 3 digests"):
        LabelledImages(images.paths, images.labels[:2], images.classes, images.digests)


# Hashes -----------------------------------------------------------------------------------------------------------


def test_the_hash_by_hand() -> None:
    rising = np.tile(np.linspace(20, 250, 90).astype(np.uint8), (80, 1))
    half = np.where(np.arange(80)[:, None] < 40, rising, rising[:, ::-1])
    for grey, bits in ((rising, 2**64 - 1), (rising[:, ::-1], 0), (half, (2**32 - 1) << 32)):
        assert difference_hash(Image.fromarray(grey).convert("RGB")) == bits


def test_the_hash_survives_what_copies_go_through_and_tells_scenes_apart() -> None:
    original = difference_hash(scene(1))
    border = Image.new("RGB", (120, 100), (3, 3, 3))
    border.paste(scene(1), (20, 30))
    darker = scene(1).point(lambda value: int(value * 0.9))
    for copy in (border, darker, scene(1, (640, 480)), scene(1).filter(ImageFilter.GaussianBlur(1))):
        assert (difference_hash(copy) ^ original).bit_count() <= 2
    assert all((difference_hash(scene(seed)) ^ original).bit_count() > 8 for seed in range(2, 20))


def test_a_black_picture_has_a_hash() -> None:
    assert difference_hash(Image.new("RGB", (20, 20))) == 0


def test_unreadable_files_are_named_and_the_others_hashed(tmp_path: Path) -> None:
    good, bad = save(tmp_path / "good.png", 1), tmp_path / "bad.png"
    bad.write_bytes(b"text")
    calls: list[int] = []
    hashes, unreadable = difference_hashes([good, bad, good], lambda done, total: calls.append(done))
    assert hashes.dtype == np.uint64
    assert hashes.tolist() == [difference_hash(scene(1)), 0, difference_hash(scene(1))]
    assert list(unreadable) == [1]
    assert unreadable[1].startswith("bad.png is not an image")
    assert calls == [1, 2, 3]


def test_hashing_stops_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", 1)
    seen: list[int] = []
    read: list[Source] = []

    def counted(source: Source) -> Image.Image:
        read.append(source)
        return read_image(source)

    monkeypatch.setattr(decoding, "read_image", counted)

    def stop(done: int, total: int) -> None:
        seen.append(done)
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        difference_hashes([path] * 5000, stop)
    assert seen == [1]
    assert len(read) < 2500


# Groups -----------------------------------------------------------------------------------------------------------


def complete_linkage(hashes: list[int], max_distance: int) -> list[set[int]]:
    """The slow literal twin: all pairs of groups, the largest distance between their members."""
    groups = [[h] for h in sorted(set(hashes))]
    for level in range(max_distance + 1):
        pairs = [
            (a, b)
            for distance in range(level + 1)
            for a, b in itertools.combinations(sorted(set(hashes)), 2)
            if (a ^ b).bit_count() == distance
        ]
        for a, b in sorted(pairs):
            one = next(g for g in groups if a in g)
            other = next(g for g in groups if b in g)
            if one is not other and max((x ^ y).bit_count() for x in one for y in other) <= level:
                one.extend(other)
                groups.remove(other)
    return [{i for i, h in enumerate(hashes) if h in group} for group in groups]


def as_sets(groups: np.ndarray) -> list[set[int]]:
    return [set(np.flatnonzero(groups == g).tolist()) for g in range(groups.max(initial=-1) + 1)]


def test_chains_are_not_followed() -> None:
    # 0, 1, 11, 111, 1111 in binary: each is one bit from the next, the ends four bits apart.
    chain = np.array([0b0, 0b1, 0b11, 0b111, 0b1111], dtype=np.uint64)
    # At one bit 0 joins 1 and 11 joins 111; at two bits 1111 joins the latter, and 0 is three bits from 111.
    assert near_duplicate_groups(chain).tolist() == [0, 0, 1, 1, 1]
    assert near_duplicate_groups(chain, max_distance=0).tolist() == [0, 1, 2, 3, 4]
    assert near_duplicate_groups(chain[[4, 1, 1, 0]]).tolist() == [0, 1, 1, 1]


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.uint64, st.integers(0, 25), elements=st.integers(0, 63)),
    st.integers(0, 3),
    st.integers(0, 58),
)
def test_groups_equal_the_literal_twin(small: np.ndarray, max_distance: int, shift: int) -> None:
    hashes = small << np.uint64(shift)
    groups = near_duplicate_groups(hashes, max_distance)
    assert sorted(map(sorted, as_sets(groups))) == sorted(
        map(sorted, complete_linkage([int(h) for h in hashes], max_distance))
    )
    first = [int(np.flatnonzero(groups == g)[0]) for g in range(groups.max(initial=-1) + 1)]
    assert first == sorted(first)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 400))
def test_groups_are_tight_and_independent_of_order(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**63, 40, dtype=np.uint64)[rng.integers(0, 40, count)]
    for _ in range(2):
        hashes = hashes ^ (np.uint64(1) << rng.integers(0, 64, count, dtype=np.uint64))
    groups = near_duplicate_groups(hashes)
    for g in np.unique(groups):
        members = hashes[groups == g]
        assert np.bitwise_count(members[:, None] ^ members).max() <= 2
    order = rng.permutation(count)
    shuffled = near_duplicate_groups(hashes[order])
    assert sorted(map(sorted, as_sets(groups))) == sorted(sorted(order[list(s)].tolist()) for s in as_sets(shuffled))


def test_a_hundred_thousand_hashes_are_grouped() -> None:
    rng = np.random.default_rng(0)
    hashes = np.repeat(rng.integers(0, 2**63, 50_000, dtype=np.uint64), 2)
    hashes[1::2] ^= np.uint64(0b11)
    groups = near_duplicate_groups(hashes)
    assert np.array_equal(groups[::2], groups[1::2])
    assert groups.max() == 49_999


def test_a_large_group_is_warned_of() -> None:
    images = labelled([0] * 40 + [1] * 40)
    groups = np.arange(80)
    assert large_groups(images, groups) == []
    groups[40:43] = 40
    (warning,) = large_groups(images, groups)
    assert warning.startswith("3 of 40 images of 'b' look the same (such as image 1/40)")
    assert large_groups(labelled([0, 1]), np.arange(2)) == []  # one image is no group


def test_classes_with_the_same_images_are_warned_of(tmp_path: Path) -> None:
    folders(tmp_path, a=3, b=2)
    assert mixed_groups(labelled([0, 0, 1]), np.array([0, 0, 1])) == []
    for number in (1, 2):  # another file, so other bytes: refusing copies does not see them
        scene(number).save(tmp_path / "b" / f"copy {number}.bmp")
    images = read_class_folders(tmp_path)
    hashes, _ = difference_hashes(images.paths)
    (warning,) = mixed_groups(images, near_duplicate_groups(hashes))
    assert warning.startswith("2 images look the same as one of another class, the first ")
    (warning_of_one,) = mixed_groups(labelled([0, 1]), np.array([0, 0]))
    assert warning_of_one.startswith("1 image looks the same as one of another class")
    assert f"{tmp_path / 'b' / 'copy 1.bmp'} and {tmp_path / 'a' / '001.png'};" in warning


def test_a_drawing_is_not_a_duplicate_of_its_scene() -> None:
    plain, drawn = scene(4), scene(4)
    ImageDraw.Draw(drawn).rectangle((5, 5, 40, 40), fill=(250, 250, 250))
    groups = near_duplicate_groups(np.array([difference_hash(plain), difference_hash(drawn)], dtype=np.uint64))
    assert groups.tolist() == [0, 1]
