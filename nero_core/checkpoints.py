"""Foreign weights → a state dict that fits the network, or a sentence that says why not. Nothing is ever unpickled."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from nero_core.artefacts import read_arrays
from nero_core.errors import ArtefactError

WRAPPER_PREFIXES = ("module.", "model.", "_orig_mod.", "network.")
"""Prefixes that training wrappers put before every key (DataParallel, Lightning, torch.compile)."""

NESTED_KEYS = ("state_dict", "model_state_dict", "model", "net", "weights")
"""Keys under which training scripts commonly nest the weights."""

NAMED_KEYS = 5
"""How many surplus or missing keys a message names before it counts the rest."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights in a ``.safetensors`` file, or in a ``.pt``/``.pth`` file that holds nothing but tensors.

    Raises
    ------
    ArtefactError
        The file is missing, damaged, or a pickle of Python objects (refused; nothing in it is executed).
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        arrays, _ = read_arrays(path)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}
    if not path.is_file():
        raise ArtefactError(f"No checkpoint at {path}; check the path.")
    try:
        _refuse_packed(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of odd pickles; those it can read are read, others refused
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ArtefactError(
            f"{path.name} is not a plain file of weights, and Python objects in it are refused unread. "
            "Where it was made, save `model.state_dict()` with safetensors.torch.save_file, or with torch.save, "
            "and pass that file."
        ) from error
    for key in NESTED_KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ArtefactError(
            f"{path.name} holds {type(content).__name__}, not a mapping of names to tensors; save `model.state_dict()`."
        )
    return {str(name): value for name, value in content.items()}


def _refuse_packed(path: Path) -> None:
    """Refuse a zip of packed entries: torch writes none, and a few kilobytes of them unpack to all memory."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as opened:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in opened.infolist()):
                raise ValueError("its entries are packed")


def without_wrapper(weights: Mapping[str, Tensor], wanted: Iterable[str]) -> dict[str, Tensor]:
    """Drop a wrapper's prefix as long as no key has a wanted name; keys outside the wrapper stay as they are."""
    names = set(wanted)
    stripped = dict(weights)
    while stripped and not names & set(stripped):
        prefix = next((p for p in WRAPPER_PREFIXES if any(key.startswith(p) for key in stripped)), None)
        if prefix is None:
            break
        stripped = {key.removeprefix(prefix): value for key, value in stripped.items()}
    return stripped


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], origin: str, head: str | None = None) -> bool:
    """Copy weights into a network, all or nothing.

    Parameters
    ----------
    head : str, optional
        Dotted name of the head; where given, a head of another size is left at its initial values.

    Returns
    -------
    bool
        Whether the head was taken from the weights.

    Raises
    ------
    ArtefactError
        Keys are missing or surplus, or shapes differ: each kind listed.
    """
    own = network.state_dict()
    given = without_wrapper(weights, own)
    head_keys = {f"{head}.weight", f"{head}.bias"} & set(own) if head else set()
    takes_head = not any(key not in given or given[key].shape != own[key].shape for key in head_keys)
    if not takes_head:
        given = {key: value for key, value in given.items() if key not in head_keys}
        given |= {key: own[key] for key in head_keys}
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    given |= {key: own[key] for key in counters - set(given)}
    faults = {
        "missing": [key for key in own if key not in given],
        "surplus": [key for key in given if key not in own],
        "of another shape": [
            f"{key} {tuple(given[key].shape)} instead of {tuple(own[key].shape)}"
            for key in own
            if key in given and given[key].shape != own[key].shape
        ],
    }
    if any(faults.values()):
        told = "; ".join(f"{len(keys)} {kind}: {_listed(keys)}" for kind, keys in faults.items() if keys)
        raise ArtefactError(
            f"{origin} does not fit this network ({told}). "
            "Give the architecture, the input size and as many classes as the weights were trained with."
        )
    network.load_state_dict({key: given[key].to(own[key].dtype) for key in own})
    return takes_head


def _listed(keys: list[str]) -> str:
    more = len(keys) - NAMED_KEYS
    return ", ".join(keys[:NAMED_KEYS]) + (f" and {more} more" if more > 0 else "")
