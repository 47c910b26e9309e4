"""A file with a trained network → a classifier: one that `train` wrote, or plain weights trained elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nero_core.errors import InputError
from nero_core.network.checkpoints import load_weights, read_weights
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.network.classifier_file import FORMAT
from nero_core.network.given_preprocessing import Settings, given_preprocessing
from nero_core.storage.files import read_arrays


def is_ours(path: Path) -> bool:
    """Whether `train` wrote the file, with the record of what it trained on."""
    return path.suffix == ".safetensors" and read_arrays(path)[1].get("format") == FORMAT


def given_classifier(
    path: Path,
    architecture: str | None,
    classes: Sequence[str],
    settings: Settings | None = None,
    pretrained_cfg: Settings | None = None,
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
    settings, pretrained_cfg : Settings, optional
        How images are prepared, for weights alone: `train` records it. The first win over the second; the rest is
        guessed from the architecture.

    Raises
    ------
    InputError
        The file says nothing of its architecture and none is given, or it is not known; or the file says itself how
        its images are prepared, and something else is given.
    ArtefactError
        The file cannot be read, or its weights (those of the head, too) do not fit.
    """
    if is_ours(path):
        if any(each is not None and each.given for each in (settings, pretrained_cfg)):
            raise InputError(
                f"{path.name} says itself how its images are prepared, as `train` recorded it; leave out the size, "
                "mean, std, crop, interpolation and pretrained_cfg."
            )
        return Classifier.load(path, device)
    weights = read_weights(path)
    if not architecture:
        raise InputError(
            f"{path.name} was not written by `train`; say whose weights it holds, such as --arch resnet18."
        )
    prepared = given_preprocessing(architecture, settings, pretrained_cfg)
    blank = build_classifier(architecture, classes, preprocessing=prepared.preprocessing)
    load_weights(blank.network, weights, path.name)  # the head too: nothing here would train it
    classifier = Classifier(blank.network, architecture, classes, prepared.preprocessing, device=device)
    classifier.preprocessing_origins = prepared.origins
    return classifier
