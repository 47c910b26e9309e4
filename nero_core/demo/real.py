"""The bundled reference of real frames: capsule endoscopy, on a network that starts from ImageNet. No picture is in it.

Its frames are those of the Auto-WCEBleedGen challenge, CC BY 4.0; what is kept is computed from them: weights of a
head, statistics and scores. The attribution that their licence asks for stands on the card and in NOTICE.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from nero_core.data.listing import read_images
from nero_core.data.splits import split_for_fit
from nero_core.demo.rendered import BUNDLED, in_half_precision
from nero_core.errors import InputError
from nero_core.network.packaged import DEFAULT_PRETRAINED
from nero_core.network.training import train
from nero_core.records import Begin, Say
from nero_core.reference.description import Card
from nero_core.reference.fit import fit_reference
from nero_core.reference.reference import Reference
from nero_core.wording import message

CLASSES = ("capsule-bleeding", "capsule-normal")
"""Folders that are read; others of the same data have another licence."""

CARD = Card(
    title="Capsule endoscopy (real frames)",
    image_source=message(
        "Wireless capsule frames of the Auto-WCEBleedGen challenge, bleeding and normal. Changed: weights, "
        "statistics and scores computed from them are here, and no picture."
    ),
    licence=message("CC BY 4.0, as stated with the frames"),
    intended_use=message(
        "Trying the dashboard on real frames, and a start for capsule frames of your own: calibrate it with "
        "ordinary frames of your own device first. It knows frames with and without bleeding from these capsules and "
        "nothing else."
    ),
    known_failures=message(
        "Colonoscopy, gastroscopy and capsules of other makers are unusual to it whatever they show. It "
        "does not find bleeding: both classes are usual to it. Its calibration frames come from the videos of one "
        "challenge; for other frames its share of false alarms is not promised."
    ),
)


FAITHFULNESS_IMAGES = 24
"""Of the calibration frames, a fifth."""

BUNDLED_REAL = BUNDLED.parent / "capsule"
"""Where the committed reference lies."""


def fit_real(data: Path, begin: Begin, say: Say, device: str = "cpu") -> Reference:
    """Fit a head to the capsule frames, round all weights to half precision, and fit the reference; nothing is written.

    Parameters
    ----------
    data : Path
        ``id/train`` and ``id/test`` in it have the folders of `CLASSES`; the first train, the second calibrate.

    Raises
    ------
    InputError
        A folder is missing, or the images cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="nero-real-") as temporary:
        frames = _chosen(data / "id" / "train", Path(temporary) / "train")
        trained = train(
            frames,
            DEFAULT_PRETRAINED,
            Path(temporary) / "capsule.safetensors",
            pretrained=True,
            frozen=True,
            begin=begin,
            say=say,
            device=device,
        ).classifier
        classifier = in_half_precision(trained, device)
        images, ordinary = (
            read_images(folder, classifier.classes)
            for folder in (frames, _chosen(data / "id" / "test", Path(temporary) / "test"))
        )
        split = split_for_fit(classifier.training, images, ordinary, False, begin("Looking at every image"))
        return fit_reference(classifier, split, CARD, crops=False, faithfulness=FAITHFULNESS_IMAGES, begin=begin)


def _chosen(source: Path, folder: Path) -> Path:
    """A folder with links to the class folders that are read."""
    folder.mkdir()
    for name in CLASSES:
        if not (source / name).is_dir():
            raise InputError(f"No folder {source / name}; wanted capsule frames in {' and '.join(CLASSES)}.")
        (folder / name).symlink_to((source / name).resolve(), target_is_directory=True)
    return folder
