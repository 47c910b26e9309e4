"""What a TIFF would make a decoder do, read from its tags before one looks at it (TIFF 6.0; Aldus, 1992).

A TIFF is cut into strips or tiles, and its tags say how large they are, how many, and where their data lie: a file of a
few kilobytes may hold one tile of gigabytes for a picture of 16 × 16 pixels, or thousands that share one piece of data.
Only the first page is looked at, as only that is decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from nero_core.errors import InputError

STARTS = (b"II*\0", b"MM\0*", b"MM*\0", b"II\0*", b"II+\0", b"MM\0+")
"""How a file begins that Pillow takes for a TIFF; the last two are BigTIFF."""
BIG_ENDIAN_BIGTIFF = STARTS[-1]

MAX_TAGS = 1_000
"""Of a page. Microscopes write about a hundred."""
MAX_VALUES = 3 * 2**16
"""Of a tag that does not say where data lie: a colour map for 16 bits (TIFF 6.0, section 5)."""
MAX_SAMPLES = 8
"""Per pixel; pictures have up to four and a few spare ones."""
MAX_BITS = 64
"""Of a sample."""
PADDING = 4
"""All tiles together may be this many times the picture: each side of it can end just behind the start of a tile."""
ORDINARY_TILE = 1024
"""Programs cut small pictures, too, into tiles of up to this side; a smaller picture counts as one of this size."""
SMALLEST_TILE = 16
"""Sides are multiples of 16 (TIFF 6.0, section 15)."""
UNLIMITED_ROWS = 2**32 - 1
"""Of a strip: all rows of the picture."""

WIDTH, LENGTH, BITS, COMPRESSION, SAMPLES, PLANES = 256, 257, 258, 259, 277, 284
STRIP_OFFSETS, STRIP_ROWS, STRIP_BYTES = 273, 278, 279
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
IMAGE_DEPTH, TILE_DEPTH = 32997, 32998
"""Of volumes; a decoder that knows them multiplies by them."""
UNCOMPRESSED, SEPARATE_PLANES = 1, 2

POSITIONS = {STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES}
GOVERNING = {
    WIDTH, LENGTH, BITS, COMPRESSION, SAMPLES, PLANES, STRIP_ROWS, TILE_WIDTH, TILE_LENGTH, IMAGE_DEPTH, TILE_DEPTH,
    *POSITIONS,
}  # fmt: skip
INTEGERS = {3: "H", 4: "I", 16: "Q"}
"""SHORT, LONG and LONG8, which governing tags are of."""
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value of each type."""


@dataclass(frozen=True)
class Page:
    """The first page's governing tags.

    Attributes
    ----------
    numbers : {tag: value}
        Those of one value.
    positions : {tag: number of values}
        Of the tags that say where data lie.
    used_bytes : int or None
        Of the file, that all strips or tiles together claim; None where the file does not say.
    """

    numbers: Mapping[int, int]
    positions: Mapping[int, int]
    used_bytes: int | None

    @property
    def width(self) -> int:
        """In pixels, before the picture is turned."""
        return self.numbers[WIDTH]

    @property
    def length(self) -> int:
        """Height in pixels, before the picture is turned."""
        return self.numbers[LENGTH]

    @property
    def tiled(self) -> bool:
        """Whether it is cut into tiles instead of strips."""
        return bool({TILE_WIDTH, TILE_LENGTH} & set(self.numbers) or {TILE_OFFSETS, TILE_BYTES} & set(self.positions))

    @property
    def planes(self) -> int:
        """How many times the picture is stored, with one sample per pixel each time; 1 where samples lie together."""
        return self.numbers[SAMPLES] if self.numbers[PLANES] == SEPARATE_PLANES else 1

    def row_bytes(self, width: int) -> int:
        """Bytes of so many pixels of one plane."""
        return -(-width * self.numbers[BITS] * self.numbers[SAMPLES] // self.planes // 8)


def first_page(name: str, data: bytes) -> Page:
    """Read the tags of a TIFF's first page.

    Parameters
    ----------
    name : str
        What the file is called in messages.
    data : bytes
        The whole file.

    Raises
    ------
    InputError
        The table of tags is damaged, overlong or contradicts itself.
    """
    order, big = "<" if data[:2] == b"II" else ">", data[2:4] == b"+\0"
    if data.startswith(BIG_ENDIAN_BIGTIFF):
        raise InputError(f"{name} is a BigTIFF in big-endian order, which is not read; save it as a plain TIFF.")
    entry, place = struct.Struct(f"{order}HHQ8s" if big else f"{order}HHI4s"), "Q" if big else "I"
    try:
        (table,) = struct.unpack_from(order + place, data, 8 if big else 4)
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, table)
        if count > MAX_TAGS:
            _refuse(name, f"it has {count} tags; at most {MAX_TAGS} are read")
        start = table + (8 if big else 2)
        entries = list(entry.iter_unpack(data[start : start + count * entry.size]))
    except (struct.error, OverflowError) as error:
        raise InputError(f"{name} is damaged or incomplete ({error}); export or copy it again.") from error
    numbers, positions, sums = {BITS: 1, COMPRESSION: UNCOMPRESSED, SAMPLES: 1, PLANES: 1}, {}, {}
    seen: set[int] = set()
    for tag, kind, values, cell in entries:
        if kind in SIZES and SIZES[kind] > 1 and values > MAX_VALUES and tag not in POSITIONS:
            _refuse(name, f"tag {tag} has {values} values")
        if tag not in GOVERNING:
            continue
        if tag in seen or kind not in INTEGERS or not values:
            _refuse(name, f"tag {tag} is there twice, empty or not a whole number")
        seen.add(tag)
        size = values * SIZES[kind]
        (offset,) = struct.unpack(order + place, cell)
        raw = cell[:size] if size <= len(cell) else data[offset : offset + size]
        if len(raw) < size:
            _refuse(name, f"tag {tag} lies outside the file")
        if tag in POSITIONS:
            positions[tag] = values
            sums[tag] = int(np.frombuffer(raw, f"{order}u{SIZES[kind]}").sum(dtype=np.float64))
        elif values > (MAX_SAMPLES if tag == BITS else 1):
            _refuse(name, f"tag {tag} has {values} values")
        else:
            numbers[tag] = max(struct.unpack(f"{order}{values}{INTEGERS[kind]}", raw))
    if not {WIDTH, LENGTH} <= set(numbers):
        _refuse(name, "it does not say how large it is")
    return Page(numbers, positions, sums.get(TILE_BYTES, sums.get(STRIP_BYTES)))


def check_page(name: str, page: Page, file_bytes: int) -> None:
    """Refuse a page of which more would be decoded than its size needs, or the same data more than once.

    Parameters
    ----------
    name : str
        What the file is called in messages.
    page : Page
        Of a size that is taken.
    file_bytes : int
        Size of the file.

    Raises
    ------
    InputError
        What it would make a decoder do, and what its size needs.
    """
    numbers = page.numbers
    if not (0 < numbers[SAMPLES] <= MAX_SAMPLES and 0 < numbers[BITS] <= MAX_BITS and numbers[PLANES] in (1, 2)):
        _refuse(name, f"{numbers[SAMPLES]} samples of {numbers[BITS]} bits per pixel in arrangement {numbers[PLANES]}")
    if any(numbers.get(tag, 1) != 1 for tag in (IMAGE_DEPTH, TILE_DEPTH)):
        _refuse(name, "it is a volume, not a picture")
    if page.tiled and {STRIP_OFFSETS, STRIP_BYTES} & set(page.positions):
        _refuse(name, "it has both strips and tiles")
    what, (wide, high) = ("tiles", _tile(name, page)) if page.tiled else ("strips", _strip(name, page))
    across, down = -(-page.width // wide), -(-page.length // high)
    pieces = across * down * page.planes
    offsets = page.positions.get(TILE_OFFSETS if page.tiled else STRIP_OFFSETS, 0)
    sizes = page.positions.get(TILE_BYTES if page.tiled else STRIP_BYTES, 0)
    if offsets != pieces or sizes not in (0, pieces):
        _refuse(name, f"{what} of {wide} × {high} pixels: {pieces} make up the picture, and it lists {offsets}")
    piece, plane = page.row_bytes(wide) * high, _plane_bytes(page)
    decoded = pieces * piece
    if piece > plane or decoded > PADDING * page.planes * plane:
        _refuse(
            name,
            f"{pieces} {what} of {wide} × {high} pixels are {decoded / 2**20:,.1f} MiB to decode, for a picture of "
            f"{page.width} × {page.length} pixels",
        )
    if numbers[COMPRESSION] == UNCOMPRESSED:
        needed = decoded if page.tiled else page.planes * page.row_bytes(page.width) * page.length
        if needed > file_bytes:
            raise InputError(f"{name} is incomplete: it needs {needed} bytes of pixels; export or copy it again.")
    elif page.used_bytes is None and pieces > 1:
        _refuse(name, f"it does not say how long its {what} are")
    elif page.used_bytes is not None and page.used_bytes > file_bytes:
        _refuse(name, f"its {what} claim {page.used_bytes} bytes of a file of {file_bytes}, so that they share data")


def _plane_bytes(page: Page) -> int:
    """Bytes of one plane of the picture, or of an ordinary tile where that is more."""
    sides = [max(ORDINARY_TILE, SMALLEST_TILE * -(-side // SMALLEST_TILE)) for side in (page.width, page.length)]
    return page.row_bytes(sides[0]) * sides[1]


def _tile(name: str, page: Page) -> tuple[int, int]:
    """Width and height of a tile."""
    sides = [page.numbers.get(tag, 0) for tag in (TILE_WIDTH, TILE_LENGTH)]
    if min(sides) < SMALLEST_TILE:
        _refuse(name, f"tiles of {sides[0]} × {sides[1]} pixels; wanted at least {SMALLEST_TILE} × {SMALLEST_TILE}")
    return sides[0], sides[1]


def _strip(name: str, page: Page) -> tuple[int, int]:
    """Width and height of a strip."""
    rows = page.numbers.get(STRIP_ROWS, UNLIMITED_ROWS)
    if not rows:
        _refuse(name, "strips of no rows")
    return page.width, min(rows, page.length)


def _refuse(name: str, seen: str) -> NoReturn:
    raise InputError(f"{name} is refused: {seen}. No ordinary program writes that; export it again.")
