"""Writing a reference to a folder: a crash leaves the old one or the new one, never half."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nero_core.calibration import of_most_images
from nero_core.detectors import Detector
from nero_core.detectors.base import FittedArrays
from nero_core.errors import ArtefactError, InputError
from nero_core.neurons.sample import SHEET_ROLE, TRAINED_ROLE
from nero_core.reference.manifest import MANIFEST_NAME, SCHEMA_VERSION, remove_unlisted, write_hashed, write_manifest
from nero_core.reference.origin import Origin, read_origin, write_origin
from nero_core.reference.panel_card import PANEL
from nero_core.reference.reference import RETIRED, Reference
from nero_core.reference.signatures import SIGNATURE_NAME
from nero_core.storage.files import disk_errors, sync_folder, write_arrays, write_synced
from nero_core.storage.locks import LOCK_NAME, writing


def save(reference: Reference, folder: Path) -> None:
    """Write to a folder: a crash leaves the old reference or the new one, never half.

    The signature of what was there goes. Whether it was imported stays noted of what was, wherever it is written.

    Raises
    ------
    InputError
        Detectors were calibrated in different ways: a reference makes one promise.
    ArtefactError
        The folder holds something else, cannot be written, or is being written by another process.
    """
    if len({(each.guarantee, each.settings) for each in reference.calibrations.values()}) > 1:
        raise InputError("The detectors' calibrations promise different things; calibrate all on the same images.")
    if lost := sorted(set(reference.missing) - RETIRED.keys()):
        raise InputError(f"{', '.join(lost)} would be lost, as it is not installed here; install it first.")
    folder = Path(folder)
    with disk_errors(f"{folder} cannot be made or read", "choose another --out"):
        folder.mkdir(parents=True, exist_ok=True)
        known = ("concepts", LOCK_NAME)
        foreign = [p.name for p in folder.iterdir() if p.name not in known and p.suffix != ".part"]
    ours = any(name.startswith(("classifier-", "fitted-")) for name in foreign)
    if foreign and not (folder / MANIFEST_NAME).is_file() and not ours:
        raise ArtefactError(f"{folder} holds other files ({foreign[0]}); choose a new or an empty folder.")
    with writing(folder), disk_errors(f"{folder} cannot be written"):
        _write(reference, folder)


def _write(reference: Reference, folder: Path) -> None:
    files = {
        "classifier": write_hashed(folder, "classifier", "safetensors", reference.classifier.save),
        "fitted": write_hashed(
            folder, "fitted", "safetensors", lambda path: write_arrays(path, _fitted_arrays(reference))
        ),
    }
    sheets = reference.concepts.sheets(reference.classifier.layout.stages) if reference.concepts else {}
    if reference.sample is not None and reference.sample.read_sheet is not None:
        sheets[SHEET_ROLE] = reference.sample.read_sheet()
    if reference.sample is not None and reference.sample.trained is not None:
        sheets[TRAINED_ROLE] = reference.sample.trained.read_sheet()
    for role, sheet in sheets.items():
        files[role] = write_hashed(folder, role, "webp", partial(write_synced, data=sheet))
    described = {
        **{key: value for key, value in reference.manifest.items() if key != PANEL or PANEL in reference.detectors},
        "schema": SCHEMA_VERSION,
        "calibration": of_most_images(reference.calibrations).described(),
        "detectors": {name: {"parameters": d.parameters()} for name, d in reference.detectors.items()},
        "metrics": _metrics_of(reference),
        "files": files,
    }
    for written in {(folder / entry["name"]).parent for entry in files.values()}:
        sync_folder(written)
    origin = replace(
        Origin() if reference.path is None else read_origin(reference.path), default=read_origin(folder).default
    )
    if origin.imported:
        write_origin(folder, origin)
    (folder / SIGNATURE_NAME).unlink(missing_ok=True)
    write_manifest(folder, described)
    write_origin(folder, origin)  # what was made here is told so only once nothing of what was imported is left
    remove_unlisted(folder, files)


def _metrics_of(reference: Reference) -> dict[str, Any]:
    """What was measured, without the figures of detectors that it has not, such as a retired one."""
    metrics = dict(reference.manifest["metrics"])
    for name in {"auroc", "false_alarms"} & metrics.keys():
        metrics[name] = {key: each for key, each in metrics[name].items() if key in reference.detectors}
    return metrics


def _own_arrays(detector: Detector, others: Mapping[str, Detector]) -> FittedArrays:
    """What was fitted; a panel's members that the reference has as detectors too are not written twice."""
    arrays = detector.fitted_arrays()
    twice = {name for name in getattr(detector, "members_", {}) if name in others}
    for name in twice:
        for key, array in others[name].fitted_arrays().items():
            if np.array_equal(array, arrays[f"{name}/{key}"]):
                del arrays[f"{name}/{key}"]
    return arrays


def _fitted_arrays(reference: Reference) -> dict[str, npt.NDArray[np.generic]]:
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for name, detector in reference.detectors.items():
        arrays |= {f"detector/{name}/{key}": array for key, array in _own_arrays(detector, reference.detectors).items()}
        calibration = reference.calibrations[name]
        arrays[f"calibration/{name}"] = calibration.scores
        beside = {name: getattr(calibration, name) for name in ("predicted", "groups", "looks")}
        arrays |= {f"{key}/{name}": given for key, given in beside.items() if given is not None}
    for name, sets in reference.ood_scores.items():
        arrays |= {f"ood/{name}/{key}": scores for key, scores in sets.items()}
    arrays |= {f"ood_predicted/{key}": numbers for key, numbers in reference.ood_predicted.items()}
    if reference.seen is not None:
        arrays |= {"seen/trained": reference.seen.trained, "seen/calibrated": reference.seen.calibrated}
    if reference.profile is not None:
        arrays |= {"profile/mean": reference.profile.mean, "profile/std": reference.profile.std}
        arrays["profile/counts"] = np.array([reference.profile.count, reference.profile.ood_count])
        if reference.profile.ood_mean is not None:
            arrays["profile/ood_mean"] = reference.profile.ood_mean
    if reference.concepts is not None:
        described = reference.concepts.arrays(reference.classifier.layout.stages)
        arrays |= {f"concepts/{key}": array for key, array in described.items()}
    if reference.sample is not None:
        arrays |= {f"sample/{key}": array for key, array in reference.sample.arrays().items()}
    return arrays
