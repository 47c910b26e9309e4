"""Pictures as ``data:`` addresses: what is read back is what was given."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nero_core.figures.data_urls import fitted, jpeg_url, png_url


def read(url, kind):
    head, _, body = url.partition(",")
    assert head == f"data:image/{kind};base64"
    return Image.open(io.BytesIO(base64.b64decode(body, validate=True)))


def noise(size, bands=3):
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], bands), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("bands", [3, 4])
def test_a_png_is_the_picture_itself(bands):
    picture = noise((13, 7), bands)
    np.testing.assert_array_equal(np.asarray(read(png_url(picture), "png")), np.asarray(picture))


def test_a_jpeg_has_its_size_and_nearly_its_colours():
    picture = Image.new("RGB", (40, 30), (200, 140, 60))
    shown = read(jpeg_url(picture), "jpeg")
    assert (shown.size, shown.format) == ((40, 30), "JPEG")
    assert np.abs(np.asarray(shown).astype(int) - (200, 140, 60)).max() <= 3


def test_an_address_is_text_that_needs_no_escape():
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=:;,")
    assert set(png_url(noise((31, 17)))) <= allowed
    assert set(jpeg_url(noise((31, 17)))) <= allowed


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 300))
def test_a_picture_fits_keeps_its_shape_and_is_never_made_larger(wide, high, longest):
    picture = Image.new("RGB", (wide, high))
    small = fitted(picture, longest)
    if max(wide, high) <= longest:
        assert small is picture
        return
    assert max(small.size) == longest
    for side, before in zip(small.size, (wide, high), strict=True):
        assert side >= 1
        assert abs(side - before * longest / max(wide, high)) <= 1, "at least one pixel, else to the nearest"


def test_a_smaller_picture_has_the_colours_of_the_larger():
    halves = Image.new("RGB", (400, 200), (250, 10, 10))
    halves.paste((10, 10, 250), (200, 0, 400, 200))
    small = fitted(halves, 40)
    assert small.size == (40, 20)
    assert small.getpixel((5, 10)) == (250, 10, 10)
    assert small.getpixel((35, 10)) == (10, 10, 250)
