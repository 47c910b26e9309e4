"""What a frozen ImageNet network is worth on real frames: ``python -m benchmarks.pretrained DATA [--leave-one-out]``.

DATA has ``id/train`` and ``id/test`` with a folder of images per class, and ``ood/NAME``. Trained and fitted on
``id/train`` as the README says; with --leave-one-out every class of ``id`` in turn is what is unknown. The figures are
reported, and nothing is chosen by them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.measure import Row, table
from nero_core.data.class_folders import list_images
from nero_core.data.listing import read_images
from nero_core.detectors import DETECTORS, make_detector
from nero_core.metrics import point_metrics
from nero_core.network.classifier import Classifier
from nero_core.network.packaged import DEFAULT_PRETRAINED
from nero_core.network.training import train
from nero_core.records import Activations

DETECTORS_SHOWN = ("panel", "stage_mahalanobis", "stage_knn", "knn", "mahalanobis_pp", "vim", "nero", "energy", "msp")


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    """All rows for one folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--arch", default=DEFAULT_PRETRAINED)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--leave-one-out", action="store_true")
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    for known, unknown in cases(options.data, options.leave_one_out):
        rows += study(options.data, known, unknown, options.arch, options.seed)
    print(table(rows))
    return rows


def cases(data: Path, leave_one_out: bool) -> Iterator[tuple[list[str], dict[str, list[Path]]]]:
    """The classes that are known, and the images of what is not, by name."""
    classes = sorted(folder.name for folder in (data / "id" / "train").iterdir() if folder.is_dir())
    if not leave_one_out:
        sets = {folder.name: list_images(folder) for folder in sorted((data / "ood").iterdir()) if folder.is_dir()}
        yield classes, sets | {"all of them": [path for paths in sets.values() for path in paths]}
        return
    for left_out in classes:
        unknown = list_images(data / "id" / "test" / left_out)
        yield [name for name in classes if name != left_out], {f"{left_out}, left out": unknown}


def study(data: Path, known: list[str], unknown: dict[str, list[Path]], architecture: str, seed: int) -> list[Row]:
    """Train, fit and score once."""
    with tempfile.TemporaryDirectory() as temporary:
        folders = {part: Path(temporary) / part for part in ("train", "test")}
        for part, folder in folders.items():
            folder.mkdir()
            for name in known:
                (folder / name).symlink_to((data / "id" / part / name).resolve(), target_is_directory=True)
        start = time.perf_counter()
        classifier = train(
            folders["train"], architecture, Path(temporary) / "a.safetensors", seed=seed, pretrained=True, frozen=True
        ).classifier
        seconds = time.perf_counter() - start
        learnt, tested = read_images(folders["train"]), read_images(folders["test"])
        frames = classifier.extract(learnt.paths, learnt.labels, keep_source=True)
        usual = classifier.extract(tested.paths, tested.labels, keep_source=True)
        accuracy = float((usual.logits.argmax(axis=1) == tested.labels).mean())
        what = f"{' and '.join(known)}, seed {seed}"
        rows = [Row(f"{what}: accuracy on id/test", "", f"{accuracy:.3f}", f"trained in {seconds:.0f} s")]
        strange = {name: classifier.extract(paths, keep_source=True) for name, paths in unknown.items()}
        return rows + figures(classifier, frames, learnt.digests, usual, strange)


def figures(
    classifier: Classifier,
    frames: Activations,
    digests: Sequence[str],
    usual: Activations,
    strange: dict[str, Activations],
) -> list[Row]:
    """Of each detector, fitted on what trained: AUROC, and the share of OOD images that pass where 95 % of ID do."""
    record = classifier.training
    assert record is not None
    parts = [np.array([key in part for key in digests]) for part in (record.train, record.calibration)]
    fit, own = (frames[np.flatnonzero(part)] for part in parts)
    rows = []
    for name in DETECTORS_SHOWN:
        detector = make_detector(name).fit(fit, classifier.head, own)
        ordinary = detector.score(usual)
        for of, batch in strange.items():
            found = point_metrics(ordinary, detector.score(batch))
            reached = f"{100 * found['auroc']:.1f} / {100 * found['fpr_ood_at_95_id_tpr']:.1f}"
            rows.append(Row(f"{of} ({len(batch)}): {DETECTORS[name].info.title}", "", reached, "AUROC / FPR"))
    return rows


if __name__ == "__main__":
    main()
