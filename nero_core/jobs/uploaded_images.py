"""Images that somebody uploads for a build: a zip of class folders, checked by its table of contents, then unpacked."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from nero_core.data.class_folders import SUFFIXES
from nero_core.data.images import MAX_FILE_BYTES
from nero_core.errors import InputError
from nero_core.records import Progress
from nero_core.storage.display_names import display_name
from nero_core.storage.zips import Archive, Limits, open_archive

UPLOAD_LIMITS = Limits(entry_bytes=MAX_FILE_BYTES, total_bytes=8 * 2**30)
MAX_CLASSES = 1000
"""As many as ImageNet has; a folder with more is hardly one of classes."""


def check_upload(upload: Path | BinaryIO) -> int:
    """Check an uploaded zip of class folders by its table of contents; returns how many images it holds.

    Raises
    ------
    InputError
        It is refused (see :func:`~nero_core.storage.zips.open_archive`), or holds no images in class folders.
    """
    with open_archive(upload, UPLOAD_LIMITS, "The zip file") as archive:
        return len(_images_in(archive))


def unpack_class_folders(source: Path, folder: Path, progress: Progress) -> None:
    """Unpack the images of a checked zip; whatever else it holds is left in it.

    A single folder around all class folders is taken off.

    Raises
    ------
    InputError
        As :func:`check_upload`, or an entry is damaged.
    """
    shutil.rmtree(folder, ignore_errors=True)  # what a killed process has left
    folder.mkdir()
    with open_archive(source, UPLOAD_LIMITS, "The zip file") as archive:
        images = _images_in(archive)
        for done, (name, inside) in enumerate(images.items(), start=1):
            path = folder.joinpath(*inside.parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            archive.unpack(name, path)
            progress(done, len(images))


def _images_in(archive: Archive) -> dict[str, PurePosixPath]:
    """{entry: its path from the class folders on} of the images; hidden files and system folders are none."""
    paths = {name: PurePosixPath(name) for name in archive.sizes}
    images = {name: path for name, path in paths.items() if path.suffix.lower() in SUFFIXES and not _hidden(path)}
    around = 0  # folders around all class folders
    while images and len({path.parts[0] for path in images.values()}) == 1 and _deeper(images.values(), 2):
        images = {name: PurePosixPath(*path.parts[1:]) for name, path in images.items()}
        around += 1
    if not images or not _deeper(images.values(), 1):
        raise InputError("The zip file holds no images in class folders; wanted one folder per class, images inside.")
    classes = {path.parts[0] for path in images.values()}
    if len(classes) > MAX_CLASSES:
        raise InputError(f"The zip file has {len(classes)} class folders; at most {MAX_CLASSES} are taken.")
    top = PurePosixPath(next(iter(images))).parts[:around]
    beside = [*(path.parent for path in paths.values()), *map(PurePosixPath, archive.folders)]
    inside = [path.parts[around] for path in beside if path.parts[:around] == top and len(path.parts) > around]
    if empty := sorted({name for name in inside if not _hidden(PurePosixPath(name))} - classes):
        raise InputError(
            f"The zip file has {len(empty)} folders without images, the first {display_name(empty[0], 0)!r}; give each "
            "class its images, or leave its folder out."
        )
    return images


def _hidden(path: PurePosixPath) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _deeper(paths: Iterable[PurePosixPath], than: int) -> bool:
    return all(len(path.parts) > than for path in paths)
