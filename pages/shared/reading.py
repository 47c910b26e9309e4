"""Reading a case: every image is decoded and passed through the reference's network once, one by one."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from nero_core.case import open_case
from nero_core.errors import InputError
from nero_core.reference.reference import Reference
from pages.shared.session import Frame


def read_case(frames: Sequence[Frame], reference: Reference, detector: str) -> list[Frame]:
    """Read what was not read yet, and return the frames that could be; the others hold their error.

    One image at a time: an image gets the same score whatever it was uploaded with, and a bad one stops no other.
    """
    waiting = [f for f in frames if f.error is None and (f.reading is None or f.reading.reference is not reference)]
    bar = st.progress(0.0, text="Reading the images…") if len(waiting) > 1 else None
    for done, frame in enumerate(waiting, start=1):
        try:
            frame.reading = open_case(reference, frame.decoded(), detector)
        except InputError as error:
            frame.error = str(error)
        if len(frames) > 1:
            frame.picture = None  # only the image under review is kept decoded
        if bar is not None:
            bar.progress(done / len(waiting), text=f"Read {done} of {len(waiting)} images")
    if bar is not None:
        bar.empty()
    readable = [frame for frame in frames if frame.error is None]
    for frame in readable:
        if frame.reading is not None and frame.reading.detector != detector:
            frame.reading = frame.reading.under(detector)
    return readable
