"""Where a score lies, what it adds up from, and how relevant each neuron was: arrays to charts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from nero_core import wording
from nero_core.errors import InputError
from nero_core.figures import palette
from nero_core.figures.palette import Cell, Chart, add_rows, blank_figure, histogram_shares, rounded, significant, table
from nero_core.records import Float64Array, FloatArray, State
from nero_core.wording import label, said

Effect = Literal["raises", "lowers", "term", "score"]

BULK = 0.95

REACH = 2.5
"""A histogram's axis ends at most this many times the range of the reference's lower `BULK` above its lowest score;
what lies beyond is counted in the last bar. NERO's scores have a long upper tail."""

HEADROOM = 1.25
"""Height of a histogram's axis over its tallest bar: room for the lines' labels."""

FEWEST_BINS, MOST_BINS = 12, 40

MOST_TICKS = 8
"""Numbers on a histogram's axis, at most; an end of it takes the place of one nearer than half their distance."""

HATCHED: Mapping[str, Any] = {
    "color": "rgba(0,0,0,0)",
    "line": {"width": 1.5, "color": palette.UNUSUAL},
    "pattern": {"shape": "/", "fgcolor": palette.UNUSUAL, "size": 6},
}
"""Bars of known unusual images, which lie over those of the calibration images."""

ROW_HEIGHT = 34  # pixels per horizontal bar, enough for its label at the body's font size


@dataclass(frozen=True)
class AccountRow:
    """One step of the account of a score: from `start` to `end`, `value` = end − start, in units of the score."""

    label: str
    effect: Effect
    neurons: tuple[int, ...]
    value: float
    start: float
    end: float


def score_histogram(
    reference: npt.ArrayLike,
    score: float,
    *,
    threshold: float | None = None,
    known: Mapping[str, npt.ArrayLike] | None = None,
    state: State | None = None,
    height: int = 320,
    dark: bool = False,
) -> Chart:
    """Histogram of the reference's in-distribution scores, with this image's score among them.

    Parameters
    ----------
    reference : (n,)
        Scores of the calibration images; larger = more out-of-distribution.
    score : float
        This image's score.
    threshold : float, optional
        Images above it are flagged.
    known : {name: (m,)}, optional
        Scores of images known to be out-of-distribution, drawn together beside the reference's.
    state : optional
        Colours and marks this image's line.
    height : int
        Of the figure, in pixels.
    dark : bool
        Text and grid for a dark page.

    Raises
    ------
    InputError
        There is no reference score, or a score is not finite.
    """
    ordinary = _finite("reference", reference)
    others = {name: _finite(name, values) for name, values in (known or {}).items()}
    pooled = np.concatenate(list(others.values())) if others else np.zeros(0)
    marks = _finite("score and threshold", [score] if threshold is None else [score, threshold])
    edges = _bin_edges(ordinary, np.concatenate([pooled, marks]))
    kinds = {"reference": ordinary, **others}
    shares = {name: histogram_shares(values, edges) for name, values in kinds.items()}

    figure = blank_figure(dark, height)
    hover = "score %{{customdata}}: %{{y:.2g}} % of {}<extra></extra>"
    centres, ends = (edges[:-1] + edges[1:]) / 2, _ends(edges, np.concatenate([ordinary, pooled]))
    spans = [ends.get(i, f"about {centre:.3g}") for i, centre in enumerate(centres)]
    bars: dict[str, Any] = {"x": centres, "width": np.diff(edges) * 0.94, "offset": None, "customdata": spans}
    figure.add_bar(
        **bars,
        y=shares["reference"],
        name=f"{label(wording.CALIBRATION_IMAGES)} ({len(ordinary)})",
        marker={"color": palette.ACCENT, "line": {"width": 0}},
        hovertemplate=hover.format(said(wording.CALIBRATION_IMAGES)),
    )
    if others:
        figure.add_bar(
            **bars,
            y=[share or None for share in histogram_shares(pooled, edges)],  # no outline round an empty bin
            name=f"{label(wording.KNOWN_UNUSUAL_IMAGES)} ({len(pooled)})",
            marker=HATCHED,
            hovertemplate=hover.format(said(wording.KNOWN_UNUSUAL_IMAGES)),
        )
    low, high = edges[0], edges[-1]
    tallest = [float(shares["reference"].max()), float(histogram_shares(pooled, edges).max()) if others else 0.0]
    if threshold is not None and threshold <= high:
        side = "right" if score >= threshold else _side(threshold, low, high)
        _line(figure, threshold, said(wording.FLAGGED_BEYOND), palette.NEUTRAL, "dash", 0.8, anchor=side)
    own = f"<b>{wording.SYMBOLS[state] + ' ' if state else ''}{said(wording.THIS_IMAGE)}</b>"
    if score > high:
        own += f" ({significant(score)}, off the scale →)"
    colour = palette.STATE_COLOURS[state] if state else palette.NEUTRAL
    _line(figure, min(score, high), own, colour, "solid", 1.0, anchor=_side(min(score, high), low, high))
    figure.update_layout(
        barmode="overlay",
        xaxis={"title": {"text": said(wording.OOD_SCORE), "standoff": 4}, "range": [low, high + 0.02 * (high - low)]}
        | _ticks(edges, ends),
        yaxis={"title": said(wording.SHARE_OF_IMAGES), "range": [0, HEADROOM * max(tallest)]},
    )
    alt = _histogram_in_words(ordinary, score, threshold, ends)
    return Chart(figure, _histogram_rows(edges, shares, ends), alt)


def _histogram_in_words(ordinary: Float64Array, score: float, threshold: float | None, ends: Mapping[int, str]) -> str:
    """What the histogram shows, for who does not see it."""
    alt = f"Histogram of the scores of {len(ordinary)} {said(wording.CALIBRATION_IMAGES)}; this image's score, "
    alt += f"{significant(score)}, lies above {int((ordinary < score).sum())} of them"
    alt += f"; images beyond {significant(threshold)} are flagged." if threshold is not None else "."
    for place, end in ends.items():
        alt += f" The {'first' if place == 0 else 'last'} bar holds all scores {end}."
    return alt


def _ends(edges: Float64Array, scores: Float64Array) -> dict[int, str]:
    """The outermost bins that hold what lies beyond the axis too, {place: "≥ 7.4"}."""
    ends = {0: f"≤ {significant(edges[1])}"} if scores.min() < edges[0] else {}
    return ends | ({len(edges) - 2: f"≥ {significant(edges[-2])}"} if scores.max() > edges[-1] else {})


def _ticks(edges: Float64Array, ends: Mapping[int, str]) -> dict[str, Any]:
    """Round numbers along a histogram's axis, and the bars that hold more than their place by name."""
    if not ends:
        return {}
    low, high = float(edges[0]), float(edges[-1])
    power = 10.0 ** math.floor(math.log10((high - low) / MOST_TICKS))
    step = next(power * n for n in (1, 2, 5, 10) if power * n * MOST_TICKS >= high - low)
    named = [float(edges[i] + edges[i + 1]) / 2 for i in ends]
    numbers = [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
    numbers = [x for x in numbers if all(abs(x - end) > step / 2 for end in named)]
    return {"tickvals": [*numbers, *named], "ticktext": [*(f"{x:.6g}" for x in numbers), *ends.values()]}


def _histogram_rows(
    edges: Float64Array, shares: Mapping[str, Float64Array], ends: Mapping[int, str]
) -> list[Mapping[str, Cell]]:
    """The bins and what share of each kind of images lies in them; the last has no upper end."""
    return [
        {
            said(wording.SCORE_FROM): None if i == 0 and i in ends else rounded(a),
            "to": rounded(b) if b < edges[-1] else None,
        }
        | {f"{name} (% of images)": rounded(float(share[i]), 2) for name, share in shares.items()}
        for i, (a, b) in enumerate(itertools.pairwise(edges))
    ]


def account_rows(
    contributions: FloatArray,
    terms: Mapping[str, float],
    factor: float,
    leading: Sequence[int],
    names: Sequence[object] | None = None,
) -> tuple[AccountRow, ...]:
    """The account of a score, factor·(Σ_j contribution_j + Σ terms), as steps that end at the score.

    Parameters
    ----------
    contributions : (c,)
        Each neuron's exact share; both signs occur.
    terms : {name: float}
        What no single neuron stands for, such as NERO's bias term.
    factor : float
        NERO's f; 1 where the score has none.
    leading : indices
        Neurons with a row of their own; all others share two rows, one raising and one lowering.
    names : sequence, optional
        What the neurons are called; their positions where not given.

    Returns
    -------
    rows
        Raising neurons (largest first) and the rest of them, lowering neurons and the rest of them, the
        terms, and last the score, which is the sum of all before it.

    Raises
    ------
    InputError
        A leading neuron does not exist.
    """
    parts = factor * np.asarray(contributions, np.float64)
    named = list(dict.fromkeys(int(j) for j in leading))
    if outside := [j for j in named if not 0 <= j < len(parts)]:
        raise InputError(f"Neuron {outside[0]} does not exist; there are {len(parts)} contributions.")
    others = np.setdiff1d(np.arange(len(parts)), named)

    steps: list[tuple[str, Effect, tuple[int, ...], float]] = []
    groups: tuple[tuple[Effect, Any], ...] = (("raises", parts >= 0), ("lowers", parts < 0))
    for effect, belongs in groups:
        own = sorted((j for j in named if belongs[j]), key=lambda j: -abs(parts[j]))
        steps += [(f"Neuron {j if names is None else names[j]}", effect, (j,), float(parts[j])) for j in own]
        rest = tuple(int(j) for j in others[belongs[others]])
        if rest:
            verb = "raising" if effect == "raises" else "lowering"
            steps.append(
                (f"{len(rest)} other{'s' * (len(rest) > 1)}, {verb}", effect, rest, math.fsum(parts[list(rest)]))
            )
    steps += [(name.capitalize(), "term", (), factor * term) for name, term in terms.items()]

    rows, end = [], 0.0
    for i, (part, effect, neurons, value) in enumerate(steps):
        start, end = end, math.fsum(step[3] for step in steps[: i + 1])
        rows.append(AccountRow(part, effect, neurons, value, start, end))
    return (*rows, AccountRow("Score", "score", (), end, 0.0, end))


def account_chart(rows: Sequence[AccountRow], *, detector: str | None = None, dark: bool = False) -> Chart:
    """The account of a score as bars that each start where the one above ends.

    Parameters
    ----------
    detector : str, optional
        Title of the detector whose score it is, where others stand on the same page.
    """
    title = said(wording.OOD_SCORE) if detector is None else f"{detector}<br>{said(wording.OOD_SCORE)}"
    colours = {"raises": palette.RAISES, "lowers": palette.LOWERS, "term": palette.NEUTRAL, "score": palette.ACCENT}
    ends = [row.end for row in rows] + [row.start for row in rows]
    low, high = min(ends), max(ends)
    pad = 0.14 * (high - low or 1.0)  # room for the numbers beside the bars
    figure = blank_figure(dark, height=ROW_HEIGHT * len(rows) + 88)
    add_rows(
        figure,
        [row.label for row in rows],
        [row.end - row.start for row in rows],
        [significant(row.value) if row.effect == "score" else _signed(row.value) for row in rows],
        [colours[row.effect] for row in rows],
        base=[row.start for row in rows],
    )
    figure.update_layout(
        bargap=0.35,
        xaxis={"title": title, "range": [low - (pad if low < 0 else 0), high + pad]},
    )
    twin = table(
        {
            "part": [row.label for row in rows],
            "effect": [row.effect for row in rows],
            said(wording.ADDS_TO_THE_SCORE): [row.value for row in rows],
            "sum so far": [row.end for row in rows],
        }
    )
    raising = math.fsum(row.value for row in rows if row.effect == "raises")
    lowering = math.fsum(row.value for row in rows if row.effect == "lowers")
    terms = "".join(f", the {row.label.lower()} {significant(row.value)}" for row in rows if row.effect == "term")
    alt = (
        f"{label(wording.SCORE_DECOMPOSITION)} of {significant(rows[-1].value)}: neurons raising it add "
        f"{significant(raising)}, neurons lowering it {significant(lowering)}{terms}."
    )
    return Chart(figure, twin, alt)


def relevance_profile(
    relevance: FloatArray,
    mean: FloatArray,
    std: FloatArray,
    *,
    known_mean: FloatArray | None = None,
    top: int | None = 24,
    dark: bool = False,
) -> Chart:
    """Per-channel mean relevance: reference images with their spread, known unusual ones, and this image.

    Parameters
    ----------
    relevance, mean, std : (d,)
        This image's relevance; mean and standard deviation over in-distribution images.
    known_mean : (d,), optional
        Mean over images known to be out-of-distribution.
    top : int or None
        Only the channels that deviate most from the mean, largest first; None: all, in their own order.

    Raises
    ------
    InputError
        They are of different numbers of channels.
    """
    r, m, s = (np.asarray(a, np.float64) for a in (relevance, mean, std))
    u = None if known_mean is None else np.asarray(known_mean, np.float64)
    if len({a.shape for a in (r, m, s) + (() if u is None else (u,))}) > 1:
        raise InputError(f"Relevance has {len(r)} channels, the reference {len(m)}; use the reference of this network.")
    order = np.argsort(-np.abs(r - m), kind="stable")[:top] if top is not None else np.arange(len(r))
    few = top is not None
    calibrated, known = label(wording.CALIBRATION_IMAGES), label(wording.KNOWN_UNUSUAL_IMAGES)
    x = [str(j) for j in order] if few else order
    figure = blank_figure(dark, height=340)
    if few:
        figure.add_scatter(
            x=x, y=m[order], mode="markers", name=f"{calibrated}: mean ± one standard deviation",
            marker={"color": palette.ACCENT, "symbol": "line-ew-open", "size": 12, "line": {"width": 3}},
            error_y={"type": "data", "array": s[order], "color": palette.ACCENT, "thickness": 5, "width": 0},
        )  # fmt: skip
    else:
        figure.add_scatter(
            x=np.concatenate([order, order[::-1]]), y=np.concatenate([(m + s)[order], (m - s)[order][::-1]]),
            fill="toself", fillcolor=palette.see_through(palette.ACCENT, 0.3), line={"width": 0}, hoverinfo="skip",
            name=f"{calibrated}: ± one standard deviation",
        )  # fmt: skip
        figure.add_scatter(
            x=x, y=m[order], mode="lines", line={"color": palette.ACCENT, "width": 1.2}, name=f"{calibrated}: mean"
        )
    if u is not None:
        marks = {"color": palette.UNUSUAL, "symbol": "diamond-open", "size": 9 if few else 4, "line": {"width": 2}}
        figure.add_scatter(x=x, y=u[order], mode="markers", name=f"{known}: mean", marker=marks)
    own_marks = palette.OWN | {"symbol": "circle", "size": 10 if few else 6}
    figure.add_scatter(x=x, y=r[order], mode="markers", name=label(wording.THIS_IMAGE), marker=own_marks)
    title = "Neuron, most different first" if few else "Neuron"
    figure.update_layout(
        xaxis={"title": title, "type": "category" if few else "linear", "showgrid": False},
        yaxis={"title": said(wording.RELEVANCE_TO_THE_ANSWER), "zeroline": True},
    )
    columns = {said(wording.THIS_IMAGE): r, said(wording.CALIBRATION_IMAGES): m, "spread": s}
    columns |= ({} if u is None else {said(wording.KNOWN_UNUSUAL_IMAGES): u}) | {"difference": r - m}
    rows = table({"neuron": order} | {name: values[order] for name, values in columns.items()})
    most = int(np.argmax(np.abs(r - m)))
    alt = (
        f"Relevance of {len(order)} of {len(r)} neurons for this image beside their mean over "
        f"{said(wording.CALIBRATION_IMAGES)}; neuron "
        f"{most} differs most, {significant(r[most])} against {significant(m[most])}."
    )
    return Chart(figure, rows, alt)


def _finite(what: str, values: npt.ArrayLike) -> Float64Array:
    array = np.asarray(values, np.float64).ravel()
    if not len(array) or not np.isfinite(array).all():
        raise InputError(f"`{what}` holds {len(array)} scores; wanted at least one, all finite.")
    return array


def _bin_edges(ordinary: Float64Array, others: Float64Array) -> Float64Array:
    """Equal bins fitted to the bulk of the ordinary scores, continued to the others as far as `REACH` allows."""
    low, most = float(ordinary.min()), float(np.quantile(ordinary, BULK))
    bulk = ordinary[ordinary <= most]
    span = most - low or max(abs(most), 1.0) * 0.1
    width = span / min(max(len(np.histogram_bin_edges(bulk, "fd")) - 1, FEWEST_BINS), MOST_BINS)
    reached = np.concatenate([ordinary, others])
    reached = reached[(reached >= low - span) & (reached <= low + REACH * span)]
    start, stop = reached.min() - width / 2, reached.max() + width
    edges: Float64Array = start + width * np.arange(math.ceil((stop - start) / width) + 1)
    return edges


def _side(x: float, low: float, high: float) -> str:
    """On which side of a line its label has room."""
    return "left" if x < low + 0.6 * (high - low) else "right"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + significant(value)


def _line(figure: go.Figure, x: float, label: str, colour: str, dash: str, height: float, *, anchor: str) -> None:
    """A labelled vertical line; the label stands beside its upper end, in the colour of the page's text."""
    figure.add_shape(
        type="line", x0=x, x1=x, y0=0, y1=height, yref="paper", line={"color": colour, "width": 2.5, "dash": dash}
    )
    figure.add_annotation(
        x=x, y=height, yref="paper", text=label, showarrow=False, xanchor=anchor, yanchor="top",
        xshift=6 if anchor == "left" else -6, font={"size": 14},
    )  # fmt: skip
