"""Foreign weights → a state dict that fits the network, or a sentence that says why not. Nothing is ever unpickled."""

from __future__ import annotations

import io
import tarfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nero_core.errors import ArtefactError
from nero_core.network.pickle_scan import MAX_PICKLE_BYTES, scan
from nero_core.storage.files import read_arrays

WRAPPER_PREFIXES = ("module.", "model.", "_orig_mod.", "network.")
"""Prefixes that training wrappers put before every key (DataParallel, Lightning, torch.compile)."""

NESTED_KEYS = ("state_dict", "model_state_dict", "model", "net", "weights")
"""Keys under which training scripts commonly nest the weights."""

ZIP_START, ZIP_PICKLE = b"PK\x03\x04", "data.pkl"
"""How torch tells its zip files from older ones, and what of them is unpickled."""
OLD_PICKLES = 5
"""One after another in files from before torch 1.6: magic number, version, system, content, names of its storages."""
REASON_LETTERS = 200
"""Of an error's text so much is told."""

NAMED_KEYS = 5
"""How many surplus or missing keys a message names before it counts the rest."""


class Weights(NamedTuple):
    """Weights by name, and what to call them where they do not fit."""

    tensors: Mapping[str, Tensor]
    origin: str


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
        _scan(path)
    except Exception as error:  # the readers of zip files and of opcodes raise nearly anything on a damaged file
        raise _refusal(path, str(error)) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of odd pickles; those it can read are read, others refused
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # as above; what torch says advises to execute the file
        raise _refusal(path, "it is damaged") from error
    for key in NESTED_KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ArtefactError(
            f"{path.name} holds {type(content).__name__}, not a mapping of names to tensors; save `model.state_dict()`."
        )
    return {str(name): value for name, value in content.items()}


def _refusal(path: Path, why: str) -> ArtefactError:
    reason = why.partition("\n")[0].removesuffix(".")[:REASON_LETTERS]
    return ArtefactError(
        f"{path.name} is not a plain file of weights ({reason}), and Python objects in it are refused unread. "
        "Where it was made, save `model.state_dict()` with safetensors.torch.save_file, or with torch.save, "
        "and pass that file."
    )


def _scan(path: Path) -> None:
    """Raise where torch would be kept busy, or its memory filled, by what it reads before there is a tensor."""
    with path.open("rb") as file:
        start = file.read(MAX_PICKLE_BYTES)
        if start.startswith(ZIP_START):
            file.seek(0)
            records = torch._C.PyTorchFileReader(file)  # torch's own, so that both see the same entries
            sizes = [records.get_record_size(name) for name in records.get_all_records()]
            if sum(sizes) > path.stat().st_size:
                raise ValueError("its entries are packed, or share data")
            if (size := records.get_record_size(ZIP_PICKLE)) > MAX_PICKLE_BYTES:
                raise ValueError(f"its pickle has {size} bytes; at most {MAX_PICKLE_BYTES} are read")
            scan(io.BytesIO(records.get_record(ZIP_PICKLE)))
            return
    try:
        tarfile.TarInfo.frombuf(start[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        pass
    else:
        raise ValueError("it is a tar archive")
    pickles = io.BytesIO(start)
    for _ in range(OLD_PICKLES):
        scan(pickles)


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
