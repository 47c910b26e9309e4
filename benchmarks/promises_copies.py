"""Copies of training frames, near-identical frames, and what is set aside: part of ``benchmarks.promises``.

What was promised before is worked out from the same network and frames: copies were told by their bytes alone, all
classes were read together, and of every class the same share was set aside.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.measure import Row
from benchmarks.promises_frames import ALPHA, BEFORE, KINDS, NOW, Frames
from nero_core.calibration import false_alarms
from nero_core.data.class_folders import LabelledImages, read_class_folders
from nero_core.data.guarantee import Guarantee, needed_images
from nero_core.data.images import read_image
from nero_core.data.near_duplicates import HashArray, difference_hashes, near_any, near_duplicate_groups
from nero_core.data.preprocessing import Preprocessing
from nero_core.data.splits import Split, assigned, counted, looking_alike, set_aside, split_for_fit
from nero_core.detectors import Detector, make_detector
from nero_core.detectors.calibrating import calibrated, promised
from nero_core.errors import InputError
from nero_core.network.training import train
from nero_core.records import Activations, TrainingRecord

Change = Callable[[Image.Image], Image.Image]

COPIES = 180
QUALITIES = (60, 75, 90, 95)
QUALITY = 75
DETECTOR = "stage_mahalanobis"
SHARES = {"train": 0.75, "calibration": 0.15, "test": 0.1}
"""What was set aside of every class before, however small, and what `train` takes where the class is large enough."""
SEED = 0
ALIKE, ALIKE_OTHERS = 100, 200
"""So many near-identical frames in a class, and so many real ones in each of the others."""
ALIKE_NOISE, ALIKE_SHIFT = 3.0, 2
"""Noise of each frame, grey levels; and how far the camera moves, pixels."""
ALIKE_SIDE, ALIKE_EPOCHS = 64, 4
"""The network is trained at this size, pixels, and for so many epochs: enough to tell the classes apart."""
CHANGES: Mapping[str, Change] = {
    "halved in size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "made 20 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "cut by 5 % at each side": lambda image: ImageOps.crop(image, round(0.05 * min(image.size))),
    "mirrored": ImageOps.mirror,
}
"""What else a copy may have gone through."""
CHANGED_QUALITY = 90


# Copies ----------------------------------------------------------------------------------------------------


def spread(images: LabelledImages, count: int = COPIES) -> LabelledImages:
    """So many of the images, spread evenly over them and so over their classes."""
    return images.select(np.unique(np.linspace(0, len(images) - 1, count).round().astype(np.int64)))


def saved_again(images: LabelledImages, folder: Path, quality: int, change: Change | None = None) -> LabelledImages:
    """The images saved as JPEG in class folders, in the same order."""
    for number, (path, label) in enumerate(zip(images.paths, images.labels, strict=True)):
        place = folder / images.classes[label]
        place.mkdir(parents=True, exist_ok=True)
        image = read_image(path)
        (image if change is None else change(image)).save(place / f"{number:05d}.jpg", quality=quality)
    return read_class_folders(folder, images.classes)


def row_of_found(images: LabelledImages, hashes: HashArray) -> Row:
    """How many copies of training images the near-duplicate hash finds."""
    chosen = spread(images)

    def found(quality: int, change: Change | None = None) -> int:
        with tempfile.TemporaryDirectory() as folder:
            return int(
                near_any(difference_hashes(saved_again(chosen, Path(folder), quality, change).paths)[0], hashes).sum()
            )

    by_quality = ", ".join(f"{found(quality)} at {quality}" for quality in QUALITIES)
    changed = ", ".join(f"{found(CHANGED_QUALITY, change)} {name}" for name, change in CHANGES.items())
    return Row(
        f"of {len(chosen)} training frames saved again as JPEG, told as seen, by quality",
        "stated",
        by_quality,
        f"changed, and saved at {CHANGED_QUALITY}: {changed}. Before (bytes alone): 0",
    )


def row_of_taken(images: LabelledImages, hashes: HashArray, test: LabelledImages) -> Row:
    """How many frames that are no copies are taken for seen."""
    taken = near_any(difference_hashes(test.paths)[0], hashes)
    per_class = test.select(taken).counts()
    return Row(
        f"of {len(test)} frames of `id/test`, told as seen because one of `id/train` looks nearly the same",
        "stated",
        f"{int(taken.sum())}",
        ", ".join(f"{name} {count}" for name, count in per_class.items()) + "; they are left out, not counted as new",
    )


def rows_of_copies(frames: Frames, images: LabelledImages) -> list[Row]:
    """Copies of training frames calibrate: what that promises and what is flagged of unseen frames."""
    record, fit = frames.classifier.training, frames.activations[frames.parts["fit"]]
    assert record is not None
    trained = images.select([key in record.train for key in images.digests])
    detector = make_detector(DETECTOR).fit(fit, frames.classifier.head)

    def row(what: str, quality: int, change: Change | None = None) -> Row:
        with tempfile.TemporaryDirectory() as folder:
            copies = saved_again(spread(trained), Path(folder), quality, change)
            held_out = frames.classifier.extract(copies.paths, copies.labels)
            try:
                split = split_for_fit(record, images, copies)
            except InputError as error:  # none is left
                now, why = "refused", str(error).rstrip(".")
            else:
                left = held_out[np.isin(copies.digests, split.calibration.digests)]
                guarantee = _promised(split, left, NOW)
                now = f"guarantee: {_yes(guarantee)}; {guarantee.dropped} dropped, {len(left)} left"
                why = f"{guarantee.reason}; {_flagged(frames, detector, left, guarantee, NOW)}".lstrip("; ")
        return Row(
            f"{len(copies)} training frames {what} and saved as JPEG ({quality}) calibrate",
            "no guarantee",
            now,
            f"{why}. Before: guarantee: yes; {_flagged(frames, detector, held_out, Guarantee(True), BEFORE)}",
        )

    return [row("unchanged", QUALITY), *(row(what, CHANGED_QUALITY, change) for what, change in CHANGES.items())]


def _promised(split: Split, held_out: Activations, kind: str) -> Guarantee:
    """What the calibration images of a split promise."""
    looks = looking_alike(split.calibration, np.arange(len(held_out)), split.hashes)
    return promised(split.guarantee, held_out, split.calibration.classes, looks=looks, settings=KINDS[kind])


def _yes(guarantee: Guarantee) -> str:
    return "yes" if guarantee.holds else "no"


def _flagged(frames: Frames, detector: Detector, held_out: Activations, guarantee: Guarantee, kind: str) -> str:
    """What is flagged of unseen frames of each true class, in words."""
    unseen = frames.activations[frames.unseen]
    calibration = calibrated(detector, held_out, guarantee, frames.classes, settings=KINDS[kind])
    predicted = unseen.logits.argmax(axis=1)
    try:
        counts = false_alarms(calibration, ALPHA, detector.score(unseen), predicted, unseen.labels, frames.classes)
    except InputError as error:  # too few are left
        return f"nothing is flagged: {error}".rstrip(".")
    told = [f"{flagged / max(of, 1):.1%} of {of} {name}" for name, (flagged, of) in counts["true"].items()]
    return f"{detector.info.title} flags {', '.join(told)}"


# What is set aside -----------------------------------------------------------------------------------------


def rows_of_aside(images: LabelledImages, hashes: HashArray) -> list[Row]:
    """How many images of each class calibrate, of training images as they are."""
    groups = near_duplicate_groups(hashes)
    numbers = assigned(images, groups, SHARES, SEED)
    before = counted({name: images.select(numbers == place) for place, name in enumerate(SHARES)})
    now = counted(set_aside(images, hashes, SHARES["calibration"], SHARES["test"], ALPHA, SEED))
    return [
        Row(
            f"`train` sets aside of {sum(now[name].values())} images of {name} to calibrate",
            f"≥ {needed_images(ALPHA)} where half of the class suffices",
            f"{now[name]['calibration']}",
            f"before {before[name]['calibration']}; now {_parts(now[name])}",
        )
        for name in images.classes
    ]


def _parts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {part}" for part, count in counts.items())


# A class of near-identical frames --------------------------------------------------------------------------


def alike(image: Image.Image, count: int, folder: Path, shift: int) -> None:
    """Frames as a clip has them: one picture, moved by up to so many pixels, with fresh noise."""
    rng = np.random.default_rng(SEED)
    folder.mkdir(parents=True)
    pixels = np.asarray(image, dtype=np.float64)
    for number in range(count):
        moved = np.roll(pixels, rng.integers(-shift, shift + 1, 2), axis=(0, 1))
        noisy = np.clip(moved + rng.normal(0, ALIKE_NOISE, pixels.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{number:03d}.png")


def with_alike(images: LabelledImages, folder: Path, shift: int) -> LabelledImages:
    """Some images of every class but the last, whose only images are near-identical to its first."""
    *others, last = range(len(images.classes))
    for label in others:
        (folder / images.classes[label]).mkdir(parents=True)
        for path in spread(images.select(images.labels == label), ALIKE_OTHERS).paths:
            shutil.copy(path, folder / images.classes[label])
    first = int(np.flatnonzero(images.labels == last)[0])
    alike(read_image(images.paths[first]), ALIKE, folder / images.classes[last], shift)
    return read_class_folders(folder, images.classes)


def row_of_moving(images: LabelledImages) -> Row:
    """What set-aside images of a moving clip promise; no network is needed to tell."""
    with tempfile.TemporaryDirectory() as place:
        clip = with_alike(images, Path(place) / "id", ALIKE_SHIFT)
        hashes, _ = difference_hashes(clip.paths)
        parts = set_aside(clip, hashes, SHARES["calibration"], SHARES["test"], ALPHA, SEED)
        learnt, held, tested = (frozenset(parts[name].digests) for name in SHARES)
        record = TrainingRecord(learnt, held, tested)
        split = split_for_fit(record, clip)
    name, per_class = clip.classes[-1], counted(parts)
    return Row(
        f"{ALIKE} frames of {name} are one picture moved by up to {ALIKE_SHIFT} pixels: does any that looks like a "
        "training frame calibrate",
        "0",
        f"{split.per_class()[name]['calibration']} of {per_class[name]['calibration']} set aside",
        f"{split.guarantee.dropped} of {len(parts['calibration'])} images set aside were left out; "
        f"“{split.guarantee.reason or 'guarantee: yes'}”. Before: all {per_class[name]['calibration']}",
    )


def row_of_still(images: LabelledImages, test: LabelledImages) -> Row:
    """A class that is one still scene: what is promised, and what is flagged of other frames of the class."""
    last = len(images.classes) - 1
    name = images.classes[last]
    said: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        folder, out = Path(place) / "id", Path(place) / "classifier.safetensors"
        still = with_alike(images, folder, shift=0)
        side = Preprocessing(height=ALIKE_SIDE, width=ALIKE_SIDE)
        trained = train(folder, "resnet18", out, epochs=ALIKE_EPOCHS, seed=SEED, preprocessing=side, say=said.append)
        classifier = trained.classifier
        assert classifier.training is not None
        aside = still.select([key in classifier.training.calibration for key in still.digests])
        split = split_for_fit(classifier.training, still)
        fit, all_aside, held_out = (
            classifier.extract(each.paths, each.labels) for each in (split.fit, aside, split.calibration)
        )
        scored = classifier.extract(test.paths, test.labels)
    detector = make_detector(DETECTOR).fit(fit, classifier.head)
    predicted, scores = scored.logits.argmax(axis=1), detector.score(scored)

    def told(images_aside: Activations, guarantee: Guarantee, kind: str) -> str:
        calibration = calibrated(detector, images_aside, guarantee, classifier.classes, settings=KINDS[kind])
        decisions = np.array(calibration.decide(scores, ALPHA, predicted), dtype=object)[test.labels == last]
        flagged = sum(decision.state == "out-of-distribution" for decision in decisions)
        guaranteed = sum(decision.guaranteed for decision in decisions)
        return f"{flagged} of {len(decisions)} flagged, {guaranteed} with a guarantee"

    read_as_it = int((predicted[test.labels == last] == last).sum())
    notes = " ".join(line for line in said if line.startswith("note: ") and name in line) or "nothing"
    return Row(
        f"{ALIKE} near-identical frames are all that trained {name}: other frames of it, {DETECTOR} at α = {ALPHA:g}",
        "none with a guarantee",
        told(held_out, _promised(split, held_out, NOW), NOW),
        f"{_parts(trained.per_class[name])}; {read_as_it} read as it. `train` says: “{notes}” "
        f"Marginal on request: {told(held_out, _promised(split, held_out, BEFORE), BEFORE)}. Before: "
        f"{told(all_aside, Guarantee(True), BEFORE)}",
    )


def main(frames: Frames, data: Path) -> list[Row]:
    """All rows of this part."""
    images, test = (read_class_folders(data / "id" / part, frames.classes) for part in ("train", "test"))
    hashes, _ = difference_hashes(images.paths)
    return [
        *rows_of_copies(frames, images),
        row_of_found(images, hashes),
        row_of_taken(images, hashes, test),
        *rows_of_aside(images, hashes),
        row_of_moving(images),
        row_of_still(images, test),
    ]
