"""What a reference says of itself, worked out while it is fitted: its card, its training, its figures, its versions."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

import nero_core
from nero_core.calibration import Calibration, false_alarms
from nero_core.data.splits import Split, group_digests
from nero_core.detectors import Detector
from nero_core.network.class_agreement import ClassAgreement
from nero_core.network.classifier import Classifier
from nero_core.records import Activations, Float64Array
from nero_core.reference.manifest import SCHEMA_VERSION
from nero_core.storage.files import digest
from nero_core.wording import message

INTENDED_USE = message(
    "Research and teaching: telling how unusual an endoscopy image is for this network, and why. "
    "Not a medical device; a score says nothing about disease."
)
KNOWN_FAILURES = message(
    "Burnt-in text, inset position pictures and borders can raise a score. Images from another device or hospital "
    "are unusual to this reference whatever they show."
)
RECORDED_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "pytorch-ood",
    "numpy",
    "scipy",
    "scikit-learn",
    "pillow",
    "safetensors",
)


@dataclass(frozen=True)
class Card:
    """What the owner of the images says of them, for the model card."""

    title: str
    image_source: str = "not stated"
    licence: str = "not stated"
    synthetic: bool = False
    intended_use: str = INTENDED_USE
    known_failures: str = KNOWN_FAILURES


def training_of(classifier: Classifier, split: Split, train: Activations) -> dict[str, Any]:
    assert train.labels is not None
    counts = Counter(classifier.classes[label] for label in train.labels)
    record = classifier.training
    return {
        "images": len(train),
        "per_class": dict(counts),
        "digest": digest_of_fit(split),
        "known": record is not None,
        "looks_known": split.looks_known,
        "groups": sorted(set(group_digests(split.fit).values())),
        "recipe": {} if record is None else dict(record.recipe),
    }


def digest_of_fit(split: Split) -> str:
    """One digest for all images that detectors learn from, whatever their order."""
    return digest("".join(sorted(split.fit.digests)).encode())


def agreement_of(classifier: Classifier, held_out: Activations) -> ClassAgreement:
    """The network's answers on the calibration images against their class folders."""
    assert held_out.labels is not None
    return ClassAgreement.of(classifier.classes, held_out.labels, held_out.logits.argmax(axis=1))


def metrics_of(
    classifier: Classifier,
    detectors: Mapping[str, Detector],
    calibrations: Mapping[str, Calibration],
    ood_scores: Mapping[str, Mapping[str, Float64Array]],
    tested: Activations | None,
    alpha: float,
) -> dict[str, Any]:
    """Accuracy and false alarms on the images set aside for testing, and AUROC per known OOD set."""
    metrics: dict[str, Any] = {}
    if tested is not None and tested.labels is not None:
        labels = tested.labels
        right = tested.logits.argmax(axis=1) == labels
        metrics["test_images"] = len(tested)
        metrics["accuracy"] = float(right.mean())
        metrics["accuracy_per_class"] = {
            name: float(right[labels == label].mean())
            for label, name in enumerate(classifier.classes)
            if (labels == label).any()
        }
        metrics["test_per_class"] = {name: int((labels == i).sum()) for i, name in enumerate(classifier.classes)}
        metrics["alpha"] = alpha = max(alpha, *(each.smallest_alpha for each in calibrations.values()))
        predicted = tested.logits.argmax(axis=1)
        metrics["false_alarms"] = {
            name: false_alarms(each, alpha, detectors[name].score(tested), predicted, labels, classifier.classes)
            for name, each in calibrations.items()
        }
    metrics["auroc"] = {
        name: {
            key: float(
                roc_auc_score(
                    np.r_[np.zeros(len(calibrations[name])), np.ones(len(scores))],
                    np.r_[calibrations[name].scores, scores],
                )
            )
            for key, scores in sets.items()
        }
        for name, sets in ood_scores.items()
    }
    return metrics


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Of this package, of Python, and of others."""
    own = {"nero-dashboard": nero_core.__version__, "python": platform.python_version()}
    return own | {package: version(package) for package in packages}


def made_with(classifier: Classifier) -> dict[str, Any]:
    """What made it: the network, the format, the packages."""
    return {
        "schema": SCHEMA_VERSION,
        "architecture": classifier.architecture,
        "classes": classifier.classes,
        "preprocessing": asdict(classifier.preprocessing),
        "preprocessing_origins": dict(classifier.preprocessing_origins),
        "versions": versions(RECORDED_PACKAGES),
    }
