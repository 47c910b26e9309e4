"""Names of classes, titles and files that would be markup: text on every page, in every chart, and where one points."""

from __future__ import annotations

import json
import re

import pytest

from nero_core.data.class_folders import list_images, read_class_folders
from nero_core.data.preprocessing import Preprocessing
from nero_core.data.splits import split_for_fit
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.records import TrainingRecord
from nero_core.reference.description import Card
from nero_core.reference.fit import fit_reference
from pages.neuron_views import link
from tests.app.conftest import ROOT, mounted, picture_bytes, show_part, upload
from tests.conftest import coloured_noise

CLASSES = ("<img src=x onerror=alert(1)>", "[a](javascript:alert(1)) :red[b]", "<b>$c$ **d**")
TITLE = "<script>alert(2)<!--script> ![t](http://x.y)"
KIND = "<a href=x>odd<!--a>"
FILE = "<svg onload=alert(3)> [f](http://x.y) $z$.png"
PAGES = ("case_review", "neurons", "benchmark", "references")
MARKDOWN = ("markdown", "caption", "header", "subheader", "info", "warning", "error", "success")
TAGS = ("<img", "<script", "<svg", "<a ", "<b>")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A reference whose every name is markup."""
    home = tmp_path_factory.mktemp("hostile")
    for number, name in enumerate(CLASSES):
        (home / "images" / name).mkdir(parents=True)
        for i in range(20):
            coloured_noise((60 + 60 * number, 120, 90), (number, i)).save(home / "images" / name / f"{i}.png")
    images = read_class_folders(home / "images")
    assert set(images.classes) == set(CLASSES)
    record = TrainingRecord(frozenset(images.digests[::2]), frozenset(images.digests[1::2]), frozenset(), {"epochs": 0})
    preprocessing = Preprocessing(height=32, width=32)
    network = build_classifier("resnet18", images.classes, seed=0, preprocessing=preprocessing).network
    classifier = Classifier(network, "resnet18", images.classes, preprocessing, record)
    odd = list_images(home / "images" / CLASSES[0])[:4]
    card = Card(TITLE, image_source=TITLE, licence=TITLE)
    fit_reference(classifier, split_for_fit(classifier.training, images), card, ood={KIND: odd}).save(
        home / "references" / "hostile"
    )
    return home / "references"


def unescaped(text):
    """Markdown without what `plain` has made harmless, for which it sets a backslash."""
    return text.replace("\\<", "").replace("\\[", "").replace("\\!", "")


def charts(session):
    for chart in session.get("plotly_chart"):
        yield json.dumps(json.loads(chart.proto.spec), ensure_ascii=False)


PARTS = ("Why", "Top neurons", "Concepts", "Detectors", "All neurons", "Similar frames", "Covers")
TEXTS = {"name", "title", "text", "headline", "note", "alt", "crops_alt", "caption", "counts", "word"}
"""Fields of our components that hold words, which they write as text: see the next test but one."""


def strings(data, field=""):
    """Every string of a component's data, with the field that it is in."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key != "words":  # which are ours, for every image the same
                yield from strings(value, key)
    elif isinstance(data, list):
        for value in data:
            yield from strings(value, field)
    elif isinstance(data, str):
        yield field, data


@pytest.mark.parametrize("part", PARTS)
def test_names_are_text_in_every_part_and_in_our_own_components(open_app, monkeypatch, hostile, part):
    monkeypatch.setenv("NERO_REFERENCES", str(hostile))
    app = open_app()
    upload(app, (FILE.replace("/", "|"), picture_bytes()), ("b.png", picture_bytes(2)))  # what follows "/" is the name
    show_part(app, part)
    assert not app.exception
    for element in (element for kind in MARKDOWN for element in getattr(app, kind)):
        assert not [tag for tag in TAGS if tag in unescaped(element.value)], element.value
    for spec in charts(app):
        assert not [tag for tag in ("<img", "<script", "<svg", "<a ") if tag in spec]
    data = mounted(app)
    assert {"frame", "filmstrip", "case-watch"} <= set(data)
    found = set()
    for key, each in data.items():
        for field, text in strings(each):
            if any(mark in text for mark in (*TAGS, "](http", "](javascript")):
                assert field in TEXTS, (key, field, text[:100])
                found.add(key)
            elif field in ("picture", "url", "colours") and text and not text.startswith("#"):
                assert re.fullmatch(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/]+=*", text), key
            elif field == "outline":
                assert re.fullmatch(r"[MLZ0-9 -]*", text)
    assert "filmstrip" in found, "else this looks at nothing: a thumbnail has the name of its file"


def test_our_own_components_write_no_markup():
    """What they are given they set as text or as an attribute: none of their sources knows how to read markup."""
    sources = sorted((ROOT / "frontend" / "src").glob("*.ts"))
    assert len(sources) > 5
    for source in sources:
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "createContextualFragment"):
            assert word not in source.read_text(encoding="utf-8"), source.name


@pytest.mark.parametrize("page", PAGES)
def test_names_are_text_on_every_page(open_app, monkeypatch, hostile, page):
    monkeypatch.setenv("NERO_REFERENCES", str(hostile))
    app = open_app()
    upload(app, (FILE, picture_bytes()))
    app.switch_page(f"pages/{page}.py")
    app.run()
    assert not app.exception
    shown = [element.value for kind in MARKDOWN for element in getattr(app, kind)]
    for text in shown:
        for tag in (*TAGS, "![t]"):
            assert tag not in unescaped(text), text
        assert "](http" not in text.replace("\\]", "")
        assert "](javascript" not in text.replace("\\]", "")
    before, after = link.SCRIPT.split("%s")
    for element in app.get("html"):
        body = element.proto.body
        if body.startswith(before) and body.endswith(after):  # ours, around the address of the view
            body = body[len(before) : -len(after)]
        assert not [tag for tag in TAGS if tag in body and tag != "<b>"], body[:300]
    drawn = list(charts(app))
    for spec in drawn:
        assert not [tag for tag in ("<img", "<script", "<svg", "<a ") if tag in spec], "plotly reads some tags"
    assert drawn or page in ("references", "benchmark")
    assert shown
