"""Detectors added to a reference: what it has is fitted again beside them, and everything else it says stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from nero_core.data.splits import Split
from nero_core.detectors import Panel, make_detector
from nero_core.detectors.panel import may_join, panel_for
from nero_core.errors import InputError
from nero_core.network.activation_cache import classifier_digest
from nero_core.network.classifier import Classifier
from nero_core.neurons.crops import CROP_PIXELS
from nero_core.records import Begin, Source
from nero_core.reference.description import Card, digest_of_fit
from nero_core.reference.fit import Unreadable, fit_reference, seen_in, unfitted_detectors
from nero_core.reference.panel_card import PANEL
from nero_core.reference.reference import RETIRED, Reference


def add_detectors(
    reference: Reference,
    split: Split,
    names: Sequence[str],
    ood: Mapping[str, Sequence[Source]] | None = None,
    begin: Begin | None = None,
    unreadable: Unreadable | None = None,
) -> Reference:
    """The same reference with more detectors; nothing is written.

    What it has is fitted again with the same parameters. Where it has a panel, or gets one, the added detectors that
    can be members become candidates beside its members, and all weights are chosen anew.

    Parameters
    ----------
    split : Split
        The images that it was fitted to and calibrated on.
    names : sequence of str
        Registry names; "panel" gives a panel, and its members, to a reference that has none.
    ood : {name: images}, optional
        Known out-of-distribution images. Where they are not given again, what is kept of earlier ones is left out:
        nobody knows how the added detectors score them.
    begin, unreadable
        As of :func:`~nero_core.reference.fit.fit_reference`.

    Raises
    ------
    InputError
        It has all of them already, a detector of it is not installed here, the network lacks what one reads, or these
        are not the images that it was fitted to or calibrated on.
    UnknownDetectorError
        No detector has one of these names.
    """
    detectors = with_added(reference, names)
    check_same_images(reference, split)
    old = reference.manifest
    new = fit_reference(
        reference.classifier,
        split,
        Card(**{field.name: old[field.name] for field in fields(Card)}),
        detectors=detectors,
        ood=ood,
        crops=reference.concepts is not None,
        crop_pixels=_crop_pixels(reference),
        begin=begin,
        unreadable=unreadable,
        settings=reference.calibration_settings,
    )
    new.manifest["heatmaps"] = old.get("heatmaps")  # of the same network on the same images
    if PANEL in new.detectors:
        members = detectors[PANEL]["members"]
        earlier = old.get("panel", {}).get("added", ())
        new.manifest["panel"]["added"] = [name for name in members if name in {*earlier, *names}]
    new.path = reference.path
    return new


def with_added(reference: Reference, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Every detector that the reference is to have, with its parameters; the panel first.

    Raises
    ------
    InputError
        It has all of `names` already, a detector of it is not installed here, or the network lacks what one reads.
    UnknownDetectorError
        No detector has one of these names.
    """
    if lost := sorted(set(reference.missing) - RETIRED.keys()):
        raise InputError(f"{', '.join(lost)} would be lost, as it is not installed here; install it first.")
    has = {name: detector.parameters() for name, detector in reference.detectors.items()}
    panel = reference.detectors.get(PANEL)
    joining = [name for name in names if name != PANEL and may_join(make_detector(name))]
    found: dict[str, dict[str, Any]] = {}
    if isinstance(panel, Panel) or PANEL in names:
        candidates = panel if isinstance(panel, Panel) else panel_for(reference.classifier.layout)
        members = tuple(dict.fromkeys([*candidates.members, *joining]))
        found[PANEL] = candidates.parameters() | {"members": members}
        found |= {name: {} for name in members if name in candidates.members and not isinstance(panel, Panel)}
    found |= {name: parameters for name, parameters in has.items() if name != PANEL}
    found |= {name: {} for name in names if name not in found}
    joined = PANEL in found and set(found[PANEL]["members"]) != set(has.get(PANEL, {}).get("members", ()))
    if found.keys() == has.keys() and not joined:
        raise InputError(f"This reference has {', '.join(names)} already; it has {', '.join(has)}. Add another.")
    unfitted_detectors(reference.classifier, found)
    return found


def check_same_images(reference: Reference, split: Split) -> None:
    """Refuse other images than those that a reference was fitted to and calibrated on.

    Raises
    ------
    InputError
        Says which are others. How calibration images look is not known of older references; theirs are not compared.
    """
    stated, found = reference.manifest["training"]["digest"], digest_of_fit(split)
    if stated != found:
        raise InputError(
            f"The {len(split.fit)} training images have the digest {found[:16]}…, and the "
            f"{reference.manifest['training']['images']} that this reference was fitted to {stated[:16]}…; give the "
            "folder that it was fitted to, or fit a new reference."
        )
    if reference.seen is None:
        return
    calibrated = seen_in(reference.classifier, split).calibrated
    if not np.array_equal(np.unique(calibrated), np.unique(reference.seen.calibrated)):
        origin = reference.manifest["calibration"]["guarantee"]["origin"]
        raise InputError(
            f"This reference was calibrated on other images ({origin}) than those given; give them (--calibration), or "
            "add to the reference as it was before and calibrate the result."
        )


def check_same_network(reference: Reference, classifier: Classifier) -> None:
    """Refuse another network than that of a reference, or one whose images are prepared in another way.

    Raises
    ------
    InputError
        Says what differs.
    """
    ours = reference.classifier
    for what, own, other in (
        ("architecture", ours.architecture, classifier.architecture),
        ("classes", ours.classes, classifier.classes),
        ("preparation of images", ours.preprocessing, classifier.preprocessing),
        ("weights", classifier_digest(ours)[:16], classifier_digest(classifier)[:16]),
    ):
        if own != other:
            raise InputError(
                f"The classifier is not that of this reference: its {what} differ, {other} and {own}; give the one "
                "that it was fitted to (or none: the reference holds it), or fit a new reference."
            )


def _crop_pixels(reference: Reference) -> int:
    """The side of its crops."""
    if reference.concepts is None or not (pictured := reference.concepts.neurons):
        return CROP_PIXELS
    return int(reference.concepts.crops(pictured[0])[0].height)
