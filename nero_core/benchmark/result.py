"""What a benchmark gives: frozen records, as JSON with the scores beside them in a safetensors file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nero_core.calibration.rates import FlaggedOf
from nero_core.data.class_folders import short_path
from nero_core.data.image_set import ImageSet
from nero_core.data.splits import numbered
from nero_core.metrics import Interval
from nero_core.records import Activations, Float64Array, IntArray
from nero_core.storage.display_names import display_name
from nero_core.storage.files import write_arrays, write_bytes
from nero_core.wording import said

IMAGES = "images"
"""Under which the images stand beside the scores."""
SCHEMA = 2
RESULTS_NAME, SCORES_NAME = "results.json", "scores.safetensors"

POOLED = "pooled"
"""Name under which figures over the images of all OOD sets together stand."""
ID, OOD = "id", "ood"
"""Name under which the share of flagged ID test images stands, and what those of OOD sets begin with: "ood/NAME"."""

Metrics = Mapping[str, Interval]


@dataclass(frozen=True)
class SetSummary:
    """One set of images.

    Attributes
    ----------
    name : str
        Of an OOD set as the user called it; else the role.
    role : {"fit", "calibration", "id", "ood"}
        What it was used for.
    images : int
        How many could be read.
    unreadable : int
        How many were left out.
    digest : str
        SHA-256 over the digests of its images, whatever their order.
    """

    name: str
    role: Literal["fit", "calibration", "id", "ood"]
    images: int
    unreadable: int
    digest: str


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of one detector, larger = more out-of-distribution.

    Attributes
    ----------
    id : (n,) float64
        Of the ID test images.
    ood : {set: (m,) float64}
    calibration : (c,) float64 or None
        Of the held-out ID images that decide; None where there are none.
    calibration_rows : (c,) int64 or None
        Which of the benchmark's calibration images these are. None where they are those of the reference, which keeps
        its scores sorted and without names: they belong to no image here.
    """

    id: Float64Array
    ood: Mapping[str, Float64Array]
    calibration: Float64Array | None = None
    calibration_rows: IntArray | None = None

    def arrays(self) -> dict[str, Float64Array | IntArray]:
        """As they are stored: {"id", "ood/SET", "calibration" or "calibration_rows": array}."""
        found: dict[str, Float64Array | IntArray] = {"id": self.id}
        found |= {f"ood/{name}": values for name, values in self.ood.items()}
        beside = {"calibration": self.calibration, "calibration_rows": self.calibration_rows}
        return found | {name: values for name, values in beside.items() if values is not None}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Any], sets: Iterable[str]) -> Scores:
        """From what :meth:`arrays` gave, of these OOD sets.

        Raises
        ------
        KeyError
            An array is missing.
        """
        ood = {name: arrays[f"ood/{name}"] for name in sets}
        return cls(arrays["id"], ood, arrays.get("calibration"), arrays.get("calibration_rows"))


@dataclass(frozen=True, eq=False)
class ScoredImages:
    """The images of one set, in the order of their scores.

    Attributes
    ----------
    names : n texts
        Folder and file.
    digests : n texts
        SHA-256 of each file.
    predicted : (n,) int64
        The class that the network reads.
    labels : (n,) int64 or None
        The class that each is of; None where nobody said.
    groups : (n,) int64 or None
        Which belong together, such as those of a patient; None where nobody said.
    """

    names: tuple[str, ...]
    digests: tuple[str, ...]
    predicted: IntArray
    labels: IntArray | None = None
    groups: IntArray | None = None

    @classmethod
    def of(cls, images: ImageSet, activations: Activations) -> ScoredImages:
        """The images that activations are of."""
        names = tuple(
            short_path(each) if isinstance(each, Path) else display_name(each, place)
            for place, each in enumerate(images.images)
        )
        groups = numbered(images.groups, np.arange(len(images)))
        return cls(names, images.digests, activations.logits.argmax(axis=1), activations.labels, groups)

    @property
    def beside(self) -> dict[str, IntArray]:
        """What is known of each, as it is stored beside the scores: {"predicted", "labels" or "groups": (n,)}."""
        found = {"predicted": self.predicted, "labels": self.labels, "groups": self.groups}
        return {name: values for name, values in found.items() if values is not None}


def pooled_groups(groups: Sequence[IntArray | None], sizes: Sequence[int]) -> IntArray | None:
    """Which images of several sets together are of one group: none of one set with those of another.

    Parameters
    ----------
    groups : (n,) int64 or None, of each set
        None where nobody said: each image is a group then. None comes back where nobody said of any.
    sizes : numbers
        Images of each set.
    """
    if all(each is None for each in groups):
        return None
    found, first = [], 0
    for each, size in zip(groups, sizes, strict=True):
        numbers = np.arange(size) if each is None else each
        found.append(numbers + first)
        first += int(numbers.max()) + 1
    return np.concatenate(found)


def with_pooled(ood: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Scores, or what is found of them, by OOD set, and of all of them together where there is more than one."""
    return dict(ood) | ({POOLED: np.concatenate(list(ood.values()))} if len(ood) > 1 else {})


@dataclass(frozen=True)
class CalibrationSummary:
    """How the decisions of one row were calibrated, and what that promises.

    Attributes
    ----------
    images : int
    by_class : bool
        Whether images were read against those of their predicted class.
    guaranteed : bool
    no_guarantee_because : str
        Empty where the guarantee holds.
    thresholds : {class: score}
        What a flagged image exceeds; one entry, "all classes", where classes are read together.
    without_guarantee : tuple of str
        Predicted classes whose images have none, for lack of calibration images.
    """

    images: int
    by_class: bool
    guaranteed: bool
    no_guarantee_because: str
    thresholds: Mapping[str, float]
    without_guarantee: tuple[str, ...] = ()


@dataclass(frozen=True)
class DetectorResult:
    """One row of the table.

    Attributes
    ----------
    name : str
        Of the row: the registry name, or such as ``nero[k=100]`` for an ablation.
    detector, title, paper, year
        Registry name, and as it is written in the field.
    status : {"done", "refused", "failed"}
        Refused: it cannot run on this network or these images. Failed: it should have.
    reason : str
        Why it could not run; empty where it did.
    fitted : {"here", "by the reference"}
    parameters : {name: value}
    fit_seconds, score_seconds : float
        Beside the one extraction that all share.
    sees_images : bool
        Whether it had to go through the network again.
    metrics : {OOD set or "pooled": {metric: Interval}}
        Metrics as in :data:`nero_core.metrics.METRICS`, fractions; empty where refused.
    differences : {OOD set or "pooled": {metric: Interval}}
        This detector's metrics minus the baseline's on the same resamples; empty for the baseline itself.
    flagged : {OOD set, "pooled" or "id": share}
        Share of images with a p-value of at most α; empty without enough calibration images.
    false_alarms : {"predicted" or "true": {class: (flagged, images)}}
        Of the ID test images, by predicted and, where it is known, by true class; empty as `flagged` is.
    calibration : CalibrationSummary or None
        None without calibration images, or without enough.
    """

    name: str
    detector: str
    title: str
    paper: str
    year: int
    status: Literal["done", "refused", "failed"]
    reason: str = ""
    fitted: Literal["here", "by the reference"] = "here"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    sees_images: bool = False
    metrics: Mapping[str, Metrics] = field(default_factory=dict)
    differences: Mapping[str, Metrics] = field(default_factory=dict)
    flagged: Mapping[str, float] = field(default_factory=dict)
    false_alarms: Mapping[str, Mapping[str, FlaggedOf]] = field(default_factory=dict)
    calibration: CalibrationSummary | None = None

    @property
    def done(self) -> bool:
        """Whether it was scored."""
        return self.status == "done"

    @property
    def label(self) -> str:
        """The row in words: the detector's title, with what makes an ablation differ."""
        return f"{self.title} {self.name[self.name.index('[') :]}" if "[" in self.name else self.title

    @property
    def ablation(self) -> bool:
        """Whether it is a detector taken apart, such as ``nero[k=100]``."""
        return self.name != self.detector


@dataclass(frozen=True, eq=False)
class BenchmarkResult:
    """Detectors × OOD sets on one classifier. All figures are fractions; percent only on screen.

    Attributes
    ----------
    title, architecture, classes
        Of the reference.
    sets : SetSummaries
        In the order fit, calibration, id, then the OOD sets as given.
    detectors : DetectorResults
        In the order they were asked for, refused ones included.
    baseline : str or None
        The row that `differences` are against.
    alpha : float
        Accepted share of false alarms behind `flagged`.
    grouped : bool
        Whether intervals resample groups, such as patients, instead of images.
    accuracy : float or None
        Of the classifier on the ID test images; None where their classes are not known.
    rank_correlation : {row: {row: Spearman's ρ or None}}
        Over all ID and OOD images; None where a score never changes.
    seed, resamples : int
        Of the intervals.
    warnings : texts
        What a reader must know, in sentences.
    published : {"protocol", "comparable", "reason", "source", "rows"}
        Published figures beside ours; empty without a protocol (see :mod:`nero_core.data.protocols`).
    provenance : {"command", "versions", "classifier_digest", "images_digests"}
        How to get these figures again.
    scores : {row: Scores}
        Of every detector that is done.
    images : {"calibration", "id" or "ood/NAME": ScoredImages}
        What was scored; empty in results of earlier versions.
    """

    title: str
    architecture: str
    classes: tuple[str, ...]
    sets: tuple[SetSummary, ...]
    detectors: tuple[DetectorResult, ...]
    baseline: str | None
    alpha: float
    grouped: bool
    accuracy: float | None
    rank_correlation: Mapping[str, Mapping[str, float | None]]
    seed: int
    resamples: int
    warnings: tuple[str, ...]
    provenance: Mapping[str, Any]
    scores: Mapping[str, Scores]
    published: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, ScoredImages] = field(default_factory=dict)

    @property
    def ood_sets(self) -> tuple[str, ...]:
        """Names of the OOD sets, in the order given."""
        return tuple(each.name for each in self.sets if each.role == "ood")

    @property
    def columns(self) -> tuple[str, ...]:
        """What metrics are given for: the OOD sets, and "pooled" where there is more than one."""
        return (*self.ood_sets, POOLED) if len(self.ood_sets) > 1 else self.ood_sets

    def groups(self, ood_set: str) -> tuple[IntArray | None, IntArray | None] | None:
        """Which ID images, and which of an OOD set or "pooled", are resampled together; None where it was not kept."""
        if not self.grouped and not any(each.groups is not None for each in self.images.values()):
            return None, None
        if not {ID, *(f"{OOD}/{name}" for name in self.ood_sets)} <= self.images.keys():
            return None
        usual = self.images[ID].groups
        if self.grouped and usual is None:
            return None
        chosen = self.ood_sets if ood_set == POOLED else (ood_set,)
        sets = [self.images[f"{OOD}/{name}"] for name in chosen]
        return usual, pooled_groups([each.groups for each in sets], [len(each.names) for each in sets])

    def ranked(self, metric: str = "auroc") -> tuple[DetectorResult, ...]:
        """The detectors that are done, best first by a metric over all OOD images."""
        sign = -1 if metric.startswith("fpr") else 1
        done = [row for row in self.detectors if row.done]
        return tuple(sorted(done, key=lambda row: -sign * row.metrics[self.columns[-1]][metric].value))

    def promises(self) -> list[str]:
        """What the flags of the rows promise, in sentences: one for all that have a guarantee, one per reason."""
        found: dict[str, list[str]] = {}
        for row in self.detectors:
            if row.calibration is not None:
                found.setdefault(row.calibration.no_guarantee_because, []).append(row.title)
        every = sum(len(names) for names in found.values())
        sentences = []
        for reason, names in sorted(found.items()):
            whose = "" if len(names) == every else f" ({', '.join(names)})"
            sentences.append(
                said("No guarantee{whose}: {reason}.", whose=whose, reason=said(reason))
                if reason
                else said(
                    "The calibration images are known to be unseen by the classifier{whose}: the bound on false alarms "
                    "holds on average over sets of calibration images.",
                    whose=whose,
                )
            )
        return sentences

    def to_json(self) -> dict[str, Any]:
        """Everything but the scores, as plain JSON values; an Interval is [value, low, high]."""
        content = {"schema": SCHEMA} | asdict(replace(self, scores={}, images={}))
        del content["images"]  # names and arrays, which lie beside the scores
        return content

    def save(self, folder: Path) -> None:
        """Write ``results.json`` and ``scores.safetensors`` into a folder.

        Raises
        ------
        ArtefactError
            They cannot be written.
        """
        arrays: dict[str, Float64Array | IntArray] = {}
        for row, scores in self.scores.items():
            arrays |= {f"{row}/{name}": values for name, values in scores.arrays().items()}
        for name, images in self.images.items():
            arrays |= {f"{IMAGES}/{name}/{what}": values for what, values in images.beside.items()}
        named = {name: {"names": images.names, "digests": images.digests} for name, images in self.images.items()}
        write_arrays(folder / SCORES_NAME, arrays, {IMAGES: json.dumps(named, ensure_ascii=False)})
        write_bytes(folder / RESULTS_NAME, json.dumps(self.to_json(), indent=1, ensure_ascii=False).encode())
