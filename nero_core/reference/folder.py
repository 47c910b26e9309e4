"""A reference as it lies on disk: its manifest at once, every other file verified and read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy.typing as npt

from nero_core.errors import ArtefactError, InputError, NeroError
from nero_core.neurons.crops import Concepts
from nero_core.neurons.sample import SHEET_ROLE, TRAINED_ROLE, NeuronSample, Projection, group_names
from nero_core.records import Float64Array, FloatArray, IntArray, RelevanceProfile
from nero_core.reference.manifest import MANIFEST_NAME, read_manifest, read_picture, verify_file
from nero_core.reference.panel_card import PANEL
from nero_core.storage.files import arrays_under, read_arrays
from nero_core.storage.typed import MOST, Shape, check_arrays

if TYPE_CHECKING:
    from nero_core.calibration import Calibration
    from nero_core.data.seen import SeenImages
    from nero_core.detectors import Detector
    from nero_core.network.classifier import Classifier

DEFAULT_DETECTOR = "nero"
DAMAGE = (
    *(LookupError, TypeError, ValueError, AttributeError),
    *(ArithmeticError, AssertionError, RuntimeError, MemoryError),
)
"""What the libraries raise on a network that is none; no error of the machine's is among them but want of memory."""
PROJECTION_ARRAYS = {
    "mean_": Annotated[FloatArray, Shape("d")],
    "components_": Annotated[FloatArray, Shape("m", "d")],
    "centroids_": Annotated[FloatArray, Shape("K", "m")],
}
"""Of NERO's, those that are drawn."""


class ReferenceFolder:
    """The parts of a stored reference. Only `classifier` and what follows from it load torch.

    Parameters
    ----------
    path : Path
    device : str

    Raises
    ------
    ArtefactError
        The manifest, or a file that is asked for later, is missing, truncated, swapped, edited or newer, or holds what
        cannot be: file and field are named.
    """

    manifest: dict[str, Any]
    path: Path | None
    _place: Path | None = None
    """Where the files lie; None where nothing lies on disk."""

    def __init__(self, path: Path, device: str = "cpu") -> None:
        self.path, self.device, self._place = path, device, path
        self.manifest = read_manifest(path)
        self._verified: dict[str, Path] = {}

    def file(self, role: str) -> Path:
        """A file by what it is for, verified once.

        Raises
        ------
        InputError
            The reference was made in memory and has no such part.
        """
        if self._place is None:
            raise InputError("This reference was made in memory and has no such part; save it, and open it again.")
        if role not in self._verified:
            self._verified[role] = verify_file(self._place, role, self.manifest["files"])
        return self._verified[role]

    def verify(self) -> None:
        """Verify every file that the manifest lists."""
        for role in dict.fromkeys(("classifier", "fitted", *self.manifest["files"])):
            self.file(role)

    def picture(self, role: str) -> bytes:
        """A sheet of pictures."""
        return read_picture(self.file("fitted").parent, role, self.manifest["files"])

    @cached_property
    def arrays(self) -> Mapping[str, npt.NDArray[Any]]:
        """Everything that was fitted, by name."""
        return read_arrays(self.file("fitted"))[0]

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with _naming(f"{self.file('fitted').name} and {MANIFEST_NAME} disagree"):
            yield

    # What needs no network -----------------------------------------------------------------------------------

    @cached_property
    def sample(self) -> NeuronSample | None:
        """Neurons of held-out images; None where it was fitted before samples were kept."""
        with self._reading():
            if not (kept := arrays_under("sample/", self.arrays)):
                return None
            sheet, trained = (
                partial(self.picture, role) if role in self.manifest["files"] else None
                for role in (SHEET_ROLE, TRAINED_ROLE)
            )
            calibrates = self.manifest.get("sample", {}).get("calibrates", True)
            names, classes = group_names(self.manifest), len(self.manifest["classes"])
            return NeuronSample.restore(kept, names, classes, sheet, trained, calibrates)

    @cached_property
    def feature_concepts(self) -> Concepts | None:
        """Reference images of the last layer's neurons; those of stages, whose names the network knows, left out."""
        with self._reading():
            crops = arrays_under("concepts/", self.arrays)
            if not crops:
                return None
            features = crops["stages"] < 0
            kept = {key: array[features] for key, array in crops.items()}
            width = MOST if self.sample is None else self.sample.head.width
            return Concepts.restore(kept, (), self.picture, len(self.manifest["classes"]), width)

    @cached_property
    def projection(self) -> Projection | None:
        """Relevance in two dimensions; None without NERO, or with fewer than two principal components."""
        with self._reading():
            if not (nero := arrays_under("detector/nero/", self.arrays)):
                return None
            sizes = {"K": len(self.manifest["classes"])}
            sizes |= {} if self.sample is None else {"d": self.sample.head.width}
            check_arrays({name: nero[name] for name in PROJECTION_ARRAYS}, PROJECTION_ARRAYS, sizes, " of NERO")
            if len(nero["components_"]) < 2:
                return None
            return Projection(nero["mean_"], nero["components_"][:2], nero["centroids_"][:, :2])

    @cached_property
    def seen(self) -> SeenImages | None:
        """How the images look that it was made from; None in older references."""
        from nero_core.reference.agreement import restore_seen

        with self._reading():
            return restore_seen(arrays_under("seen/", self.arrays))

    # What needs the network ----------------------------------------------------------------------------------

    @cached_property
    def classifier(self) -> Classifier:
        """The network with its record."""
        from nero_core.network.classifier import Classifier

        path = self.file("classifier")
        with _naming(path.name):
            return Classifier.load(path, self.device)

    @cached_property
    def detectors(self) -> dict[str, Detector]:
        """{name: fitted detector}, as far as they are installed here, in the order in which they are offered."""
        from nero_core.reference.agreement import restore_detectors

        head = self.classifier.head
        with self._reading():
            return in_order(restore_detectors(self.manifest, self.arrays, head))

    @cached_property
    def calibrations(self) -> dict[str, Calibration]:
        """{name: Calibration}, one per detector."""
        from nero_core.reference.agreement import restore_calibrations

        with self._reading():
            return restore_calibrations(self.manifest, self.detectors, self.arrays)

    @cached_property
    def ood_scores(self) -> dict[str, dict[str, Float64Array]]:
        """{detector: {set: (n,) scores}} of known out-of-distribution images; may be empty."""
        from nero_core.reference.agreement import restore_ood_scores

        with self._reading():
            return restore_ood_scores(self.manifest, self.detectors, self.arrays)

    @cached_property
    def ood_predicted(self) -> dict[str, IntArray]:
        """The class that each known out-of-distribution image is read as, by set; none in older references."""
        from nero_core.reference.agreement import restore_ood_predicted

        with self._reading():
            return restore_ood_predicted(self.manifest, self.arrays)

    @cached_property
    def profile(self) -> RelevanceProfile | None:
        """Mean relevance of held-out and of known out-of-distribution images."""
        from nero_core.reference.agreement import restore_profile

        with self._reading():
            return restore_profile(arrays_under("profile/", self.arrays), self.classifier.head)

    @cached_property
    def concepts(self) -> Concepts | None:
        """Reference images of neurons and of stages' channels; None without pictures."""
        with self._reading():
            if not (shown := arrays_under("concepts/", self.arrays)):
                return None
            head, stages = self.classifier.head, self.classifier.layout.stages
            return Concepts.restore(shown, stages, self.picture, head.classes, head.width)


def in_order(detectors: Mapping[str, Detector]) -> dict[str, Detector]:
    """The panel first, then NERO, those with an exact account, and the others, each by name."""
    from nero_core.detectors import ExplainedDetector

    def rank(name: str) -> tuple[bool, bool, bool, str]:
        return name != PANEL, name != DEFAULT_DETECTOR, not isinstance(detectors[name], ExplainedDetector), name

    return {name: detectors[name] for name in sorted(detectors, key=rank)}


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Whatever goes wrong with a file as one kind of error, which names it."""
    try:
        yield
    except ArtefactError as error:
        raise (
            error if what in str(error) else ArtefactError(f"{what} ({str(error).rstrip('.')}); fit again.")
        ) from error
    except (NeroError, *DAMAGE) as error:
        said = str(error).rstrip(".") if isinstance(error, NeroError) else repr(error)
        raise ArtefactError(f"{what} ({said}); fit again.") from error
