"""A disk that fills up: the cache is done without, and a report is whole or absent."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from nero_core.benchmark.division import divide
from nero_core.benchmark.line_up import contenders
from nero_core.benchmark.loop import Benchmark
from nero_core.benchmark.reading import read_results
from nero_core.data.class_folders import read_class_folders
from nero_core.data.image_set import ImageSet
from nero_core.data.listing import read_files
from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import ArtefactError
from nero_core.network.activation_cache import CachedExtractor
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.records import TrainingRecord
from nero_core.reports.benchmark import write_report
from nero_core.storage import files


class FullDisk:
    """Writes that work until the k-th."""

    def __init__(self, monkeypatch, room):
        self.room, self.write = room, files.write_synced
        monkeypatch.setattr(files, "write_synced", self)

    def __call__(self, part, data):
        if self.room == 0:
            part.write_bytes(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= 1
        self.write(part, data)


@pytest.fixture(scope="module")
def classifier(class_folders):
    images = read_class_folders(class_folders)
    record = TrainingRecord(
        frozenset(images.digests[::2]), frozenset(images.digests[1::4]), frozenset(images.digests[3::4])
    )
    preprocessing = Preprocessing(height=64, width=64)
    network = build_classifier("resnet18", images.classes, seed=0, preprocessing=preprocessing).network
    return Classifier(network, "resnet18", images.classes, preprocessing, record)


@pytest.fixture(scope="module")
def division(classifier, class_folders, strange_folder):
    images = ImageSet.of(read_class_folders(class_folders))
    return divide(classifier, images, {"strange": read_files(strange_folder)})


def benchmark(classifier, division, **folders):
    rows = contenders(["nero", "energy"], None, "here", 512)
    return Benchmark("Noise", classifier, division, rows, resamples=20, **folders)


@pytest.fixture(scope="module")
def result(classifier, division):
    return benchmark(classifier, division).run()


def test_a_cache_that_cannot_be_written_is_done_without_and_said(classifier, division, result, monkeypatch, tmp_path):
    FullDisk(monkeypatch, 0)
    found = benchmark(classifier, division, cache_folder=tmp_path / "cache", folder=tmp_path / "out").run()
    np.testing.assert_array_equal(found.scores["nero"].id, result.scores["nero"].id)
    (cache,) = [text for text in found.warnings if "NERO_CACHE, or give --no-cache" in text]
    assert "No space left" in cache
    assert any("nero.safetensors cannot be written" in text for text in found.warnings)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "nothing half is left"


def test_a_cache_that_is_a_file_is_done_without(classifier, division, tmp_path):
    (tmp_path / "file").write_text("in the way")
    extractor = CachedExtractor(classifier, tmp_path / "file")
    assert len(extractor.extract(division.id).activations) == len(division.id)
    assert "give --no-cache" in extractor.notes[0]


def test_a_report_is_whole_or_absent(result, monkeypatch, tmp_path):
    room = 0
    while True:
        disk = FullDisk(monkeypatch, room)
        try:
            written = write_report(result, tmp_path / "new")
        except ArtefactError:
            assert not list((tmp_path / "new").rglob("*")), "absent"
        else:
            break
        finally:
            monkeypatch.setattr(files, "write_synced", disk.write)
        room += 1
    assert room >= 5, "each file was the one that did not fit"
    assert all(path.is_file() for path in written)
    assert read_results(tmp_path / "new").to_json() == result.to_json()


def test_a_report_that_does_not_fit_leaves_the_earlier_one(result, monkeypatch, tmp_path):
    write_report(result, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    FullDisk(monkeypatch, 4)
    with pytest.raises(ArtefactError, match="No space left"):
        write_report(result, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
