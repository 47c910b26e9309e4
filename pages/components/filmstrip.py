"""The images of a case as thumbnails in a row, each framed in the colour of its state; arrow keys go along it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from nero_core import wording
from nero_core.wording import said
from pages.components.bundles import component

_filmstrip = component("filmstrip")


@dataclass(frozen=True)
class Thumbnail:
    """One image of the strip.

    Attributes
    ----------
    picture : str
        As a ``data:`` address; empty where it could not be read or waits to be: its word stands in its place.
    name : str
        Of its file, as plain text.
    mark, word : str
        Sign and word of its state.
    colour : str
        Of its edge; never alone.
    flagged : bool
        Whether "next flagged" stops at it.
    """

    picture: str
    name: str
    mark: str
    word: str
    colour: str
    flagged: bool


def filmstrip(
    key: str, thumbnails: Sequence[Thumbnail], chosen: int, counts: str, on_chosen: Callable[[], None]
) -> None:
    """The strip, with its counts; left and right, Home and End go along it, "n" to the next that is flagged.

    Parameters
    ----------
    chosen : int
        The place of the image under review.
    counts : str
        Such as "9 of 40 flagged".
    on_chosen : callable
        Called when another was chosen: :func:`chosen_in` has its place then.
    """
    data = {
        "frames": [vars(thumbnail) for thumbnail in thumbnails],
        "chosen": chosen,
        "heard": _told(key)[1],
        "counts": counts,
        "words": {name: said(text) for name, text in wording.FILMSTRIP.items()},
    }
    _filmstrip(key=key, data=data, on_chosen_change=on_chosen)


def chosen_in(key: str) -> int | None:
    """The place that was last chosen on a strip; None where none was.

    For `on_chosen` alone: what is under review is the page's to know, and may have been chosen elsewhere since.
    """
    return _told(key)[0]


def _told(key: str) -> tuple[int | None, int]:
    """What a strip told last: the place that was chosen, and how many times one was.

    The number makes the same place something new when it is chosen again, and the strip knows by it what is late.
    """
    told: tuple[int, int] | None = st.session_state[key].chosen if key in st.session_state else None
    return told or (None, 0)
