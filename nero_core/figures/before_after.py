"""The leading neurons of a score before and after a picture was changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nero_core.figures.palette import ACCENT, NEUTRAL, UNUSUAL, Cell, Chart, blank_figure, rounded, significant
from nero_core.wording import ADDS_TO_THE_SCORE, label, said

if TYPE_CHECKING:
    from nero_core.lesson.breaking import NeuronShift

ROW_HEIGHT = 30
AROUND = 96
"""Pixels above and below the rows: legend and axis."""
BEFORE = {"symbol": "circle-open", "size": 11, "color": ACCENT, "line": {"width": 2.5}}
AFTER = {"symbol": "diamond", "size": 11, "color": UNUSUAL}


def neurons_before_after(shifts: Sequence[NeuronShift], *, dark: bool = False) -> Chart:
    """What each leading neuron adds to the score before (ring) and after (diamond), with a line between."""
    figure = blank_figure(dark, AROUND + ROW_HEIGHT * len(shifts))
    names = [_named(shift) for shift in shifts]
    for name, shift in zip(names, shifts, strict=True):
        figure.add_scatter(
            x=[shift.before, shift.after],
            y=[name, name],
            mode="lines",
            line={"color": NEUTRAL, "width": 2},
            showlegend=False,
            hoverinfo="skip",
        )
    for title, values, marker in (
        (said("before"), [shift.before for shift in shifts], BEFORE),
        (said("after"), [shift.after for shift in shifts], AFTER),
    ):
        figure.add_scatter(
            x=values, y=names, mode="markers", marker=marker, name=title, hovertemplate="%{y}: %{x:.3g}<extra></extra>"
        )
    figure.update_layout(
        xaxis={"title": label(ADDS_TO_THE_SCORE), "zeroline": True},
        yaxis={"autorange": "reversed", "type": "category", "automargin": True},
    )
    rows: list[dict[str, Cell]] = [
        {
            said("neuron"): str(shift.neuron),
            said("before"): rounded(shift.before),
            said("after"): rounded(shift.after),
            said("among the first"): _standing(shift),
        }
        for shift in shifts
    ]
    each = "; ".join(
        said(
            "neuron {neuron} {before}, then {after}",
            neuron=shift.neuron,
            before=significant(shift.before),
            after=significant(shift.after),
        )
        for shift in shifts
    )
    return Chart(figure, rows, said("What the leading neurons add to the score, before and after: {each}.", each=each))


def _standing(shift: NeuronShift) -> str:
    if shift.led and shift.leads:
        return said("before and after")
    return said("came in") if shift.leads else said("went")


def _named(shift: NeuronShift) -> str:
    """A neuron's row: one that came in or went says so."""
    name = said("Neuron {neuron}", neuron=shift.neuron)
    return name if shift.led and shift.leads else f"{name} ({_standing(shift)})"
