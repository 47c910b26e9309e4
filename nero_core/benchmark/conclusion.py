"""What a benchmark comes to, in sentences: which detectors are ahead, how far behind NERO is, and which to use.

Detectors are ahead together where the paired difference to the best may be 0: its 95 % interval over resamples of the
same images holds it. Everything is worked out from the scores of the very result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nero_core.benchmark.result import POOLED, BenchmarkResult, DetectorResult, with_pooled
from nero_core.metrics import Draws, Interval, bootstrap, paired_differences
from nero_core.wording import AND, counted, listed, message, said

METRIC = "auroc"
CHANCE = 0.5
NERO = "nero"
NAMED = 4
"""So many detectors are named; of more, the others are counted."""
MEASURE_ELSEWHERE = message("These images have chosen it: measure it on others.")


@dataclass(frozen=True)
class Standing:
    """How the detectors of a result stand on one OOD set.

    Attributes
    ----------
    ranked : rows
        The detectors that are done, none taken apart, best first by AUROC.
    ahead : rows
        The best, and those that these images do not tell from it.
    nero : DetectorResult or None
    behind : Interval or None
        NERO's AUROC minus that of the best; None without NERO, or where it is the best.
    """

    ranked: tuple[DetectorResult, ...]
    ahead: tuple[DetectorResult, ...]
    nero: DetectorResult | None
    behind: Interval | None


def standing(result: BenchmarkResult, ood_set: str) -> Standing | None:
    """How the detectors stand; None where that cannot be said of this result.

    That is where none ran, and where images belong together but an earlier version did not keep which: intervals that
    take each image for itself would be too narrow.

    Parameters
    ----------
    ood_set : str
        One of :attr:`~nero_core.benchmark.result.BenchmarkResult.columns`.
    """
    rows = [row for row in result.detectors if row.done and not row.ablation]
    ranked = sorted(rows, key=lambda row: -row.metrics[ood_set][METRIC].value)
    groups = result.groups(ood_set)
    if not ranked or groups is None:
        return None
    best, *others = ranked

    def draws(row: DetectorResult) -> Draws:
        scores = result.scores[row.name]
        return bootstrap(scores.id, with_pooled(scores.ood)[ood_set], result.seed, result.resamples, *groups)

    of_best = draws(best)

    def behind(row: DetectorResult) -> Interval:
        values, best_values = ({METRIC: each.metrics[ood_set][METRIC].value} for each in (row, best))
        return paired_differences(values, draws(row), best_values, of_best)[METRIC]

    # Where two intervals lie apart, so does that of the difference from 0: a difference never varies by more than both.
    near = [row for row in others if row.metrics[ood_set][METRIC].high >= best.metrics[ood_set][METRIC].low]
    nero = next((row for row in ranked if row.detector == NERO), None)
    found = {row.name: behind(row) for row in others if row in near or row is nero}
    ahead = (best, *(row for row in near if found[row.name].high >= 0))
    return Standing(tuple(ranked), ahead, nero, found.get(NERO))


def conclusion(result: BenchmarkResult, ood_set: str) -> list[str]:
    """The result in a few sentences, the one that matters most first; none where no detector ran.

    Parameters
    ----------
    ood_set : str
        One of :attr:`~nero_core.benchmark.result.BenchmarkResult.columns`.
    """
    if not any(row.done and not row.ablation for row in result.detectors):
        return []
    found = standing(result, ood_set)
    if found is None:
        return [
            said(
                "Which detectors are ahead cannot be said: images belong together here, and this result of an "
                "earlier version does not keep which. Run it again."
            )
        ]
    if ood_set == POOLED or len(result.ood_sets) == 1:
        where = said("On these images")
    else:
        where = said("On the images of {ood_set}", ood_set=ood_set)
    best = found.ranked[0]
    told = {"where": where, "detector": best.label, "area": _area(best, ood_set)}
    if best.metrics[ood_set][METRIC].low <= CHANCE:
        first = [said("{where} no detector is surely better than chance: the best, {detector}, has {area}.", **told)]
        last = [said("None of them can be recommended by these images.")]
    elif len(found.ranked) == 1:
        first = [said("{where} {detector} alone was compared: {area}.", **told)]
        last = [said("Compare it with others before you choose.")]
    else:
        first, last = [_ahead(found, ood_set, where)], [_use(found)]
    return [*first, *_of_nero(result, found, ood_set), *_below_chance(found, ood_set), *last]


def _ahead(found: Standing, ood_set: str, where: str) -> str:
    best, *others = found.ahead
    if not others:
        told = {"where": where, "detector": best.label, "area": _area(best, ood_set)}
        return said("{where} {detector} is ahead of all others: {area}.", **told)
    lowest, highest = (100 * found.ahead[place].metrics[ood_set][METRIC].value for place in (-1, 0))
    return said(
        "{where} {detectors} are ahead together, and not told apart: AUROC {lowest} to {highest} %.",
        where=where,
        detectors=_listed([row.label for row in found.ahead]),
        lowest=f"{lowest:.1f}",
        highest=f"{highest:.1f}",
    )


def _of_nero(result: BenchmarkResult, found: Standing, ood_set: str) -> list[str]:
    """Where NERO stands, unless the first sentence has said it."""
    if found.nero is None:
        tried = any(row.detector == NERO and not row.ablation for row in result.detectors)
        return [said("NERO could not run.") if tried else said("NERO was not compared.")]
    if found.behind is None:
        return []
    if found.nero in found.ahead:
        named = found.nero in found.ahead[:NAMED] or len(found.ahead) == NAMED + 1
        return [] if named else [said("NERO is among them.")]
    value, low, high = (abs(100 * each) for each in found.behind)
    told = {
        "value": f"{value:.1f}",
        "detector": found.ranked[0].label,
        "high": f"{high:.1f}",
        "low": f"{low:.1f}",
    }
    if found.nero.metrics[ood_set][METRIC].high < CHANCE:
        return [said("NERO is {value} points behind {detector} ({high} to {low}), and below chance.", **told)]
    return [said("NERO is {value} points behind {detector} ({high} to {low}).", **told)]


def _below_chance(found: Standing, ood_set: str) -> list[str]:
    """Those that put OOD images below ID images; NERO is told of before."""
    names = [r.label for r in found.ranked if r.detector != NERO and r.metrics[ood_set][METRIC].high < CHANCE]
    if not names:
        return []
    return [
        counted(
            len(names),
            "{names} is below chance: OOD images get lower scores than ID images.",
            "{names} are below chance: OOD images get lower scores than ID images.",
            names=_listed(names),
        )
    ]


def _use(found: Standing) -> str:
    """Which to use of those that are ahead: the best that need not go through the network again, where there is one."""
    quick = [row for row in found.ahead if not row.sees_images]
    chosen = (quick or found.ahead)[0]
    if len(found.ahead) == 1:
        use = said("Use {detector}.", detector=chosen.label)
    elif chosen is found.ahead[0]:
        use = said("Use {detector}, the highest of them.", detector=chosen.label)
    else:
        use = said(
            "Use {detector}, the highest of those that need not go through the network again.", detector=chosen.label
        )
    return f"{use} {said(MEASURE_ELSEWHERE)}"


def _area(row: DetectorResult, ood_set: str) -> str:
    value, low, high = (100 * each for each in row.metrics[ood_set][METRIC])
    return said("AUROC {value} % ({low} to {high})", value=f"{value:.1f}", low=f"{low:.1f}", high=f"{high:.1f}")


def _listed(names: Sequence[str]) -> str:
    """Such as "A, B and C", or "A, B, C, D and 3 others"."""
    if len(names) > NAMED + 1:
        names = [*names[:NAMED], said("{n} others", n=len(names) - NAMED)]
    return said(listed(names, AND))
