"""What a calibration promises, in the words of a model card."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nero_core.calibration.stored import calibrated_as


def promise_lines(manifest: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What the calibration of a stored reference promises, as names and texts of a model card."""
    calibration = manifest["calibration"]
    guarantee, settings = calibrated_as(manifest)
    if guarantee.holds:
        how = (
            "the expected share of false alarms is at most the one chosen"
            if settings.confidence is None
            else f"with probability {settings.confidence:g} over calibration sets the share of false alarms is at most "
            f"{100 * settings.alpha:g} % where that is chosen; at another setting, the expected one is at most it"
        )
        why = "yes: its calibration images were seen neither in training nor in fitting, so that on new images from "
        why += f"the same source {how}"
    else:
        why = f"no: {guarantee.reason}"
    lines = [
        ("Guarantee", why),
        ("Calibration images", f"{int(calibration['images'])} ({guarantee.origin})"),
        (
            "Read",
            "each image against those of its predicted class"
            if settings.by_class
            else "each image against those of all classes together: one class may carry more false alarms than another",
        ),
    ]
    lines += [("Left out of the calibration", note) for note in guarantee.left_out]
    for name, each in calibration.get("per_class", {}).items():
        short = "" if each["guaranteed"] or not guarantee.holds else "; too few: no guarantee for these"
        count = int(each["predicted"])
        supports = f"{count}, which support a share of {_percent(1 / (count + 1))} % and more"
        lines.append((f"Calibration images read as {name}", f"{supports}{short}"))
    lines += [
        ("Patients, examinations or clips", _grouped(calibration.get("groups"))),
        ("Smallest share of false alarms that can be asked for", f"{_percent(calibration['smallest_alpha'])} %"),
    ]
    return tuple(lines)


def _percent(share: float) -> str:
    """Rounded up, as a smaller one is refused."""
    return f"{math.ceil(1e4 * float(share) - 1e-9) / 100:g}"


def _grouped(groups: int | None) -> str:
    if groups is None:
        return "not told apart: where several images are of one, bands and intervals are too narrow"
    return f"{int(groups)} among the calibration images; bands and intervals are by them"
