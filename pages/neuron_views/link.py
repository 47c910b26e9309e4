"""The view's state in the page's address: numbers and short words, nothing of the case."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlencode

import streamlit as st

NEURON, BESIDE, FIRST, SECOND, ORDER, SHOWN, OF_CLASS, RANGE = (
    f"neurons-{name}" for name in ("chosen", "beside", "first", "second", "order", "shown", "class", "range")
)
WRITTEN, READ, ASKED, IN_USE = "neurons-link", "neurons-link-read", "neurons-link-reference", "neurons-reference"
PAGE = "/neurons"
SCRIPT = """<script>
(({ page, view }) => {
  if (location.pathname.endsWith(page)) history.replaceState(history.state, "", `${location.pathname}?${view}`);
})(%s);
</script>"""
"""For this page alone: it may run when the reader has gone on to another."""
EVERY_CLASS = -1
SHOWN_AT_FIRST = 24
FEWEST_SHOWN = 4


def _number(low: int, high: int) -> Callable[[str], int | None]:
    def read(text: str) -> int | None:
        return int(text) if text.isascii() and text.isdigit() and len(text) < 9 and low <= int(text) <= high else None

    return read


def _range(highest: int) -> Callable[[str], tuple[int, int] | None]:
    number = _number(0, highest)

    def read(text: str) -> tuple[int, int] | None:
        low, _, high = text.partition("-")
        ends = number(low), number(high)
        return (ends[0], ends[1]) if ends[0] is not None and ends[1] is not None and ends[0] <= ends[1] else None

    return read


def _one_of(words: Collection[str]) -> Callable[[str], str | None]:
    return lambda text: text if text in words else None


def _written(value: object) -> str:
    """As the address has it."""
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


def restore(
    groups: Collection[str], defaults: tuple[str, str], orders: Collection[str], neurons: int, classes: int, token: str
) -> list[str]:
    """Put the address's values into the session before any control is drawn; returns what was ignored, in words."""
    readers: Mapping[str, tuple[str, Callable[[str], Any]]] = {
        "neuron": (NEURON, _number(0, neurons - 1)),
        "beside": (BESIDE, _number(0, neurons - 1)),
        "first": (FIRST, _one_of(groups)),
        "second": (SECOND, _one_of(groups)),
        "sort": (ORDER, _one_of(orders)),
        "k": (SHOWN, _number(min(FEWEST_SHOWN, neurons), neurons)),
        "class": (OF_CLASS, _number(0, classes - 1)),
        "range": (RANGE, _range(neurons - 1)),
    }
    state, asked = st.session_state, dict(st.query_params)
    ignored = []
    if state.get(IN_USE, token) != token != state.get(ASKED):
        for key in (NEURON, BESIDE, OF_CLASS, RANGE, ASKED):  # numbers that mean nothing in another network
            state.pop(key, None)
    state[IN_USE] = token
    if asked and asked not in (state.get(WRITTEN), state.get(READ)):  # read once: the browser may not have written yet
        state[READ] = asked
        for name, (key, read) in readers.items():
            if name in asked:
                value = read(asked[name])
                if value is None:
                    ignored.append(name)
                else:
                    state[key] = value
        ignored += sorted(name for name in asked if name not in readers and name != "reference")[:3]
        state[ASKED] = asked.get("reference", token)
        if state[ASKED] != token:
            ignored.append("reference")
    first = {FIRST: defaults[0], SECOND: defaults[1], SHOWN: min(SHOWN_AT_FIRST, neurons), OF_CLASS: EVERY_CLASS}
    first[RANGE] = (0, neurons - 1)
    for key, read in readers.values():  # what was chosen under another reference may not exist in this one
        if key in state and state[key] != first.get(key) and read(_written(state[key])) is None:
            del state[key]
    for key, value in first.items():
        state.setdefault(key, value)
    for key in (SHOWN, RANGE):  # a slider with another end is a new one to Streamlit, and would start at its least
        state[key] = state[key]
    return ignored


def write(token: str, neurons: int) -> None:
    """Put the view into the address; what is as at first, or not on the page yet, is left out.

    In the browser, and not by `st.query_params`: that one makes each view a step of its own, and Back would not lead to
    the page before.
    """
    state = st.session_state
    view = {"reference": token, "first": state[FIRST], "second": state[SECOND], "k": str(state[SHOWN])}
    view |= {name: str(state[key]) for name, key in (("neuron", NEURON), ("sort", ORDER)) if key in state}
    if state.get(BESIDE) is not None:
        view["beside"] = str(state[BESIDE])
    if state[OF_CLASS] != EVERY_CLASS:
        view["class"] = str(state[OF_CLASS])
    if tuple(state[RANGE]) != (0, neurons - 1):
        view["range"] = _written(state[RANGE])
    state[WRITTEN] = view
    st.html(SCRIPT % json.dumps({"page": PAGE, "view": urlencode(view)}), unsafe_allow_javascript=True)
