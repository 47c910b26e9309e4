"""The pages in German: nothing stays English, each session has its own language, and another language is one file."""

from __future__ import annotations

import io
import re

import pytest
import streamlit as st
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from nero_core import wording
from nero_core.wording import languages
from pages.case_views.parts import PARTS
from pages.shared import language
from tests.app.conftest import mounted, picture_bytes, show_part, upload, words_of

PAGES = ("benchmark", "neurons", "references")
IN_FILES = {"better than chance", "faithfulness"}
"""What notes say that a reference keeps as they were written, and the name of a command."""
SHORTEST = 12
"""Characters of an English text that cannot be part of something else by chance."""


@pytest.fixture(scope="module")
def english():
    """Texts that German says otherwise, without what is filled in."""
    with wording.speaking("de"):
        ids = [message.id for message in read_po(io.StringIO(wording.template())) if isinstance(message.id, str)]
        return {
            text for text in ids if "{" not in text and len(text) >= SHORTEST and wording.said(text) != text
        } - IN_FILES


def everything_on(session):
    """All that a reader sees or hears: texts, names of controls and their choices, charts, and what components say."""
    parts = [words_of(session), str(mounted(session))]

    def walk(block):
        for element in getattr(block, "children", {}).values():
            proto = getattr(element, "proto", None)
            if hasattr(proto, "SerializeToString"):
                parts.append(proto.SerializeToString().decode(errors="ignore"))
            walk(element)

    walk(session._tree)
    return "\n".join(parts)


def in_german(session):
    session.session_state[language.CHOSEN] = "de"
    return session.run()


def left_in(session, english):
    """English texts that are still there, whole."""
    shown = everything_on(session)
    return sorted(text for text in english if re.search(rf"(?<!\w){re.escape(text)}(?!\w)", shown))


def test_no_english_is_left_on_case_review(open_app, english):
    session = in_german(open_app())
    assert left_in(session, english) == []
    reviewed = upload(session, ("a.png", picture_bytes()), ("b.png", picture_bytes(1)))
    assert not reviewed.exception
    for part in PARTS:
        with wording.speaking("de"):
            shown = show_part(reviewed, wording.said(part))
        assert not shown.exception
        assert left_in(shown, english) == []


@pytest.mark.parametrize("page", PAGES)
def test_no_english_is_left_on_a_page(open_app, english, page):
    session = in_german(open_app())
    shown = session.switch_page(f"pages/{page}.py").run()
    assert not shown.exception
    assert left_in(shown, english) == []


def test_english_that_is_left_would_be_found(open_app, english):
    session = open_app()
    assert "Drop one image or many" in left_in(session, english)


# Whose language ----------------------------------------------------------------------------------------------------


def title(session):
    return session.title[0].value


def test_two_sessions_at_once_speak_two_languages(open_app):
    """In turns, as AppTest has one server for one run; tests/e2e has two browsers at once."""
    first, second = open_app(), open_app()
    second.session_state[language.CHOSEN] = "de"
    for _ in range(2):
        assert title(second.run()) == "Fallprüfung"
        assert title(first.run()) == "Case review"


def browser(monkeypatch, locale):
    monkeypatch.setattr(type(st.context), "locale", property(lambda self: locale))


def test_the_browser_s_language_is_followed_until_somebody_chooses(open_app, monkeypatch):
    browser(monkeypatch, "de-AT")
    session = open_app()
    assert title(session) == "Fallprüfung"
    session.session_state[language.CHOSEN] = "en"
    assert title(session.run()) == "Case review"
    session.session_state[language.CHOSEN] = "a language that nobody wrote"
    assert title(session.run()) == "Fallprüfung"


@pytest.mark.parametrize("locale", ["tlh", "en-GB", None])
def test_a_browser_that_asks_for_another_gets_english(open_app, monkeypatch, locale):
    browser(monkeypatch, locale)
    assert title(open_app()) == "Case review"


def test_a_session_without_a_language_speaks_that_of_the_server(open_app, monkeypatch):
    browser(monkeypatch, None)
    wording.use("de")
    try:
        assert title(open_app()) == "Fallprüfung"
        browser(monkeypatch, "fr")
        assert title(open_app()) == "Case review", "what a browser asks for is no business of the server's"
    finally:
        wording.use()


def test_what_was_chosen_stays_when_the_language_changes(open_app):
    session = upload(open_app(), ("a.png", picture_bytes()))
    neurons = session.switch_page("pages/neurons.py").run()
    images = next(each for each in neurons.multiselect if each.key == "neurons-images")
    images.select(images.options[0]).run()
    german = in_german(neurons)
    assert not german.exception
    assert title(german) == "Neuronen"
    back = german.switch_page("pages/case_review.py").run()
    assert not back.exception
    assert back.session_state["case"]


def test_a_third_language_is_offered_once_its_file_is_there(open_app, monkeypatch, tmp_path):
    catalog = Catalog(locale="fr", charset="UTF-8")
    catalog.add("Case review", "Examen du cas")
    with (tmp_path / "fr.po").open("wb") as file:
        write_po(file, catalog)
    monkeypatch.setattr(languages, "LOCALES", tmp_path)
    browser(monkeypatch, "fr-CA")
    session = open_app()
    assert title(session) == "Examen du cas"
    [menu] = session.get("menu_button")
    assert list(menu.proto.options) == ["English", "Français"]
