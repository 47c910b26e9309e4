"""Finished detectors on disk, from which a run into the same folder goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np

import nero_core
from nero_core.benchmark.line_up import Contender
from nero_core.benchmark.result import Scores
from nero_core.data.guarantee import CalibrationSettings
from nero_core.data.image_set import ImageSet
from nero_core.errors import ArtefactError
from nero_core.storage.files import digest, make_folder, read_arrays, write_arrays

KEPT_FOLDER = "detectors"
"""Sub-folder of a benchmark's folder with one file per finished detector."""


class KeptScores:
    """Scores of finished detectors, each with what they depend on: images, network, parameters and code.

    Parameters
    ----------
    folder : Path or None
        Of the benchmark; None keeps nothing.
    network : str
        Digest of everything that activations depend on.
    sets : {name: ImageSet}
    settings : CalibrationSettings
        Of the benchmark: scores of a detector that ranks among all calibration images depend on them.
    """

    def __init__(
        self, folder: Path | None, network: str, sets: Mapping[str, ImageSet], settings: CalibrationSettings
    ) -> None:
        self.folder = None if folder is None else folder / KEPT_FOLDER
        self._settings = asdict(settings)
        # Detectors learn from labels too, and which of the calibration images they learn from depends on groups.
        self._described = [
            network,
            {
                name: [images.digests, None if images.labels is None else images.labels.tolist(), images.groups]
                for name, images in sets.items()
            },
        ]

    def read(self, contender: Contender, ood: Sequence[str]) -> tuple[Scores, tuple[float, float]] | None:
        """Its scores and the seconds that fitting and scoring took; None where nothing, or something else, was kept."""
        if self.folder is None or not (path := self._path(self.folder, contender)).is_file():
            return None
        try:
            arrays, notes = read_arrays(path)
        except ArtefactError:  # damaged: it is computed again
            return None
        if notes.get("key") != self._key(contender):
            return None
        fit_seconds, score_seconds = json.loads(notes["seconds"])
        return Scores.of_arrays(arrays, ood), (fit_seconds, score_seconds)

    def write(self, contender: Contender, scores: Scores, seconds: tuple[float, float]) -> None:
        """Keep them.

        Raises
        ------
        ArtefactError
            The folder cannot be written.
        """
        if self.folder is None:
            return
        make_folder(self.folder)
        notes = {"key": self._key(contender), "seconds": json.dumps(seconds)}
        write_arrays(self._path(self.folder, contender), scores.arrays(), notes)

    @staticmethod
    def _path(folder: Path, contender: Contender) -> Path:
        return folder / f"{contender.name}.safetensors"

    def _key(self, contender: Contender) -> str:
        described = [contender.name, contender.detector.parameters(), *self._described, _code_digest()]
        if "pool" in contender.detector.info.needs:
            described.append(self._settings)
        learnt = b""
        if contender.calibration is not None:
            arrays = {**contender.detector.fitted_arrays(), "calibration": contender.calibration.scores}
            learnt = b"".join(name.encode() + np.ascontiguousarray(a).tobytes() for name, a in sorted(arrays.items()))
        return digest(json.dumps(described, sort_keys=True, default=str).encode() + learnt)


@cache
def _code_digest() -> str:
    """One digest of this package's source: scores that older code gave are not mixed with new ones."""
    root = Path(nero_core.__file__).parent
    return digest("".join(digest(path) for path in sorted(root.rglob("*.py"))).encode())
