"""What a calibration promises, and what it lets pass, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nero_core.calibration.stored import calibrated_as
from nero_core.wording import CALIBRATION_IMAGES, KNOWN_UNUSUAL_IMAGES, NOBODY_MEASURED, NOT_KEPT, label, said


def promise_lines(manifest: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What the calibration of a stored reference promises, as names and texts of a model card."""
    calibration = manifest["calibration"]
    guarantee, settings = calibrated_as(manifest)
    if guarantee.holds:
        how = (
            "the expected share of false alarms is at most the one chosen"
            if settings.confidence is None
            else f"with probability {settings.confidence:g} over sets of calibration images the share of false alarms "
            f"is at most {100 * settings.alpha:g} % where that is chosen; at another, the expected one is at most it"
        )
        why = "yes: its calibration images were seen neither in training nor in fitting, so that on new images from "
        why += f"the same source {how}"
    else:
        why = f"no: {guarantee.reason}"
    lines = [
        ("Guarantee", why),
        (label(CALIBRATION_IMAGES), f"{int(calibration['images'])} ({guarantee.origin})"),
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


def caught_in_words(caught: Mapping[str, tuple[int, int]] | None, sets: int = 0) -> str:
    """What is flagged of the known out-of-distribution sets, as a range over sets.

    Parameters
    ----------
    caught : {set: (flagged, images)} or None
        From :meth:`~nero_core.reference.reference.Reference.caught`.
    sets : int
        How many sets the reference has scores of.
    """
    if not caught:
        return said(NOT_KEPT if sets else NOBODY_MEASURED)
    shares = sorted(math.floor(100 * flagged / images) for flagged, images in caught.values())
    if len(shares) == 1:
        [(flagged, images)] = caught.values()
        return f"{label(KNOWN_UNUSUAL_IMAGES)} caught: {flagged} of {images}, of one kind; the others are missed."
    range_of = f"{shares[0]} to {shares[-1]}" if shares[0] < shares[-1] else f"{shares[0]}"
    fewest, most = (extreme(images for _, images in caught.values()) for extreme in (min, max))
    sizes = f"{fewest} to {most}" if fewest < most else f"{fewest}"
    kinds = f"by kind ({len(shares)} kinds of {sizes} images)"
    return f"{label(KNOWN_UNUSUAL_IMAGES)} caught: {range_of} of 100, {kinds}; the others are missed."
