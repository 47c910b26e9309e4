"""Many images decoded, two at a time; one that cannot be read is named and keeps its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from PIL import Image

from nero_core.data.images import DECODING_THREADS, read_image
from nero_core.errors import InputError
from nero_core.records import Progress, Source

T = TypeVar("T")


def decode_each(
    images: Sequence[Source], use: Callable[[Image.Image], T], progress: Progress | None = None
) -> tuple[list[T | None], dict[int, str]]:
    """Read every image and hand it on, two at a time.

    Parameters
    ----------
    images : n sources
    use : callable
        Called in a thread with each picture as RGB.
    progress : callable, optional

    Returns
    -------
    results : n values
        None for an image that cannot be read.
    unreadable : {position: reason}
    """
    results: list[T | None] = []
    unreadable: dict[int, str] = {}
    pool = ThreadPoolExecutor(DECODING_THREADS)
    try:
        futures = [pool.submit(lambda source: use(read_image(source)), source) for source in images]
        for position, future in enumerate(futures):
            try:
                results.append(future.result())
            except InputError as error:
                results.append(None)
                unreadable[position] = str(error)
            if progress is not None:
                progress(position + 1, len(images))
    finally:
        pool.shutdown(cancel_futures=True)
    return results, unreadable
