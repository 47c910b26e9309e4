"""Leading neurons before and after: nothing is lost between the figure, its table and its sentence."""

from __future__ import annotations

from nero_core.figures.before_after import neurons_before_after
from nero_core.lesson.breaking import NeuronShift
from nero_core.records import Neuron

SHIFTS = [
    NeuronShift(Neuron(None, 3), 0.5, -9.0, led=False, leads=True),
    NeuronShift(Neuron("layer1", 0), 5.0, 5.25, led=True, leads=True),
    NeuronShift(Neuron(None, 1), -4.0, 1.0, led=True, leads=False),
]


def test_figure_table_and_sentence_say_the_same():
    chart = neurons_before_after(SHIFTS)
    *lines, before, after = chart.figure.data
    assert [tuple(line.x) for line in lines] == [(0.5, -9.0), (5.0, 5.25), (-4.0, 1.0)]
    assert (list(before.x), list(after.x)) == ([0.5, 5.0, -4.0], [-9.0, 5.25, 1.0])
    assert list(before.y) == list(after.y) == ["Neuron 3 (came in)", "Neuron layer1 · 0", "Neuron 1 (went)"]
    assert before.marker.symbol != after.marker.symbol, "not by colour alone"
    assert chart.rows == [
        {"neuron": "3", "before": 0.5, "after": -9.0, "among the first": "came in"},
        {"neuron": "layer1 · 0", "before": 5.0, "after": 5.25, "among the first": "before and after"},
        {"neuron": "1", "before": -4.0, "after": 1.0, "among the first": "went"},
    ]
    assert "neuron 3 0.5, then −9" in chart.alt


def test_it_stands_on_both_pages_and_grows_with_its_rows():
    few, many = neurons_before_after(SHIFTS[:1]), neurons_before_after(SHIFTS, dark=True)
    assert few.figure.layout.height < many.figure.layout.height
    assert many.figure.layout.paper_bgcolor == "rgba(0,0,0,0)"
