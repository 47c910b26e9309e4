"""The picture on which covers are drawn, and the covers that drawn boxes are."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nero_core.case import Cover
from nero_core.figures.covers import drawing_board, drawn_covers


def test_a_box_in_any_direction_is_the_cover_between_its_corners():
    [one] = drawn_covers([{"x": [0.6, 0.2], "y": [0.1, 0.5]}])
    assert (one.left, one.top) == (0.2, 0.1)
    assert (one.width, one.height) == pytest.approx((0.4, 0.4))


def test_what_reaches_beyond_the_image_is_cut_and_a_slip_of_the_hand_is_none():
    [one] = drawn_covers([{"x": [-0.3, 0.25], "y": [0.5, 7.0]}, {"x": [0.4, 0.405], "y": [0.1, 0.9]}])
    assert one == Cover(0.0, 0.5, 0.25, 0.5)
    assert drawn_covers([]) == ()
    assert drawn_covers([{"x": [1.2, 1.5], "y": [0.1, 0.9]}]) == ()


def test_the_board_has_the_shape_of_the_image_and_the_covers_where_they_lie():
    image = Image.fromarray(np.full((512, 1024, 3), 90, np.uint8))
    chart = drawing_board(image, [Cover(0.25, 0.5, 0.5, 0.25)])
    layout = chart.figure.layout
    assert (layout.width, layout.height) == (640, 320)
    assert layout.dragmode == "select"
    assert list(layout.yaxis.range) == [1, 0], "the top is at 0"
    [shape] = layout.shapes
    assert (shape.x0, shape.y0, shape.x1, shape.y1) == (0.25, 0.5, 0.75, 0.75)
    assert layout.images[0].source.startswith("data:image/jpeg;base64,")
    assert chart.rows == [{"left": 0.25, "top": 0.5, "width": 0.5, "height": 0.25}]
    assert "1 lie" in chart.alt
