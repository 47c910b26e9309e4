"""A reference calibrated anew on images of one's own: nothing is trained and nothing is fitted.

The bound on false alarms (Bates et al., 2023) holds for images from the source of the calibration images. So a bundled
or imported reference gets one for another hospital's endoscopes only by calibration images from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nero_core.calibration import Calibration, of_most_images
from nero_core.data.guarantee import BY_CLASS, CalibrationSettings
from nero_core.data.image_set import ImageSet
from nero_core.data.seen import Seen, SeenImages, looked_at
from nero_core.data.splits import looking_alike, numbered, to_calibrate
from nero_core.detectors import Detector, Panel
from nero_core.detectors.calibrating import calibrated, promised
from nero_core.network.class_agreement import ClassAgreement
from nero_core.network.extraction import Batch
from nero_core.records import Activations, Begin, Float64Array, IntArray
from nero_core.reference.agreement import auroc
from nero_core.reference.fit import Unreadable
from nero_core.reference.reference import Reference


def recalibrate(
    reference: Reference,
    images: ImageSet,
    settings: CalibrationSettings = BY_CLASS,
    origin: str = "images given",
    title: str | None = None,
    begin: Begin | None = None,
    unreadable: Unreadable | None = None,
) -> Reference:
    """The same reference with other calibration images; nothing is written.

    Parameters
    ----------
    images : ImageSet
        Ordinary images. Those that were trained or fitted on, look nearly like one that was, or are of one of their
        groups, take no part.
    settings : CalibrationSettings
    origin : str
        Where the images come from, in words.
    title : str, optional
        As it was where not given.
    begin : callable, optional
        Told each stretch of work.
    unreadable : Unreadable, optional
        Collects files that are left out; without it the first one raises.

    Raises
    ------
    InputError
        No image is left, or one cannot be read.
    """
    start: Begin = begin or (lambda what: lambda done, total: None)
    classifier, record = reference.classifier, reference.classifier.training
    hashes = looked_at([images], record, start("Looking at every image"))
    kept, guarantee = to_calibrate(record, images, seen_by(reference), hashes, origin)
    read: list[IntArray] = []

    def note(batch: Batch) -> None:
        read.append(batch.rows)

    held_out = classifier.extract(
        kept.images,
        kept.labels,
        on_unreadable=None if unreadable is None else unreadable.among(kept.images),
        progress=start("Reading calibration images"),
        on_batch=note,
        keep_source=any("source" in detector.info.needs for detector in reference.detectors.values()),
    )
    rows = np.concatenate(read)
    groups, looks = numbered(kept.groups, rows), looking_alike(kept, rows, hashes)
    guarantee = promised(guarantee, held_out, classifier.classes, groups, looks, settings)
    detectors = {name: detector.held_against(held_out, settings) for name, detector in reference.detectors.items()}
    calibrations = {
        name: calibrated(detector, held_out, guarantee, classifier.classes, groups, looks, settings)
        for name, detector in detectors.items()
    }
    ood_scores = _ood_scores(reference, detectors)
    calibrate = np.array(sorted({hashes[key] for key in kept.digests if key in hashes}), dtype=np.uint64)
    trained = seen_by(reference).hashes
    return Reference(
        classifier,
        detectors,
        calibrations,
        _described(reference, title, held_out, calibrations, ood_scores)
        | {"split": _split(images, kept, classifier.classes)},
        ood_scores,
        reference.profile,
        reference.concepts,
        None if reference.sample is None else replace(reference.sample, calibrates=False),
        SeenImages(trained, calibrate),
        ood_predicted=reference.ood_predicted,
    )


def _ood_scores(reference: Reference, detectors: Mapping[str, Detector]) -> dict[str, dict[str, Float64Array]]:
    """Scores of known out-of-distribution images, for the panel against the new calibration images.

    They follow from its members' scores; where the reference does not have all of those, nobody knows them.
    """
    known = {name: dict(sets) for name, sets in reference.ood_scores.items()}
    for name, detector in detectors.items():
        if not isinstance(detector, Panel) or name not in known:
            continue
        sets = known.pop(name)
        if detector.members_.keys() <= known.keys() and reference.ood_predicted.keys() == sets.keys():
            known[name] = {
                key: detector.combined(
                    np.stack([known[member][key] for member in detector.members_]), reference.ood_predicted[key]
                )
                for key in sets
            }
    return known


def seen_by(reference: Reference) -> Seen:
    """What must not calibrate: images of the training and of the fit."""
    record, training = reference.classifier.training, reference.manifest["training"]
    seen = Seen.of(record, None, {} if record is None else record.hashes)
    seen = replace(seen, groups=seen.groups | frozenset(training.get("groups", ())))
    if reference.seen is None:
        return seen
    known = seen.looks_known or bool(training.get("looks_known", False))
    return replace(seen, hashes=np.union1d(seen.hashes, reference.seen.trained), looks_known=known)


def _split(images: ImageSet, kept: ImageSet, classes: Sequence[str]) -> dict[str, Any]:
    """How many images of each class calibrate, where their classes are known."""
    per_class = {}
    if kept.labels is not None:
        counts = np.bincount(kept.labels, minlength=len(classes))
        per_class = {name: {"calibration": int(count)} for name, count in zip(classes, counts, strict=True)}
    return {"per_class": per_class, "grouped": images.groups is not None}


def _described(
    reference: Reference,
    title: str | None,
    held_out: Activations,
    calibrations: Mapping[str, Calibration],
    ood_scores: Mapping[str, Mapping[str, Float64Array]],
) -> dict[str, Any]:
    """The manifest, with what was measured on the earlier calibration images measured on these, or left out."""
    earlier = ("false_alarms", "alpha", "warnings")
    metrics = {
        name: value
        for name, value in reference.manifest["metrics"].items()
        if name not in earlier and not name.startswith("calibration_")
    }
    if held_out.labels is not None:
        predicted = held_out.logits.argmax(axis=1)
        metrics |= ClassAgreement.of(reference.classes, held_out.labels, predicted).metrics()
    metrics["auroc"] = {
        name: {key: auroc(calibrations[name].scores, scores) for key, scores in sets.items()}
        for name, sets in ood_scores.items()
    }
    changed = {"metrics": metrics, "title": title or reference.title}
    changed["calibration"] = of_most_images(calibrations).described()
    if "sample" in reference.manifest:
        changed["sample"] = {**reference.manifest["sample"], "calibrates": False}
    return {**reference.manifest, **changed}
