"""The map of images by relevance: everyone is on it, the bulk stays readable, and what is far says where it is."""

from __future__ import annotations

import numpy as np
import pytest

from nero_core.figures.relevance_map import ARROWS, CLASS_COLOURS, relevance_map
from tests.figures.test_palette import contrast


def test_the_map_shows_every_image_once_with_its_row():
    points = np.random.default_rng(0).normal(size=(12, 2))
    groups = np.arange(12) % 3
    chart = relevance_map(
        points, groups, ["a", "b", "strange"], np.zeros((2, 2)), case={"image 1": np.ones(2)}, shares=(0.5, 0.25)
    )
    images = chart.figure.data[:3]
    assert sorted(int(row) for trace in images for row in trace.customdata) == list(range(12))
    assert len({trace.marker.symbol for trace in images}) == 3
    assert chart.figure.data[3].marker.symbol == "x"
    assert chart.figure.data[4].marker.symbol == "star"
    assert "50 %" in chart.figure.layout.xaxis.title.text
    assert len(chart.rows) == 12 + 2 + 1


@pytest.mark.parametrize("page", ["#FFFFFF", "#10171D"])
def test_class_colours_stand_out_on_both_pages(page):
    assert min(contrast(colour, page) for colour in CLASS_COLOURS) >= 3


def chart_of(points, centroids=((0.0, 0.0),), **more):
    points = np.asarray(points, np.float64)
    groups = np.zeros(len(points), np.int64)
    return relevance_map(points, groups, ["a", "b"][: len(centroids)], np.array(centroids), **more)


def ranges(chart):
    layout = chart.figure.layout
    return np.array([layout.xaxis.range, layout.yaxis.range]).T


def arrows(chart):
    return [trace for trace in chart.figure.data if trace.name.startswith("Beyond the frame")]


def test_two_far_images_neither_press_the_others_together_nor_are_left_out():
    bulk = np.array([[i % 5, i // 5] for i in range(25)], np.float64)  # quartiles 1 and 3: the fences are −5 and 9
    chart = chart_of([*bulk, (100, 2), (9, -1000)])
    low, high = ranges(chart)
    assert list(chart.figure.data[0].x[-2:]) == [9, 9], "one at the edge, one just within"
    assert list(chart.figure.data[0].y[-2:]) == [2, 0], "the bulk ends at 0"
    room = 0.08 * np.array([9, 4])
    np.testing.assert_allclose([low, high], [[0 - room[0], 0 - room[1]], [9 + room[0], 4 + room[1]]])
    drawn = np.column_stack([chart.figure.data[0].x, chart.figure.data[0].y])
    assert ((drawn >= low) & (drawn <= high)).all(), "everybody is on the map"
    assert np.ptp(bulk[:, 1]) / (high - low)[1] > 0.8, "and the bulk fills it"


def test_what_is_far_has_an_arrow_its_place_and_its_own_symbol():
    bulk = np.array([[i % 5, i // 5] for i in range(25)], np.float64)
    chart = chart_of([*bulk, (100, 2), (50, -1000)], case={"image 1": np.array([-70.0, 90.0])})
    (far,) = arrows(chart)
    assert list(far.marker.symbol) == ["triangle-right", "triangle-se", "triangle-nw"]
    assert far.name == "Beyond the frame (3)"
    low, high = ranges(chart)
    places = np.column_stack([far.x, far.y])
    assert ((places > low) & (places < high)).all(), "arrows are in sight, too"
    assert list(chart.figure.data[0].customdata) == list(range(27)), "a lasso at the edge opens them"
    assert "3 lie beyond the frame and are drawn at its edge: image 25, a (right, at 100 and 2); " in chart.alt
    assert "image 1 (above left, at −70 and 90)" in chart.alt
    rows = {row["image"]: row for row in chart.rows if row["image"] is not None}
    assert (rows[26]["first"], rows[26]["second"], rows[26]["beyond"]) == (50, -1000, "below right")
    assert rows[0]["beyond"] == ""
    assert next(row for row in chart.rows if row["group"] == "image 1")["beyond"] == "above left"


def test_where_nothing_is_far_there_is_no_arrow_and_no_word_of_it():
    chart = chart_of([[i % 5, i // 5] for i in range(25)], case={"image 1": np.array([8.0, 2.0])})
    assert not arrows(chart)
    assert "beyond" not in chart.alt
    assert {row["beyond"] for row in chart.rows} == {""}


def test_many_far_images_are_counted_in_words_and_all_in_the_table():
    bulk = [[i % 5, i // 5] for i in range(50)]
    chart = chart_of([*bulk, *([200.0 + i, 0] for i in range(9))])
    assert "and 3 more, which the table has" in chart.alt
    assert sum(row["beyond"] == "right" for row in chart.rows) == 9


def test_a_centroid_is_always_in_sight():
    chart = chart_of([[i % 5, i // 5] for i in range(25)], centroids=[[0.0, 0.0], [60.0, 0.0]])
    assert ranges(chart)[1][0] > 60


def test_images_that_all_lie_on_one_spot_are_no_scale():
    chart = chart_of([[0, 0]] * 9 + [[4, 5]])
    assert not arrows(chart)
    assert (ranges(chart)[1] > [4, 5]).all()


def test_every_side_has_an_arrow():
    assert len(set(ARROWS.values())) == len(ARROWS) == 8
