"""One build from images to a reference: check everything first, then train, fit, calibrate and measure."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from nero_core.archives import Archive, Limits, open_archive
from nero_core.build_queue import Reporter
from nero_core.building import (
    CALIBRATION_SHARE,
    CLASSIFIER,
    IMAGES,
    TEST_SHARE,
    UPLOAD,
    Build,
    BuildRequest,
    needed_calibration,
)
from nero_core.classifier import Classifier, build_classifier
from nero_core.datasets import (
    SUFFIXES,
    HashArray,
    LabelledImages,
    difference_hashes,
    large_groups,
    list_images,
    mixed_groups,
    near_duplicate_groups,
    read_class_folders,
    split_groups,
)
from nero_core.detectors.nero import COMPONENT_SHARE
from nero_core.errors import InputError
from nero_core.fitting import Card, Unreadable, divide, fit_reference
from nero_core.given_network import given_classifier
from nero_core.given_preprocessing import described, given_preprocessing
from nero_core.images import MAX_FILE_BYTES, display_name
from nero_core.records import IntArray, Progress
from nero_core.training import train

UPLOAD_LIMITS = Limits(entry_bytes=MAX_FILE_BYTES, total_bytes=8 * 2**30)
MAX_CLASSES = 1000
"""As many as ImageNet has; a folder with more is hardly one of classes."""
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
    images = read_class_folders(
        folder, None if classifier is None else classifier.classes, report.begin("Reading files")
    )
    if classifier is None:
        build_classifier(request.architecture, images.classes, request.seed, _weights(job), preprocessing)
    hashes, unreadable = difference_hashes(images.paths, report.begin("Looking at every image"))
    readable = [row for row in range(len(images)) if row not in unreadable]
    check_unreadable(len(images), list(unreadable.values()))
    usable = images.select(readable)
    for note in check_images(usable, near_duplicate_groups(hashes[readable]), request):
        report.note(note)
    unusual = known_unusual(Path(request.unusual)) if request.unusual else {}
    calibration = None
    if request.calibration:
        calibration = read_class_folders(Path(request.calibration), images.classes, report.begin("Reading files"))
        look = report.begin("Looking at every calibration image")
        for note in check_separate(calibration, images, hashes[readable], request, look):
            report.note(note)

    checkpoint = job.folder / CLASSIFIER
    if classifier is None:
        if not checkpoint.is_file():
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
                preprocessing=preprocessing,
                begin=report.begin,
                on_epoch=report.history,
            )
        classifier = Classifier.load(checkpoint)
    report.stage("fitting")
    parts = divide(classifier, images, calibration, request.calibration_seen and classifier.training is None)
    check_calibration(len(parts.calibration), request.alpha)
    left_out = Unreadable()
    reference = fit_reference(
        classifier,
        parts,
        Card(request.title, request.image_source, request.licence),
        ood=unusual,
        crops=request.crops,
        faithfulness=request.faithfulness,
        begin=report.begin,
        unreadable=left_out,
        alpha=request.alpha,
    )
    check_calibration(int(reference.manifest["calibration"]["images"]), request.alpha)  # without those left out
    check_unreadable(len(images), list(left_out.reasons.values()))
    for reason in left_out.reasons.values():
        report.note(f"Left out: {reason}")
    for warning in reference.manifest["metrics"]["warnings"]:
        report.note(warning)
    shutil.rmtree(job.result, ignore_errors=True)
    reference.save(job.result)
    shutil.rmtree(job.folder / IMAGES, ignore_errors=True)
    for left in (job.folder / UPLOAD, checkpoint, *job.folder.glob("weights.*")):
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
    """Refuse a folder that was taken away, which explains whatever else was found wrong."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not there any more; put it back and try again.") from found


def check_class_count(folder: Path) -> None:
    """Refuse a folder with more sub-folders than classes can be, without listing them all."""
    check_there(folder)
    with os.scandir(folder) as inside:
        count = sum(1 for _ in islice((entry for entry in inside if entry.is_dir()), MAX_CLASSES + 1))
    if count > MAX_CLASSES:
        raise InputError(f"{folder} has more than {MAX_CLASSES} sub-folders; wanted one per class.")


def check_unreadable(images: int, reasons: Sequence[str]) -> None:
    """Refuse where more than a tenth of the files cannot be read; the first reason is told."""
    if len(reasons) > MAX_UNREADABLE_SHARE * images:
        raise InputError(
            f"{len(reasons)} of {images} images cannot be read, more than {MAX_UNREADABLE_SHARE:.0%}; look at the "
            f"folder first. The first: {reasons[0]}"
        )


def check_images(images: LabelledImages, groups: IntArray, request: BuildRequest) -> list[str]:
    """Refuse too few images for the classes and for the share of false alarms asked for; returns what is worth a note.

    Raises
    ------
    InputError
        Says how many there are and how many are needed.
    """
    counts = np.bincount(images.labels, minlength=len(images.classes))
    named = zip(images.classes, counts, strict=True)
    small = [f"{name!r} has {count}" for name, count in named if count < MIN_CLASS_IMAGES]
    if small:
        raise InputError(
            f"Too few readable images: {', '.join(small)}; wanted at least {MIN_CLASS_IMAGES} in every class."
        )
    notes = [*large_groups(images, groups), *mixed_groups(images, groups)]
    fitted = len(images)
    if request.epochs and not request.calibration:
        needed = needed_calibration(request.alpha)
        shares = {"train": 1 - CALIBRATION_SHARE - TEST_SHARE, "calibration": CALIBRATION_SHARE, "test": TEST_SHARE}
        parts = split_groups(images, groups, shares, request.seed)
        fitted = len(parts["train"])
        if len(parts["calibration"]) < needed:
            raise InputError(
                f"{len(images)} images leave {len(parts['calibration'])} for calibration; to flag at most "
                f"{100 * request.alpha:.3g} in 100 ordinary images needs {needed}: about "
                f"{math.ceil(needed / CALIBRATION_SHARE)} images in all. Add images, or let more be flagged."
            )
    components = int(512 * COMPONENT_SHARE)
    if fitted < components:
        notes.append(
            f"{fitted} images are left to fit on. NERO keeps no more principal components than there are images; "
            f"a ResNet-18 would use {components}. More images make its distances steadier."
        )
    return notes


def check_calibration(images: int, alpha: float) -> None:
    """Refuse calibration images too few for the share of false alarms asked for."""
    if images < needed_calibration(alpha):
        raise InputError(
            f"There are {images} calibration images; to flag at most {100 * alpha:.3g} in 100 ordinary images needs "
            f"{needed_calibration(alpha)}. Add images, or let more be flagged."
        )


def check_separate(
    calibration: LabelledImages, images: LabelledImages, hashes: HashArray, request: BuildRequest, progress: Progress
) -> list[str]:
    """Refuse calibration images that are too few, unreadable, or among the others too; returns what is worth a note.

    Parameters
    ----------
    images, hashes
        Those of the reference, and the difference hashes of the readable ones.

    Raises
    ------
    InputError
        Says how many.
    """
    known = set(images.digests)
    if shared := sum(each in known for each in calibration.digests):
        raise InputError(
            f"{shared} of {len(calibration)} calibration images are among the images of the reference too; take them "
            "out of one of the folders. What false alarms are measured on must be new to the network."
        )
    own, unreadable = difference_hashes(calibration.paths, progress)
    check_unreadable(len(calibration), list(unreadable.values()))
    readable = [row for row in range(len(calibration)) if row not in unreadable]
    check_calibration(len(readable), request.alpha)
    groups = near_duplicate_groups(np.concatenate([hashes, own[readable]]))
    alike = int(np.isin(groups[len(hashes) :], groups[: len(hashes)]).sum())
    if not alike:
        return []
    return [
        f"{alike} of {len(readable)} calibration images look nearly like images of the reference. Where they show the "
        "same scenes, more ordinary images of new patients will be flagged than was asked for."
    ]


# Images and weights ------------------------------------------------------------------------------------------------


def check_upload(upload: Path | BinaryIO) -> int:
    """Check an uploaded zip of class folders by its table of contents; returns how many images it holds.

    Raises
    ------
    InputError
        It is refused (see :func:`~nero_core.archives.open_archive`), or holds no images in class folders.
    """
    with open_archive(upload, UPLOAD_LIMITS, "The zip file") as archive:
        return len(_images_in(archive))


def unpack_class_folders(source: Path, folder: Path, progress: Progress) -> None:
    """Unpack the images of a checked zip; whatever else it holds is left in it.

    A single folder around all class folders is taken off.

    Raises
    ------
    InputError
        As :func:`check_upload`, or an entry is damaged.
    """
    shutil.rmtree(folder, ignore_errors=True)  # what a killed process has left
    folder.mkdir()
    with open_archive(source, UPLOAD_LIMITS, "The zip file") as archive:
        images = _images_in(archive)
        for done, (name, inside) in enumerate(images.items(), start=1):
            path = folder.joinpath(*inside.parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            archive.unpack(name, path)
            progress(done, len(images))


def _images_in(archive: Archive) -> dict[str, PurePosixPath]:
    """{entry: its path from the class folders on} of the images; hidden files and system folders are none."""
    paths = {name: PurePosixPath(name) for name in archive.sizes}
    images = {name: path for name, path in paths.items() if path.suffix.lower() in SUFFIXES and not _hidden(path)}
    around = 0  # folders around all class folders
    while images and len({path.parts[0] for path in images.values()}) == 1 and _deeper(images.values(), 2):
        images = {name: PurePosixPath(*path.parts[1:]) for name, path in images.items()}
        around += 1
    if not images or not _deeper(images.values(), 1):
        raise InputError("The zip file holds no images in class folders; wanted one folder per class, images inside.")
    classes = {path.parts[0] for path in images.values()}
    if len(classes) > MAX_CLASSES:
        raise InputError(f"The zip file has {len(classes)} class folders; at most {MAX_CLASSES} are taken.")
    top = PurePosixPath(next(iter(images))).parts[:around]
    beside = [*(path.parent for path in paths.values()), *map(PurePosixPath, archive.folders)]
    inside = [path.parts[around] for path in beside if path.parts[:around] == top and len(path.parts) > around]
    if empty := sorted({name for name in inside if not _hidden(PurePosixPath(name))} - classes):
        raise InputError(
            f"The zip file has {len(empty)} folders without images, the first {display_name(empty[0], 0)!r}; give each "
            "class its images, or leave its folder out."
        )
    return images


def _hidden(path: PurePosixPath) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _deeper(paths: Iterable[PurePosixPath], than: int) -> bool:
    return all(len(path.parts) > than for path in paths)


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
