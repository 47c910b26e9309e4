"""The gauge: where everything lies on −log10 p, by hand and by a literal twin, and that its table says the same."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nero_core import wording
from nero_core.errors import InputError
from nero_core.figures import palette
from nero_core.figures.gauge import gauge, one_in
from nero_core.wording import said

THIS = said(wording.THIS_IMAGE)


def stretches(chart):
    """{state's colour: (left, right)}"""
    return {shape.fillcolor: (shape.x0, shape.x1) for shape in chart.figure.layout.shapes}


def markers(chart):
    ticks, image = chart.figure.data
    return list(ticks.x), list(image.x)


def test_a_gauge_by_hand():
    """Of 999 images one in 100 is as unusual; flagged from one in 10, borderline from one in 5 (factor 2)."""
    chart = gauge(0.01, 0.1, 999, {"A": 0.001, "B": 1.0}, state="out-of-distribution")
    assert markers(chart) == ([pytest.approx(3), 0], [pytest.approx(2)])
    colours = palette.STATE_COLOURS
    assert stretches(chart) == {
        colours["in-distribution"]: pytest.approx((0, math.log10(5))),
        colours["borderline"]: pytest.approx((math.log10(5), 1)),
        colours["out-of-distribution"]: pytest.approx((1, 3)),
    }
    axis = chart.figure.layout.xaxis
    assert list(axis.tickvals) == [0, 1, 2, 3]
    assert list(axis.ticktext) == ["1 in 1", "1 in 10", "1 in 100", "1 in 1\u202f000"]
    assert [row["what"] for row in chart.rows] == [THIS, "flagged from", "A", "B"]
    assert [row["as unusual among ordinary images"] for row in chart.rows] == [
        "1 in 100", "1 in 10", "1 in 1000", "1 in 1",
    ]  # fmt: skip
    assert chart.alt == (
        "Gauge: 1 in 100 ordinary images is as unusual as this one; flagged from 1 in 10; 2 detectors have a tick each."
    )


PROBABILITIES = st.floats(1e-5, 1.0)


@given(
    PROBABILITIES,
    st.floats(0.001, 0.5),
    st.integers(1, 5000),
    st.dictionaries(st.text(min_size=1, max_size=5), PROBABILITIES, max_size=4),
)
def test_everything_lies_where_the_twin_puts_it(p, alpha, images, members):
    chart = gauge(p, alpha, images, members, state="borderline")
    smallest = 1 / (images + 1)
    for other in (p, alpha, *members.values()):
        if other < smallest:
            smallest = other
    borderline = 2 * alpha if 2 * alpha < 1 else 1.0
    ends = [-math.log(each, 10) for each in (1.0, borderline, alpha, smallest)]
    drawn = [(shape.x0, shape.x1) for shape in chart.figure.layout.shapes]
    assert drawn == [pytest.approx(pair, abs=1e-9) for pair in itertools.pairwise(ends)]
    ticks, [image] = markers(chart)
    assert ticks == pytest.approx([-math.log(each, 10) for each in members.values()], abs=1e-9)
    assert image == pytest.approx(-math.log(p, 10), abs=1e-9)
    low, high = chart.figure.layout.xaxis.range
    assert all(low <= x <= high for x in (*ticks, image, *ends)), "nothing lies off the gauge"
    assert len(chart.rows) == 2 + len(members)
    assert all(10**mark <= 1 / smallest * (1 + 1e-6) for mark in chart.figure.layout.xaxis.tickvals)


@pytest.mark.parametrize("state", list(palette.STATE_COLOURS))
def test_the_stretch_of_the_own_state_stands_out_and_the_image_is_no_state(state):
    chart = gauge(0.03, 0.05, 100, state=state)
    loud = [shape.fillcolor for shape in chart.figure.layout.shapes if shape.opacity > 0.5]
    assert loud == [palette.STATE_COLOURS[state]]
    assert chart.figure.data[1].marker.color == palette.OWN["color"]
    assert palette.OWN["color"] not in palette.STATE_COLOURS.values()


def test_states_are_words_and_without_members_nothing_is_said_of_them():
    chart = gauge(0.5, 0.05, 100, state="in-distribution")
    assert {note.text for note in chart.figure.layout.annotations} == {
        wording.state_word("in-distribution"),
        wording.state_word("out-of-distribution"),
    }
    assert "tick" not in chart.alt


def test_a_name_is_text_to_the_pointer():
    """Plotly reads tags in hover text that is a template; a member's title comes as data."""
    chart = gauge(0.5, 0.05, 100, {"<b>x</b> %{y}": 0.2}, state="in-distribution")
    assert "<b>" not in chart.figure.data[0].hovertemplate


@pytest.mark.parametrize("bad", [0.0, -0.1, 1.1, float("nan"), float("inf")])
@pytest.mark.parametrize("of", ["the image", "α", "A detector"])
def test_a_p_value_that_is_none_is_refused_and_named(bad, of):
    values = {"the image": 0.5, "α": 0.05, "A detector": 0.2} | {of: bad}
    with pytest.raises(InputError, match=f"p-value of {of} is"):
        gauge(values["the image"], values["α"], 10, {"A detector": values["A detector"]}, state="in-distribution")


@pytest.mark.parametrize("images", [0, -3])
def test_without_calibration_images_there_is_no_gauge(images):
    with pytest.raises(InputError, match=f"There are {images} calibration images"):
        gauge(0.5, 0.05, images, state="in-distribution")


@pytest.mark.parametrize(
    ("p", "text"), [(1.0, "1 in 1"), (0.5, "1 in 2"), (0.05, "1 in 20"), (1 / 37, "1 in 37"), (0.4, "1 in 2.5")]
)
def test_a_p_value_is_read_as_one_in(p, text):
    assert one_in(p) == text
