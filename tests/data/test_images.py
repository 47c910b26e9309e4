"""Any bytes → RGB or one clear sentence; the network's geometry; names that are safe to show."""

from __future__ import annotations

import io
import signal
import struct
import sys
import threading
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile

from nero_core.data import images
from nero_core.data.decoding import decode_each
from nero_core.data.images import DECODING_THREADS, displayed, preprocess, read_image
from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import InputError
from nero_core.storage.display_names import MAX_NAME, display_name

ORIENTATION = 0x0112


def picture(width: int = 31, height: int = 24, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


LOSSLESS = {
    "png": encoded(picture(), "PNG"),
    "bmp": encoded(picture(), "BMP"),
    "tiff": encoded(picture(), "TIFF"),
    "tiff lzw": encoded(picture(), "TIFF", compression="tiff_lzw"),
    "webp": encoded(picture(), "WEBP", lossless=True),
}
LOSSY = {
    "jpeg": encoded(picture(), "JPEG"),
    "progressive": encoded(picture(), "JPEG", progressive=True),
    "webp lossy": encoded(picture(), "WEBP"),
    "gif": encoded(picture().convert("P"), "GIF"),
    "tiff jpeg": encoded(picture(), "TIFF", compression="jpeg"),
}


@pytest.mark.parametrize("data", LOSSLESS.values(), ids=LOSSLESS)
def test_bytes_path_and_pillow_image_agree(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "the extension is wrong.jpg"
    path.write_bytes(data)
    for source in (data, path, str(path), Image.open(io.BytesIO(data))):
        read = read_image(source)
        assert read.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(read), np.asarray(picture()))


@pytest.mark.parametrize("data", LOSSY.values(), ids=LOSSY)
def test_lossy_formats_are_read(data: bytes) -> None:
    assert read_image(data).size == (31, 24)


@pytest.mark.parametrize("data", (LOSSLESS | LOSSY).values(), ids=LOSSLESS | LOSSY)
def test_truncation_at_any_byte_is_an_error(data: bytes) -> None:
    cuts = {*range(0, len(data), 7), *range(len(data) - 40, len(data)), *range(40)}
    for length in cuts:
        with pytest.raises(InputError):
            read_image(data[:length])


def test_the_given_pillow_image_stays_as_it_is() -> None:
    given_image = picture().convert("RGBA")
    given_image.getexif()[ORIENTATION] = 6
    before = given_image.tobytes()
    read = read_image(given_image)
    read.paste((0, 0, 0), (0, 0, 5, 5))
    assert given_image.mode == "RGBA"
    assert given_image.tobytes() == before
    assert given_image.getexif()[ORIENTATION] == 6
    same_mode = picture()
    read_image(same_mode).putpixel((0, 0), (1, 2, 3))
    assert same_mode.tobytes() == picture().tobytes()


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_turn_is_applied(file_format: str, orientation: int) -> None:
    upright = Image.new("RGB", (32, 16), "black")
    upright.paste("red", (0, 0, 16, 8))
    upright.paste("lime", (16, 8, 32, 16))
    upright.paste("blue", (16, 0, 32, 8))
    # The stored picture is the upright one turned the other way: 6 (turn right to see) ↔ stored turned left.
    undo = {
        1: lambda i: i,
        2: lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda i: i.rotate(180),
        4: lambda i: i.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda i: i.transpose(Image.Transpose.TRANSPOSE),
        6: lambda i: i.rotate(90, expand=True),
        7: lambda i: i.transpose(Image.Transpose.TRANSVERSE),
        8: lambda i: i.rotate(-90, expand=True),
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"quality": 95, "subsampling": 0} if file_format == "JPEG" else {}
    if file_format == "WEBP":
        options = {"lossless": True}
    data = encoded(undo(upright), file_format, exif=exif, **options)
    for source in (data, Image.open(io.BytesIO(data))):
        read = np.asarray(read_image(source)).astype(int)
        assert read.shape == (16, 32, 3)
        assert np.abs(read - np.asarray(upright)).mean() < 4


def test_a_damaged_exif_block_costs_the_turn_and_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    exif = b"Exif\0\0" + b"MM\0*\0\0\0\x08" + b"\0\x01\x01\x12\0\x03\0\0\xff\xff\0\0"
    for block in (exif, exif[:12], b"Exif\0\0garbage"):
        assert read_image(encoded(picture(), "JPEG", exif=block)).size == (31, 24)
    assert not recwarn.list


def test_cmyk_including_inverted_adobe_jpeg() -> None:
    colours = Image.new("RGB", (32, 32), (200, 60, 40))
    for data in (encoded(colours.convert("CMYK"), "JPEG"), encoded(colours.convert("CMYK"), "TIFF")):
        assert np.abs(np.asarray(read_image(data)).astype(int) - (200, 60, 40)).max() <= 3


def test_sixteen_bits_are_divided_by_257() -> None:
    grey = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    wanted = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    sixteen, thirty_two = Image.fromarray(grey), Image.fromarray(grey.astype(np.int32))
    big_endian = Image.frombytes("I;16B", (16, 16), grey.astype(">u2").tobytes())
    for source in (encoded(sixteen, "PNG"), encoded(sixteen, "TIFF"), encoded(big_endian, "TIFF")):
        np.testing.assert_array_equal(np.asarray(read_image(source)), wanted)
    for image in (sixteen, thirty_two, big_endian):
        np.testing.assert_array_equal(np.asarray(read_image(image)), wanted)


@pytest.mark.parametrize(("dtype", "bad"), [(np.int32, -1), (np.int32, 65536), (np.float32, -0.5), (np.float32, 256)])
def test_greys_out_of_range_are_refused(dtype: type, bad: float) -> None:
    grey = np.zeros((9, 9), dtype)
    grey[3, 3] = bad
    with pytest.raises(InputError, match=r"holds greys from .*; wanted 0 to"):
        read_image(encoded(Image.fromarray(grey), "TIFF"))


def test_float_greys_are_shares_or_eight_bit_values() -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    wanted = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for grey in (ramp, ramp * np.float32(255)):
        np.testing.assert_array_equal(np.asarray(read_image(Image.fromarray(grey)))[..., 1], wanted)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_float_greys_that_are_no_numbers_are_refused(bad: float) -> None:
    grey = np.zeros((9, 9), np.float32)
    grey[3, 3] = bad
    with pytest.raises(InputError, match="NaN or infinity"):
        read_image(encoded(Image.fromarray(grey), "TIFF"))


def test_transparency_is_laid_on_black(recwarn: pytest.WarningsRecorder) -> None:
    rgba = Image.new("RGBA", (16, 16), (200, 100, 50, 0))
    rgba.paste((200, 100, 50, 255), (0, 0, 8, 16))
    rgba.paste((200, 100, 50, 51), (0, 8, 8, 16))
    grey = Image.merge("LA", (Image.new("L", (16, 16), 80), rgba.getchannel("A")))
    palette = Image.new("P", (16, 16), 0)
    palette.putpalette([200, 100, 50, 10, 20, 30])
    palette.paste(1, (8, 0, 16, 16))
    keyed = Image.new("RGB", (16, 16), (1, 2, 3))
    keyed.paste((200, 100, 50), (0, 0, 8, 16))
    for source, shown in (
        (encoded(rgba, "PNG"), (200, 100, 50)),
        (encoded(rgba, "WEBP", lossless=True, exact=True), (200, 100, 50)),
        (rgba.convert("RGBa"), (200, 100, 50)),
        (encoded(grey, "PNG"), (80, 80, 80)),
        (grey.convert("La"), (80, 80, 80)),
        (encoded(palette, "PNG", transparency=1), (200, 100, 50)),
        (encoded(palette, "PNG", transparency=bytes([255, 0])), (200, 100, 50)),
        (encoded(palette, "GIF", transparency=1), (200, 100, 50)),
        (encoded(keyed, "PNG", transparency=(1, 2, 3)), (200, 100, 50)),
    ):
        read = read_image(source)
        assert read.getpixel((2, 2)) == shown
        assert read.getpixel((12, 2)) == (0, 0, 0)
    assert read_image(rgba).getpixel((2, 12)) == (40, 20, 10)
    assert not recwarn.list


def test_greyscale_one_bit_and_other_modes_become_rgb() -> None:
    red = Image.new("RGB", (16, 16), (255, 0, 0))
    assert read_image(Image.new("L", (16, 16), 77)).getpixel((0, 0)) == (77, 77, 77)
    assert read_image(encoded(Image.new("1", (16, 16), 1), "PNG")).getpixel((0, 0)) == (255, 255, 255)
    for mode in ("YCbCr", "HSV", "P"):
        assert np.abs(np.asarray(read_image(red.convert(mode))).astype(int) - (255, 0, 0)).max() <= 2
    lab = ImageCms.applyTransform(
        red, ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    )
    assert lab is not None
    assert np.abs(np.asarray(read_image(lab)).astype(int) - (255, 0, 0)).max() <= 6


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_is_taken(file_format: str) -> None:
    first, second = Image.new("RGB", (16, 16), (255, 0, 0)), Image.new("RGB", (16, 16), (0, 0, 255))
    data = encoded(first, file_format, save_all=True, append_images=[second])
    assert np.abs(np.asarray(read_image(data)).astype(int) - (255, 0, 0)).max() <= 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"This is a note about the patient, renamed to .jpg", "is not an image, or its start is damaged; wanted JPEG"),
        (b"%PDF-1.4 a document", "is not an image"),
        (encoded(Image.new("RGB", (1, 1)), "PNG"), r"is too small: 1 × 1 pixels; wanted at least 8 × 8"),
        (encoded(Image.new("RGB", (7, 900)), "PNG"), r"is too small: 7 × 900"),
        (encoded(Image.new("RGB", (8, 801)), "PNG"), r"is a strip of 8 × 801"),
        (encoded(picture(), "ICO"), "is not an image"),
        (encoded(picture(), "PPM"), "is not an image"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="^The image " + message):
        read_image(data)
    (tmp_path / "frame.jpg").write_bytes(data)
    with pytest.raises(InputError, match=r"^frame\.jpg " + message):
        read_image(tmp_path / "frame.jpg")


def test_missing_files_folders_and_foreign_types(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^gone\.jpg does not exist"):
        read_image(tmp_path / "gone.jpg")
    with pytest.raises(InputError, match="is not a file"):
        read_image(tmp_path)
    with pytest.raises(InputError, match=r"cannot be read|does not exist"):
        read_image("a\0b.jpg")
    with pytest.raises(InputError, match=r"cannot be read|does not exist"):
        read_image("a" * 5000)
    with pytest.raises(InputError, match="given as list; wanted a path, bytes or a Pillow image"):
        read_image([1, 2])  # type: ignore[arg-type]


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header promises a size that its few bytes of data need not have."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [6400, 10_000, 20_000, 65_535])
def test_a_decompression_bomb_is_never_decoded(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("decoded a bomb")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decoded)
    with pytest.raises(InputError, match="is too large"):
        read_image(png_of(side, side))


def test_limits_hold_for_pillow_images_and_large_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 400)
    assert read_image(Image.new("RGB", (20, 20))).size == (20, 20)
    with pytest.raises(InputError, match="is too large: 20 × 21"):
        read_image(Image.new("RGB", (20, 21)))
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 100)
    (tmp_path / "a.png").write_bytes(LOSSLESS["png"])
    for source in (LOSSLESS["png"], tmp_path / "a.png"):
        with pytest.raises(InputError, match="is larger than"):
            read_image(source)


def test_jpegs_made_to_keep_a_decoder_busy_are_refused() -> None:
    data = LOSSY["progressive"]
    scan = data[data.rfind(b"\xff\xda") : -2]
    for hostile in (
        data[:-2] + scan * 200 + data[-2:],
        data[:2] + b"\xff\xe5\x00\x02" * 5000 + data[2:],
        data[:2] + b"\xff" * 5000 + data[2:],
    ):
        with pytest.raises(InputError, match="no camera writes that"):
            read_image(hostile)
    # What follows the end, as in a phone's moving picture, is not counted.
    followed = data + b"\0" * 70_000 + scan * 3_000
    np.testing.assert_array_equal(np.asarray(read_image(followed)), np.asarray(read_image(data)))


def test_what_another_library_switches_on_lets_no_cut_file_through(monkeypatch):
    """WeasyPrint tells Pillow to read cut files, for the whole process, when it is imported."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 60).convert("RGB").save(buffer, "JPEG")
    with pytest.raises(InputError):
        read_image(buffer.getvalue()[: len(buffer.getvalue()) // 2])


def test_a_damaged_pillow_image_is_an_input_error() -> None:
    with pytest.raises(InputError, match="is damaged or incomplete"):
        read_image(Image.open(io.BytesIO(LOSSLESS["png"][:1000])))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list((LOSSLESS | LOSSY).values())), st.data())
def test_damaged_bytes_give_a_picture_or_an_input_error(data: bytes, draw: st.DataObject) -> None:
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 6))):
        damaged[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        assert read_image(bytes(damaged)).mode == "RGB"
    except InputError:
        return


def test_reading_leaves_filters_and_pillow_settings_as_they_were() -> None:
    before = (list(warnings.filters), Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    palette = encoded(picture().convert("P"), "PNG", transparency=bytes(range(256)))
    bad = LOSSLESS["png"][:500]
    problems: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                read_image(palette)
                with pytest.raises(InputError):
                    read_image(bad)
        except BaseException as error:  # noqa: BLE001  handed to the main thread
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert (list(warnings.filters), Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == before


class Decoding:
    """Decodings held until they are let go, counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go, self.order, self.under_way, self.most = threading.Event(), [], 0, 0
        self.counting, self.decoded = threading.Lock(), images._decoded
        monkeypatch.setattr(images, "_decoded", self)

    def __call__(self, name: str, data: bytes, formats: tuple[str, ...]) -> Image.Image:
        with self.counting:
            self.order.append(data)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        try:
            assert self.go.wait(60)
            return self.decoded(name, LOSSLESS["png"], formats)
        finally:
            with self.counting:
                self.under_way -= 1

    def ask(self, *sources: bytes) -> list[threading.Thread]:
        """Threads that each ask for one picture, in this order."""
        threads = []
        for source in sources:
            threads.append(threading.Thread(target=read_image, args=[source]))
            threads[-1].start()
            while self.known() < len(threads):
                time.sleep(0.001)
        return threads

    def known(self) -> int:
        """How many are under way or wait."""
        return len(self.order) + images._decoders._work_queue.qsize()


def test_no_more_than_two_are_decoded_at_once_and_the_first_asked_for_comes_first(monkeypatch) -> None:
    decoding = Decoding(monkeypatch)
    sources = [b"%d" % number for number in range(12)]
    threads = decoding.ask(*sources)
    decoding.go.set()
    for thread in threads:
        thread.join()
    assert decoding.most == DECODING_THREADS
    assert decoding.order[DECODING_THREADS:] == sources[DECODING_THREADS:]


def test_readers_of_many_pictures_side_by_side_all_come_to_an_end() -> None:
    """Six sessions, each with threads of its own that wait for the same two."""
    done: list[int] = []

    def work() -> None:
        results, unreadable = decode_each([LOSSLESS["png"], LOSSLESS["png"][:300]] * 10, lambda image: image.width)
        done.append(results.count(31) + len(unreadable))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [20] * 6


@pytest.mark.skipif(sys.platform == "win32", reason="a lock is not left for a signal there")
def test_who_is_stopped_while_waiting_wants_it_no_more(monkeypatch) -> None:
    decoding = Decoding(monkeypatch)
    threads = decoding.ask(b"first", b"second")

    def interrupt() -> None:
        while decoding.known() < 3:
            time.sleep(0.001)
        time.sleep(0.2)  # until it waits for the result
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    stop = threading.Thread(target=interrupt)
    stop.start()
    with pytest.raises(KeyboardInterrupt):
        read_image(b"third")
    stop.join()
    decoding.go.set()
    for thread in threads:
        thread.join()
    read_image(b"fourth")
    assert b"third" not in decoding.order


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("/data/patient 7/frame.png", "frame.png"),
        (Path("a") / "b.JPG", "b.JPG"),
        (r"C:\scans\polyp.tif", "polyp.tif"),
        ("two\nlines\t.png", "two_lines_.png"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("zero\u200bwidth\ufeff.png", "zero_width_.png"),
        ("line\u2028break\u0085.png", "line_break_.png"),
        ("lone\udce9surrogate.png", "lone_surrogate.png"),
        ("<script>alert(1)<!--.png", "<script>alert(1)<!--.png"),
        ("Größe 大腸.png", "Größe 大腸.png"),
        ("a" * 300 + ".jpeg", "a" * (MAX_NAME - 6) + "….jpeg"),
        ("a." + "b" * 300, "a." + "b" * (MAX_NAME - 3) + "…"),
        (b"bytes", "image 3"),
        (Image.new("RGB", (1, 1)), "image 3"),
        ("", "image 3"),
        ("folder/", "image 3"),
        ("..", "image 3"),
    ],
)
def test_displayed_names(source: images.Source, shown: str) -> None:
    assert display_name(source, 2) == shown


@given(st.text(max_size=200))
def test_displayed_names_are_short_and_printable(name: str) -> None:
    shown = display_name(name, 0)
    assert 0 < len(shown) <= MAX_NAME
    assert shown.isprintable() or all(c.isprintable() or c.isspace() for c in shown)
    shown.encode("utf-8")


def test_a_message_about_a_file_holds_its_safe_name(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines\u202e.png"
    path.write_bytes(b"text")
    with pytest.raises(InputError, match=r"^two_lines_\.png is not an image"):
        read_image(path)


def test_stretch_and_centre_crop_by_hand() -> None:
    image = Image.new("RGB", (40, 20), (255, 255, 255))
    image.paste((0, 0, 0), (0, 0, 10, 20))
    image.paste((0, 0, 0), (30, 0, 40, 20))
    stretched = displayed(image, Preprocessing(height=20, width=20))
    assert stretched.size == (20, 20)
    assert np.asarray(stretched)[10, 0].max() == 0
    # The middle 20 × 20 of a 40 × 20 picture is white; at a crop share of 0.5 its middle 10 × 10 is enlarged.
    for share in (1.0, 0.5):
        cropped = displayed(image, Preprocessing(height=20, width=20, crop_share=share))
        assert cropped.size == (20, 20)
        assert np.asarray(cropped)[:, 1:-1].min() == 255


@settings(max_examples=40, deadline=None)
@given(
    st.integers(8, 90), st.integers(8, 90), st.integers(8, 50), st.integers(8, 50), st.sampled_from([None, 0.5, 0.9, 1])
)
def test_the_geometry_always_fits(width: int, height: int, to_width: int, to_height: int, share: float | None) -> None:
    preprocessing = Preprocessing(height=to_height, width=to_width, crop_share=share, interpolation="bicubic")
    white = Image.new("RGB", (width, height), (255, 255, 255))
    shown = displayed(white, preprocessing)
    assert shown.size == (to_width, to_height)
    assert np.asarray(shown).min() == 255  # nothing from outside the picture
    assert preprocess(white, preprocessing).shape == (3, to_height, to_width)


def test_preprocess_is_the_displayed_picture_normalised() -> None:
    preprocessing = Preprocessing(height=16, width=24, mean=(0.5, 0.25, 0.125), std=(0.5, 2.0, 1.0))
    array = preprocess(picture(), preprocessing)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    shown = np.asarray(displayed(picture(), preprocessing)).astype(np.float64)
    for channel in range(3):
        wanted = (shown[..., channel] / 255 - preprocessing.mean[channel]) / preprocessing.std[channel]
        np.testing.assert_allclose(array[channel], wanted, atol=1e-6)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(300, 260), (200, 410)])
def test_crop_equals_torchvision(interpolation: str, size: tuple[int, int]) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    image = picture(*size)
    oracle = transforms.Compose(
        [
            transforms.Resize(256, transforms.InterpolationMode(interpolation)),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    array = preprocess(image, Preprocessing(crop_share=0.875, interpolation=interpolation))  # type: ignore[arg-type]
    np.testing.assert_allclose(array, oracle(image).numpy(), atol=1e-5)


def test_only_rgb_is_preprocessed() -> None:
    with pytest.raises(InputError, match="has mode L; wanted RGB"):
        preprocess(Image.new("L", (20, 20)), Preprocessing())
