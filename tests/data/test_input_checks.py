"""Input checks: by hand where a person can see the answer, and against slow twins where numbers are computed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy import ndimage

from nero_core.data.input_checks import (
    NAMES,
    NOTHING_NOTICED,
    NOTHING_TO_JUDGE,
    Check,
    Rectangle,
    check_image,
    light,
    overlays,
    subject,
    windows,
)
from nero_core.data.input_checks.check import marked
from nero_core.data.input_checks.view import BLACK, View
from nero_core.data.scenes import frame, render
from nero_core.data.scenes.field import stream


def said(image):
    """The names of what is noticed."""
    return [check.name for check in check_image(image)]


def of(name, image):
    """One check that must have spoken."""
    return next(check for check in check_image(image) if check.name == name)


@pytest.fixture(scope="module")
def tissue():
    """One rendered frame with nothing drawn on it."""
    return render("cecum", 30_001, 320)


# By hand ---------------------------------------------------------------------------------------------------------


def test_a_region_by_hand():
    assert marked((Rectangle(1, 0, 3, 2),), 4, 3).astype(int).tolist() == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    mask = np.array([[True, False]])
    assert Check("a", "b", "c", mask).covered(4, 2).astype(int).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0]]
    assert Check("a", "b", "c", mask).as_data()["share"] == 0.5


def test_colours_by_hand():
    def one(*colour):
        return np.array([colour], np.float32).T

    assert light.colour_cast(one(180, 90, 80)) == ""
    assert light.colour_cast(one(100, 100, 100)) == "no colour"
    assert light.colour_cast(one(60, 150, 90)) == "too green"
    assert light.colour_cast(one(60, 80, 150)) == "too blue"
    assert light.colour_cast(one(200, 160, 10)) == "too yellow"
    assert light.saturation(one(200, 100, 50)) == pytest.approx(0.75)
    assert subject.hues(one(200, 100, 50)) == (1.0, 0.0, 0.0)


def test_exposure_by_hand():
    assert light.too_dark(np.array([10.0] * 95 + [200.0] * 5, np.float32))
    assert not light.too_dark(np.array([10.0] * 80 + [200.0] * 20, np.float32))
    assert light.too_bright(np.array([100.0] * 80 + [250.0] * 20, np.float32))
    assert not light.too_bright(np.array([100.0] * 95 + [250.0] * 5, np.float32))


def slow_border(view):
    """Black pixels that are reached from an edge over black pixels, one after the other."""
    dark = view.coarse.max(axis=2) <= BLACK
    high, wide = dark.shape
    reached = np.zeros_like(dark)
    waiting = [(y, x) for y in range(high) for x in range(wide) if y in (0, high - 1) or x in (0, wide - 1)]
    while waiting:
        y, x = waiting.pop()
        if 0 <= y < high and 0 <= x < wide and dark[y, x] and not reached[y, x]:
            reached[y, x] = True
            waiting += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return reached


def slow_straight(view, inner):
    """The share of strong edges along the axes, pixel by pixel."""
    luma = ndimage.gaussian_filter(view.luma, subject.EDGES_OVER)
    strong = along = 0
    for y, x in zip(*np.nonzero(inner), strict=True):
        a = luma[y - 1 : y + 2, x - 1 : x + 2].astype(float)
        across = (a[0, 2] + 2 * a[1, 2] + a[2, 2]) - (a[0, 0] + 2 * a[1, 0] + a[2, 0])
        down = (a[2, 0] + 2 * a[2, 1] + a[2, 2]) - (a[0, 0] + 2 * a[0, 1] + a[0, 2])
        if np.hypot(across, down) > subject.STRONG_EDGE:
            strong += 1
            angle = np.degrees(np.arctan2(down, across)) % 90
            along += min(angle, 90 - angle) < subject.ALONG_AXES
    return along / strong


def test_border_and_straight_edges_against_slow_twins():
    view = View.of(render("instrument", 30_002, 96))
    assert np.array_equal(view.border, slow_border(view))
    tissue = view.tissue(())
    assert subject.straight_edges(view, tissue) == pytest.approx(slow_straight(view, view.inner(tissue)), abs=0.01)


# What is noticed ---------------------------------------------------------------------------------------------------


def test_letters_are_found_where_they_are(tissue):
    assert "burnt-in text" not in said(tissue)
    lines = frame.caption(stream("letters"), 4)
    check = of("burnt-in text", frame.write(tissue, lines, (120, 120), 255))
    boxes = np.array(check.region)
    drawn = np.array([120, 120, 240, 180]) * 320 / frame.PAGE  # x and y of the first line; four lines of 13
    inside = (boxes[:, :2] >= drawn[:2] - 6).all(axis=1) & (boxes[:, 2:] <= drawn[2:] + 6).all(axis=1)
    assert inside.sum() >= 4, "each line; glare beside them may be taken for a fifth"
    assert check.covered(320, 320)[94:128, 92:140].any(axis=1).mean() > 0.7, "four lines, and the gaps between them"


def test_the_position_picture_is_found_where_it_is(tissue):
    assert "position picture" not in said(tissue)
    check = of("position picture", frame.inset(tissue, stream("inset"), 0.3, vivid=True))
    [box] = check.region
    assert np.abs(np.array(box) - (0, 224, 96, 320)).max() <= 6


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda image: image.filter(ImageFilter.GaussianBlur(8)), "blurred"),
        (lambda image: image.point(lambda level: level // 4), "too dark"),
        (lambda image: image.point(lambda level: min(255, 4 * level)), "too bright"),
        (lambda image: image.convert("L").convert("RGB"), "colour cast"),
        (lambda image: image.resize((100, 100)), "too small"),
        (lambda image: image.crop((0, 100, 320, 200)), "odd shape"),
        (lambda image: image.point(lambda level: level // 100), NOTHING_TO_JUDGE),
    ],
)
def test_a_change_is_noticed_and_its_twin_is_not(tissue, change, name):
    assert name not in said(tissue)
    assert name in said(change(tissue))


def test_a_page_and_houses_are_no_endoscopy():
    assert sum("not like endoscopy" in said(render("not-endoscopy", seed)) for seed in range(6)) >= 5


def test_what_speaks_first_stands_first(tissue):
    inset = frame.inset(tissue, stream("order"), 0.3, vivid=True)
    names = said(frame.write(inset, frame.caption(stream("order"), 4), (200, 90), 255))
    assert names == sorted(names, key=NAMES.index)
    assert names[:2] == ["position picture", "burnt-in text"]


def test_nothing_noticed_claims_nothing():
    assert "no proof" in NOTHING_NOTICED
    assert all(name in NOTHING_NOTICED for name in NAMES if name != NOTHING_TO_JUDGE)


# Anything that is an image -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 2), (8, 8), (7, 500), (64, 64), (1700, 40)])
@pytest.mark.parametrize("mode", ["RGB", "L", "1", "CMYK", "RGBA"])
def test_any_size_and_mode_is_read(size, mode):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    for image in (Image.new(mode, size), Image.fromarray(noise).convert(mode)):
        for check in check_image(image):
            assert check.covered(*size).shape == size[::-1]
            json.dumps(check.as_data())


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (150, 60, 50)])
@pytest.mark.parametrize("size", [(1, 1), (320, 256), (1280, 1024)])
def test_one_colour_is_nothing_to_judge(colour, size):
    assert said(Image.new("RGB", size, colour))[0] == NOTHING_TO_JUDGE


def test_black_with_a_date_is_nothing_to_judge():
    image = frame.write(Image.new("RGB", (400, 400)), ("01/02/2020", "10:11:12"), (40, 60), 255)
    assert said(image)[:2] == [NOTHING_TO_JUDGE, "burnt-in text"]


def test_the_same_image_gives_the_same_checks():
    image = render("overlay-text", 30_003)
    before = image.tobytes()
    first, second = ([check.as_data() for check in check_image(image)] for _ in range(2))
    assert first == second
    assert image.tobytes() == before


def test_a_larger_copy_gives_the_same_rectangles(tissue):
    small = frame.inset(tissue, stream("scale"), 0.3, vivid=True)
    [box], [twice] = (of("position picture", each).region for each in (small, small.resize((640, 640))))
    assert np.abs(2 * np.array(box) - np.array(twice)).max() <= 8


def test_lines_of_one_block_are_near():
    line = overlays.Line(slice(10, 16), slice(5, 60), 6, 1, 0.3, 0.2, 0.5, 0.9)
    assert line.sure
    assert line.near(line._replace(rows=slice(24, 30)))
    assert not line.near(line._replace(rows=slice(60, 66)))
    assert not line.near(line._replace(columns=slice(200, 240)))


@pytest.mark.parametrize("window", [(1, 1), (1, 3), (3, 1), (1, 9), (5, 5), (7, 7), (3, 9)])
@pytest.mark.parametrize("shape", [(1, 1), (5, 6), (3, 60), (40, 31)])
def test_windows_give_what_scipy_gives(window, shape):
    copy = stream(11).integers(0, 256, shape).astype(np.uint8)
    for ours, twin in (
        (windows.eroded, ndimage.grey_erosion),
        (windows.dilated, ndimage.grey_dilation),
        (windows.opened, ndimage.grey_opening),
        (windows.closed, ndimage.grey_closing),
    ):
        np.testing.assert_array_equal(ours(copy, window), twin(copy, window, mode="nearest"))


def test_windows_by_hand():
    row = np.array([[0, 9, 9, 0, 0, 7, 0]], np.uint8)
    np.testing.assert_array_equal(windows.eroded(row, (1, 3)), [[0, 0, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(windows.dilated(row, (1, 3)), [[9, 9, 9, 9, 7, 7, 7]])
    np.testing.assert_array_equal(windows.closed(row, (1, 3)), [[9, 9, 9, 7, 7, 7, 7]])
