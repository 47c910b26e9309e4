"""Files of ours: written whole or not at all, checked when read, never unpickled.

Arrays travel as safetensors. Equal arrays and metadata give equal bytes, so that a file may be named by its hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from nero_core.errors import ArtefactError, NeroError

Array = npt.NDArray[Any]

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
"""Modes of what holds images or activations: nobody but its owner looks into it."""

METADATA_KEY = "nero"
"""The one safetensors metadata entry we write: a JSON object. Several entries would be stored in random order."""

FOREIGN_SIGNATURES = {
    b"PK\x03\x04": "a zip archive, as PyTorch checkpoints (.pt, .pth) and .npz files are",
    b"\x80": "a Python pickle, which could run code when opened",
    b"\x93NUMPY": "a NumPy .npy file",
    b"\x89HDF": "an HDF5 file",
}
"""First bytes of formats that are mistaken for ours; looked at only once a file has failed to read as safetensors."""


@contextmanager
def disk_errors(
    what: str, todo: str = "check the folder, its permissions and the free space", kind: type[NeroError] = ArtefactError
) -> Iterator[None]:
    """Whatever the system says of a disk, as an error of ours: `what` failed, why, and what to do.

    Raises
    ------
    ArtefactError, or `kind`
        In place of an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: {_reason(error)}; {todo}.") from error


def digest(data: bytes | Path) -> str:
    """SHA-256 of some bytes, or of a file's bytes, as 64 hexadecimal digits.

    Parameters
    ----------
    data : bytes or Path
        A file is read piece by piece and never held in memory.

    Raises
    ------
    ArtefactError
        The file cannot be read.
    """
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    with disk_errors(f"{data} cannot be read", "check the path and its permissions"), data.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_folder(folder: Path) -> None:
    """Make a folder and those it lies in, where they are not there yet.

    Raises
    ------
    ArtefactError
        It cannot be made.
    """
    with disk_errors(f"{folder} cannot be made", "name another folder"):
        folder.mkdir(parents=True, exist_ok=True)


def make_private_folder(folder: Path) -> None:
    """Make a folder of ours that only its owner may look into, whatever the umask; one that is there is closed.

    Raises
    ------
    OSError
        It cannot be made, or belongs to somebody else.
    """
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(PRIVATE_FOLDER)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, never half.

    Parameters
    ----------
    path : Path
        Replaced in one step where it exists; its folder must exist.
    data : bytes

    Raises
    ------
    ArtefactError
        The file cannot be written (no space, no permission, no such folder).
    """
    with _replacing(path) as part:
        write_synced(part, data)


def write_arrays(path: Path, arrays: Mapping[str, npt.ArrayLike], metadata: Mapping[str, str] | None = None) -> None:
    """Write named arrays as one safetensors file, read it back and compare before it replaces the old one.

    Parameters
    ----------
    path : Path
    arrays : {name: array}
        Booleans, integers or floats of any shape and memory order.
    metadata : {name: text}, optional

    Raises
    ------
    ArtefactError
        An array's type cannot be stored, the file cannot be written, or what was written reads back differently.
    """
    # safetensors.numpy stores the buffer of a non-contiguous array as it lies, which scrambles it.
    stored = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    notes = dict(metadata or {})
    try:
        data = safetensors.numpy.save(
            stored, metadata={METADATA_KEY: json.dumps(notes, sort_keys=True)} if notes else None
        )
    except safetensors.SafetensorError as error:
        types = ", ".join(f"{name}: {array.dtype}" for name, array in stored.items())
        raise ArtefactError(f"{path} was not written: {error}. Seen {types}; store numbers only.") from error
    with _replacing(path) as part:
        write_synced(part, data)
        read, read_notes = read_arrays(part)
        changed = sorted(name for name, array in stored.items() if not _identical(array, read.get(name)))
        if changed or read.keys() != stored.keys() or read_notes != notes:
            raise ArtefactError(
                f"{path} was not written: {', '.join(changed) or 'its table of contents'} read back differently; "
                "check the disk and try again."
            )


def arrays_under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays whose names begin with a prefix, under the rest of their names."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def read_arrays(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Read the arrays and the metadata of one safetensors file; nothing in it is ever executed.

    Parameters
    ----------
    path : Path

    Returns
    -------
    arrays : {name: array}
        Fresh, writable, sorted by name.
    metadata : {name: text}
        As given to :func:`write_arrays`, or as a foreign safetensors file carries it.

    Raises
    ------
    ArtefactError
        The file is missing, empty, truncated or not safetensors.
    """
    if not path.is_file():
        raise ArtefactError(
            f"{path} {'is not a file' if path.exists() else 'does not exist'}; wanted a safetensors file."
        )
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
            metadata = dict(file.metadata() or {})
        if METADATA_KEY in metadata:
            metadata = {str(name): str(text) for name, text in json.loads(metadata[METADATA_KEY]).items()}
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {_reason(error)}.") from error
    # TypeError: a type numpy does not have (bfloat16); the others: metadata that is no JSON object, or too deep a one.
    except (safetensors.SafetensorError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ArtefactError(f"{path} cannot be used: {_diagnosis(path, error)}.") from error
    return arrays, metadata


def _diagnosis(path: Path, error: Exception) -> str:
    """Why a file is not safetensors, in words, from its size and its first bytes."""
    with path.open("rb") as file:
        start = file.read(8)
    if not start:
        return "it is empty; restore it or make it again"
    for signature, what in FOREIGN_SIGNATURES.items():
        if start.startswith(signature):
            return f"it is {what}; wanted safetensors, so it was not opened"
    return f"it is damaged, truncated or not safetensors ({error}); restore it or make it again"


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _identical(first: Array, second: Array | None) -> bool:
    """Whether two arrays hold the same bits, so that NaN equals NaN and 0.0 differs from -0.0."""
    if second is None or first.shape != second.shape or first.dtype.newbyteorder("=") != second.dtype:
        return False
    return first.astype(second.dtype, copy=False).tobytes() == second.tobytes()


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it at the end, or removed after any exception."""
    part = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        with disk_errors(f"{path} cannot be written"):
            yield part
            part.replace(path)
            sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def replacing_together(folder: Path, last: str) -> Iterator[Path]:
    """A new folder whose files replace those of the same names in `folder` once all are written, or not at all.

    The file `last` is the sign that all are there: it goes first and comes last, so that after a crash there is the old
    whole, the new whole, or no such file.

    Yields
    ------
    Path
        The new folder.

    Raises
    ------
    ArtefactError
        Something cannot be written; what was there before is still there.
    """
    make_folder(folder)
    staged = folder / f".{secrets.token_hex(8)}.part"
    try:
        with disk_errors(f"{folder} cannot be written"):
            staged.mkdir()
            yield staged
            (folder / last).unlink(missing_ok=True)
            names = sorted(path.name for path in staged.iterdir())
            for name in sorted(names, key=lambda name: name == last):
                (staged / name).replace(folder / name)
            sync_folder(folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def write_synced(part: Path, data: bytes) -> None:
    """Write a new file and wait until the disk has it; it is the caller who moves it into place."""
    with part.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut; Windows opens no folders and needs none of it."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
