"""Pictures to click."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from pages.components.bundles import component

_grid = component("picture_grid")


@dataclass(frozen=True)
class Choice:
    """One picture that can be chosen.

    Attributes
    ----------
    name : str
        What comes back when it is.
    picture : str
        As a ``data:`` address.
    title, text : str
        Plain text below it.
    """

    name: str
    picture: str
    title: str
    text: str


def picture_grid(key: str, label: str, choices: Sequence[Choice], on_chosen: Callable[[], None]) -> None:
    """Pictures as buttons, in as many columns as there is room for.

    Parameters
    ----------
    label : str
        What they are together, for those who cannot see them.
    on_chosen : callable
        Called when one was chosen: :func:`chosen_in` has its name then.
    """
    _grid(key=key, data={"label": label, "choices": [vars(c) for c in choices]}, on_chosen_change=on_chosen)


def chosen_in(key: str) -> str | None:
    """The name of the picture that was just chosen; None where none was."""
    name: str | None = st.session_state[key].chosen
    return name
