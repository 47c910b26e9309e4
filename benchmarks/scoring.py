"""Scoring throughput against the bare network, from tensors and from files: ``python -m benchmarks.scoring``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.measure import Row, side_by_side, table
from nero_core.data.images import preprocess
from nero_core.detectors import make_detector
from nero_core.detectors.base import Detector
from nero_core.network.classifier import Classifier, build_classifier

BATCH = 32
FILES = 96
CLASSES = ("a", "b", "c")


def fitted_nero(classifier: Classifier) -> Detector:
    """NERO fitted on noise: its cost does not depend on what it has seen."""
    noise = torch.randn((2 * BATCH, 3, 224, 224), generator=torch.Generator().manual_seed(1))
    parts = [classifier.forward(noise[:BATCH]), classifier.forward(noise[BATCH:])]
    features = np.concatenate([part.activations.features for part in parts])
    logits = np.concatenate([part.activations.logits for part in parts])
    from nero_core.records import Activations

    labels = np.arange(len(features)) % len(CLASSES)
    return make_detector("nero").fit(Activations(features, logits, labels=labels), classifier.head)


def from_tensors(classifier: Classifier, detector: Detector, rounds: int = 15) -> Row:
    """Extraction with peaks and stages + relevance + NERO, over the bare channels-last forward."""
    batch = torch.randn((BATCH, 3, 224, 224), generator=torch.Generator().manual_seed(0))
    batch = batch.contiguous(memory_format=torch.channels_last)

    def bare() -> None:
        with torch.inference_mode():
            classifier.network(batch)

    seconds = side_by_side(
        {"bare": bare, "scored": lambda: detector.score(classifier.forward(batch).activations)}, rounds
    )
    ratio = seconds["bare"] / seconds["scored"]
    detail = f"{BATCH / seconds['scored']:.0f} images/s scored, {BATCH / seconds['bare']:.0f} bare"
    what = f"scoring throughput, {classifier.architecture}, batch {BATCH}, over the bare forward"
    return Row(what, "0.95", f"{ratio:.3f}", detail)


def from_files(classifier: Classifier, detector: Detector, folder: Path) -> Row:
    """The same from JPEG files, over PIL decode + bare forward in the default layout, one image after another."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(FILES):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        paths.append(folder / f"{number}.jpg")
        coarse.resize((720, 576), Image.Resampling.BICUBIC).save(paths[-1], quality=90)
    plain = classifier.private_copy().to(memory_format=torch.contiguous_format)

    def one_by_one() -> None:
        with torch.inference_mode():
            for path in paths:
                with Image.open(path) as image:
                    plain(torch.from_numpy(preprocess(image.convert("RGB"), classifier.preprocessing))[None])

    ours = {"one by one": one_by_one, "scored": lambda: detector.score(classifier.extract(paths))}
    seconds = side_by_side(ours, 5)
    ratio = seconds["one by one"] / seconds["scored"]
    detail = f"{FILES / seconds['scored']:.0f} files/s scored, {FILES / seconds['one by one']:.0f} one by one"
    return Row("scoring 720×576 JPEG files, over PIL + bare forward one by one", "1.25", f"{ratio:.2f}", detail)


def main() -> list[Row]:
    """Both rows."""
    classifier = build_classifier("resnet18", CLASSES, seed=0)
    detector = fitted_nero(classifier)
    with tempfile.TemporaryDirectory() as folder:
        return [from_tensors(classifier, detector), from_files(classifier, detector, Path(folder))]


if __name__ == "__main__":
    print(table(main()))
