"""From a score to a decision: conformal p-values, what they promise, and false alarms counted."""

from nero_core.calibration.conformal import (
    BORDERLINE_FACTOR,
    Calibration,
    flag_batch,
    of_most_images,
    rounded_up,
    state_of,
)
from nero_core.calibration.rates import false_alarms, flagged
from nero_core.calibration.stored import calibrated_as

__all__ = [
    "BORDERLINE_FACTOR",
    "Calibration",
    "calibrated_as",
    "false_alarms",
    "flag_batch",
    "flagged",
    "of_most_images",
    "rounded_up",
    "state_of",
]
