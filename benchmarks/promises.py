"""What the false-alarm guarantee promises, tried: ``python -m benchmarks.promises [--data DIR [--classifier FILE]]``.

Without a folder only draws whose truth is known are tried. With one that holds ``id/train`` and ``id/test``, real
frames are, too: minutes more, and a network is trained first where none is given.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.stats import norm

from benchmarks import promises_by_class, promises_copies, promises_frames
from benchmarks.measure import Row, table
from benchmarks.promises_by_class import SIGNIFICANT
from benchmarks.promises_frames import ALPHA
from nero_core.calibration import Calibration
from nero_core.data.guarantee import CalibrationSettings, Guarantee
from nero_core.network.classifier import Classifier
from nero_core.network.training import train
from nero_core.records import Float64Array, IntArray

CONFIDENCE = 0.9
SIZES = (19, 20, 21, 39, 67, 202)
"""Calibration images of each predicted class: 19 is the fewest for α = 0.05, 20 and 21 round l down, 39 allows two."""
RIGHT = 0.9
"""Share of the images read as a class that are of it; the others are of all other classes alike."""
WIDE_CLASS, WIDE = 39, 3.0
"""Scores of the class with so many calibration images are so many times as wide as those of the others."""
WRONG = 2.0
"""An image that is read wrongly scores so much more."""
SETS = 5000
"""Calibration sets drawn of each kind."""
P_VALUE_SIZES = (19, 67, 202)
P_VALUE_SETS, P_VALUE_DRAWS = 1000, 100
LEVELS = (0.05, 0.1, 0.2, 0.5)
ROUNDING = 1e-12
"""2/40 and 0.05 must meet."""
KINDS: Mapping[str, CalibrationSettings] = {
    **promises_frames.KINDS,
    "with confidence": CalibrationSettings(alpha=ALPHA, confidence=CONFIDENCE),
}
MARGINAL, AVERAGE, CONFIDENT = KINDS


class Distribution(Protocol):
    """What is used of a frozen distribution of SciPy."""

    def rvs(self, size: int, random_state: np.random.Generator) -> Float64Array:
        """Draws."""
        ...

    def sf(self, x: Float64Array | float) -> Float64Array:
        """The probability of a larger value."""
        ...


DISTRIBUTIONS: Mapping[str, Distribution] = {
    "normal": stats.norm(),
    "uniform": stats.uniform(),
    "exponential": stats.expon(),
    "lognormal": stats.lognorm(1),
    "Cauchy": stats.cauchy(),
    "Student t, 3": stats.t(3),
    "Poisson, 3 (ties)": stats.poisson(3),
    "0 or 1 (ties)": stats.bernoulli(0.1),
}


# Classes whose scores differ -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Source:
    """Where images come from: K classes of unequal size, some read as another, whose scores differ.

    An image of class y that is read as class c scores scale_y · X, and WRONG more where it is read wrongly (y ≠ c).

    Attributes
    ----------
    noise : Distribution
        Of X.
    sizes : K int
        Calibration images that are read as each class; new images are read as it in the same proportion.
    """

    noise: Distribution
    sizes: tuple[int, ...] = SIZES

    @cached_property
    def true_of_read(self) -> Float64Array:
        """P(y | c), rows c, (K, K)."""
        K = len(self.sizes)
        if K == 1:
            return np.ones((1, 1))
        wrong = (1 - RIGHT) / (K - 1)
        return wrong + (RIGHT - wrong) * np.eye(K)

    @cached_property
    def read_of_true(self) -> Float64Array:
        """P(c | y), rows y, (K, K)."""
        joint = self.true_of_read.T * np.array(self.sizes)
        shares: Float64Array = joint / joint.sum(axis=1, keepdims=True)
        return shares

    @cached_property
    def scales(self) -> Float64Array:
        """(K,); whole numbers, so that ties stay ties."""
        return np.array([WIDE if size == WIDE_CLASS and len(self.sizes) > 1 else 1.0 for size in self.sizes])

    def draw(self, counts: Sequence[int], rng: np.random.Generator) -> tuple[Float64Array, IntArray, IntArray]:
        """So many images read as each class: scores, predicted and true classes."""
        predicted = np.repeat(np.arange(len(counts)), counts)
        true = (rng.random(len(predicted))[:, None] > np.cumsum(self.true_of_read, axis=1)[predicted]).sum(axis=1)
        scores = self.scales[true] * self.noise.rvs(len(true), rng) + WRONG * (true != predicted)
        return scores, predicted, true

    def beyond(self, thresholds: Float64Array) -> Float64Array:
        """P(score > t_c), (K, K) of images read as c (rows) and of class y (columns), thresholds (K,)."""
        wrong = WRONG * (1 - np.eye(len(self.sizes)))
        found: Float64Array = self.noise.sf((thresholds[:, None] - wrong) / self.scales)
        return found

    def rates(self, calibration: Calibration) -> tuple[Float64Array, Float64Array]:
        """The exact shares of new images that this calibration flags, by predicted and by true class, (K,) each.

        A score that ties with the threshold within a rounding is not flagged, so that these are the largest.
        """
        limits = np.array([calibration.of(number).threshold(ALPHA) for number in range(len(self.sizes))])
        beyond = self.beyond(limits)
        return (beyond * self.true_of_read).sum(axis=1), (beyond * self.read_of_true.T).sum(axis=0)


@dataclass(frozen=True, eq=False)
class Rates:
    """Exact shares flagged over S calibration sets.

    Attributes
    ----------
    predicted, true : (S, K)
        Of the images of each predicted and of each true class.
    guaranteed : (K,) bool
        Which predicted classes have a guarantee.
    """

    predicted: Float64Array
    true: Float64Array
    guaranteed: npt.NDArray[np.bool_]


def rates_over_sets(source: Source, settings: CalibrationSettings, seed: int) -> Rates:
    """Draw calibration sets, and see what each of them flags."""
    rng, names, found = np.random.default_rng(seed), tuple(map(str, source.sizes)), []
    for _ in range(SETS):
        scores, predicted, _ = source.draw(source.sizes, rng)
        of_class = predicted if settings.by_class else None
        calibration = Calibration(scores, Guarantee(True), of_class, names, settings=settings)
        found.append(source.rates(calibration))
    guaranteed = np.array([calibration.of(number).guarantee.holds for number in range(len(names))])
    return Rates(np.array([rates for rates, _ in found]), np.array([rates for _, rates in found]), guaranteed)


# What comes out --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """A mean share with its standard error, and what it is of."""

    what: str
    mean: float
    error: float

    @classmethod
    def over(cls, what: str, rates: Float64Array) -> Share:
        """Over independent sets."""
        return cls(what, float(rates.mean()), float(rates.std(ddof=1) / np.sqrt(len(rates))))

    def __str__(self) -> str:
        return f"{self.mean:.2%} ± {self.error:.2%} ({self.what})"


def largest(shares: Sequence[Share]) -> Share:
    """The largest mean."""
    return max(shares, key=lambda share: share.mean)


def beyond_chance(shares: Sequence[Share], bound: float) -> str:
    """Which are above a bound by more than so many comparisons explain (Bonferroni, 5 % in all)."""
    far = norm.isf(SIGNIFICANT / len(shares))
    above = [share for share in shares if share.mean - bound > far * share.error + ROUNDING]
    return f"beyond chance {len(above)} of {len(shares)}" + (f", the largest {largest(above)}" if above else "")


def by_distribution(kind: str, sizes: tuple[int, ...] = SIZES) -> dict[str, Rates]:
    """What this kind of calibration flags, for each distribution of scores."""
    return {
        name: rates_over_sets(Source(noise, sizes), KINDS[kind], seed)
        for seed, (name, noise) in enumerate(DISTRIBUTIONS.items())
    }


def row_of_kind(kind: str, found: Mapping[str, Rates]) -> Row:
    """Classes of unequal size whose scores differ: the largest mean share flagged of one."""
    sizes = np.array(SIZES)
    together = [Share.over(name, rates.predicted @ (sizes / sizes.sum())) for name, rates in found.items()]
    of_class = [(name, rates, place) for name, rates in found.items() for place in range(len(SIZES))]
    predicted = [
        Share.over(f"{name}, {SIZES[place]} images", rates.predicted[:, place])
        for name, rates, place in of_class
        if rates.guaranteed[place]
    ]
    true = [Share.over(f"{name}, {SIZES[place]} images", rates.true[:, place]) for name, rates, place in of_class]
    return Row(
        f"{len(SIZES)} predicted classes with {', '.join(map(str, SIZES))} calibration images, {len(found)} "
        f"distributions, {SETS:,} sets each, {kind}: largest mean share flagged of a predicted class",
        f"≤ {ALPHA:.0%}" if KINDS[kind].by_class else "not promised",
        str(largest(predicted)),
        f"{beyond_chance(predicted, ALPHA)}; all classes together {largest(together)}; not promised: a true class "
        f"{largest(true)}",
    )


def row_of_confidence(found: Mapping[str, Mapping[str, Rates]]) -> Row:
    """How many calibration sets flag more than α of a predicted class."""

    def above(kind: str) -> dict[int, Share]:
        """By class with a guarantee, the distribution with most such sets."""
        some = next(iter(found[kind].values()))
        return {
            SIZES[place]: largest(
                [
                    Share.over(f"{name}, {SIZES[place]} images", (rates.predicted[:, place] > ALPHA).astype(np.float64))
                    for name, rates in found[kind].items()
                ]
            )
            for place in np.flatnonzero(some.guaranteed)
        }

    confident = above(CONFIDENT)
    average = ", ".join(f"{share.mean:.0%} of {size}" for size, share in above(AVERAGE).items())
    without = ", ".join(str(size) for size in SIZES if size not in confident)
    return Row(
        f"the same, confidence {CONFIDENCE:g}: largest share of sets that flag more than α of a predicted class",
        f"≤ {1 - CONFIDENCE:.0%}",
        ", ".join(map(str, confident.values())),
        f"no guarantee with {without} images. Without confidence the bound is on average: {average}",
    )


def row_of_one_class() -> Row:
    """All images of one class: the marginal kind at each size."""
    shares = [
        Share.over(f"{name}, n = {size}", rates.predicted[:, 0])
        for size in SIZES
        for name, rates in by_distribution(MARGINAL, (size,)).items()
    ]
    return Row(
        f"one class, n = {', '.join(map(str, SIZES))}, {len(DISTRIBUTIONS)} distributions, {SETS:,} sets each: largest "
        "mean share flagged",
        f"≤ {ALPHA:.0%}",
        str(largest(shares)),
        beyond_chance(shares, ALPHA),
    )


def row_of_p_values() -> Row:
    """Whether p-values are super-uniform: at most a share u of them is u or less."""
    excess = []
    for name, noise in DISTRIBUTIONS.items():
        for size in P_VALUE_SIZES:
            rng = np.random.default_rng(0)
            p = np.stack(
                [
                    Calibration(noise.rvs(size, rng), Guarantee(True)).p_values(noise.rvs(P_VALUE_DRAWS, rng))
                    for _ in range(P_VALUE_SETS)
                ]
            )
            excess += [
                Share.over(f"{name}, n = {size}, u = {level:g}", (p <= level + ROUNDING).mean(axis=1) - level)
                for level in LEVELS
            ]
    draws = len(DISTRIBUTIONS) * len(P_VALUE_SIZES) * P_VALUE_SETS * P_VALUE_DRAWS
    return Row(
        f"p-values of {draws:,} draws, {len(DISTRIBUTIONS)} distributions, n = {', '.join(map(str, P_VALUE_SIZES))}, "
        f"u = {', '.join(f'{level:g}' for level in LEVELS)}: largest share of p ≤ u, less u",
        "≤ 0",
        str(largest(excess)),
        beyond_chance(excess, 0.0),
    )


def main() -> list[Row]:
    """Rows of draws whose truth is known."""
    found = {kind: by_distribution(kind) for kind in KINDS}
    kinds = [row_of_kind(kind, of_kind) for kind, of_kind in found.items()]
    return [row_of_p_values(), row_of_one_class(), *kinds, row_of_confidence(found)]


def on_frames(data: Path, file: Path | None) -> tuple[list[Row], list[str]]:
    """Rows and tables of real frames; a network is trained where no file is given."""
    with tempfile.TemporaryDirectory() as folder:
        if file is None:
            file = Path(folder) / "classifier.safetensors"
            train(data / "id" / "train", "resnet18", file, say=lambda line: print(line, file=sys.stderr))
        frames = promises_frames.read_frames(data, Classifier.load(file))
    rows, tables = promises_by_class.main(frames)
    return rows + promises_copies.main(frames, data), tables


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.promises", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="DIR", help="holds id/train and id/test, class folders each")
    parser.add_argument("--classifier", type=Path, metavar="FILE", help="that `train` made from id/train")
    arguments = parser.parse_args()
    print(table(main()))
    if arguments.data is not None:
        results, shown = on_frames(arguments.data, arguments.classifier)
        print("", table(results), *shown, sep="\n\n")
