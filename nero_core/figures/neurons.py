"""Neurons in two groups of images, one neuron's values and weights: arrays to charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nero_core.errors import InputError
from nero_core.figures import palette
from nero_core.figures.palette import Cell, Chart, add_rows, blank_figure, rounded, significant, table
from nero_core.neurons.statistics import Comparison
from nero_core.records import FloatArray, IntArray
from nero_core.wording import message, said

QUANTILES = {message("lowest"): 0.0, "25 %": 0.25, message("median"): 0.5, "75 %": 0.75, message("highest"): 1.0}
FIRST_AND_SECOND = message("first"), message("second")
SPREAD_SHOWN = 64
"""Up to so many neurons, bars carry their spread and their number."""
LABEL_ROOM = 0.25
"""Room for a number beside a bar, as a share of the axis."""
STARRED_APART = 6
"""Up to so many single images have a row each."""
GROUP_HEIGHT = 34  # pixels per horizontal box


def as_written(name: str) -> str:
    """A name that a figure shows as it is: plotly reads angle brackets as markup and percent signs as values."""
    return name.replace("<", "‹").replace(">", "›").replace("%{", "% {")


def neuron_rows(
    comparison: Comparison,
    order: IntArray,
    weight: FloatArray,
    classes: Sequence[str],
    names: tuple[str, str] = FIRST_AND_SECOND,
) -> list[dict[str, Cell]]:
    """The table of neurons: means with their spread, effects, and the weight into each class, (K, d).

    Parameters
    ----------
    order : (m,) int64
        The neurons of the rows.
    weight : (K, d)
    """
    columns: dict[str, FloatArray | IntArray] = {said("neuron"): np.arange(len(comparison.difference))}
    for name, group in zip(names, (comparison.first, comparison.second), strict=True):
        columns |= {
            said("mean, {group}", group=said(name)): group.moments.mean,
            said("deviation, {group}", group=said(name)): group.moments.std,
        }
    columns |= {
        said("difference"): comparison.difference,
        said("Cohen’s d"): comparison.effect,
        said("AUROC alone, %"): 100 * comparison.auroc,
    }
    columns |= {said("weight into {name}", name=name): row for name, row in zip(classes, weight, strict=True)}
    return table({name: values[order] for name, values in columns.items()})


def neuron_bars(comparison: Comparison, order: IntArray, *, chosen: Sequence[int] = (), dark: bool = False) -> Chart:
    """Mean relevance of some neurons in two groups of images, with one standard deviation where there is room.

    Parameters
    ----------
    comparison : Comparison
    order : (k,) int64
        Which neurons, from left to right; each bar carries its neuron as `customdata`.
    chosen : neurons, optional
        Which to mark.

    Raises
    ------
    InputError
        No neuron is left to draw.
    """
    if not len(order):
        raise InputError("No neuron is left to draw; widen the filter.")
    names = [str(j) for j in order]
    figure = blank_figure(dark, height=360)
    for group, colour, pattern in ((comparison.first, palette.ACCENT, ""), (comparison.second, palette.UNUSUAL, "/")):
        mean, std = group.moments.mean[order], group.moments.std[order]
        spread = {"type": "data", "array": std, "thickness": 1, "width": 2, "color": palette.NEUTRAL}
        figure.add_bar(
            x=names,
            y=mean,
            name=f"{as_written(group.name)} ({group.moments.count})",
            customdata=order,
            error_y=spread if len(order) <= SPREAD_SHOWN and np.isfinite(std).all() else None,
            marker={"color": colour, "line": {"width": 0}, "pattern": {"shape": pattern, "size": 5}},
            hovertemplate=said("neuron {neuron}", neuron="%{x}") + ": %{y:.3g}<extra></extra>",
        )
    for neuron in map(str, chosen):
        if neuron not in names:
            continue
        figure.add_annotation(  # by position: a category that looks like a number is taken for one
            x=names.index(neuron), y=1, yref="paper", text=f"<b>▼ {neuron}</b>", showarrow=False, yanchor="top",
            font={"size": 13},
        )  # fmt: skip
    figure.update_layout(
        barmode="group",
        clickmode="event+select",
        xaxis={"title": said("Neuron"), "type": "category", "showgrid": False, "nticks": min(len(order), 40)},
        yaxis={"title": said("Mean relevance to the answer"), "zeroline": True},
    )
    first, second = comparison.first, comparison.second
    means = {said("first: mean"): first.moments.mean[order], said("second: mean"): second.moments.mean[order]}
    rows = table({said("neuron"): order, **means, said("difference"): comparison.difference[order]})
    leading = int(order[np.argmax(np.abs(comparison.difference[order]))])
    alt = said(
        "Mean relevance of {n} neurons in {first} and in {second}; neuron {leading} differs most, {mean} "
        "against {other}.",
        n=len(order),
        first=first.name,
        second=second.name,
        leading=leading,
        mean=significant(first.moments.mean[leading]),
        other=significant(second.moments.mean[leading]),
    )
    return Chart(figure, rows, alt)


def value_boxes(
    values: Mapping[str, FloatArray],
    known: Sequence[str],
    what: str,
    *,
    marks: Mapping[str, float] | None = None,
    reach: tuple[float, float] | None = None,
    dark: bool = False,
) -> Chart:
    """One neuron's values in several groups of images: quartiles, whiskers of 1.5 ranges, and what lies beyond.

    Parameters
    ----------
    values : {group: (n,)}
    known : names
        Those of the groups that are out-of-distribution.
    what : str
        The values, in words with their unit.
    marks : {name: value}, optional
        Single images, drawn as stars: each in a row of its own, or all in one where they are many.
    reach : (lowest, highest), optional
        What the axis holds at least: two charts with one reach are read side by side.

    Raises
    ------
    InputError
        No group has an image.
    """
    filled = {name: np.asarray(v, np.float64) for name, v in values.items() if len(v)}
    if not filled:
        raise InputError("No image is left to draw; choose a group that has some.")
    stars = _starred(marks or {})
    figure = blank_figure(dark, height=GROUP_HEIGHT * (len(filled) + len(stars)) + 90)
    for label, single in stars.items():
        if len(single) == 1:
            figure.add_vline(x=next(iter(single.values())), line={"color": palette.NEUTRAL, "width": 1, "dash": "dot"})
        figure.add_scatter(
            x=list(single.values()),
            y=[f"★ {label}"] * len(single),
            text=[as_written(name) for name in single],
            mode="markers",
            marker=palette.OWN | {"symbol": "star", "size": 14},
            showlegend=False,
            hovertemplate="%{text}: %{x:.3g}<extra></extra>",
        )
    for name, group in filled.items():
        unusual = name in known
        figure.add_box(
            x=group,
            y=[as_written(name)] * len(group),
            orientation="h",
            boxpoints="outliers",
            line={"color": palette.UNUSUAL if unusual else palette.ACCENT, "width": 1.6},
            marker={"symbol": "diamond-open" if unusual else "circle", "size": 4},
            showlegend=False,
        )
    figure.update_layout(xaxis={"title": what}, yaxis={"autorange": "reversed", "automargin": True, "type": "category"})
    if reach is not None:
        figure.update_xaxes(autorangeoptions={"include": list(reach)})
    rows: list[Mapping[str, Cell]] = []
    for name, group in filled.items():
        quantiles = zip(QUANTILES, np.quantile(group, list(QUANTILES.values())), strict=True)
        rows.append(
            {
                said("group"): name,
                said("images"): len(group),
                **{said(place): rounded(value) for place, value in quantiles},
            }
        )
    rows += [
        {said("group"): name, said("images"): 1, said("median"): rounded(value)}
        for name, value in (marks or {}).items()
    ]
    medians = ", ".join(f"{name} {significant(float(np.median(group)))}" for name, group in filled.items())
    return Chart(
        figure,
        rows,
        said("{what} in {n} groups of images; medians: {medians}.", what=what, n=len(filled), medians=medians),
    )


def _starred(marks: Mapping[str, float]) -> dict[str, Mapping[str, float]]:
    """Single images by row: each has its own, unless they are many."""
    if len(marks) > STARRED_APART:
        return {said("{n} images", n=len(marks)): marks}
    return {as_written(name): {name: value} for name, value in marks.items()}


def class_weights(weight: FloatArray, classes: Sequence[str], *, dark: bool = False) -> Chart:
    """A neuron's weight into each class, (K,), as bars.

    Parameters
    ----------
    weight : (K,)
    """
    w = np.asarray(weight, np.float64)
    low, high = min(0.0, float(w.min())), max(0.0, float(w.max()))
    pad = LABEL_ROOM * (high - low or 1.0)
    reach = [low - pad * (low < 0), high + pad * (high > 0)]
    figure = blank_figure(dark, height=GROUP_HEIGHT * len(w) + 80)
    colours = [palette.RAISES if value > 0 else palette.LOWERS for value in w]
    add_rows(figure, [as_written(name) for name in classes], w, [significant(float(value)) for value in w], colours)
    figure.update_layout(
        xaxis={"title": said("Weight into the class (higher = speaks for it)"), "zeroline": True, "range": reach},
        yaxis={"type": "category"},
    )
    rows = table({said("class"): classes, said("weight"): w})
    alt = said(
        "Weight into {n} classes; the largest into {classes}, {largest}.",
        n=len(w),
        classes=classes[int(w.argmax())],
        largest=significant(float(w.max())),
    )
    return Chart(figure, rows, alt)
