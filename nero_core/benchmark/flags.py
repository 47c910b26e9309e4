"""What a benchmark flags at its α, and how that was calibrated."""

from __future__ import annotations

from collections.abc import Mapping

from nero_core.benchmark.result import ID, CalibrationSummary, Scores, with_pooled
from nero_core.calibration import Calibration, flagged
from nero_core.records import IntArray

ALL_CLASSES = "all classes"
"""What the one threshold of classes read together is called."""


def flagged_shares(
    calibration: Calibration, alpha: float, scores: Scores, predicted: Mapping[str, IntArray]
) -> dict[str, float]:
    """Share of flagged images of the ID set, each OOD set and all OOD sets together."""
    found = {name: flagged(calibration, alpha, values, predicted[name]) for name, values in scores.ood.items()}
    usual = flagged(calibration, alpha, scores.id, predicted[ID])
    return {name: float(each.mean()) for name, each in {ID: usual, **with_pooled(found)}.items()}


def summarised(calibration: Calibration, alpha: float) -> CalibrationSummary:
    """How decisions were calibrated, for a row of a table."""
    by_class = calibration.predicted is not None
    parts = {name: calibration.of(place) for place, name in enumerate(calibration.classes)} if by_class else {}
    return CalibrationSummary(
        images=len(calibration),
        by_class=by_class,
        guaranteed=calibration.guarantee.holds,
        no_guarantee_because=calibration.guarantee.reason,
        thresholds={name: each.threshold(alpha) for name, each in (parts or {ALL_CLASSES: calibration}).items()},
        without_guarantee=tuple(name for name, each in parts.items() if not each.guarantee.holds),
    )
