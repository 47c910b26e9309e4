"""The one loop over detectors: extract once, fit and score each, keep each as it is done."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nero_core.benchmark.division import Division
from nero_core.benchmark.flags import flagged_shares, summarised
from nero_core.benchmark.kept import KeptScores
from nero_core.benchmark.line_up import Contender
from nero_core.benchmark.notes import UNGROUPED, in_words, singular, too_few, unreadable, without_guarantee
from nero_core.benchmark.result import (
    POOLED,
    BenchmarkResult,
    DetectorResult,
    ScoredImages,
    Scores,
    SetSummary,
    pooled_groups,
    with_pooled,
)
from nero_core.calibration import Calibration, false_alarms
from nero_core.data.guarantee import BY_CLASS, CalibrationSettings
from nero_core.data.image_set import ImageSet
from nero_core.data.splits import looking_alike, numbered
from nero_core.detectors import Detector
from nero_core.detectors.calibrating import calibrated, promised
from nero_core.errors import ArtefactError, Cancelled, InputError
from nero_core.metrics import (
    RESAMPLES,
    Draws,
    bootstrap,
    metrics_with_intervals,
    paired_differences,
    point_metrics,
    rank_correlations,
)
from nero_core.network.activation_cache import CachedExtractor, Extraction
from nero_core.network.classifier import Classifier
from nero_core.records import Activations, Begin, Float64Array, IntArray
from nero_core.reference.description import versions

BASELINE = "nero"
"""What other detectors are held against, where it is among them."""
RECORDED_PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "pytorch-ood")

REASON_LETTERS = 300
"""Of an error's text so much is a detector's reason; the log holds all of it."""

_log = logging.getLogger(__name__)

OnDetector = Callable[[DetectorResult], None]


@dataclass(frozen=True, eq=False)
class _Finished:
    """A detector that ran, was refused, or failed."""

    row: DetectorResult
    scores: Scores | None


class Benchmark:
    """Every contender on the same images.

    Parameters
    ----------
    title : str
        As shown to people.
    classifier : Classifier
    division : Division
    contenders : Contenders
    folder : Path, optional
        Where finished detectors are kept; a run into the same folder takes up those that were made from the same
        images, network, parameters and code.
    cache_folder : Path, optional
        Where extractions are kept for other benchmarks; None keeps none.
    settings : CalibrationSettings
        How detectors fitted here are calibrated; its `alpha` is the accepted share of false alarms for all.
    seed, resamples : int
        Of the intervals.
    """

    def __init__(
        self,
        title: str,
        classifier: Classifier,
        division: Division,
        contenders: Sequence[Contender],
        folder: Path | None = None,
        cache_folder: Path | None = None,
        settings: CalibrationSettings = BY_CLASS,
        seed: int = 0,
        resamples: int = RESAMPLES,
    ) -> None:
        self.title, self.classifier, self.division = title, classifier, division
        self.contenders = list(contenders)
        self.settings, self.seed, self.resamples = settings, seed, resamples
        self._extractor = CachedExtractor(classifier, cache_folder)
        self._kept = KeptScores(folder, self._extractor.digest, self._sets(), settings)
        self._extractions: dict[str, Extraction] = {}
        self._finished: dict[str, _Finished] = {}
        self._draws: dict[str, dict[str, Draws]] = {}
        self._not_kept: dict[str, None] = {}

    # Run -----------------------------------------------------------------------------------------------------

    def run(self, begin: Begin | None = None, on_detector: OnDetector | None = None) -> BenchmarkResult:
        """Extract, then fit and score one detector after the other.

        What was finished before an exception, such as a keyboard interrupt, is in :meth:`result`.

        Parameters
        ----------
        begin : callable, optional
            Told each stretch of work.
        on_detector : callable, optional
            Given each row as it is done.

        Raises
        ------
        InputError
            None of the images of a set can be read.
        """
        start: Begin = begin or (lambda what: lambda done, total: None)
        for name, images in self._sets().items():
            self._extractions[name] = self._extractor.extract(images, start(f"Reading {in_words(name)}"))
        progress = start("Fitting and scoring")
        # The baseline comes first, for whoever stops early; those that go through the network again come last, as they
        # take longer than all others together.
        quick_first = sorted(self.contenders, key=lambda c: ("source" in c.detector.info.needs, c.name != BASELINE))
        for done, contender in enumerate(quick_first, start=1):
            finished = self._taken_up(contender) or self._fit_and_score(contender)
            self._finished[contender.name] = self._measured(finished)
            if on_detector is not None:
                on_detector(self._finished[contender.name].row)
            progress(done, len(self.contenders))
        return self.result()

    @property
    def finished(self) -> int:
        """How many detectors are done, refused or failed so far."""
        return len(self._finished)

    def _sets(self) -> dict[str, ImageSet]:
        parts = {"fit": self.division.fit, "calibration": self.division.calibration, "id": self.division.id}
        given = {name: images for name, images in parts.items() if images is not None}
        return given | {f"ood/{name}": images for name, images in self.division.ood.items()}

    def _activations(self, name: str, detector: Detector) -> Activations | None:
        """What one detector may see of a set: the images only where it needs them."""
        extraction = self._extractions.get(name)
        if extraction is None:
            return None
        if "source" in detector.info.needs or (name == "fit" and "outliers" in detector.info.needs):
            return extraction.with_source(self.classifier)
        return extraction.activations

    def _taken_up(self, contender: Contender) -> _Finished | None:
        """What an earlier run into the same folder has finished."""
        found = self._kept.read(contender, list(self.division.ood))
        if found is None:
            return None
        scores, (fit_seconds, score_seconds) = found
        return _Finished(replace(self._row(contender), fit_seconds=fit_seconds, score_seconds=score_seconds), scores)

    def _fit_and_score(self, contender: Contender) -> _Finished:
        row = self._row(contender)
        try:
            detector, deciding, rows, fit_seconds = self._fit(contender)
            begun = time.perf_counter()
            scores = Scores(
                self._scored(detector, "id"),
                {name: self._scored(detector, f"ood/{name}") for name in self.division.ood},
                deciding,
                rows,
            )
        except InputError as error:
            return _Finished(replace(row, status="refused", reason=str(error)), None)
        except Cancelled:
            raise
        except Exception as error:  # noqa: BLE001  # its defect, or too little memory: the other detectors go on
            _log.exception("%s failed", row.name)
            what = " ".join(str(error).split())[:REASON_LETTERS]
            return _Finished(replace(row, status="failed", reason=f"failed with {type(error).__name__}: {what}"), None)
        score_seconds = time.perf_counter() - begun
        try:
            self._kept.write(contender, scores, (fit_seconds, score_seconds))
        except ArtefactError as error:  # a full disk ends no benchmark: the result has the scores
            self._not_kept[str(error)] = None
        return _Finished(replace(row, fit_seconds=fit_seconds, score_seconds=score_seconds), scores)

    def _fit(self, contender: Contender) -> tuple[Detector, Float64Array | None, IntArray | None, float]:
        """A fitted detector, its calibration scores, whose they are, and the seconds that fitting took."""
        if contender.calibration is not None:
            return contender.detector, contender.calibration.scores, None, 0.0
        info = contender.detector.info
        # A detector that learns nothing only takes the head; which images come with it does not matter.
        train = self._activations("fit" if info.fits else "id", contender.detector)
        if train is None:
            raise InputError(
                f"{info.title} learns from training images, and none was found; give them with --train, or fit the "
                f"reference with --detectors {info.name}."
            )
        held_out = self._activations("calibration", contender.detector)
        begun = time.perf_counter()
        detector = contender.detector.fit(train, self.classifier.head, held_out)
        if held_out is None:
            return detector, None, None, time.perf_counter() - begun
        detector = detector.held_against(held_out, self.settings)
        seconds = time.perf_counter() - begun
        return detector, detector.calibration_scores(held_out), np.arange(len(held_out)), seconds

    def _scored(self, detector: Detector, name: str) -> Float64Array:
        activations = self._activations(name, detector)
        assert activations is not None
        return detector.score(activations)

    def _row(self, contender: Contender) -> DetectorResult:
        info = contender.detector.info
        fitted: Literal["here", "by the reference"] = "by the reference" if contender.fitted else "here"
        return DetectorResult(
            name=contender.name,
            detector=info.name,
            title=info.title,
            paper=info.paper.citation,
            year=info.paper.year,
            status="done",
            fitted=fitted,
            parameters=contender.detector.parameters(),
            sees_images="source" in info.needs,
        )

    # Figures -------------------------------------------------------------------------------------------------

    def _measured(self, finished: _Finished) -> _Finished:
        scores = finished.scores
        if scores is None:
            return finished
        sets = with_pooled(scores.ood)
        groups = self._groups()
        draws: dict[str, Draws] = {
            name: bootstrap(scores.id, values, self.seed, self.resamples, groups["id"], groups[name])
            for name, values in sets.items()
        }
        self._draws[finished.row.name] = draws
        metrics = {
            name: metrics_with_intervals(point_metrics(scores.id, values), draws[name]) for name, values in sets.items()
        }
        row = replace(finished.row, metrics=metrics)
        calibration = self._calibration(finished)
        if calibration is not None and calibration.supports(self.settings.alpha):
            predicted = {"id": self._predicted("id")} | {name: self._predicted(f"ood/{name}") for name in scores.ood}
            labels = self._extractions["id"].activations.labels
            row = replace(
                row,
                flagged=flagged_shares(calibration, self.settings.alpha, scores, predicted),
                false_alarms=false_alarms(
                    calibration, self.settings.alpha, scores.id, predicted["id"], labels, self.classifier.classes
                ),
                calibration=summarised(calibration, self.settings.alpha),
            )
        return replace(finished, row=row)

    def _predicted(self, name: str) -> IntArray:
        """Predicted class of each image of a set, (n,)."""
        predicted: IntArray = self._extractions[name].activations.logits.argmax(axis=1)
        return predicted

    def _calibration(self, finished: _Finished) -> Calibration | None:
        """The reference's own, with its own guarantee; or that by the images of this benchmark."""
        contender = next(each for each in self.contenders if each.name == finished.row.name)
        if contender.calibration is not None:
            return contender.calibration
        if finished.scores is None or finished.scores.calibration is None or self.division.guarantee is None:
            return None
        held_out, alike = self._extractions["calibration"].activations, self._alike()
        classes, settings, scores = self.classifier.classes, self.settings, finished.scores.calibration
        guarantee = promised(self.division.guarantee, held_out, classes, *alike, settings)
        return calibrated(contender.detector, held_out, guarantee, classes, *alike, settings, scores=scores)

    def _alike(self) -> tuple[IntArray | None, IntArray | None]:
        """The groups of the calibration images or, where nobody said, which of them look nearly the same."""
        images = self._extractions["calibration"].images
        return self._set_groups("calibration"), looking_alike(images, np.arange(len(images)), self.division.hashes)

    def _set_groups(self, name: str) -> IntArray | None:
        images = self._extractions[name].images
        return numbered(images.groups, np.arange(len(images)))

    def _groups(self) -> dict[str, IntArray | None]:
        """Which images are resampled together, by set and for all OOD images; None where nobody said."""
        groups = {name: self._set_groups(f"ood/{name}") for name in self.division.ood}
        sizes = [len(self._extractions[f"ood/{name}"].images) for name in groups]
        return {**groups, POOLED: pooled_groups([*groups.values()], sizes), "id": self._set_groups("id")}

    def result(self) -> BenchmarkResult:
        """What is finished so far."""
        asked = [self._finished[each.name] for each in self.contenders if each.name in self._finished]
        rows = [finished.row for finished in asked]
        scores = {finished.row.name: finished.scores for finished in asked if finished.scores is not None}
        baseline = BASELINE if BASELINE in scores else next(iter(scores), None)
        return BenchmarkResult(
            title=self.title,
            architecture=self.classifier.architecture,
            classes=tuple(self.classifier.classes),
            sets=tuple(self._summaries()),
            detectors=tuple(replace(row, differences=self._differences(row, baseline)) for row in rows),
            baseline=baseline,
            alpha=self.settings.alpha,
            grouped=self.division.id.groups is not None,
            accuracy=self._accuracy(),
            rank_correlation=rank_correlation(scores),
            seed=self.seed,
            resamples=self.resamples,
            warnings=tuple(self._warnings()),
            provenance={
                "versions": versions(RECORDED_PACKAGES),
                "classifier_digest": self._extractor.digest,
            },
            scores=scores,
            images={
                name: ScoredImages.of(each.images, each.activations)
                for name, each in self._extractions.items()
                if name != "fit"
            },
        )

    def _differences(self, row: DetectorResult, baseline: str | None) -> dict[str, Any]:
        if baseline is None or not row.done or row.name == baseline:
            return {}
        other = self._finished[baseline].row
        return {
            name: paired_differences(
                {key: each.value for key, each in metrics.items()},
                self._draws[row.name][name],
                {key: each.value for key, each in other.metrics[name].items()},
                self._draws[baseline][name],
            )
            for name, metrics in row.metrics.items()
        }

    def _summaries(self) -> list[SetSummary]:
        roles: dict[str, Literal["fit", "calibration", "id"]] = {"fit": "fit", "calibration": "calibration", "id": "id"}
        return [
            SetSummary(
                name=name.removeprefix("ood/"),
                role=roles.get(name, "ood"),
                images=len(extraction.activations),
                unreadable=len(extraction.unreadable),
                digest=extraction.images.digest,
            )
            for name, extraction in self._extractions.items()
        ]

    def _accuracy(self) -> float | None:
        extraction = self._extractions.get("id")
        if extraction is None or extraction.activations.labels is None:
            return None
        return float((extraction.activations.logits.argmax(axis=1) == extraction.activations.labels).mean())

    def _warnings(self) -> list[str]:
        extractions = self._extractions
        warnings = [*self.division.warnings, *unreadable(extractions), *self._extractor.notes, *self._not_kept]
        for name, each in self._finished.items():
            if each.scores is not None and np.ptp(np.concatenate([each.scores.id, *each.scores.ood.values()])) == 0:
                warnings.append(f"{name} gave every image the same score: its figures say nothing.")
        if (fit := extractions.get("fit")) is not None:
            warnings += singular(fit.activations, len(self.classifier.classes))
        if (held_out := extractions.get("calibration")) is not None:
            warnings += too_few(len(held_out.activations), self.settings.alpha)
        warnings += without_guarantee([each.row for each in self._finished.values()], self.settings.alpha)
        return warnings + ([] if self.division.id.groups is not None else [UNGROUPED])


def rank_correlation(scores: Mapping[str, Scores]) -> dict[str, dict[str, float | None]]:
    """Spearman's ρ between detectors over all ID and OOD images; None where a score is the same for every image."""
    if not scores:
        return {}
    rho = rank_correlations([np.concatenate([each.id, *each.ood.values()]) for each in scores.values()])
    return {
        one: {other: float(value) if np.isfinite(value) else None for other, value in zip(scores, row, strict=True)}
        for one, row in zip(scores, rho, strict=True)
    }
