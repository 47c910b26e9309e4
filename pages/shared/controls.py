"""Controls as every page has them: the answer is kept for the session, and what is wrong is said in place."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import streamlit as st

from nero_core.errors import NeroError
from nero_core.wording import FLAGGED_AT_MOST, language, said, speaking
from pages.shared.words import plain

DEFAULT_ALPHA_PERCENT = 5.0

V = TypeVar("V", bound=Hashable)
P = ParamSpec("P")


def select_or_none(label: str, options: Mapping[V, str], key: str, **more: Any) -> V | None:
    """A :func:`streamlit.selectbox` of {value: words}; None until one is chosen. `more` as Streamlit has it."""
    asked = {"index": None, "format_func": options.__getitem__, "persist_state": "session"} | more
    chosen: V | None = st.selectbox(label, list(options), key=key, **asked)
    return chosen


def select(label: str, options: Mapping[V, str], key: str, **more: Any) -> V:
    """The same, where the first is chosen until somebody chooses another."""
    return cast(V, select_or_none(label, options, key, index=0, **more))


def several(label: str, options: Iterable[V], key: str, placeholder: str, **more: Any) -> list[V]:
    """A :func:`streamlit.multiselect`; `more` as Streamlit has it."""
    return st.multiselect(label, list(options), key=key, placeholder=placeholder, persist_state="session", **more)


def one_of(label: str, options: Mapping[V, str], key: str, *, default: V | None = None, **more: Any) -> V:
    """A :func:`streamlit.segmented_control` of {value: words}, of which one is chosen: the first where none is said."""
    first = next(iter(options)) if default is None else default
    asked: dict[str, Any] = {"format_func": options.__getitem__, "persist_state": "session", "wrap": True} | more
    chosen: V = st.segmented_control(label, list(options), default=first, required=True, key=key, **asked)
    return chosen


def line(label: str, key: str, example: str, about: str | None = None) -> str:
    """One line of text, without the blanks around it."""
    text: str = st.text_input(label, placeholder=example, key=key, persist_state="session", help=about)
    return text.strip()


def slider(label: str, low: float, high: float, key: str, *, steps: int = 200, **more: Any) -> float:
    """A :func:`streamlit.slider` of so many steps from `low` to `high`; `more` as Streamlit has it."""
    asked: dict[str, Any] = {"step": (high - low) / steps, "persist_state": "session"} | more
    chosen: float = st.slider(label, low, high, key=key, **asked)
    return chosen


def flagged_in_100(key: str, about: str) -> float:
    """How many ordinary images may be flagged, in 100: α in percent."""
    asked: dict[str, Any] = {"step": 1.0, "format": "%.3g", "persist_state": "session", "help": about}
    percent: float = st.number_input(said(FLAGGED_AT_MOST), 0.1, 50.0, DEFAULT_ALPHA_PERCENT, key=key, **asked)
    return percent


def download(label: str, data: str | Callable[[], Any], file: str, kind: str, key: str, **more: Any) -> None:
    """A file to take away, made when it is asked for where `data` is a function; the page stays as it is."""
    spoken = language()

    def made() -> Any:  # later, and in a thread that belongs to no session
        with speaking(spoken):
            return data() if callable(data) else data

    st.download_button(label, made if callable(data) else data, file, kind, key=key, on_click="ignore", **more)


@contextmanager
def errors_said(say: Callable[[str], object] = st.error, before: str = "") -> Iterator[None]:
    """What goes wrong within for a reason that can be told is told here, by `say`; what would come after is left out.

    Parameters
    ----------
    before : str
        The words before the reason, such as "No heatmap: ".
    """
    try:
        yield
    except NeroError as error:
        say(before + plain(str(error)))


def section(part: Callable[P, None]) -> Callable[P, None]:
    """A part of a page that runs by itself when a control in it is used, and says itself what is wrong."""

    @st.fragment
    @wraps(part)
    def run(*args: P.args, **named: P.kwargs) -> None:
        with errors_said():
            part(*args, **named)

    return run
