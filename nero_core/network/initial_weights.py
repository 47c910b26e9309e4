"""What is known of the images that the weights were trained on which a training starts from."""

from __future__ import annotations

from pathlib import Path

from nero_core.data.seen import NOT_KNOWN, RECORDED, TOLD_UNSEEN, start_is_known
from nero_core.network.classifier import Classifier
from nero_core.records import TrainingRecord
from nero_core.storage.files import read_arrays


def record_of(init: Path | None) -> TrainingRecord | None:
    """The record of initial weights, where they come from `train`."""
    if init is None or init.suffix != ".safetensors" or "classifier" not in read_arrays(init)[1]:
        return None
    return Classifier.load(init).training


def known_of(init: Path | None, record: TrainingRecord | None, unseen: bool) -> str:
    """What is known of the images that initial weights were trained on; empty where training starts from chance.

    Parameters
    ----------
    record : TrainingRecord or None
        Of the initial weights.
    unseen : bool
        Whether somebody says that none of the images at hand are among them.
    """
    if init is None:
        return ""
    if record is not None and start_is_known(record):
        return RECORDED
    return TOLD_UNSEEN if unseen else NOT_KNOWN
