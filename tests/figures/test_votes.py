"""Bars of a class's answers."""

from __future__ import annotations

import pytest

from nero_core.errors import InputError
from nero_core.figures.votes import vote_chart

OPTIONS = {"a": "First", "b": "<b>Second</b>"}


def test_the_bars_the_table_and_the_sentence_say_the_same():
    chart = vote_chart(OPTIONS, {"a": 3, "b": 1}, "b")
    [bars] = chart.figure.data
    assert list(bars.x) == [3, 1]
    assert list(bars.y) == ["First", "✓ ‹b›Second‹/b›"], "a name is no markup"
    assert list(bars.text) == ["3 (75 %)", "1 (25 %)"]
    assert [(row["How many"], row["Right"]) for row in chart.rows] == [(3, "no"), (1, "yes")]
    assert chart.alt == "4 answers. First: 3; <b>Second</b>: 1. Right: <b>Second</b>."


@pytest.mark.parametrize(("counts", "right"), [({"a": 0, "b": 0}, "a"), ({"a": 1}, "a"), ({"a": 1, "b": 1}, "c")])
def test_what_cannot_be_drawn_is_said(counts, right):
    with pytest.raises(InputError, match="wanted at least one answer"):
        vote_chart(OPTIONS, counts, right)
