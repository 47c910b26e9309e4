"""The door: a page that is opened by its address before any other, and one that is opened through another."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.app.conftest import PATIENCE, ROOT

PAGES = sorted(path.name for path in (ROOT / "pages").glob("*.py"))


@pytest.mark.parametrize("name", PAGES)
def test_the_first_page_of_all_may_be_any(no_bundle, monkeypatch, tiny_reference, name):
    monkeypatch.setenv("NERO_REFERENCES", str(tiny_reference.parent))
    # Before its first run AppTest opens a page by its file's name, as a new server does by its address.
    first = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE).switch_page(f"pages/{name}").run()
    assert not first.exception
    title = name.removesuffix(".py").replace("_", " ").capitalize()
    assert [each.value for each in first.title] == [title], "the door's header, once, and that page"


def test_every_page_is_entered_through_the_door(open_app):
    app = open_app()
    for name in PAGES:
        app.switch_page(f"pages/{name}")
        app.run()
        assert not app.exception
        assert len(app.title) == 1
