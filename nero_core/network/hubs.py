"""Weights by the internet: timm's and torchvision's own, as files that hold tensors only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import torch
import torchvision

from nero_core.errors import ArtefactError, InputError
from nero_core.network.architectures import is_torchvision, timm_configuration
from nero_core.records import Say

TORCHVISION_IMAGENET = "IMAGENET1K"
TIMM_IMAGENET = re.compile(r"(\w+_)?(in1k|in21k_ft_in1k|in21k)")
"""What the names of weights begin with, or a tag is, where ImageNet and nothing else was learned from."""
NAMED_BY_DIGEST = re.compile(r"-([0-9a-f]{8,})\.\w+$")
"""How both libraries write the first digits of a file's SHA-256 into its name."""


class Fetched(NamedTuple):
    """A file of weights.

    Attributes
    ----------
    path : Path
    origin : str
        Where it is from, in a few words.
    imagenet : bool
        Whether its makers say that it was trained on ImageNet alone.
    """

    path: Path
    origin: str
    imagenet: bool


def fetched(architecture: str, say: Say) -> Fetched:
    """The file with an architecture's pretrained weights, fetched unless it is there already.

    Parameters
    ----------
    say : callable
        Told what is fetched from where, before it is.

    Raises
    ------
    InputError
        The architecture is not known, or its makers give no weights for it.
    ArtefactError
        Nothing can be reached there.
    """
    if is_torchvision(architecture):
        weights = torchvision.models.get_model_weights(architecture)
        default: Any = getattr(weights, "DEFAULT", None)
        if default is None:
            raise InputError(_none(architecture, "torchvision"))
        return Fetched(*_by_address(architecture, default.url, say), default.name.startswith(TORCHVISION_IMAGENET))
    own = timm_configuration(architecture)
    imagenet = TIMM_IMAGENET.fullmatch(own.tag or "") is not None
    if own.hf_hub_id:
        return Fetched(*_by_hub(architecture, own.hf_hub_id, say), imagenet)
    if own.url:
        return Fetched(*_by_address(architecture, own.url, say), imagenet)
    raise InputError(_none(architecture, "timm"))


def _none(architecture: str, library: str) -> str:
    return f"{library} has no weights for {architecture}; choose another architecture, or bring a file with --init."


def _by_address(architecture: str, address: str, say: Say) -> tuple[Path, str]:
    """A file by its address, kept where torch keeps such files."""
    name, host = Path(urlsplit(address).path).name, urlsplit(address).hostname or "this machine"
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.is_file():
        say(f"Fetching {name}, the weights of {architecture}, from {host}. Nothing is sent but the request.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            digits = NAMED_BY_DIGEST.search(name)
            torch.hub.download_url_to_file(address, str(path), digits[1] if digits else None, progress=False)
        except (OSError, RuntimeError) as error:
            raise ArtefactError(_unreachable(name, host, error)) from error
    return path, f"{name} of {host}"


def _by_hub(architecture: str, repository: str, say: Say) -> tuple[Path, str]:
    """The safetensors file of a repository on Hugging Face's hub, kept where its library keeps such files."""
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    name, host = constants.SAFETENSORS_SINGLE_FILE, urlsplit(constants.ENDPOINT).hostname or ""
    if not isinstance(there := try_to_load_from_cache(repository, name), str):
        say(f"Fetching {name} of {repository}, the weights of {architecture}, from {host}.")
        try:
            there = hf_hub_download(repository, name)
        except (OSError, HfHubHTTPError, LocalEntryNotFoundError) as error:
            raise ArtefactError(_unreachable(f"{name} of {repository}", host, error)) from error
    return Path(there), f"{repository} of {host}"


def _unreachable(what: str, host: str, error: Exception) -> str:
    why = str(error).partition("\n")[0]
    return (
        f"{what} cannot be fetched from {host} ({why}). Where there is no internet, use an architecture whose weights "
        "come with a package (tf_efficientnet_lite0, …1, …2), or bring a file with --init."
    )
