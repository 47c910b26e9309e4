"""The words of the app, explained: marked where a page says them, and as a list that keys and fingers reach, too."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from nero_core.wording import said
from nero_core.wording.glossary import Explained, explained
from pages.shared.words import plain

KEY, ASKED, WHOLE = "words", "words-asked", "all-words"
HEIGHT = 360
"""Pixels of the list: it fits below the header of a telephone that is held upright."""


def words() -> None:
    """In the header of every page; the list is made when it is opened."""
    with st.container(width="content"):  # what runs by itself would take more of the line than what is in it
        _opened()


@st.fragment
def _opened() -> None:
    opened = st.popover(
        said("Words"), icon=":material/dictionary:", type="tertiary", key=KEY, on_change="rerun",
        help=said("What the words on these pages mean"),
    )  # fmt: skip
    if opened.open:
        with opened:
            _listed()


def _listed() -> None:
    asked = st.text_input(
        said("Find a word"), key=ASKED, placeholder=said("Such as threshold"), icon=":material/search:"
    )
    found = [term for term in explained() if term.speaks_of(asked.strip())]
    with st.container(height=HEIGHT, border=False, key="words-found"):
        st.markdown(_entries(found) or said("No word has this in its name or its explanation."))


def all_words() -> None:
    """The whole list, folded, at the end of a page that teaches."""
    with st.expander(said("Glossary"), icon=":material/dictionary:", key=WHOLE):
        st.markdown(_entries(explained()))


def _entries(terms: Iterable[Explained]) -> str:
    return "\n\n".join(map(_entry, terms))


def _entry(term: Explained) -> str:
    """A term and, in the line below, what it means."""
    return f"**{plain(term.name)}**  \n{plain(term.meaning)}"
