"""Eight changes of a picture: nothing at strength 0, the same every time, and more with more strength."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nero_core.errors import InputError
from nero_core.lesson import changes
from nero_core.lesson.changes import CHANGES, changed, total

SIZES = [(64, 48), (33, 70), (8, 8), (1, 1), (1, 5)]


def picture(size=(64, 48), seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(noise)


def pixels(image):
    return np.asarray(image).astype(int)


def differing(first, second):
    """How many pixels are not the same."""
    return int((pixels(first) != pixels(second)).any(axis=-1).sum())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CHANGES)
def test_nothing_is_the_very_same_picture(name, size):
    before = picture(size)
    after = changed(before, {name: 0.0})
    assert after is not before
    assert differing(before, after) == 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("strength", [5e-324, 0.01, 0.5, 1.0])
def test_size_and_mode_stay_and_the_picture_itself_too(name, size, strength):
    before = picture(size)
    kept = pixels(before)
    first, second = (changed(before, {name: strength}) for _ in range(2))
    assert (first.mode, first.size) == ("RGB", size)
    assert differing(first, second) == 0, "the same every time"
    assert (pixels(before) == kept).all()


@pytest.mark.parametrize("name", CHANGES)
def test_each_does_something_to_a_picture(name):
    assert differing(picture(), changed(picture(), {name: 1.0})) > 0


def test_all_together_are_one_after_the_other_in_the_order_that_is_told():
    strengths = dict(zip(CHANGES, (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), strict=True))
    by_hand = picture()
    for name in ("rotation", "glare", "tint", "blur", "foreign", "box", "text", "jpeg"):
        by_hand = changed(by_hand, {name: strengths[name]})
    assert differing(by_hand, changed(picture(), dict(reversed(strengths.items())))) == 0
    assert total(strengths) == pytest.approx(4.4)
    assert total({}) == 0


# What is wrong is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [-0.1, 1.1, math.nan, math.inf])
@pytest.mark.parametrize("name", CHANGES)
def test_a_strength_out_of_range_is_refused(name, strength):
    with pytest.raises(InputError, match="wanted a number from 0 to 1"):
        changed(picture(), {name: strength})
    with pytest.raises(InputError, match="wanted a number from 0 to 1"):
        CHANGES[name].in_units(strength)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "I;16", "CMYK"])
def test_what_is_not_rgb_is_refused_and_not_converted(mode):
    with pytest.raises(InputError, match=f"mode {mode}; wanted RGB"):
        changed(Image.new(mode, (16, 16)), {"blur": 0.5})


def test_a_change_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="There is no change 'sepia'"):
        changed(picture(), {"sepia": 0.5})


# Each on paper -----------------------------------------------------------------------------------------------------


def test_the_units_are_those_of_the_numbers_named():
    half = {name: change.value(0.5) for name, change in CHANGES.items()}
    assert half == pytest.approx(
        {"rotation": 45, "glare": 6, "tint": 50, "blur": 1.5, "foreign": 12, "box": 4, "text": 50, "jpeg": 50}
    )
    assert CHANGES["rotation"].in_units(0.5) == "turned by 45°"
    assert CHANGES["blur"].in_units(0.5) == "σ is 1.5 % of the shorter side"
    assert CHANGES["jpeg"].in_units(1.0) == "quality 5 of 100"
    assert CHANGES["box"].in_units(0.0) == "over 0 % of the picture"


def test_a_quarter_turn_moves_whole_pixels():
    square = picture((5, 5))
    np.testing.assert_array_equal(pixels(changed(square, {"rotation": 1.0})), np.rot90(pixels(square)))


def test_the_tint_multiplies():
    grey = Image.new("RGB", (2, 2), (100, 100, 100))
    assert pixels(changed(grey, {"tint": 1.0}))[0, 0].tolist() == [50, 95, 160]
    assert pixels(changed(grey, {"tint": 0.5}))[0, 0].tolist() == [75, 98, 130]  # 97.5 to the even number
    white = Image.new("RGB", (1, 1), (255, 255, 255))
    assert pixels(changed(white, {"tint": 1.0}))[0, 0].tolist() == [128, 242, 255]


def test_the_box_covers_its_share():
    white = Image.new("RGB", (100, 50), (255, 255, 255))
    for strength in (0.25, 0.5, 1.0):
        black = (pixels(changed(white, {"box": strength})) == 0).all(axis=-1)
        side = math.sqrt(changes.MOST_BOX * strength)
        assert black.sum() == round(100 * side) * round(50 * side)
        rows, columns = np.nonzero(black)
        assert abs(rows.min() - (49 - rows.max())) <= 1, "in the middle"
        assert abs(columns.min() - (99 - columns.max())) <= 1


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2), st.sampled_from(["box", "foreign", "glare", "text"]))
def test_what_lies_over_the_picture_only_grows(pair, name):
    weak, strong = sorted(pair)
    ground = Image.new("RGB", (60, 40), (90, 20, 200))  # no colour of what is laid over it
    assert differing(ground, changed(ground, {name: weak})) <= differing(ground, changed(ground, {name: strong}))


def test_a_picture_from_elsewhere_fills_its_corner():
    ground = Image.new("RGB", (80, 60), (255, 0, 255))
    other = (pixels(changed(ground, {"foreign": 1.0})) != (255, 0, 255)).any(axis=-1)
    wide, high = (round(side * math.sqrt(changes.MOST_FOREIGN)) for side in (80, 60))
    assert other.sum() == wide * high
    assert other[:high, -wide:].all()


def literal_glare(image, strength):
    """The same pixel by pixel."""
    width, height = image.size
    result = image.copy()
    for row in range(height):
        for column in range(width):
            most = 0.0
            for across, down, share in changes._spots():
                r = share * changes.MOST_GLARE * strength * min(width, height)
                far = math.hypot(column + 0.5 - across * width, row + 0.5 - down * height) / r
                most = max(most, min((1 - far) / (1 - changes.CORE), 1.0))
            share = round(255 * max(most, 0.0)) / 255
            old = image.getpixel((column, row))
            new = [round(share * g + (1 - share) * o) for g, o in zip(changes.GLARE, old, strict=True)]
            result.putpixel((column, row), tuple(new))
    return result


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_glare_is_what_its_definition_says(strength):
    before = picture((40, 30))
    apart = abs(pixels(changed(before, {"glare": strength})) - pixels(literal_glare(before, strength)))
    assert apart.max() <= 1


def test_blur_takes_the_texture_and_leaves_the_mean():
    before = picture((64, 64))
    spread = [pixels(changed(before, {"blur": s})).std() for s in (0.0, 0.3, 0.6, 1.0)]
    assert spread == sorted(spread, reverse=True)
    assert pixels(changed(before, {"blur": 1.0})).mean() == pytest.approx(pixels(before).mean(), abs=2)


def test_a_worse_jpeg_is_farther_from_the_picture():
    before = picture((64, 64))
    off = [abs(pixels(changed(before, {"jpeg": s})) - pixels(before)).mean() for s in (0.05, 0.5, 1.0)]
    assert off == sorted(off)


def test_whole_text_is_white():
    black = Image.new("RGB", (420, 420))
    assert pixels(changed(black, {"text": 1.0})).max() >= 235
    faint = pixels(changed(black, {"text": 0.2})).max()
    assert 235 * 0.2 - 2 <= faint <= 235 * 0.3, "bicubic letters overshoot a little"
