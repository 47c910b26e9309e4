"""What a classifier and its detectors have seen, by its bytes, by how it looks and by its group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nero_core.data.image_set import AnyImages
from nero_core.data.near_duplicates import HashArray, difference_hashes, near_any
from nero_core.records import Progress, TrainingRecord
from nero_core.storage.files import digest

MOST_OVERLAP = 0.05
"""Above this share of calibration images that were seen, the rest is not believed to be unseen: perceptual hashes miss
some copies (7 % of frames saved again as JPEG with quality 75)."""
RECORDED, IMAGENET, TOLD_UNSEEN, NOT_KNOWN = "recorded", "ImageNet", "told unseen", "not known"
"""What is known of the images that initial weights were trained on: the record of `train` has them, they are ImageNet
and hold no endoscopy, somebody says that these images are not among them, or nothing."""
TRAINED_ON = "the network or its detectors were trained on this image, or on one that looks nearly the same"
CALIBRATED_ON = "this image, or one that looks nearly the same, is among the calibration images"


@dataclass(frozen=True, eq=False)
class Seen:
    """What a classifier and its detectors have seen.

    Attributes
    ----------
    digests : SHA-256 of files
    hashes : (m,) uint64
        How those images look.
    groups : digests of the names of their groups
    looks_known : bool
        Whether the hashes cover (nearly) all of them.
    """

    digests: frozenset[str]
    hashes: HashArray
    groups: frozenset[str] = frozenset()
    looks_known: bool = True

    @classmethod
    def of(cls, record: TrainingRecord | None, fit: AnyImages | None, hashes: Mapping[str, int]) -> Seen:
        """What was trained on by the record, and the images that fit the detectors.

        Parameters
        ----------
        hashes : {digest: difference hash}
            Of images that were looked at; see :func:`looked_at`.
        """
        fitted = () if fit is None else fit.digests
        trained = frozenset() if record is None else record.train
        digests = trained | frozenset(fitted)
        known = {key: hashes[key] for key in digests if key in hashes}
        groups = {digest(name.encode()) for name in (fit.groups or ())} if fit is not None else set()
        if record is not None:
            groups |= {record.groups[key] for key in trained if key in record.groups}
        return cls(
            digests,
            np.array(sorted(known.values()), dtype=np.uint64),
            frozenset(groups),
            len(known) >= (1 - MOST_OVERLAP) * len(digests),
        )

    def joined(self, other: Seen) -> Seen:
        """What either has seen."""
        return Seen(
            self.digests | other.digests,
            np.unique(np.concatenate([self.hashes, other.hashes])),
            self.groups | other.groups,
            self.looks_known or other.looks_known,
        )

    def overlap(self, images: AnyImages, hashes: Mapping[str, int]) -> npt.NDArray[np.bool_]:
        """Which images are among what was seen, look nearly like one of it, or are of one of its groups; (n,) bool."""
        found = np.array([key in self.digests for key in images.digests], dtype=bool)
        looks = np.array([hashes.get(key, 0) for key in images.digests], dtype=np.uint64)
        looked = np.array([key in hashes for key in images.digests], dtype=bool)
        found |= looked & near_any(looks, self.hashes)
        if images.groups is not None and self.groups:
            found |= np.array([digest(name.encode()) in self.groups for name in images.groups], dtype=bool)
        return found


def start_is_known(record: TrainingRecord) -> bool:
    """Whether it is known that the weights that training started from had not seen the images set aside."""
    return not record.recipe.get("init") or record.recipe.get("init_training") in (RECORDED, IMAGENET, TOLD_UNSEEN)


def looked_at(
    images: Sequence[AnyImages], record: TrainingRecord | None, progress: Progress | None = None
) -> dict[str, int]:
    """Difference hashes by digest: those that the record holds, and of the other images by looking at them.

    An image that cannot be read has none.

    Parameters
    ----------
    images : lists of images
    record : TrainingRecord or None
    progress : callable, optional
    """
    hashes = {} if record is None else dict(record.hashes)
    waiting = {
        key: source
        for each in images
        for key, source in zip(each.digests, each.sources, strict=True)
        if key not in hashes
    }
    found, unreadable = difference_hashes(list(waiting.values()), progress)
    return hashes | {
        key: int(value)
        for place, (key, value) in enumerate(zip(waiting, found, strict=True))
        if place not in unreadable
    }


@dataclass(frozen=True, eq=False)
class SeenImages:
    """How the images look that a reference was made from; kept with it, without the images.

    Attributes
    ----------
    trained : (m,) uint64
        Difference hashes of the images that trained the classifier or fitted the detectors.
    calibrated : (c,) uint64
        Of the calibration images.
    """

    trained: HashArray
    calibrated: HashArray

    def among(self, hashes: HashArray) -> list[str]:
        """For each image why its verdict is no fair one, as the part of a sentence; empty where it was not seen.

        Parameters
        ----------
        hashes : (n,) uint64
        """
        trained, calibrated = near_any(hashes, self.trained), near_any(hashes, self.calibrated)
        return [
            TRAINED_ON if fitted else CALIBRATED_ON if held else ""
            for fitted, held in zip(trained, calibrated, strict=True)
        ]
