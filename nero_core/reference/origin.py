"""What this machine notes of a reference, outside of what the reference says of itself.

Whether it was imported, and whether sessions of the app start with it: nobody who makes a reference may decide that.
The note lies beside the manifest, is never exported, and no zip may bring one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from nero_core.errors import ArtefactError, InputError
from nero_core.reference.manifest import MANIFEST_NAME
from nero_core.storage.files import disk_errors, write_bytes
from nero_core.storage.json_files import read_json

ORIGIN_NAME = "origin.json"


@dataclass(frozen=True)
class Origin:
    """How a reference came to this machine, and what it is here.

    Attributes
    ----------
    imported : bool
        Whether it came as a file. Such a reference is used by those who choose it, and by nobody else.
    default : bool
        Whether sessions start with it, because the owner of this machine said so.
    """

    imported: bool = False
    default: bool = False

    @property
    def may_begin(self) -> bool:
        """Whether a session may start with it without anybody choosing it."""
        return self.default or not self.imported


def read_origin(folder: Path) -> Origin:
    """The note of a reference; without one it was made here. One that cannot be read counts as an import's."""
    try:
        origin: Origin = read_json(folder / ORIGIN_NAME, Origin, "")
    except FileNotFoundError:
        return Origin()
    except ArtefactError:
        return Origin(imported=True)
    return origin


def write_origin(folder: Path, origin: Origin) -> None:
    """Write the note of a reference, or remove it where there is nothing to note.

    Raises
    ------
    ArtefactError
        The folder cannot be written.
    """
    if origin != Origin():
        write_bytes(folder / ORIGIN_NAME, json.dumps(asdict(origin)).encode())
        return
    with disk_errors(f"{folder / ORIGIN_NAME} cannot be removed", "check its permissions"):
        (folder / ORIGIN_NAME).unlink(missing_ok=True)


def set_default(folder: Path) -> None:
    """Let sessions of the app start with this reference, and with none of those beside it.

    Raises
    ------
    InputError
        The folder holds no reference.
    ArtefactError
        The folder cannot be written.
    """
    if not (folder / MANIFEST_NAME).is_file():
        raise InputError(f"{folder} is no reference; give the folder that holds its {MANIFEST_NAME}.")
    write_origin(folder, replace(read_origin(folder), default=True))
    for other in folder.resolve().parent.iterdir():
        if other.is_dir() and other != folder.resolve():
            clear_default(other)


def clear_default(folder: Path) -> None:
    """Let sessions start with this reference only where they would without a word from the owner."""
    origin = read_origin(folder)
    if origin.default:
        write_origin(folder, replace(origin, default=False))
