"""A benchmark's charts: what they draw, what their twins say, and names that stay text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nero_core.benchmark.result import POOLED, Scores
from nero_core.figures.benchmark import (
    benchmark_histogram,
    breakdown_chart,
    breakdown_map,
    correlation_chart,
    histogram_edges,
    leading,
    roc_chart,
)
from nero_core.figures.palette import BRIGHT_FROM
from nero_core.wording import METRICS
from tests.benchmark_results import made_result

HOSTILE = '<a href="x">polyp</a>'


@pytest.fixture(scope="module")
def result():
    return made_result({"nero": 0.5, "energy": 1.5, "knn": -0.5, "nero[k=25]": 3.0})


def drawn(chart):
    """Every text that plotly would draw."""
    return chart.figure.to_json()


def test_a_detector_taken_apart_does_not_lead(result):
    assert leading(result) == ("energy", "nero", "knn")
    assert leading(result, 1) == ("energy", "nero"), "the baseline is always there"


def test_the_map_holds_every_figure_once_as_a_colour_and_once_as_a_number(result):
    chart = breakdown_map(result, ["nero", "energy", "knn"])
    heat, *texts = chart.figure.data
    assert list(heat.y) == ["ENERGY", "NERO", "KNN"], "best first"
    assert list(heat.x) == ["polyp", "ulcer", "all together"]
    wanted = {
        (row.title, x): 100 * row.metrics[column]["auroc"].value
        for row in result.detectors[:3]
        for x, column in zip(heat.x, ("polyp", "ulcer", POOLED), strict=True)
    }
    coloured = {
        (y, x): value for y, line in zip(heat.y, heat.z, strict=True) for x, value in zip(heat.x, line, strict=True)
    }
    assert coloured == pytest.approx(wanted)
    written = {(y, x): text for each in texts for y, x, text in zip(each.y, each.x, each.text, strict=True)}
    assert written == {place: f"{value:.1f}" for place, value in wanted.items()}
    assert chart.rows[0]["detector"] == "ENERGY"
    assert chart.rows[0]["ulcer"] == pytest.approx(wanted["ENERGY", "ulcer"], rel=1e-2)
    assert "ENERGY on polyp" in chart.alt


def test_numbers_are_dark_on_the_bright_part_of_the_map(result):
    for metric, falls in (("auroc", False), ("fpr_ood_at_95_id_tpr", True)):
        heat, *texts = breakdown_map(result, metric=metric).figure.data
        assert bool(heat.reversescale) == falls
        for each in texts:
            bright = each.textfont.color == "#000000"
            for x, y in zip(each.x, each.y, strict=True):
                value = heat.z[list(heat.y).index(y)][list(heat.x).index(x)]
                along = (value - heat.zmin) / (heat.zmax - heat.zmin)
                assert ((1 - along if falls else along) > BRIGHT_FROM) == bright


def test_the_map_of_a_rate_names_the_lowest_as_best(result):
    chart = breakdown_map(result, ["nero", "energy", "knn"], "fpr_ood_at_95_id_tpr")
    rates = {row.title: row.metrics["polyp"]["fpr_ood_at_95_id_tpr"].value for row in result.detectors[:3]}
    assert f"{min(rates, key=rates.get)} on polyp" in chart.alt
    assert METRICS["fpr_ood_at_95_id_tpr"] in chart.alt


def test_the_legend_of_curves_that_are_all_drawn_stands_below_them(result):
    assert roc_chart(result, list(result.scores)).figure.layout.legend.y < 0
    waiting = roc_chart(result, ["nero"])
    assert waiting.figure.layout.legend.orientation == "v"
    assert [trace.visible for trace in waiting.figure.data[:-1]].count("legendonly") == 3


def test_the_twin_of_the_curves_is_in_percent_with_intervals(result):
    row = next(row for row in roc_chart(result).rows if row["detector"] == "ENERGY")
    area = result.detectors[1].metrics[POOLED]["auroc"]
    assert row["AUROC (%)"] == pytest.approx(100 * area.value, rel=1e-2)
    assert row["AUROC from (%)"] <= row["AUROC (%)"] <= row["AUROC to (%)"]


def test_agreement_is_between_titles(result):
    chart = correlation_chart(result.rank_correlation, ["nero", "knn"], {"nero": "NERO", "knn": "KNN"})
    assert list(chart.figure.data[0].x) == list(chart.figure.data[0].y) == ["NERO", "KNN"]
    assert chart.rows[0]["NERO"] == 1
    assert chart.rows[0]["KNN"] == pytest.approx(result.rank_correlation["nero"]["knn"], abs=0.01)


def test_names_are_text_and_not_markup():
    hostile = made_result({"nero": 1.0, "energy": 0.5}, ood=(HOSTILE, "b"))
    hostile = replace(hostile, detectors=tuple(replace(row, title=f"<b>{row.title}") for row in hostile.detectors))
    titles = {row.name: row.title for row in hostile.detectors}
    for chart in (
        roc_chart(hostile),
        benchmark_histogram(hostile.scores["nero"], titles["nero"]),
        breakdown_chart(hostile),
        breakdown_map(hostile),
        correlation_chart(hostile.rank_correlation, titles=titles),
    ):
        text = drawn(chart).replace("\\u003c", "<")
        assert "<a " not in text
        assert "<b>" not in text


def test_nothing_to_show_is_an_empty_map():
    assert not breakdown_map(made_result({})).rows


def test_far_scores_do_not_press_the_others_flat():
    """Ordinary scores from 0 to 1 take at least a seventh of the axis, however far the others lie."""
    ordinary = np.linspace(0, 1, 201)
    edges = histogram_edges(Scores(ordinary, {"far": np.full(100, 1e6)}))
    assert edges[0] == pytest.approx(0, abs=0.01)
    assert edges[-1] == pytest.approx(1 + 3, abs=0.05)
    assert histogram_edges(Scores(ordinary, {"near": np.full(100, 2.0)}))[-1] == pytest.approx(2.0)
    assert np.isfinite(histogram_edges(Scores(np.ones(5), {"same": np.ones(5)}))).all()
