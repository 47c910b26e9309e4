"""What a classifier's file says, read and checked before memory for a network is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
from torch import nn

from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import ArtefactError, InputError
from nero_core.network.architectures import weight_count
from nero_core.records import TrainingRecord
from nero_core.storage.files import read_arrays
from nero_core.storage.json_files import parsed
from nero_core.storage.typed import check

FORMAT = "nero-classifier-1"

Weights = dict[str, npt.NDArray[Any]]


class _RecordFields(TypedDict):
    train: list[str]
    calibration: list[str]
    test: list[str]
    recipe: dict[str, str | int | float]
    history: list[dict[str, float]]


class RecordFields(_RecordFields, total=False):
    """A training record in a file; earlier versions wrote neither how images look nor groups."""

    hashes: dict[str, str]
    groups: dict[str, str]


class DescriptionFields(TypedDict):
    """A classifier's description in its file."""

    architecture: str
    classes: list[str]
    preprocessing: Preprocessing
    training: RecordFields | None


@dataclass(frozen=True, eq=False)
class ClassifierFile:
    """A classifier as its file describes it, and its weights, all of them finite."""

    architecture: str
    classes: list[str]
    preprocessing: Preprocessing
    training: TrainingRecord | None
    weights: Weights


def read_classifier_file(path: Path) -> ClassifierFile:
    """Read a file that `Classifier.save` wrote.

    Raises
    ------
    ArtefactError
        The file is missing, damaged, foreign or newer; a field is of another type or out of its range; a weight is not
        finite; the architecture is not known or cannot take that input, or has more weights than there are.
    """
    weights, metadata = read_arrays(path)
    if metadata.get("format") != FORMAT:
        raise ArtefactError(
            f"{path.name} says format {metadata.get('format')!r}; wanted {FORMAT!r}. Give a file written by "
            "`train`, or turn foreign weights into one with `train --init`."
        )
    try:
        described = check(parsed(metadata["classifier"], "it"), DescriptionFields, "")
        classes = described["classes"]
        _check_classes(classes, weights)
        training = _training(described["training"])
    except (InputError, KeyError, ValueError) as error:
        raise ArtefactError(
            f"{path.name}: the description of the classifier is damaged ({str(error).rstrip('.')})."
        ) from error
    for name, array in weights.items():
        if np.issubdtype(array.dtype, np.floating) and array.size and not np.isfinite([array.min(), array.max()]).all():
            raise ArtefactError(f"{path.name}: the weights `{name}` hold NaN or infinity; restore the file.")
    architecture, preprocessing = described["architecture"], described["preprocessing"]
    given = sum(array.size for array in weights.values())
    try:
        needed = weight_count(architecture, len(classes), (preprocessing.height, preprocessing.width))
    except InputError as error:
        raise ArtefactError(f"{path.name}, field `architecture`: {error}") from error
    if given < needed:  # before memory for them is asked for: a forged file may name any architecture
        raise ArtefactError(f"{path.name} has {given} weights, and {architecture} {needed}; restore the file.")
    return ClassifierFile(architecture, classes, preprocessing, training, weights)


def _check_classes(classes: list[str], weights: Weights) -> None:
    if not classes or len(set(classes)) < len(classes):
        raise InputError(f"`classes` are {len(classes)}, of {len(set(classes))} names; wanted a name for each.")
    rows = max((array.shape[0] for array in weights.values() if array.ndim), default=0)
    if len(classes) > rows:
        raise InputError(f"`classes` are {len(classes)}, and no weights have as many rows.")


def _training(record: RecordFields | None) -> TrainingRecord | None:
    if record is None:
        return None
    return TrainingRecord(
        train=frozenset(record["train"]),
        calibration=frozenset(record["calibration"]),
        test=frozenset(record["test"]),
        recipe=record["recipe"],
        history=tuple(record["history"]),
        hashes={key: int(value, 16) for key, value in record.get("hashes", {}).items()},
        groups=record.get("groups", {}),
    )


def check_kinds(weights: Weights, network: nn.Module, origin: str) -> None:
    """Refuse whole numbers where a network has floating-point ones, and the reverse: nothing of ours stores them so.

    Raises
    ------
    ArtefactError
        Names the weights.
    """
    for name, own in network.state_dict().items():
        if name in weights and np.issubdtype(weights[name].dtype, np.floating) != own.dtype.is_floating_point:
            raise ArtefactError(f"{origin}: the weights `{name}` are {weights[name].dtype}; wanted {own.dtype}.")
