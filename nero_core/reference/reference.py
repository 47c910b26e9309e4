"""What the user picks and what is shipped: classifier, fitted detectors, calibration and concepts, in one folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from nero_core.calibration import Calibration, of_most_images
from nero_core.data.guarantee import DEFAULT_ALPHA, CalibrationSettings
from nero_core.errors import InputError, UnknownDetectorError
from nero_core.neurons.crops import Concepts
from nero_core.neurons.sample import NeuronSample
from nero_core.neurons.similar import SHOWN, By, SimilarFrame, similar_frames
from nero_core.records import Activations, Decision, Float32Array, Float64Array, IntArray, RelevanceProfile, Source
from nero_core.reference.agreement import check_agreement
from nero_core.reference.folder import DEFAULT_DETECTOR, ReferenceFolder, in_order
from nero_core.reference.manifest import list_references
from nero_core.reference.panel_card import PANEL
from nero_core.relevance import DEFAULT_EPSILON

if TYPE_CHECKING:
    from nero_core.attribution import Attribution, AttributionPass, Attributions
    from nero_core.data.near_duplicates import HashArray
    from nero_core.data.seen import SeenImages
    from nero_core.detectors import Detector
    from nero_core.explanation import Explanation
    from nero_core.network.classifier import Classifier

__all__ = ["DEFAULT_DETECTOR", "Reference", "list_references"]

RETIRED = {"fused": "The panel has taken its place"}
"""Detectors of earlier versions, which are read no more, and what to say of them."""


class Reference(ReferenceFolder):
    """Everything that an image is held against: made by `fit_reference`, or read from a folder.

    Parameters
    ----------
    classifier : Classifier
    detectors : {name: fitted detector}
    calibrations : {name: Calibration}
        One per detector.
    manifest : dict
        The model card: title, counts, sources, limits, versions.
    ood_scores : {detector: {set: (n,) scores}}
        Scores of known out-of-distribution images; may be empty.
    profile : RelevanceProfile or None
    concepts : Concepts or None
        None where the reference carries no pictures of training images.
    sample : NeuronSample or None
        Neurons on some held-out and known out-of-distribution images; None in older references.
    seen : SeenImages or None
        How the images look that it was made from; None in older references.
    path : Path, optional
        Where it was read from.
    ood_predicted : {set: (n,) int64}, optional
        The class that each known out-of-distribution image is read as; older references do not know it.
    """

    def __init__(  # what was given stands where the folder's parts would be read
        self,
        classifier: Classifier,
        detectors: Mapping[str, Detector],
        calibrations: Mapping[str, Calibration],
        manifest: Mapping[str, Any],
        ood_scores: Mapping[str, Mapping[str, Float64Array]] | None = None,
        profile: RelevanceProfile | None = None,
        concepts: Concepts | None = None,
        sample: NeuronSample | None = None,
        seen: SeenImages | None = None,
        path: Path | None = None,
        ood_predicted: Mapping[str, IntArray] | None = None,
    ) -> None:
        self.manifest = dict(manifest)
        self.path = path
        self.classifier = classifier
        self.detectors = in_order(detectors)
        self.calibrations = dict(calibrations)
        self.ood_scores = {name: dict(sets) for name, sets in (ood_scores or {}).items()}
        self.ood_predicted = dict(ood_predicted or {})
        self.profile, self.concepts, self.sample, self.seen = profile, concepts, sample, seen

    # Parts ---------------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, folder: str | Path, device: str = "cpu") -> Reference:
        """A stored reference of which only the manifest is read; each part is verified and read when asked for.

        `manifest`, `sample`, `feature_concepts`, `projection` and `seen` need no network and load no torch. Whether
        the parts agree with each other is checked by :meth:`load`.

        Raises
        ------
        ArtefactError
            The manifest is missing, damaged or newer; later, the same of the part that is asked for.
        """
        opened = cls.__new__(cls)
        ReferenceFolder.__init__(opened, Path(folder), device)
        return opened

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> Reference:
        """Read and verify a whole reference.

        Raises
        ------
        ArtefactError
            A file is missing, truncated, swapped, edited or newer, holds what cannot be, or says something else than
            the others: file and field are named.
        """
        loaded = cls.open(folder, device)
        loaded.verify()
        for part in (
            "classifier",
            "detectors",
            "concepts",
            "calibrations",
            "ood_scores",
            "ood_predicted",
            "profile",
            "sample",
            "seen",
        ):
            getattr(loaded, part)
        check_agreement(loaded)
        return loaded

    @property
    def title(self) -> str:
        """As shown to people."""
        return str(self.manifest["title"])

    @property
    def synthetic(self) -> bool:
        """Whether it was made from rendered scenes instead of real images; every screen says so."""
        return bool(self.manifest["synthetic"])

    @property
    def classes(self) -> list[str]:
        """K class names, in the order of the logits."""
        return [str(name) for name in self.manifest["classes"]]

    @property
    def calibration_settings(self) -> CalibrationSettings:
        """How its calibrations were made."""
        return of_most_images(self.calibrations).settings

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the detectors that it was fitted with and that are not installed here; the others serve."""
        return tuple(sorted(self.manifest.get("detectors", {}).keys() - self.detectors.keys()))

    def read_without_network(self) -> Reference:
        """Itself, once the parts that need no network are read: what the Neurons page shows.

        Raises
        ------
        ArtefactError
            One of them is missing, damaged or newer, or disagrees with the manifest.
        """
        for part in ("sample", "feature_concepts", "projection"):
            getattr(self, part)
        return self

    @property
    def deciding(self) -> str:
        """The detector whose verdict stands in the headline: the panel, NERO where there is none, else the first."""
        names = [name for name in (PANEL, DEFAULT_DETECTOR) if name in self.detectors]
        return (names or list(self.detectors))[0]

    @property
    def epsilon(self) -> float:
        """ε of the relevance that it was fitted with: NERO's where it has it."""
        if self.sample is not None:
            return self.sample.epsilon
        nero = self.detectors.get(DEFAULT_DETECTOR)
        return DEFAULT_EPSILON if nero is None else float(nero.parameters()["epsilon"])

    # Scores --------------------------------------------------------------------------------------------------

    def activations_of(self, images: Sequence[Source]) -> Activations:
        """Images through the network once, kept for those of its detectors that have to see them again.

        Raises
        ------
        InputError
            An image cannot be read.
        """
        again = any("source" in fitted.info.needs for fitted in self.detectors.values())
        return self.classifier.extract(images, keep_source=again)

    def detector(self, name: str | None = None) -> Detector:
        """A fitted detector by name; the deciding one where none is given.

        Raises
        ------
        UnknownDetectorError
            This reference was fitted without it, or it is not installed here.
        """
        name = self.deciding if name is None else name
        if name not in self.detectors:
            has, todo = f"has no detector {name!r}", f"Fit it again with --detectors {name}."
            if name in self.missing:
                has, todo = f"was fitted with {name!r}, which is not installed here", "Install it, or choose another."
            if name in RETIRED:
                has, todo = f"has no detector {name!r}", f"{RETIRED[name]}; `fit … --add panel` adds one."
            raise UnknownDetectorError(f"This reference {has}; it has {', '.join(self.detectors)}. {todo}")
        return self.detectors[name]

    def score(self, activations: Activations, detector: str | None = None) -> Float64Array:
        """Scores (n,) float64, of the deciding detector where none is named; larger = more out-of-distribution."""
        return self.detector(detector).score(activations)

    def decide(
        self,
        batch: Activations,
        detector: str | None = None,
        alpha: float = DEFAULT_ALPHA,
        scores: npt.ArrayLike | None = None,
        hashes: HashArray | None = None,
    ) -> list[Decision]:
        """Score images, and read the scores against this reference's calibration images.

        Parameters
        ----------
        batch : Activations
            n images.
        scores : (n,), optional
            Of this detector, where they are known already.
        hashes : (n,) uint64, optional
            How the images look (:func:`~nero_core.data.near_duplicates.difference_hash`): one that
            the reference was made from has no guarantee, and its decision says so.

        Raises
        ------
        InputError
            α is not in (0, 1) or too small for the number of calibration images.
        """
        found = self.score(batch, detector) if scores is None else scores
        decisions = self.calibrations[detector or self.deciding].decide(found, alpha, batch.logits.argmax(axis=1))
        if hashes is None or self.seen is None:
            return decisions
        return [
            replace(decision, guaranteed=False, no_guarantee_because=why) if why else decision
            for decision, why in zip(decisions, self.seen.among(hashes), strict=True)
        ]

    def caught(self, alpha: float, detector: str | None = None) -> dict[str, tuple[int, int]] | None:
        """Of each set of known out-of-distribution images how many are flagged at this α, and of how many.

        None where nobody has measured it: no such images were given to the fit, or, where images are read by class, an
        earlier version has not kept as what they are read.

        Raises
        ------
        InputError
            α is not in (0, 1) or too small for the number of calibration images.
        """
        name = detector or self.deciding
        sets, calibration = self.ood_scores.get(name, {}), self.calibrations[name]
        if not sets or (calibration.predicted is not None and not self.ood_predicted):
            return None
        found = {}
        for key, scores in sets.items():
            decisions = calibration.decide(scores, alpha, self.ood_predicted.get(key))
            found[key] = (sum(each.state == "out-of-distribution" for each in decisions), len(decisions))
        return found

    def explain(self, activations: Activations, detector: str | None = None) -> list[Explanation]:
        """Exact accounts of the scores of a detector; where none is named, of the first that has one, such as NERO.

        Raises
        ------
        InputError
            The detector's score is not a sum over neurons.
        """
        from nero_core.detectors import ExplainedDetector
        from nero_core.explanation import explain

        explained = [name for name, other in self.detectors.items() if isinstance(other, ExplainedDetector)]
        fitted = self.detector(detector or next(iter(explained), None))
        if not isinstance(fitted, ExplainedDetector):
            raise InputError(
                f"{fitted.info.title} has no exact score decomposition by neuron; "
                + (f"choose {' or '.join(explained)}." if explained else "fit this reference with nero.")
            )
        return explain(fitted, activations, self.classes)

    def similar_frames(self, activations: Activations, k: int = SHOWN, by: By = "relevance") -> list[SimilarFrame]:
        """The k nearest training and calibration frames; see :func:`~nero_core.neurons.similar.similar_frames`."""
        return similar_frames(self.sample, activations, k, by)

    # Heatmaps ------------------------------------------------------------------------------------------------

    @cached_property
    def attributions(self) -> Attributions:
        """Its heatmap methods by title, and which of them the network has; each made when first asked for."""
        from nero_core.attribution import Attributions

        return Attributions(self.classifier)

    @property
    def attribution(self) -> Attribution:
        """How heatmaps are made where nobody chooses: its `method`, and why not by a better one."""
        return self.attributions.by()

    def open_heatmaps(self, image: Source, method: str | None = None) -> AttributionPass:
        """One image, from which maps are taken one by one; dropping it abandons the rest.

        `method` is the title of one (:data:`nero_core.attribution.METHODS`), else the best that the network has.
        Raises InputError where the image cannot be read, or the network does not have that method.
        """
        return self.attributions.by(method).open(self.classifier.prepare(image))

    def heatmaps(
        self, image: Source, neurons: Sequence[int], stage: str | None = None, method: str | None = None
    ) -> Float32Array:
        """Pixel maps of the chosen neurons, (k, H, W) float32 at the network's input size.

        Parameters
        ----------
        neurons : sequence of int
            Channels of the last feature map, or of `stage` where given.
        method : str, optional
            As of :meth:`open_heatmaps`.
        """
        return self.open_heatmaps(image, method).neurons(list(neurons), stage=stage)

    # On disk -------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write to a folder: a crash leaves the old reference or the new one, never half.

        The signature of what was there goes. Whether it was imported stays noted of what was, wherever it is written.

        Raises
        ------
        InputError
            Detectors were calibrated in different ways: a reference makes one promise. Or one is not installed here.
        ArtefactError
            The folder holds something else, cannot be written, or is being written by another process.
        """
        from nero_core.reference.saving import save

        save(self, folder)
