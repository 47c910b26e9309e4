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
            said("the expected share of false alarms is at most the one chosen")
            if settings.confidence is None
            else said(
                "with probability {sure} over sets of calibration images the share of false alarms is at most "
                "{alpha} % where that is chosen; at another, the expected one is at most it",
                sure=f"{settings.confidence:g}",
                alpha=f"{100 * settings.alpha:g}",
            )
        )
        why = said(
            "yes: its calibration images were seen neither in training nor in fitting, so that on new images from the "
            "same source {how}",
            how=how,
        )
    else:
        why = said("no: {reason}", reason=said(guarantee.reason))
    lines = [
        (said("Guarantee"), why),
        (label(CALIBRATION_IMAGES), f"{int(calibration['images'])} ({said(guarantee.origin)})"),
        (
            said("Read"),
            said("each image against those of its predicted class")
            if settings.by_class
            else said(
                "each image against those of all classes together: one class may carry more false alarms than another"
            ),
        ),
    ]
    lines += [(said("Left out of the calibration"), said(note)) for note in guarantee.left_out]
    for name, each in calibration.get("per_class", {}).items():
        short = "" if each["guaranteed"] or not guarantee.holds else said("; too few: no guarantee for these")
        count = int(each["predicted"])
        supports = said("{n}, which support a share of {share} % and more", n=count, share=_percent(1 / (count + 1)))
        lines.append((said("Calibration images read as {name}", name=name), f"{supports}{short}"))
    lines += [
        (said("Patients, examinations or clips"), _grouped(calibration.get("groups"))),
        (said("Smallest share of false alarms that can be asked for"), f"{_percent(calibration['smallest_alpha'])} %"),
    ]
    return tuple(lines)


def _percent(share: float) -> str:
    """Rounded up, as a smaller one is refused."""
    return f"{math.ceil(1e4 * float(share) - 1e-9) / 100:g}"


def _grouped(groups: int | None) -> str:
    if groups is None:
        return said("not told apart: where several images are of one, bands and intervals are too narrow")
    return said("{n} among the calibration images; bands and intervals are by them", n=int(groups))


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
    told = label(KNOWN_UNUSUAL_IMAGES)
    if len(shares) == 1:
        [(flagged, images)] = caught.values()
        return said(
            "{known} caught: {flagged} of {images}, of one kind; the others are missed.",
            known=told,
            flagged=flagged,
            images=images,
        )
    fewest, most = (extreme(images for _, images in caught.values()) for extreme in (min, max))
    return said(
        "{known} caught: {shares} of 100, by kind ({kinds} kinds of {sizes} images); the others are missed.",
        known=told,
        shares=_span(shares[0], shares[-1]),
        kinds=len(shares),
        sizes=_span(fewest, most),
    )


def _span(first: int, last: int) -> str:
    return said("{first} to {last}", first=first, last=last) if first < last else str(first)
