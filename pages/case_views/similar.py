"""Similar frames: what the reference was made from that is nearest to this image for the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from nero_core.figures.palette import Cell, rounded, significant
from nero_core.neurons.similar import MEANING, NO_FRAMES, By, SimilarFrame, lacking
from pages.shared import controls, widgets
from pages.shared.words import plain

if TYPE_CHECKING:
    from nero_core.case import Case

COMPARED_BY: Mapping[By, str] = {"relevance": "what mattered for the answer", "features": "what the network saw"}
PICTURE_PIXELS = 96
"""Twice the stored size: enough to see what kind of frame it is."""


def show(reading: Case) -> None:
    """The nearest frames of each kind, how near that is, and what it does not mean."""
    st.subheader("Similar frames", anchor=False)
    missing = lacking(reading.reference.sample)
    if missing == NO_FRAMES:
        st.caption(missing)
        return
    by = controls.one_of(
        "Similar by",
        COMPARED_BY,
        "similar-by",
        help="What mattered: each neuron’s relevance, compared by the sum of differences. What the network saw: the "
        "activations, compared by their direction (cosine).",
    )
    with controls.errors_said(st.warning, "No similar frames: "):
        frames = reading.similar(by)
        for kind in dict.fromkeys(frame.kind for frame in frames):
            _of_kind(kind, [frame for frame in frames if frame.kind == kind])
        widgets.table_twin(_rows(frames), "Similar frames")
    st.caption(f"{MEANING}." + (f" {missing}" if missing else ""))


def _of_kind(kind: str, frames: Sequence[SimilarFrame]) -> None:
    """The nearest frames of one kind, nearest first."""
    text = f"**{kind.capitalize()} frames**, nearest first"
    if (nearer := frames[0].percentile) is not None:
        text += f"; of 100 calibration frames about {round(100 * nearer)} have a {kind} frame nearer to them than this"
    st.markdown(text)
    with st.container(horizontal=True, gap="small"):
        for place, frame in enumerate(frames, start=1):
            st.image(
                frame.picture,
                width=PICTURE_PIXELS,
                alt=f"{kind.capitalize()} frame {place} of {len(frames)}: {frame.class_name}, distance "
                f"{significant(frame.distance)}",
                caption=f"{plain(frame.class_name)}, {significant(frame.distance)}",
            )


def _rows(frames: Sequence[SimilarFrame]) -> list[dict[str, Cell]]:
    return [
        {
            "kind": frame.kind,
            "class": frame.class_name,
            "distance": rounded(frame.distance),
            "calibration frames with a nearer one (%)": None
            if frame.percentile is None
            else rounded(100 * frame.percentile),
        }
        for frame in frames
    ]
