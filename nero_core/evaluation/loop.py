"""The one loop over detectors: extract once, fit and score each, keep each as it is done."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.stats import rankdata

import nero_core
from nero_core.artefacts import digest, read_arrays, write_arrays
from nero_core.calibration import DEFAULT_ALPHA, Calibration, halves
from nero_core.classifier import Classifier
from nero_core.detectors import Detector
from nero_core.errors import ArtefactError, InputError
from nero_core.evaluation.division import Division
from nero_core.evaluation.line_up import Contender
from nero_core.evaluation.result import ID, POOLED, BenchmarkResult, DetectorResult, Scores, SetSummary
from nero_core.extraction_cache import CachedExtractor, Extraction, ImageSet
from nero_core.metrics import (
    RESAMPLES,
    Draws,
    bootstrap,
    metrics_with_intervals,
    paired_differences,
    point_metrics,
)
from nero_core.records import Activations, Begin, Float64Array

KEPT_FOLDER = "detectors"
"""Sub-folder of a benchmark's folder with one file per finished detector, from which a rerun goes on."""
BASELINE = "nero"
"""What other detectors are held against, where it is among them."""
RECORDED_PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "pytorch-ood")
UNREADABLE_NAMED = 5
"""Unreadable images are all counted; so many per set are named."""

OnDetector = Callable[[DetectorResult], None]


@dataclass(frozen=True, eq=False)
class _Finished:
    """A detector that ran or was refused."""

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
    alpha : float
        Accepted share of false alarms.
    seed, resamples : int
        Of the intervals.

    Raises
    ------
    InputError
        `alpha` is not in (0, 1).
    """

    def __init__(
        self,
        title: str,
        classifier: Classifier,
        division: Division,
        contenders: Sequence[Contender],
        folder: Path | None = None,
        cache_folder: Path | None = None,
        alpha: float = DEFAULT_ALPHA,
        seed: int = 0,
        resamples: int = RESAMPLES,
    ) -> None:
        if not 0 < alpha < 1:
            raise InputError(f"`alpha` is {alpha}; wanted a share of false alarms between 0 and 1, such as 0.05.")
        self.title, self.classifier, self.division = title, classifier, division
        self.contenders = list(contenders)
        self.folder, self.alpha, self.seed, self.resamples = folder, alpha, seed, resamples
        self._extractor = CachedExtractor(classifier, cache_folder)
        self._extractions: dict[str, Extraction] = {}
        self._finished: dict[str, _Finished] = {}
        self._draws: dict[str, dict[str, Draws]] = {}

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
            self._extractions[name] = self._extractor.extract(images, start(f"Reading {_in_words(name)}"))
        progress = start("Fitting and scoring")
        # Those that go through the network again come last: they take longer than all others together.
        quick_first = sorted(self.contenders, key=lambda contender: "source" in contender.detector.info.needs)
        for done, contender in enumerate(quick_first, start=1):
            finished = self._kept(contender) or self._fit_and_score(contender)
            self._keep(contender, finished)
            self._finished[contender.name] = self._measured(finished)
            if on_detector is not None:
                on_detector(self._finished[contender.name].row)
            progress(done, len(self.contenders))
        return self.result()

    @property
    def finished(self) -> int:
        """How many detectors are done or refused so far."""
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
        if "source" in detector.info.needs or (name == "calibration" and "outliers" in detector.info.needs):
            return extraction.with_source(self.classifier)
        return extraction.activations

    def _fit_and_score(self, contender: Contender) -> _Finished:
        row = self._row(contender)
        try:
            detector, deciding, fit_seconds = self._fit(contender)
            begun = time.perf_counter()
            scores = Scores(
                self._scored(detector, "id"),
                {name: self._scored(detector, f"ood/{name}") for name in self.division.ood},
                deciding,
            )
        except InputError as error:
            return _Finished(replace(row, status="refused", reason=str(error)), None)
        seconds = time.perf_counter() - begun
        return _Finished(replace(row, fit_seconds=fit_seconds, score_seconds=seconds), scores)

    def _fit(self, contender: Contender) -> tuple[Detector, Float64Array | None, float]:
        """A fitted detector, its calibration scores, and the seconds that fitting took."""
        if contender.calibration is not None:
            return contender.detector, contender.calibration.scores, 0.0
        info = contender.detector.info
        # A detector that learns nothing only takes the head; which images come with it does not matter.
        train = self._activations("fit" if info.fits else "id", contender.detector)
        if train is None:
            raise InputError(
                f"{info.title} learns from training images, and none was found; give them with --train, or fit the "
                f"reference with --detectors {info.name}."
            )
        held_out = self._activations("calibration", contender.detector)
        learnt, deciding = None, held_out
        if "calibration" in info.needs and held_out is not None:
            learnt, deciding = halves(held_out)
        begun = time.perf_counter()
        detector = contender.detector.fit(train, self.classifier.head, learnt)
        seconds = time.perf_counter() - begun
        return detector, None if deciding is None else detector.score(deciding), seconds

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
            paper=info.paper,
            year=info.year,
            status="done",
            fitted=fitted,
            parameters=contender.detector.parameters(),
            sees_images="source" in info.needs,
        )

    # Finished detectors on disk ------------------------------------------------------------------------------

    def _key(self, contender: Contender) -> str:
        """What a detector's scores depend on."""
        described = [
            contender.name,
            contender.detector.parameters(),
            self._extractor.digest,
            {name: list(images.digests) for name, images in self._sets().items()},
            _code_digest(),
        ]
        learnt = b""
        if contender.fitted:
            arrays = contender.detector.fitted_arrays()
            learnt = b"".join(name.encode() + np.ascontiguousarray(a).tobytes() for name, a in sorted(arrays.items()))
        return digest(json.dumps(described, sort_keys=True, default=str).encode() + learnt)

    def _path(self, contender: Contender) -> Path | None:
        return None if self.folder is None else self.folder / KEPT_FOLDER / f"{contender.name}.safetensors"

    def _keep(self, contender: Contender, finished: _Finished) -> None:
        path = self._path(contender)
        if path is None or finished.scores is None:
            return
        arrays = {"id": finished.scores.id} | {f"ood/{name}": s for name, s in finished.scores.ood.items()}
        if finished.scores.calibration is not None:
            arrays["calibration"] = finished.scores.calibration
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds = {"fit_seconds": finished.row.fit_seconds, "score_seconds": finished.row.score_seconds}
        write_arrays(path, arrays, {"key": self._key(contender), "seconds": json.dumps(seconds)})

    def _kept(self, contender: Contender) -> _Finished | None:
        """What an earlier run into the same folder has finished, if it is of the same images, network and code."""
        path = self._path(contender)
        if path is None or not path.is_file():
            return None
        try:
            arrays, notes = read_arrays(path)
        except ArtefactError:  # damaged: it is computed again
            return None
        if notes.get("key") != self._key(contender):
            return None
        ood = {name: arrays[f"ood/{name}"] for name in self.division.ood}
        row = replace(self._row(contender), **json.loads(notes["seconds"]))
        return _Finished(row, Scores(arrays["id"], ood, arrays.get("calibration")))

    # Figures -------------------------------------------------------------------------------------------------

    def _measured(self, finished: _Finished) -> _Finished:
        scores = finished.scores
        if scores is None:
            return finished
        sets = _with_pooled(scores.ood)
        draws: dict[str, Draws] = {
            name: bootstrap(scores.id, values, self.seed, self.resamples) for name, values in sets.items()
        }
        self._draws[finished.row.name] = draws
        metrics = {
            name: metrics_with_intervals(point_metrics(scores.id, values), draws[name]) for name, values in sets.items()
        }
        return replace(finished, row=replace(finished.row, metrics=metrics, flagged=self._flagged(scores, sets)))

    def _flagged(self, scores: Scores, sets: Mapping[str, Float64Array]) -> dict[str, float]:
        if scores.calibration is None or self.alpha < 1 / (len(scores.calibration) + 1):
            return {}
        calibration = Calibration(scores.calibration, self.division.guaranteed)
        return {
            name: float(np.mean([d.state == "out-of-distribution" for d in calibration.decide(values, self.alpha)]))
            for name, values in ({ID: scores.id} | dict(sets)).items()
        }

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
            alpha=self.alpha,
            guaranteed=self.division.guaranteed,
            accuracy=self._accuracy(),
            rank_correlation=rank_correlation(scores),
            seed=self.seed,
            resamples=self.resamples,
            warnings=tuple(self._warnings()),
            provenance={
                "versions": {"nero-dashboard": nero_core.__version__, "python": platform.python_version()}
                | {package: version(package) for package in RECORDED_PACKAGES},
                "classifier_digest": self._extractor.digest,
            },
            scores=scores,
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
        warnings = list(self.division.warnings)
        for name, extraction in self._extractions.items():
            if count := len(extraction.unreadable):
                named = "; ".join(text.rstrip(".") for text in extraction.unreadable[:UNREADABLE_NAMED])
                more = "; and others" if count > UNREADABLE_NAMED else ""
                warnings.append(
                    f"{count} of {_in_words(name)} could not be read and {'was' if count == 1 else 'were'} left out: "
                    f"{named}{more}."
                )
        for name, each in self._finished.items():
            if each.scores is not None and np.ptp(np.concatenate([each.scores.id, *each.scores.ood.values()])) == 0:
                warnings.append(f"{name} gave every image the same score: its figures say nothing.")
        held_out = self._extractions.get("calibration")
        if held_out is not None and self.alpha < 1 / (len(held_out.activations) + 1):
            warnings.append(
                f"{len(held_out.activations)} calibration images are too few for α = {self.alpha:g}: "
                "no shares of flagged images are given."
            )
        return warnings


def _in_words(name: str) -> str:
    words = {"fit": "training images", "calibration": "calibration images", "id": "ID test images"}
    return words.get(name) or name.removeprefix("ood/")


def _with_pooled(ood: Mapping[str, Float64Array]) -> dict[str, Float64Array]:
    return dict(ood) | ({POOLED: np.concatenate(list(ood.values()))} if len(ood) > 1 else {})


def rank_correlation(scores: Mapping[str, Scores]) -> dict[str, dict[str, float | None]]:
    """Spearman's ρ between detectors over all ID and OOD images; None where a score is the same for every image."""
    if not scores:
        return {}
    ranks = {name: rankdata(np.concatenate([each.id, *each.ood.values()])) for name, each in scores.items()}
    table = np.array([each - each.mean() for each in ranks.values()])
    sizes = np.linalg.norm(table, axis=1)
    with np.errstate(invalid="ignore"):
        rho = (table @ table.T) / np.outer(sizes, sizes)
    return {
        one: {other: float(value) if np.isfinite(value) else None for other, value in zip(ranks, row, strict=True)}
        for one, row in zip(ranks, rho, strict=True)
    }


@cache
def _code_digest() -> str:
    """One digest of this package's source: scores that older code gave are not mixed with new ones."""
    root = Path(nero_core.__file__).parent
    return digest("".join(digest(path) for path in sorted(root.rglob("*.py"))).encode())
