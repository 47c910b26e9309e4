"""Images with the digests of their bytes, and their classes and groups where they are known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from nero_core.data.class_folders import LabelledImages
from nero_core.errors import ArtefactError, InputError
from nero_core.records import IntArray, Source, TrainingRecord
from nero_core.storage.files import digest


@dataclass(frozen=True, eq=False)
class ImageSet:
    """n images with the digests of their bytes, and their classes where they are known.

    Attributes
    ----------
    images : n sources
        Paths, bytes or pictures.
    digests : n texts
        SHA-256; equal digests are read once.
    labels : (n,) int64 or None
    groups : n texts or None
        Which images belong together; None where nobody said.
    """

    images: tuple[Source, ...]
    digests: tuple[str, ...]
    labels: IntArray | None = None
    groups: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.images) != len(self.digests):
            raise InputError(f"{len(self.images)} images have {len(self.digests)} digests; give one for each.")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The images themselves."""
        return self.images

    @classmethod
    def of(cls, images: LabelledImages) -> ImageSet:
        """The images of class folders."""
        return cls(images.paths, images.digests, images.labels, images.groups)

    @classmethod
    def of_files(cls, paths: Iterable[Path], groups: Sequence[str] | None = None) -> ImageSet:
        """Files without classes; a file that cannot be read keeps its place, and is left out when it is extracted."""
        files = tuple(paths)
        return cls(files, tuple(_file_digest(path) for path in files), None, None if groups is None else tuple(groups))

    def select(self, rows: Sequence[bool] | npt.NDArray[np.generic]) -> ImageSet:
        """The same for the images where the mask holds."""
        kept = np.flatnonzero(rows)
        return ImageSet(
            tuple(self.images[row] for row in kept),
            tuple(self.digests[row] for row in kept),
            None if self.labels is None else self.labels[kept],
            None if self.groups is None else tuple(self.groups[row] for row in kept),
        )

    @property
    def digest(self) -> str:
        """One digest for all of them, whatever their order."""
        return digest("".join(sorted(self.digests)).encode())


AnyImages = ImageSet | LabelledImages
Images = TypeVar("Images", ImageSet, LabelledImages)


def grouped_as_recorded(images: Images, record: TrainingRecord | None) -> Images:
    """The images in the groups that they were trained in, where nobody says which, and the record knows all of them."""
    if images.groups is not None or record is None or not all(key in record.groups for key in images.digests):
        return images
    return replace(images, groups=tuple(record.groups[key] for key in images.digests))


def _file_digest(path: Path) -> str:
    try:
        return digest(path)
    except ArtefactError:  # unreadable: `extract` says why, and no other file has this digest
        return digest(f"unreadable {path}".encode())
