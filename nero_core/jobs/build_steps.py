"""One build from images to a reference: check everything first, then train, fit, calibrate and measure."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from nero_core.calibration import Calibration, of_most_images
from nero_core.calibration.stored import calibrated_as
from nero_core.data.class_folders import LabelledImages, list_images
from nero_core.data.guarantee import CalibrationSettings, Guarantee, needed_images
from nero_core.data.listing import read_images, read_in_distribution
from nero_core.data.near_duplicates import (
    HashArray,
    difference_hashes,
    large_groups,
    mixed_groups,
    near_duplicate_groups,
)
from nero_core.data.preprocessing import Preprocessing
from nero_core.data.splits import SEEN_ORIGIN, Split, set_aside, split_for_fit
from nero_core.detectors.nero import COMPONENT_SHARE
from nero_core.errors import InputError
from nero_core.jobs.builds import (
    CALIBRATION_SHARE,
    CLASSIFIER,
    IMAGES,
    TEST_SHARE,
    UPLOAD,
    WEIGHTS,
    Build,
    BuildRequest,
)
from nero_core.jobs.queue import Reporter
from nero_core.jobs.uploaded_images import MAX_CLASSES, unpack_class_folders
from nero_core.network.checkpoints import Weights
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.network.given import given_classifier
from nero_core.network.given_preprocessing import described, given_preprocessing
from nero_core.network.pretrained import pretrained_weights
from nero_core.network.training import train
from nero_core.records import Progress
from nero_core.reference.adding import add_detectors, with_added
from nero_core.reference.description import Card
from nero_core.reference.fit import Unreadable, fit_reference
from nero_core.reference.recalibration import recalibrate
from nero_core.reference.reference import Reference
from nero_core.storage.files import make_private_folder

MIN_CLASS_IMAGES = 10
"""Fewer make no centroid of a class worth the name once a quarter is set aside."""
MAX_UNREADABLE_SHARE = 0.1
"""Above this something is wrong with the folder, and leaving files out would hide it."""


def build(job: Build, report: Reporter) -> None:
    """Do the work of one job; its folder then holds a reference.

    Raises
    ------
    InputError
        Checked before anything is trained: too few images, one class only, files in two classes, too many unreadable
        files, an unknown architecture, weights that do not fit.
    ArtefactError
        Something cannot be written.
    Cancelled
        Somebody asked for it.
    """
    report.stage("checking")
    folder = _images_folder(job, report.begin("Unpacking"))
    try:
        if job.request.calibrate:
            _calibrate(job, folder, report)
        elif job.request.add_to:
            _add(job, folder, report)
        else:
            _build(job, folder, report)
    except InputError as error:
        check_there(folder, error)
        raise


def _build(job: Build, folder: Path, report: Reporter) -> None:
    request = job.request
    settings = request.settings()
    preprocessing = given_preprocessing(request.architecture, *settings).preprocessing
    check_class_count(folder)
    classifier = None
    if not request.epochs:
        weights = _weights(job)
        assert weights is not None
        classifier = given_classifier(weights, request.architecture, _class_names(folder), *settings)
        for name, text in described(asdict(classifier.preprocessing), classifier.preprocessing_origins):
            report.note(f"{name}: {text}.")
    group = request.group or None
    images = read_images(
        folder, None if classifier is None else classifier.classes, group, report.begin("Reading files")
    )
    if classifier is None:
        start: Path | Weights | None = _weights(job)
        if request.pretrained:
            found = pretrained_weights(request.architecture, report.note)
            start = Weights(found.weights, found.origin)
        build_classifier(request.architecture, images.classes, request.seed, start, preprocessing)
    hashes, unreadable = difference_hashes(images.paths, report.begin("Looking at every image"))
    readable = [row for row in range(len(images)) if row not in unreadable]
    check_unreadable(len(images), list(unreadable.values()))
    usable = images.select(readable)
    for note in check_images(usable, hashes[readable], request):
        report.note(note)
    unusual = known_unusual(Path(request.unusual)) if request.unusual else {}
    calibration = None
    if request.calibration:
        calibration = read_images(Path(request.calibration), images.classes, group, report.begin("Reading files"))
        check_calibration(len(set(calibration.digests) - set(images.digests)), request.alpha)

    checkpoint = job.folder / CLASSIFIER
    if classifier is None:
        if not checkpoint.is_file():
            _train(job, folder, preprocessing, checkpoint, report)
        classifier = Classifier.load(checkpoint)
    report.stage("fitting")
    calibration_settings = CalibrationSettings(request.by_class, request.alpha, request.confidence or None)
    split = split_for_fit(
        classifier.training,
        images,
        calibration,
        request.calibration_seen and classifier.training is None,
        report.begin("Looking at every calibration image"),
    )
    check_calibration(len(split.calibration), request.alpha)
    for note in notes_of(split, calibration_settings):
        report.note(note)
    left_out = Unreadable()
    reference = fit_reference(
        classifier,
        split,
        Card(request.title, request.image_source, request.licence),
        ood=unusual,
        crops=request.crops,
        faithfulness=request.faithfulness,
        begin=report.begin,
        unreadable=left_out,
        settings=calibration_settings,
    )
    check_calibration(int(reference.manifest["calibration"]["images"]), request.alpha)  # without those left out
    check_unreadable(len(images), list(left_out.reasons.values()))
    for reason in left_out.reasons.values():
        report.note(f"Left out: {reason}")
    for warning in reference.manifest["metrics"]["warnings"]:
        report.note(warning)
    _finish(job, reference)


def _train(job: Build, folder: Path, preprocessing: Preprocessing, checkpoint: Path, report: Reporter) -> None:
    request = job.request
    report.stage("training")
    train(
        folder,
        request.architecture,
        checkpoint,
        epochs=request.epochs,
        seed=request.seed,
        init=_weights(job),
        calibration_share=CALIBRATION_SHARE,
        test_share=TEST_SHARE,
        alpha=request.alpha,
        group=request.group or None,
        init_unseen=request.init_unseen,
        pretrained=request.pretrained,
        frozen=request.frozen,
        preprocessing=preprocessing,
        begin=report.begin,
        on_epoch=report.history,
    )


def _calibrate(job: Build, folder: Path, report: Reporter) -> None:
    """A reference as it is, with other calibration images."""
    request = job.request
    reference = Reference.load(request.calibrate)
    images = read_in_distribution(folder, reference.classes, request.group or None, report.begin("Reading files"))
    report.stage("fitting")
    left_out = Unreadable()
    calibrated = recalibrate(
        reference,
        images,
        CalibrationSettings(request.by_class, request.alpha, request.confidence or None),
        request.image_source,
        request.title,
        report.begin,
        left_out,
    )
    check_unreadable(len(images), list(left_out.reasons.values()))
    calibration = of_most_images(calibrated.calibrations)
    check_calibration(len(calibration), request.alpha)
    for note in [*short_of(calibration), *promised(calibration.guarantee), *left_out.reasons.values()]:
        report.note(note)
    _finish(job, calibrated)


def _add(job: Build, folder: Path, report: Reporter) -> None:
    """A reference with more detectors, fitted and calibrated on the same images."""
    request = job.request
    reference = Reference.load(request.add_to)
    with_added(reference, request.add)  # a refusal before minutes are spent on the images
    group, calibration = request.group or None, None
    images = read_images(folder, reference.classes, group, report.begin("Reading files"))
    if request.calibration:
        calibration = read_images(Path(request.calibration), reference.classes, group, report.begin("Reading files"))
    seen = calibrated_as(reference.manifest)[0].origin == SEEN_ORIGIN
    looking = report.begin("Looking at every image")
    split = split_for_fit(reference.classifier.training, images, calibration, seen, looking)
    report.stage("fitting")
    unusual = known_unusual(Path(request.unusual)) if request.unusual else None
    left_out = Unreadable()
    added = add_detectors(reference, split, request.add, unusual, report.begin, left_out)
    added.manifest["title"] = request.title
    if lost := sorted(reference.manifest["ood"].keys() - added.manifest["ood"].keys()):
        report.note(f"Left out with their scores, as they were not given again: known OOD images {', '.join(lost)}.")
    for note in [*promised(split.guarantee), *left_out.reasons.values()]:
        report.note(note)
    _finish(job, added)


def _finish(job: Build, reference: Reference) -> None:
    """Save the result, and remove what it was made from."""
    shutil.rmtree(job.result, ignore_errors=True)
    make_private_folder(job.result)  # it holds activations of the images, and crops of them where that was allowed
    reference.save(job.result)
    for left in (job.folder / UPLOAD, job.folder / CLASSIFIER, *job.folder.glob(f"{WEIGHTS}.*")):
        left.unlink(missing_ok=True)


# Checks ------------------------------------------------------------------------------------------------------------


def known_unusual(folder: Path) -> dict[str, list[Path]]:
    """Images of each kind: one per sub-folder, or one named after the folder where it holds no sub-folder.

    Raises
    ------
    InputError
        The folder is missing, or a kind holds no image.
    """
    kinds = _class_names(folder) if folder.is_dir() else []
    return {kind: list_images(folder / kind) for kind in kinds} or {folder.name: list_images(folder)}


def check_there(folder: Path, found: Exception | None = None) -> None:
    """Refuse a folder that was taken away, which explains whatever else was found wrong.

    Raises
    ------
    InputError
        It is not there.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not there any more; put it back and try again.") from found


def check_class_count(folder: Path) -> None:
    """Refuse a folder with more sub-folders than classes can be, without listing them all.

    Raises
    ------
    InputError
        It has more, or is not there.
    """
    check_there(folder)
    with os.scandir(folder) as inside:
        count = sum(1 for _ in islice((entry for entry in inside if entry.is_dir()), MAX_CLASSES + 1))
    if count > MAX_CLASSES:
        raise InputError(f"{folder} has more than {MAX_CLASSES} sub-folders; wanted one per class.")


def check_unreadable(images: int, reasons: Sequence[str]) -> None:
    """Refuse where more than a tenth of the files cannot be read; the first reason is told.

    Raises
    ------
    InputError
        They are more.
    """
    if len(reasons) > MAX_UNREADABLE_SHARE * images:
        raise InputError(
            f"{len(reasons)} of {images} images cannot be read, more than {MAX_UNREADABLE_SHARE:.0%}; look at the "
            f"folder first. The first: {reasons[0]}"
        )


def check_images(images: LabelledImages, hashes: HashArray, request: BuildRequest) -> list[str]:
    """Refuse too few images for the classes and for the share of false alarms asked for; returns what is worth a note.

    Parameters
    ----------
    hashes : (n,) uint64

    Raises
    ------
    InputError
        Says how many there are and how many are needed.
    """
    small = [f"{name!r} has {count}" for name, count in images.counts().items() if count < MIN_CLASS_IMAGES]
    if small:
        raise InputError(
            f"Too few readable images: {', '.join(small)}; wanted at least {MIN_CLASS_IMAGES} in every class."
        )
    groups = near_duplicate_groups(hashes)
    notes = [*large_groups(images, groups), *mixed_groups(images, groups)]
    fitted = len(images)
    if request.epochs and not request.calibration:
        needed = needed_images(request.alpha)
        parts = set_aside(images, hashes, CALIBRATION_SHARE, TEST_SHARE, request.alpha, request.seed)
        fitted = len(parts["train"])
        if len(parts["calibration"]) < needed:
            raise InputError(
                f"{len(images)} images leave {len(parts['calibration'])} for calibration; to flag at most "
                f"{100 * request.alpha:.3g} in 100 ordinary images needs {needed} of every class. Add images, or let "
                "more be flagged."
            )
    components = int(512 * COMPONENT_SHARE)
    if fitted < components:
        notes.append(
            f"{fitted} images are left to fit on. NERO keeps no more principal components than there are images; "
            f"a ResNet-18 would use {components}. More images make its distances steadier."
        )
    return notes


def notes_of(split: Split, settings: CalibrationSettings) -> list[str]:
    """What of a split is worth a note: classes short of calibration images, and what is promised."""
    short = [
        f"{name}: {counts['calibration']} calibration images; α = {settings.alpha:g} needs {settings.needed}, so that "
        "images read as this class get no guarantee."
        for name, counts in split.per_class().items()
        if counts["calibration"] < settings.needed
    ]
    return short + promised(split.guarantee)


def short_of(calibration: Calibration) -> list[str]:
    """The predicted classes that too few images calibrate."""
    return [
        f"{name}: {each['predicted']} calibration images are read as this class; α = {calibration.settings.alpha:g} "
        f"needs {calibration.settings.needed}, so that such images get no guarantee."
        for name, each in calibration.per_class().items()
        if each["predicted"] < calibration.settings.needed
    ]


def promised(guarantee: Guarantee) -> list[str]:
    """What took no part in a calibration, and why it promises nothing."""
    notes = [f"{note}." for note in guarantee.left_out]
    return notes if guarantee.holds else [*notes, f"No guarantee: {guarantee.reason}."]


def check_calibration(images: int, alpha: float) -> None:
    """Refuse calibration images too few for the share of false alarms asked for.

    Raises
    ------
    InputError
        Says how many there are and how many are needed.
    """
    if images < needed_images(alpha):
        raise InputError(
            f"There are {images} calibration images; to flag at most {100 * alpha:.3g} in 100 ordinary images needs "
            f"{needed_images(alpha)}. Add images, or let more be flagged."
        )


# Images and weights ------------------------------------------------------------------------------------------------


def _images_folder(job: Build, progress: Progress) -> Path:
    if job.request.images:
        return Path(job.request.images)
    folder = job.folder / IMAGES
    if (job.folder / UPLOAD).is_file():
        unpack_class_folders(job.folder / UPLOAD, folder, progress)
    return folder


def _class_names(folder: Path) -> list[str]:
    return sorted(inside.name for inside in folder.iterdir() if inside.is_dir() and not inside.name.startswith("."))


def _weights(job: Build) -> Path | None:
    """The checkpoint: beside the request where it was uploaded, else where its path says."""
    return job.folder / job.request.weights if job.request.weights else None
