"""What the bundled network makes of real capsule frames, kept so that tests have real numbers everywhere: no pixels.

``python -m tests.capsule_frames DATA`` writes the file anew; DATA holds ``id/train`` and ``id/test``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from nero_core import Reference
from nero_core.data.class_folders import list_images
from nero_core.data.near_duplicates import difference_hashes
from nero_core.demo import rendered
from nero_core.storage.files import write_arrays

PLACE = Path(__file__).parent / "fixtures" / "capsule_frames.safetensors"
CLASSES = ("capsule-bleeding", "capsule-normal")
FRAMES = 20
"""Of each class, from ``id/test``."""
ATTRIBUTION = "Statistics of frames of the Auto-WCEBleedGen challenge data, CC BY 4.0: activations, hashes, no pixels."


def frames_of(data: Path) -> list[Path]:
    """The frames whose activations are kept, in order."""
    return [path for name in CLASSES for path in list_images(data / "id" / "test" / name)[:FRAMES]]


def main(data: Path) -> None:
    reference = Reference.load(rendered.BUNDLED)
    activations = reference.classifier.extract(frames_of(data))
    hashes = [difference_hashes(list_images(data / "id" / "train" / name))[0] for name in CLASSES]
    arrays = {
        "features": activations.features,
        "logits": activations.logits,
        "nero": reference.score(activations),
        "hashes": np.concatenate(hashes),
        "labels": np.repeat(np.arange(len(CLASSES)), [len(each) for each in hashes]),
    }
    PLACE.parent.mkdir(exist_ok=True)
    write_arrays(PLACE, arrays, {"attribution": ATTRIBUTION})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
