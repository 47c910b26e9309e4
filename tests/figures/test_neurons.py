"""Figures of neurons: what they show, and that nothing is lost between a figure and its twins."""

from __future__ import annotations

import numpy as np
import pytest

from nero_core.errors import InputError
from nero_core.figures.neurons import class_weights, neuron_bars, neuron_rows, value_boxes
from nero_core.figures.palette import LOWERS, RAISES
from nero_core.neurons.statistics import Comparison, Group, Moments


@pytest.fixture
def comparison():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (30, 100)), rng.normal(0.5, 1, (10, 100))
    return Comparison(Group("ordinary", Moments.of(a), a, a), Group("<b>odd</b>", Moments.of(b), b, b))


def test_bars_carry_means_spread_and_numbers(comparison):
    order = comparison.order("effect")[:10]
    chart = neuron_bars(comparison, order, chosen=[int(order[3]), int(order[5])])
    first, second = chart.figure.data
    np.testing.assert_allclose(first.y, comparison.first.moments.mean[order])
    np.testing.assert_allclose(second.error_y.array, comparison.second.moments.std[order])
    assert list(second.x) == [str(j) for j in order]
    assert "<" not in second.name
    assert [mark.x for mark in chart.figure.layout.annotations] == [3, 5], "by position, not by number"
    assert [row["neuron"] for row in chart.rows] == order.tolist()
    assert "10 neurons" in chart.alt


def test_many_bars_have_no_whiskers_and_none_is_refused(comparison):
    chart = neuron_bars(comparison, np.arange(100))
    assert chart.figure.data[0].error_y.array is None
    with pytest.raises(InputError, match="widen the filter"):
        neuron_bars(comparison, np.arange(0))


def test_a_single_image_has_no_spread():
    one = np.ones((1, 4))
    rest = np.zeros((5, 4))
    c = Comparison(Group("rest", Moments.of(rest), rest, rest), Group("one", Moments.of(one), one, one))
    chart = neuron_bars(c, np.arange(4))
    assert chart.figure.data[1].error_y.array is None
    row = neuron_rows(c, np.arange(4), np.ones((2, 4)), ["a", "b"])[0]
    assert row["deviation, second"] is None
    assert row["AUROC alone, %"] is None
    assert row["Cohen’s d"] is None
    assert row["weight into a"] == 1


def test_boxes_tell_groups_and_single_images():
    values = {"a": np.arange(9.0), "strange": np.arange(4.0), "empty": np.zeros(0)}
    chart = value_boxes(values, ["strange"], "Relevance", marks={"image 1": 3.0})
    star, *boxes = chart.figure.data
    assert (list(star.x), list(star.y)) == ([3.0], ["★ image 1"])
    assert len(boxes) == 2
    assert boxes[0].line.color != boxes[1].line.color
    assert [row["group"] for row in chart.rows] == ["a", "strange", "image 1"]
    assert chart.rows[0]["median"] == 4
    with pytest.raises(InputError, match="No image"):
        value_boxes({"empty": np.zeros(0)}, [], "Relevance")


def test_single_images_have_a_row_each_unless_they_are_many():
    few, many = (
        value_boxes({"a": np.arange(9.0)}, [], "Relevance", marks={f"image <{i}>": float(i) for i in range(n)})
        for n in (6, 7)
    )
    assert [trace.y[0] for trace in few.figure.data[:-1]] == [f"★ image ‹{i}›" for i in range(6)]
    assert len(few.figure.layout.shapes) == 6
    stars, _ = many.figure.data
    assert set(stars.y) == {"★ 7 images"}
    assert list(stars.x) == list(range(7))
    assert stars.text[6] == "image ‹6›"
    assert len(many.rows) == 8


def test_weights_lead_into_classes():
    chart = class_weights(np.array([0.5, -1.0]), ["a", "b"])
    assert list(chart.figure.data[0].x) == [0.5, -1.0]
    assert list(chart.figure.data[0].marker.color) == [RAISES, LOWERS]
    assert chart.rows[1] == {"class": "b", "weight": -1.0}
    assert "largest into a" in chart.alt


def test_two_neurons_side_by_side_share_an_axis():
    values = {"a": np.arange(9.0)}
    alone, beside = (value_boxes(values, [], "Relevance", reach=reach) for reach in (None, (-3.0, 40.0)))
    assert alone.figure.layout.xaxis.autorangeoptions.include is None
    assert list(beside.figure.layout.xaxis.autorangeoptions.include) == [-3, 40]
