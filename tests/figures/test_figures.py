"""Figures from made-up arrays: what they show, what their twins say, and that nothing is lost between the two."""

from __future__ import annotations

import itertools
import math
import sys
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nero_core import wording
from nero_core.errors import InputError
from nero_core.figures import palette
from nero_core.figures.charts import account_chart, account_rows, score_histogram
from nero_core.figures.overlays import colour_bar, overlay, symmetric_limit, tiled
from nero_core.figures.palette import DIVERGING, STATE_COLOURS, significant
from nero_core.figures.profile import relevance_profile
from nero_core.records import State


@pytest.fixture
def scores():
    return np.random.default_rng(0).gamma(6, 2, 150)


def bars(chart):
    return [trace for trace in chart.figure.data if trace.type == "bar"]


# Numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (12.345, "12.3"),
        (1234.5, "1230"),
        (0.000123456, "0.000123"),
        (-4.56, "−4.56"),
        (1e-12, "0.000000000001"),
    ],
)
def test_numbers_have_three_significant_digits_and_no_exponent(value, text):
    assert significant(value) == text


# Palette ---------------------------------------------------------------------------------------------------------


def test_states_differ_by_word_and_symbol_not_by_colour_alone():
    states = list(STATE_COLOURS)
    assert states == list(wording.STATES) == list(get_args(State))
    assert [wording.state_mark(state)[:2] for state in states] == ["● ", "◐ ", "▲ "]
    assert len(set(wording.STATES.values())) == len(set(STATE_COLOURS.values())) == 3


# Histogram -------------------------------------------------------------------------------------------------------


def test_histogram_shows_all_images_the_threshold_and_this_image(scores):
    chart = score_histogram(scores, 20.0, threshold=21.5, known={"other": [30.0, 31.0]}, state="borderline")
    usual, known = bars(chart)
    assert sum(usual.y) == pytest.approx(100)
    assert sum(y or 0 for y in known.y) == pytest.approx(100)
    assert {line.x0 for line in chart.figure.layout.shapes} == {20.0, 21.5}
    assert any("◐" in note.text and "this image" in note.text for note in chart.figure.layout.annotations)
    assert "higher = more unusual" in chart.figure.layout.xaxis.title.text


def test_histogram_table_has_one_row_per_bin_and_every_set(scores):
    chart = score_histogram(scores, 20.0, known={"a": [30.0], "b": [1.0]})
    assert len(chart.rows) == len(bars(chart)[0].y)
    assert sum(row["reference (% of images)"] for row in chart.rows) == pytest.approx(100, abs=1)
    assert sum(row["b (% of images)"] for row in chart.rows) == 100


def test_histogram_counts_in_words_how_many_lie_below():
    assert "above 2 of them" in score_histogram([1.0, 2.0, 3.0], 2.5).alt


def test_a_score_far_away_does_not_squeeze_the_reference_into_one_bar(scores):
    chart = score_histogram(scores, 1e6, threshold=21.5, state="out-of-distribution")
    filled = [y for y in bars(chart)[0].y if y > 0]
    low, high = chart.figure.layout.xaxis.range
    line = next(s for s in chart.figure.layout.shapes if s.line.dash == "solid")
    assert len(filled) >= 8
    assert low <= line.x0 <= high
    assert any("off the scale" in note.text and "1000000" in note.text for note in chart.figure.layout.annotations)


def test_a_long_tail_is_counted_in_the_last_bar_which_is_open_ended(scores):
    chart = score_histogram(np.append(scores, [1e4, 1e5, 1e6]), 10.0)
    assert sum(bars(chart)[0].y) == pytest.approx(100)
    assert chart.rows[-1]["reference (% of images)"] == pytest.approx(100 * 3 / 153, rel=0.05)
    assert chart.rows[-1]["to"] is None
    assert all(row["to"] is not None for row in chart.rows[:-1])


def test_a_bar_that_holds_what_lies_beyond_the_axis_says_so(scores):
    chart = score_histogram(np.append(scores, [1e4, 1e5]), 10.0, known={"far": [-1e6, 12.0]})
    axis, trace = chart.figure.layout.xaxis, bars(chart)[0]
    first, last = (f"≤ {chart.rows[0]['to']:g}", f"≥ {chart.rows[-1]['score from']:g}")
    named = dict(zip(axis.ticktext, axis.tickvals, strict=True))
    assert (trace.customdata[0], trace.customdata[-1]) == (first, last)
    assert (named[first], named[last]) == pytest.approx((trace.x[0], trace.x[-1]))
    assert f"The first bar holds all scores {first}." in chart.alt
    assert f"The last bar holds all scores {last}." in chart.alt
    assert all("about" in each for each in trace.customdata[1:-1])
    numbers = [x for text, x in zip(axis.ticktext, axis.tickvals, strict=True) if text not in (first, last)]
    assert np.allclose(np.diff(numbers, 2), 0)


def test_a_histogram_that_holds_all_scores_within_its_axis_names_no_bar():
    chart = score_histogram([1.0, 2.0, 3.0], 2.5)
    assert "bar holds" not in chart.alt
    assert all("about" in each for each in bars(chart)[0].customdata)


def test_equal_reference_scores_still_give_a_histogram():
    assert sum(bars(score_histogram([3.0] * 20, 3.0))[0].y) == pytest.approx(100)


@pytest.mark.parametrize("bad", [[], [1.0, np.nan], [np.inf]])
def test_a_histogram_of_nothing_or_of_nan_is_refused(bad):
    with pytest.raises(InputError, match="reference"):
        score_histogram(bad, 1.0)


def test_a_score_that_is_not_a_number_is_refused(scores):
    with pytest.raises(InputError, match="score"):
        score_histogram(scores, math.nan)


# Account ---------------------------------------------------------------------------------------------------------


def test_account_by_hand():
    rows = account_rows(np.array([4.0, -2.0, 1.0, -1.0, 3.0]), terms={"bias term": 6.0}, factor=0.5, leading=[0, 1])
    assert [(row.label, row.effect, row.value) for row in rows] == [
        ("Neuron 0", "raises", 2.0),
        ("2 others, raising", "raises", 2.0),
        ("Neuron 1", "lowers", -1.0),
        ("1 other, lowering", "lowers", -0.5),
        ("Bias term", "term", 3.0),
        ("Score", "score", 5.5),
    ]
    assert [row.end for row in rows] == [2.0, 4.0, 3.0, 2.5, 5.5, 5.5]


@given(
    contributions=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40),
    bias_term=st.floats(0, 1e3),
    share=st.floats(0, 1),
    k=st.integers(0, 12),
)
def test_the_account_always_adds_up_to_the_score_and_names_every_neuron_once(contributions, bias_term, share, k):
    c = np.array(contributions)
    rows = account_rows(c, {"bias term": bias_term}, share, np.argsort(-np.abs(c))[:k])
    score = share * (math.fsum(contributions) + bias_term)
    scale = share * (math.fsum(abs(x) for x in contributions) + bias_term)
    assert rows[-1].value == pytest.approx(score, rel=1e-9, abs=1e-9 * scale + 1e-300)
    assert math.fsum(row.value for row in rows[:-1]) == rows[-1].value
    assert all(a.end == b.start for a, b in itertools.pairwise(rows[:-1]))
    assert sorted(j for row in rows for j in row.neurons) == list(range(len(c)))


def test_tiles_keep_every_picture_in_reading_order():
    from PIL import Image

    colours = [(10 * i, 0, 0) for i in range(6)]
    sheet = tiled([Image.new("RGB", (50, 40), colour) for colour in colours])
    assert sheet.size == (4 * 52 - 2, 2 * 42 - 2)
    assert [sheet.getpixel((i % 4 * 52 + 25, i // 4 * 42 + 20)) for i in range(6)] == colours
    with pytest.raises(InputError, match="no pictures"):
        tiled([])


def test_account_chart_draws_the_rows_and_its_table_repeats_them():
    rows = account_rows(np.array([4.0, -2.0, 1.0]), {"bias term": 6.0}, 0.5, [0], ["layer1 · 4", "b", "c"])
    chart = account_chart(rows)
    (trace,) = bars(chart)
    assert list(trace.y) == [row.label for row in rows] == [row["part"] for row in chart.rows]
    assert [base + x for base, x in zip(trace.base, trace.x, strict=True)] == [row.end for row in rows]
    assert chart.figure.layout.yaxis.autorange == "reversed", "the first row on top, the score at the foot"
    assert trace.text[0] == "+2"
    assert trace.text[2].startswith("−")
    assert "bias term 3" in chart.alt


def test_a_neuron_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="Neuron 7 does not exist"):
        account_rows(np.zeros(3), {}, 1.0, [7])


# Relevance profile -----------------------------------------------------------------------------------------------


def test_profile_takes_the_channels_that_deviate_most():
    relevance, mean, std = np.array([0.0, 5.0, 1.0, -9.0]), np.zeros(4), np.ones(4)
    chart = relevance_profile(relevance, mean, std, top=2)
    assert [row["neuron"] for row in chart.rows] == [3, 1]
    assert list(chart.figure.data[0].error_y.array) == [1.0, 1.0]
    assert "neuron 3 differs most" in chart.alt


def test_profile_of_all_channels_keeps_their_order_and_shows_the_known_unusual_mean():
    d = 700
    chart = relevance_profile(np.ones(d), np.zeros(d), np.ones(d), known_mean=np.full(d, 2.0), top=None)
    assert [row["neuron"] for row in chart.rows] == list(range(d))
    known = next(trace for trace in chart.figure.data if "Known unusual" in trace.name)
    assert list(known.y) == [2.0] * d


def test_profiles_of_another_network_are_refused():
    with pytest.raises(InputError, match="4 channels, the reference 3"):
        relevance_profile(np.zeros(4), np.zeros(3), np.zeros(3))


# Heatmaps --------------------------------------------------------------------------------------------------------

GREY = Image.new("RGB", (40, 20), (100, 100, 100))


TEAL, PURPLE = (tuple(bytes.fromhex(DIVERGING[end][1:])) for end in (0, -1))


def test_overlay_is_purple_where_positive_teal_where_negative_and_clear_at_zero():
    heatmap = np.zeros((20, 40))
    heatmap[:, :10], heatmap[:, 30:] = 1.0, -1.0
    pixels = np.asarray(overlay(GREY, heatmap, opacity=1.0)).astype(int)
    assert tuple(pixels[10, 2]) == PURPLE
    assert tuple(pixels[10, 37]) == TEAL
    assert tuple(pixels[10, 20]) == (100, 100, 100)


def test_limits_are_symmetric():
    heatmap = np.zeros((20, 40))
    heatmap[:, :20], heatmap[:, 20:] = 2.0, -1.0
    assert symmetric_limit(heatmap) == 2.0
    pixels = np.asarray(overlay(GREY, heatmap, opacity=1.0)).astype(int)
    assert tuple(pixels[10, 37]) != TEAL, "half as strong must not be drawn in full colour"


def test_a_map_that_is_negative_everywhere_is_teal():
    pixels = np.asarray(overlay(GREY, np.full((20, 40), -0.5), opacity=1.0))
    assert tuple(pixels[10, 20].tolist()) == TEAL


def test_opacity_zero_and_an_empty_map_leave_the_picture_as_it_is():
    noise = np.random.default_rng(0).normal(size=(7, 7)).astype(np.float32)
    assert overlay(GREY, noise, opacity=0).tobytes() == GREY.tobytes()
    assert overlay(GREY, np.zeros((7, 7)), outline=True).tobytes() == GREY.tobytes()


def test_the_grid_that_strides_leave_in_a_map_is_averaged_out():
    checks = np.indices((224, 224)).sum(axis=0) % 2
    drawn = np.asarray(overlay(Image.new("RGB", (224, 224), (100, 100, 100)), checks, opacity=1.0)).astype(int)
    assert np.ptp(drawn, axis=(0, 1)).max() <= 1


def test_a_wide_map_keeps_its_proportions():
    heatmap = np.zeros((112, 448))
    heatmap[:, 336:] = 1.0
    drawn = np.asarray(overlay(Image.new("RGB", (448, 112)), heatmap, opacity=1.0)).astype(int)
    assert tuple(drawn[56, 400]) == PURPLE
    assert tuple(drawn[56, 300]) == (0, 0, 0)


def test_outline_goes_round_the_strongest_region_in_two_tones():
    heatmap = np.zeros((200, 200))
    heatmap[60:140, 60:140] = 1.0
    picture = Image.new("RGB", (200, 200), (100, 100, 100))
    drawn = np.asarray(overlay(picture, heatmap, opacity=0, outline=True)).astype(int)
    white, dark = (drawn == 255).all(axis=-1), (drawn < 30).all(axis=-1)
    assert white.any()
    assert dark.any()
    assert not white[100, 100]
    assert not white[:40].any()


@pytest.mark.parametrize("bad", [np.zeros(5), np.full((3, 3), np.nan), np.zeros((2, 3, 3))])
def test_a_map_of_another_shape_or_with_nan_is_refused(bad):
    with pytest.raises(InputError, match="heatmap"):
        overlay(GREY, bad)


def test_the_picture_turns_grey_under_a_map():
    red = Image.new("RGB", (8, 8), (200, 40, 40))
    pixels = np.asarray(overlay(red, np.zeros((8, 8)), opacity=1.0))
    assert len(set(pixels[0, 0].tolist())) == 1


def test_colour_bar_is_labelled():
    chart = colour_bar()
    assert list(chart.figure.layout.xaxis.ticktext) == ["speaks against", "nothing", "speaks for"]


# All -------------------------------------------------------------------------------------------------------------


def every_chart(dark):
    contributions = np.array([1.0, -2.0, 0.5])
    return [
        score_histogram([1.0, 2.0, 3.0], 2.5, threshold=2.9, dark=dark),
        account_chart(account_rows(contributions, {"bias term": 1.0}, 0.5, [0]), dark=dark),
        relevance_profile(contributions, np.zeros(3), np.ones(3), dark=dark),
        colour_bar(dark=dark),
    ]


@pytest.mark.parametrize("dark", [False, True])
def test_every_chart_is_transparent_has_a_table_and_a_sentence(dark):
    for chart in every_chart(dark):
        assert chart.figure.layout.paper_bgcolor == chart.figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
        assert chart.rows
        assert chart.alt.endswith(".")
        assert chart.figure.to_json()


def test_figures_need_neither_torch_nor_streamlit():
    import subprocess

    code = "import sys, nero_core.figures; sys.exit(int(any(m in sys.modules for m in ('torch', 'streamlit'))))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_slim_template_looks_like_the_whole_one():
    import plotly.io as pio

    for dark, name in ((False, "plotly_white"), (True, "plotly_dark")):
        template, whole = palette.blank_figure(dark, 100).layout.template, pio.templates[name]
        assert template.layout == whole.layout
        for kind in palette.DRAWN:
            assert template.data[kind] == whole.data[kind]
        assert "box" not in whole.data.to_plotly_json(), "boxes are drawn, too"
