"""The weights that a training starts from, and what is known of the images that those were trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nero_core.data.seen import IMAGENET, NOT_KNOWN, RECORDED, TOLD_UNSEEN, start_is_known
from nero_core.network.checkpoints import Weights, read_weights
from nero_core.network.classifier import Classifier
from nero_core.network.pretrained import pretrained_weights
from nero_core.records import Say, TrainingRecord
from nero_core.storage.files import digest, read_arrays


@dataclass(frozen=True, eq=False)
class Start:
    """What a training starts from; without weights from chance.

    Attributes
    ----------
    weights : Weights or None
    digest : str
        SHA-256 of their file.
    known : str
        What is known of the images that they were trained on; see :mod:`nero_core.data.seen`. Empty without weights.
    record : TrainingRecord or None
        Where `train` wrote them.
    """

    weights: Weights | None = None
    digest: str = ""
    known: str = ""
    record: TrainingRecord | None = None

    @property
    def origin(self) -> str:
        """What to call the weights; empty without."""
        return "" if self.weights is None else self.weights.origin


def start_from_file(path: Path, unseen: bool) -> Start:
    """Weights that somebody brings.

    Parameters
    ----------
    path : Path
        ``.safetensors``, or ``.pt``/``.pth`` holding tensors only.
    unseen : bool
        Whether somebody says that none of the images at hand are among those that they were trained on.

    Raises
    ------
    ArtefactError
        The file cannot be read.
    """
    record = None
    if path.suffix == ".safetensors" and "classifier" in read_arrays(path)[1]:
        record = Classifier.load(path).training
    known = TOLD_UNSEEN if unseen else NOT_KNOWN
    if record is not None and start_is_known(record):
        known = RECORDED
    return Start(Weights(read_weights(path), path.name), digest(path), known, record)


def start_from_pretrained(architecture: str, unseen: bool, say: Say | None = None) -> Start:
    """Weights that the architecture's makers trained; arguments and errors as of `pretrained_weights`."""
    found = pretrained_weights(architecture, say)
    known = IMAGENET if found.imagenet else TOLD_UNSEEN if unseen else NOT_KNOWN
    return Start(Weights(found.weights, found.origin), found.digest, known)
