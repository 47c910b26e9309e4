"""The handout at the end of the Lesson page: two files, made when they are asked for."""

from __future__ import annotations

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.lesson_views import handout
from pages.shared import resources
from tests.app.conftest import PATIENCE, ROOT, words_of


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """Call it for a session on the Lesson page; what its buttons would give is in `files`."""
    monkeypatch.setattr(resources, "USER_REFERENCES", tmp_path / "none")
    monkeypatch.delenv(resources.FOLDERS_VARIABLE, raising=False)
    st.cache_resource.clear()

    def open_page(folded_open=True):
        session = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE).run()
        session.switch_page("pages/lesson.py")
        session.session_state[handout.OPEN] = folded_open
        return session.run()

    yield open_page
    st.cache_resource.clear()


def test_two_files_that_are_made_once_and_only_when_asked(opened, monkeypatch):
    made, files = [], {}
    monkeypatch.setattr(handout, "page", lambda reference, frames, paper: made.append(paper) or f"<p>{paper}</p>")
    monkeypatch.setattr(handout, "pdf", lambda html: f"PDF of {html}".encode())

    def keep(label, data, file, kind, key, **more):
        files[file] = data, kind

    monkeypatch.setattr(handout.controls, "download", keep)
    session = opened()
    assert not session.exception
    assert made == []
    html, kind = files["lesson.html"]
    assert (html(), kind) == (b"<p>a4</p>", "text/html")
    data, kind = files["lesson.pdf"]
    assert (data(), kind) == (b"PDF of <p>a4</p>", "application/pdf")
    assert made == ["a4"]


def test_where_pango_is_missing_the_html_is_left(opened, monkeypatch):
    monkeypatch.setattr(handout, "why_no_pdf", lambda: "A PDF needs Pango.")
    session = opened()
    buttons = {button.label: button for button in (element.proto for element in session.get("download_button"))}
    assert not buttons["HTML"].disabled
    assert buttons["PDF"].disabled
    assert "A PDF needs Pango" in words_of(session)


def test_nothing_is_loaded_while_it_is_folded(opened, monkeypatch):
    monkeypatch.setattr(handout, "why_no_pdf", lambda: pytest.fail("nobody looked"))
    session = opened(folded_open=False)
    assert not session.exception
    assert len(session.get("download_button")) == 0
