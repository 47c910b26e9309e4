"""Detectors against one pass over the images and against pytorch-ood's loop: ``python -m benchmarks.detectors``."""

from __future__ import annotations

import logging
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from pytorch_ood import detector as library
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.measure import Row, table
from benchmarks.scenes import DEMO, scenes
from nero_core.detectors import DETECTORS, make_detector
from nero_core.network.classifier import Classifier
from nero_core.network.extraction import BATCH_SIZE
from nero_core.records import Activations, Float64Array, IntArray
from nero_core.reference.reference import Reference

IMAGES = 2000
LOOP_IMAGES = 160
"""Images to fit on, and as many others to score, where the library runs the network for each detector."""
ROUNDS = 2
SLOWEST = 5
TOLERANCE = 1e-4
SIXTEEN = (
    *("msp", "temperature_scaling", "energy", "max_logit", "entropy", "mahalanobis", "rmd", "vim"),
    *("react", "dice", "ash", "scale", "vra", "knn", "she", "gen"),
)


def seconds_of(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


# All detectors on arrays ------------------------------------------------------------------------------------


def fit_and_score(names: Sequence[str], activations: Activations, classifier: Classifier) -> dict[str, float]:
    """Seconds that each detector takes to fit and to score the same images."""

    def run(name: str) -> Float64Array:
        return make_detector(name).fit(activations, classifier.head).score(activations)

    return {name: seconds_of(partial(run, name)) for name in names}


def all_on_arrays(classifier: Classifier, images: Sequence[bytes], labels: IntArray) -> Row:
    """Every detector that needs no image again, fitted and scored, over one extraction pass."""
    names = [name for name, detector in DETECTORS.items() if detector.info.needs <= {"peaks", "stages"}]
    activations = classifier.extract(images[: 10 * BATCH_SIZE], labels)
    fit_and_score(names, activations, classifier)
    passes, taken = [], defaultdict(list)
    for _ in range(ROUNDS):
        start = time.perf_counter()
        activations = classifier.extract(images, labels)
        passes.append(time.perf_counter() - start)
        for name, seconds in fit_and_score(names, activations, classifier).items():
            taken[name].append(seconds)
    medians = {name: statistics.median(values) for name, values in taken.items()}
    total, one_pass = sum(medians.values()), statistics.median(passes)
    slowest = sorted(medians, key=lambda name: -medians[name])[:SLOWEST]
    told = ", ".join(f"{name} {medians[name]:.2f} s" for name in slowest)
    return Row(
        f"{len(names)} detectors fitted and scored on {len(images):,} images, pass included, over one extraction pass",
        "≤ 1.3",
        f"{1 + total / one_pass:.2f}",
        f"detectors {total:.1f} s, pass {one_pass:.1f} s; slowest: {told}",
    )


# The library's own loop --------------------------------------------------------------------------------------


class Prepared(Dataset[tuple[Tensor, int]]):
    """Files read and prepared as the classifier does, whenever they are asked for."""

    def __init__(self, classifier: Classifier, images: Sequence[bytes], labels: IntArray) -> None:
        self._classifier, self._images, self._labels = classifier, images, labels

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return torch.from_numpy(self._classifier.prepare(self._images[number])), int(self._labels[number])


def library_detectors(classifier: Classifier, dimension: int, network: nn.Module) -> dict[str, Any]:
    """The sixteen with the parameters that ours have; pooled features are maps of one cell where it wants maps."""
    head = network.get_submodule(classifier.layout.head)
    assert isinstance(head, nn.Linear)
    weight, bias = head.weight, head.bias
    backbone = classifier.private_copy()
    backbone.set_submodule(classifier.layout.head, nn.Identity())

    def maps(images: Tensor) -> Tensor:
        return backbone(images)[:, :, None, None]  # type: ignore[no-any-return]

    def on_maps(cells: Tensor) -> Tensor:
        return head(cells.flatten(1))  # type: ignore[no-any-return]

    return {
        "msp": library.MaxSoftmax(network),
        "temperature_scaling": library.TemperatureScaling(network),
        "energy": library.EnergyBased(network),
        "max_logit": library.MaxLogit(network),
        "entropy": library.Entropy(network),
        "mahalanobis": library.Mahalanobis(backbone),
        "rmd": library.RMD(backbone),
        "vim": library.ViM(backbone, dimension, weight, bias),
        "react": library.ReAct(maps, on_maps, percentile=0.9),
        "dice": library.DICE(backbone, weight, bias, 0.9),
        "ash": library.ASH(maps, on_maps, "ash-s", 0.9),
        "scale": library.SCALE(maps, on_maps, 0.85),
        "vra": library.VRA(maps, on_maps),
        "knn": library.KNN(backbone),
        "she": library.SHE(backbone, head),
        "gen": library.GEN(network, 0.1, len(classifier.classes)),
    }


def scores_by_loop(detectors: dict[str, Any], train: DataLoader[Any], test: DataLoader[Any]) -> dict[str, Float64Array]:
    """As the library's documentation has it: `fit(loader)`, then `predict` over the loader, for each detector."""
    scores = {}
    for name, detector in detectors.items():
        if detector.requires_fit:
            detector.fit(train)
        with torch.no_grad():
            scores[name] = torch.cat([detector.predict(images) for images, _ in test]).double().numpy()
    return scores


@contextmanager
def in_double() -> Iterator[None]:
    """The library's own code in float64, where it would cast to float32."""
    single, default = Tensor.float, torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    Tensor.float = Tensor.double  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.set_default_dtype(default)
        Tensor.float = single  # type: ignore[method-assign]


def scores_in_double(classifier: Classifier, train: Activations, test: Activations) -> dict[str, Float64Array]:
    """The library's scores, its own code handed our logits and features in float64."""
    scores = {}
    with in_double(), torch.no_grad():
        detectors = library_detectors(classifier, len(train) // 2, classifier.private_copy().double())
        for name, detector in detectors.items():
            door = next(door for door in ("logits", "feature_maps", "features") if hasattr(detector, f"predict_{door}"))

            def given(activations: Activations, door: str = door) -> Tensor:
                values = torch.from_numpy(activations.logits if door == "logits" else activations.features).double()
                return values[:, :, None, None] if door == "feature_maps" else values

            if detector.requires_fit:
                getattr(detector, f"fit_{door}")(given(train), torch.from_numpy(train.labels))
            scores[name] = getattr(detector, f"predict_{door}")(given(test)).double().numpy()
    return scores


def difference(scores: Float64Array, ours: Float64Array) -> float:
    """Largest difference relative to our score, or to the spread of our scores where a score is smaller than that."""
    return float((np.abs(scores - ours) / np.maximum(np.abs(ours), ours.std())).max())


def against_the_library(classifier: Classifier, images: Sequence[bytes], labels: IntArray) -> list[Row]:
    """Sixteen detectors by the library's loop over ours, and how far the scores are apart."""
    half = len(images) // 2
    parts = ((images[:half], labels[:half]), (images[half:], labels[half:]))
    loaders = [DataLoader(Prepared(classifier, *part), batch_size=BATCH_SIZE) for part in parts]
    ours: dict[str, Float64Array] = {}

    def by_arrays() -> None:
        train, test = (classifier.extract(*part) for part in parts)
        ours.update({name: make_detector(name).fit(train, classifier.head).score(test) for name in SIXTEEN})

    theirs = library_detectors(classifier, half // 2, classifier.private_copy())
    by_arrays()
    taken = [seconds_of(by_arrays)]
    start = time.perf_counter()
    by_loop = scores_by_loop(theirs, loaders[0], loaders[1])
    loop = time.perf_counter() - start
    taken.append(seconds_of(by_arrays))
    mine = statistics.mean(taken)
    train, test = (classifier.extract(*part) for part in parts)
    in_float64 = scores_in_double(classifier, train, test)
    apart = {name: difference(by_loop[name], ours[name]) for name in SIXTEEN}
    far = [name for name in SIXTEEN if apart[name] > TOLERANCE]
    near = max((apart[name] for name in SIXTEEN if name not in far), default=0.0)
    passes = len(SIXTEEN) + sum(detector.requires_fit for detector in theirs.values())
    return [
        Row(
            f"sixteen detectors by pytorch-ood's loop, {half} images to fit and {half} to score, over ours",
            "≥ 8",
            f"{loop / mine:.1f}",
            f"{loop:.0f} s in {passes} passes against {mine:.1f} s in 2 (before and after: "
            + ", ".join(f"{seconds:.1f} s" for seconds in taken)
            + ")",
        ),
        Row(
            "the same, largest relative difference of scores, its own code in float64",
            "≤ 1e-4",
            f"{max(difference(in_float64[name], ours[name]) for name in SIXTEEN):.0e}",
            f"as it runs, in float32: {len(SIXTEEN) - len(far)} within {near:.0e}; "
            + ", ".join(f"{name} {apart[name]:.0e}" for name in far),
        ),
    ]


def main() -> list[Row]:
    """All rows."""
    logging.getLogger("pytorch_ood").setLevel(logging.ERROR)
    classifier = Reference.load(DEMO).classifier
    images, labels = scenes(IMAGES, tuple(classifier.classes))
    return [
        all_on_arrays(classifier, images, labels),
        *against_the_library(classifier, images[: 2 * LOOP_IMAGES], labels[: 2 * LOOP_IMAGES]),
    ]


if __name__ == "__main__":
    print(table(main()))
