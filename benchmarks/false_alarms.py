"""Are false alarms what was promised? Random calibration and test splits of frames that a classifier has never seen.

``python -m benchmarks.false_alarms gi.safetensors DATA/id/train DATA/id/test``: the images of both folders that were
not trained on are pooled, so that whatever is drawn to calibrate and whatever is left to be scored are exchangeable.
Given n calibration scores without ties, the number of false alarms among N images is then beta-binomial with
l = ⌊α(n + 1)⌋: Beta(l, n + 1 − l), mean l/(n + 1) (Vovk, 2012). A detector that is read rightly has that mean, that
spread, and one draw in twenty outside the central 95 %.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import betabinom

from nero_core.calibration import Calibration
from nero_core.data.class_folders import read_class_folders
from nero_core.data.guarantee import Guarantee
from nero_core.detectors import Detector, make_detector
from nero_core.network.classifier import Classifier
from nero_core.records import Activations, Float64Array

ALPHAS = (0.05, 0.1, 0.2)
DETECTORS = ("stage_mahalanobis", "mahalanobis", "nero", "energy")
OUTSIDE = 0.05


@dataclass(frozen=True)
class FalseAlarms:
    """What came out for one detector and one α: shares in [0, 1].

    Attributes
    ----------
    mean, spread : float
        Of the share of false alarms, over draws.
    expected, expected_spread : float
        The same of the beta-binomial distribution.
    outside : float
        Share of draws outside its central 95 %.
    """

    detector: str
    alpha: float
    mean: float
    expected: float
    spread: float
    expected_spread: float
    outside: float
    draws: int

    def line(self) -> str:
        """A row of a Markdown table, percent."""
        error = 100 * self.spread / math.sqrt(self.draws)
        return (
            f"| {self.detector} | {self.alpha:g} | {100 * self.mean:.2f} ± {error:.2f} | {100 * self.expected:.2f} | "
            f"{100 * self.spread:.2f} | {100 * self.expected_spread:.2f} | {100 * self.outside:.1f} |"
        )


def drawn(
    detector: Detector, train: Activations, classifier: Classifier, unseen: Activations, count: int, draws: int
) -> list[FalseAlarms]:
    """False alarms of one detector over random draws of `count` calibration images; the others are scored."""
    everything = detector.fit(train, classifier.head).score(unseen)
    shares: dict[float, list[tuple[int, int]]] = {alpha: [] for alpha in ALPHAS}
    for seed in range(draws):
        order = np.random.default_rng(seed).permutation(len(unseen))
        held_out, scored = np.sort(order[:count]), order[count:]
        calibration, scores = everything[held_out], everything[scored]
        p: Float64Array = Calibration(calibration, Guarantee(True)).p_values(scores)
        for alpha in ALPHAS:
            shares[alpha].append((len(calibration), int((p <= alpha + 1e-12).sum())))
    return [_counted(detector, alpha, shares[alpha], len(unseen) - count) for alpha in ALPHAS]


def _counted(detector: Detector, alpha: float, seen: Sequence[tuple[int, int]], scored: int) -> FalseAlarms:
    n = seen[0][0]
    allowed = math.floor(alpha * (n + 1) + 1e-9)
    promised = betabinom(scored, allowed, n + 1 - allowed)
    alarms = np.array([count for _, count in seen])
    low, high = promised.ppf(OUTSIDE / 2), promised.ppf(1 - OUTSIDE / 2)
    return FalseAlarms(
        detector=detector.info.title,
        alpha=alpha,
        mean=float(alarms.mean()) / scored,
        expected=float(promised.mean()) / scored,
        spread=float(alarms.std()) / scored,
        expected_spread=float(promised.std()) / scored,
        outside=float(((alarms < low) | (alarms > high)).mean()),
        draws=len(alarms),
    )


def main(arguments: Sequence[str] | None = None) -> list[FalseAlarms]:
    """Every detector asked for, printed as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("classifier", type=Path, help="what `train` wrote")
    parser.add_argument("folders", type=Path, nargs="+", help="class folders; the first holds what was trained on")
    parser.add_argument("--detectors", nargs="+", default=DETECTORS)
    parser.add_argument("--calibration", type=int, default=202, help="images to calibrate on (default: %(default)s)")
    parser.add_argument("--draws", type=int, default=200)
    options = parser.parse_args(arguments)
    classifier = Classifier.load(options.classifier)
    assert classifier.training is not None, "only `train` knows what was trained on"
    images = [read_class_folders(folder, classifier.classes) for folder in options.folders]
    seen = [np.array([key in classifier.training.train for key in part.digests]) for part in images]
    paths = [path for part, known in zip(images, seen, strict=True) for path in part.select(~known).paths]
    train = classifier.extract(images[0].select(seen[0]).paths, images[0].select(seen[0]).labels)
    unseen = classifier.extract(paths)
    print(f"{options.draws} draws: {options.calibration} of {len(unseen)} unseen images calibrate. Percent.\n")
    print("| detector | α | false alarms, mean | promised | spread | promised | outside the central 95 % |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for name in options.detectors:
        rows += drawn(make_detector(name), train, classifier, unseen, options.calibration, options.draws)
        print("\n".join(row.line() for row in rows[-len(ALPHAS) :]), flush=True)
    return rows


if __name__ == "__main__":
    main()
