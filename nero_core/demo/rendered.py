"""The bundled reference: rendered scenes, a network trained on them, and everything that is fitted to both.

Its scenes come from :mod:`nero_core.data.scenes` and its title says so. Seeds are the split: no two parts share one.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from joblib import Parallel, delayed
from PIL import Image

from nero_core.data import scenes
from nero_core.data.class_folders import list_images, read_class_folders
from nero_core.data.images import read_image
from nero_core.data.seen import Seen, looked_at
from nero_core.data.splits import Split, to_calibrate
from nero_core.demo.examples import EXAMPLES_INDEX, Example
from nero_core.errors import ArtefactError, InputError
from nero_core.network.classifier import Classifier
from nero_core.network.training import train
from nero_core.records import Begin, Say
from nero_core.reference.description import Card
from nero_core.reference.fit import fit_reference
from nero_core.reference.manifest import read_manifest, verify_file
from nero_core.reference.reference import Reference
from nero_core.storage.dashboard import dashboard_folder
from nero_core.storage.files import write_bytes
from nero_core.wording import message

BUNDLED = dashboard_folder() / "assets" / "references" / "demo"
"""Where the committed reference lies."""

ARCHITECTURE = "resnet18"
EPOCHS = 10
CALIBRATION_SHARE, TEST_SHARE = 0.02, 0.08
"""Set aside of the training scenes; calibration and test have scenes of their own, so that little need be."""
FRAME_PIXELS = 320
CROP_PIXELS = 64
"""Smaller than a user's own: the pictures are committed."""
FAITHFULNESS_IMAGES = 60
"""A tenth of the calibration scenes."""

CARD = Card(
    title="Rendered endoscopy (synthetic demo)",
    image_source=message("Rendered by this program; no photograph of a patient is in it."),
    licence="Apache-2.0",
    synthetic=True,
    intended_use=message(
        "Teaching, and trying the dashboard without data of one's own. It knows nothing of real endoscopy: real frames "
        "are unusual to it whatever they show."
    ),
    known_failures=message("Accuracies and AUROCs on rendered scenes say nothing about real images."),
)


@dataclass(frozen=True)
class SceneCounts:
    """How many scenes of each class, and of each out-of-distribution kind, are rendered."""

    train: int = 600
    calibration: int = 200
    test: int = 100
    ood: int = 40


FIRST_SEEDS = {"train": 0, "calibration": 1_000_000, "test": 2_000_000, "ood": 3_000_000, "examples": 4_000_000,
               "lesson": 5_000_000, "shifted": 6_000_000}  # fmt: skip
"""Each part of the scenes draws from a million seeds of its own."""


EXAMPLE_SEEDS: Mapping[str, int] = {
    "pylorus": 1,
    "z-line": 1,
    "cecum": 2,
    "polyp": 0,
    "ulcer": 0,
    "blood": 7,
    "dyed-lifted": 7,
    "instrument": 1,
    "overlay-text": 2,
    "inset-picture": 1,
    "colour-cast": 2,
    "not-endoscopy": 1,
}
"""Chosen to show flagged and missed ones: how often each happens is for the model card's AUROC per kind to say."""


def write_scenes(folder: Path, kinds: Sequence[str], part: str, count: int, begin: Begin) -> Path:
    """Render `count` scenes of each kind into class folders, on all cores; returns the folder."""
    jobs: list[tuple[Path, str, int, int]] = []
    for kind in kinds:
        (folder / kind).mkdir(parents=True)
        seeds = range(FIRST_SEEDS[part], FIRST_SEEDS[part] + count)
        jobs += [(folder / kind / f"{seed}.png", kind, seed, FRAME_PIXELS) for seed in seeds]
    progress = begin(f"Rendering {part} scenes")
    rendered = Parallel(n_jobs=-1, return_as="generator")(delayed(scenes.render_to)(*job) for job in jobs)
    for done, _ in enumerate(rendered, start=1):
        progress(done, len(jobs))
    return folder


def bundled_classifier(folder: Path = BUNDLED) -> Classifier:
    """The committed network.

    Raises
    ------
    ArtefactError
        This installation carries none, or it is damaged.
    """
    if not folder.is_dir():
        raise ArtefactError(
            f"The bundled network is not at {folder}: it comes with the dashboard. Use --retrain to train it anew."
        )
    return Classifier.load(verify_file(folder, "classifier", read_manifest(folder)["files"]))


def train_demo(out: Path, counts: SceneCounts, begin: Begin, say: Say, device: str = "cpu") -> Classifier:
    """Train the network on rendered scenes, and round its weights to half precision before anything is fitted."""
    with tempfile.TemporaryDirectory(prefix="nero-scenes-") as folder:
        data = write_scenes(Path(folder) / "train", scenes.CLASSES, "train", counts.train, begin)
        trained = train(
            data,
            ARCHITECTURE,
            out,
            epochs=EPOCHS,
            calibration_share=CALIBRATION_SHARE,
            test_share=TEST_SHARE,
            begin=begin,
            say=say,
            device=device,
        ).classifier
    return in_half_precision(trained, device)


def in_half_precision(trained: Classifier, device: str = "cpu") -> Classifier:
    """The same with weights rounded to half precision, before anything is fitted to it."""
    network = trained.private_copy().half().float()
    return Classifier(network, trained.architecture, trained.classes, trained.preprocessing, trained.training, device)


def fit_demo(
    classifier: Classifier,
    counts: SceneCounts,
    begin: Begin,
    keep: Path | None = None,
    faithfulness: int = FAITHFULNESS_IMAGES,
) -> Reference:
    """Render the scenes and fit, calibrate and describe the reference.

    Parameters
    ----------
    keep : Path, optional
        Leave the scenes in this new folder: ``train``, ``calibration``, ``test`` and ``ood``, each of class folders.
    faithfulness : int
        On how many calibration scenes to measure whether heatmaps are true.

    Raises
    ------
    InputError
        `keep` exists and is not an empty folder.
    """
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise InputError(f"{keep} is there already; name a folder that is not, for the scenes.")
    with nullcontext(keep) if keep is not None else tempfile.TemporaryDirectory(prefix="nero-scenes-") as folder:
        folders = {
            part: write_scenes(Path(folder) / part, scenes.CLASSES, part, count, begin)
            for part, count in asdict(counts).items()
            if part != "ood"
        }
        strange = write_scenes(Path(folder) / "ood", scenes.OOD_KINDS, "ood", counts.ood, begin)
        images = {part: read_class_folders(folder, classifier.classes) for part, folder in folders.items()}
        hashes = looked_at(list(images.values()), None, begin("Looking at every scene"))
        calibration, guarantee = to_calibrate(
            classifier.training,
            images["calibration"],
            Seen.of(None, images["train"], hashes),  # the same scenes as the network was trained on
            hashes,
            message("rendered from seeds of their own"),
        )
        split = Split(images["train"], calibration, images["test"], guarantee, hashes)
        return fit_reference(
            classifier,
            split,
            CARD,
            ood={kind: list_images(strange / kind) for kind in scenes.OOD_KINDS},
            crop_pixels=CROP_PIXELS,
            faithfulness=faithfulness,
            begin=begin,
        )


def example_scene(kind: str) -> Image.Image:
    """The example picture of a kind, rendered."""
    return scenes.render(kind, FIRST_SEEDS["examples"] + EXAMPLE_SEEDS[kind], FRAME_PIXELS)


def write_examples(reference: Reference, folder: Path) -> list[Example]:
    """Render the example pictures, with their scores under the reference, and an index of both."""
    folder.mkdir(parents=True, exist_ok=True)
    examples = []
    for kind in EXAMPLE_SEEDS:
        path = folder / f"{kind}.png"
        example_scene(kind).save(path, optimize=True)
        [decision] = reference.decide(reference.classifier.extract([read_image(path)]))
        examples.append(Example(path.name, kind, kind in reference.classes, decision.score, decision.state))
    origin = CARD.image_source
    index: Mapping[str, object] = {"origin": origin, "licence": CARD.licence, "examples": [asdict(e) for e in examples]}
    write_bytes(folder / EXAMPLES_INDEX, json.dumps(index, indent=1).encode())
    return examples
