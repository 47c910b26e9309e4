"""Calibrating a fitted detector on held-out images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nero_core.calibration.conformal import Calibration
from nero_core.data.guarantee import BY_CLASS, CalibrationSettings, Guarantee
from nero_core.detectors.base import Detector
from nero_core.errors import InputError
from nero_core.records import Activations, Float64Array, IntArray

LEARNT, DECIDING = slice(0, None, 2), slice(1, None, 2)
"""Of calibration images, for a detector that learns from some: every second one, so that classes stay balanced."""


def deciding_rows(detector: Detector, alike: IntArray | None = None) -> slice | npt.NDArray[np.bool_]:
    """Which calibration images decide on a detector's scores: those that it has not learnt from.

    Parameters
    ----------
    alike : (n,) int64, optional
        Which belong together: then every second group is learnt from, in order of appearance.
    """
    if "calibration" not in detector.info.needs:
        return slice(None)
    if alike is None:
        return DECIDING
    _, starts, numbers = np.unique(alike, return_index=True, return_inverse=True)
    deciding: npt.NDArray[np.bool_] = np.argsort(np.argsort(starts))[numbers] % 2 == 1
    return deciding


def learnt_from(detector: Detector, held_out: Activations | None, alike: IntArray | None = None) -> Activations | None:
    """The calibration images that a detector learns from, and that cannot decide on its scores; None for most.

    Parameters
    ----------
    alike : (n,) int64, optional
        As of :func:`deciding_rows`.

    Raises
    ------
    InputError
        There are fewer than two images, or groups, to divide.
    """
    if held_out is None or "calibration" not in detector.info.needs:
        return None
    if (apart := len(held_out) if alike is None else len(np.unique(alike))) < 2:
        of_one = ", all of one patient, clip or view," if len(held_out) > apart else ""
        raise InputError(f"{len(held_out)} calibration images{of_one} cannot be divided in two; give at least 2.")
    return held_out[LEARNT] if alike is None else held_out[~np.asarray(deciding_rows(detector, alike))]


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
    known, word = (predicted, "read as") if held_out.labels is None else (held_out.labels, "of")
    absent = [name for number, name in enumerate(classes) if number not in known]
    # By class, too: images of a class without any are read as another, and were never among those that calibrate it.
    if absent and (held_out.labels is not None or not settings.by_class):
        return guarantee.withdrawn(f"no calibration image is {word} {' or '.join(absent)}")
    if settings.by_class:
        if any(each["guaranteed"] for each in whole.per_class().values()):
            return guarantee
        return guarantee.withdrawn(
            f"no class has the {settings.needed} independent calibration images of its own that α = "
            f"{settings.alpha:g} needs"
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
    learnt: bool = True,
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
    learnt : bool
        Whether a detector that learns from calibration images has learnt from these: then only the others decide.
    scores : (m,), optional
        Of the m images that decide, where they are known already; the detector need not be fitted then.
    """
    rows = deciding_rows(detector, looks if groups is None else groups) if learnt else slice(None)
    deciding = held_out[rows]
    return Calibration(
        detector.score(deciding) if scores is None else scores,
        guarantee,
        predicted=deciding.logits.argmax(axis=1) if settings.by_class else None,
        classes=tuple(classes),
        groups=None if groups is None else groups[rows],
        settings=settings,
        looks=None if looks is None else looks[rows],
    )
