"""Uploads as bad as they come, through the same door as the app: a picture or one sentence, and nothing worse.

What one file of a kind must become is in test_images; here are its extremes, and damage done at random.
"""

from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from nero_core import Reference
from nero_core.data.images import MAX_JPEG_SCANS, MAX_PIXELS, read_image
from nero_core.errors import InputError
from pages.shared.reading import read_case
from pages.shared.session import Frame
from tests.data import tiffs
from tests.data.hostile import PNG_START, chunk, damage, encoded, mutant, picture, resealed, whole_files

ROOT = Path(__file__).parents[2]
KINDS = list(whole_files())
GIGABYTE = 10**9
PROCESSOR_SECONDS = 10  # of one upload; of a processor, so that a busy machine changes nothing
UPLOAD_LIMIT = 20 * 2**20  # LARGEST in pages/case_review.py
SIDE = int(MAX_PIXELS**0.5)


@pytest.fixture(scope="module")
def reference(tiny_reference):
    return Reference.load(tiny_reference)


def score(reference, data):
    """The score that the app shows for an upload, or None where it shows a sentence instead."""
    frame = Frame("upload", data)
    read_case([frame], reference, "nero")
    if frame.error is not None:
        assert frame.error.startswith("The image ")
        return None
    return frame.reading.score


# Whole files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_of_every_kind_is_read(kind, reference):
    data = whole_files()[kind]
    seen, held = np.asarray(read_image(data)).astype(int), picture()
    shown = [held, held.convert("L").convert("RGB"), held.convert("1").convert("RGB")]
    assert min(np.abs(seen - np.asarray(image)).mean() for image in shown) < 4
    assert np.isfinite(score(reference, data))


def test_mutants_are_the_same_every_time_and_all_different():
    once, again = ([mutant(number) for number in range(80)] for _ in range(2))
    assert once == again
    assert len({upload.data for upload in once}) == 80
    assert {upload.kind for upload in once} == set(KINDS)


# Sizes -----------------------------------------------------------------------------------------------------------


def declared(kind, width, height):
    """A small file whose header promises a size."""
    data = bytearray(whole_files()[kind])
    if kind == "png":
        data[16:24] = struct.pack(">II", width, height)
    elif kind.startswith("jpeg"):
        marker = data.index(b"\xff\xc2" if "progressive" in kind else b"\xff\xc0")
        data[marker + 5 : marker + 9] = struct.pack(">HH", height, width)
    elif kind == "tiff":
        table = int.from_bytes(data[4:8], "little")
        for entry in range(table + 2, table + 2 + 12 * data[table], 12):
            tag = int.from_bytes(data[entry : entry + 2], "little")
            if tag in (256, 257):  # ImageWidth, ImageLength
                data[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, width if tag == 256 else height)
    elif kind == "bmp":
        data[18:26] = struct.pack("<ii", width, height)
    elif kind == "gif":
        data[6:10] = struct.pack("<HH", width, height)
    elif kind == "webp":  # RFC 6386, section 9.1: behind the start code, 14 bits each
        start = data.index(b"\x9d\x01\x2a") + 3
        data[start : start + 4] = struct.pack("<HH", width, height)
    elif kind == "webp lossless":  # RFC 9649, section 3.4: behind the signature, 14 bits each, less one
        plain, start = bytearray(encoded(picture(), "WEBP", lossless=True)), 21
        plain[start : start + 4] = (width - 1 | height - 1 << 14 | plain[start + 3] >> 4 << 28).to_bytes(4, "little")
        return bytes(plain)
    else:
        canvas = data.index(b"VP8X") + 12
        data[canvas : canvas + 6] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return resealed(bytes(data))


@pytest.mark.parametrize("kind", ["png", "jpeg", "jpeg progressive", "tiff", "bmp", "gif", "webp animated"])
@pytest.mark.parametrize("side", [7_000, 30_000])
def test_a_huge_size_in_the_header_is_refused_before_decoding(kind, side, monkeypatch):
    assert read_image(declared(kind, 64, 48)).size == (64, 48), "the header is where this test thinks it is"

    def load(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    # A canvas past WebP's own limit of 16383 pixels a side is turned down before its size is read.
    refused = "is too large" if (kind, side) != ("webp animated", 30_000) else "is too large|its start is damaged"
    with pytest.raises(InputError, match=refused):
        read_image(declared(kind, side, side))


@pytest.mark.parametrize("kind", ["webp", "webp lossless"])
@pytest.mark.parametrize("side", [7_000, 16_383])
def test_a_huge_size_in_a_webp_is_refused_before_decoding(kind, side, monkeypatch):
    """Their headers hold 14 bits a side."""
    assert read_image(declared(kind, 64, 48)).size == (64, 48), "the header is where this test thinks it is"

    def load(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(InputError, match="is too large"):
        read_image(declared(kind, side, side))


# Damage and extremes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["jpeg progressive", "jpeg cmyk progressive"])
def test_a_progressive_jpeg_cut_at_any_byte_is_refused(kind):
    data = whole_files()[kind]
    for length in range(len(data)):
        with pytest.raises(InputError):
            read_image(data[:length])


def blank_png(depth, colour_type, channels, interlaced=False, note=b""):
    """A PNG of the largest size, of the kinds that Pillow reads but does not write."""
    packer = zlib.compressobj(1)
    row = bytes(1 + (SIDE * depth * channels + 7) // 8)
    rows = b"".join(packer.compress(row) for _ in range(2 * SIDE if interlaced else SIDE)) + packer.flush()
    header = struct.pack(">IIBBBBB", SIDE, SIDE, depth, colour_type, 0, 0, interlaced)
    return PNG_START + chunk(b"IHDR", header) + note + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def blank(mode, file_format, **options):
    return encoded(Image.new(mode, (SIDE, SIDE)), file_format, **options)


def many_scans():
    """A progressive JPEG of the largest size, with as many of its costliest scan as are let through."""
    data = blank("CMYK", "JPEG", progressive=True)
    scans = data.split(b"\xff\xda")
    return b"\xff\xda".join([*scans[:-1], *[scans[-2]] * (MAX_JPEG_SCANS - len(scans)), scans[-1]])


def crowded(kind, part, before):
    """A whole file with one small part so often that the upload limit is reached."""
    data = whole_files()[kind]
    place = data.index(before)
    return data[:place] + part * ((UPLOAD_LIMIT - len(data)) // len(part)) + data[place:]


def crowded_webp():
    data = whole_files()["webp animated"][12:] + b"JUNK\0\0\0\0" * (UPLOAD_LIMIT // 8 - 1000)
    return b"RIFF" + struct.pack("<I", len(data) + 4) + b"WEBP" + data


def crowded_tiff():
    """BigTIFF, whose table of contents may have any number of entries."""
    whole = whole_files()["tiff big"]
    entries = 16 + int.from_bytes(whole[8:16], "little") - 8
    count = int.from_bytes(whole[entries - 8 : entries], "little")
    more = (UPLOAD_LIMIT - len(whole)) // 20
    table = whole[entries : entries + 20 * count] + struct.pack("<HHQQ", 50_000, 3, 1, 0) * more
    start = len(whole)
    return whole[:8] + struct.pack("<Q", start) + whole[16:] + struct.pack("<Q", count + more) + table + bytes(8)


def run_lengths_of_one():
    data = whole_files()["bmp run-length"]
    runs = b"\1\5" * ((UPLOAD_LIMIT - len(data)) // 2)
    return data[:18] + struct.pack("<ii", SIDE, SIDE) + data[26:1078] + runs


def in_png(kind, body):
    """A whole PNG with one more chunk before its pixels."""
    data = whole_files()["png transparent"]
    place = data.index(b"IDAT") - 4
    return data[:place] + chunk(kind, body) + data[place:]


def noted(count, tag=0x0112):
    """A camera's note whose one tag is as many fractions; by default the tag that says how the picture is turned."""
    table = struct.pack("<HHHII", 1, tag, 5, count, 26) + bytes(4)
    return b"II*\0\x08\0\0\0" + table + struct.pack("<II", 1, 1) * count


def noted_jpeg(count):
    """The note over as many segments as it needs, the first thing in the file."""
    data, note = whole_files()["jpeg grey"], noted(count)
    parts = [note[start : start + 65_000] for start in range(0, len(note), 65_000)]
    segments = [b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in parts]
    return data[:2] + b"".join(segments) + data[2:]


def packed(size):
    """So many zeros, a thousandth as long."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(size // 2**20)) + packer.flush()


def gif_of_more():
    """The pixels of the largest picture in one that says it has 16 × 16."""
    data = bytearray(blank("P", "GIF"))
    place = data.index(b"," + struct.pack("<HHHH", 0, 0, SIDE, SIDE))
    data[6:10] = data[place + 5 : place + 9] = struct.pack("<HH", 16, 16)
    return bytes(data)


BOMBS = {
    "png, 1 GB in its profile": lambda: in_png(b"iCCP", b"icc\0\0" + packed(10**9)),
    "png, 1 GB in its text": lambda: in_png(b"zTXt", b"note\0\0" + packed(10**9)),
    "png, 1 GB in its foreign text": lambda: in_png(b"iTXt", b"note\0\1\0\0\0" + packed(10**9)),
    "png, 1 GB behind its pixels": lambda: in_png(b"IDAT", packed(10**9)),
    "png, two million fractions in its note": lambda: in_png(b"eXIf", noted(2 * 10**6)),
    "jpeg, two million fractions in its note": lambda: noted_jpeg(2 * 10**6),
    "webp, two million fractions in its note": lambda: encoded(picture(), "WEBP", exif=b"Exif\0\0" + noted(2 * 10**6)),
    "tiff, one huge tile": tiffs.one_huge_tile,
    "tiff, tiles that share": lambda: tiffs.tiles_that_share(4000),
    "tiff lzw, tiles that share": lambda: tiffs.tiles_that_share(4000, compression=5),
    "gif, 40 million pixels for 256": gif_of_more,
    "gif, a comment in ten million pieces": lambda: crowded("gif", b"\1a", b"\6a note"),
}
"""Small files that would unpack to gigabytes, or keep a reader busy for minutes."""

EXTREMES = {
    "jpeg": lambda: blank("RGB", "JPEG"),
    "jpeg progressive": lambda: blank("RGB", "JPEG", progressive=True),
    "jpeg of many scans": many_scans,
    "png transparent": lambda: blank("RGBA", "PNG", compress_level=1),
    "png palette": lambda: blank("P", "PNG", compress_level=1, transparency=bytes(range(256))),
    "png of 16 bits": lambda: blank("I;16", "PNG", compress_level=1),
    "png of 16 bits, one grey transparent": lambda: blank_png(16, 0, 1, note=chunk(b"tRNS", bytes(2))),
    "png of 4 times 16 bits": lambda: blank_png(16, 6, 4),
    "png interlaced": lambda: blank_png(8, 6, 4, interlaced=True),
    "png of many chunks": lambda: crowded("png", chunk(b"abCd", b""), chunk(b"IEND", b"")),
    "png of many notes": lambda: crowded("png", chunk(b"tEXt", b"k\0v"), chunk(b"IEND", b"")),
    "tiff float": lambda: blank("F", "TIFF", compression="tiff_adobe_deflate"),
    "tiff of 32 bits": lambda: blank("I", "TIFF", compression="tiff_adobe_deflate"),
    "tiff transparent": lambda: blank("RGBA", "TIFF", compression="tiff_lzw"),
    "tiff cmyk": lambda: blank("CMYK", "TIFF", compression="packbits"),
    "tiff lab": lambda: blank("LAB", "TIFF", compression="tiff_adobe_deflate"),
    "tiff jpeg": lambda: blank("RGB", "TIFF", compression="jpeg"),
    "tiff fax": lambda: blank("1", "TIFF", compression="group4"),
    "tiff of many entries": crowded_tiff,
    "bmp of 1 bit": lambda: blank("1", "BMP"),
    "bmp of runs of one": run_lengths_of_one,
    "webp": lambda: blank("RGB", "WEBP", method=0),
    "webp transparent": lambda: blank("RGBA", "WEBP", lossless=True, method=0),
    "webp of many chunks": crowded_webp,
    "gif transparent": lambda: blank("P", "GIF", transparency=0),
    "gif of many comments": lambda: crowded("gif", b"!\xfe\1a\0", b"!\xfe"),
    "gif of a cut-up comment": lambda: crowded("gif", b"\1a", b"\6a note"),
    "gif of many extensions": lambda: crowded("gif", b"!\xf9\4\0\0\0\0\0", b"!\xfe"),
}
"""The largest pictures that are read, of every kind; and small ones whose files keep a reader busy."""


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(KINDS), st.randoms(use_true_random=False))
def test_any_damage_gives_a_score_or_a_sentence(reference, kind: str, chance: random.Random) -> None:
    found = score(reference, damage(kind, chance).data)
    assert found is None or np.isfinite(found)


def scored(reference, folder, files):
    """Scores (name, bytes) pairs in a process of their own, and checks what must hold for each; returns its lines."""
    for name, data in files:
        (folder / name).write_bytes(data)
    command = [sys.executable, "-m", "tests.data.score_uploads", str(reference), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    names = sorted(path.name for path in folder.iterdir())
    assert done.returncode == 0, f"{[*names, 'nothing'][len(lines)]} ended the process:\n{done.stderr[-3000:]}"
    assert [line["name"] for line in lines] == names

    def those(test):
        return [f"{line['name']} {line['problem'] or ''}" for line in lines if test(line)]

    assert not those(lambda line: line["problem"]), "only NeroError may leave the door"
    assert not those(lambda line: not line["finite"])
    assert not those(lambda line: not line["still_right"]), "a whole image's score changed after these"
    assert not those(lambda line: line["extra_bytes"] > GIGABYTE)[:1], "too much memory, first here"
    longest = max(lines, key=lambda line: line["processor_seconds"])
    sys.stdout.write(
        f"{len(lines)} files: {sum(line['read'] for line in lines)} read, the others refused; longest "
        f"{longest['processor_seconds']:.2f} s of a processor ({longest['name']}); "
        f"extra memory {lines[-1]['extra_bytes'] / 2**20:.0f} MiB\n"
    )
    return lines


@pytest.mark.skipif(sys.platform == "win32", reason="memory is measured as POSIX does")
@pytest.mark.parametrize("count", [pytest.param(150, id="few"), pytest.param(2000, id="many", marks=pytest.mark.soak)])
def test_mutants_neither_crash_nor_hang_nor_fill_the_memory(tiny_reference, tmp_path, count):
    """A failure names the mutant: ``tests.data.hostile.mutant(number)`` says what was done and is the file again."""
    lines = scored(tiny_reference, tmp_path, ((f"mutant {n:04d}", mutant(n).data) for n in range(count)))
    assert 0.15 * count < sum(line["read"] for line in lines) < 0.85 * count, "else the damage tests little"
    if count == 2000:
        assert max(line["processor_seconds"] for line in lines) < PROCESSOR_SECONDS


@pytest.mark.skipif(sys.platform == "win32", reason="memory is measured as POSIX does")
def test_bombs_are_refused_or_read_without_going_off(tiny_reference, tmp_path):
    """None takes the memory that it would unpack to, and none hangs (see GIVE_UP in score_uploads)."""
    lines = scored(tiny_reference, tmp_path, ((name, make()) for name, make in BOMBS.items()))
    assert max(line["extra_bytes"] for line in lines) < GIGABYTE // 4
    refused = {line["name"] for line in lines if not line["read"]}
    assert refused >= {name for name in BOMBS if name.startswith("tiff") or "fractions" in name or "pieces" in name}


@pytest.mark.skipif(sys.platform == "win32", reason="memory is measured as POSIX does")
@pytest.mark.soak
def test_the_largest_and_the_busiest_files_stay_within_memory_and_time(tiny_reference, tmp_path):
    lines = scored(tiny_reference, tmp_path, ((name, make()) for name, make in EXTREMES.items()))
    assert [line["name"] for line in lines if line["processor_seconds"] > PROCESSOR_SECONDS] == []
    refused = [line["name"] for line in lines if not line["read"]]
    # The first is too small for its size, the others are cut into millions of pieces; the rest is extreme, but whole.
    cut_up = ["gif of a cut-up comment", "gif of many comments", "gif of many extensions"]
    assert refused == ["bmp of runs of one", *cut_up, "png of many chunks", "png of many notes", "tiff of many entries"]
