"""What is to be compared on what, from the command line and the Benchmark page alike."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nero_core.benchmark.published import published_beside
from nero_core.benchmark.result import BenchmarkResult
from nero_core.data.guarantee import DEFAULT_ALPHA
from nero_core.data.protocols.arrange import OOD, TEST, TRAIN, arranged_protocol
from nero_core.data.protocols.protocol import FOLDERS, named_protocol
from nero_core.errors import InputError

if TYPE_CHECKING:
    from nero_core.benchmark.division import Division
    from nero_core.benchmark.loop import Benchmark
    from nero_core.records import Progress
    from nero_core.reference.reference import Reference

DEFAULT_OUT = Path("benchmark-results")
"""Where a run that was kept nowhere is written when its command is typed."""


@dataclass(frozen=True)
class Plan:
    """One benchmark to run.

    Attributes
    ----------
    reference, id : Path
        `id` may be a folder that `arrange` wrote, which holds training, test and OOD images.
    ood : {name: Path}
    train, calibration : Path or None
        Class folders that were trained on, and unseen ID images, where they are not in `id`.
    detectors : names
        Registry names, or "all".
    ablate : names
        Detectors to take apart: nero, or none.
    protocol : str or None
        Whose published figures stand beside these.
    alpha : float
    seed : int
        Of the intervals.
    group : str or None
        What keeps images together; see :func:`~nero_core.data.listing.read_images`. Intervals then resample groups.
    out : Path or None
        Where results are written and kept; None keeps nothing.
    """

    reference: Path
    id: Path
    ood: Mapping[str, Path] = field(default_factory=dict)
    train: Path | None = None
    calibration: Path | None = None
    detectors: tuple[str, ...] = ("all",)
    ablate: tuple[str, ...] = ()
    protocol: str | None = None
    alpha: float = DEFAULT_ALPHA
    seed: int = 0
    group: str | None = None
    out: Path | None = None

    def command(self) -> str:
        """The line that gives the same figures."""
        words = ["python", "-m", "nero_core", "benchmark", str(self.reference), "--id", str(self.id)]
        for name, folder in self.ood.items():
            words += ["--ood", f"{name}={folder}"]
        given = {"train": self.train, "calibration": self.calibration, "protocol": self.protocol, "group": self.group}
        for flag, value in given.items():
            words += [f"--{flag}", str(value)] if value is not None else []
        words += ["--detectors", *self.detectors] + (["--ablate", *self.ablate] if self.ablate else [])
        words += ["--alpha", f"{self.alpha:g}", "--seed", str(self.seed), "--out", str(self.out or DEFAULT_OUT)]
        return shlex.join(words)

    def settled(self) -> Plan:
        """The same with its names checked and, where `id` was arranged, the folders that are in it.

        Raises
        ------
        UnknownDetectorError
            No detector has a name that is asked for.
        InputError
            A protocol is not known, there is no OOD folder, or `id` was arranged for another protocol or holds what is
            given besides.
        ArtefactError
            The record of what `id` was arranged for is damaged.
        """
        from nero_core.detectors import make_detector

        for name in self.detectors:
            if name != "all":
                make_detector(name)
        if self.protocol not in (None, FOLDERS):
            named_protocol(str(self.protocol))
        arranged = arranged_protocol(self.id)
        if arranged is None:
            if not self.ood:
                raise InputError(
                    "There is no OOD image; give at least one folder of them as NAME=FOLDER (--ood), such as "
                    "polyp=images/polyp."
                )
            return self
        if self.protocol not in (None, arranged):
            raise InputError(f"{self.id} was arranged for {arranged}, not for {self.protocol}; name that one.")
        if self.ood or self.train:
            raise InputError(f"{self.id} holds its training and OOD images; leave out others (--train, --ood).")
        ood = {path.name: path for path in sorted((self.id / OOD).iterdir()) if path.is_dir()}
        return replace(self, id=self.id / TEST, train=self.id / TRAIN, ood=ood, protocol=arranged)

    def divide(self, reference: Reference, progress: Progress | None = None) -> Division:
        """Which images fit, calibrate and are scored; for a settled plan.

        Raises
        ------
        InputError
            A folder is not there, or its images cannot be what they were given as.
        """
        from nero_core.benchmark.division import divide
        from nero_core.data.image_set import ImageSet
        from nero_core.data.listing import read_files, read_images, read_in_distribution

        classes, group = reference.classifier.classes, self.group
        ood = {name: read_files(folder, group) for name, folder in self.ood.items()}
        train = None if self.train is None else ImageSet.of(read_images(self.train, classes, group, progress))
        held_out = None
        if self.calibration is not None:
            held_out = read_in_distribution(self.calibration, classes, group, progress)
        id_images = read_in_distribution(self.id, classes, group, progress)
        return divide(reference.classifier, id_images, ood, train, held_out, progress, reference)

    def benchmark(self, reference: Reference, division: Division, cache_folder: Path | None) -> Benchmark:
        """The benchmark, ready to run; finished detectors are kept in `out`."""
        from nero_core.benchmark.line_up import contenders
        from nero_core.benchmark.loop import Benchmark

        classifier = reference.classifier
        trained_on = None if division.fit is None else division.fit.digest
        rows = contenders(self.detectors, reference, trained_on, classifier.head.width, self.ablate)
        return Benchmark(
            reference.title,
            classifier,
            division,
            rows,
            self.out,
            cache_folder,
            settings=replace(reference.calibration_settings, alpha=self.alpha),
            seed=self.seed,
        )

    def completed(self, result: BenchmarkResult) -> BenchmarkResult:
        """A result of this plan with its command, and the protocol's figures beside its own."""
        provenance = {**result.provenance, "command": self.command()}
        beside = published_beside(self.protocol or arranged_protocol(self.id), result)
        return replace(result, provenance=provenance, published=beside)
