"""Untrained networks by name, and the device to run them on."""

from __future__ import annotations

import difflib
from typing import cast

import torch
import torchvision
from torch import nn

from nero_core.errors import InputError


def architectures() -> list[str]:
    """Names that `build_classifier` knows."""
    return sorted(torchvision.models.list_models(module=torchvision.models))


def build_network(architecture: str, classes: int) -> nn.Module:
    """An untrained network by name.

    Raises
    ------
    InputError
        The name is not known; the nearest names are offered.
    """
    if architecture not in architectures():
        near = difflib.get_close_matches(architecture, architectures(), n=3) or ["resnet18", "resnet34", "resnet50"]
        raise InputError(f"No architecture is named {architecture!r}; did you mean {', '.join(near)}?")
    return cast(nn.Module, torchvision.models.get_model(architecture, weights=None, num_classes=classes))


def best_device() -> str:
    """The fastest device this machine has: "cuda", "mps" or "cpu"."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
