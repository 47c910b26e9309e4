"""What many tests share: real frames where they are at hand, and one tiny reference made from coloured noise."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Workers run side by side; more threads than cores would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

# The same examples on every run, and no deadline: a busy machine is not a defect.
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("steady")

COLOURS = {"amber": (200, 140, 60), "moss": (90, 150, 70), "slate": (90, 110, 160)}
"""Classes of the tiny reference and the mean colour of their pictures."""


def coloured_noise(colour, seed, size=(48, 40)):
    """A small textured picture around one colour."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 40, (size[1] // 8 + 1, size[0] // 8 + 1, 3)).repeat(8, 0).repeat(8, 1)[: size[1], : size[0]]
    return Image.fromarray(np.clip(np.array(colour) + coarse, 0, 255).astype(np.uint8))


def write_class_folders(folder, per_class, seed=0):
    """Class folders of coloured noise, PNG; returns the folder."""
    for number, (name, colour) in enumerate(COLOURS.items()):
        (folder / name).mkdir(parents=True)
        for i in range(per_class):
            coloured_noise(colour, (seed, number, i)).save(folder / name / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="session")
def class_folders(tmp_path_factory):
    """Three classes of 24 small pictures."""
    return write_class_folders(tmp_path_factory.mktemp("data") / "id", 24)


@pytest.fixture(scope="session")
def strange_folder(tmp_path_factory):
    """Five pictures unlike the three classes."""
    folder = tmp_path_factory.mktemp("data") / "strange"
    folder.mkdir()
    for i in range(5):
        coloured_noise((240, 20, 230), (9, i)).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def tiny_reference(tmp_path_factory, class_folders, strange_folder):
    """Path of a reference: ResNet-18 with random weights at 64 px, 36 fitting and 36 calibration pictures."""
    from nero_core.data.class_folders import list_images, read_class_folders
    from nero_core.data.preprocessing import Preprocessing
    from nero_core.data.splits import split_for_fit
    from nero_core.network.classifier import Classifier, build_classifier
    from nero_core.records import TrainingRecord
    from nero_core.reference.description import Card
    from nero_core.reference.fit import fit_reference

    images = read_class_folders(class_folders)
    record = TrainingRecord(frozenset(images.digests[::2]), frozenset(images.digests[1::2]), frozenset(), {"epochs": 0})
    preprocessing = Preprocessing(height=64, width=64)
    network = build_classifier("resnet18", images.classes, seed=0, preprocessing=preprocessing).network
    classifier = Classifier(network, "resnet18", images.classes, preprocessing, record)
    reference = fit_reference(
        classifier,
        split_for_fit(classifier.training, images),
        Card("Coloured noise", image_source="made by the tests", licence="Apache-2.0", synthetic=True),
        detectors={"nero": {}, "stage_mahalanobis": {}, "msp": {}},
        ood={"strange": list_images(strange_folder)},
    )
    folder = tmp_path_factory.mktemp("references") / "coloured-noise"
    reference.save(folder)
    return folder


ROOM = 2**30
"""Bytes that a test with `little_memory` may take."""


@pytest.fixture
def little_memory():
    """At most a gigabyte more than this process has now; a copy of a billion numbers does not fit."""
    resource = pytest.importorskip("resource", reason="limits of a process are POSIX")
    if not sys.platform.startswith("linux"):
        pytest.skip("the data limit counts mapped memory on Linux alone")
    before = resource.getrlimit(resource.RLIMIT_DATA)
    lines = Path("/proc/self/status").read_text().splitlines()
    now = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (now + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@pytest.fixture(scope="session")
def gi_real():
    """The folder of real endoscopy frames; skips where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data" / "gi-real"
    folder = Path(os.environ.get("NERO_GI_REAL", default))
    if not (folder / "id" / "train").is_dir():
        pytest.skip("no real frames here: set NERO_GI_REAL to the folder that holds id/ and ood/")
    return folder
