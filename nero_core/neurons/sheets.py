"""Many small pictures in one file: a sheet of rows, written once, cut again in memory."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from PIL import Image

from nero_core.data.images import DECODING_THREADS, displayed, read_image
from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import ArtefactError, InputError
from nero_core.records import Progress, Source

SIDE = 48
"""Pixels of a picture's side."""
COLUMNS = 40
"""Pictures in a row of the sheet."""
QUALITY = 75
"""WebP quality of the sheet."""


def make_sheet(images: Sequence[Source], preprocessing: Preprocessing, progress: Progress | None = None) -> bytes:
    """A WebP sheet of what the network saw of each image, in order, row by row.

    Raises
    ------
    InputError
        An image can no longer be read.
    """
    small = replace(preprocessing, height=SIDE, width=SIDE)
    columns = min(COLUMNS, len(images))
    sheet = Image.new("RGB", (SIDE * columns, SIDE * -(-len(images) // columns)))
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        pictures = pool.map(lambda image: displayed(read_image(image), small), images)
        for place, picture in enumerate(pictures):
            sheet.paste(picture, (SIDE * (place % columns), SIDE * (place // columns)))
            if progress is not None:
                progress(place + 1, len(images))
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=QUALITY, method=4)
    return buffer.getvalue()


def cut_sheet(data: bytes, count: int) -> list[Image.Image]:
    """The pictures of a sheet again.

    Raises
    ------
    ArtefactError
        The sheet cannot be read, or has room for another number of pictures.
    """
    sheet = read_sheet(data)
    columns, rows = sheet.width // SIDE, sheet.height // SIDE
    if not columns * (rows - 1) < count <= columns * rows:
        raise ArtefactError(f"The sheet holds {columns} × {rows} pictures; wanted {count}. Run `fit` again.")
    corners = [(SIDE * (place % columns), SIDE * (place // columns)) for place in range(count)]
    return [sheet.crop((x, y, x + SIDE, y + SIDE)) for x, y in corners]


def read_sheet(data: bytes) -> Image.Image:
    """A sheet of a reference, which may come from anywhere: read as any picture from elsewhere is.

    Raises
    ------
    ArtefactError
        It is no WebP picture, damaged, or too large.
    """
    try:
        return read_image(data, ("WEBP",))
    except InputError as error:
        raise ArtefactError(f"A sheet of pictures cannot be read: {error}") from error
