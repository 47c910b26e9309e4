"""Terms in the text of a page: underlined where each comes first, and explained to a pointer that rests on one."""

from __future__ import annotations

from dataclasses import asdict

from nero_core.wording.glossary import explained
from pages.components.bundles import component

_glossary = component("glossary")


def glossary() -> None:
    """Seen by nobody. Marks the terms of :mod:`~nero_core.wording.glossary` wherever the page says them, also later.

    It paints over the text and changes nothing of it; a browser that cannot paint so shows the page without. Neither
    keys nor fingers reach what it says: the list of :mod:`pages.shared.words_explained` is for them.
    """
    _glossary(key="glossary", data={"terms": [asdict(term) for term in explained()]})
