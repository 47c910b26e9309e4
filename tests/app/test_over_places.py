"""A score that is a sum over places: Case review draws the sum on the frame, and says where it is densest."""

from __future__ import annotations

import io
import shutil

import pytest
from PIL import Image, ImageDraw
from streamlit.testing.v1 import AppTest

from nero_core.data.class_folders import read_class_folders
from nero_core.figures import overlays
from pages.case_views import viewer
from tests.app.conftest import PATIENCE, ROOT, layers, mounted, picture_bytes, upload, words_of
from tests.references import fitted, halves_record, telling_classifier


@pytest.fixture(scope="module")
def decided_by_places(class_folders, tmp_path_factory):
    """The folder of a reference that has one detector, Patch KNN."""
    images = read_class_folders(class_folders)
    folder = tmp_path_factory.mktemp("places") / "noise"
    fitted(telling_classifier(images, halves_record(images)), images, ("patch_knn",)).save(folder)
    return folder


@pytest.fixture
def app(no_bundle, monkeypatch, decided_by_places):
    monkeypatch.setenv("NERO_REFERENCES", str(decided_by_places.parent))
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE).run()


def with_a_spot():
    picture = Image.open(io.BytesIO(picture_bytes(size=(160, 128))))
    ImageDraw.Draw(picture).ellipse((110, 84, 146, 118), fill=(250, 20, 250))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_the_layer_is_the_account_and_the_sentence_says_where(app):
    upload(app, ("a.png", with_a_spot()))
    assert not app.exception
    [frame] = app.session_state["case"]
    [layer] = [each for name, each in layers(app).items() if name == "all"]
    assert layer["title"] == "where the score of Patch KNN comes from, place by place: it is their sum"
    assert layer["outline"] == overlays.layer(viewer.places_map(frame, frame.reading)).outline
    assert mounted(app)["frame"]["width"] == 160
    said = words_of(app)
    assert "its score is a sum over places, densest at the bottom right" in said
    assert "looked most" not in said


def test_the_real_reference_that_is_bundled_waits_to_be_chosen(monkeypatch, tmp_path, tiny_reference):
    from nero_core import Reference
    from pages.shared import resources

    bundled, own = tmp_path / "bundled", tmp_path / "own"
    for folder, title, synthetic in ((bundled / "a", "Real", False), (bundled / "b", "Rendered", True)):
        reference = Reference.load(tiny_reference)
        reference.manifest |= {"title": title, "synthetic": synthetic}
        reference.save(folder)
    monkeypatch.setattr(resources, "BUNDLED_REFERENCES", bundled)
    monkeypatch.setattr(resources, "USER_REFERENCES", own)
    monkeypatch.delenv(resources.FOLDERS_VARIABLE, raising=False)
    assert [entry.title for entry in resources.entries()] == ["Rendered", "Real"]
    shutil.copytree(tiny_reference, own / "mine")
    assert [entry.title for entry in resources.entries()][1:] == ["Rendered", "Real"]
