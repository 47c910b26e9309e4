"""Heatmaps as layers: the colours of `overlay` at full strength, and closed outlines where they belong."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from nero_core.errors import InputError
from nero_core.figures.overlays import LAYER_SIZE, OUTLINE_SIDE, layer, outline_path, overlay

GREY = Image.new("RGB", LAYER_SIZE, (128, 128, 128))


def pixels(made):
    """The layer's picture, (H, W, 4)."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(made.colours.partition(",")[2])))).astype(int)


def lines(path):
    """The corners of every line of a path; it must be made of closed lines alone."""
    assert re.fullmatch(r"(M-?\d+ -?\d+(L-?\d+ -?\d+)+Z)*", path)
    return [
        [tuple(map(int, corner.split())) for corner in line.removeprefix("M").split("L")]
        for line in path.split("Z")
        if line
    ]


def inside(path, x, y):
    """Whether a point lies within the outline, by the even-odd rule, edge by edge."""
    found = False
    for line in lines(path):
        for (x0, y0), (x1, y1) in zip(line, line[1:] + line[:1], strict=True):
            if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
                found = not found
    return found


def blob(left, top, right, bottom, side=56):
    heatmap = np.zeros((side, side))
    heatmap[top:bottom, left:right] = 1.0
    return heatmap


maps = arrays(
    np.float64, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40), elements=st.floats(-5, 5, width=32)
)


# Colours -------------------------------------------------------------------------------------------------------------


@given(maps)
def test_over_a_picture_it_is_what_overlay_draws_at_full_strength(heatmap):
    """Of the picture the overlay leaves its grey: laid over that, both are the same to the rounding of a pixel."""
    rgba = pixels(layer(heatmap))
    share = rgba[..., 3:] / 255
    laid = 128 * (1 - share) + rgba[..., :3] * share
    drawn = np.asarray(overlay(GREY, heatmap, opacity=1.0)).astype(int)
    assert np.abs(laid - drawn).max() <= 1.5


@given(maps)
def test_limits_are_symmetric(heatmap):
    """Of the negative map the colours are those of the other side, and as strong."""
    one, other = layer(heatmap), layer(-heatmap)
    np.testing.assert_array_equal(pixels(one)[..., 3], pixels(other)[..., 3])
    assert one.outline == other.outline


def test_nothing_is_clear_and_the_strongest_is_not():
    heatmap = blob(10, 10, 20, 20) - blob(30, 30, 40, 40)
    rgba = pixels(layer(heatmap))
    assert rgba[:10, :10, 3].max() == 0
    assert rgba[30, 30, 3] == rgba[70, 70, 3] == 255
    assert tuple(rgba[30, 30, :3]) != tuple(rgba[70, 70, :3]), "for and against"


def test_an_empty_map_is_clear_and_has_no_outline():
    made = layer(np.zeros((7, 7)))
    assert pixels(made)[..., 3].max() == 0
    assert made.outline == ""
    assert outline_path(np.zeros((5, 9))) == ""


@pytest.mark.parametrize("bad", [np.zeros(4), np.zeros((2, 2, 2)), np.array([[np.nan, 1.0]]), np.array([[np.inf]])])
def test_what_is_no_map_is_refused(bad):
    with pytest.raises(InputError, match="two dimensions of finite values"):
        layer(bad)


# Outlines ------------------------------------------------------------------------------------------------------------


@given(maps)
def test_every_line_is_closed_and_lies_on_the_picture(heatmap):
    path = layer(heatmap).outline
    assert (path == "") == (not np.abs(pixels(layer(heatmap))[..., 3]).any()) or np.abs(heatmap).max() < 1e-30
    for line in lines(path):
        assert len(set(line)) >= 2 or len(line) >= 3
        assert all(0 <= x <= OUTLINE_SIDE and 0 <= y <= OUTLINE_SIDE for x, y in line)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(8, 16), st.integers(8, 16))
def test_the_line_goes_round_a_block(left, top, wide, high):
    path = layer(blob(left, top, left + wide, top + high)).outline
    scale = OUTLINE_SIDE / 56
    assert inside(path, scale * (left + wide / 2), scale * (top + high / 2)), "also at the edge of the picture"
    for x, y in ((left - 5, top + high / 2), (left + wide + 5, top + high / 2), (left + wide / 2, top - 5)):
        assert not inside(path, scale * x, scale * y)
    for x, y in lines(path)[0]:
        assert left - 3 <= x / scale <= left + wide + 3
        assert top - 3 <= y / scale <= top + high + 3


def test_two_blocks_have_two_lines_and_a_ring_has_its_hole():
    assert len(lines(layer(blob(5, 5, 15, 15) - blob(35, 35, 45, 45)).outline)) == 2, "also one that speaks against"
    ring = layer(blob(5, 5, 50, 50) - blob(18, 18, 37, 37)).outline
    assert len(lines(ring)) == 2
    assert inside(ring, 1000 * 10 / 56, 500)
    assert not inside(ring, 500, 500)


def test_by_a_literal_twin_the_outline_holds_what_exceeds_half_the_peak():
    """A map that is smooth already: cell by cell, within is more than half, but for the width of a cell."""
    y, x = np.mgrid[0:64, 0:80] + 0.5
    strength = np.exp(-(((x - 50) / 14) ** 2) - ((y - 20) / 10) ** 2)
    path = outline_path(strength)
    for row in range(0, 64, 3):
        for column in range(0, 80, 3):
            share = float(strength[row, column])
            if abs(share - 0.5) > 0.12:  # the smoothing moves the line by a cell
                place = OUTLINE_SIDE * (column + 0.5) / 80, OUTLINE_SIDE * (row + 0.5) / 64
                assert inside(path, *place) == (share > 0.5), (row, column)
