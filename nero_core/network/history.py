"""The history of a training as files that other programs draw: CSV, and TensorBoard's events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nero_core.errors import InputError
from nero_core.storage.files import disk_errors, write_bytes
from nero_core.storage.spreadsheets import comma_separated

EPOCH = "epoch"


def write_history(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """One row for each epoch, a column for each figure.

    Parameters
    ----------
    history : sequence of {figure: value}
        As a training records it, `epoch` from 1.

    Raises
    ------
    ArtefactError
        The file cannot be written.
    """
    write_bytes(path, comma_separated(history).encode())


def write_events(history: Sequence[Mapping[str, float]], folder: Path) -> None:
    """Each figure as a curve over epochs, in a new file of TensorBoard's in the folder.

    Parameters
    ----------
    history : sequence of {figure: value}
        As a training records it, `epoch` from 1.

    Raises
    ------
    InputError
        tensorboardX is not installed.
    ArtefactError
        The folder cannot be written.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise InputError(
            "TensorBoard's files are written by tensorboardX, which is not installed; run "
            "pip install 'nero-dashboard[tensorboard]', or write CSV with --history."
        ) from error
    with disk_errors(f"{folder} cannot be written"), SummaryWriter(str(folder)) as events:
        for row in history:
            for figure, value in row.items():
                if figure != EPOCH:
                    events.add_scalar(figure, value, int(row[EPOCH]))
