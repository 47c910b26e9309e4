"""What the user picks and what is shipped: classifier, fitted detectors, calibration and concepts in one folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nero_core.calibration import Calibration, of_most_images
from nero_core.data.guarantee import DEFAULT_ALPHA, CalibrationSettings
from nero_core.data.near_duplicates import HashArray
from nero_core.data.seen import SeenImages
from nero_core.detectors import Detector, ExplainedDetector, make_detector
from nero_core.errors import ArtefactError, InputError, NeroError, UnknownDetectorError
from nero_core.explanation import Explanation, explain
from nero_core.network.classifier import Classifier
from nero_core.neurons.crops import Concepts
from nero_core.neurons.sample import SHEET_ROLE, NeuronSample, group_names
from nero_core.records import (
    Activations,
    Decision,
    Float32Array,
    Float64Array,
    RelevanceProfile,
    Source,
)
from nero_core.reference.agreement import (
    check_agreement,
    restore_calibrations,
    restore_ood_scores,
    restore_profile,
    restore_seen,
)
from nero_core.reference.manifest import (
    MANIFEST_NAME,
    SCHEMA_VERSION,
    list_references,
    read_manifest,
    read_picture,
    remove_unlisted,
    verify_file,
    write_hashed,
    write_manifest,
)
from nero_core.reference.origin import Origin, read_origin, write_origin
from nero_core.reference.signatures import SIGNATURE_NAME
from nero_core.storage.files import arrays_under, read_arrays, sync_folder, write_arrays, write_synced
from nero_core.storage.locks import LOCK_NAME, writing

if TYPE_CHECKING:
    from nero_core.attribution import Attribution, AttributionPass, Attributions

__all__ = ["DEFAULT_DETECTOR", "Reference", "list_references"]

DEFAULT_DETECTOR = "nero"
DAMAGE = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    MemoryError,
)
"""What the libraries raise on a network that is none; no error of the machine's is among them but want of memory."""


class Reference:
    """Everything that an image is held against.

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
    """

    def __init__(
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
    ) -> None:
        self.classifier = classifier
        self.detectors = {name: detectors[name] for name in sorted(detectors, key=lambda n: _rank(n, detectors[n]))}
        self.calibrations = dict(calibrations)
        self.manifest = dict(manifest)
        self.ood_scores = {name: dict(sets) for name, sets in (ood_scores or {}).items()}
        self.profile = profile
        self.concepts = concepts
        self.sample = sample
        self.seen = seen
        self.path = path

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
        return list(self.classifier.classes)

    @property
    def calibration_settings(self) -> CalibrationSettings:
        """How its calibrations were made."""
        return of_most_images(self.calibrations).settings

    # Scores --------------------------------------------------------------------------------------------------

    def detector(self, name: str = DEFAULT_DETECTOR) -> Detector:
        """A fitted detector by name.

        Raises
        ------
        UnknownDetectorError
            This reference was fitted without it.
        """
        if name not in self.detectors:
            raise UnknownDetectorError(
                f"This reference has no detector {name!r}; it has {', '.join(self.detectors)}. "
                f"Fit it again with --detectors {name}."
            )
        return self.detectors[name]

    def score(self, activations: Activations, detector: str = DEFAULT_DETECTOR) -> Float64Array:
        """Scores (n,) float64; larger = more out-of-distribution."""
        return self.detector(detector).score(activations)

    def decide(
        self,
        batch: Activations,
        detector: str = DEFAULT_DETECTOR,
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
        decisions = self.calibrations[detector].decide(found, alpha, batch.logits.argmax(axis=1))
        if hashes is None or self.seen is None:
            return decisions
        return [
            replace(decision, guaranteed=False, no_guarantee_because=why) if why else decision
            for decision, why in zip(decisions, self.seen.among(hashes), strict=True)
        ]

    def explain(self, activations: Activations, detector: str = DEFAULT_DETECTOR) -> list[Explanation]:
        """Exact accounts of the scores.

        Raises
        ------
        InputError
            The detector's score is not a sum over neurons.
        """
        fitted = self.detector(detector)
        if not isinstance(fitted, ExplainedDetector):
            explained = [name for name, other in self.detectors.items() if isinstance(other, ExplainedDetector)]
            raise InputError(
                f"{fitted.info.title} has no exact account by neuron; "
                + (f"choose {' or '.join(explained)}." if explained else "fit this reference with nero.")
            )
        return explain(fitted, activations, self.classes)

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

    def heatmaps(self, image: Source, neurons: Sequence[int], stage: str | None = None) -> Float32Array:
        """Pixel maps of the chosen neurons by `attribution.method`, (k, H, W) float32 at the network's input size.

        Parameters
        ----------
        neurons : sequence of int
            Channels of the last feature map, or of `stage` where given.
        """
        return self.open_heatmaps(image).neurons(list(neurons), stage=stage)

    # On disk -------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write to a folder: a crash leaves the old reference or the new one, never half.

        The signature of what was there goes. Whether it was imported stays noted of what was, wherever it is written.

        Raises
        ------
        InputError
            Detectors were calibrated in different ways: a reference makes one promise.
        ArtefactError
            The folder holds something else, cannot be written, or is being written by another process.
        """
        if len({(each.guarantee, each.settings) for each in self.calibrations.values()}) > 1:
            raise InputError("The detectors' calibrations promise different things; calibrate all on the same images.")
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            known = ("concepts", LOCK_NAME)
            foreign = [p.name for p in folder.iterdir() if p.name not in known and p.suffix != ".part"]
        except OSError as error:
            raise ArtefactError(f"{folder} cannot be made or read ({error.strerror}); choose another --out.") from error
        ours = any(name.startswith(("classifier-", "fitted-")) for name in foreign)
        if foreign and not (folder / MANIFEST_NAME).is_file() and not ours:
            raise ArtefactError(f"{folder} holds other files ({foreign[0]}); choose a new or an empty folder.")
        with writing(folder):
            try:
                self._write(folder)
            except OSError as error:
                raise ArtefactError(
                    f"{folder} cannot be written ({error.strerror}); check its permissions and the free space."
                ) from error

    def _write(self, folder: Path) -> None:
        files = {
            "classifier": write_hashed(folder, "classifier", "safetensors", self.classifier.save),
            "fitted": write_hashed(
                folder, "fitted", "safetensors", lambda path: write_arrays(path, self._fitted_arrays())
            ),
        }
        sheets = self.concepts.sheets(self.classifier.layout.stages) if self.concepts else {}
        if self.sample is not None and self.sample.read_sheet is not None:
            sheets[SHEET_ROLE] = self.sample.read_sheet()
        for role, sheet in sheets.items():
            files[role] = write_hashed(folder, role, "webp", partial(write_synced, data=sheet))
        described = {
            **self.manifest,
            "schema": SCHEMA_VERSION,
            "calibration": of_most_images(self.calibrations).described(),
            "detectors": {name: {"parameters": d.parameters()} for name, d in self.detectors.items()},
            "files": files,
        }
        for written in {(folder / entry["name"]).parent for entry in files.values()}:
            sync_folder(written)
        origin = replace(Origin() if self.path is None else read_origin(self.path), default=read_origin(folder).default)
        if origin.imported:
            write_origin(folder, origin)
        (folder / SIGNATURE_NAME).unlink(missing_ok=True)
        write_manifest(folder, described)
        write_origin(folder, origin)  # what was made here is told so only once nothing of what was imported is left
        remove_unlisted(folder, files)

    def _fitted_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        arrays: dict[str, npt.NDArray[np.generic]] = {}
        for name, detector in self.detectors.items():
            arrays |= {f"detector/{name}/{key}": array for key, array in detector.fitted_arrays().items()}
            calibration = self.calibrations[name]
            arrays[f"calibration/{name}"] = calibration.scores
            beside = {name: getattr(calibration, name) for name in ("predicted", "groups", "looks")}
            arrays |= {f"{key}/{name}": given for key, given in beside.items() if given is not None}
        for name, sets in self.ood_scores.items():
            arrays |= {f"ood/{name}/{key}": scores for key, scores in sets.items()}
        if self.seen is not None:
            arrays |= {"seen/trained": self.seen.trained, "seen/calibrated": self.seen.calibrated}
        if self.profile is not None:
            arrays |= {"profile/mean": self.profile.mean, "profile/std": self.profile.std}
            arrays["profile/counts"] = np.array([self.profile.count, self.profile.ood_count])
            if self.profile.ood_mean is not None:
                arrays["profile/ood_mean"] = self.profile.ood_mean
        if self.concepts is not None:
            described = self.concepts.arrays(self.classifier.layout.stages)
            arrays |= {f"concepts/{key}": array for key, array in described.items()}
        if self.sample is not None:
            arrays |= {f"sample/{key}": array for key, array in self.sample.arrays().items()}
        return arrays

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> Reference:
        """Read and verify a reference.

        Raises
        ------
        ArtefactError
            A file is missing, truncated, swapped, edited or newer, holds what cannot be, or says something else than
            the others: file and field are named.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        files = manifest["files"]
        paths = {role: verify_file(folder, role, files) for role in dict.fromkeys(("classifier", "fitted", *files))}
        with _naming(paths["classifier"].name):
            classifier = Classifier.load(paths["classifier"], device)
        arrays, _ = read_arrays(paths["fitted"])
        with _naming(f"{paths['fitted'].name} and {MANIFEST_NAME} disagree"):
            detectors = {
                name: make_detector(name, **entry["parameters"]).restore(
                    arrays_under(f"detector/{name}/", arrays), classifier.head
                )
                for name, entry in manifest["detectors"].items()
            }
            shown, stages, head = arrays_under("concepts/", arrays), classifier.layout.stages, classifier.head
            concepts = None
            if shown:
                concepts = Concepts.restore(
                    shown, stages, lambda role: read_picture(folder, role, files), head.classes, head.width
                )
            kept = arrays_under("sample/", arrays)
            sheet = partial(read_picture, folder, SHEET_ROLE, files) if SHEET_ROLE in paths else None
            names = group_names(manifest)
            loaded = cls(
                classifier,
                detectors,
                restore_calibrations(manifest, detectors, arrays),
                manifest,
                restore_ood_scores(manifest, detectors, arrays),
                restore_profile(arrays_under("profile/", arrays), head),
                concepts,
                NeuronSample.restore(kept, names, head.classes, sheet) if kept else None,
                restore_seen(arrays_under("seen/", arrays)),
                folder,
            )
        check_agreement(loaded)
        return loaded


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Whatever goes wrong with a file as one kind of error, which names it."""
    try:
        yield
    except ArtefactError as error:
        raise (
            error if what in str(error) else ArtefactError(f"{what} ({str(error).rstrip('.')}); fit again.")
        ) from error
    except (NeroError, *DAMAGE) as error:
        said = str(error).rstrip(".") if isinstance(error, NeroError) else repr(error)
        raise ArtefactError(f"{what} ({said}); fit again.") from error


def _rank(name: str, detector: Detector) -> tuple[bool, bool, str]:
    """The order in which detectors are offered: NERO, those with an exact account, the others."""
    return name != DEFAULT_DETECTOR, not isinstance(detector, ExplainedDetector), name
