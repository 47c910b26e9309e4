"""The door is app.py: it shows what stands around every page, and knows which reference is in use.

Until st.navigation has run once in a server's life, Streamlit takes pages/*.py for an application of its older kind: an
address then opens the file of that name by itself. So a page's address is its file's name (any other would be "not
found" to whoever comes first), and every page begins by going through the door.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import streamlit as st

DOOR = Path(__file__).resolve().parents[2] / "app.py"

_inside: ContextVar[bool] = ContextVar("inside", default=False)


@contextmanager
def opened() -> Iterator[None]:
    """For the door: what runs within has come through it."""
    before = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(before)


def enter() -> None:
    """For a page: go on if it was opened by the door, else run the door, which runs the page, and end."""
    if not _inside.get():
        exec(compile(DOOR.read_bytes(), DOOR, "exec"), {"__name__": "__main__", "__file__": str(DOOR)})
        st.stop()
