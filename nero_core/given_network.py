"""A file with a trained network → a classifier: one that `train` wrote, or plain weights trained elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nero_core.artefacts import read_arrays
from nero_core.checkpoints import load_weights, read_weights
from nero_core.classifier import Classifier, build_classifier
from nero_core.classifier_file import FORMAT
from nero_core.errors import InputError
from nero_core.records import Preprocessing


def is_ours(path: Path) -> bool:
    """Whether `train` wrote the file, with the record of what it trained on."""
    return path.suffix == ".safetensors" and read_arrays(path)[1].get("format") == FORMAT


def given_classifier(
    path: Path,
    architecture: str | None,
    classes: Sequence[str],
    preprocessing: Preprocessing | None = None,
    device: str = "cpu",
) -> Classifier:
    """The network in a file, as it is: nothing is trained.

    Parameters
    ----------
    path : Path
        What `train` wrote, or weights alone: ``.safetensors``, or ``.pt``/``.pth`` holding tensors only.
    architecture : str, optional
        Whose weights they are; not looked at where `train` wrote the file, which says so itself.
    classes : sequence of str
        In the order of the network's outputs; the head must have as many.
    preprocessing : Preprocessing, optional
        The architecture's own where it is not given.

    Raises
    ------
    InputError
        The file says nothing of its architecture and none is given, or it is not known.
    ArtefactError
        The file cannot be read, or its weights (those of the head, too) do not fit.
    """
    if is_ours(path):
        return Classifier.load(path, device)
    weights = read_weights(path)
    if not architecture:
        raise InputError(
            f"{path.name} was not written by `train`; say whose weights it holds, such as --arch resnet18."
        )
    blank = build_classifier(architecture, classes, preprocessing=preprocessing)
    load_weights(blank.network, weights, path.name)  # the head too: nothing here would train it
    return Classifier(blank.network, architecture, classes, blank.preprocessing, device=device)
