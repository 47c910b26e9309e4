"""A frame with its layers and their cards. The boxes decide what a page decides in its own time."""

import streamlit as st
from PIL import Image

from nero_core.case import Cover
from nero_core.figures.data_urls import png_url
from nero_core.figures.overlays import Layer
from pages.components.frame_viewer import ALL, Shown, drawn, frame_layer, frame_viewer, layer_card
from tests.e2e.screens import RESERVED

SIZE = (400, 300)
OUTLINES = {ALL: "M100 100L900 100L900 900Z", "12": "M0 0L500 0L500 500Z", "<b>7</b>": "M500 500L900 500L900 900Z"}
TITLES = {ALL: "all neurons together", "12": "neuron 12", "<b>7</b>": "neuron <b>7</b>"}
WAITING = "<b>7</b>"
"""The layer that is left out until its box is ticked."""


def picture(colour):
    return Shown(png_url(Image.new("RGB", SIZE, colour)), *SIZE)


def colours(name):
    return png_url(Image.new("RGBA", (8, 8), (230, 97, 1, 255) if name == ALL else (33, 102, 172, 255)))


def draw():
    held["boxes"] = [*held["boxes"], drawn("frame")]


held = st.session_state.setdefault("held", {"runs": 0, "frame": 1, "boxes": []})
if st.button("Another frame"):
    held["frame"] += 1
    held["boxes"] = []
frame = held["frame"]
with_layers, complete = st.checkbox("with layers", True), st.checkbox("complete", False)
late, first = st.checkbox("late", False), st.checkbox("layers first", False)
may_draw = st.checkbox("may draw", True)


def layers():
    for name, outline in OUTLINES.items():
        if with_layers and (name != WAITING or complete):
            frame_layer("frame", name, TITLES[name], Layer(colours(name), outline), frame=frame)
    if late and not with_layers:
        frame_layer("frame", "12", "late", Layer(colours("12"), "M1 1L2 2Z"), frame=frame - 1)


if first:
    layers()
left, right = st.columns(2)
with left:
    frame_viewer(
        "frame",
        picture("maroon" if frame == 1 else "teal"),
        f"Frame {frame}",
        frame=frame,
        note="a.png · 400 × 300",
        reserved=RESERVED,
        seen=(0.25, 0.0, 0.5, 1.0),
        covers=[Cover(*box) for box in held["boxes"]],
        on_drawn=draw if may_draw else None,
    )
    st.text("below the viewer")
with right:
    for name in list(OUTLINES)[1:]:
        crops = picture("gray") if name == "12" else None
        layer_card("frame", name, TITLES[name], "raises <i>the</i> score", crops, "Crops", "a caption", frame=frame)
if not first:
    layers()
st.text(f"boxes: {held['boxes']}")
held["runs"] += 1
st.text(f"runs: {held['runs']}")
