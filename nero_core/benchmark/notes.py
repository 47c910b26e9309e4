"""What a reader of a benchmark must know, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nero_core.benchmark.result import DetectorResult
from nero_core.data.guarantee import needed_images
from nero_core.network.activation_cache import Extraction
from nero_core.records import Activations
from nero_core.wording import CALIBRATION_IMAGES, message, said

UNREADABLE_NAMED = 5
"""Unreadable images are all counted; so many per set are named."""
UNGROUPED = message(
    "Nothing is known of which images belong to one patient or clip (--group): where several do, every "
    "interval is too narrow."
)


def in_words(name: str) -> str:
    """A set of images as it is called in a sentence."""
    words = {"fit": "training images", "calibration": said(CALIBRATION_IMAGES), "id": "ID test images"}
    return words.get(name) or name.removeprefix("ood/")


def unreadable(extractions: Mapping[str, Extraction]) -> list[str]:
    """One sentence for each set with images that could not be read."""
    notes = []
    for name, extraction in extractions.items():
        if count := len(extraction.unreadable):
            named = "; ".join(text.rstrip(".") for text in extraction.unreadable[:UNREADABLE_NAMED])
            more = "; and others" if count > UNREADABLE_NAMED else ""
            notes.append(
                f"{count} of {in_words(name)} could not be read and {'was' if count == 1 else 'were'} left out: "
                f"{named}{more}."
            )
    return notes


def too_few(images: int, alpha: float) -> list[str]:
    """A sentence where there are too few calibration images for the share of false alarms asked for."""
    if images >= needed_images(alpha):
        return []
    return [
        message(
            "{images} calibration images are too few for α = {alpha}: no shares of flagged images are given.",
            images=images,
            alpha=f"{alpha:g}",
        )
    ]


def without_guarantee(rows: Sequence[DetectorResult], alpha: float) -> list[str]:
    """A sentence that names the predicted classes without a guarantee, where there is one for others."""
    calibrations = [row.calibration for row in rows if row.calibration is not None and row.calibration.guaranteed]
    named = sorted({name for each in calibrations for name in each.without_guarantee})
    if not named:
        return []
    return [
        message(
            "Images read as {classes} have too few calibration images of that class for α = {alpha}: images of all "
            "classes stand in, and there is no guarantee for them.",
            classes=", ".join(named),
            alpha=f"{alpha:g}",
        )
    ]


def singular(fit: Activations, classes: int) -> list[str]:
    """A sentence where the training images cannot span the features, so that no covariance has an inverse."""
    images, width = fit.features.shape
    still = int((np.ptp(fit.features, axis=0) == 0).sum())
    if images - classes >= width and not still:
        return []
    why = f"{still} of {width} features never change" if still else f"there are {width} features"
    return [
        f"{images} training images, and {why}: the covariance is singular. Detectors that invert it hold it up by "
        "shrinkage or a small ridge, and their figures rest on that."
    ]
