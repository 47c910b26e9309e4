"""Untrained networks by name, and the device to run them on. Weights are never fetched from anywhere."""

from __future__ import annotations

import difflib
from typing import Any, Literal, cast

import torch
import torchvision
from torch import nn

from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import InputError

SUGGESTIONS = 3
"""How many near names a refusal offers."""

WITH_SECOND_HEAD = ("googlenet", "inception_v3")
"""Networks of torchvision's that have auxiliary heads for training, which are left out."""


def architectures() -> list[str]:
    """Names that `build_network` knows: torchvision's and timm's, sorted."""
    import timm  # here, so that a torchvision network does not wait for it

    return sorted({*_torchvision_names(), *timm.list_models()})


def _torchvision_names() -> list[str]:
    return cast(list[str], torchvision.models.list_models(module=torchvision.models))


def is_torchvision(architecture: str) -> bool:
    """Whether a name is one of torchvision's, which come first where timm has it, too."""
    return architecture in _torchvision_names()


def build_network(architecture: str, classes: int, size: tuple[int, int] | None = None) -> nn.Module:
    """An untrained network by name, from torchvision where both libraries know the name, else from timm.

    Parameters
    ----------
    classes : int
        K, the number of logits.
    size : (int, int), optional
        Height and width of the input, pixels, for networks that are built for one size; the architecture's own where
        it is not given.

    Raises
    ------
    InputError
        The name is not known (the nearest names are offered), or the architecture cannot take that size.
    """
    if is_torchvision(architecture):
        return _from_torchvision(architecture, classes, size)
    return _from_timm(architecture, classes, size)


def weight_count(architecture: str, classes: int, size: tuple[int, int]) -> int:
    """How many weights a network has, without memory for them; arguments and errors as of :func:`build_network`."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in build_network(architecture, classes, size).parameters())


def _from_torchvision(architecture: str, classes: int, size: tuple[int, int] | None) -> nn.Module:
    arguments: dict[str, Any] = {}
    if architecture in WITH_SECOND_HEAD:
        arguments = {"aux_logits": False, "init_weights": True}
    if torchvision.models.get_model_builder(architecture).__module__.endswith(".vision_transformer") and size:
        if size[0] != size[1]:
            raise InputError(f"{architecture} takes square images, not {size[0]}×{size[1]}; give equal sides.")
        arguments["image_size"] = size[0]
    return cast(nn.Module, torchvision.models.get_model(architecture, weights=None, num_classes=classes, **arguments))


def _from_timm(architecture: str, classes: int, size: tuple[int, int] | None) -> nn.Module:
    import timm

    own = timm_configuration(architecture)
    arguments: dict[str, Any] = {}
    if size and own.fixed_input_size and size != own.input_size[1:]:
        arguments["img_size"] = size
    try:
        return timm.create_model(architecture, pretrained=False, num_classes=classes, **arguments)
    except (TypeError, AssertionError, ValueError, RuntimeError, ArithmeticError) as error:
        if not arguments:
            raise
        height, width = own.input_size[1:]
        raise InputError(
            f"{architecture} cannot be built for images of {size[0]}×{size[1]} pixels ({error}); "  # type: ignore[index]
            f"use its own size, {height}×{width}."
        ) from error


def timm_configuration(architecture: str) -> Any:
    """What timm says of an architecture: its input, and where its weights are.

    Raises
    ------
    InputError
        timm does not know the name; the nearest that are known are offered.
    """
    import timm

    if architecture not in timm.list_models():
        known = architectures()
        near = difflib.get_close_matches(architecture, known, n=SUGGESTIONS) or ["resnet18", "resnet50"]
        raise InputError(
            f"No architecture is named {architecture!r}; did you mean {', '.join(near)}? "
            f"{len(known)} names of torchvision and timm are known."
        )
    return timm.get_pretrained_cfg(architecture)


def preprocessing_of(architecture: str) -> Preprocessing:
    """How an architecture's own configuration prepares images.

    timm states size, statistics, interpolation and crop for each of its networks; torchvision's get the whole image,
    stretched to 224×224, with ImageNet's statistics.

    Raises
    ------
    InputError
        The name is not known.
    """
    if is_torchvision(architecture):
        return Preprocessing()
    own = timm_configuration(architecture)
    _, height, width = own.input_size
    interpolation: Literal["bilinear", "bicubic"] = "bilinear" if own.interpolation == "bilinear" else "bicubic"
    return Preprocessing(
        height=height,
        width=width,
        mean=tuple(own.mean),
        std=tuple(own.std),
        interpolation=interpolation,
        crop_share=None if own.crop_mode == "squash" else own.crop_pct,
    )


def check_device(name: str) -> str:
    """The device of that name, where this machine has it.

    Raises
    ------
    InputError
        It does not; the devices there are are named.
    """
    if name not in (there := devices()):
        raise InputError(f"This machine has no device {name!r} that PyTorch can use; choose {', '.join(there)}.")
    return name


def states_preprocessing(architecture: str) -> bool:
    """Whether :func:`preprocessing_of` follows a configuration of the architecture's own; else it is what is usual."""
    return not is_torchvision(architecture)


def devices() -> list[str]:
    """The devices this machine has, the fastest first: "cuda", "mps" and "cpu"."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [name for name, usable in there.items() if usable]
