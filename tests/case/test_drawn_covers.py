"""The cover that a rectangle drawn on the frame is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nero_core.case import Cover, drawn_cover

FRACTIONS = st.floats(-3, 4)


def test_a_box_in_any_direction_is_the_cover_between_its_corners():
    one = drawn_cover([0.6, 0.5, -0.4, -0.4])
    assert (one.left, one.top) == pytest.approx((0.2, 0.1))
    assert (one.width, one.height) == pytest.approx((0.4, 0.4))


def test_what_reaches_beyond_the_image_is_cut():
    assert drawn_cover([-0.25, 0.5, 0.5, 6.5]) == Cover(0.0, 0.5, 0.25, 0.5)
    assert drawn_cover([-1, -1, 3, 3]) == Cover(0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    "box",
    [
        (0.4, 0.1, 0.005, 0.8),
        (0.1, 0.4, 0.8, 0.005),
        (0.5, 0.5, 0, 0),
        (1.2, 0.1, 0.3, 0.8),
        (0.1, -0.5, 0.3, 0.4),
        (math.nan, 0.1, 0.3, 0.3),
        (0.1, 0.1, 0.3, math.nan),
    ],
)
def test_a_slip_of_the_hand_is_none(box):
    assert drawn_cover(box) is None


@given(FRACTIONS, FRACTIONS, FRACTIONS, FRACTIONS)
def test_by_its_twin(left, top, width, height):
    """Corner by corner."""
    corners = [(left, top), (left + width, top + height)]
    cut = [tuple(0.0 if v < 0 else 1.0 if v > 1 else v for v in corner) for corner in corners]
    x0, x1 = min(cut[0][0], cut[1][0]), max(cut[0][0], cut[1][0])
    y0, y1 = min(cut[0][1], cut[1][1]), max(cut[0][1], cut[1][1])
    found = drawn_cover([left, top, width, height])
    if x1 - x0 < 0.01 or y1 - y0 < 0.01:
        assert found is None
    else:
        assert found == Cover(x0, y0, x1 - x0, y1 - y0)
