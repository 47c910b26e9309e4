"""From a classifier and class folders to a reference: one pass over each set of images."""

from __future__ import annotations

import platform
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

import nero_core
from nero_core.attribution.faithfulness import heatmap_summary
from nero_core.calibration import Calibration, false_alarms, of_most_images
from nero_core.data.guarantee import BY_CLASS, CalibrationSettings
from nero_core.data.seen import SeenImages
from nero_core.data.splits import Split, group_digests, looking_alike, numbered
from nero_core.detectors import Detector, Nero, make_detector
from nero_core.detectors.calibrating import calibrated, learnt_from, promised
from nero_core.errors import InputError
from nero_core.network.class_agreement import ClassAgreement
from nero_core.network.classifier import Classifier
from nero_core.network.extraction import Batch
from nero_core.neurons.crops import CROP_PIXELS, cut_concepts
from nero_core.neurons.ranking import STAGE_CHANNELS, RankingCollector, leading_channels, rank_channels
from nero_core.neurons.sample import (
    KNOWN_KEPT,
    ORDINARY_KEPT,
    NeuronSample,
    chosen_rows,
    sample_neurons,
)
from nero_core.neurons.sheets import make_sheet
from nero_core.neurons.statistics import pooled
from nero_core.records import (
    Activations,
    Begin,
    Float64Array,
    IntArray,
    RelevanceProfile,
    Source,
)
from nero_core.reference.manifest import SCHEMA_VERSION
from nero_core.reference.reference import Reference
from nero_core.relevance import DEFAULT_EPSILON
from nero_core.storage.files import digest

INTENDED_USE = (
    "Research and teaching: telling how unusual an endoscopy image is for this network, and why. "
    "Not a medical device; a score says nothing about disease."
)
KNOWN_FAILURES = (
    "Burnt-in text, inset position pictures and borders can raise a score. Images from another device or hospital "
    "are unusual to this reference whatever they show."
)
DEFAULT_DETECTORS: Mapping[str, Mapping[str, Any]] = {"nero": {}, "stage_mahalanobis": {}}
"""What a reference is fitted with where nothing else is asked for; the second where the network has stages."""
RECORDED_PACKAGES = ("torch", "torchvision", "timm", "numpy", "scikit-learn", "pillow", "safetensors")


@dataclass(frozen=True)
class Card:
    """What the owner of the images says of them, for the model card."""

    title: str
    image_source: str = "not stated"
    licence: str = "not stated"
    synthetic: bool = False
    intended_use: str = INTENDED_USE
    known_failures: str = KNOWN_FAILURES


@dataclass(eq=False)
class Unreadable:
    """Files that were left out, with the reason."""

    reasons: dict[str, str] = field(default_factory=dict)

    def among(self, images: Sequence[Source]) -> Callable[[int, InputError], None]:
        """A callback for `extract` that notes the file at a position of these images."""

        def note(position: int, error: InputError) -> None:
            self.reasons[str(images[position])] = str(error)

        return note


def fit_reference(
    classifier: Classifier,
    split: Split,
    card: Card,
    detectors: Mapping[str, Mapping[str, Any]] | None = None,
    ood: Mapping[str, Sequence[Source]] | None = None,
    crops: bool = True,
    crop_pixels: int = CROP_PIXELS,
    faithfulness: int = 0,
    begin: Begin | None = None,
    unreadable: Unreadable | None = None,
    settings: CalibrationSettings = BY_CLASS,
) -> Reference:
    """Fit and calibrate detectors, rank concepts and describe the result; nothing is written.

    Parameters
    ----------
    detectors : {name: parameters}, optional
        `DEFAULT_DETECTORS` where not given.
    ood : {name: images}, optional
        Known out-of-distribution images: their scores and mean relevance are kept for the plots. Nothing is
        chosen by them.
    crops : bool
        Whether to keep small pictures of training images per neuron.
    crop_pixels : int
        Side of such a picture.
    faithfulness : int
        On how many calibration images to measure whether heatmaps are true; 0 leaves it out. Takes seconds for each.
    begin : callable, optional
        Told each stretch of work.
    unreadable : Unreadable, optional
        Collects files that are left out; without it the first one raises.
    settings : CalibrationSettings
        How images are calibrated; its `alpha` is also where false alarms on test images are counted.

    Raises
    ------
    InputError
        An image cannot be read, or a class has no readable image.
    """
    start: Begin = begin or (lambda what: lambda done, total: None)
    unfitted = {name: make_detector(name, **given) for name, given in (detectors or DEFAULT_DETECTORS).items()}
    if detectors is None and not classifier.layout.stages:
        unfitted = {name: detector for name, detector in unfitted.items() if "stages" not in detector.info.needs}
    keep_source = any(detector.info.needs & {"source", "outliers"} for detector in unfitted.values())
    with tempfile.TemporaryDirectory(prefix="nero-fit-", ignore_cleanup_errors=True) as spool:

        def extract(
            what: str,
            images: Sequence[Source],
            labels: IntArray | None = None,
            watch: Callable[[Batch], None] | None = None,
        ) -> tuple[Activations, IntArray]:
            """What the network gives for the images that can be read, and their positions."""
            read: list[IntArray] = []

            def note(batch: Batch) -> None:
                read.append(batch.rows)
                if watch is not None:
                    watch(batch)

            activations = classifier.extract(
                images,
                labels,
                on_unreadable=None if unreadable is None else unreadable.among(images),
                progress=start(what),
                on_batch=note,
                spool=Path(spool),
                keep_source=keep_source,
            )
            return activations, np.concatenate(read)

        ranking = RankingCollector(classifier.head)
        train, train_rows = extract(
            "Reading training images", split.fit.paths, split.fit.labels, ranking.add if crops else None
        )
        held_out, held_out_rows = train, train_rows
        if split.calibration is not split.fit:
            held_out, held_out_rows = extract(
                "Reading calibration images", split.calibration.paths, split.calibration.labels
            )
        groups = numbered(split.calibration.groups, held_out_rows)
        looks = looking_alike(split.calibration, held_out_rows, split.hashes)
        alike = looks if groups is None else groups
        guarantee = promised(split.guarantee, held_out, classifier.classes, groups, looks, settings)
        fitted: dict[str, Detector] = {}
        calibrations: dict[str, Calibration] = {}
        for name, detector in unfitted.items():
            fitted[name] = detector.fit(train, classifier.head, learnt_from(detector, held_out, alike))
            calibrations[name] = calibrated(
                fitted[name], held_out, guarantee, classifier.classes, groups, looks, settings
            )
        known = {name: extract(f"Reading {name}", images) for name, images in sorted((ood or {}).items())}
        ood_scores = {
            name: {key: detector.score(activations) for key, (activations, _) in known.items()}
            for name, detector in fitted.items()
        }
        tested = None
        if split.test is not None and len(split.test.paths):
            tested, _ = extract("Reading test images", split.test.paths, split.test.labels)
        heatmaps = None
        if faithfulness:
            asked = held_out_rows[chosen_rows(len(held_out_rows), faithfulness)]
            pictures = [split.calibration.paths[row] for row in asked]
            heatmaps = heatmap_summary(classifier, pictures, start("Measuring whether heatmaps are true"))
        concepts = None
        if crops:
            rankings = ranking.rankings()
            if train.stages and (channels := leading_channels(fitted.values(), held_out, STAGE_CHANNELS)):
                rankings.append(
                    rank_channels(
                        channels,
                        train.stages,
                        train_rows,
                        lambda position: classifier.stage_maps(split.fit.paths[position]),
                        start("Finding what the stages' channels respond to"),
                    )
                )
            progress = start("Cutting reference crops")
            concepts = cut_concepts(
                rankings,
                split.fit.paths,
                split.fit.labels,
                classifier.preprocessing,
                crop_pixels,
                progress,
            )
        shares = [ORDINARY_KEPT] + [KNOWN_KEPT // len(known) for _ in known]
        kept = [
            chosen_rows(len(rows), share)
            for rows, share in zip([held_out_rows, *(rows for _, rows in known.values())], shares, strict=True)
        ]
        sample = sample_neurons(
            classifier.classes,
            classifier.head,
            _epsilon(fitted),
            held_out,
            {name: activations for name, (activations, _) in known.items()},
            kept,
        )
        if crops:
            pictured = [split.calibration.paths[row] for row in held_out_rows[kept[0]]]
            for (name, (_, rows)), chosen in zip(known.items(), kept[1:], strict=True):
                pictured += [(ood or {})[name][row] for row in rows[chosen]]
            sheet = make_sheet(pictured, classifier.preprocessing, start("Keeping small pictures"))
            sample = replace(sample, read_sheet=lambda: sheet)
        manifest = {
            **asdict(card),
            "schema": SCHEMA_VERSION,
            "architecture": classifier.architecture,
            "classes": classifier.classes,
            "preprocessing": asdict(classifier.preprocessing),
            "preprocessing_origins": dict(classifier.preprocessing_origins),
            "calibration": of_most_images(calibrations).described(),
            "split": {"per_class": split.per_class(), "grouped": split.fit.groups is not None},
            "training": _training(classifier, split, train),
            "ood": {name: len(activations) for name, (activations, _) in known.items()},
            "crops": 0 if concepts is None else len(concepts.neurons),
            "sample": {"images": len(sample.groups), "pictures": crops},
            "heatmaps": heatmaps,
            "metrics": _metrics(classifier, fitted, calibrations, ood_scores, tested, settings.alpha)
            | _agreement(classifier, held_out).metrics(),
            "versions": {"nero-dashboard": nero_core.__version__, "python": platform.python_version()}
            | {package: version(package) for package in RECORDED_PACKAGES},
        }
    seen = SeenImages(
        split.hashes_of(split.fit, () if classifier.training is None else classifier.training.train),
        split.hashes_of(split.calibration) if split.calibration is not split.fit else np.empty(0, np.uint64),
    )
    return Reference(classifier, fitted, calibrations, manifest, ood_scores, _profile(sample), concepts, sample, seen)


def _training(classifier: Classifier, split: Split, train: Activations) -> dict[str, Any]:
    assert train.labels is not None
    counts = Counter(classifier.classes[label] for label in train.labels)
    record = classifier.training
    return {
        "images": len(train),
        "per_class": dict(counts),
        "digest": digest("".join(sorted(split.fit.digests)).encode()),
        "known": record is not None,
        "looks_known": split.looks_known,
        "groups": sorted(set(group_digests(split.fit).values())),
        "recipe": {} if record is None else dict(record.recipe),
    }


def _agreement(classifier: Classifier, held_out: Activations) -> ClassAgreement:
    """The network's answers on the calibration images against their class folders."""
    assert held_out.labels is not None
    return ClassAgreement.of(classifier.classes, held_out.labels, held_out.logits.argmax(axis=1))


def _epsilon(detectors: Mapping[str, Detector]) -> float:
    """The ε of NERO, where it is among the detectors: its centroids are drawn among the sample's points."""
    nero = detectors.get("nero")
    return nero.epsilon if isinstance(nero, Nero) else DEFAULT_EPSILON


def _profile(sample: NeuronSample) -> RelevanceProfile:
    d, K = sample.head.width, sample.classes
    ordinary, known = pooled(sample.moments[:K], d), pooled(sample.moments[K:], d)
    return RelevanceProfile(
        mean=ordinary.mean,
        std=np.sqrt(ordinary.squares / ordinary.count),
        count=ordinary.count,
        ood_mean=known.mean if known.count else None,
        ood_count=known.count,
    )


def _metrics(
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
