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
from nero_core.wording import counted, label, languages, message, said

Effect = Literal["raises", "lowers", "term", "score"]
EFFECTS: Mapping[Effect, str] = {
    "raises": message("raises"),
    "lowers": message("lowers"),
    "term": message("term"),
    "score": message("score"),
}
REFERENCE = "reference"  # the kind of the calibration images

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
    kinds = {REFERENCE: ordinary, **others}
    shares = {name: histogram_shares(values, edges) for name, values in kinds.items()}

    figure = blank_figure(dark, height)
    centres, ends = (edges[:-1] + edges[1:]) / 2, _ends(edges, np.concatenate([ordinary, pooled]))
    spans = [ends.get(i, said("about {centre}", centre=f"{centre:.3g}")) for i, centre in enumerate(centres)]
    bars: dict[str, Any] = {"x": centres, "width": np.diff(edges) * 0.94, "offset": None, "customdata": spans}
    figure.add_bar(
        **bars,
        y=shares[REFERENCE],
        name=f"{label(wording.CALIBRATION_IMAGES)} ({len(ordinary)})",
        marker={"color": palette.ACCENT, "line": {"width": 0}},
        hovertemplate=_hover(said(wording.CALIBRATION_IMAGES)),
    )
    if others:
        figure.add_bar(
            **bars,
            y=[share or None for share in histogram_shares(pooled, edges)],  # no outline round an empty bin
            name=f"{label(wording.KNOWN_UNUSUAL_IMAGES)} ({len(pooled)})",
            marker=HATCHED,
            hovertemplate=_hover(said(wording.KNOWN_UNUSUAL_IMAGES)),
        )
    low, high = edges[0], edges[-1]
    tallest = [float(shares[REFERENCE].max()), float(histogram_shares(pooled, edges).max()) if others else 0.0]
    if threshold is not None and threshold <= high:
        side = "right" if score >= threshold else _side(threshold, low, high)
        _line(figure, threshold, said(wording.FLAGGED_BEYOND), palette.NEUTRAL, "dash", 0.8, anchor=side)
    own = f"<b>{wording.SYMBOLS[state] + ' ' if state else ''}{said(wording.THIS_IMAGE)}</b>"
    if score > high:
        own += said(" ({score}, off the scale →)", score=significant(score))
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


def _hover(images: str) -> str:
    """What is told of a bar that is pointed at, in plotly's words."""
    told = said("score {score}: {share} % of {images}", score="%{customdata}", share="%{y:.2g}", images=images)
    return f"{told}<extra></extra>"


def _histogram_in_words(ordinary: Float64Array, score: float, threshold: float | None, ends: Mapping[int, str]) -> str:
    """What the histogram shows, for who does not see it."""
    told = {
        "n": len(ordinary),
        "images": said(wording.CALIBRATION_IMAGES),
        "score": significant(score),
        "below": int((ordinary < score).sum()),
    }
    if threshold is None:
        alt = said(
            "Histogram of the scores of {n} {images}; this image's score, {score}, lies above {below} of them.", **told
        )
    else:
        alt = said(
            "Histogram of the scores of {n} {images}; this image's score, {score}, lies above {below} of them; images "
            "beyond {threshold} are flagged.",
            **told,
            threshold=significant(threshold),
        )
    for place, end in ends.items():
        alt += (
            said(" The first bar holds all scores {end}.", end=end)
            if place == 0
            else said(" The last bar holds all scores {end}.", end=end)
        )
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
            said("to"): rounded(b) if b < edges[-1] else None,
        }
        | {
            said("{kind} (% of images)", kind=said("reference") if name == REFERENCE else name): rounded(
                float(share[i]), 2
            )
            for name, share in shares.items()
        }
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
        steps += [(said("Neuron {n}", n=j if names is None else names[j]), effect, (j,), float(parts[j])) for j in own]
        rest = tuple(int(j) for j in others[belongs[others]])
        if rest:
            told = (
                counted(len(rest), "{n} other, raising", "{n} others, raising")
                if effect == "raises"
                else counted(len(rest), "{n} other, lowering", "{n} others, lowering")
            )
            steps.append((told, effect, rest, math.fsum(parts[list(rest)])))
    steps += [(label(name), "term", (), factor * term) for name, term in terms.items()]

    rows, end = [], 0.0
    for i, (part, effect, neurons, value) in enumerate(steps):
        start, end = end, math.fsum(step[3] for step in steps[: i + 1])
        rows.append(AccountRow(part, effect, neurons, value, start, end))
    return (*rows, AccountRow(said("Score"), "score", (), end, 0.0, end))


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
            said("part"): [row.label for row in rows],
            said("effect"): [said(EFFECTS[row.effect]) for row in rows],
            said(wording.ADDS_TO_THE_SCORE): [row.value for row in rows],
            said("sum so far"): [row.end for row in rows],
        }
    )
    raising = math.fsum(row.value for row in rows if row.effect == "raises")
    lowering = math.fsum(row.value for row in rows if row.effect == "lowers")
    terms = "".join(
        said(", the {term} {value}", term=_inside(row.label), value=significant(row.value))
        for row in rows
        if row.effect == "term"
    )
    alt = said(
        "{decomposition} of {score}: neurons raising it add {raising}, neurons lowering it {lowering}{terms}.",
        decomposition=label(wording.SCORE_DECOMPOSITION),
        score=significant(rows[-1].value),
        raising=significant(raising),
        lowering=significant(lowering),
        terms=terms,
    )
    return Chart(figure, twin, alt)


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


def _inside(name: str) -> str:
    """A label as it stands within a sentence."""
    return name if wording.language() != languages.ENGLISH else name.lower()


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
