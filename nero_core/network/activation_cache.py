"""Activations kept on disk, so that a second look at the same images with the same network takes seconds.

One file per set of images, named after what it was made from (network, preprocessing, the images' digests) and after
its own content. It holds activations, no pixels and no file names, and only its owner can read it. A damaged file is
removed and made again; the files used longest ago go first where all together pass the limit.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from nero_core.data.image_set import ImageSet
from nero_core.errors import ArtefactError, InputError
from nero_core.network.classifier import Classifier
from nero_core.network.extraction import activations_of, arrays_of
from nero_core.network.image_source import Images
from nero_core.records import Activations, Progress
from nero_core.storage.files import PRIVATE_FILE, PRIVATE_FOLDER, digest, read_arrays, write_arrays

FORMAT = "nero-activations-1"
"""Changes whenever the same network and image would give other activations."""
FOLDER_VARIABLE = "NERO_CACHE"
LIMIT_BYTES = 4 * 2**30


@dataclass(frozen=True, eq=False)
class Extraction:
    """What a network gives for the readable images of a set.

    Attributes
    ----------
    activations : Activations
        With labels where the set has them.
    images : ImageSet
        The readable ones, one per row.
    unreadable : texts
        One reason per image that was left out.
    """

    activations: Activations
    images: ImageSet
    unreadable: tuple[str, ...]

    def with_source(self, classifier: Classifier) -> Activations:
        """The activations with the images behind them, for detectors that have to see these again."""
        return replace(self.activations, source=Images(classifier, self.images.images))


def default_folder() -> Path:
    """The folder that `NERO_CACHE` names, else one in the platform's place for caches."""
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    return user_cache_path("nero-dashboard", appauthor=False, opinion=False)


def classifier_digest(classifier: Classifier) -> str:
    """One digest for everything that activations depend on: weights, architecture, preprocessing and device."""
    described = [FORMAT, classifier.architecture, asdict(classifier.preprocessing), classifier.device.type]
    parts = [json.dumps(described, sort_keys=True)]
    for name, tensor in sorted(classifier.network.state_dict().items()):
        parts.append(f"{name} {digest(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())}")
    return digest("\n".join(parts).encode())


class CachedExtractor:
    """A classifier's extraction that looks on disk first.

    Parameters
    ----------
    classifier : Classifier
    folder : Path or None
        None keeps nothing.
    limit : int
        Bytes that all files together may take.
    """

    def __init__(self, classifier: Classifier, folder: Path | None, limit: int = LIMIT_BYTES) -> None:
        self.classifier, self.folder, self.limit = classifier, folder, limit
        self.digest = classifier_digest(classifier)
        self.notes: list[str] = []
        """Why extractions were not kept: the first reason, in a sentence."""

    def extract(self, images: ImageSet, progress: Progress | None = None) -> Extraction:
        """Activations of the readable images, in their order; each distinct image is read once at most.

        Raises
        ------
        InputError
            None of the images can be read.
        """
        first = {key: position for position, key in reversed(list(enumerate(images.digests)))}
        distinct = sorted(first.values())
        key = digest(json.dumps([self.digest, sorted(first)]).encode())[:32]
        found = self._read(key)
        if found is None:
            reasons: dict[int, str] = {}
            activations = self.classifier.extract(
                [images.images[position] for position in distinct],
                on_unreadable=lambda place, error: reasons.__setitem__(distinct[place], str(error)),
                progress=progress,
            )
            readable = [images.digests[position] for position in distinct if position not in reasons]
            found = activations, readable, {images.digests[position]: text for position, text in reasons.items()}
            self._keep(key, *found)
        elif progress is not None:
            progress(len(distinct), len(distinct))
        activations, readable, failed = found
        row_of = {image: row for row, image in enumerate(readable)}
        kept = images.select([image in row_of for image in images.digests])
        rows = activations[[row_of[image] for image in kept.digests]]
        return Extraction(
            replace(rows, labels=kept.labels), kept, tuple(failed[image] for image in images.digests if image in failed)
        )

    # On disk -------------------------------------------------------------------------------------------------

    def _read(self, key: str) -> tuple[Activations, list[str], dict[str, str]] | None:
        """A stored extraction, None where there is none; what is damaged is removed."""
        if self.folder is None:
            return None
        for path in sorted(self.folder.glob(f"{key}-*.safetensors")):
            try:
                if path.stem.removeprefix(f"{key}-") != digest(path)[:16]:
                    raise ArtefactError(f"{path.name} is not what was written.")
                arrays, notes = read_arrays(path)
                activations = activations_of(arrays)
                os.utime(path)  # used now: it goes last where room is needed
                return activations, json.loads(notes["digests"]), json.loads(notes["unreadable"])
            except (ArtefactError, InputError, KeyError, ValueError, FileNotFoundError):
                path.unlink(missing_ok=True)
        return None

    def _keep(self, key: str, activations: Activations, digests: list[str], unreadable: dict[str, str]) -> None:
        """Write an extraction; where that fails, the disk is full say, the work goes on and the next one reads anew."""
        if self.folder is None:
            return
        notes = {"digests": json.dumps(digests), "unreadable": json.dumps(unreadable)}
        part = self.folder / f"{secrets.token_hex(8)}.part"
        try:
            self.folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)  # one that is there may be anybody's
            try:
                write_arrays(part, arrays_of(activations), notes)
                part.chmod(PRIVATE_FILE)
                written = part.replace(self.folder / f"{key}-{digest(part)[:16]}.safetensors")
            finally:
                part.unlink(missing_ok=True)
        except (OSError, ArtefactError) as error:
            self.notes = self.notes or [
                f"Activations could not be kept in {self.folder} ({error}); name another folder with "
                f"{FOLDER_VARIABLE}, or give --no-cache."
            ]
        else:
            self._make_room(written)

    def _make_room(self, newest: Path) -> None:
        """Remove the files used longest ago until the rest fits; the newest stays. What others could read is closed."""
        assert self.folder is not None
        files = sorted(self.folder.glob("*-*.safetensors"), key=lambda path: (path == newest, path.stat().st_mtime))
        for path in files:
            with suppress(OSError):  # somebody else's, or removed meanwhile
                path.chmod(PRIVATE_FILE)
        size = sum(path.stat().st_size for path in files)
        for path in files[:-1]:
            if size <= self.limit:
                return
            size -= path.stat().st_size
            path.unlink(missing_ok=True)
