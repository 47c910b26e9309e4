"""What detectors flag of real frames, split after split, and how many an exact bound allows: part of ``promises``.

Frames that nobody has learnt from are divided at random into those that calibrate and those that are scored, again
and again. Then all are exchangeable, and what a promise allows is known exactly: with l of n + 1 allowed, the number
flagged of m frames with distinct scores is beta-binomial (m, l, n + 1 − l) (Vovk, "Conditional validity of inductive
conformal predictors", 2012); ties only lower it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import betabinom

from nero_core.calibration import Calibration, false_alarms
from nero_core.data.class_folders import read_class_folders
from nero_core.data.guarantee import CalibrationSettings, Guarantee
from nero_core.data.near_duplicates import near_duplicate_groups
from nero_core.data.seen import Seen, looked_at
from nero_core.data.splits import split_for_fit
from nero_core.detectors import DETECTORS, make_detector
from nero_core.errors import InputError
from nero_core.network.classifier import Classifier
from nero_core.records import Activations, Float64Array, IntArray

ALPHA = 0.05
LEVEL = 0.999
"""Of each cell (a detector, a class, a split): the number flagged is within its bound in so many of all splits."""
SPLITS = 200
KINDS: Mapping[str, CalibrationSettings] = {
    "marginal": CalibrationSettings(by_class=False, alpha=ALPHA),
    "by class": CalibrationSettings(by_class=True, alpha=ALPHA),
}
BEFORE, NOW = KINDS
SIDES = PREDICTED, TRUE = ("predicted", "true")
Counts = npt.NDArray[np.int64]
Draw = tuple[Float64Array, IntArray, IntArray]
"""One split: scores (N,) of all frames, the rows that calibrate, and the rows that are scored."""


@cache
def most_by_chance(frames: int, allowed: int, calibration: int, level: float = LEVEL) -> tuple[int, float]:
    """The most frames that are flagged with probability `level`, and the exact probability of more.

    Parameters
    ----------
    frames : int
        How many are scored.
    allowed : int
        l of the calibration; 0 flags nothing.
    calibration : int
        n.
    level : float
    """
    if allowed == 0:
        return 0, 0.0
    share = betabinom.pmf(np.arange(frames + 1), frames, allowed, calibration + 1 - allowed)
    more = np.append(np.cumsum(share[:0:-1])[::-1], 0.0)
    most = int(np.argmax(more <= 1 - level))
    return most, float(more[most])


# Frames and scores -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Frames:
    """What a classifier gives for the frames of a folder, and which part each is in.

    Attributes
    ----------
    classifier : Classifier
    activations : Activations
        Of N frames, with labels and source.
    parts : {part: (·,) int64}
        Rows of "fit"; of "calibration" and "aside", which `train` has set aside to calibrate and to test; and of
        "test" from ``id/test``: none looks nearly like one that was learnt from. Before, nobody looked: "calibration
        before" and "test before" have those frames as well.
    looks : (N,) int64
        Which frames look nearly the same.
    """

    classifier: Classifier
    activations: Activations
    parts: Mapping[str, IntArray]
    looks: IntArray

    @property
    def classes(self) -> tuple[str, ...]:
        """K names."""
        return tuple(self.classifier.classes)

    @property
    def unseen(self) -> IntArray:
        """Rows of all frames that nobody has learnt from."""
        return np.concatenate([self.parts[name] for name in ("calibration", "aside", "test")])

    @property
    def predicted(self) -> IntArray:
        """(N,) the class that each frame is read as."""
        predicted: IntArray = self.activations.logits.argmax(axis=1)
        return predicted


def read_frames(data: Path, classifier: Classifier) -> Frames:
    """One pass over ``id/train`` and ``id/test`` of a folder.

    Raises
    ------
    InputError
        It is not known what the classifier was trained on.
    """
    record = classifier.training
    if record is None:
        raise InputError("The classifier has no training record; wanted one that `train` made from this folder.")
    train, test = (read_class_folders(data / "id" / part, classifier.classes) for part in ("train", "test"))
    split = split_for_fit(record, train)
    hashes = looked_at([train, test], record)
    seen = Seen.of(record, split.fit, hashes).overlap(test, hashes)
    place = {key: row for row, key in enumerate(train.digests)}
    chosen = {"fit": split.fit, "calibration": split.calibration, "aside": split.test}
    digests = {name: () if each is None else each.digests for name, each in chosen.items()}
    parts = {name: np.array([place[key] for key in keys], dtype=np.int64) for name, keys in digests.items()}
    parts["calibration before"] = np.flatnonzero([key in record.calibration for key in train.digests])
    parts |= {"test": len(train) + np.flatnonzero(~seen), "test before": len(train) + np.arange(len(test))}
    labels = np.concatenate([train.labels, test.labels])
    activations = classifier.extract([*train.paths, *test.paths], labels, keep_source=True)
    looks = near_duplicate_groups(np.array([hashes[key] for key in (*train.digests, *test.digests)], dtype=np.uint64))
    return Frames(classifier, activations, parts, looks)


def scores_on_arrays(frames: Frames) -> dict[str, Float64Array]:
    """The scores (N,) of every detector that reads nothing but arrays of this network."""
    arrays = {need for need in ("peaks", "stages") if getattr(frames.activations, need) is not None}
    fit, head = frames.activations[frames.parts["fit"]], frames.classifier.head
    names = [name for name, detector in DETECTORS.items() if detector.info.needs <= arrays]
    return {name: make_detector(name).fit(fit, head).score(frames.activations) for name in names}


# Splits ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Flags:
    """False alarms of one detector over S splits.

    Attributes
    ----------
    flagged, frames : {(kind, side): (S, K) int64}
        By kind of calibration, and by predicted or true class.
    calibration, allowed : {kind: (S, K) int64}
        n and l of the images that a predicted class is read against; l = 0 where the class has no guarantee.
    """

    flagged: Mapping[tuple[str, str], Counts]
    frames: Mapping[tuple[str, str], Counts]
    calibration: Mapping[str, Counts]
    allowed: Mapping[str, Counts]

    def rates(self, kind: str, side: str) -> Float64Array:
        """(S, K) shares of frames flagged; NaN where a split scores no frame of a class, or the class has no guarantee.

        A true class has none of its own; that of the predicted class of the same name stands in.
        """
        frames = self.frames[kind, side]
        told = (frames > 0) & (self.allowed[kind] > 0)
        return np.where(told, self.flagged[kind, side] / np.maximum(frames, 1), np.nan)

    def mean(self, kind: str, side: str) -> tuple[Float64Array, Float64Array]:
        """Over splits the mean rate of each class (K,) and its standard error; NaN where there are too few splits."""
        rates = np.ma.masked_invalid(self.rates(kind, side))
        means, errors = rates.mean(axis=0), rates.std(axis=0, ddof=1) / np.sqrt(rates.count(axis=0))
        return np.ma.filled(means.astype(np.float64), np.nan), np.ma.filled(errors.astype(np.float64), np.nan)

    def bounds(self, kind: str, side: str) -> tuple[Counts, Float64Array]:
        """(S, K) the most that a guarantee lets be flagged, and the probability of more; 0 where there is none."""
        frames = self.frames[kind, side]
        cells = zip(frames.ravel(), self.allowed[kind].ravel(), self.calibration[kind].ravel(), strict=True)
        most, chance = zip(*(most_by_chance(*map(int, cell)) for cell in cells), strict=True)
        return np.reshape(most, frames.shape), np.reshape(chance, frames.shape)

    def above(self, kind: str, side: str) -> npt.NDArray[np.bool_]:
        """(S, K) where more are flagged than a guarantee allows."""
        over: npt.NDArray[np.bool_] = self.flagged[kind, side] > self.bounds(kind, side)[0]
        return over & (self.allowed[kind] > 0)


def count_flags(frames: Frames, draws: Iterable[Draw], alpha: float = ALPHA) -> Flags:
    """What each kind of calibration flags in each split."""
    predicted, labels, classes = frames.predicted, frames.activations.labels, frames.classes
    assert labels is not None
    found: defaultdict[Any, list[Sequence[int]]] = defaultdict(list)
    for scores, own, others in draws:
        for kind, settings in KINDS.items():
            of_own = predicted[own] if settings.by_class else None
            looks = frames.looks[own] if settings.by_class else None
            calibration = Calibration(scores[own], Guarantee(True), of_own, classes, settings=settings, looks=looks)
            counts = false_alarms(calibration, alpha, scores[others], predicted[others], labels[others], classes)
            for side in SIDES:
                flagged, of = zip(*counts[side].values(), strict=True)
                found["flagged", kind, side].append(flagged)
                found["frames", kind, side].append(of)
            each = [calibration.of(number) for number in range(len(classes))]
            found["calibration", kind].append([len(one) for one in each])
            found["allowed", kind].append([one.allowed(alpha) if one.guarantee.holds else 0 for one in each])
    sides = [(kind, side) for kind in KINDS for side in SIDES]
    return Flags(
        flagged={key: np.array(found["flagged", *key], dtype=np.int64) for key in sides},
        frames={key: np.array(found["frames", *key], dtype=np.int64) for key in sides},
        calibration={kind: np.array(found["calibration", kind], dtype=np.int64) for kind in KINDS},
        allowed={kind: np.array(found["allowed", kind], dtype=np.int64) for kind in KINDS},
    )


def random_splits(rows: IntArray, calibration: int, count: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Of these rows some that calibrate, and all others; the same draws whenever it is called."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        order = rng.permutation(rows)
        yield order[:calibration], order[calibration:]


def over_splits(frames: Frames, scores: Float64Array, alpha: float = ALPHA) -> Flags:
    """Random splits of all unseen frames; as many calibrate as `train` has set aside."""
    splits = random_splits(frames.unseen, len(frames.parts["calibration"]), SPLITS)
    return count_flags(frames, ((scores, *split) for split in splits), alpha)
