"""Which images fit the detectors, which calibrate them, and which are scored as in-distribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from nero_core.benchmark.result import ID, POOLED
from nero_core.data.guarantee import Guarantee
from nero_core.data.image_set import ImageSet, grouped_as_recorded
from nero_core.data.seen import Seen, looked_at
from nero_core.data.splits import ASIDE_ORIGIN, FOLDER_ORIGIN, to_calibrate
from nero_core.errors import InputError
from nero_core.network.classifier import Classifier
from nero_core.records import Progress
from nero_core.reference.recalibration import seen_by
from nero_core.reference.reference import Reference

FEW_IMAGES = 50
"""Below this many images of a set its intervals are wide enough to be worth a sentence."""


@dataclass(frozen=True, eq=False)
class Division:
    """The images of a benchmark, each in one part.

    Attributes
    ----------
    fit : ImageSet or None
        With labels. None where no training image is known: then nothing can be fitted.
    calibration : ImageSet or None
        Held-out in-distribution images for p-values.
    id : ImageSet
        Scored as in-distribution; never seen by the classifier as far as is known.
    ood : {name: ImageSet}
    guarantee : Guarantee or None
        What these calibration images promise; None where there are none.
    warnings : texts
    hashes : {digest: difference hash}
        How the images look that fit, calibrate or are scored as in-distribution.
    """

    fit: ImageSet | None
    calibration: ImageSet | None
    id: ImageSet
    ood: Mapping[str, ImageSet]
    guarantee: Guarantee | None
    warnings: tuple[str, ...]
    hashes: Mapping[str, int] = field(default_factory=dict)


def divide(
    classifier: Classifier,
    id_images: ImageSet,
    ood: Mapping[str, ImageSet],
    train: ImageSet | None = None,
    calibration: ImageSet | None = None,
    progress: Progress | None = None,
    reference: Reference | None = None,
) -> Division:
    """Divide by the digests that `train` recorded beside the weights.

    Images the classifier was trained on fit the detectors, those it set aside for calibration calibrate, and all
    others of `id_images` are scored as in-distribution.

    Parameters
    ----------
    id_images : ImageSet
    ood : {name: ImageSet}
    train : ImageSet, optional
        Where the fitting images, and those set aside for calibration, are, if not among `id_images`. With labels.
    calibration : ImageSet, optional
        In-distribution images that the classifier never saw, instead of those set aside.
    progress : callable, optional
        Of looking at images for copies of one another.
    reference : Reference, optional
        Whose detectors are scored as they are: what they were fitted and calibrated on is not scored as ID.

    Raises
    ------
    InputError
        There is no OOD image, a name is not allowed, `train` has no labels, or no image is left to be scored as ID.
    """
    _check_ood(ood)
    ood, repeated = _each_once(ood)
    if train is not None and train.labels is None:
        raise InputError("The training images have no classes; give a folder with one sub-folder per class.")
    warnings: list[str] = list(repeated)
    record = classifier.training
    id_images = grouped_as_recorded(id_images, record)
    train = None if train is None else grouped_as_recorded(train, record)
    trained = frozenset() if record is None else record.train
    aside = frozenset() if record is None else record.calibration | record.test

    fit, asked, origin = _to_fit(id_images, train, trained, aside), calibration, FOLDER_ORIGIN
    if record is None:
        warnings.append(
            "It is not known what this classifier was trained on: if ID images are among that, every figure is too "
            "good."
        )
    if asked is None and record is not None:
        source = id_images if train is None else train
        asked, origin = source.select([key in record.calibration for key in source.digests]), ASIDE_ORIGIN
    asked = asked if asked is not None and len(asked) else None
    used = trained | _keys(fit) | (frozenset() if record is None else record.calibration)
    unused = id_images.select([key not in used for key in id_images.digests])

    hashes = looked_at([each for each in (fit, asked, unused) if each is not None], record, progress)
    seen = Seen.of(record, fit, hashes)
    calibrating = np.empty(0, np.uint64)
    if reference is not None:
        seen = seen.joined(seen_by(reference))
        calibrating = calibrating if reference.seen is None else reference.seen.calibrated
    held_out, guarantee = None, None
    if asked is not None:
        held_out, guarantee = to_calibrate(record, asked, seen, hashes, origin)
        warnings += [f"{note}." for note in guarantee.left_out]
    looks = np.array([hashes[key] for key in _keys(held_out) if key in hashes], dtype=np.uint64)
    calibrates = Seen(_keys(held_out), np.unique(np.concatenate([looks, calibrating])))
    scored = unused.select(~(seen.overlap(unused, hashes) | calibrates.overlap(unused, hashes)))
    warnings += _left_out(id_images, unused, scored, train is not None)
    if fit is None:
        warnings.append(
            "No training image was found, so nothing can be fitted: only the reference's own detectors are scored. "
            "Give the class folders that the classifier was trained on with --train."
        )
    warnings += _overlaps(ood, {"training": _keys(fit) | trained, "calibration": _keys(held_out), "ID": _keys(scored)})
    warnings += _few({**ood, "the ID test images": scored})
    return Division(fit, held_out, scored, ood, guarantee, tuple(warnings), hashes)


def _to_fit(
    id_images: ImageSet, train: ImageSet | None, trained: frozenset[str], aside: frozenset[str]
) -> ImageSet | None:
    """The images that detectors are fitted on; None where there are none."""
    if train is not None:
        fit = train.select([key not in aside for key in train.digests])
    elif id_images.labels is not None:
        fit = id_images.select([key in trained for key in id_images.digests])
    else:
        return None
    return fit if len(fit) else None


def _left_out(id_images: ImageSet, unused: ImageSet, scored: ImageSet, with_train: bool) -> list[str]:
    """Which ID images are not scored, and why.

    Raises
    ------
    InputError
        None is left.
    """
    if not len(scored):
        raise InputError(
            f"All {len(id_images)} ID images were used to train or to calibrate, or look nearly like those that were; "
            "none is left to be scored. Give images that the classifier has never seen with --id, and the training "
            "images with --train."
        )
    warnings = []
    if alike := len(unused) - len(scored):
        warnings.append(
            f"{alike} of {len(unused)} ID images left look nearly like images that train or calibrate, or are of a "
            "group that trains; left out."
        )
    if with_train and (left_out := len(id_images) - len(unused)):
        warnings.append(f"{left_out} of {len(id_images)} ID images were used to train or to calibrate; left out.")
    return warnings


def _check_ood(ood: Mapping[str, ImageSet]) -> None:
    if not ood or not all(len(images) for images in ood.values()):
        empty = [name for name, images in ood.items() if not len(images)]
        raise InputError(f"There is no OOD image{f' in {empty[0]}' if empty else ''}; give at least one set of them.")
    for name in (POOLED, ID):
        if name in ood:
            raise InputError(f"An OOD set is named {name!r}, which stands for something else here; rename it.")


def _each_once(ood: Mapping[str, ImageSet]) -> tuple[dict[str, ImageSet], list[str]]:
    """Each OOD set without a second copy of a file, and a warning where there was one."""
    kept, warnings = {}, []
    for name, images in ood.items():
        _, first = np.unique(images.digests, return_index=True)
        once = np.isin(np.arange(len(images)), first)
        kept[name] = images.select(once)
        if repeated := len(images) - len(first):
            warnings.append(
                f"{repeated} of {len(images)} images of OOD set {name!r} are the same file as another; counted once."
            )
    return kept, warnings


def _keys(images: ImageSet | None) -> frozenset[str]:
    return frozenset() if images is None else frozenset(images.digests)


def _overlaps(ood: Mapping[str, ImageSet], known: Mapping[str, frozenset[str]]) -> list[str]:
    """A warning for each OOD set that shares files with ID images, or with an earlier OOD set."""
    warnings = []
    earlier: dict[str, frozenset[str]] = {f"{what} images": keys for what, keys in known.items()}
    for name, images in ood.items():
        for what, keys in earlier.items():
            if shared := sum(key in keys for key in images.digests):
                count = "All" if shared == len(images) else f"{shared} of {len(images)}"
                warnings.append(
                    f"{count} images of OOD set {name!r} are also among the {what} (same bytes): "
                    "its figures mean little."
                )
        earlier[f"images of OOD set {name!r}"] = _keys(images)
    return warnings


def _few(sets: Mapping[str, ImageSet]) -> list[str]:
    warnings = [
        f"{name} is one image: its figures say nothing beyond it." for name, images in sets.items() if len(images) == 1
    ]
    few = [f"{name} ({len(images)})" for name, images in sets.items() if 1 < len(images) < FEW_IMAGES]
    if few:
        warnings.append(f"Fewer than {FEW_IMAGES} images: {', '.join(few)}. Read the intervals, not the figures.")
    return warnings
