"""TIFF files written tag by tag, honest and hostile ones: tiles, strips, planes, both byte orders, BigTIFF."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

BYTE, SHORT, LONG, LONG8 = 1, 3, 4, 16
WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, STRIP_OFFSETS, SAMPLES, ROWS, STRIP_BYTES, PLANAR = (
    256, 257, 258, 259, 262, 273, 277, 278, 279, 284,
)  # fmt: skip
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
RAW, DEFLATE = 1, 8
CODES = {BYTE: "B", SHORT: "H", LONG: "I", LONG8: "Q"}


def tiff(
    tags: Mapping[int, Sequence[int] | None],
    pieces: Sequence[bytes],
    *,
    tiled: bool = False,
    order: str = "<",
    big: bool = False,
    offsets: Sequence[int] | None = None,
    extra: Sequence[tuple[int, int, Sequence[int]]] = (),
) -> bytes:
    """A file of these tags, whose strips or tiles are these pieces.

    Parameters
    ----------
    tags : {tag: values}
        SHORT where all values fit, else LONG. What is given for offsets and byte counts replaces the true ones; None
        leaves a tag out.
    offsets : positions in `pieces`, optional
        One per strip or tile, where several share a piece.
    extra : (tag, type, values)
        Written behind the others, also a second time.
    """
    head = 16 if big else 8
    starts = [head + sum(len(piece) for piece in pieces[:i]) for i in range(len(pieces))]
    used = range(len(pieces)) if offsets is None else offsets
    where = {TILE_OFFSETS if tiled else STRIP_OFFSETS: [starts[i] for i in used]}
    where[TILE_BYTES if tiled else STRIP_BYTES] = [len(pieces[i]) for i in used]
    given = {tag: values for tag, values in (where | dict(tags)).items() if values is not None}
    entries = [(tag, SHORT if max(values) < 2**16 else LONG, values) for tag, values in given.items()]
    entries = sorted(entries) + list(extra)
    body = b"".join(pieces)
    body += b"\0" * (len(body) % 2)
    table_at = head + len(body)
    entry_size, inline = (20, 8) if big else (12, 4)
    after = table_at + (8 if big else 2) + entry_size * len(entries) + (8 if big else 4)
    table, values_after = b"", b""
    for tag, kind, values in entries:
        packed = struct.pack(f"{order}{len(values)}{CODES[kind]}", *values)
        if len(packed) <= inline:
            cell = packed.ljust(inline, b"\0")
        else:
            cell = struct.pack(f"{order}{'Q' if big else 'I'}", after + len(values_after))
            values_after += packed + b"\0" * (len(packed) % 2)
        table += struct.pack(f"{order}HH{'Q' if big else 'I'}", tag, kind, len(values)) + cell
    mark = b"II" if order == "<" else b"MM"
    start = mark + (struct.pack(f"{order}HHHQ", 43, 8, 0, table_at) if big else struct.pack(f"{order}HI", 42, table_at))
    count = struct.pack(f"{order}{'Q' if big else 'H'}", len(entries))
    return start + body + count + table + bytes(8 if big else 4) + values_after


def deflated(height: int, width: int, samples: int = 1) -> bytes:
    """Zeros of so many pixels, packed."""
    packer = zlib.compressobj(9)
    row = bytes(width * samples)
    return b"".join(packer.compress(row) for _ in range(height)) + packer.flush()


def grey(width: int, length: int, compression: int = DEFLATE) -> dict[int, Sequence[int]]:
    """The tags that every picture of one 8-bit sample has."""
    return {WIDTH: [width], LENGTH: [length], BITS: [8], COMPRESSION: [compression], PHOTOMETRIC: [1], SAMPLES: [1]}


def cut(pixels: np.ndarray, height: int, width: int) -> list[bytes]:
    """An image (h, w) or (h, w, c) as tiles, row by row, padded at the right and below."""
    rows, columns = -(-pixels.shape[0] // height), -(-pixels.shape[1] // width)
    padding = [(0, rows * height - pixels.shape[0]), (0, columns * width - pixels.shape[1])]
    padded = np.pad(pixels, padding + [(0, 0)] * (pixels.ndim - 2))
    return [
        padded[y * height : (y + 1) * height, x * width : (x + 1) * width].tobytes()
        for y in range(rows)
        for x in range(columns)
    ]


def one_huge_tile() -> bytes:
    """16 × 16 pixels in one tile of 26000 × 26000: 676 MB for a picture of 256 bytes."""
    return tiff(grey(16, 16) | {TILE_WIDTH: [26000], TILE_LENGTH: [26000]}, [deflated(26000, 26000)], tiled=True)


def tiles_that_share(count: int = 300, compression: int = DEFLATE) -> bytes:
    """A row of tiles of 16 × 1048576 that share one piece of data."""
    return tiff(
        grey(16 * count, max(16 * count // 80, 8), compression) | {TILE_WIDTH: [16], TILE_LENGTH: [2**20]},
        [deflated(2**20, 16)],
        tiled=True,
        offsets=[0] * count,
    )
