"""A reference as one file: a zip with equal bytes for equal references, taken in only once everything is checked.

The zip holds the reference's files as they are, and ``MODEL_CARD.md`` for whoever opens it by hand. The card is derived
from the manifest: it is written on the way out, and neither read nor kept on the way in, so that nobody can bring one
that tells another story than the manifest.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nero_core.errors import ArtefactError, InputError
from nero_core.reference.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, read_manifest, verify_file
from nero_core.reference.model_card import CARD_NAME, model_card
from nero_core.reference.origin import Origin, write_origin
from nero_core.reference.signatures import (
    MAX_SIGNATURE_BYTES,
    SIGNATURE_NAME,
    Signature,
    TrustedKey,
    read_signature,
    sign,
)
from nero_core.reference.trial import try_reference
from nero_core.storage.files import disk_errors, sync_folder
from nero_core.storage.locks import trying_lock
from nero_core.storage.zips import Archive, Limits, open_archive

LIMITS = Limits(entry_bytes=2 * 2**30, total_bytes=3 * 2**30)
"""Of a reference: the largest networks in use have 1.2 GB of weights."""
MAX_CARD_BYTES = 2**20
BESIDE = (MANIFEST_NAME, CARD_NAME, SIGNATURE_NAME)
"""Entries that no manifest lists."""

SUFFIX = ".zip"
UNFINISHED = ".importing"
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The one time that every entry carries: the earliest that a zip can hold."""
NAMES_TRIED = 1000


@dataclass(frozen=True)
class Imported:
    """A reference that was taken in: unchanged since it was made, tried, and with or without a signature that holds."""

    path: Path
    title: str
    signature: Signature | None


def export_reference(folder: Path, out: Path | BinaryIO, private_key: Path | None = None) -> None:
    """Write a reference as one zip; every file is verified as it goes in.

    Entries are stored, not packed (weights hardly shrink), in a fixed order and with one fixed time. The signature that
    a reference was imported with goes along.

    Parameters
    ----------
    folder : Path
        Of the reference.
    out : Path or binary file
        A path must be new; what was begun is removed after an error.
    private_key : Path, optional
        Signs it, in place of whoever signed it before.

    Raises
    ------
    ArtefactError
        The reference is damaged, or the file cannot be written.
    InputError
        The file of the key holds none.
    """
    if isinstance(out, Path):
        part = out.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with disk_errors(f"{out} cannot be written"):
                with part.open("xb") as file:
                    export_reference(folder, file, private_key)
                if out.exists():
                    raise ArtefactError(f"{out} exists; choose another name.")
                part.replace(out)
        finally:
            part.unlink(missing_ok=True)
        return
    folder = Path(folder)
    manifest = read_manifest(folder)
    signature = _signature(folder, private_key)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr(_entry(MANIFEST_NAME), (folder / MANIFEST_NAME).read_bytes())
        packed.writestr(_entry(CARD_NAME), model_card(folder).markdown())
        if signature is not None:
            packed.writestr(_entry(SIGNATURE_NAME), signature)
        for role, entry in sorted(manifest["files"].items(), key=lambda item: item[1]["name"]):
            source = verify_file(folder, role, manifest["files"])
            with source.open("rb") as file, packed.open(_entry(entry["name"], entry["bytes"]), "w") as target:
                shutil.copyfileobj(file, target)


def _signature(folder: Path, private_key: Path | None) -> bytes | None:
    if private_key is not None:
        return sign(folder, private_key)
    if read_signature(folder) is None:  # one that does not hold is an error, and not passed on
        return None
    return (folder / SIGNATURE_NAME).read_bytes()


def _entry(name: str, size: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, LONG_AGO)
    info.create_system = 3  # Unix, on every machine
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    info.file_size = size
    return info


def import_reference(
    source: Path | BinaryIO, target: Path, trusted: Sequence[TrustedKey] = (), must_be_trusted: bool = False
) -> Imported:
    """Unpack a reference into a new folder, which appears in one step once everything is verified.

    What is in the zip must be exactly what its manifest lists. It is unpacked into a hidden folder beside the target,
    verified there by size and hash, tried by a process of its own (see :mod:`nero_core.reference.trial`), noted as
    imported, and then moved; a crash leaves the hidden folder, which the next import removes, and never half a
    reference.

    Parameters
    ----------
    source : Path or binary file
    target : Path
        Must not exist; the folder around it is made where it is missing.
    trusted : sequence of TrustedKey
        Whose signature is told by name.
    must_be_trusted : bool
        Whether a reference is refused that none of them has signed.

    Raises
    ------
    InputError
        The file is no zip, damaged, or holds an entry that is refused (:func:`~nero_core.storage.zips.open_archive`).
    ArtefactError
        What it holds is not a whole reference of this version, or not signed as it must be; it cannot be used within
        the limits of a trial; the target exists, or the disk is full.
    """
    what = Path(source).name if isinstance(source, Path) else "The file"
    _refuse_existing(target)
    with open_archive(source, LIMITS, what) as archive:
        _check_small_files(archive, what)
        with disk_errors(f"{target} cannot be written"):
            target.parent.mkdir(parents=True, exist_ok=True)
            remove_abandoned(target.parent)
            staging = target.parent / f".{secrets.token_hex(8)}{UNFINISHED}"
            staging.mkdir()
            try:
                with trying_lock(staging / "lock"):
                    manifest = _unpack(archive, staging / "reference", what)
                    signature = _check_signature(staging / "reference", trusted, must_be_trusted, what)
                    try_reference(staging / "reference", what)
                    write_origin(staging / "reference", Origin(imported=True))
                    _refuse_existing(target)
                    (staging / "reference").rename(target)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
            sync_folder(target.parent)
    return Imported(target, manifest["title"], signature)


def _check_signature(folder: Path, trusted: Sequence[TrustedKey], must_be_trusted: bool, what: str) -> Signature | None:
    signature = read_signature(folder, trusted)
    if must_be_trusted and (signature is None or signature.signer is None):
        seen = "is not signed" if signature is None else f"is signed with another key ({signature.fingerprint})"
        keys = "; ".join(f"{key.name} ({key.fingerprint})" for key in trusted)
        raise ArtefactError(f"{what} {seen}; wanted a signature by {keys}.")
    return signature


def _check_small_files(archive: Archive, what: str) -> None:
    if MANIFEST_NAME not in archive.sizes:
        raise ArtefactError(f"{what} holds no {MANIFEST_NAME}; give a file that `export` wrote.")
    for name, limit in zip(BESIDE, (MAX_MANIFEST_BYTES, MAX_CARD_BYTES, MAX_SIGNATURE_BYTES), strict=True):
        if archive.sizes.get(name, 0) > limit:
            raise InputError(f"{what} is refused: {name} has {archive.sizes[name]} bytes; at most {limit} are taken.")


def _unpack(archive: Archive, folder: Path, what: str) -> dict[str, Any]:
    """Manifest first, then exactly the files it lists, which are verified, and the signature; returns the manifest."""
    folder.mkdir()
    archive.unpack(MANIFEST_NAME, folder / MANIFEST_NAME)
    manifest = read_manifest(folder)
    listed = {entry["name"]: int(entry["bytes"]) for entry in manifest["files"].values()}
    found = {name: size for name, size in archive.sizes.items() if name not in BESIDE}
    if found != listed:
        differing = sorted(name for name in found.keys() | listed.keys() if found.get(name) != listed.get(name))
        name = differing[0]
        how = "is missing" if name not in found else "is not listed" if name not in listed else "has another size"
        raise ArtefactError(
            f"{what} is not what its {MANIFEST_NAME} lists: {name!r} {how}"
            + (f", and {len(differing) - 1} more" if len(differing) > 1 else "")
            + "; export the reference again."
        )
    for name in listed:  # FILE_NAME allows one sub-folder, and read_manifest has checked every name against it
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        archive.unpack(name, path)
    if SIGNATURE_NAME in archive.sizes:
        archive.unpack(SIGNATURE_NAME, folder / SIGNATURE_NAME)
    _sync_all(folder)
    for role in manifest["files"]:
        verify_file(folder, role, manifest["files"])
    return manifest


def _sync_all(folder: Path) -> None:
    """Wait until the disk has what lies in a folder: at once where the system can, as files are many and small."""
    if hasattr(os, "sync"):
        os.sync()
        return
    for path in folder.rglob("*.*"):
        with path.open("r+b") as file:
            os.fsync(file.fileno())


def _refuse_existing(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise ArtefactError(f"{target.name!r} exists already; choose another name, such as {free_name(target).name!r}.")


def free_name(target: Path) -> Path:
    """The path itself, or with the first number behind it that makes it new."""
    numbered = (target.with_name(f"{target.name}-{number}") for number in range(2, NAMES_TRIED))
    return next(path for path in [target, *numbered] if not (path.exists() or path.is_symlink()))


def remove_abandoned(folder: Path) -> None:
    """Remove what imports that were killed have left in a folder; those under way are let be."""
    for left in folder.glob(f".*{UNFINISHED}"):
        if not (left / "lock").is_file():
            continue  # just being made
        with trying_lock(left / "lock") as abandoned:
            if abandoned:
                shutil.rmtree(left, ignore_errors=True)
