"""Is the panel's verdict valid, and no worse than its best member? ``python -m benchmarks.panel DATA CLASSIFIER``.

False alarms over random splits of frames that nobody has learnt from, at each α that the classes support; then each
member, calibrated on the same frames, against the panel: paired differences of AUROC, and of the flagged share where
both raise equally many false alarms on the frames that are scored. Intervals by bootstrap over images.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.measure import Row, table
from benchmarks.promises_frames import SPLITS, Frames, random_splits, read_frames
from nero_core.calibration import Calibration
from nero_core.calibration.pool import held_against
from nero_core.data.class_folders import list_images
from nero_core.data.guarantee import CalibrationSettings, Guarantee
from nero_core.detectors.panel import Panel
from nero_core.metrics import point_metrics
from nero_core.network.classifier import Classifier
from nero_core.records import Float64Array, IntArray

ALPHAS = (0.01, 0.05, 0.1)
RESAMPLES = 1000
SMALL = 100
"""Sets with fewer images are pooled."""
BY_CLASS = CalibrationSettings()
ROUNDING = 1e-12
"""2/40 and 0.05 must meet."""


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    """All rows for one folder with ``id/train``, ``id/test`` and ``ood``, and one classifier trained on it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("classifier", type=Path, metavar="CLASSIFIER")
    parser.add_argument(
        "--also", type=Path, action="append", default=[], metavar="DIR", help="another set (repeatable)"
    )
    options = parser.parse_args(arguments)
    classifier = Classifier.load(options.classifier)
    frames = read_frames(options.data, classifier)
    fit, own = (frames.activations[frames.parts[name]] for name in ("fit", "calibration"))
    panel = Panel().fit(fit, classifier.head, own)
    members = np.stack([member.score(frames.activations) for member in panel.members_.values()])
    rows = [*said_of_members(panel), *false_alarms(frames, members, panel)]
    folders = [folder for folder in sorted((options.data / "ood").iterdir()) if folder.is_dir()]
    sets = {folder.name: list_images(folder) for folder in folders}
    sets |= {f"{folder.name} of another source": list_images(folder) for folder in options.also}
    small = [path for paths in sets.values() if len(paths) < SMALL for path in paths]
    sets = {name: paths for name, paths in sets.items() if len(paths) >= SMALL} | (
        {"small sets": small} if small else {}
    )
    scored = np.concatenate([frames.parts["aside"], frames.parts["test"]])
    for name, paths in sets.items():
        rows += against_members(panel, frames, scored, f"{name} ({len(paths)})", paths)
    print(table(rows))
    return rows


def said_of_members(panel: Panel) -> list[Row]:
    """Weights, and the AUROCs on distorted copies that they rest on."""
    return [
        Row(f"weight of {name}", "", f"{weight:.2f}", "AUROC " + ", ".join(f"{a:.2f}" for a in auroc))
        for name, weight, auroc in zip(panel.members_, panel.weights_, panel.auroc_, strict=False)
    ]


def false_alarms(frames: Frames, members: Float64Array, panel: Panel) -> list[Row]:
    """Over random splits of all unseen frames the mean share flagged, of frames whose class supports the α.

    As many calibrate as `train` has set aside; two thirds of them where no class supports an α with so few.
    """
    aside = len(frames.parts["calibration"])
    return [_alarms(frames, members, panel, alpha, aside) for alpha in ALPHAS]


def _alarms(frames: Frames, members: Float64Array, panel: Panel, alpha: float, count: int) -> Row:
    predicted, shares, least = frames.predicted, [], CalibrationSettings(alpha=alpha).needed
    for own, others in random_splits(frames.unseen, count, SPLITS):
        flagged = []
        for number in range(len(frames.classes)):
            known, read = own[predicted[own] == number], others[predicted[others] == number]
            if len(known) >= least:
                p = held_against(members[:, known], members[:, read], panel.weights_).p_values
                flagged.append(p <= alpha + ROUNDING)
        if flagged:
            shares.append(float(np.concatenate(flagged).mean()))
    most = 2 * len(frames.unseen) // 3
    if not shares:
        if count < most:
            return _alarms(frames, members, panel, alpha, most)
        return Row(f"false alarms at α = {alpha:g}", "", "–", f"no class has {least} calibration frames")
    mean, error = np.mean(shares), np.std(shares, ddof=1) / np.sqrt(len(shares))
    return Row(
        f"false alarms at α = {alpha:g}",
        f"≤ {100 * (alpha + 2 * error):.2f} %",
        f"{100 * mean:.2f} ± {100 * error:.2f} % {'✓' if mean <= alpha + 2 * error else '✗'}",
        f"{len(shares)} splits of {len(frames.unseen)} frames, {count} calibrate",
    )


def against_members(panel: Panel, frames: Frames, scored: IntArray, name: str, paths: Sequence[Path]) -> list[Row]:
    """The panel against each member on one set: AUROC, and the share flagged at equally many false alarms."""
    strange = frames.classifier.extract(list(paths))
    usual, own = frames.activations[scored], frames.activations[frames.parts["calibration"]]
    found: dict[str, tuple[Float64Array, Float64Array]] = {"panel": (panel.score(usual), panel.score(strange))}
    for key, member in panel.members_.items():
        held = Calibration(
            member.score(own), Guarantee(True), own.logits.argmax(axis=1), frames.classes, settings=BY_CLASS
        )
        found[key] = tuple(by_class(held, member.score(each), each.logits.argmax(axis=1)) for each in (usual, strange))
    rng, figures = np.random.default_rng(0), {key: [] for key in found}
    draws = [(np.arange(len(usual)), np.arange(len(strange)))]
    draws += [tuple(rng.integers(n, size=n) for n in (len(usual), len(strange))) for _ in range(RESAMPLES)]
    for ordinary, odd in draws:
        for key, (a, b) in found.items():
            figures[key].append(_figures(a[ordinary], b[odd]))
    rows = []
    reached = {key: np.array(values) for key, values in figures.items()}
    for key in panel.members_:
        difference = reached["panel"] - reached[key]
        low, high = np.percentile(difference[1:], [2.5, 97.5], axis=0)
        texts = [
            f"{100 * d:+.1f} ({100 * lo:+.1f} to {100 * hi:+.1f})"
            for d, lo, hi in zip(difference[0], low, high, strict=True)
        ]
        values = [f"{100 * p:.1f} / {100 * m:.1f}" for p, m in zip(reached["panel"][0], reached[key][0], strict=True)]
        rows.append(Row(f"{name}: panel − {key}, AUROC", "≥ −3", texts[0], values[0]))
        for place, alpha in enumerate(ALPHAS[1:], start=1):
            what = f"{name}: the same, flagged at {100 * alpha:g} % realised"
            rows.append(Row(what, "≥ −3", texts[place], values[place]))
    return rows


def by_class(held: Calibration, scores: Float64Array, predicted: IntArray) -> Float64Array:
    """A member's scores on the scale of its p-values, so that classes are pooled as a verdict pools them; continuous.

    −log p̂ with the exponential tail of the calibration scores of the predicted class, one image at a time.
    """
    found = np.empty(len(scores))
    for number in np.unique(predicted):
        rows = predicted == number
        own = held.of(int(number)).scores[None, :]
        found[rows] = held_against(own, scores[None, rows], np.ones(1)).scores
    return found


def _figures(usual: Float64Array, strange: Float64Array) -> list[float]:
    """AUROC, and the share of strange images above as large a share of usual ones as each α."""
    thresholds = [np.quantile(usual, 1 - alpha, method="higher") for alpha in ALPHAS[1:]]
    return [point_metrics(usual, strange)["auroc"], *(float((strange > t).mean()) for t in thresholds)]


if __name__ == "__main__":
    main()
