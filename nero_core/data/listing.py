"""A user's images with their classes and groups: class folders, or a CSV manifest."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from nero_core.data.class_folders import (
    LabelledImages,
    file_digests,
    list_images,
    read_class_folders,
    refuse_contradictions,
)
from nero_core.data.image_set import ImageSet
from nero_core.errors import InputError
from nero_core.records import Progress

PATH, LABEL, GROUP, PART = "path", "label", "group", "split"
"""Columns of a CSV manifest; the last two may be left out."""
PARTS = ("train", "calibration", "test")
MAX_CSV_BYTES = 256 * 2**20
"""Two million images with paths of a hundred characters."""


def read_images(
    data: Path, classes: Sequence[str] | None = None, group: str | None = None, progress: Progress | None = None
) -> LabelledImages:
    """Images with their classes; nothing is decoded yet.

    Parameters
    ----------
    data : Path
        A folder with one sub-folder per class, or a CSV file with the columns ``path`` (from the CSV's own folder),
        ``label``, and where there are such ``group`` and ``split`` (train, calibration, test or empty).
    classes : K names, optional
        What the classes must be, and the order of the labels; by default all, sorted by name.
    group : str, optional
        What keeps images together. For folders a level: "1" is the first folder below the class. For a CSV the name
        of a column; "group" where there is such a column and nothing is asked for.

    Raises
    ------
    InputError
        There are no images or fewer than two classes, a file lies in two classes, the names differ from `classes`,
        or the group is not there.
    """
    if data.suffix.lower() == ".csv" and not data.is_dir():
        return _read_csv(data, classes, group, progress)
    images = read_class_folders(data, classes, progress)
    if group is None:
        return images
    roots = [data / images.classes[label] for label in images.labels]
    return replace(images, groups=_groups_at(roots, images.paths, group))


def read_in_distribution(
    data: Path, classes: Sequence[str], group: str | None = None, progress: Progress | None = None
) -> ImageSet:
    """In-distribution images: with classes where the sub-folders, or a CSV, name them, else without.

    Parameters
    ----------
    group : str, optional
        As for :func:`read_images`; for images without classes, levels are counted from `data` itself.

    Raises
    ------
    InputError
        The folder holds no image, or some sub-folders are classes and others are missing or surplus.
    """
    found = {path.name for path in data.iterdir() if path.is_dir()} if data.is_dir() else set()
    if found & set(classes) or (data.suffix.lower() == ".csv" and not data.is_dir()):
        return ImageSet.of(read_images(data, classes, group, progress))
    return read_files(data, group)


def read_files(data: Path, group: str | None = None) -> ImageSet:
    """Images without classes; levels of `group` are counted from the folder itself."""
    paths = list_images(data)
    return ImageSet.of_files(paths, None if group is None else _groups_at([data] * len(paths), paths, group))


def _groups_at(roots: Sequence[Path], paths: Sequence[Path], group: str) -> tuple[str, ...]:
    """The folders from each root down to the asked level: "patient-3", or "patient-3/clip-1" for level 2."""
    level = int(group) if group.isdecimal() and len(group) < 3 else 0
    if level < 1:
        raise InputError(
            f"--group {group!r} names no folder level; wanted 1 for the first folder below the class (2 for the next), "
            "or a CSV manifest as DATA and the name of one of its columns."
        )
    names = []
    for root, path in zip(roots, paths, strict=True):
        inside = path.relative_to(root).parts[:-1]
        if len(inside) < level:
            raise InputError(
                f"{PurePosixPath(root.name, *inside, path.name)} lies in {len(inside)} folders below {root.name}, and "
                f"--group {level} asks for {level}; put every image into the folder of its group."
            )
        names.append("/".join(inside[:level]))
    return tuple(names)


def _read_csv(
    file: Path, classes: Sequence[str] | None, group: str | None, progress: Progress | None
) -> LabelledImages:
    numbered, fields = _csv_rows(file)
    rows = [row for _, row in numbered]
    column = group if group is not None else GROUP if GROUP in fields else None
    for needed in (PATH, LABEL, *([] if column is None else [column])):
        if needed not in fields:
            raise InputError(f"{file.name} has the columns {', '.join(fields)}; wanted {needed!r} among them.")
    found = sorted({row[LABEL] for row in rows})
    names = tuple(found if classes is None else classes)
    if classes is None and len(found) < 2:
        raise InputError(f"{file.name} has one class, {found[0]!r}; wanted at least two in the column {LABEL!r}.")
    if surplus := sorted(set(found) - set(names)):
        raise InputError(f"{file.name} has the class {surplus[0]!r}; the classifier's are {', '.join(names)}.")
    paths = tuple(_inside(file, row[PATH], line) for line, row in numbered)
    parts = tuple(row[PART].strip() for row in rows) if PART in fields else None
    if parts is not None and (odd := sorted(set(parts) - {*PARTS, ""})):
        raise InputError(f"{file.name}, column {PART!r}: seen {odd[0]!r}, wanted {', '.join(PARTS)} or nothing.")
    images = LabelledImages(
        paths=paths,
        labels=np.array([names.index(row[LABEL]) for row in rows], dtype=np.int64),
        classes=names,
        digests=file_digests(paths, progress),
        # A line without a group is of none but its own.
        groups=None if column is None else tuple(row[column] or row[PATH] for row in rows),
        parts=parts,
    )
    refuse_contradictions(images)
    return images


def _csv_rows(file: Path) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    """Rows, each with the line of the file where it ends, and the names of their columns."""
    try:
        if file.stat().st_size > MAX_CSV_BYTES:
            raise InputError(f"{file.name} has more than {MAX_CSV_BYTES // 2**20} MB; divide it into several.")
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text, strict=True)
            numbered = [(reader.line_num, row) for row in reader]
            fields = list(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} cannot be read as CSV ({error}); save it as UTF-8 text with commas.") from error
    if not numbered:
        raise InputError(f"{file.name} names no image; wanted a header with {PATH} and {LABEL}, and a line per image.")
    if doubled := sorted({name for name in fields if fields.count(name) > 1}):
        raise InputError(f"{file.name} has the column {doubled[0]!r} twice; name every column once.")
    for line, row in numbered:
        if None in row or None in row.values():
            raise InputError(f"{file.name}, line {line}: wanted {len(fields)} columns, as in the header.")
        if row.get(LABEL) == "":
            raise InputError(f"{file.name}, line {line}: the column {LABEL!r} is empty; name the class of every image.")
    return numbered, fields


def _inside(file: Path, name: str, line: int) -> Path:
    """The file a line names; it must lie below the CSV's own folder."""
    root = file.parent.resolve()
    path = root / name
    try:
        inside = path.resolve().is_relative_to(root) and path.is_file()
    except (OSError, ValueError):  # too long a name, or one that holds what none can
        inside = False
    if not inside:
        raise InputError(
            f"{file.name}, line {line}: {name!r} is no file below the folder of the CSV; write paths from there."
        )
    return file.parent / name
