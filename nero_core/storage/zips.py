"""Zip files from elsewhere: every entry is checked before one is opened, and what is opened is counted as it comes.

A zip's table of contents is written by whoever made it. Names may lead out of a folder, entries may be links or
devices, sizes may be lies, and a few kilobytes may unpack to petabytes. Nothing here writes outside the path it is
given, or more than the limits.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from nero_core.errors import InputError
from nero_core.storage.display_names import display_name
from nero_core.storage.files import disk_errors

FIRST_ENTRY = b"PK\x03\x04"
END_RECORD = struct.Struct("<4s4H2LH")
"""Signature, three disk numbers and counts, entries, bytes and place of the directory, length of the comment
(APPNOTE 6.3.10, 4.3.16)."""
END_SIGNATURE, LARGE_LOCATOR = b"PK\x05\x06", b"PK\x06\x07"
LARGE_LOCATOR_BYTES = 20
LONGEST_COMMENT = 2**16 - 1

MAX_ENTRIES = 50_000
MAX_DIRECTORY_BYTES = 16 * 2**20
"""Of the table of contents, which is read whole: 50,000 entries of 300 bytes."""
MAX_NAME_BYTES, MAX_PART_BYTES = 1_000, 255
MAX_RATIO = 100
"""Unpacked bytes to bytes of the zip: pictures and weights hardly shrink, and deflate reaches 1,032."""
PIECE = 2**20
REFUSED_FLAGS = 0x0001 | 0x0040 | 0x2000
"""Encrypted, strongly encrypted, masked headers (APPNOTE 4.4.4)."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
DRIVE = re.compile(r"[A-Za-z]:")

# What zipfile raises on damage, besides its own error: short reads, bad deflate streams, names that are no text.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Limits:
    """How much may come out of a zip.

    Attributes
    ----------
    entry_bytes : int
        Of one file.
    total_bytes : int
        Of all files.
    entries : int
    """

    entry_bytes: int
    total_bytes: int
    entries: int = MAX_ENTRIES


class Archive:
    """A zip whose table of contents has been checked; made by :func:`open_archive`.

    Attributes
    ----------
    sizes : {name: bytes}
        Its files in their order, with the sizes they claim, which lie within the limits.
    folders : tuple of str
        Folders that have an entry of their own; there may be others.

    Raises
    ------
    InputError
        The table of contents passes a limit, or names what is no plain file or folder within.
    """

    def __init__(self, opened: zipfile.ZipFile, what: str, limits: Limits, packed_bytes: int) -> None:
        self._opened, self._what, self._entries = opened, what, {}
        listed = opened.infolist()
        if len(listed) > limits.entries:
            raise InputError(f"{what} has {len(listed)} entries; at most {limits.entries} are taken.")
        seen: set[str] = set()
        for entry in listed:
            if reason := _refusal(entry):
                raise InputError(f"{what} is refused: the entry {_shown(entry.orig_filename)} {reason}.")
            same = unicodedata.normalize("NFC", entry.filename.rstrip("/")).casefold()
            if same in seen:
                raise InputError(
                    f"{what} is refused: the entry {_shown(entry.filename)} is there twice, or differs from another "
                    "in upper and lower case only."
                )
            seen.add(same)
            if not entry.is_dir():
                self._entries[entry.filename] = entry
        self.folders = tuple(entry.filename.rstrip("/") for entry in listed if entry.is_dir())
        for name in (entry.filename for entry in listed):
            if around := next((str(p) for p in PurePosixPath(name).parents if str(p) in self._entries), None):
                raise InputError(f"{what} is refused: the entry {_shown(around)} is a file and a folder.")
        self.sizes = {name: entry.file_size for name, entry in self._entries.items()}
        for name, size in self.sizes.items():
            if size > limits.entry_bytes:
                raise InputError(
                    f"{what} is refused: {_shown(name)} would unpack to {_mebibytes(size)}; at most "
                    f"{_mebibytes(limits.entry_bytes)} are taken."
                )
        total = sum(self.sizes.values())
        if total > limits.total_bytes:
            raise InputError(
                f"{what} is refused: it would unpack to {_mebibytes(total)}; at most "
                f"{_mebibytes(limits.total_bytes)} are taken."
            )
        if total > MAX_RATIO * packed_bytes:
            raise InputError(
                f"{what} is refused: {packed_bytes} bytes would unpack to {total}, more than {MAX_RATIO} times as "
                "much. Pictures and weights do not shrink so far."
            )

    def read(self, name: str) -> bytes:
        """One file's bytes.

        Raises
        ------
        InputError
            It is damaged, or holds another number of bytes than it claims.
        """
        return b"".join(self._pieces(name))

    def unpack(self, name: str, path: Path) -> None:
        """Write one file to a path that must be new; it is the caller who waits until the disk has it."""
        with path.open("xb") as file:
            for piece in self._pieces(name):
                file.write(piece)

    def _pieces(self, name: str) -> Iterator[bytes]:
        claimed, seen = self.sizes[name], 0
        with _refusing_damage(self._what), self._opened.open(self._entries[name]) as file:
            while piece := file.read(PIECE):
                seen += len(piece)
                if seen > claimed:
                    break
                yield piece
        if seen != claimed:
            raise InputError(f"{self._what} is damaged: {_shown(name)} does not hold the {claimed} bytes it claims.")


@contextmanager
def open_archive(source: Path | BinaryIO, limits: Limits, what: str) -> Iterator[Archive]:
    """Open a zip and check its table of contents: names, kinds, sizes, repetitions.

    Parameters
    ----------
    source : Path or binary file
    limits : Limits
    what : str
        What it is called in messages.

    Raises
    ------
    InputError
        It is no zip, is damaged or encrypted, lists a path that leaves its folder, a link, a device or a name twice,
        or would unpack to more than the limits.
    """
    if isinstance(source, Path):
        with disk_errors(f"{what} cannot be read", "check the path", InputError):
            file = source.open("rb")
        with file, open_archive(file, limits, what) as archive:
            yield archive
        return
    packed_bytes = _check_end(source, what)
    with _refusing_damage(what):
        opened = zipfile.ZipFile(source)
    with opened:
        yield Archive(opened, what, limits, packed_bytes)


def _check_end(file: BinaryIO, what: str) -> int:
    """Refuse what is no zip, and one whose table of contents is too long to be read; returns the zip's size.

    The record is sought as `zipfile` seeks it, so that both look at the same one.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(FIRST_ENTRY)) != FIRST_ENTRY:
        raise InputError(f"{what} is not a zip file, or an empty one.")
    file.seek(max(0, size - LONGEST_COMMENT - END_RECORD.size - LARGE_LOCATOR_BYTES))
    tail = file.read()
    last = len(tail) - END_RECORD.size
    plain = last >= 0 and tail[last:].startswith(END_SIGNATURE) and tail.endswith(b"\0\0")
    place = last if plain else tail.rfind(END_SIGNATURE)
    if place < 0 or place > last:
        raise InputError(f"{what} is incomplete: its end is missing; copy or download it again.")
    *_, entries, directory_bytes, _, _ = END_RECORD.unpack_from(tail, place)
    large = tail[max(0, place - LARGE_LOCATOR_BYTES) : place].startswith(LARGE_LOCATOR)
    if large or directory_bytes > MAX_DIRECTORY_BYTES:
        raise InputError(
            f"{what} is refused: its table of contents is longer than {_mebibytes(MAX_DIRECTORY_BYTES)}, or it is a "
            f"zip of more than 4 GiB ({entries} entries or more)."
        )
    file.seek(0)
    return size


@contextmanager
def _refusing_damage(what: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except DAMAGE as error:
        raise InputError(f"{what} is damaged ({error}); copy or download it again.") from error


def _refusal(entry: zipfile.ZipInfo) -> str | None:
    """Why an entry is not taken; None where it is."""
    name = entry.orig_filename  # as it stands in the zip: `filename` ends at a NUL
    kind = stat.S_IFMT(entry.external_attr >> 16)
    parts = name.removesuffix("/").split("/")
    if entry.flag_bits & REFUSED_FLAGS:
        return "is encrypted"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or (kind == stat.S_IFDIR) > entry.is_dir():
        return "is a link or another special file"
    if entry.compress_type not in METHODS:
        return "is packed by a method other than “stored” or “deflated”"
    if "\\" in name or name.startswith("/") or DRIVE.match(name) or any(part in ("", ".", "..") for part in parts):
        return "has a path that could lead out of the folder"
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        return "has control characters in its name"
    if len(name.encode()) > MAX_NAME_BYTES or any(len(part.encode()) > MAX_PART_BYTES for part in parts):
        return f"has a name of more than {MAX_PART_BYTES} bytes between slashes, or {MAX_NAME_BYTES} in all"
    return None


def _shown(name: str) -> str:
    return repr(display_name(name.replace("/", "∕"), 0))  # the slash is kept in sight, as a character that is none


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
