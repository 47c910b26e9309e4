"""Covers that the input checks suggest: rectangles, bands and parts by hand, and what they hold at any size."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nero_core.case import Cover, suggested_covers
from nero_core.case.covers import covered_pixels
from nero_core.case.parts import bands_of, parts_of
from nero_core.data.input_checks import Check


def check(name, region):
    return Check(name, "Seen.", "May do something.", region)


def mask(*rows):
    return np.array([[letter == "#" for letter in row] for row in rows])


def boxes(covers, size):
    return [cover.box(size) for cover in covers]


def test_rectangles_are_covered_as_they_are_and_once():
    text, picture = (
        check("burnt-in text", ((2, 4, 10, 8), (2, 10, 10, 12))),
        check("position picture", ((2, 4, 10, 8),)),
    )
    covers = suggested_covers([check("blurred", ()), picture, text], (40, 20))
    assert covers == (Cover(0.05, 0.2, 0.2, 0.2), Cover(0.05, 0.5, 0.2, 0.1))


def test_a_black_border_becomes_bands_and_text_on_it_counts_as_border():
    border = mask("########", "#.#...##", "###....#", "#######.", "########")  # letters at the left; one at the right
    assert bands_of(border) == [(0, 0, 8, 1), (0, 4, 8, 5), (0, 1, 3, 4)]
    assert boxes(suggested_covers([check("black border", border)], (80, 50)), (80, 50)) == [
        (0, 0, 80, 10),
        (0, 40, 80, 50),
        (0, 10, 30, 40),
    ]
    assert bands_of(np.ones((4, 4), bool)) == []
    assert bands_of(np.zeros((4, 4), bool)) == []


def test_glare_becomes_rectangles_round_its_larger_parts():
    glare = np.zeros((12, 12), bool)
    glare[1:5, 1:5] = True  # 16 cells
    glare[8, 8] = glare[9, 9] = True  # meet at a corner: 2 cells, more than a tenth
    glare[11, 0] = True  # 1 cell, less than a tenth
    assert parts_of(glare) == [(1, 1, 5, 5), (8, 8, 10, 10)]
    assert boxes(suggested_covers([check("glare", glare)], (24, 36)), (24, 36)) == [(2, 3, 10, 15), (16, 24, 20, 30)]
    assert parts_of(np.zeros((3, 3), bool)) == []
    many = np.zeros((12, 12), bool)
    many[::2, ::2] = True
    assert len(parts_of(many)) == 8


@given(st.integers(0, 10**6), st.integers(9, 200), st.integers(9, 200))
def test_covers_hold_every_pixel_of_a_single_part_at_any_size(seed, wide, high):
    rng = np.random.default_rng(seed)
    part = np.zeros((9, 9), bool)
    top, left = (int(v) for v in rng.integers(0, 8, 2))
    part[top : top + 2, left : left + 2] = True
    found = check("glare", part)
    covers = suggested_covers([found], (wide, high))
    np.testing.assert_array_equal(covered_pixels((wide, high), covers), found.covered(wide, high))


def test_without_a_place_nothing_is_suggested():
    assert suggested_covers([check("blurred", ())], (40, 20)) == ()
    assert suggested_covers([], (40, 20)) == ()
