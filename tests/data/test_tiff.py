"""TIFFs: whatever strips, tiles, planes and byte orders honest programs write is read; what would keep a decoder busy
is refused before one sees it."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nero_core.data import tiff as checks
from nero_core.data.images import read_image
from nero_core.errors import InputError
from tests.data import tiffs
from tests.data.hostile import encoded, picture
from tests.data.tiffs import (
    BITS,
    BYTE,
    COMPRESSION,
    DEFLATE,
    LONG,
    PHOTOMETRIC,
    PLANAR,
    RAW,
    ROWS,
    SAMPLES,
    STRIP_BYTES,
    STRIP_OFFSETS,
    TILE_LENGTH,
    TILE_WIDTH,
    cut,
    deflated,
    grey,
    tiff,
)

TILES_OF_16 = {TILE_WIDTH: [16], TILE_LENGTH: [16]}
RGB_TAGS = {BITS: [8, 8, 8], SAMPLES: [3], PHOTOMETRIC: [2]}
PACKBITS = 32773


def busy_pieces():
    """Each of 64 strips begins with the same 100 kB that unpack to nothing."""
    return tiff(grey(64, 64, PACKBITS) | {ROWS: [1]}, [b"\x80" * 100_000 + b"\xc1\0"], offsets=[0] * 64)


HOSTILE = {
    "one tile of 26000 × 26000": (tiffs.one_huge_tile, r"1 tiles of 26000 × 26000 pixels are 644\.7 MiB"),
    "300 tiles that share": (tiffs.tiles_that_share, "300 tiles of 16 × 1048576 pixels are 4,800.0 MiB"),
    "strips that share": (busy_pieces, "strips claim 6400128 bytes .* share data"),
    "strips of unknown length": (
        lambda: tiff(grey(64, 64) | {ROWS: [1], STRIP_BYTES: None}, [deflated(1, 64)], offsets=[0] * 64),
        "how long its strips are",
    ),
    "raw tiles that share": (
        lambda: tiff(grey(64, 64, RAW) | TILES_OF_16, [bytes(256)], tiled=True, offsets=[0] * 16),
        "is incomplete: it needs 4096 bytes of pixels",
    ),
    "more tiles than the picture needs": (
        lambda: tiff(grey(64, 64, RAW) | TILES_OF_16, [bytes(4096)], tiled=True, offsets=[0] * 4000),
        "16 make up the picture, and it lists 4000",
    ),
    "fewer strips than the picture needs": (
        lambda: tiff(grey(64, 64, RAW) | {ROWS: [16]}, [bytes(4096)]),
        "4 make up the picture, and it lists 1",
    ),
    "tiles of one pixel": (
        lambda: tiff(grey(64, 64) | {TILE_WIDTH: [1], TILE_LENGTH: [1]}, [deflated(1, 1)], tiled=True),
        "tiles of 1 × 1 pixels; wanted at least 16 × 16",
    ),
    "tiles of no height": (
        lambda: tiff(grey(64, 64) | {TILE_WIDTH: [64], TILE_LENGTH: [0]}, [b"."], tiled=True),
        "tiles of 64 × 0 pixels",
    ),
    "strips of no rows": (lambda: tiff(grey(64, 64) | {ROWS: [0]}, [deflated(64, 64)]), "strips of no rows"),
    "strips and tiles": (
        lambda: tiff(grey(16, 16) | TILES_OF_16 | {STRIP_OFFSETS: [8]}, [deflated(16, 16)], tiled=True),
        "both strips and tiles",
    ),
    "a second, larger tile width": (
        lambda: tiff(grey(16, 16) | TILES_OF_16, [deflated(16, 16)], tiled=True, extra=[(TILE_WIDTH, LONG, [26000])]),
        "tag 322 is there twice",
    ),
    "a volume": (
        lambda: tiff(
            grey(64, 64) | {TILE_WIDTH: [64], TILE_LENGTH: [64], checks.TILE_DEPTH: [60000]},
            [deflated(64, 64)],
            tiled=True,
        ),
        "a volume",
    ),
    "65535 planes": (
        lambda: tiff(grey(64, 64) | {SAMPLES: [65535], PLANAR: [2]}, [deflated(64, 64)], offsets=[0] * 65535),
        "65535 samples of 8 bits",
    ),
    "65535 bit depths": (
        lambda: tiff(grey(64, 64) | {BITS: [8] * 65535}, [deflated(64, 64)]),
        "tag 258 has 65535 values",
    ),
    "a million resolutions": (
        lambda: tiff(grey(64, 64) | {282: [1] * 10**6}, [deflated(64, 64)]),
        "tag 282 has 1000000 values",
    ),
    "2000 tags": (
        lambda: tiff(grey(64, 64), [deflated(64, 64)], extra=[(50_000, LONG, [1])] * 2000),
        "it has 2008 tags",
    ),
    "no size": (lambda: tiff(grey(64, 64) | {tiffs.WIDTH: None}, [deflated(64, 64)]), "does not say how large"),
    "a size behind the end": (
        lambda: tiff(grey(64, 64), [deflated(64, 64)], extra=[(BITS, LONG, [8, 8])])[:-8],
        "tag 258 is there twice|lies outside the file",
    ),
    "a width in words": (
        lambda: tiff(grey(64, 64) | {tiffs.WIDTH: None}, [deflated(64, 64)], extra=[(tiffs.WIDTH, BYTE, [64])]),
        "tag 256 is there twice, empty or not a whole number",
    ),
}


@pytest.fixture
def unseen(monkeypatch):
    """No decoder looks at anything."""

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a decoder saw it")

    monkeypatch.setattr(Image, "open", opened)


@pytest.mark.parametrize(("make", "message"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.usefixtures("unseen")
def test_what_would_keep_a_decoder_busy_is_refused_before_one_sees_it(make, message) -> None:
    with pytest.raises(InputError, match=f"^The image .*{message}"):
        read_image(make())


@pytest.mark.usefixtures("unseen")
@pytest.mark.parametrize("start", [b"II*\0", b"MM\0*", b"II*\0\xff\xff\xff\xff", b"II+\0\x08\0\0\0" + b"\xff" * 8])
def test_a_start_without_a_table_is_damaged(start: bytes) -> None:
    with pytest.raises(InputError, match="is damaged or incomplete"):
        read_image(start)


def test_the_size_is_looked_at_first() -> None:
    with pytest.raises(InputError, match="is too large: 30000 × 30000"):
        read_image(tiff(grey(30000, 30000) | TILES_OF_16, [b"."], tiled=True))
    with pytest.raises(InputError, match="is too small: 4 × 64"):
        read_image(tiff(grey(4, 64), [deflated(64, 4)]))


# What honest programs write -------------------------------------------------------------------------------------------


def pixels(height: int, width: int, samples: int = 1, dtype: str = "u1") -> np.ndarray:
    shape = (height, width) if samples == 1 else (height, width, samples)
    return np.random.default_rng(height * width).integers(0, 256, shape).astype(dtype)


def written(array: np.ndarray, tags, pieces, **options) -> None:
    """The file must read back as the array."""
    seen = np.asarray(read_image(tiff(tags, pieces, **options)))
    wanted = array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2)
    np.testing.assert_array_equal(seen, wanted)


@settings(max_examples=60)
@given(
    st.integers(8, 90),
    st.integers(8, 90),
    st.sampled_from([16, 32, 48, 64, 256]),
    st.sampled_from([16, 32, 48, 64, 256]),
    st.sampled_from(["<", ">"]),
    st.booleans(),
    st.booleans(),
)
def test_tiles_of_any_size_are_read(width, height, tile_width, tile_length, order, big, separate) -> None:
    array = pixels(height, width, 3)
    tags = grey(width, height, RAW) | RGB_TAGS | {TILE_WIDTH: [tile_width], TILE_LENGTH: [tile_length]}
    planes = [array[..., sample] for sample in range(3)] if separate else [array]
    pieces = [piece for plane in planes for piece in cut(plane, tile_length, tile_width)]
    big &= order == "<"  # Pillow reads no other
    written(array, tags | {PLANAR: [2 if separate else 1]}, pieces, tiled=True, order=order, big=big)


@settings(max_examples=60)
@given(st.integers(8, 90), st.integers(8, 90), st.integers(1, 100), st.sampled_from(["<", ">"]), st.booleans())
def test_strips_of_any_height_are_read(width, height, rows, order, separate) -> None:
    array = pixels(height, width, 3)
    planes = [array[..., sample] for sample in range(3)] if separate else [array]
    pieces = [plane[y : y + rows].tobytes() for plane in planes for y in range(0, height, rows)]
    tags = grey(width, height, RAW) | RGB_TAGS | {ROWS: [rows], PLANAR: [2 if separate else 1]}
    written(array, tags, pieces, order=order)


@pytest.mark.parametrize(
    "tags",
    [{}, {ROWS: [2**32 - 1]}, {ROWS: [65535]}, {STRIP_BYTES: None}, {BITS: None, SAMPLES: None, COMPRESSION: None}],
    ids=["no rows said", "unlimited rows", "more rows than there are", "no byte counts", "defaults"],
)
def test_one_strip_however_it_is_said(tags) -> None:
    if BITS in tags:  # one bit per pixel, one sample and no compression are what is meant where nothing is said
        bits = pixels(40, 64) > 127
        written((bits * 255).astype("u1"), grey(64, 40, RAW) | tags, [np.packbits(bits, axis=1).tobytes()])
    else:
        written(pixels(40, 64), grey(64, 40, RAW) | tags, [pixels(40, 64).tobytes()])


@pytest.mark.parametrize("side", [1024, 2048])
def test_a_tile_may_stand_out(side) -> None:
    """A picture that ends just behind the start of its second tile, or is smaller than its only one."""
    for width, height in ((side + 1, side + 1), (100, 1024 if side == 1024 else 2040)):
        array = pixels(height, width)
        tags = grey(width, height, DEFLATE) | {TILE_WIDTH: [side], TILE_LENGTH: [side]}
        pieces = [zlib.compress(piece, 1) for piece in cut(array, side, side)]
        if side == 2048 and width == 100:
            with pytest.raises(InputError, match="1 tiles of 2048 × 2048"):
                read_image(tiff(tags, pieces, tiled=True))
        else:
            written(array, tags, pieces, tiled=True)


MODES = ["1", "L", "LA", "P", "I", "I;16", "F", "RGB", "RGBX", "RGBA", "CMYK", "YCbCr", "LAB"]
PACKED = [None, "group3", "group4", "tiff_ccitt", "tiff_lzw", "jpeg", "tiff_adobe_deflate", "tiff_deflate", "packbits"]
PACKED += ["lzma", "zstd"]


def in_mode(mode: str, size: tuple[int, int]) -> Image.Image:
    image = picture().resize(size)
    if mode in ("I;16", "I", "F"):
        greys = np.asarray(image.convert("L")).astype({"I;16": "u2", "I": "i4", "F": "f4"}[mode])
        return Image.fromarray(greys)
    return Image.frombytes("LAB", size, image.tobytes()) if mode == "LAB" else image.convert(mode)


def test_whatever_pillow_writes_is_read(capfd) -> None:
    """Every mode, compression, size, number of pages and kind of TIFF that Pillow writes and reads itself."""
    read = 0
    for mode in MODES:
        for packed in PACKED:
            for size, many, big in (((64, 48), False, False), ((720, 100), True, False), ((31, 300), False, True)):
                image = in_mode(mode, size)
                others = {"save_all": True, "append_images": [image]} if many else {}
                try:
                    data = encoded(image, "TIFF", compression=packed, big_tiff=big, **others)
                    with Image.open(io.BytesIO(data)) as known:
                        known.load()
                except (OSError, RuntimeError):
                    continue  # such as fax of colours
                checks.check_page("it", checks.first_page("it", data), len(data))
                read += 1
    capfd.readouterr()  # what libtiff says of modes it does not pack
    assert read > 200


def test_a_page_of_a_document_counts_alone() -> None:
    """The second page may be anything: it is not decoded."""
    data = bytearray(encoded(picture(), "TIFF", save_all=True, append_images=[picture()]))
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    second = struct.unpack_from("<I", data, first + 2 + 12 * count)[0]
    width = second + 2 + 12 * next(i for i in range(count) if data[second + 2 + 12 * i] == 0)
    struct.pack_into("<I", data, width + 8, 10**9)
    assert read_image(bytes(data)).size == picture().size


def test_big_endian_bigtiff_is_named() -> None:
    with pytest.raises(InputError, match="is a BigTIFF in big-endian order, which is not read"):
        read_image(tiff(grey(64, 64, RAW), [bytes(4096)], order=">", big=True))
