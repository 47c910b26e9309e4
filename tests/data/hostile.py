"""Uploads as bad as they come: whole files of every format that is read, and seeded damage done to them.

``mutant(number)`` is the same file on every machine with the same Pillow, so that a number in a failure is enough to
have the file again. ``damage(kind, chance)`` takes any ``random.Random``, also one that hypothesis steers.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

SIZE = (64, 48)
PNG_START = b"\x89PNG\r\n\x1a\n"
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
"""Left, top and steps of the seven passes of an interlaced PNG (PNG specification, section 8.2)."""
NUMBERS = [0, 1, 2, 3, 7, 8, 9, 16, 100, 127, 128, 255, 256, 257, 2_000, 6_000, 6_400, 30_000, 32_767, 32_768, 65_535]
NUMBERS += [65_536, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF]
"""What header fields are overwritten with: the ends of their ranges, and sizes just inside and outside the limits."""


@cache
def picture() -> Image.Image:
    """Smooth colours with an edge and some noise, so that lossy formats keep it."""
    x, y = np.meshgrid(np.linspace(0, 1, SIZE[0]), np.linspace(0, 1, SIZE[1]))
    smooth = np.stack([120 + 100 * x, 60 + 120 * y, 160 - 80 * x * y], axis=-1)
    smooth[(x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.04] *= 0.4
    noisy = smooth + np.random.default_rng(0).normal(0, 3, smooth.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    """An image as the bytes of a file."""
    buffer = io.BytesIO()
    image.copy().save(buffer, file_format, **options)  # a copy: Pillow leaves one format's settings on the image
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def interlaced_png(image: Image.Image) -> bytes:
    """Adam7, which Pillow reads but does not write."""
    pixels = np.asarray(image)
    rows = b"".join(b"\0" + row.tobytes() for left, top, right, down in ADAM7 for row in pixels[top::down, left::right])
    header = struct.pack(">IIBBBBB", *image.size, 8, 2, 0, 0, 1)
    return PNG_START + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def run_length_bmp(image: Image.Image) -> bytes:
    """Eight bits, run-length encoded, which Pillow reads but does not write."""
    grey = np.asarray(image.convert("L"))
    rows = b"".join(b"".join(bytes([1, value]) for value in row) + b"\0\0" for row in grey[::-1]) + b"\0\1"
    palette = b"".join(bytes([i, i, i, 0]) for i in range(256))
    start = 14 + 40 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, *image.size, 1, 8, 1, len(rows), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + header + palette + rows


@cache
def whole_files() -> dict[str, bytes]:
    """One whole file of every kind that is read, all of the same picture or of its greys."""
    rgb = picture()
    grey, cmyk, bits, palette = rgb.convert("L"), rgb.convert("CMYK"), rgb.convert("1"), rgb.quantize(64)
    rgba = rgb.convert("RGBA")
    rgba.putpixel((0, 0), (0, 0, 0, 0))
    sixteen = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    shares = Image.fromarray(np.asarray(grey).astype(np.float32) / 255)

    def animated(first: Image.Image, file_format: str, **options: object) -> bytes:
        others = [rgb.rotate(180), rgb.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
        return encoded(first, file_format, save_all=True, append_images=others, **options)

    turned = Image.Exif()
    turned[0x0112], turned[0x010E] = 1, "a note " * 20
    return {
        "jpeg": encoded(rgb, "JPEG", quality=90, exif=turned),
        "jpeg grey": encoded(grey, "JPEG", quality=90, restart_marker_blocks=4),
        "jpeg progressive": encoded(rgb, "JPEG", quality=90, progressive=True),
        "jpeg cmyk": encoded(cmyk, "JPEG", quality=90),
        "jpeg cmyk progressive": encoded(cmyk, "JPEG", quality=90, progressive=True),
        "jpeg of many": animated(rgb, "MPO", quality=90),
        "png": encoded(rgb, "PNG", exif=turned),
        "png transparent": encoded(rgba, "PNG"),
        "png palette": encoded(palette, "PNG", transparency=bytes([255] * 63 + [128])),
        "png of 1 bit": encoded(bits, "PNG"),
        "png of 16 bits": encoded(sixteen, "PNG"),
        "png grey transparent": encoded(rgba.convert("LA"), "PNG"),
        "png interlaced": interlaced_png(rgb),
        "png animated": animated(rgb, "PNG"),
        "tiff": encoded(rgb, "TIFF", exif=turned),
        "tiff lzw": encoded(rgb, "TIFF", compression="tiff_lzw"),
        "tiff deflate": encoded(rgba, "TIFF", compression="tiff_adobe_deflate"),
        "tiff packbits": encoded(palette, "TIFF", compression="packbits"),
        "tiff jpeg": encoded(rgb, "TIFF", compression="jpeg", quality=90),
        "tiff fax": encoded(bits, "TIFF", compression="group4"),
        "tiff float": encoded(shares, "TIFF"),
        "tiff float deflate": encoded(shares, "TIFF", compression="tiff_adobe_deflate"),
        "tiff of 16 bits": encoded(sixteen, "TIFF", compression="tiff_lzw"),
        "tiff cmyk": encoded(cmyk, "TIFF"),
        "tiff of pages": animated(rgb, "TIFF"),
        "tiff big": encoded(rgb, "TIFF", big_tiff=True),
        "bmp": encoded(rgb, "BMP"),
        "bmp palette": encoded(palette, "BMP"),
        "bmp of 1 bit": encoded(bits, "BMP"),
        "bmp run-length": run_length_bmp(rgb),
        "webp": encoded(rgb, "WEBP", quality=90),
        "webp lossless": encoded(rgb, "WEBP", lossless=True, exif=turned),
        "webp transparent": encoded(rgba, "WEBP", quality=90),
        "webp animated": animated(rgb, "WEBP", quality=90),
        "gif": encoded(palette, "GIF", comment=b"a note"),
        "gif animated": animated(palette, "GIF"),
    }


def headers(data: bytes) -> list[range]:
    """Where a whole file keeps its numbers: headers, tables of contents and the starts of its parts."""
    size = len(data)
    if data.startswith(PNG_START):
        return [
            range(start, start + 8 + min(length, 32)) for start, kind, length in png_chunks(data) if kind != b"IDAT"
        ]
    if data.startswith(b"\xff\xd8"):
        return list(_jpeg_segments(data))
    if data[:2] in (b"II", b"MM"):
        order = "little" if data[:2] == b"II" else "big"
        big = data[2:4] in (b"+\0", b"\0+")
        table = int.from_bytes(data[8:16] if big else data[4:8], order)
        return [range(16 if big else 8), range(table, min(table + 240, size))]
    if data.startswith(b"RIFF"):
        return [range(20), *(range(start, start + 24) for start in _places(data, b"VP8", b"ANIM", b"ANMF", b"ALPH"))]
    if data.startswith(b"GIF"):
        after = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 128 else 0)
        return [range(13), range(after, min(after + 40, size))]
    return [range(min(70, size))]


def png_chunks(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Start, kind and length of each chunk, as far as the lengths lead."""
    start = len(PNG_START)
    while start + 8 <= len(data):
        length = int.from_bytes(data[start : start + 4], "big")
        yield start, data[start + 4 : start + 8], length
        start += 12 + length


def _jpeg_segments(data: bytes) -> Iterator[range]:
    start = 2
    while data[start] == 0xFF:
        length = int.from_bytes(data[start + 2 : start + 4], "big")
        yield range(start, start + 2 + min(length, 40))
        if data[start + 1] == 0xDA:  # start of scan: pixels follow
            return
        start += 2 + length


def _places(data: bytes, *names: bytes) -> Iterator[int]:
    for name in names:
        start = -1
        while 0 <= (start := data.find(name, start + 1)) <= len(data) - 24:
            yield start


def resealed(data: bytes) -> bytes:
    """A PNG whose checksums are right again, so that its reader looks at what they guard; others as they are."""
    if not data.startswith(PNG_START):
        return data
    sealed = bytearray(data)
    for start, _, length in png_chunks(data):
        end = start + 8 + length
        if end + 4 <= len(data):
            sealed[end : end + 4] = struct.pack(">I", zlib.crc32(data[start + 4 : end]))
    return bytes(sealed)


@dataclass(frozen=True)
class Mutant:
    """A damaged file, and how it came about."""

    kind: str
    steps: tuple[str, ...]
    data: bytes

    def __str__(self) -> str:
        return f"{self.kind}: {', '.join(self.steps)}"


def damage(kind: str, chance: random.Random) -> Mutant:
    """Up to four kinds of damage, one after another, to a whole file of this kind."""
    data, steps = bytearray(whole_files()[kind]), []
    fields = [place for part in headers(bytes(data)) for place in part]
    for _ in range(chance.choice([1, 1, 2, 4])):
        step = chance.choice(["field", "field", "field", "bits", "bytes", "cut", "remove", "repeat", "splice", "add"])
        start, length = chance.randrange(len(data) + 1), chance.choice([1, 2, 4, 16, 64, 1024])
        if step == "field":
            start, width = chance.choice(fields), chance.choice([1, 2, 4])
            number, order = chance.choice(NUMBERS) % 256**width, chance.choice(["little", "big"])
            data[start : start + width] = number.to_bytes(width, order)
            steps.append(f"{number} as {width} bytes at {start}")
        elif step == "bits":
            places = [chance.randrange(8 * len(data) + 1) for _ in range(chance.choice([1, 4, 16]))]
            for place in places:
                if place < 8 * len(data):
                    data[place // 8] ^= 1 << place % 8
            steps.append(f"bits {places} flipped")
        elif step == "bytes":
            value = chance.choice([0, 255, chance.randrange(256)])
            data[start : start + length] = bytes([value]) * len(data[start : start + length])
            steps.append(f"{length} bytes of {value} at {start}")
        elif step == "cut":
            del data[start:]
            steps.append(f"cut at {start}")
        elif step == "remove":
            del data[start : start + length]
            steps.append(f"{length} bytes removed at {start}")
        elif step == "repeat":
            times = chance.choice([1, 2, 50])
            data[start:start] = data[start : start + length] * times
            steps.append(f"{length} bytes at {start} repeated {times} times")
        elif step == "splice":
            other = chance.choice(sorted(whole_files()))
            there = chance.randrange(len(whole_files()[other]))
            data[start:] = whole_files()[other][there:]
            steps.append(f"from {start} on: {other} from {there} on")
        else:
            data += bytes(chance.randrange(256) for _ in range(length))
            steps.append(f"{length} bytes added")
    if chance.random() < 0.5:
        data, steps = bytearray(resealed(bytes(data))), [*steps, "resealed"]
    return Mutant(kind, tuple(steps), bytes(data))


def mutant(number: int) -> Mutant:
    """The mutant of this number; all kinds take turns."""
    kinds = list(whole_files())
    return damage(kinds[number % len(kinds)], random.Random(number))
