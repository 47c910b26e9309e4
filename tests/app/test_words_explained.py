"""The list of words that every page has, and the terms that every page marks."""

from __future__ import annotations

import pytest

from app import PAGES
from nero_core.wording.glossary import explained
from tests.app.conftest import mounted, open_popover

NAMES = [term.name for term in explained()]


def listed(session):
    """The terms that the open list holds, by what they mean."""
    texts = "\n".join(element.value for element in session.markdown).replace("\\", "").replace("\u2060", "")
    return [term.name for term in explained() if f"**{term.name}**  \n{term.meaning}" in texts]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_marks_all_terms_and_lists_them(app, page):
    app.switch_page(f"pages/{page}.py").run()
    assert [term["name"] for term in mounted(app)["glossary"]["terms"]] == NAMES
    if page != "lesson":  # which has the whole list at its end
        assert listed(app) == [], "nothing is made before it is asked for"
    assert listed(open_popover(app, "words")) == NAMES


def test_the_list_is_searched(app):
    open_popover(app, "words")
    found = listed(app.text_input(key="words-asked").set_value(" Centroid ").run())
    assert found == ["centroid"]
    app.text_input(key="words-asked").set_value("no such word").run()
    assert listed(app) == []
    assert any("No word has this" in element.value for element in app.markdown)


def test_the_lesson_ends_with_all_words(app):
    app.switch_page("pages/lesson.py").run()
    assert app.expander[-1].label == "Glossary"
    assert listed(app) == NAMES
