"""Similar frames on Case review: what is shown is what was found, with alt text, a table, and what it does not mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nero_core import Reference
from nero_core.neurons.sample import TRAINED_ROLE
from nero_core.neurons.similar import NO_FRAMES, NO_TRAINING_FRAMES
from tests.app.conftest import picture_bytes, show_part, upload, words_of
from tests.neurons.test_sheets import with_sheet


def shown(page):
    """Alt texts of the similar frames on the page, in order."""
    pictures = [image.alt for element in page.get("image") for image in element.proto.imgs]
    return [alt for alt in pictures if " frame " in alt]


def table(page):
    return next(frame.value for frame in page.dataframe if "kind" in frame.value and "distance" in frame.value)


@pytest.fixture
def of_reference(open_app, tiny_reference, tmp_path, monkeypatch):
    """A session on a changed copy of the tiny reference."""

    def opened(change):
        changed = Reference.load(tiny_reference)
        change(changed)
        changed.save(tmp_path / "references" / "r")
        monkeypatch.setenv("NERO_REFERENCES", str(tmp_path / "references"))
        return open_app()

    return opened


def test_the_nearest_frames_are_those_that_the_core_finds(app, reference):
    page = show_part(upload(app, ("a.png", picture_bytes())), "Similar frames")
    activations = reference.classifier.extract([picture_bytes()])
    for by in ("relevance", "features"):
        page.segmented_control(key="similar-by").set_value(by).run()
        assert not page.exception
        found = reference.similar_frames(activations, by=by)
        rows = table(page)
        assert rows["kind"].tolist() == [frame.kind for frame in found]
        assert rows["class"].tolist() == [frame.class_name for frame in found]
        assert rows["distance"].tolist() == pytest.approx([frame.distance for frame in found], rel=6e-3)
        text = words_of(page)
        assert "**Training frames**, nearest first; of 100 calibration frames about" in text
        assert "**Calibration frames**, nearest first" in text
        assert "does not mean the same finding" in text
        nearest = next(frame for frame in found if frame.kind == "training")
        alts = shown(page)
        assert len(alts) == len(found)
        assert any(alt.startswith(f"Training frame 1 of 4: {nearest.class_name}, distance") for alt in alts)


def test_a_score_without_an_account_has_similar_frames_too(app):
    page = show_part(upload(app, ("a.png", picture_bytes())), "Similar frames")
    page.selectbox(key="detector").set_value("msp").run()
    assert not page.exception
    assert len(shown(page)) == 8


def test_a_reference_of_an_earlier_version_says_how_to_get_training_frames(of_reference):
    def earlier(reference):
        reference.sample = replace(reference.sample, trained=None)
        reference.manifest["sample"]["trained"] = 0

    page = show_part(upload(of_reference(earlier), ("a.png", picture_bytes())), "Similar frames")
    assert not page.exception
    assert all(alt.startswith("Calibration frame") for alt in shown(page))
    assert NO_TRAINING_FRAMES in words_of(page)


def test_a_reference_without_pictures_says_how_to_get_some(of_reference):
    def bare(reference):
        reference.sample = replace(reference.sample, trained=None, read_sheet=None)
        reference.manifest["sample"] |= {"trained": 0, "pictures": False}

    page = show_part(upload(of_reference(bare), ("a.png", picture_bytes())), "Similar frames")
    assert not page.exception
    assert not shown(page)
    assert NO_FRAMES in words_of(page)


def test_pictures_that_cannot_be_read_are_said_in_place(of_reference, tmp_path):
    page = of_reference(lambda reference: None)
    with_sheet(tmp_path / "references" / "r", TRAINED_ROLE, b"words")
    page = show_part(upload(page, ("a.png", picture_bytes())), "Similar frames")
    assert not page.exception
    assert any(warning.value.startswith("No similar frames: ") for warning in page.warning)
