"""Curves of deletion and insertion: what they show, and that nothing is lost between a figure and its twins."""

from __future__ import annotations

import numpy as np
import pytest

from nero_core.attribution.faithfulness import RANDOM, Faithfulness
from nero_core.figures.faithfulness import WAYS, faithfulness_curves, faithfulness_table


def measured(images):
    """Two methods and four random orders on some images, seeded."""
    rng = np.random.default_rng(images)
    shares = np.linspace(0, 1, 6)
    random = {kind: rng.random((4, images, 6)) for kind in WAYS}
    probability = {
        kind: np.concatenate([rng.random((2, images, 6)), random[kind].mean(axis=0)[None]]) for kind in random
    }
    return Faithfulness(
        ("CRP", "instant map", RANDOM),
        shares,
        np.zeros(images, np.int64),
        probability,
        probability,
        rng.random((2, images)),
        rng.random((2, images)),
        random,
    )


@pytest.mark.parametrize("kind", list(WAYS))
@pytest.mark.parametrize("images", [1, 3])
def test_curves_are_means_in_percent_with_the_range_of_chance(kind, images):
    m = measured(images)
    chart = faithfulness_curves(m, kind)
    low, high, random, *methods = chart.figure.data
    orders = 100 * m.random_probability[kind].mean(axis=1)
    np.testing.assert_allclose(low.y, orders.min(axis=0))
    np.testing.assert_allclose(high.y, orders.max(axis=0))
    assert high.fill == "tonexty"
    assert not low.showlegend
    np.testing.assert_allclose(random.y, orders.mean(axis=0))
    assert "range of 4" in random.name
    assert [trace.name for trace in methods] == ["CRP", "relevance-weighted feature map"]
    for place, trace in enumerate(methods):
        np.testing.assert_allclose(trace.y, 100 * m.probability[kind][place].mean(axis=0))
    np.testing.assert_allclose(chart.figure.data[2].x, [0, 20, 40, 60, 80, 100])
    assert len({trace.line.dash for trace in methods}) == len({trace.marker.symbol for trace in methods}) == 2
    assert len(chart.rows) == 6
    assert chart.rows[1]["CRP (%)"] == pytest.approx(methods[0].y[1], rel=6e-3)
    assert f"of {images} image" in chart.alt
    assert "CRP" in chart.alt


def test_the_table_says_which_end_is_good_and_speaks_of_spread_only_where_there_is_one():
    one, several = (faithfulness_table(measured(n).summary(), n) for n in (1, 3))
    assert [row["method"] for row in one] == ["CRP", "relevance-weighted feature map", RANDOM]
    assert "standard error" not in one[0]
    assert several[0]["standard error"] > 0
    m = measured(3)
    assert several[1]["gain, points ↑"] == pytest.approx(100 * m.gain[1].mean(), rel=6e-3)
    assert several[1]["under noise (best 1)"] == pytest.approx(m.stability[1].mean(), abs=6e-3)
    assert several[0]["deletion, % ↓"] == pytest.approx(100 * m.areas("deletion")[0].mean(), rel=6e-3)
    assert "gain, points ↑" not in several[2]
