"""Calibrating a fitted detector on held-out images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nero_core.calibration.conformal import Calibration
from nero_core.data.guarantee import BY_CLASS, CalibrationSettings, Guarantee
from nero_core.detectors.base import Detector
from nero_core.records import Activations, Float64Array, IntArray
from nero_core.wording import OR, listed, message


def promised(
    guarantee: Guarantee,
    held_out: Activations,
    classes: Sequence[str],
    groups: IntArray | None = None,
    looks: IntArray | None = None,
    settings: CalibrationSettings = BY_CLASS,
) -> Guarantee:
    """What calibration images promise once it is known which of them can be read, and as what.

    Nothing is promised where a class has no calibration image at all: its images may carry any share of alarms, also
    among those of the classes that they are taken for. By class nothing where no class has enough; for all classes
    together nothing where the images are of too few patients or views.

    Parameters
    ----------
    guarantee : Guarantee
        What is promised as far as the images were not seen.
    held_out : Activations
        All images that calibrate.
    classes : K names
    groups, looks : (n,) int64, optional
        As of :class:`Calibration`.
    """
    predicted = held_out.logits.argmax(axis=1)
    by_class = predicted if settings.by_class else None
    whole = Calibration(np.zeros(len(held_out)), guarantee, by_class, tuple(classes), groups, settings, looks=looks)
    known = predicted if held_out.labels is None else held_out.labels
    absent = [name for number, name in enumerate(classes) if number not in known]
    # By class, too: images of a class without any are read as another, and were never among those that calibrate it.
    if absent and (held_out.labels is not None or not settings.by_class):
        classes_in_words = listed(absent, OR)
        return guarantee.withdrawn(
            message("no calibration image is read as {classes}", classes=classes_in_words)
            if held_out.labels is None
            else message("no calibration image is of {classes}", classes=classes_in_words)
        )
    if settings.by_class:
        if any(each["guaranteed"] for each in whole.per_class().values()):
            return guarantee
        return guarantee.withdrawn(
            message(
                "no class has the {needed} independent calibration images of its own that α = {alpha} needs",
                needed=settings.needed,
                alpha=f"{settings.alpha:g}",
            )
        )
    return guarantee if whole.independent >= settings.needed else guarantee.withdrawn(whole.too_alike)


def calibrated(
    detector: Detector,
    held_out: Activations,
    guarantee: Guarantee,
    classes: Sequence[str],
    groups: IntArray | None = None,
    looks: IntArray | None = None,
    settings: CalibrationSettings = BY_CLASS,
    scores: Float64Array | None = None,
) -> Calibration:
    """Calibrate a fitted detector on held-out images.

    Parameters
    ----------
    held_out : Activations
        n images.
    guarantee : Guarantee
        What these images promise, from :func:`promised`.
    classes : K names
    groups, looks : (n,) int64, optional
        As of :class:`Calibration`.
    scores : (n,), optional
        Of these images, where they are known already; the detector need not be fitted then.
    """
    return Calibration(
        detector.calibration_scores(held_out) if scores is None else scores,
        guarantee,
        predicted=held_out.logits.argmax(axis=1) if settings.by_class else None,
        classes=tuple(classes),
        groups=groups,
        settings=settings,
        looks=looks,
    )
