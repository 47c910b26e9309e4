"""The lesson's charts: what is drawn is what was given, in the figure, the table and the words."""

from __future__ import annotations

import numpy as np
import pytest

from nero_core.errors import InputError
from nero_core.figures.lesson import plane_chart, threshold_chart

CLASSES = ("a", "b")
CENTROIDS = np.array([[0.0, 0.0], [4.0, 0.0]])
PATH = np.array([[3.0, 2.0], [4.0, 2.0], [4.0, 0.0]])
POINTS = np.array([[0.1, 0.1], [0.2, 0.0], [4.1, 0.1], [9.0, 9.0]])
GROUPS = np.array([0, 0, 1, 2])
FRAME = (np.array([-1.0, -1.0]), np.array([5.0, 3.0]))


def named(chart):
    return {trace.name: trace for trace in chart.figure.data if trace.name}


def test_the_plane_has_every_image_the_centroids_and_the_way():
    chart = plane_chart(POINTS, GROUPS, CLASSES, CENTROIDS, PATH, FRAME)
    traces = named(chart)
    assert [len(traces[name].x) for name in ("Known unusual images (1)", "a (2)", "b (1)")] == [1, 2, 1]
    assert list(traces["centroids"].x) == [0, 4]
    assert list(zip(traces["way along the axes"].x, traces["way along the axes"].y, strict=True)) == [
        (3, 2),
        (4, 2),
        (4, 0),
    ]
    assert (traces["your point"].x[0], traces["your point"].y[0]) == (3, 2)
    assert list(chart.figure.layout.xaxis.range) == [-1, 5]


def test_the_plane_in_words_and_as_a_table():
    chart = plane_chart(POINTS, GROUPS, CLASSES, CENTROIDS, PATH, FRAME)
    assert "A point at 3, 2 among 2 class centroids" in chart.alt
    assert "over 1 along the first axis and 2 along the second" in chart.alt
    assert [list(row.values()) for row in chart.rows] == [["your point", 3.0, 2.0], ["a", 0.0, 0.0], ["b", 4.0, 0.0]]


def test_the_way_has_a_rim_that_is_seen_on_a_dark_page():
    lines = [
        trace
        for trace in plane_chart(POINTS, GROUPS, CLASSES, CENTROIDS, PATH, FRAME).figure.data
        if trace.mode == "lines"
    ]
    assert [line.line.width for line in lines] == [6, 3]
    assert lines[0].line.color != lines[1].line.color


@pytest.mark.parametrize("path", [np.zeros((2, 2)), np.zeros((3, 3)), np.zeros(6)])
def test_a_way_of_another_shape_is_refused(path):
    with pytest.raises(InputError, match="wanted"):
        plane_chart(POINTS, GROUPS, CLASSES, CENTROIDS, path, FRAME)


def test_the_threshold_stands_on_its_curve():
    curve = (np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.9, 1.0]))
    chart = threshold_chart(curve, (0.5, 0.9), 0.05)
    traces = named(chart)
    assert list(traces["every threshold"].y) == [0, 0.9, 1]
    assert (traces["this threshold"].x[0], traces["this threshold"].y[0]) == (0.5, 0.9)
    assert list(traces["α: what was accepted"].x) == [0.05, 0.05]
    assert "flags 50 % of the ordinary and 90 % of the unusual images" in chart.alt
    assert list(chart.rows[0].values()) == [5.0, 50.0, 90.0]
