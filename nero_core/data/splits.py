"""Which image trains, fits, calibrates and tests, by which group, and what that promises. Decided here only.

The guarantee of a conformal p-value (Bates et al., Annals of Statistics 2023) needs calibration images that neither the
classifier nor the fit has seen. So images are set aside before training, groups and near-duplicates on one side; and
whatever is to calibrate is held against everything that was seen, by its bytes, by how it looks, and by its group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nero_core.data.class_folders import LabelledImages
from nero_core.data.guarantee import Guarantee, needed_images
from nero_core.data.image_set import AnyImages, Images, grouped_as_recorded
from nero_core.data.near_duplicates import HashArray, near_duplicate_groups, numbered_by_appearance
from nero_core.data.seen import MOST_OVERLAP, Seen, looked_at, start_is_known
from nero_core.errors import InputError
from nero_core.records import Float64Array, IntArray, Progress, TrainingRecord
from nero_core.storage.files import digest
from nero_core.wording import message

CALIBRATION_SLACK = 1.25
"""Set aside so many times the images that α needs: some of a class are predicted as another, some are unreadable."""
MOST_ASIDE = 0.5
"""At most so much of a class is set aside: without training images there is nothing to calibrate."""
UNSEEN_ASIDE = 0.75
"""At most so many of the images that initial weights have not seen are set aside: some must be left to learn from."""

ROUNDING = 1e-9
"""Shares of whole numbers of images are whole numbers up to this."""

SEEN_ORIGIN, ASIDE_ORIGIN = message("the images of the fit (seen)"), message("set aside before training")
FOLDER_ORIGIN = message("images given")
UNKNOWN_TRAINING = message("it is not known which images the network was trained on")
UNKNOWN_START = message(
    "it is not known which images the weights that training started from had seen; where they are of other images, "
    "such as ImageNet's, train with --init-unseen"
)
CALIBRATED_ON_SEEN = message("the calibration images are those that the detectors were fitted on")
LOOKS_UNKNOWN = message(
    "it is not known how the images that the network was trained on look, so that copies of them cannot be told; "
    "give the folder that it was trained on"
)


def set_aside(
    images: LabelledImages,
    hashes: HashArray,
    calibration_share: float,
    test_share: float,
    alpha: float,
    seed: int,
    seen: frozenset[str] = frozenset(),
) -> dict[str, LabelledImages]:
    """The parts "train", "calibration" and "test"; what belongs together is in one part.

    Of every class the shares are set aside, and for calibration at least what α needs, as far as half of the class
    suffices. Groups with an image that initial weights were trained on go to "train". A part that a CSV manifest
    names is kept to, and the other images of that group follow.

    Parameters
    ----------
    images : LabelledImages
        All readable.
    hashes : (n,) uint64
        :func:`~nero_core.data.near_duplicates.difference_hash` of each.
    calibration_share, test_share : float
        Of the images of each class.
    alpha : float
        Share of false alarms that calibration images of each class must support, where they can.
    seed : int
    seen : digests
        Images that were trained on before.

    Raises
    ------
    InputError
        No image of a class is left to train on, or a part would be empty.
    """
    groups = grouped(images, hashes)
    was_seen = np.isin(groups, groups[[key in seen for key in images.digests]])
    named = np.array(images.parts if images.parts is not None else [""] * len(images), dtype=object)
    part = named.copy()
    for name in ("test", "calibration", "train"):  # an image without a part follows its group; training wins
        part[(named == "") & np.isin(groups, groups[named == name])] = name
    part[was_seen & (named == "")] = "train"
    free = part == ""
    if free.any():
        shares = _shares(images, free, calibration_share, test_share, alpha)
        part[free] = np.array(list(shares))[assigned(images.select(free), groups[free], shares, seed)]
    parts = {name: images.select(part == name) for name in ("train", "calibration", "test")}
    _check_parts(parts, images.classes, len(images))
    return parts


def _shares(
    images: LabelledImages, free: npt.NDArray[np.bool_], calibration_share: float, test_share: float, alpha: float
) -> dict[str, Float64Array]:
    """Of the free images of each class the share of each part, (K,)."""
    counts = np.bincount(images.labels[free], minlength=len(images.classes))
    # The shares are of all images, as far as those that were not seen suffice.
    wanted = calibration_share + test_share
    aside = max(wanted, min(wanted * len(images) / max(int(free.sum()), 1), UNSEEN_ASIDE))
    calibration, test = aside * calibration_share / wanted, aside * test_share / wanted
    enough = CALIBRATION_SLACK * needed_images(alpha) / np.maximum(counts, 1)
    most = np.maximum(MOST_ASIDE - test, calibration)
    of_class = np.clip(enough, calibration, most)
    return {"train": 1 - of_class - test, "calibration": of_class, "test": np.full(len(counts), test)}


def grouped(images: LabelledImages, hashes: HashArray) -> IntArray:
    """Which images stay on one side of a split, (n,) int64: the groups given, or else those alike by `hashes` (n,)."""
    return near_duplicate_groups(hashes) if images.groups is None else numbered_by_appearance(np.array(images.groups))


def assigned(
    images: LabelledImages, groups: IntArray, shares: Mapping[str, float | Float64Array], seed: int
) -> IntArray:
    """The part of each image, with every group whole in one part.

    Class by class, in seeded random order, each group goes to the part that is filled least of those it fits into. The
    order does not look at sizes: were the largest groups placed first, all of them would train, and images that come in
    groups would be held against calibration images that never do. Only a group that fits into no part but the first is
    placed before the others, and one that fits nowhere goes where most is lacking. A group of several classes comes
    with its first image's class.

    Parameters
    ----------
    images : LabelledImages
    groups : (n,) int64
    shares : {part: share, or (K,) a share for each class}
        Add up to 1.
    seed : int

    Returns
    -------
    (n,) int64
        Places of the parts in `shares`.

    Raises
    ------
    InputError
        The shares do not add up to 1.
    """
    K = len(images.classes)
    of_class = np.stack([np.broadcast_to(np.asarray(share, np.float64), (K,)) for share in shares.values()])
    if (of_class <= 0).any() or (abs(of_class.sum(axis=0) - 1) > 1e-9).any():
        raise InputError(f"The shares are {dict(shares)}; wanted positive numbers that add up to 1.")
    members, starts, place = np.unique(groups, return_index=True, return_inverse=True)
    per_class = np.zeros((len(members), K))
    np.add.at(per_class, (place, images.labels), 1)
    owner = images.labels[starts]
    target = of_class * np.bincount(images.labels, minlength=K)
    lacking = target.copy()
    part_of = np.zeros(len(members), dtype=np.int64)
    for label in range(K):
        own = np.random.default_rng([seed, label]).permutation(np.flatnonzero(owner == label))
        confined = np.array([not _fits(per_class[group], target[1:]).any() for group in own], dtype=bool)
        for group in [*sorted(own[confined], key=lambda group: -per_class[group].sum()), *own[~confined]]:
            size = per_class[group]
            empty = (lacking / np.maximum(target, ROUNDING)) @ size
            fits = _fits(size, lacking)
            best = int(np.where(fits, empty, -np.inf).argmax() if fits.any() else (lacking @ size).argmax())
            lacking[best] -= size
            part_of[group] = best
    return part_of[place]


def _fits(size: Float64Array, room: Float64Array) -> npt.NDArray[np.bool_]:
    """Into which parts a group fits, by its images of each class, (K,), and the room of each part, (parts, K)."""
    fits: npt.NDArray[np.bool_] = np.all(size <= np.maximum(room, 0) + ROUNDING, axis=1)
    return fits


def _check_parts(parts: Mapping[str, LabelledImages], classes: Sequence[str], images: int) -> None:
    for name, part in parts.items():
        absent = sorted(set(range(len(classes))) - set(part.labels.tolist()))
        if name == "train" and absent:
            raise InputError(
                f"No image of {classes[absent[0]]!r} is left to train on, of {images} in all; "
                "add different images to that class."
            )
        if not len(part):
            raise InputError(f"{images} images are too few to set {name} images aside; add different images.")


def counted(parts: Mapping[str, LabelledImages]) -> dict[str, dict[str, int]]:
    """How many images of each class each part has: {class: {part: images}}."""
    per_part = {name: part.counts() for name, part in parts.items()}
    return {label: {name: counts[label] for name, counts in per_part.items()} for label in parts["train"].classes}


def said_of_split(per_class: Mapping[str, Mapping[str, int]], alpha: float, needed: int | None = None) -> list[str]:
    """The counts of a split as lines for a person, and a warning for each class that is short of calibration images.

    Parameters
    ----------
    needed : int, optional
        Calibration images that a class needs; by default what α needs on average.
    """
    lines = [
        f"{name}: " + ", ".join(f"{count} {part}" for part, count in counts.items())
        for name, counts in per_class.items()
    ]
    needed = needed_images(alpha) if needed is None else needed
    return lines + [
        f"note: {name} has {counts['calibration']} calibration images, and α = {alpha:g} needs {needed}: without more, "
        "images that are read as this class get no guarantee."
        for name, counts in per_class.items()
        if counts["calibration"] < needed
    ]


def group_digests(images: LabelledImages) -> dict[str, str]:
    """{digest of an image: digest of its group's name}: names of patients are not kept."""
    if images.groups is None:
        return {}
    return {key: digest(name.encode()) for key, name in zip(images.digests, images.groups, strict=True)}


def to_calibrate(
    record: TrainingRecord | None, asked: Images, seen: Seen, hashes: Mapping[str, int], origin: str
) -> tuple[Images, Guarantee]:
    """Of the images that are to calibrate those that were not seen, and what they promise.

    Raises
    ------
    InputError
        All of them were seen.
    """
    overlap = seen.overlap(asked, hashes)
    dropped = int(overlap.sum())
    kept = asked.select(~overlap)
    if not len(kept):
        raise InputError(
            f"All {len(asked)} calibration images were trained or fitted on, look nearly like images that were, or are "
            "of the same group; give others, or accept that there is no guarantee with --calibration-seen."
        )
    reason = ""
    if record is None:
        reason = UNKNOWN_TRAINING
    elif not start_is_known(record):
        reason = UNKNOWN_START
    elif dropped > MOST_OVERLAP * len(asked):
        reason = (
            f"{dropped} of {len(asked)} calibration images ({dropped / len(asked):.0%}) were trained or fitted on, "
            "look nearly like images that were, or are of the same group; they were left out, but more copies may be "
            "among the others"
        )
    elif not seen.looks_known:
        reason = LOOKS_UNKNOWN
    return kept, Guarantee(not reason, reason, origin, dropped)


@dataclass(frozen=True, eq=False)
class Split:
    """The images of a fit, each in one part, and what the calibration promises.

    Attributes
    ----------
    fit : LabelledImages
        Detectors learn from these.
    calibration : LabelledImages
    test : LabelledImages or None
        Set aside by `train`; only reported on.
    guarantee : Guarantee
    hashes : {digest: difference hash}
        Of the images that were looked at.
    looks_known : bool
        Whether those are (nearly) all that were trained or fitted on.
    """

    fit: LabelledImages
    calibration: LabelledImages
    test: LabelledImages | None
    guarantee: Guarantee
    hashes: Mapping[str, int] = field(default_factory=dict)
    looks_known: bool = True

    def hashes_of(self, images: LabelledImages, more: Iterable[str] = ()) -> HashArray:
        """How these images look, and others by their digests: (m,) uint64, each once, as far as it is known."""
        known = {self.hashes[key] for key in (*images.digests, *more) if key in self.hashes}
        return np.array(sorted(known), dtype=np.uint64)

    def per_class(self) -> dict[str, dict[str, int]]:
        """How many images of each class train, calibrate and test: {class: {part: images}}."""
        parts = {"train": self.fit, "calibration": self.calibration, "test": self.test}
        return counted({name: part for name, part in parts.items() if part is not None})


def split_for_fit(
    record: TrainingRecord | None,
    images: LabelledImages,
    calibration: LabelledImages | None = None,
    calibration_seen: bool = False,
    progress: Progress | None = None,
) -> Split:
    """Decide which images fit, which calibrate and which are only reported on.

    Without `calibration`, the images that `train` set aside calibrate. `calibration_seen` calibrates on the images of
    the fit, and gives up the guarantee. Calibration and test images that look nearly like images of the fit, or are of
    one of their groups, take no part.

    Parameters
    ----------
    record : TrainingRecord or None
        Of the classifier; None where its training is not known.
    images : LabelledImages
    calibration : LabelledImages, optional
    progress : callable, optional

    Raises
    ------
    InputError
        There is nothing to calibrate on, or everything that is was trained on.
    """
    if calibration is not None and calibration_seen:
        raise InputError("Give either separate calibration images or --calibration-seen, not both.")
    images = grouped_as_recorded(images, record)
    for_calibration, for_test = _kept_from_training(record, images)
    fit = images.select(~(for_calibration | for_test))
    test = images.select(for_test) if for_test.any() else None
    asked, origin = calibration, FOLDER_ORIGIN
    if asked is None and not calibration_seen:
        asked, origin = _held_out(record, images, for_calibration), ASIDE_ORIGIN
    hashes = looked_at([each for each in (fit, asked, test) if each is not None], record, progress)
    seen = Seen.of(record, fit, hashes)
    if test is not None:
        test = test.select(~seen.overlap(test, hashes))
    if asked is None:
        return Split(fit, fit, test, Guarantee(False, CALIBRATED_ON_SEEN, SEEN_ORIGIN), hashes, seen.looks_known)
    kept, guarantee = to_calibrate(record, asked, seen, hashes, origin)
    if test is not None and calibration is not None:  # false alarms are counted on images that do not calibrate
        test = test.select(~Seen.of(None, kept, hashes).overlap(test, hashes))
    return Split(fit, kept, test, guarantee, hashes, seen.looks_known)


def _kept_from_training(
    record: TrainingRecord | None, images: LabelledImages
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which images `train` set aside for calibration and for testing; without a record, what a manifest says."""
    if record is not None:
        kept = [[key in part for key in images.digests] for part in (record.calibration, record.test)]
    else:
        kept = [[part == name for part in images.parts or [""] * len(images)] for name in ("calibration", "test")]
    return np.array(kept[0], dtype=bool), np.array(kept[1], dtype=bool)


def _held_out(
    record: TrainingRecord | None, images: LabelledImages, for_calibration: npt.NDArray[np.bool_]
) -> LabelledImages:
    if for_calibration.any():
        return images.select(for_calibration)
    if record is None:
        raise InputError(
            "It is not known what this classifier was trained on. Give images that it has never seen with "
            "--calibration, or accept that there is no guarantee with --calibration-seen."
        )
    raise InputError(
        f"None of the {len(record.calibration)} images that `train` set aside for calibration is in this folder; "
        "give the folder that was trained on, or --calibration."
    )


def numbered(groups: Sequence[str] | None, rows: IntArray) -> IntArray | None:
    """The groups of the images at `rows` (n,) as numbers from 0, (n,) int64; None where no groups are known."""
    if groups is None:
        return None
    _, numbers = np.unique(np.array(groups)[rows], return_inverse=True)
    return numbers.astype(np.int64)


def looking_alike(images: AnyImages, rows: IntArray, hashes: Mapping[str, int]) -> IntArray | None:
    """The look of some calibration images as numbers, (n,) int64: one for those that look nearly the same.

    None where groups are known: then it is those that say the same.

    Parameters
    ----------
    rows : (n,) int64
        The images that could be read.
    hashes : {digest: difference hash}
        An image that is not among them is held to look like no other.
    """
    if images.groups is not None:
        return None
    digests = [images.digests[row] for row in rows]
    looked = np.flatnonzero([key in hashes for key in digests])
    looks = np.arange(len(digests)) + len(digests)
    looks[looked] = near_duplicate_groups(np.array([hashes[digests[row]] for row in looked], dtype=np.uint64))
    return looks
