"""A reference's table of contents and model card: one JSON file, checked field by field; cheap to read."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from nero_core.errors import ArtefactError, InputError
from nero_core.reference.manifest_fields import ManifestFields, check_together
from nero_core.storage.files import digest, disk_errors, write_bytes
from nero_core.storage.json_files import Versioned, checked, read_json

MANIFEST_NAME = "manifest.json"
PICTURE_SUFFIX = ".webp"
SCHEMA_VERSION = 2
ADVICE = "Restore it or run `fit` again."
FILE_NAME = re.compile(r"(concepts/)?[a-z0-9_]+-[0-9a-f]{16}\.(safetensors|webp)")
"""The only names a manifest may list: no path leaves the reference's folder."""

MAX_MANIFEST_BYTES = 8 * 2**20
"""Of a manifest. 512 neurons with crops and 3 classes have 0.1 MiB; 4,096 neurons, 1,000 classes and all 36 detectors,
each with its false alarms by class, have 6."""
MAX_PICTURE_BYTES = 16 * 2**20
"""Of a sheet of pictures. A neuron's crops take 10 kB; 1,400 pictures of the sample, 1 MB."""
LISTED, KEPT = 1000, 8
"""Manifests whose titles, and whose contents, stay in memory."""

MAX_TITLE = 200
REORDERING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that turn the order of the text around them (Unicode Standard Annex 9): a title would show another one."""


@dataclass(frozen=True)
class ReferenceEntry:
    """One reference found on disk; `error` says why it cannot be used, None where it can."""

    path: Path
    title: str
    synthetic: bool
    error: str | None = None


def refused_title(title: str) -> str | None:
    """Why a title is not taken; None where it is."""
    if not title.strip():
        return "is empty; give one, so that people can tell it from others"
    if len(title) > MAX_TITLE:
        return f"has {len(title)} characters; at most {MAX_TITLE} are taken"
    if any(unicodedata.category(c) in ("Cc", "Cs") or c in REORDERING for c in title):
        return "has control characters; give plain text"
    return None


def _own_digest(content: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != "sha256"}
    return digest(json.dumps(rest, sort_keys=True, ensure_ascii=True).encode())


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Seal the manifest with its own digest and replace the old one in one step.

    Raises
    ------
    ArtefactError
        It cannot be written, or is too large to be read again.
    """
    sealed = {**content, "sha256": _own_digest(content)}
    data = json.dumps(sealed, indent=1, sort_keys=True, ensure_ascii=False).encode()
    if len(data) > MAX_MANIFEST_BYTES:
        raise ArtefactError(
            f"{MANIFEST_NAME} has {len(data)} bytes; at most {MAX_MANIFEST_BYTES} are read. Fit with fewer "
            "detectors or without crops."
        )
    write_bytes(folder / MANIFEST_NAME, data)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and check a manifest; no other file of the reference is opened.

    A manifest that was read stays in memory until its file changes, and so does what is wrong with it.

    Returns
    -------
    dict
        The caller's own.

    Raises
    ------
    ArtefactError
        There is none, it is too large, it is damaged, it was edited, or a newer version wrote it: file and field are
        named.
    """
    path = Path(folder) / MANIFEST_NAME
    stamp = _stamp(path)
    if stamp is None:
        raise ArtefactError(f"No {MANIFEST_NAME} in {folder}; give the folder that `fit --out` wrote.")
    data, error = _known(path, stamp)
    if error is not None:
        raise ArtefactError(error)
    content: dict[str, Any] = json.loads(data)
    return content


Stamp = tuple[int, int, int, int, int]


def _stamp(path: Path) -> Stamp | None:
    """What changes whenever a file does: device, inode, size, and the times its content and its inode were changed."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@lru_cache(KEPT)
def _known(path: Path, stamp: Stamp) -> tuple[str, str | None]:
    """A manifest as JSON, or why it is not taken."""
    try:
        return _checked(path), None
    except (ArtefactError, FileNotFoundError) as error:  # the latter: removed at this moment
        return "", str(error)


def _checked(path: Path) -> str:
    """Read a manifest and check it field by field; as JSON again, of which each caller makes one of its own."""
    content = read_json(path, Versioned, ADVICE, MANIFEST_NAME, MAX_MANIFEST_BYTES)
    if (schema := content["schema"]) > SCHEMA_VERSION:
        raise ArtefactError(
            f"{MANIFEST_NAME}, field `schema`: {schema} is newer than {SCHEMA_VERSION}, which this version reads; "
            "update NERO Dashboard."
        )
    checked(content, ManifestFields, MANIFEST_NAME, ADVICE)
    if why := refused_title(content["title"]):
        raise ArtefactError(f"{MANIFEST_NAME}, field `title` {why}.")
    for role, entry in content["files"].items():
        if not FILE_NAME.fullmatch(entry["name"]):
            raise ArtefactError(f"{MANIFEST_NAME}, field `files.{role}.name`: {entry['name']!r} is not a name of ours.")
    try:
        check_together(content)
    except InputError as error:
        raise ArtefactError(f"{MANIFEST_NAME}, field {error} {ADVICE}") from error
    if content.get("sha256") != _own_digest(content):
        raise ArtefactError(
            f"{MANIFEST_NAME}, field `sha256`: the content was changed after it was written; "
            "restore it or run `fit` again."
        )
    return json.dumps(content)


def write_hashed(folder: Path, role: str, suffix: str, write: Callable[[Path], None]) -> dict[str, Any]:
    """Write one file, name it by its content, and return its entry for the manifest's ``files``.

    Parameters
    ----------
    role : str
        What the file is; a slash puts it into a sub-folder.
    write : callable
        Writes the file to the path it is given, and waits until the disk has it. The folder itself is the
        caller's to synchronise, once.
    """
    path = Path(folder) / f"{role}.part"
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)  # what a killed save may have left
    try:
        write(path)
        sha256, size = digest(path), path.stat().st_size
        name = f"{role}-{sha256[:16]}.{suffix}"
        path.replace(Path(folder) / name)
    finally:
        path.unlink(missing_ok=True)
    return {"name": name, "sha256": sha256, "bytes": size}


def remove_unlisted(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Remove files of ours that the manifest does not name: those of an earlier version, or of a crash."""
    listed = {entry["name"] for entry in files.values()}
    for path in [*folder.glob("*"), *folder.glob("concepts/*"), *folder.glob("concepts/.*")]:
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".part" or (FILE_NAME.fullmatch(name) and name not in listed):
            path.unlink(missing_ok=True)


def verify_file(folder: Path, role: str, files: Mapping[str, Mapping[str, Any]]) -> Path:
    """The path of one file that a manifest's `files` lists, once its size and its hash agree.

    Raises
    ------
    ArtefactError
        No such role is listed, or its file is missing, truncated or another one, or larger than a picture may be.
    """
    if role not in files:
        raise ArtefactError(f"{MANIFEST_NAME}, field `files`: no {role!r} is listed; run `fit` again.")
    entry = files[role]
    path = Path(folder) / str(entry["name"])
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ArtefactError(
            f"{entry['name']} ({role}) is missing from {folder}; restore it or run `fit` again."
        ) from error
    if size != entry["bytes"]:
        raise ArtefactError(
            f"{entry['name']} ({role}) has {size} bytes, {entry['bytes']} were written: it is truncated or was "
            "replaced; restore it or run `fit` again."
        )
    if path.suffix == PICTURE_SUFFIX and size > MAX_PICTURE_BYTES:
        raise ArtefactError(f"{entry['name']} ({role}) has {size} bytes; at most {MAX_PICTURE_BYTES} are read.")
    if digest(path) != entry["sha256"]:
        raise ArtefactError(
            f"{entry['name']} ({role}) is not the file that was written: its SHA-256 differs; "
            "restore it or run `fit` again."
        )
    return path


def read_picture(folder: Path, role: str, files: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The bytes of one sheet of pictures that a manifest's `files` lists, once it is verified.

    Raises
    ------
    ArtefactError
        As :func:`verify_file`, or it was removed at this moment.
    """
    path = verify_file(folder, role, files)
    with disk_errors(f"{path.name} ({role}) cannot be read", "open the page again"):
        return path.read_bytes()


def list_references(folders: Sequence[Path]) -> list[ReferenceEntry]:
    """References directly inside these folders, by title; reads manifests only, and each once until it changes."""
    found = [(path, _stamp(path)) for folder in folders for path in sorted(Path(folder).glob(f"*/{MANIFEST_NAME}"))]
    entries = [_entry(path, stamp) for path, stamp in found if stamp is not None]  # None: removed at this moment
    return sorted(entries, key=lambda entry: (entry.error is not None, entry.title))


@lru_cache(LISTED)
def _entry(path: Path, stamp: Stamp) -> ReferenceEntry:
    data, error = _known(path, stamp)
    if error is not None:
        return ReferenceEntry(path.parent, path.parent.name, False, error)
    content = json.loads(data)
    return ReferenceEntry(path.parent, content["title"], content["synthetic"])
