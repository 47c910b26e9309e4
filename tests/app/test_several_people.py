"""Several people on one reference: nobody's verdict waits for somebody's heatmaps, and names stay text."""

from __future__ import annotations

import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nero_core import Reference
from nero_core.attribution.methods import crp
from nero_core.attribution.tracing import Steps
from nero_core.wording import STATES
from pages.shared import resources
from pages.shared.reading import read_case
from pages.shared.session import Frame
from pages.shared.words import plain
from tests.app.conftest import PATIENCE, picture_bytes, upload, words_of


class Somebody:
    """Explains an image in a thread of their own, held up at the first call of some function until let go."""

    def __init__(self, monkeypatch, owner, name):
        self.arrived, self.go = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="somebody")
        original = getattr(owner, name)

        def held(*args, **named):
            if threading.current_thread().name.startswith("somebody"):
                self.arrived.set()
                assert self.go.wait(PATIENCE)
            return original(*args, **named)

        monkeypatch.setattr(owner, name, held)

    def explain(self, reference):
        explained = self._pool.submit(lambda: reference.open_heatmaps(picture_bytes(7)).neuron(0))
        assert self.arrived.wait(PATIENCE), "the heatmaps never came to the place where they are held up"
        return explained


@pytest.fixture
def fresh(tiny_reference):
    """A reference that has explained nothing yet."""
    return Reference.load(tiny_reference)


def test_somebody_is_explained_completely_while_anothers_heatmap_is_under_way(open_app, monkeypatch, tiny_reference):
    app = open_app()
    shared = resources.begin_loading(tiny_reference).result(PATIENCE)
    other = Somebody(monkeypatch, Steps, "down")
    theirs = other.explain(shared)
    try:
        upload(app, ("mine.png", picture_bytes(1)))
        assert not theirs.done()
    finally:
        other.go.set()
    assert not app.exception
    frame = app.session_state["case"][0]
    assert frame.reading.reference is shared
    assert any(word in header.value for word in STATES.values() for header in app.header)
    assert len(frame.reading.maps) >= 7
    assert theirs.result(PATIENCE).any()


def test_a_verdict_does_not_wait_while_the_rules_for_heatmaps_are_being_made(fresh, monkeypatch):
    wanted = fresh.score(fresh.classifier.extract([picture_bytes(1)]))[0]
    other = Somebody(monkeypatch, crp, "trace")
    theirs = other.explain(fresh)
    frame = Frame("mine.png", picture_bytes(1))
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="me") as pool:
            pool.submit(read_case, [frame], fresh, "nero").result(PATIENCE)
            assert not theirs.done()
            assert frame.reading.score == wanted
    finally:
        other.go.set()
    assert theirs.result(PATIENCE).any()


@pytest.mark.parametrize(
    "name",
    [
        "a" * 300 + ".png",
        "\u202egnp.exe\u202c.png",
        "a\u2066b\u2069\u200f\ufeffc.png",
        "<b onload=alert(1)>*x* [y](z) $w$ :red[v]" + "\u202e" * 250 + ".png",
        "../../etc/passwd.png",
        "\u0301" * 300 + ".png",
        "\u2028\u0007\ud7ff.png",
    ],
)
@pytest.mark.parametrize("data", [picture_bytes(), b"not an image"], ids=["an image", "none"])
def test_any_name_is_shown_short_as_text_and_in_reading_order(app, name, data):
    upload(app, (name, data))
    assert not app.exception
    shown = app.session_state["case"][0].name
    assert 0 < len(shown) <= 80
    assert f"Case: {shown}" in [text.value for text in app.text]
    said = words_of(app).replace("\u2060", "")
    assert not [c for c in said if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"]
    formatted = [element.value for element in [*app.error, *app.caption, *app.markdown] if "alert" in element.value]
    assert all(plain(shown) in text for text in formatted)
    assert len(app.error) == (data == b"not an image")


def test_forty_eight_frames_in_eight_threads_are_read_as_one_after_another(fresh):
    def read(number):
        frame = Frame("frame.png", picture_bytes(number, size=(320, 256)))
        read_case([frame], fresh, "nero")
        return frame.reading

    serial = [read(number) for number in range(48)]
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(read, range(48)))
    for one, other in zip(serial, threaded, strict=True):
        assert one.score == other.score
        np.testing.assert_array_equal(one.relevance, other.relevance)
        np.testing.assert_array_equal(one.explanation.contributions, other.explanation.contributions)
