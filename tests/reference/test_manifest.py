"""Manifests: limited in size, read once until they change, and nobody's change reaches somebody else."""

from __future__ import annotations

import json
import os
import shutil
import threading

import pytest

from nero_core.errors import ArtefactError
from nero_core.reference import manifest
from nero_core.reference.manifest import (
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    list_references,
    read_manifest,
    read_picture,
    verify_file,
    write_manifest,
)


@pytest.fixture
def folder(tiny_reference, tmp_path):
    return shutil.copytree(tiny_reference, tmp_path / "all" / "r")


@pytest.fixture
def reads(monkeypatch):
    """Which manifests were read and checked."""
    read, check = [], manifest._checked

    def counted(path):
        read.append(path)
        return check(path)

    monkeypatch.setattr(manifest, "_checked", counted)
    return read


def retitled(folder, title):
    content = {key: value for key, value in read_manifest(folder).items() if key != "sha256"}
    write_manifest(folder, content | {"title": title})


def test_it_is_read_once_until_it_changes(folder, reads):
    def looked_at():
        for _ in range(5):
            (entry,) = list_references([folder.parent])
            assert read_manifest(folder)["title"] == entry.title
        return entry.title

    assert looked_at() == "Coloured noise"
    assert len(reads) == 1
    retitled(folder, "Another title")
    assert looked_at() == "Another title"
    assert len(reads) == 2


def test_what_is_wrong_with_it_is_found_once_too(folder, reads):
    path = folder / MANIFEST_NAME
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    for _ in range(5):
        assert "cannot be read" in list_references([folder.parent])[0].error
        with pytest.raises(ArtefactError, match="cannot be read"):
            read_manifest(folder)
    assert len(reads) == 1
    path.write_bytes(whole)
    assert list_references([folder.parent])[0].error is None


def test_an_edit_in_place_that_hides_its_time_is_seen(folder):
    path = folder / MANIFEST_NAME
    before = path.stat()
    read_manifest(folder)
    edited = path.read_bytes().replace(b"Coloured noise", b"Hospital noise")
    with path.open("r+b") as file:
        file.write(edited)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ArtefactError, match="the content was changed"):
        read_manifest(folder)


def test_what_a_caller_does_to_it_stays_with_the_caller(folder):
    mine = read_manifest(folder)
    mine["files"].clear()
    mine["title"] = "changed"
    assert read_manifest(folder)["title"] == "Coloured noise"
    assert read_manifest(folder)["files"]


def test_threads_see_one_version_or_another_and_whole(folder):
    seen, problems, stop = set(), [], threading.Event()

    def read():
        try:
            while not stop.is_set():
                seen.add(read_manifest(folder)["title"])
                seen.update(entry.error or entry.title for entry in list_references([folder.parent]))
        except BaseException as error:  # noqa: BLE001  handed to the main thread
            problems.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(30):
        retitled(folder, f"version {number}")
    stop.set()
    for reader in readers:
        reader.join()
    assert not problems
    assert seen <= {"Coloured noise", *(f"version {number}" for number in range(30))}


def test_a_file_of_gigabytes_is_refused_by_its_first_megabytes(folder):
    os.truncate(folder / MANIFEST_NAME, 50 * 2**30)  # no such memory
    with pytest.raises(ArtefactError, match=rf"has {50 * 2**30} bytes; at most {MAX_MANIFEST_BYTES} are read"):
        read_manifest(folder)
    assert "at most" in list_references([folder.parent])[0].error


def test_no_manifest_is_written_that_could_not_be_read(folder):
    before = (folder / MANIFEST_NAME).read_bytes()
    content = {key: value for key, value in read_manifest(folder).items() if key != "sha256"}
    with pytest.raises(ArtefactError, match=f"at most {MAX_MANIFEST_BYTES} are read"):
        write_manifest(folder, content | {"known_failures": "x" * MAX_MANIFEST_BYTES})
    assert (folder / MANIFEST_NAME).read_bytes() == before


def test_the_largest_that_is_fitted_fits(folder):
    """4,096 neurons with crops, and the false alarms of 36 detectors in each of 1,000 classes."""
    content = read_manifest(folder)
    name = "concepts/neuron_00000"
    files = {f"concepts/neuron_{n:05d}": content["files"][name] for n in range(4096)}
    false_alarms = {
        f"stage_mahalanobis_{detector}": {
            kind: {f"class with a name {n:04d}": [50, 1000] for n in range(1000)} for kind in ("predicted", "true")
        }
        for detector in range(36)
    }
    written = json.dumps({"files": files, "false_alarms": false_alarms}, indent=1).encode()
    assert MAX_MANIFEST_BYTES / 2 < len(written) < 0.9 * MAX_MANIFEST_BYTES


def test_a_picture_too_large_is_refused_unread(folder, monkeypatch):
    files = read_manifest(folder)["files"]
    role = "concepts/sample"
    os.truncate(folder / files[role]["name"], manifest.MAX_PICTURE_BYTES + 1)
    files[role]["bytes"] = manifest.MAX_PICTURE_BYTES + 1
    monkeypatch.setattr(manifest, "digest", lambda _: pytest.fail("it was read"))
    for read in (verify_file, read_picture):
        with pytest.raises(ArtefactError, match=rf"{role}\) has 16777217 bytes; at most 16777216 are read"):
            read(folder, role, files)
