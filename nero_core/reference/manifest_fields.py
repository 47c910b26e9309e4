"""What stands in a manifest, field by field, and what of it must agree with the rest of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

from nero_core.calibration import calibrated_as
from nero_core.calibration.stored import BY_CLASS_SCHEMA
from nero_core.data.guarantee import CalibrationSettings, Guarantee
from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import InputError
from nero_core.storage.typed import AtLeastOne, Count, Range, Share, check

SHA256 = re.compile(r"[0-9a-f]{64}")
ROUNDING = 1e-6
"""Relative; figures are written in full."""


class EarlierCalibrationFields(TypedDict):
    """What decides, before calibrations said how they were made."""

    images: AtLeastOne
    guaranteed: bool
    origin: str
    smallest_alpha: Annotated[float, Range(0, 1, "least")]


class ClassFields(TypedDict):
    """What calibrates one predicted class."""

    predicted: Count
    guaranteed: bool


class CalibrationFields(TypedDict):
    """What decides, as :meth:`~nero_core.calibration.Calibration.described` gives it."""

    images: AtLeastOne
    guarantee: Guarantee
    settings: CalibrationSettings
    per_class: dict[str, ClassFields]
    groups: AtLeastOne | None
    smallest_alpha: Annotated[float, Range(0, 1, "least")]


class _TrainingFields(TypedDict):
    images: AtLeastOne
    digest: str
    known: bool
    recipe: dict[str, str | int | float]


class TrainingFields(_TrainingFields, total=False):
    """What the detectors learnt from, and what is known of the network."""

    per_class: dict[str, Count]
    looks_known: bool
    groups: list[str]


class MetricsFields(TypedDict, total=False):
    """What was measured on the images set aside; without accuracy where there were none."""

    test_images: AtLeastOne
    accuracy: Share
    accuracy_per_class: dict[str, Share]
    test_per_class: dict[str, Count]
    alpha: Share
    false_alarms: dict[str, Any]
    auroc: dict[str, dict[str, Share]]
    calibration_accuracy: Share
    calibration_accuracy_per_class: dict[str, Share]
    calibration_per_class: dict[str, Count]
    warnings: list[str]


FlaggedOf = tuple[Count, Count]
"""So many of so many images."""


class FalseAlarmFields(TypedDict):
    """False alarms of one detector by class: as the network reads the image, and as it is."""

    predicted: dict[str, FlaggedOf]
    true: dict[str, FlaggedOf]


class SplitFields(TypedDict):
    """How many images of each class took which part."""

    per_class: dict[str, dict[str, Count]]
    grouped: bool


class DetectorFields(TypedDict):
    """One detector; its parameters are its own to check."""

    parameters: dict[str, Any]


class PanelFields(TypedDict):
    """What a panel was chosen by, and how good it looked: AUROC by distortion, empty where nothing was measured."""

    members: list[str]
    added: list[str]
    weights: dict[str, Share]
    auroc: dict[str, dict[str, Share]]
    together: dict[str, Share]
    images: Count


class _SampleFields(TypedDict):
    """What is kept of the neurons."""

    images: Count
    pictures: bool


class SampleFields(_SampleFields, total=False):
    """What is kept of the neurons; how many training frames, and whether its held-out images still calibrate."""

    trained: Count
    calibrates: bool


class FileFields(TypedDict):
    """One file of a reference."""

    name: str
    sha256: str
    bytes: Count


class HeatmapRow(TypedDict):
    """How true the heatmaps of a method, or those of a random order, are."""

    method: str
    deletion: float
    insertion: float


class MethodFields(HeatmapRow):
    """What is kept of a method beside."""

    gain: float
    gain_standard_error: float
    better_than_random: float
    by_chance: bool
    stability: float
    shuffled: float


class _HeatmapFields(TypedDict):
    images: AtLeastOne
    methods: list[HeatmapRow]


class HeatmapFields(_HeatmapFields, total=False):
    """How true the heatmaps are: a row for each method, and one for a random order."""

    left: Annotated[float, Range(0)]


class _ManifestFields(TypedDict):
    schema: AtLeastOne
    title: str
    synthetic: bool
    architecture: str
    classes: list[str]
    preprocessing: Preprocessing
    detectors: dict[str, DetectorFields]
    calibration: dict[str, Any]
    training: TrainingFields
    ood: dict[str, AtLeastOne]
    crops: Count
    intended_use: str
    image_source: str
    licence: str
    known_failures: str
    metrics: MetricsFields
    versions: dict[str, str]
    files: dict[str, FileFields]


class ManifestFields(_ManifestFields, total=False):
    """What a manifest holds."""

    sample: SampleFields
    split: SplitFields
    preprocessing_origins: dict[str, str]
    panel: PanelFields


def check_together(manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest of which a part is at odds with another part.

    Raises
    ------
    InputError
        Names the field.
    """
    classes, detectors, ood = manifest["classes"], manifest["detectors"], manifest["ood"]
    if not classes or len(set(classes)) < len(classes):
        raise InputError("`classes` is empty or names one twice; wanted a name for each, at least one.")
    calibration, training, metrics = manifest["calibration"], manifest["training"], manifest["metrics"]
    earlier = manifest["schema"] < BY_CLASS_SCHEMA
    check(calibration, EarlierCalibrationFields if earlier else CalibrationFields, "calibration")
    if earlier:
        _check_same("calibration.smallest_alpha", calibration["smallest_alpha"], 1 / (calibration["images"] + 1))
    if calibrated_as(manifest)[0].holds and not training["known"]:
        raise InputError("`calibration.guarantee.holds`, and `training.known` is not: nobody can promise that.")
    if "per_class" in training:
        _check_names("training.per_class", training["per_class"], classes)
        _check_same("training.images", training["images"], sum(training["per_class"].values()))
    elif "panel" in manifest:
        raise InputError("`training.per_class` is missing, and `panel` is there.")
    _check_accuracy(metrics, classes)
    _check_false_alarms(metrics, detectors)
    _check_names("split.per_class", manifest.get("split", {}).get("per_class", {}), classes)
    _check_names("metrics.auroc", metrics.get("auroc", {}), detectors)
    for name, sets in metrics.get("auroc", {}).items():
        _check_names(f"metrics.auroc.{name}", sets, ood)
    for role, entry in manifest["files"].items():
        if not SHA256.fullmatch(entry["sha256"]):
            raise InputError(f"`files.{role}.sha256` is no SHA-256; wanted 64 hexadecimal digits.")
        if not entry["name"].startswith(f"{role}-"):
            raise InputError(f"`files.{role}.name` is {entry['name']!r}; wanted one that begins with its role.")


def _check_accuracy(metrics: Mapping[str, Any], classes: list[str]) -> None:
    """Accuracy is the mean of that of each class, weighed by its images: those set aside, or those that calibrate."""
    for whole, counted in (("accuracy", "test_per_class"), ("calibration_accuracy", "calibration_per_class")):
        each = f"{whole}_per_class"
        if whole not in metrics:
            continue
        if missing := [name for name in (each, *["test_images"] * (whole == "accuracy")) if name not in metrics]:
            raise InputError(f"`metrics.{missing[0]}` is missing, and `metrics.{whole}` is there.")
        counts, right = metrics.get(counted, {}), metrics[each]
        _check_names(f"metrics.{each}", right, classes)
        _check_names(f"metrics.{counted}", counts, classes)
        if set(right) - set(counts):  # an older reference
            continue
        images = sum(counts.values())
        if whole == "accuracy":
            _check_same("metrics.test_images", metrics["test_images"], images)
        mean = sum(share * counts[name] for name, share in right.items()) / max(1, images)
        _check_same(f"metrics.{whole}", metrics[whole], mean)


def _check_false_alarms(metrics: Mapping[str, Any], detectors: Mapping[str, Any]) -> None:
    """Counts by class are those of the images set aside; an earlier version kept a share alone."""
    false_alarms = metrics.get("false_alarms", {})
    _check_names("metrics.false_alarms", false_alarms, detectors)
    if missing := [name for name in ("alpha", "test_images") if false_alarms and name not in metrics]:
        raise InputError(f"`metrics.{missing[0]}` is missing, and `metrics.false_alarms` is there.")
    for name, counted in false_alarms.items():
        field = f"metrics.false_alarms.{name}"
        if not isinstance(counted, Mapping):
            check(counted, Share, field)
            continue
        check(counted, FalseAlarmFields, field)
        for kind, counts in counted.items():
            if any(flagged > images for flagged, images in counts.values()):
                raise InputError(f"`{field}.{kind}` has more false alarms than images.")
            _check_same(f"{field}.{kind}", sum(images for _, images in counts.values()), metrics["test_images"])


def _check_names(field: str, given: Mapping[str, Any], known: Mapping[str, Any] | list[str]) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise InputError(f"`{field}` names {unknown[0]!r}, which this reference has not.")


def _check_same(field: str, stated: float, found: float) -> None:
    if not math.isclose(stated, found, rel_tol=ROUNDING, abs_tol=ROUNDING):
        raise InputError(f"`{field}` is {stated:g}; from the rest of the manifest follows {found:g}.")
