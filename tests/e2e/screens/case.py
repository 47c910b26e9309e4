"""A strip, the examples, and the watch over a case. What Python was told stands below."""

import time

import streamlit as st
from PIL import Image

from nero_core.figures.data_urls import png_url
from nero_core.figures.palette import STATE_COLOURS
from nero_core.wording import SYMBOLS, state_word
from pages.components import filmstrip, picture_grid
from pages.components.case_watch import case_watch
from pages.components.filmstrip import Thumbnail
from tests.e2e.screens import COUNT, FLAGGED, HOSTILE, UNREAD, WAITING

PICTURE = png_url(Image.new("RGB", (64, 48), "maroon"))

held = st.session_state.setdefault(
    "held", {"runs": 0, "chosen": 0, "told": [], "example": None, "examples": 0, "case": None}
)


def thumbnail(place):
    state = "out-of-distribution" if place in FLAGGED and some else "in-distribution"
    word = {UNREAD: "could not be read", WAITING: "waits to be read"}.get(place, state_word(state))
    return Thumbnail(
        "" if place in (UNREAD, WAITING) else PICTURE,
        "<img src=x onerror=alert(1)>.png" if place == HOSTILE else f"{place}.png",
        SYMBOLS[state],
        word,
        STATE_COLOURS[state],
        place in FLAGGED and some,
    )


def choose():
    held["chosen"] = filmstrip.chosen_in("strip")
    held["told"].append(held["chosen"])
    if st.session_state["watched"]:
        held["case"] = held["chosen"]


def example():
    held["example"], held["examples"] = picture_grid.chosen_in("grid"), held["examples"] + 1
    held["case"] = 100


slow, some = st.checkbox("slow", False), st.checkbox("some flagged", True)
strip, grid, high = st.checkbox("strip", True), st.checkbox("grid", False), st.checkbox("headline far below", False)
st.checkbox("watched", True, key="watched")
st.text_input("a field")
if st.button("Python chooses the first"):
    held["chosen"] = 0
if st.button("close the case"):
    held["case"] = None
if st.button("open a case"):
    held["case"] = (held["case"] or 0) + 1
if slow:
    time.sleep(0.3)
case_watch(held["case"], f"Headline of {held['case']}", "headline")
if strip:
    filmstrip.filmstrip("strip", [thumbnail(place) for place in range(COUNT)], held["chosen"], "3 of 30", choose)
if grid and held["case"] is None:
    choices = [picture_grid.Choice(name, PICTURE, f"Example {name}", "teaches <i>it</i>") for name in ("a", "b", "c")]
    picture_grid.picture_grid("grid", "Examples", choices, example)
st.text(f"chosen: {held['chosen']} told: {held['told']} example: {held['example']} × {held['examples']}")
if high:
    st.container(height=900)
with st.container(key="headline"):
    st.subheader(f"The headline of {held['case']}")
st.container(height=900, border=False)
held["runs"] += 1
st.text(f"runs: {held['runs']}")
