"""Reading a case: every image is decoded and passed through the reference's network once, one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nero_core.case import open_case
from nero_core.errors import InputError
from nero_core.figures.data_urls import fitted, jpeg_url
from nero_core.reference.reference import Reference
from pages.shared.session import Frame

THUMBNAIL_PIXELS = 160
"""Longer side: twice what it is shown at, for screens of twice as many pixels."""


def waiting(frames: Sequence[Frame], reference: Reference) -> list[Frame]:
    """Those that were not held against this reference yet."""
    return [f for f in frames if f.error is None and (f.reading is None or f.reading.reference is not reference)]


def read(frame: Frame, reference: Reference, detector: str) -> None:
    """Have one image read, under this detector; one that cannot be holds its error.

    One image at a time: an image gets the same score whatever it was uploaded with, and a bad one stops no other.
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
    for frame in frames:
        read(frame, reference, detector)
        frame.picture = None
        if tell is not None and frame in unread:
            tell(unread.index(frame) + 1, len(unread))
    return [frame for frame in frames if frame.error is None]
