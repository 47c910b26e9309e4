"""Input checks on Case review: above the verdict, in the table, and in place of an answer about nothing."""

from __future__ import annotations

import io

from PIL import Image

from nero_core.data.input_checks import NOTHING_TO_JUDGE
from nero_core.data.scenes import render
from tests.app.conftest import mounted, open_popover, upload, words_of


def png(image):
    """An image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_what_was_noticed_stands_on_the_page(app):
    session = upload(app, ("frame.png", png(render("inset-picture", 30_000))))
    assert not session.exception
    assert "A green position picture lies over the frame." in words_of(session)
    assert session.session_state["case"][0].reading.checks[0].name == "position picture"


def test_a_black_image_gets_no_answer_and_no_heatmap(app):
    session = upload(app, ("black.png", png(Image.new("RGB", (300, 300)))))
    assert not session.exception
    assert [header.value for header in session.header] == ["Nothing to judge"]
    text = words_of(session)
    assert "own answer" not in text
    assert list(mounted(session)) == ["glossary", "case-watch"], "no frame to lay a heatmap over"
    assert mounted(session)["case-watch"]["headline"] == "black.png: Nothing to judge"
    assert not session.tabs
    assert not session.session_state["case"][0].reading.maps


def test_the_table_says_what_was_noticed(app):
    files = [("black.png", png(Image.new("RGB", (300, 300)))), ("frame.png", png(render("inset-picture", 30_000)))]
    session = upload(app, *files)
    assert not session.exception
    open_popover(session, "case-table")
    rows = session.dataframe[0].value
    assert rows["verdict"].iloc[0] == NOTHING_TO_JUDGE
    assert "position picture" in rows["checks"].iloc[1]
