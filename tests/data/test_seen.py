"""What was trained and fitted on is told again: by its bytes, by how it looks, by its group."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nero_core.data.image_set import ImageSet
from nero_core.data.listing import read_files, read_images
from nero_core.data.near_duplicates import difference_hashes
from nero_core.data.seen import CALIBRATED_ON, TRAINED_ON, Seen, SeenImages, looked_at
from nero_core.records import TrainingRecord
from nero_core.storage.files import digest
from tests.scenes import COPIES, save_again, scene, write_classes, write_scenes


@pytest.fixture
def trained(tmp_path):
    """Two classes of 20 pictures that train, in PNG."""
    return read_images(write_classes(tmp_path / "trained", a=20, b=20))


def record_of(images, hashes=None, groups=None):
    return TrainingRecord(frozenset(images.digests), frozenset(), frozenset(), hashes=hashes or {}, groups=groups or {})


def hashes_of(images):
    return {key: int(value) for key, value in zip(images.digests, difference_hashes(images.paths)[0], strict=True)}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_copy_saved_again_is_told_by_its_look(tmp_path, how, suffix):
    originals = read_images(write_classes(tmp_path / "trained", suffix, a=20, b=20))
    for path in originals.paths:
        save_again(path, tmp_path / "copies", how)
    copies = read_files(tmp_path / "copies")
    assert not set(copies.digests) & set(originals.digests), "other bytes"
    new = read_files(write_scenes(tmp_path / "new", range(5000, 5040)))
    record = record_of(originals, hashes_of(originals))
    hashes = looked_at([copies, new], record)
    seen = Seen.of(record, None, hashes)
    assert seen.overlap(copies, hashes).mean() >= 0.9
    assert not seen.overlap(new, hashes).any()
    assert SeenImages(seen.hashes, np.empty(0, np.uint64)).among(difference_hashes(originals.paths)[0]) == (
        [TRAINED_ON] * 40
    )


def test_an_earlier_records_images_are_looked_at(trained):
    """It holds no hashes: those of the images at hand are computed, and it is known when most of them are missing."""
    record = record_of(trained)
    hashes = looked_at([trained], record)
    assert hashes == hashes_of(trained)
    assert Seen.of(record, trained, hashes).looks_known
    part = trained.select(np.arange(40) < 37)
    known = looked_at([part], record)
    assert not Seen.of(record, part, known).looks_known, "three of forty are more than a twentieth"
    part = trained.select(np.arange(40) < 38)
    assert Seen.of(record, part, looked_at([part], record)).looks_known


def test_what_the_record_holds_is_not_looked_at_again(trained, monkeypatch):
    hashes = hashes_of(trained)
    monkeypatch.setattr("nero_core.data.seen.difference_hashes", lambda sources, progress: pytest.fail(str(sources))
                        if sources else (np.empty(0, np.uint64), {}))  # fmt: skip
    assert looked_at([trained], record_of(trained, hashes)) == hashes


def test_same_bytes_are_seen_whether_or_not_they_can_be_looked_at(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    scene(1).save(tmp_path / "fine.png")
    files = read_files(tmp_path)
    record = record_of(files)
    hashes = looked_at([files], record)
    assert list(hashes) == [files.digests[1]], "what cannot be read has no look"
    assert Seen.of(record, None, hashes).overlap(files, hashes).tolist() == [True, True]
    other = TrainingRecord(frozenset({"f" * 64}), frozenset(), frozenset())
    assert Seen.of(other, None, hashes).overlap(files, hashes).tolist() == [False, False]


def test_black_frames_look_like_black_frames_only(tmp_path):
    """A difference hash of 0 is the look of a frame without any gradient, not that of an unreadable file."""
    for place in ("trained", "asked"):
        (tmp_path / place).mkdir()
    Image.new("RGB", (64, 48)).save(tmp_path / "trained" / "black.png")
    Image.new("RGB", (96, 48)).save(tmp_path / "asked" / "0 black.png")
    (tmp_path / "asked" / "1 broken.png").write_bytes(b"no picture")
    scene(3).save(tmp_path / "asked" / "2 scene.png")
    trained, asked = read_files(tmp_path / "trained"), read_files(tmp_path / "asked")
    hashes = looked_at([trained, asked], None)
    assert Seen.of(None, trained, hashes).overlap(asked, hashes).tolist() == [True, False, False]


def test_groups_are_told_by_digests_of_their_names(tmp_path):
    seen = Seen.of(record_of(ImageSet(("x",), ("d1",)), groups={"d1": digest(b"p1"), "d2": digest(b"p9")}), None, {})
    asked = ImageSet(("a", "b", "c"), ("d5", "d6", "d7"), groups=("p1", "p2", "p9"))
    assert seen.overlap(asked, {}).tolist() == [True, False, False], "p9 was set aside, not trained on"
    assert seen.overlap(ImageSet(("a",), ("d5",)), {}).tolist() == [False]
    fit = ImageSet(("y",), ("d3",), groups=("p2",))
    both = seen.joined(Seen.of(None, fit, {}))
    assert both.overlap(asked, {}).tolist() == [True, True, False]
    assert (both.digests, both.looks_known) == ({"d1", "d3"}, False)


def test_joined_looks_are_all_looks():
    one = Seen(frozenset("a"), np.array([1, 5], np.uint64), looks_known=False)
    other = Seen(frozenset("b"), np.array([5, 9 << 40], np.uint64))
    both = one.joined(other)
    assert both.hashes.tolist() == [1, 5, 9 << 40]
    assert both.looks_known


def test_a_scored_image_is_told_what_it_was_used_for():
    far = [0, (1 << 20) - 1, ((1 << 20) - 1) << 30]
    seen = SeenImages(np.array(far[:1], np.uint64), np.array(far[1:2], np.uint64))
    asked = np.array([0, 0b11, 0b111, far[1], far[1] ^ 1, far[2]], np.uint64)
    assert seen.among(asked) == [TRAINED_ON, TRAINED_ON, "", CALIBRATED_ON, CALIBRATED_ON, ""]
    nothing = SeenImages(np.empty(0, np.uint64), np.empty(0, np.uint64))
    assert nothing.among(asked) == [""] * 6
    assert seen.among(np.empty(0, np.uint64)) == []
