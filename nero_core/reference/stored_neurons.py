"""What a reference keeps of its neurons, read without building its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from nero_core.errors import ArtefactError, InputError
from nero_core.neurons.crops import Concepts
from nero_core.neurons.sample import SHEET_ROLE, NeuronSample, Projection, group_names
from nero_core.records import FloatArray
from nero_core.reference.manifest import MANIFEST_NAME, read_manifest, read_picture, verify_file
from nero_core.storage.files import arrays_under, read_arrays
from nero_core.storage.typed import MOST, Shape, check_arrays

PROJECTION_ARRAYS = {
    "mean_": Annotated[FloatArray, Shape("d")],
    "components_": Annotated[FloatArray, Shape("m", "d")],
    "centroids_": Annotated[FloatArray, Shape("K", "m")],
}
"""Of NERO's, those that are drawn."""


@dataclass(frozen=True, eq=False)
class StoredNeurons:
    """A reference's neurons as they lie on disk; the network is not built.

    Attributes
    ----------
    manifest : dict
    sample : NeuronSample or None
        None in a reference fitted before samples were kept.
    concepts : Concepts or None
        None where the reference carries no pictures of training images.
    projection : Projection or None
        None in a reference without NERO, or of fewer than two principal components.
    """

    manifest: Mapping[str, Any]
    sample: NeuronSample | None
    concepts: Concepts | None
    projection: Projection | None


def read_neurons(folder: Path) -> StoredNeurons:
    """Read and verify what a reference keeps of its neurons; needs no torch.

    Raises
    ------
    ArtefactError
        A file is missing, truncated, swapped, edited or newer: file and field are named.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    files = manifest["files"]

    path = verify_file(folder, "fitted", files)
    arrays, _ = read_arrays(path)

    def read_role(role: str) -> bytes:
        return read_picture(folder, role, files)

    try:
        kept = arrays_under("sample/", arrays)
        sheet = (lambda: read_role(SHEET_ROLE)) if SHEET_ROLE in files else None
        classes = len(manifest["classes"])
        sample = NeuronSample.restore(kept, group_names(manifest), classes, sheet) if kept else None
        crops = arrays_under("concepts/", arrays)
        if crops:  # stages have no names here; their channels belong to other accounts
            features = crops["stages"] < 0
            crops = {key: array[features] for key, array in crops.items()}
        nero = arrays_under("detector/nero/", arrays)
        projection = None
        sizes = {"K": classes} if sample is None else {"K": classes, "d": sample.head.width}
        if nero:
            check_arrays({name: nero[name] for name in PROJECTION_ARRAYS}, PROJECTION_ARRAYS, sizes, " of NERO")
        concepts = Concepts.restore(crops, (), read_role, classes, sizes.get("d", MOST)) if crops else None
        if nero and len(nero["components_"]) >= 2:
            projection = Projection(nero["mean_"], nero["components_"][:2], nero["centroids_"][:, :2])
    except (KeyError, IndexError, TypeError, ValueError, InputError) as error:
        raise ArtefactError(f"{path.name} and {MANIFEST_NAME} disagree ({error}); fit again.") from error
    return StoredNeurons(manifest, sample, concepts, projection)
