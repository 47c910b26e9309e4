"""Reading a case: every image is decoded and passed through the reference's network once, each by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from nero_core.case import open_case
from nero_core.errors import InputError
from nero_core.figures.data_urls import fitted, jpeg_url
from nero_core.reference.reference import Reference
from pages.shared.session import Frame

AT_ONCE = 2
"""Images that are read side by side: one is decoded and checked while another passes through the network."""

THUMBNAIL_PIXELS = 160
"""Longer side: twice what it is shown at, for screens of twice as many pixels."""


def waiting(frames: Sequence[Frame], reference: Reference) -> list[Frame]:
    """Those that were not held against this reference yet."""
    return [f for f in frames if f.error is None and (f.reading is None or f.reading.reference is not reference)]


def read(frame: Frame, reference: Reference, detector: str) -> None:
    """Have one image read, under this detector; one that cannot be holds its error.

    Each by itself: an image gets the same score whatever it was uploaded with, and a bad one stops no other.
    """
    if waiting([frame], reference):
        try:
            frame.reading = open_case(reference, frame.decoded(), detector)
        except InputError as error:
            frame.error = str(error)
            return
    if not frame.thumbnail and frame.error is None:
        frame.thumbnail = jpeg_url(fitted(frame.decoded(), THUMBNAIL_PIXELS))
    if frame.reading is not None and frame.reading.detector != detector:
        frame.reading = frame.reading.under(detector)


def read_case(
    frames: Sequence[Frame], reference: Reference, detector: str, tell: Callable[[int, int], object] | None = None
) -> list[Frame]:
    """Have all images read, and return those that could be; none of them stays decoded.

    Parameters
    ----------
    tell : callable, optional
        Told after each image that was waiting how many of how many are read.
    """
    unread = waiting(frames, reference)

    def one(frame: Frame) -> None:
        read(frame, reference, detector)
        frame.picture = None

    pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="reading")
    try:
        for done, _ in enumerate(pool.map(one, unread), start=1):
            if tell is not None:
                tell(done, len(unread))
    finally:  # also where another press ends this run: what is at work is kept, the rest is read when it is asked for
        pool.shutdown(cancel_futures=True)
    for frame in frames:
        one(frame)
    return [frame for frame in frames if frame.error is None]
