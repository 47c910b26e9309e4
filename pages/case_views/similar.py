"""Similar frames: what the reference was made from that is nearest to this image for the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from nero_core.figures.palette import Cell, rounded, significant
from nero_core.neurons.similar import KINDS, MEANING, NO_FRAMES, By, Kind, SimilarFrame, lacking
from nero_core.wording import label, message, said
from pages.shared import controls, widgets
from pages.shared.words import plain

if TYPE_CHECKING:
    from nero_core.case import Case

COMPARED_BY: Mapping[By, str] = {
    "relevance": message("what mattered for the answer"),
    "features": message("what the network saw"),
}
PICTURE_PIXELS = 96
"""Twice the stored size: enough to see what kind of frame it is."""


def show(reading: Case) -> None:
    """The nearest frames of each kind, how near that is, and what it does not mean."""
    st.subheader(said("Similar frames"), anchor=False)
    missing = lacking(reading.reference.sample)
    if missing == NO_FRAMES:
        st.caption(said(missing))
        return
    by = controls.one_of(
        said("Similar by"),
        {by: said(text) for by, text in COMPARED_BY.items()},
        "similar-by",
        help=said(
            "What mattered: each neuron’s relevance, compared by the sum of differences. What the network saw: "
            "the activations, compared by their direction (cosine)."
        ),
    )
    with controls.errors_said(st.warning, said("No similar frames: ")):
        frames = reading.similar(by)
        for kind in dict.fromkeys(frame.kind for frame in frames):
            _of_kind(kind, [frame for frame in frames if frame.kind == kind])
        widgets.table_twin(_rows(frames), said("Similar frames"))
    st.caption(f"{said(MEANING)}." + (f" {said(missing)}" if missing else ""))


def _of_kind(kind: Kind, frames: Sequence[SimilarFrame]) -> None:
    """The nearest frames of one kind, nearest first."""
    text = said("**{kind} frames**, nearest first", kind=label(KINDS[kind]))
    if (nearer := frames[0].percentile) is not None:
        text += said(
            "; of 100 calibration frames about {nearer} have a {kind} frame nearer to them than this",
            nearer=round(100 * nearer),
            kind=said(KINDS[kind]),
        )
    st.markdown(text)
    with st.container(horizontal=True, gap="small"):
        for place, frame in enumerate(frames, start=1):
            st.image(
                frame.picture,
                width=PICTURE_PIXELS,
                alt=said(
                    "{kind} frame {place} of {frames}: {class_name}, distance {distance}",
                    kind=label(KINDS[kind]),
                    place=place,
                    frames=len(frames),
                    class_name=frame.class_name,
                    distance=significant(frame.distance),
                ),
                caption=f"{plain(frame.class_name)}, {significant(frame.distance)}",
            )


def _rows(frames: Sequence[SimilarFrame]) -> list[dict[str, Cell]]:
    return [
        {
            said("kind"): said(KINDS[frame.kind]),
            said("class"): frame.class_name,
            said("distance"): rounded(frame.distance),
            said("calibration frames with a nearer one (%)"): None
            if frame.percentile is None
            else rounded(100 * frame.percentile),
        }
        for frame in frames
    ]
