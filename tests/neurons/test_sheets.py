"""Pictures inside a reference, which may come from anywhere: read as uploads are, and only what belongs there."""

from __future__ import annotations

import shutil
from functools import partial

import pytest
from PIL import Image, ImageFile

from nero_core import Reference
from nero_core.errors import ArtefactError
from nero_core.neurons.sample import SHEET_ROLE
from nero_core.neurons.sheets import cut_sheet
from nero_core.reference.manifest import read_manifest, write_manifest
from nero_core.storage.files import digest
from tests.data.hostile import encoded, whole_files
from tests.data.test_hostile_uploads import declared, noted

NEURON = 0
ROLE = f"concepts/neuron_{NEURON:05d}"


def with_sheet(folder, role, data):
    """Put another sheet into a reference, which is sealed again so that every hash agrees."""
    content = {key: value for key, value in read_manifest(folder).items() if key != "sha256"}
    name = f"{role}-{digest(data)[:16]}.webp"
    (folder / content["files"][role]["name"]).unlink()
    (folder / name).write_bytes(data)
    content["files"][role] = {"name": name, "sha256": digest(data), "bytes": len(data)}
    write_manifest(folder, content)


@pytest.fixture
def folder(tiny_reference, tmp_path):
    return shutil.copytree(tiny_reference, tmp_path / "r")


HOSTILE = {
    "a huge size": (lambda: declared("webp", 16_000, 16_000), "is too large; at most 40 million"),
    "a JPEG": (lambda: whole_files()["jpeg"], "is not an image, or its start is damaged; wanted WEBP"),
    "a PNG": (lambda: whole_files()["png"], "wanted WEBP"),
    "words": (lambda: b"words", "wanted WEBP"),
    "nothing": (lambda: b"", "is empty"),
    "half of it": (lambda: whole_files()["webp"][:200], "wanted WEBP|is damaged"),
    "a long note": (lambda: encoded(Image.new("RGB", (64, 64)), "WEBP", exif=b"Exif\0\0" + noted(10**6)), "EXIF"),
    "another shape": (lambda: encoded(Image.new("RGB", (640, 64)), "WEBP"), r"640 × 64 pixels; wanted|holds 13 × 1"),
}


@pytest.mark.parametrize(("make", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_sheet_that_is_none_of_ours_is_refused_in_words(make, message, folder, monkeypatch):
    data = make()
    with_sheet(folder, ROLE, data)
    with_sheet(folder, SHEET_ROLE, data)
    stored, loaded = Reference.open(folder).read_without_network(), Reference.load(folder)

    def load(*_):
        raise AssertionError("decoded")

    if "too large" in message or "EXIF" in message:
        monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    for concepts in (stored.feature_concepts, loaded.concepts):
        with pytest.raises(ArtefactError, match=message):
            concepts.crops(NEURON)
    for sample in (stored.sample, loaded.sample):
        with pytest.raises(ArtefactError, match=message):
            cut_sheet(sample.read_sheet(), len(sample.groups))


@pytest.mark.parametrize("role", [ROLE, SHEET_ROLE])
def test_a_sheet_that_went_missing_is_named(folder, role):
    """As where another process has fitted into the same folder since."""
    stored, loaded = Reference.open(folder).read_without_network(), Reference.load(folder)
    (folder / read_manifest(folder)["files"][role]["name"]).unlink()
    for each, concepts in ((stored, stored.feature_concepts), (loaded, loaded.concepts)):
        read = partial(concepts.crops, NEURON) if role == ROLE else each.sample.read_sheet
        with pytest.raises(ArtefactError, match=rf"\({role}\) is missing"):
            read()
