"""Fetch a data set's zip, resume it where it was cut off, check it, and unpack it safely."""

from __future__ import annotations

import http.client
import json
import logging
import secrets
import shutil
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path, PurePosixPath
from typing import TypedDict

import pooch

from nero_core.data.protocols.protocol import Protocol
from nero_core.errors import ArtefactError, InputError
from nero_core.records import Begin, Progress
from nero_core.storage.files import digest, disk_errors, make_folder, write_bytes
from nero_core.storage.json_files import read_json
from nero_core.storage.zips import Limits, open_archive

RECORD_NAME = "download.json"
PIECE = 2**20
TIMEOUT_SECONDS = 60.0
LIMITS = Limits(entry_bytes=64 * 2**20, total_bytes=16 * 2**30)
"""Kvasir v2, the largest, has 8,000 pictures of 2.3 GB."""


def download(protocol: Protocol, folder: Path, begin: Begin | None = None) -> tuple[Path, str, bool]:
    """Fetch and unpack a data set.

    A download that was cut off is taken up where it stopped. Where no checksum is known, that of the first download
    is recorded in ``download.json``, and later ones are held against it.

    Returns
    -------
    unpacked : Path
        Folder with the images.
    sha256 : str
        Of the zip.
    known : bool
        Whether the checksum was known before.

    Raises
    ------
    InputError
        No address is known, it cannot be reached, or what it gives is not what was expected.
    ArtefactError
        The folder cannot be written.
    """
    start: Begin = begin or (lambda what: lambda done, total: None)
    address = protocol.download.get("address")
    by_hand = f"Open {protocol.page} in a browser, download it by hand and unpack it; then run `nero arrange`."
    if not address:
        raise InputError(f"{protocol.title} has no address to download from. {by_hand}")
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        raise InputError(f"The address {address!r} is not one of the web; wanted http:// or https://.")
    make_folder(folder)
    name = f"{protocol.name}.zip"
    known = protocol.download.get("sha256") or _recorded(folder, address)
    pooch.get_logger().setLevel(logging.WARNING)  # it would say in its own words what the caller says
    fetch = _ResumingDownload(folder / f"{name}.part", start(f"Downloading {protocol.title}"), by_hand)
    try:
        path = Path(pooch.retrieve(address, f"sha256:{known}" if known else None, name, folder, downloader=fetch))
    except InputError:
        raise
    except ValueError as error:  # pooch's word for a checksum that differs
        raise InputError(
            f"{address} does not give the file that is expected: its SHA-256 is not {known}. It may have been renewed; "
            f"check {protocol.page}, and give the new checksum with --source."
        ) from error
    except OSError as error:
        raise ArtefactError(f"{folder} cannot be written: {error.strerror or error}; check the free space.") from error
    found = digest(path)
    record = {"address": address, "sha256": found, "bytes": path.stat().st_size}
    write_bytes(folder / RECORD_NAME, json.dumps(record, indent=1).encode())
    return _unpack(path, folder / protocol.name, start(f"Unpacking {protocol.title}")), found, known is not None


class _Record(TypedDict):
    """What is kept of a download."""

    address: str
    sha256: str


def _recorded(folder: Path, address: str) -> str | None:
    """The checksum of an earlier download from the same address."""
    advice = "It is damaged; delete it, and the file is downloaded anew."
    try:
        record: _Record = read_json(folder / RECORD_NAME, _Record, advice)
    except FileNotFoundError:
        return None
    return record["sha256"] if record["address"] == address else None


class _ResumingDownload:
    """Pooch's downloader: keeps what has come in ``part``, and asks for the rest of it (RFC 9110, section 14)."""

    def __init__(self, part: Path, progress: Progress, by_hand: str) -> None:
        self._part, self._progress, self._by_hand = part, progress, by_hand
        self._tag = part.with_name(f"{part.name}.tag")

    def __call__(self, url: str, output_file: object, pooch: object, check_only: bool = False) -> None:
        try:
            self._fetch(url)
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            # An HTTP error says its number itself; what stands behind any other is in its reason.
            inner = isinstance(error, urllib.error.URLError) and not isinstance(error, urllib.error.HTTPError)
            reason = getattr(error, "reason", error) if inner else error
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it holds the connection
            kept = f" {self._part.stat().st_size:,} bytes are kept." if self._part.is_file() else ""
            host = urllib.parse.urlsplit(url).hostname
            raise InputError(
                f"{host} cannot be reached, or broke off ({reason}).{kept} Check the network and run the same command "
                f"again: it goes on from there. Or: {self._by_hand}"
            ) from error
        self._part.replace(str(output_file))
        self._tag.unlink(missing_ok=True)

    def _fetch(self, url: str) -> None:
        have = self._part.stat().st_size if self._part.is_file() and self._tag.is_file() else 0
        request = urllib.request.Request(url, headers={"User-Agent": "nero-dashboard"})
        if have:
            request.add_header("Range", f"bytes={have}-")
            request.add_header("If-Range", self._tag.read_text(encoding="utf-8"))
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            if response.status != http.HTTPStatus.PARTIAL_CONTENT:  # the whole of it: it has changed, or cannot resume
                have = 0
            tag = response.headers.get("ETag") or response.headers.get("Last-Modified")
            if tag is None or tag.startswith("W/"):
                self._tag.unlink(missing_ok=True)
            else:
                self._tag.write_text(tag, encoding="utf-8")
            length = response.headers.get("Content-Length")
            total = have + int(length) if length else 0
            with self._part.open("ab" if have else "wb") as file:
                while piece := response.read(PIECE):
                    file.write(piece)
                    have += len(piece)
                    self._progress(have, total or have + 1)
        if total and have != total:
            raise ConnectionError(f"{have:,} of {total:,} bytes came")


def _unpack(path: Path, target: Path, progress: Progress) -> Path:
    """Unpack a zip beside its place and move it there once it is whole; an older one is replaced."""
    fresh = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    try:
        with disk_errors(f"{target} cannot be written"), open_archive(path, LIMITS, path.name) as archive:
            for done, name in enumerate(archive.sizes, start=1):
                place = fresh.joinpath(*PurePosixPath(name).parts)
                place.parent.mkdir(parents=True, exist_ok=True)
                archive.unpack(name, place)
                progress(done, len(archive.sizes))
            if target.exists():
                shutil.rmtree(target)
            fresh.replace(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target
