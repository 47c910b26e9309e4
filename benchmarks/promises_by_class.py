"""Where more is flagged of a class than chance explains, in rows and tables: part of ``benchmarks.promises``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import binom, norm

from benchmarks.measure import Row
from benchmarks.promises_frames import (
    ALPHA,
    BEFORE,
    KINDS,
    LEVEL,
    NOW,
    PREDICTED,
    SIDES,
    SPLITS,
    Flags,
    Frames,
    count_flags,
    over_splits,
    scores_on_arrays,
)

SIGNIFICANT = 0.05
"""For all detectors and classes together: a larger probability is what so many comparisons bring."""


@dataclass(frozen=True)
class Cell:
    """One detector and class over all splits: splits above the bound, mean rate ± standard error, and a p-value."""

    detector: str
    of_class: str
    above: int
    mean: float
    error: float
    p: float

    def __str__(self) -> str:
        return f"{self.detector} on {self.of_class} {self.mean:.1%} ± {self.error:.1%}"


def _mean_or_less(cell: Cell) -> float:
    """To order by; a class without a guarantee in any split comes last."""
    return -math.inf if math.isnan(cell.mean) else cell.mean


def cells(flags: Mapping[str, Flags], classes: Sequence[str], kind: str, side: str) -> list[Cell]:
    """Every detector and class. p: that the guarantee holds and so many splits are above, or the mean is so large.

    Splits are independent draws from fixed frames, so that of S splits Binomial(S, 1 − LEVEL) are above their bound at
    most, and the mean is normal. Bonferroni over the two and all cells, which do depend on each other.
    """
    comparisons = 2 * len(flags) * len(classes)
    found = []
    for name, each in flags.items():
        above, (means, errors) = each.above(kind, side), each.mean(kind, side)
        for place, of_class in enumerate(classes):
            many = int(above[:, place].sum())
            mean, error = float(means[place]), float(errors[place])
            # The error is unknown of a single split, and nought where every split says the same.
            large = norm.sf((mean - ALPHA) / error) if error > 0 else float(not (error == 0 and mean > ALPHA))
            p = min(float(binom.sf(many - 1, len(above), 1 - LEVEL)), float(large))
            found.append(Cell(name, of_class, many, mean, error, min(1.0, comparisons * p)))
    return found


def _told(found: Sequence[Cell], at_most: int = 6) -> str:
    worst = sorted(found, key=_mean_or_less, reverse=True)
    more = f"; {len(worst) - at_most} more" if len(worst) > at_most else ""
    return "; ".join(map(str, worst[:at_most])) + more if worst else "none"


def beyond_chance(found: Sequence[Cell]) -> list[Cell]:
    """Those that so many comparisons do not explain."""
    return [cell for cell in found if cell.p < SIGNIFICANT]


def row_of_splits(flags: Mapping[str, Flags], classes: Sequence[str], side: str) -> Row:
    """How many cells (detector × class × split) lie above their bound, of both kinds, and where beyond chance."""
    count = sum(each.frames[NOW, side].size for each in flags.values())
    expected = sum(float(each.bounds(NOW, side)[1].sum()) for each in flags.values())
    above = {kind: sum(int(each.above(kind, side).sum()) for each in flags.values()) for kind in KINDS}
    where = {kind: beyond_chance(cells(flags, classes, kind, side)) for kind in KINDS}
    return Row(
        f"{len(flags)} detectors × {len(classes)} {side} classes × {SPLITS} random splits: cells above the number that "
        f"α = {ALPHA:g} lets be flagged in {LEVEL:.1%} of splits",
        f"≈ {expected:.0f} of {count:,} by chance" + ("" if side == PREDICTED else ", were it promised"),
        f"{above[NOW]}; beyond chance: {_told(where[NOW])}",
        f"before (marginal) {above[BEFORE]}; beyond chance {len(where[BEFORE])} of {len(flags) * len(classes)} "
        f"detectors and classes: {_told(where[BEFORE])}",
    )


def row_of_means(flags: Mapping[str, Flags], classes: Sequence[str], side: str) -> Row:
    """The largest mean rate of any detector and class."""
    worst = {kind: max(cells(flags, classes, kind, side), key=_mean_or_less) for kind in KINDS}
    return Row(
        f"the same, largest mean share flagged of a {side} class",
        f"≤ {ALPHA:.0%}" if side == PREDICTED else "not promised",
        f"{worst[NOW]}",
        f"before (marginal) {worst[BEFORE]}",
    )


def row_of_official(now: Mapping[str, Flags], before: Mapping[str, Flags], frames: Frames) -> Row:
    """Calibrated on what `train` has set aside, scored on ``id/test``."""

    def above(flags: Mapping[str, Flags], kind: str) -> list[Cell]:
        return [cell for cell in cells(flags, frames.classes, kind, PREDICTED) if cell.above]

    expected = sum(float(each.bounds(NOW, PREDICTED)[1].sum()) for each in now.values())
    largest = max(cells(now, frames.classes, NOW, PREDICTED), key=_mean_or_less)
    worst = above(before, BEFORE)
    return Row(
        f"official split, {len(frames.parts['calibration'])} calibrate, {len(frames.parts['test'])} of `id/test`: "
        "detectors and predicted classes above that number",
        f"≈ {expected:.2f} of {len(now) * len(frames.classes)} by chance",
        f"{len(above(now, NOW))}; the largest share {_without_error(largest)}",
        f"before (marginal, copies not left out) {len(worst)}: {'; '.join(map(_without_error, worst)) or 'none'}",
    )


def _without_error(cell: Cell) -> str:
    return f"{cell.detector} on {cell.of_class} {cell.mean:.1%}"


def _counts(flags: Flags, kind: str) -> str:
    """Flagged of frames of each predicted class in the first split; bold above the bound."""
    columns = (flags.above(kind, PREDICTED), flags.flagged[kind, PREDICTED], flags.frames[kind, PREDICTED])
    cells_of = zip(*(column[0] for column in columns), strict=True)
    return " / ".join(f"**{flagged}** of {of}" if over else f"{flagged} of {of}" for over, flagged, of in cells_of)


def table_of_splits(flags: Mapping[str, Flags], classes: Sequence[str]) -> str:
    """Mean shares flagged per class in per cent, as Markdown."""
    shares = [(f"{side} class, {kind}", kind, side) for side in SIDES for kind in KINDS]
    lines = [
        f"| flagged of {' / '.join(classes)}, %, mean of {SPLITS} random splits | "
        + " | ".join(title for title, _, _ in shares)
        + " |",
        "|---" * (1 + len(shares)) + "|",
    ]
    for name, each in flags.items():
        told = [" / ".join(f"{100 * share:.1f}" for share in each.mean(kind, side)[0]) for _, kind, side in shares]
        lines.append(f"| {name} | " + " | ".join(told) + " |")
    return "\n".join(lines)


def table_of_official(now: Mapping[str, Flags], before: Mapping[str, Flags], classes: Sequence[str]) -> str:
    """Flagged of frames per predicted class, and the most that α lets be flagged by class, as Markdown."""
    lines = [
        f"| official split, flagged of {' / '.join(classes)} | before: marginal | now: by class | at most |",
        "|---" * 4 + "|",
    ]
    for name, each in now.items():
        most = " / ".join(map(str, each.bounds(NOW, PREDICTED)[0][0]))
        lines.append(f"| {name} | {_counts(before[name], BEFORE)} | {_counts(each, NOW)} | {most} |")
    return "\n".join(lines)


def main(frames: Frames) -> tuple[list[Row], list[str]]:
    """All rows and tables of this part."""
    arrays, parts, classes = scores_on_arrays(frames), frames.parts, frames.classes
    splits = {name: over_splits(frames, scores) for name, scores in arrays.items()}
    now, before = (
        {name: count_flags(frames, [(scores, parts[own], parts[test])]) for name, scores in arrays.items()}
        for own, test in (("calibration", "test"), ("calibration before", "test before"))
    )
    rows = [
        *(row(splits, classes, side) for side in SIDES for row in (row_of_splits, row_of_means)),
        row_of_official(now, before, frames),
    ]
    return rows, [table_of_splits(splits, classes), table_of_official(now, before, classes)]
