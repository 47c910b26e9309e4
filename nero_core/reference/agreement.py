"""Whether a reference's manifest says what its files hold: whatever can be worked out is worked out, and compared.

A manifest that was changed and sealed again is whole. What it says of counts, classes, recipe and separation is in the
files, too, and there it can be looked up.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt

from nero_core.calibration import Calibration, calibrated_as, of_most_images
from nero_core.calibration.stored import BY_CLASS_SCHEMA
from nero_core.data.preprocessing import Preprocessing
from nero_core.data.seen import SeenImages
from nero_core.errors import ArtefactError, InputError, UnknownDetectorError
from nero_core.neurons.crops import sheet_role
from nero_core.neurons.sample import SHEET_ROLE
from nero_core.records import Float64Array, FloatArray, Head, IntArray, RelevanceProfile
from nero_core.reference.manifest import MANIFEST_NAME
from nero_core.reference.panel_card import PANEL, chosen
from nero_core.storage.files import arrays_under
from nero_core.storage.typed import AT_LEAST_ZERO, Range, Shape, check_array, check_arrays

if TYPE_CHECKING:
    from nero_core.detectors import Detector
    from nero_core.reference.reference import Reference

Arrays = Mapping[str, npt.NDArray[Any]]

PROFILE_ARRAYS = {
    "mean": Annotated[FloatArray, Shape("d")],
    "std": Annotated[FloatArray, Shape("d", values=AT_LEAST_ZERO)],
    "counts": Annotated[IntArray, Shape(2, values=Range(0))],
    "ood_mean": Annotated[FloatArray, Shape("d")],
}
ROUNDING = 1e-6
"""Relative; figures are written in full, and worked out by another formula here."""


# From arrays -----------------------------------------------------------------------------------------------------


def restore_detectors(manifest: Mapping[str, Any], arrays: Arrays, head: Head) -> dict[str, Detector]:
    """The fitted detectors that are installed here; those that are not, such as a plug-in's, are left out.

    `arrays` (by name) are those of the file.

    Raises
    ------
    InputError
        None is installed here, one of which nothing is stored is named, or one cannot be restored.
    """
    from nero_core.detectors import Panel, make_detector

    found: dict[str, Detector] = {}
    for name, entry in manifest["detectors"].items():
        try:
            unfitted = make_detector(name, **entry["parameters"])
            stored = arrays_under(f"detector/{name}/", arrays)
            members = entry["parameters"].get("members") if isinstance(unfitted, Panel) else ()
            for member in members if isinstance(members, list) else ():  # anything else `restore` refuses by name
                shared = arrays_under(f"detector/{member}/", arrays)  # written once, see `saving`
                stored = {f"{member}/{key}": array for key, array in shared.items()} | stored
            found[name] = unfitted.restore(stored, head)
        except UnknownDetectorError as error:
            if f"calibration/{name}" not in arrays:
                raise InputError(f"`calibration/{name}` is missing; wanted the scores of a detector.") from error
    if not found:
        raise InputError(
            f"No detector of this reference is installed here: {', '.join(sorted(manifest['detectors']))}; install the "
            "packages that bring them."
        )
    return found


def restore_calibrations(
    manifest: Mapping[str, Any], detectors: Mapping[str, Detector], arrays: Arrays
) -> dict[str, Calibration]:
    """The calibration of each detector, as many scores as the manifest says there were images.

    Raises
    ------
    InputError
        Scores are missing, no finite numbers, or more or fewer than the manifest says.
    """
    images, (guarantee, settings) = manifest["calibration"]["images"], calibrated_as(manifest)
    classes, found, counted = tuple(manifest["classes"]), {}, ", which `calibration.images` counts,"
    for name in detectors:
        scores = arrays[f"calibration/{name}"]
        check_array(scores, _scores(images), f"calibration/{name}", {}, counted)
        beside = {"predicted": Range(0, len(classes) - 1), "groups": Range(0), "looks": Range(0)}
        for key, values in beside.items():
            if (given := arrays.get(f"{key}/{name}")) is not None:
                check_array(given, Annotated[IntArray, Shape(images, values=values)], f"{key}/{name}", {}, counted)
        predicted = arrays[f"predicted/{name}"] if settings.by_class else None
        groups, looks = (arrays.get(f"{key}/{name}") for key in ("groups", "looks"))
        found[name] = Calibration(scores, guarantee, predicted, classes, groups, settings, looks=looks)
    return found


def restore_seen(arrays: Arrays) -> SeenImages | None:
    """How the images look that a reference was made from; None in references of earlier versions.

    Raises
    ------
    InputError
        An array is missing, or does not hold hashes of 64 bits.
    """
    if not arrays:
        return None
    for name in ("trained", "calibrated"):
        if name not in arrays or arrays[name].dtype != np.uint64 or arrays[name].ndim != 1:
            raise InputError(f"`seen/{name}` is missing or no list of 64-bit hashes; wanted one per image.")
    return SeenImages(arrays["trained"], arrays["calibrated"])


def restore_ood_scores(
    manifest: Mapping[str, Any], detectors: Mapping[str, Detector], arrays: Arrays
) -> dict[str, dict[str, Float64Array]]:
    """Scores of the known out-of-distribution images, by detector and set: as many as the manifest says.

    Raises
    ------
    InputError
        A set is missing or surplus, or its scores are no finite numbers, or more or fewer than the manifest says.
    """
    declared = {name: _scores(count) for name, count in manifest["ood"].items()}
    found = {name: arrays_under(f"ood/{name}/", arrays) for name in detectors}
    for name, sets in found.items():
        if not sets and "pool" in detectors[name].info.needs:
            continue  # calibrated anew, and not all of its members' scores are known
        check_arrays(sets, declared, {}, f" of ood/{name}")
    return found


def restore_ood_predicted(manifest: Mapping[str, Any], arrays: Arrays) -> dict[str, IntArray]:
    """The class that each known out-of-distribution image is read as, by set; none in references of earlier versions.

    Raises
    ------
    InputError
        A set is missing or surplus, or has more or fewer images than the manifest says.
    """
    found = arrays_under("ood_predicted/", arrays)
    values = Range(0, len(manifest["classes"]) - 1)
    declared = {name: Annotated[IntArray, Shape(count, values=values)] for name, count in manifest["ood"].items()}
    if found:
        check_arrays(found, declared, {}, " of ood_predicted")
    return found


def restore_profile(arrays: Arrays, head: Head) -> RelevanceProfile | None:
    """The relevance profile; None where there is none.

    Raises
    ------
    InputError
        An array is missing, or is not what it can be.
    """
    if not arrays:
        return None
    check_arrays(arrays, PROFILE_ARRAYS, {"d": head.width}, " of the profile", optional=("ood_mean",))
    count, ood_count = (int(value) for value in arrays["counts"])
    return RelevanceProfile(arrays["mean"], arrays["std"], count, arrays.get("ood_mean"), ood_count)


def _scores(count: int) -> Any:
    return Annotated[FloatArray, Shape(count)]


# Manifest and files ----------------------------------------------------------------------------------------------


def check_agreement(reference: Reference) -> None:
    """Refuse a reference whose manifest says something else than what is stored.

    Raises
    ------
    ArtefactError
        Names the field, what it says, and what is stored.
    """
    manifest, classifier = reference.manifest, reference.classifier
    record, concepts, sample = classifier.training, reference.concepts, reference.sample
    files, stages = manifest["files"], classifier.layout.stages
    stored: dict[str, object] = {
        "classes": classifier.classes,
        "architecture": classifier.architecture,
        "preprocessing": classifier.preprocessing,
        "training.known": record is not None,
        "training.recipe": {} if record is None else dict(record.recipe),
        "crops": 0 if concepts is None else len(concepts.neurons),
    }
    stated = {name: _at(manifest, name) for name in stored}
    stated["preprocessing"] = Preprocessing.read(manifest["preprocessing"])
    if "sample" in manifest:
        stored["sample.images"] = 0 if sample is None else len(sample.groups)
        stored["sample.pictures"] = SHEET_ROLE in files
        stated |= {name: _at(manifest, name) for name in ("sample.images", "sample.pictures")}
        stored["sample.trained"] = 0 if sample is None or sample.trained is None else len(sample.trained.labels)
        stated["sample.trained"] = manifest["sample"].get("trained", 0)
    if manifest["schema"] >= BY_CLASS_SCHEMA:
        described = of_most_images(reference.calibrations).described()
        stored |= {f"calibration.{name}": value for name, value in described.items()}
        stated |= {f"calibration.{name}": manifest["calibration"].get(name) for name in described}
    for name, found in stored.items():
        _agree(name, stated[name], found)
    _check_panel(reference)
    for detector, sets in manifest["metrics"].get("auroc", {}).items():
        for name, value in sets.items() if detector in reference.calibrations else ():
            found = auroc(reference.calibrations[detector].scores, reference.ood_scores[detector][name])
            if not math.isclose(value, found, rel_tol=ROUNDING, abs_tol=ROUNDING):
                _agree(f"metrics.auroc.{detector}.{name}", value, found)
    for neuron in [] if concepts is None else concepts.neurons:
        if sheet_role(neuron, stages) not in files:
            raise ArtefactError(
                f"{MANIFEST_NAME}, field `files`: no pictures of neuron {neuron} are listed; fit again."
            )
    head = classifier.head
    if sample is not None and not (_equal(sample.head.weight, head.weight) and _equal(sample.head.bias, head.bias)):
        raise ArtefactError("The head of the sample is not that of the classifier; fit again.")


def _check_panel(reference: Reference) -> None:
    """Refuse what the manifest says of the panel where its arrays, or the training images, say something else."""
    from nero_core.detectors import Panel

    if (stated := reference.manifest.get("panel")) is None:
        return
    if PANEL not in reference.manifest["detectors"]:
        raise ArtefactError(f"{MANIFEST_NAME}, field `panel`: there is no panel in `detectors`; fit again.")
    if not isinstance(panel := reference.detectors.get(PANEL), Panel):  # a member is not installed here
        return
    if foreign := sorted(set(stated["added"]) - set(stated["members"])):
        raise ArtefactError(f"{MANIFEST_NAME}, field `panel.added`: {foreign[0]!r} is no member; fit again.")
    found = chosen(panel, reference.manifest["training"]["per_class"], stated["added"])
    for name, value in found.items():
        _agree(f"panel.{name}", stated[name], value)


def _at(manifest: Mapping[str, Any], name: str) -> Any:
    value: Any = manifest
    for part in name.split("."):
        value = value[part]
    return value


def _agree(name: str, stated: object, found: object) -> None:
    if stated != found:
        raise ArtefactError(
            f"{MANIFEST_NAME}, field `{name}`, says {reprlib.repr(stated)}, and what is stored {reprlib.repr(found)}; "
            "restore the reference, or run `fit` again."
        )


def _equal(first: FloatArray, second: FloatArray) -> bool:
    return first.shape == second.shape and bool(np.allclose(first, second, rtol=ROUNDING, atol=0))


def auroc(usual: Float64Array, unusual: Float64Array) -> float:
    """Share of pairs in which the unusual image scores higher, ties counting half: the Mann–Whitney statistic.

    Parameters
    ----------
    usual : (n,)
    unusual : (m,)
    """
    ordered = np.sort(usual)
    below = np.searchsorted(ordered, unusual, side="left") + np.searchsorted(ordered, unusual, side="right")
    return float(below.sum() / (2 * len(usual) * len(unusual)))
