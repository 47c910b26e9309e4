"""How the calibration of a stored reference was made, and what it promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nero_core.data.guarantee import CalibrationSettings, Guarantee
from nero_core.wording import message

BY_CLASS_SCHEMA = 2
"""From this schema of the manifest on, calibrations say how they were made."""
CALIBRATED_BEFORE = message(
    "an earlier version calibrated this reference, which did not look for copies of training images; calibrate it again"
)


def calibrated_as(manifest: Mapping[str, Any]) -> tuple[Guarantee, CalibrationSettings]:
    """What the calibration of a reference promises, and how it was made.

    Earlier versions read all classes together, and told copies by their bytes alone: what they promised may not hold.
    """
    described = manifest["calibration"]
    if manifest["schema"] < BY_CLASS_SCHEMA:
        origin = str(described.get("origin", "not stated"))
        return Guarantee(False, CALIBRATED_BEFORE, origin), CalibrationSettings(by_class=False)
    return Guarantee(**described["guarantee"]), CalibrationSettings(**described["settings"])
