"""Calibrating a fitted detector on held-out images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nero_core.calibration.conformal import Calibration
from nero_core.calibration.settings import BY_CLASS, CalibrationSettings
from nero_core.errors import InputError
from nero_core.records import Activations, Guarantee, IntArray

if TYPE_CHECKING:
    from nero_core.detectors import Detector

LEARNT, DECIDING = slice(0, None, 2), slice(1, None, 2)
"""Of calibration images, for a detector that learns from some: every second one, so that classes stay balanced."""


def deciding_rows(detector: Detector) -> slice:
    """Which of the calibration images decide on a detector's scores: those that it has not learnt from."""
    return DECIDING if "calibration" in detector.info.needs else slice(None)


def learnt_from(detector: Detector, held_out: Activations | None) -> Activations | None:
    """The calibration images that a detector learns from, and that cannot decide on its scores; None for most.

    The others are unseen by the detector only as far as they hold no near-duplicates of these: with every image twice,
    once in each half, Fused flags 5.5 % where 4.9 % are expected.

    Raises
    ------
    InputError
        There are fewer than two images to divide.
    """
    if held_out is None or "calibration" not in detector.info.needs:
        return None
    if len(held_out) < 2:
        raise InputError(f"{len(held_out)} calibration images cannot be divided in two; give at least 2.")
    return held_out[LEARNT]


def promised(
    guarantee: Guarantee,
    held_out: Activations,
    classes: Sequence[str],
    groups: IntArray | None = None,
    settings: CalibrationSettings = BY_CLASS,
) -> Guarantee:
    """What calibration images promise once it is known which of them can be read, and as what.

    By class nothing is promised where no class has calibration images enough; for all classes together nothing where
    they are too few patients, or where a class has none at all: its images may then carry any share of false alarms.

    Parameters
    ----------
    guarantee : Guarantee
        What is promised as far as the images were not seen.
    held_out : Activations
        All images that calibrate.
    classes : K names
    groups : (n,) int64, optional
    """
    predicted = held_out.logits.argmax(axis=1)
    whole = Calibration(
        np.zeros(len(held_out)), guarantee, predicted if settings.by_class else None, tuple(classes), groups, settings
    )
    if settings.by_class:
        if any(each["guaranteed"] for each in whole.per_class().values()):
            return guarantee
        return guarantee.withdrawn(
            f"no class has the {settings.needed} independent calibration images of its own that α = "
            f"{settings.alpha:g} needs"
        )
    known, word = (predicted, "read as") if held_out.labels is None else (held_out.labels, "of")
    if absent := [name for number, name in enumerate(classes) if number not in known]:
        return guarantee.withdrawn(f"no calibration image is {word} {' or '.join(absent)}")
    if whole.independent < settings.needed:
        return guarantee.withdrawn(whole.too_few_groups)
    return guarantee


def calibrated(
    detector: Detector,
    held_out: Activations,
    guarantee: Guarantee,
    classes: Sequence[str],
    groups: IntArray | None = None,
    settings: CalibrationSettings = BY_CLASS,
    learnt: bool = True,
) -> Calibration:
    """Calibrate a fitted detector on held-out images.

    Parameters
    ----------
    held_out : Activations
        n images.
    guarantee : Guarantee
        What these images promise, from :func:`promised`.
    classes : K names
    groups : (n,) int64, optional
    learnt : bool
        Whether a detector that learns from calibration images has learnt from these: then only the others decide.
    """
    rows = deciding_rows(detector) if learnt else slice(None)
    deciding = held_out[rows]
    return Calibration(
        detector.score(deciding),
        guarantee,
        predicted=deciding.logits.argmax(axis=1) if settings.by_class else None,
        classes=tuple(classes),
        groups=None if groups is None else groups[rows],
        settings=settings,
    )
