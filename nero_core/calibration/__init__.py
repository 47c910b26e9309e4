"""From a score to a decision: what is fixed at calibration, conformal p-values, and held-out images that calibrate."""

from nero_core.calibration.conformal import BORDERLINE_FACTOR, Calibration, flag_batch, of_most_images, rounded_up
from nero_core.calibration.held_out import calibrated, deciding_rows, learnt_from, promised
from nero_core.calibration.rates import false_alarms, flagged
from nero_core.calibration.settings import BY_CLASS, DEFAULT_ALPHA, CalibrationSettings
from nero_core.calibration.stored import calibrated_as

__all__ = [
    "BORDERLINE_FACTOR",
    "BY_CLASS",
    "DEFAULT_ALPHA",
    "Calibration",
    "CalibrationSettings",
    "calibrated",
    "calibrated_as",
    "deciding_rows",
    "false_alarms",
    "flag_batch",
    "flagged",
    "learnt_from",
    "of_most_images",
    "promised",
    "rounded_up",
]
