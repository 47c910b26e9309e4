"""What detectors on places find, and what they cost: ``python -m benchmarks.places DATA [--seed N]``.

DATA has ``id/train`` and ``id/test`` with a folder of images per class, and ``ood/NAME``. A frozen ImageNet network,
trained and fitted on ``id/train`` as the README says. The figures are reported, and nothing is chosen by them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.measure import Row, table
from nero_core.data.class_folders import list_images
from nero_core.data.listing import read_images
from nero_core.detectors import OnPlaces, make_detector
from nero_core.detectors.network_passes.base import Opened
from nero_core.metrics import point_metrics
from nero_core.network.packaged import DEFAULT_PRETRAINED
from nero_core.network.training import train
from nero_core.records import Activations

NAMES = ("patch_knn", "patch_gaussian", "pseudo_lesion")
TIMED = 32
"""Images of `id/test` that are timed."""


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    """AUROC and FPR of each, seconds of its fit and of its scores in passes through the network at its own size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        classifier = train(
            options.data / "id" / "train",
            DEFAULT_PRETRAINED,
            Path(temporary) / "a.safetensors",
            seed=options.seed,
            pretrained=True,
            frozen=True,
        ).classifier
    record = classifier.training
    assert record is not None
    learnt, tested = read_images(options.data / "id" / "train"), read_images(options.data / "id" / "test")
    frames = classifier.extract(learnt.paths, learnt.labels, keep_source=True)
    fit = frames[np.flatnonzero([key in record.train for key in learnt.digests])]
    usual = classifier.extract(tested.paths, tested.labels, keep_source=True)
    unknown = [path for folder in sorted((options.data / "ood").iterdir()) for path in list_images(folder)]
    strange = classifier.extract(unknown, keep_source=True)
    rows = []
    for name in NAMES:
        detector = make_detector(name)
        assert isinstance(detector, OnPlaces)
        start = time.perf_counter()
        detector.fit(fit, classifier.head)
        fitting = time.perf_counter() - start
        found = point_metrics(detector.score(usual), detector.score(strange))
        reached = f"{100 * found['auroc']:.1f} / {100 * found['fpr_ood_at_95_id_tpr']:.1f}"
        rows.append(Row(f"{detector.info.title}: {len(strange)} OOD images", "85 / 55", reached, "AUROC / FPR"))
        rows += costs(detector, usual[np.arange(TIMED)], fitting, len(fit))
    print(table(rows))
    return rows


def costs(detector: OnPlaces, batch: Activations, fitting: float, images: int) -> list[Row]:
    """Its fit and its scores in bare passes at its own input size, and the size of what it keeps."""
    bare = bare_pass(detector, batch)
    start = time.perf_counter()
    detector.score(batch)
    scoring = (time.perf_counter() - start) / len(batch)
    kept = sum(array.nbytes for array in detector.fitted_arrays().values()) / 2**20
    title = detector.info.title
    return [
        Row(
            f"{title}: scores of {len(batch)} images", "1.5 passes", f"{scoring / bare:.2f} passes", "read and decoded"
        ),
        Row(
            f"{title}: fit of {images} images", "3 passes", f"{fitting / images / bare:.2f} passes", "read and decoded"
        ),
        Row(f"{title}: kept", "200 MB", f"{kept:.1f} MB", ""),
    ]


def bare_pass(detector: OnPlaces, batch: Activations) -> float:
    """Seconds in which an image is read, decoded and passed through the network at the detector's own size."""
    import torch

    source = batch.source
    assert source is not None
    opened = Opened(source, ())
    start = time.perf_counter()
    for picture in source.pictures():
        opened.run(torch.from_numpy(source.prepared(picture, detector.scale))[None])
    return (time.perf_counter() - start) / len(batch)


if __name__ == "__main__":
    main()
