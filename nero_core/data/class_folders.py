"""Class folders, their files by SHA-256, and what stands in two classes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nero_core.errors import ArtefactError, InputError
from nero_core.records import IntArray, Progress
from nero_core.storage.display_names import display_name
from nero_core.storage.files import digest

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif"})
EMPTY_FILE = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """n image files with their classes.

    Attributes
    ----------
    paths : n paths
    labels : (n,) int64
        Index into `classes`.
    classes : K names
    digests : n texts
        SHA-256 of each file's bytes.
    groups : n texts or None
        Which images belong together: those of one patient, examination or clip. None where nobody said.
    parts : n texts or None
        What each image is meant for: "train", "calibration", "test", or "" where it is free. None where nobody said.
    """

    paths: tuple[Path, ...]
    labels: IntArray
    classes: tuple[str, ...]
    digests: tuple[str, ...]
    groups: tuple[str, ...] | None = None
    parts: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        counts = {len(self.labels), len(self.digests)} | {
            len(each) for each in (self.groups, self.parts) if each is not None
        }
        if counts != {len(self.paths)}:
            raise InputError(
                f"{len(self.paths)} paths, {len(self.labels)} labels and {len(self.digests)} digests were given; "
                "give one of each per image, and of groups and parts as many or none."
            )

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def sources(self) -> tuple[Path, ...]:
        """The images themselves."""
        return self.paths

    def select(self, rows: Sequence[bool] | Sequence[int] | npt.NDArray[np.generic]) -> LabelledImages:
        """The same record for some of its images (indices or a mask), in that order."""
        index = np.arange(len(self))[np.asarray(rows, dtype=np.int64 if len(rows) == 0 else None)]
        return LabelledImages(
            paths=tuple(self.paths[i] for i in index),
            labels=self.labels[index],
            classes=self.classes,
            digests=tuple(self.digests[i] for i in index),
            groups=None if self.groups is None else tuple(self.groups[i] for i in index),
            parts=None if self.parts is None else tuple(self.parts[i] for i in index),
        )

    def counts(self) -> dict[str, int]:
        """How many images each class has."""
        found = np.bincount(self.labels, minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, found, strict=True)}


def require_folder(path: Path, wanted: str = "class folders") -> None:
    """Refuse what is no folder.

    Raises
    ------
    InputError
        It is missing or something else.
    """
    if not path.is_dir():
        raise InputError(f"{path} {'is not a folder' if path.exists() else 'does not exist'}; wanted {wanted}.")


def sub_folders(root: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones.

    Raises
    ------
    InputError
        `root` is missing or no folder.
    """
    require_folder(root)
    return sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def list_images(folder: Path) -> list[Path]:
    """Every image file below a folder, in order of its path.

    Hidden files and folders are left out, and so are symbolic links that lead out of the folder.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    InputError
        The folder is missing or cannot be listed, or holds no image.
    """
    require_folder(folder, "a folder")

    def refuse(error: OSError) -> None:
        raise InputError(f"{folder} cannot be listed: {error}.") from error

    inside = folder.resolve()
    found: list[Path] = []
    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(place, name) for name in files if not name.startswith(".")):
            if path.suffix.lower() in SUFFIXES and path.is_file() and path.resolve().is_relative_to(inside):
                found.append(path)
    if not found:
        wanted = ", ".join(sorted(SUFFIXES))
        raise InputError(
            f"{folder} holds no images; looked in it and below for {wanted}, not through links leaving it."
        )
    return sorted(found, key=lambda path: path.as_posix())


def read_class_folders(
    root: Path, classes: Sequence[str] | None = None, progress: Progress | None = None
) -> LabelledImages:
    """Images sorted into one sub-folder per class; nothing is decoded yet.

    Parameters
    ----------
    root : Path
        Its direct sub-folders are the classes.
    classes : K names, optional
        What the sub-folders must be called, and the order of the labels; by default all, sorted by name.

    Raises
    ------
    InputError
        There are fewer than two classes (unless `classes` says so), the names differ from `classes`, a class is
        empty, or the same file lies in two classes.
    """
    found = sub_folders(root)
    if not found:
        raise InputError(f"{root} has no sub-folders; wanted one per class, named after it, with its images inside.")
    if classes is None and len(found) < 2:
        raise InputError(f"{root} has one class, {found[0]!r}; wanted at least two sub-folders, one per class.")
    if classes is not None and set(found) != set(classes):
        missing, surplus = sorted(set(classes) - set(found)), sorted(set(found) - set(classes))
        parts = [f"{what}: {', '.join(names)}" for what, names in (("missing", missing), ("surplus", surplus)) if names]
        raise InputError(
            f"The sub-folders of {root} are not the classifier's classes ({'; '.join(parts)}); rename them."
        )
    names = tuple(found if classes is None else classes)
    per_class = [list_images(root / name) for name in names]
    paths = tuple(path for images in per_class for path in images)
    labels = np.repeat(np.arange(len(names)), [len(images) for images in per_class])
    images = LabelledImages(paths, labels.astype(np.int64), names, file_digests(paths, progress))
    refuse_contradictions(images)
    return images


def file_digests(paths: Sequence[Path], progress: Progress | None = None) -> tuple[str, ...]:
    """SHA-256 of each file's bytes.

    Raises
    ------
    InputError
        A file cannot be read.
    """
    digests = []
    for done, path in enumerate(paths, start=1):
        try:
            digests.append(digest(path))
        except ArtefactError as error:
            raise InputError(str(error)) from error
        if progress is not None:
            progress(done, len(paths))
    return tuple(digests)


def refuse_contradictions(images: LabelledImages) -> None:
    """Refuse one file in two classes.

    Raises
    ------
    InputError
        Names the first.
    """
    first: dict[str, int] = {}
    clashes = [
        (earlier, row)
        for row, key in enumerate(images.digests)
        if images.labels[earlier := first.setdefault(key, row)] != images.labels[row] and key != EMPTY_FILE
    ]
    if clashes:
        one, other = (short_path(images.paths[row]) for row in clashes[0])
        raise InputError(
            f"{len(clashes)} images lie in two classes, the first {one} and {other}; keep each in the class it shows."
        )


def short_path(path: Path) -> str:
    """A file and its folder, safe to print: names are untrusted."""
    return f"{display_name(path.parent, 0)}/{display_name(path, 0)}"
