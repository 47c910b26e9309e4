"""From a classifier and class folders to a reference: one pass over each set of images."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nero_core.attribution.faithfulness import heatmap_summary
from nero_core.calibration import Calibration, of_most_images
from nero_core.data.guarantee import BY_CLASS, CalibrationSettings
from nero_core.data.seen import SeenImages
from nero_core.data.splits import Split, looking_alike, numbered
from nero_core.detectors import Detector, Nero, Panel, make_detector
from nero_core.detectors.calibrating import calibrated, promised
from nero_core.detectors.panel import panel_for
from nero_core.errors import InputError
from nero_core.network.classifier import Classifier
from nero_core.network.extraction import Batch
from nero_core.neurons.crops import CROP_PIXELS, Concepts, cut_concepts
from nero_core.neurons.ranking import STAGE_CHANNELS, RankingCollector, leading_channels, rank_channels
from nero_core.neurons.sample import (
    KNOWN_KEPT,
    ORDINARY_KEPT,
    TRAINED_KEPT,
    NeuronSample,
    TrainedFrames,
    chosen_rows,
    sample_neurons,
    spread_rows,
)
from nero_core.neurons.sheets import make_sheet
from nero_core.neurons.statistics import pooled
from nero_core.records import Activations, Begin, IntArray, RelevanceProfile, Source
from nero_core.reference.description import Card, agreement_of, made_with, metrics_of, training_of
from nero_core.reference.panel_card import PANEL, chosen
from nero_core.reference.reference import Reference
from nero_core.relevance import DEFAULT_EPSILON
from nero_core.wording import FAITHFULNESS, said


@dataclass(eq=False)
class Unreadable:
    """Files that were left out, with the reason."""

    reasons: dict[str, str] = field(default_factory=dict)

    def among(self, images: Sequence[Source]) -> Callable[[int, InputError], None]:
        """A callback for `extract` that notes the file at a position of these images."""

        def note(position: int, error: InputError) -> None:
            self.reasons[str(images[position])] = str(error)

        return note


def unfitted_detectors(
    classifier: Classifier, detectors: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Detector]:
    """The detectors that a network is to have, by name; before any image is read it is known that it can.

    Parameters
    ----------
    detectors : {name: parameters}, optional
        A panel and its members where not given, as far as the network has what they read.

    Raises
    ------
    UnknownDetectorError
        No detector has one of these names.
    InputError
        A parameter cannot be used, or the network lacks what a detector reads.
    """
    unfitted = {name: make_detector(name, **given) for name, given in (detectors or {}).items()}
    if detectors is None:
        panel = panel_for(classifier.layout)
        unfitted = {PANEL: panel, **{name: make_detector(name) for name in panel.members}}
    for detector in unfitted.values():
        detector.check_network(classifier.layout, classifier.head)
    return unfitted


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
        A panel and its members where not given.
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
        An image cannot be read, a class has no readable image, or the network cannot have one of the detectors.
    """
    start: Begin = begin or (lambda what: lambda done, total: None)
    unfitted = unfitted_detectors(classifier, detectors)
    with tempfile.TemporaryDirectory(prefix="nero-fit-", ignore_cleanup_errors=True) as spool:
        passes = _extract(classifier, split, ood or {}, unfitted, crops, Path(spool), start, unreadable)
        fitted, calibrations = _fit_and_calibrate(classifier, split, unfitted, passes, settings)
        ood_scores = {
            name: {key: detector.score(each.activations) for key, each in passes.known.items()}
            for name, detector in fitted.items()
        }
        heatmaps = None
        if faithfulness:
            rows = chosen_rows(len(passes.held_out.rows), faithfulness)
            pictures = passes.held_out.pictures(rows)
            heatmaps = heatmap_summary(classifier, pictures, start(f"Measuring the {said(FAITHFULNESS)}"))
        concepts = _find_concepts(classifier, split, fitted, passes, crop_pixels, start) if crops else None
        sample = _keep_sample(classifier, fitted, passes, crops, start)
        manifest = {
            **asdict(card),
            "calibration": of_most_images(calibrations).described(),
            "split": {"per_class": split.per_class(), "grouped": split.fit.groups is not None},
            "training": training_of(classifier, split, passes.train.activations),
            "ood": {name: len(each.activations) for name, each in passes.known.items()},
            "crops": 0 if concepts is None else len(concepts.neurons),
            "sample": {
                "images": len(sample.groups),
                "pictures": crops,
                "trained": 0 if sample.trained is None else len(sample.trained.labels),
            },
            "heatmaps": heatmaps,
            "metrics": metrics_of(classifier, fitted, calibrations, ood_scores, passes.tested, settings.alpha)
            | agreement_of(classifier, passes.held_out.activations).metrics(),
            **made_with(classifier),
        }
        if isinstance(panel := fitted.get(PANEL), Panel):
            manifest["panel"] = chosen(panel, manifest["training"]["per_class"])
    read = {name: each.activations.logits.argmax(axis=1) for name, each in passes.known.items()}
    profile, seen = _profile(sample), seen_in(classifier, split)
    return Reference(
        classifier, fitted, calibrations, manifest, ood_scores, profile, concepts, sample, seen, None, read
    )


def seen_in(classifier: Classifier, split: Split) -> SeenImages:
    """How the images look that the network was trained on, that detectors were fitted to, and that calibrate."""
    return SeenImages(
        split.hashes_of(split.fit, () if classifier.training is None else classifier.training.train),
        split.hashes_of(split.calibration) if split.calibration is not split.fit else np.empty(0, np.uint64),
    )


@dataclass(frozen=True, eq=False)
class _Pass:
    """What the network gives for those of some images that can be read."""

    images: Sequence[Source]
    activations: Activations
    rows: IntArray
    """Positions of these among the images."""

    def pictures(self, rows: IntArray) -> list[Source]:
        """The images behind some of the activations."""
        return [self.images[row] for row in self.rows[rows]]


@dataclass(frozen=True, eq=False)
class _Passes:
    """One pass over each set of images, and what was ranked on the way."""

    train: _Pass
    held_out: _Pass
    known: Mapping[str, _Pass]
    tested: Activations | None
    ranking: RankingCollector | None


def _extract(
    classifier: Classifier,
    split: Split,
    ood: Mapping[str, Sequence[Source]],
    detectors: Mapping[str, Detector],
    rank: bool,
    spool: Path,
    start: Begin,
    unreadable: Unreadable | None,
) -> _Passes:
    """One pass over each set of images."""
    keep_source = any(detector.info.needs & {"source", "outliers"} for detector in detectors.values())
    ranking = RankingCollector(classifier.head, _epsilon(detectors)) if rank else None

    def extract(
        what: str, images: Sequence[Source], labels: IntArray | None = None, watch: RankingCollector | None = None
    ) -> _Pass:
        read: list[IntArray] = []

        def note(batch: Batch) -> None:
            read.append(batch.rows)
            if watch is not None:
                watch.add(batch)

        activations = classifier.extract(
            images,
            labels,
            on_unreadable=None if unreadable is None else unreadable.among(images),
            progress=start(what),
            on_batch=note,
            spool=spool,
            keep_source=keep_source,
        )
        return _Pass(images, activations, np.concatenate(read))

    train = held_out = extract("Reading training images", split.fit.paths, split.fit.labels, ranking)
    if split.calibration is not split.fit:
        held_out = extract("Reading calibration images", split.calibration.paths, split.calibration.labels)
    known = {name: extract(f"Reading {name}", images) for name, images in sorted(ood.items())}
    tested = None
    if split.test is not None and len(split.test.paths):
        tested = extract("Reading test images", split.test.paths, split.test.labels).activations
    return _Passes(train, held_out, known, tested, ranking)


def _fit_and_calibrate(
    classifier: Classifier,
    split: Split,
    detectors: Mapping[str, Detector],
    passes: _Passes,
    settings: CalibrationSettings,
) -> tuple[dict[str, Detector], dict[str, Calibration]]:
    """Each detector fitted to the training images, and calibrated on those held out."""
    held_out = passes.held_out.activations
    groups = numbered(split.calibration.groups, passes.held_out.rows)
    looks = looking_alike(split.calibration, passes.held_out.rows, split.hashes)
    guarantee = promised(split.guarantee, held_out, classifier.classes, groups, looks, settings)
    train, fitted = passes.train.activations, dict[str, Detector]()
    for name, detector in detectors.items():
        member = panel.members_.get(name) if isinstance(panel := fitted.get(PANEL), Panel) else None
        if member is not None and member.parameters() == detector.parameters():
            fitted[name] = member
            continue
        fitted[name] = detector.fit(train, classifier.head, held_out).held_against(held_out, settings)
    calibrations = {
        name: calibrated(detector, held_out, guarantee, classifier.classes, groups, looks, settings)
        for name, detector in fitted.items()
    }
    return fitted, calibrations


def _find_concepts(
    classifier: Classifier,
    split: Split,
    detectors: Mapping[str, Detector],
    passes: _Passes,
    crop_pixels: int,
    start: Begin,
) -> Concepts:
    """Training images that neurons, and leading channels of stages, respond to most, cropped to where they looked."""
    assert passes.ranking is not None
    rankings, train = passes.ranking.rankings(), passes.train
    channels = leading_channels(detectors.values(), passes.held_out.activations, STAGE_CHANNELS)
    if train.activations.stages and channels:
        rankings.append(
            rank_channels(
                channels,
                train.activations.stages,
                train.rows,
                lambda position: classifier.stage_maps(split.fit.paths[position]),
                start("Finding what the stages' channels respond to"),
            )
        )
    progress = start("Cutting reference crops")
    return cut_concepts(rankings, split.fit.paths, split.fit.labels, classifier.preprocessing, crop_pixels, progress)


def _keep_sample(
    classifier: Classifier, detectors: Mapping[str, Detector], passes: _Passes, pictured: bool, start: Begin
) -> NeuronSample:
    """Neurons of some held-out and known out-of-distribution images; with pictures, of some training frames, too."""
    sets = [passes.held_out, *passes.known.values()]
    shares = [ORDINARY_KEPT] + [KNOWN_KEPT // len(passes.known) for _ in passes.known]
    kept = [chosen_rows(len(each.rows), share) for each, share in zip(sets, shares, strict=True)]
    sample = sample_neurons(
        classifier.classes,
        classifier.head,
        _epsilon(detectors),
        passes.held_out.activations,
        {name: each.activations for name, each in passes.known.items()},
        kept,
    )
    if not pictured:
        return sample
    pictures = [picture for each, rows in zip(sets, kept, strict=True) for picture in each.pictures(rows)]
    train = passes.train.activations
    assert train.labels is not None
    rows = spread_rows(train.labels, TRAINED_KEPT)
    sheet = make_sheet(pictures, classifier.preprocessing, start("Keeping small pictures"))
    trained = make_sheet(passes.train.pictures(rows), classifier.preprocessing, start("Keeping training frames"))
    features = np.asarray(train.features[rows], np.float32)
    frames = TrainedFrames(features, train.labels[rows], lambda: trained)
    return replace(sample, read_sheet=lambda: sheet, trained=frames)


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
