"""Reading a case: every image is decoded and passed through the reference's network once, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from nero_core.errors import InputError
from pages.shared.session import Frame, Reading

if TYPE_CHECKING:
    from nero_core import Reference
    from nero_core.explanation import Explanation
    from nero_core.records import Activations


def read_case(frames: Sequence[Frame], reference: Reference, detector: str) -> list[Frame]:
    """Read what was not read yet, and return the frames that could be; the others hold their error.

    One image at a time: an image gets the same score whatever it was uploaded with, and a bad one stops no other.
    """
    waiting = [f for f in frames if f.error is None and (f.reading is None or f.reading.reference is not reference)]
    bar = st.progress(0.0, text="Reading the images…") if len(waiting) > 1 else None
    for done, frame in enumerate(waiting, start=1):
        try:
            frame.reading = read(frame, reference, detector)
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
            frame.reading = under(frame.reading, detector)
    return readable


def read(frame: Frame, reference: Reference, detector: str) -> Reading:
    """Pass one image through the network, and score it."""
    import numpy as np  # the first paint waits for no numerics

    from nero_core.data.near_duplicates import difference_hash
    from nero_core.relevance import relevance_of

    again = any("source" in fitted.info.needs for fitted in reference.detectors.values())
    activations = reference.classifier.extract([frame.decoded()], keep_source=again)
    relevance = relevance_of(activations, reference.classifier.head).neurons[0]
    hashes = np.array([difference_hash(frame.decoded())], dtype=np.uint64)
    score, explanation = _measured(reference, activations, detector)
    return Reading(reference, detector, activations, relevance, score, explanation, hashes)


def under(reading: Reading, detector: str) -> Reading:
    """The same image under another detector: no pass through the network, and the heatmaps are kept."""
    score, explanation = _measured(reading.reference, reading.activations, detector)
    return replace(reading, detector=detector, score=score, explanation=explanation)


def _measured(reference: Reference, activations: Activations, detector: str) -> tuple[float, Explanation | None]:
    """The score, and its account where there is an exact one."""
    from nero_core.detectors import ExplainedDetector

    score = float(reference.score(activations, detector)[0])
    exact = isinstance(reference.detector(detector), ExplainedDetector)
    return score, reference.explain(activations, detector)[0] if exact else None
