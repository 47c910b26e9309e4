"""Bytes → RGB, whatever the bytes: limits, odd modes, the turn a camera notes, and a network's input geometry.

What comes in is untrusted: file contents, file names and headers. Every picture leaves as 8-bit RGB, or an
:class:`~nero_core.errors.InputError` says in plain words why it cannot.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from nero_core.data import tiff
from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import InputError
from nero_core.records import Float32Array, Source
from nero_core.storage.display_names import display_name

DECODING_THREADS = 2
"""Decoding releases the interpreter lock; two threads keep a two-core machine's network fed."""

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF")
MAX_FILE_BYTES = 64 * 2**20
MAX_PIXELS = 40_000_000
"""Read from the header, before decoding. Endoscopes give up to 8 million (4K); decoding this many takes < 1 GB."""
MIN_SIDE = 8
MAX_ASPECT = 100
"""Longest side over shortest: a centre crop first resizes the shorter side, and the longer one must stay bounded."""
MAX_JPEG_SCANS = 100
"""A progressive JPEG has about ten; a small file with thousands of empty ones takes minutes to decode."""
MAX_JPEG_SEGMENTS = 2_000
"""Segments hold up to 64 KiB each; a file of millions of empty ones takes minutes to walk through."""
MAX_READS = 200_000
"""Of a file, by its decoder: the largest PNG, in pieces of 8 KiB, takes 40,000. Comments cut into millions of pieces
fill the memory."""
MAX_EXIF_BYTES = 2**20
"""Of a camera's note; a JPEG's segment holds 64 KiB. Each of its fractions takes its reader microseconds."""
SIXTEEN_TO_EIGHT_BITS = 257
"""65535 / 255."""

PNG_END = b"IEND\xaeB`\x82"
GIF_END = b";"
JPEG_START = b"\xff\xd8\xff"
JPEG_MARKER = re.compile(rb"\xff+([\x02-\xcf\xd9-\xfe])")
"""Fill bytes and a marker's code; neither a stuffed 0xff of the pixels nor a restart (ITU-T T.81, table B.1)."""
JPEG_END_CODE, JPEG_SCAN_CODE, JPEG_NOTE_CODE = b"\xd9", b"\xda", b"\xe1"
EXIF_START = b"Exif\0\0"

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what turns the picture upright (EXIF 2.32, tag 0x0112)."""

_decoders = ThreadPoolExecutor(DECODING_THREADS, "decoding")
"""Of the whole process: whoever asks for pictures, no more are decoded at once, and who asked first comes first."""


def read_image(source: Source, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    """One picture as upright 8-bit RGB, decoded and independent of its source.

    The first frame of animations and multi-page files is taken. Transparency is laid on black, as endoscopic
    borders are. Sixteen-bit greys are divided by 257; floating-point greys are read as shares when all lie in
    [0, 1] and as 8-bit values when all lie in [0, 255]. Colour profiles are not applied.

    No more than two pictures are decoded at once in a process, in the order they were asked for.

    Parameters
    ----------
    source : str, Path, bytes or PIL image
        A path, a file's bytes, or an image, which stays as it is. The contents decide the format, not the name.
    formats : tuple of str
        Those that are read.

    Returns
    -------
    PIL image
        Mode RGB.

    Raises
    ------
    InputError
        The file is missing, empty, truncated, too large, no picture of a known format, smaller than 8 pixels, or made
        to keep a decoder busy.
    """
    decoding = _decoders.submit(_read, source, formats)
    try:
        return decoding.result()
    finally:
        decoding.cancel()  # whoever was stopped while waiting for its turn wants it no more


def _read(source: Source, formats: tuple[str, ...]) -> Image.Image:
    name = _name(source)
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # other libraries switch it on for the whole process, as WeasyPrint does
    with _pillow_silenced():
        try:
            if isinstance(source, Image.Image):
                _check_size(name, *source.size)
                _check_note(name, source)
                return _rgb(name, _turned(source.copy(), _orientation(source)))
            return _decoded(name, source if isinstance(source, bytes) else _file_bytes(name, source), formats)
        except InputError:
            raise
        except UnidentifiedImageError as error:
            wanted = " or ".join(filter(None, [", ".join(formats[:-1]), formats[-1]]))
            raise InputError(f"{name} is not an image, or its start is damaged; wanted {wanted}.") from error
        except Image.DecompressionBombError as error:
            raise InputError(f"{name} is too large; at most {MAX_PIXELS // 10**6} million pixels are read.") from error
        except Exception as error:  # Pillow's decoders raise nearly anything on damaged input
            seen = str(error) or type(error).__name__
            raise InputError(f"{name} is damaged or incomplete ({seen}); export or copy it again.") from error


def displayed(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """The picture as the network sees it: resized, and cropped where the preprocessing says so.

    Parameters
    ----------
    image : PIL image
        Mode RGB, from :func:`read_image`.
    preprocessing : Preprocessing

    Returns
    -------
    PIL image
        Mode RGB, `preprocessing.width` × `preprocessing.height` pixels.

    Raises
    ------
    InputError
        The mode is another, or the picture is so long a strip that its resized whole would not fit into memory.
    """
    if image.mode != "RGB":
        raise InputError(f"The image has mode {image.mode}; wanted RGB, as `read_image` returns it.")
    width, height = preprocessing.width, preprocessing.height
    resampling = FILTERS[preprocessing.interpolation]
    if preprocessing.crop_share is None:
        return image.resize((width, height), resampling)
    wide, high = int(width / preprocessing.crop_share), int(height / preprocessing.crop_share)
    if image.width * high > image.height * wide:
        wide = int(high * image.width / image.height)
    else:
        high = int(wide * image.height / image.width)
    if wide * high > MAX_PIXELS:
        raise InputError(
            f"The image is a strip of {image.width} × {image.height} pixels: resized for the network, before its "
            f"middle is taken, it would have {wide} × {high}; at most {MAX_PIXELS // 10**6} million are made. Crop it."
        )
    left, top = round((wide - width) / 2), round((high - height) / 2)
    return image.resize((wide, high), resampling).crop((left, top, left + width, top + height))


def preprocess(image: Image.Image, preprocessing: Preprocessing) -> Float32Array:
    """The network's input: the displayed picture in [0, 1], less the mean, over the standard deviation.

    Parameters
    ----------
    image : PIL image
        Mode RGB, from :func:`read_image`.
    preprocessing : Preprocessing

    Returns
    -------
    (3, height, width) float32
    """
    pixels = np.asarray(displayed(image, preprocessing), dtype=np.float32) / np.float32(255)
    pixels -= np.asarray(preprocessing.mean, dtype=np.float32)
    pixels /= np.asarray(preprocessing.std, dtype=np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _name(source: object) -> str:
    if isinstance(source, str | Path):
        return display_name(source, 0)
    if isinstance(source, bytes | Image.Image):
        return "The image"
    raise InputError(f"An image was given as {type(source).__name__}; wanted a path, bytes or a Pillow image.")


def _file_bytes(name: str, path: str | Path) -> bytes:
    try:
        if not Path(path).is_file():
            seen = "is not a file" if Path(path).exists() else "does not exist"
            raise InputError(f"{name} {seen}; wanted an image file.")
        with Path(path).open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise error if isinstance(error, InputError) else InputError(f"{name} cannot be read: {error}.") from error


def _decoded(name: str, data: bytes, formats: tuple[str, ...]) -> Image.Image:
    if not data:
        raise InputError(f"{name} is empty; wanted an image.")
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{name} is larger than {MAX_FILE_BYTES // 2**20} MiB; export a smaller copy.")
    if data.startswith(JPEG_START):
        _check_jpeg(name, data)
    elif data.startswith(tiff.STARTS):
        page = tiff.first_page(name, data)
        _check_size(name, page.width, page.length)
        tiff.check_page(name, page, len(data))
    with Image.open(_Counted(name, data), formats=formats) as image:
        _check_size(name, *image.size)
        _check_note(name, image)
        image.load()
        _check_end(name, image, data)
        return _rgb(name, _turned(image, _orientation(image)))


class _Counted(io.BytesIO):
    """A file's bytes, which are not read more than MAX_READS times."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(data)
        self._name, self._reads = name, 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > MAX_READS:
            raise InputError(f"{self._name} is cut into more than {MAX_READS} pieces; export it again.")
        return super().read(size)


def _check_size(name: str, width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise InputError(f"{name} is too small: {width} × {height} pixels; wanted at least {MIN_SIDE} × {MIN_SIDE}.")
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{name} is too large: {width} × {height} pixels; at most {MAX_PIXELS // 10**6} million are read."
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise InputError(f"{name} is a strip of {width} × {height} pixels; wanted sides within 1 to {MAX_ASPECT}.")


def _check_jpeg(name: str, data: bytes) -> None:
    """Walk a JPEG's segments up to its end, and refuse one made to keep a decoder busy."""
    scans = segments = note_bytes = 0
    position = len(JPEG_START) - 1
    while (marker := JPEG_MARKER.search(data, position)) and marker[1] != JPEG_END_CODE:
        scans += marker[1] == JPEG_SCAN_CODE
        segments += len(marker[0]) - 1
        if scans > MAX_JPEG_SCANS or segments > MAX_JPEG_SEGMENTS:
            raise InputError(
                f"{name} has more than {MAX_JPEG_SCANS} progressive scans or {MAX_JPEG_SEGMENTS} segments; "
                "no camera writes that. Export it again."
            )
        length = int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        if marker[1] == JPEG_NOTE_CODE and data.startswith(EXIF_START, marker.end() + 2):
            note_bytes += length  # its reader joins them all
            if note_bytes > MAX_EXIF_BYTES:
                raise InputError(_long_note(name, note_bytes))
        position = marker.end() + length


def _check_note(name: str, image: Image.Image) -> None:
    """Refuse a camera's note whose reading alone would take minutes."""
    if (size := len(image.info.get("exif", b""))) > MAX_EXIF_BYTES:
        raise InputError(_long_note(name, size))


def _long_note(name: str, size: int) -> str:
    return f"{name} has a camera's note (EXIF) of {size} bytes or more; at most {MAX_EXIF_BYTES} are read. Remove it."


def _check_end(name: str, image: Image.Image, data: bytes) -> None:
    """Refuse files that break off after their pixels; the other formats' decoders notice by themselves."""
    whole = {
        "PNG": lambda: PNG_END in data,
        "GIF": lambda: data.rstrip(b"\0").endswith(GIF_END),
        "BMP": lambda: len(data) >= int.from_bytes(data[2:6], "little"),
    }
    if image.format in whole and not whole[image.format]():
        raise InputError(f"{name} is incomplete: its end is missing; export or copy it again.")


def _orientation(image: Image.Image) -> int:
    """The turn the camera noted, 1 to 8; 1 (upright) where the note is absent or cannot be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  a damaged note says nothing, and the pixels are whole
        return 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


def _rgb(name: str, image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_eight_bits(name, image)).convert("RGB")
    if image.has_transparency_data:
        colour = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        black = Image.new("RGB", colour.size)
        black.paste(colour, mask=colour.getchannel("A"))
        return black
    return image.convert("RGB")


def _eight_bits(name: str, image: Image.Image) -> np.typing.NDArray[np.uint8]:
    """Greys of 16 bits or of floating point, as 8 bits."""
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{name} holds NaN or infinity; wanted numbers.")
    limit = 255 if image.mode == "F" else 65535
    if low < 0 or high > limit:
        raise InputError(f"{name} holds greys from {low:g} to {high:g}; wanted 0 to {limit}.")
    if image.mode == "F":
        return np.rint(values * np.float32(255 if high <= 1 else 1)).astype(np.uint8)
    half = SIXTEEN_TO_EIGHT_BITS // 2
    return ((values.astype(np.int32) + half) // SIXTEEN_TO_EIGHT_BITS).astype(np.uint8)


_silence = threading.Lock()
_silenced: list[warnings.catch_warnings[None]] = []
_readers = 0


@contextmanager
def _pillow_silenced() -> Iterator[None]:
    """Hide what Pillow warns about while any thread reads an image.

    Warning filters belong to the process: the first reader in adds the filter and the last one out removes it,
    so that threads decode side by side and the filters end up as they were.
    """
    global _readers
    with _silence:
        if _readers == 0:
            _silenced.append(warnings.catch_warnings())
            _silenced[0].__enter__()
            warnings.filterwarnings("ignore", module=r"PIL(\..*)?$")
        _readers += 1
    try:
        yield
    finally:
        with _silence:
            _readers -= 1
            if _readers == 0:
                _silenced.pop().__exit__(None, None, None)
