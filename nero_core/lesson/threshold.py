"""Missed against falsely flagged at every threshold, on the scores that are bundled; and a second camera.

The ordinary images are the test scenes of the reference's stored benchmark: neither the network nor the calibration has
seen them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from PIL import Image
from sklearn.metrics import roc_curve

from nero_core.benchmark.reading import read_results
from nero_core.benchmark.result import BenchmarkResult
from nero_core.calibration import Calibration
from nero_core.calibration.rates import flagged
from nero_core.data import scenes
from nero_core.demo.rendered import BUNDLED, FIRST_SEEDS, FRAME_PIXELS
from nero_core.errors import ArtefactError
from nero_core.records import Activations, Float64Array, IntArray, Progress
from nero_core.reference.reference import Reference
from nero_core.storage.dashboard import dashboard_folder

BUNDLED_BENCHMARK = dashboard_folder() / "assets" / "benchmarks" / BUNDLED.name
SECOND_CAMERA_FRAMES = 30
"""Ordinary scenes, a third of each class, that the second camera takes."""
BATCH = 6
"""Scenes rendered between two signs of progress."""


@dataclass(frozen=True)
class Counts:
    """What a threshold does.

    Attributes
    ----------
    false_alarms, ordinary : int
        Ordinary images that are flagged, and how many there are.
    missed : {set: (missed, images)}
        Of each set of known unusual images.
    """

    false_alarms: int
    ordinary: int
    missed: Mapping[str, tuple[int, int]]

    @property
    def missed_in_all(self) -> int:
        """Unusual images that are not flagged."""
        return sum(missed for missed, _ in self.missed.values())

    @property
    def unusual(self) -> int:
        """How many unusual images there are."""
        return sum(images for _, images in self.missed.values())

    @property
    def point(self) -> tuple[float, float]:
        """Where it stands on the ROC curve: share of ordinary and of unusual images flagged."""
        return self.false_alarms / self.ordinary, 1 - self.missed_in_all / self.unusual


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of one detector on ordinary images and on known unusual ones, with what they are read against.

    Attributes
    ----------
    title : str
        Of the detector.
    calibration : Calibration
    ordinary : (n,), predicted : (n,) int64
        Scores, and the class that the network reads.
    unusual : {set: ((m,), (m,) int64)}
        The same of each set.
    """

    title: str
    calibration: Calibration
    ordinary: Float64Array
    predicted: IntArray
    unusual: Mapping[str, tuple[Float64Array, IntArray]]

    def counts(self, alpha: float) -> Counts:
        """Missed and falsely flagged at this α.

        Raises
        ------
        InputError
            α is too small for the calibration images.
        """
        missed = {
            name: (int((~flagged(self.calibration, alpha, scores, predicted)).sum()), len(scores))
            for name, (scores, predicted) in self.unusual.items()
        }
        false_alarms = int(flagged(self.calibration, alpha, self.ordinary, self.predicted).sum())
        return Counts(false_alarms, len(self.ordinary), missed)

    def roc(self) -> tuple[Float64Array, Float64Array]:
        """Share of ordinary and of unusual images flagged, (s,) each, over every threshold on the p-value."""
        pairs = [(self.ordinary, self.predicted), *self.unusual.values()]
        p = [self.calibration.p_values(scores, predicted) for scores, predicted in pairs]
        truth = np.repeat([0, 1], [len(p[0]), sum(map(len, p[1:]))])
        of_ordinary, of_unusual, _ = roc_curve(truth, -np.concatenate(p), drop_intermediate=False)
        return of_ordinary, of_unusual


def bundled_scores(reference: Reference, detector: str, folder: Path = BUNDLED_BENCHMARK) -> Scored:
    """The bundled scores of one detector of the bundled reference.

    Raises
    ------
    ArtefactError
        They are missing or damaged, or have nothing of this detector.
    """
    result = read_results(folder)
    if detector not in result.scores or result.scores[detector].calibration is None or not result.images:
        raise ArtefactError(f"{folder} has no scores of {detector!r}; run `benchmark` on the bundled reference again.")
    return scored_of(result, reference, detector)


def scored_of(result: BenchmarkResult, reference: Reference, detector: str) -> Scored:
    """The scores of one detector in a benchmark of this reference, read against those of its own calibration images.

    The benchmark fits a detector anew, on fewer images, so that the reference's own scores are another's.
    """
    scores, images = result.scores[detector], result.images
    assert scores.calibration is not None
    rows = slice(None) if scores.calibration_rows is None else scores.calibration_rows
    calibration = Calibration(
        scores.calibration,
        reference.calibrations[detector].guarantee,
        images["calibration"].predicted[rows],
        result.classes,
    )
    unusual = {name: (values, images[f"ood/{name}"].predicted) for name, values in scores.ood.items()}
    title = reference.detector(detector).info.title
    return Scored(title, calibration, scores.id, images["id"].predicted, unusual)


# A second camera ---------------------------------------------------------------------------------------------------


def second_camera(nuisance: scenes.Nuisances) -> scenes.Nuisances:
    """The same frame by other equipment: an older processor, cooler, paler, softer and noisier."""
    red, green, blue = nuisance.gains
    return replace(
        nuisance, gains=(0.82 * red, green, 1.25 * blue), saturation=0.7, contrast=0.95, softness=1.8, noise=10.0,
        mask="octagon", border=0.1, backdrop=28, interlaced=True,
    )  # fmt: skip


def second_camera_scene(number: int) -> Image.Image:
    """An ordinary scene as the second camera shows it; classes take turns."""
    kind, seed = scenes.CLASSES[number % len(scenes.CLASSES)], FIRST_SEEDS["shifted"] + number
    return scenes.render(kind, seed, FRAME_PIXELS, second_camera(scenes.nuisances(kind, seed)))


def second_camera_scenes(count: int = SECOND_CAMERA_FRAMES, progress: Progress | None = None) -> list[Image.Image]:
    """So many ordinary scenes by the second camera, rendered on all cores."""
    found: list[Image.Image] = []
    with Parallel(n_jobs=-1, prefer="threads") as parallel:
        for start in range(0, count, BATCH):
            numbers = range(start, min(start + BATCH, count))
            found += parallel(delayed(second_camera_scene)(number) for number in numbers)
            if progress is not None:
                progress(len(found), count)
    return found


def flagged_of(reference: Reference, detector: str, alpha: float, seen: Activations) -> npt.NDArray[np.bool_]:
    """Which of these images a detector flags, (n,) bool."""
    decisions = reference.decide(seen, detector, alpha)
    return np.array([decision.state == "out-of-distribution" for decision in decisions])
