"""Pixel maps of six neurons against zennit-crp, side by side: ``python -m benchmarks.attribution``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from crp.attribution import CondAttribution
from torch import nn
from zennit.composites import EpsilonPlusFlat
from zennit.torchvision import ResNetCanonizer

from benchmarks.measure import Row, side_by_side, table
from nero_core.attribution import Attribution
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.records import Float32Array

THREADS = 2
NEURONS = 6
IMAGES = 3
ROUNDS = 5
CLASSES = ("a", "b", "c")


def settled_classifier(architecture: str) -> Classifier:
    """A seeded classifier whose batch norms have seen data, so that merging them is no trifle."""
    classifier = build_classifier(architecture, CLASSES, seed=0)
    generator = torch.Generator().manual_seed(0)
    classifier.network.train()
    with torch.no_grad():
        for _ in range(5):
            classifier.network(torch.randn(4, 3, 224, 224, generator=generator))
    classifier.network.eval()
    return classifier


def noise_image(seed: int) -> Float32Array:
    return np.random.default_rng(seed).normal(size=(3, 224, 224)).astype(np.float32)


def crp_maps(network: nn.Module, image: Float32Array, layer: str, neurons: Sequence[int]) -> Float32Array:
    """The same maps by zennit-crp, all conditions in one batch."""
    data = torch.tensor(image[None], dtype=next(network.parameters()).dtype, requires_grad=True)
    composite = EpsilonPlusFlat(canonizers=[ResNetCanonizer()])
    conditions = [{layer: [neuron]} for neuron in neurons]
    result = CondAttribution(network)(data, conditions, composite, init_rel=lambda z: z.softmax(1))
    return result.heatmap.float().numpy()  # type: ignore[no-any-return]


def peak_error(maps: Float32Array, reference: Float32Array) -> float:
    """Largest difference as a share of a map's peak, over some maps."""
    return float((np.abs(maps - reference).max((1, 2)) / np.abs(reference).max((1, 2))).max())


def six_maps(architecture: str) -> list[Row]:
    """Time for six maps of one image, forward pass included, and how far they are from zennit-crp's."""
    classifier = settled_classifier(architecture)
    layer = classifier.layout.map or ""
    default_layout = classifier.private_copy().to(memory_format=torch.contiguous_format)
    channels_last = classifier.private_copy()
    exact = classifier.private_copy().double()
    pixel_maps = Attribution(classifier)

    ours, of_crp = [], []
    for seed in range(IMAGES):
        image = noise_image(seed)
        opened = pixel_maps.open(image)
        neurons = [int(neuron) for neuron in np.argsort(-np.abs(opened.feature_relevance()))[:NEURONS]]
        by_crp = crp_maps(default_layout, image, layer, neurons)
        ours.append(peak_error(opened.neurons(neurons), by_crp))
        of_crp.append(peak_error(by_crp, crp_maps(exact, image, layer, neurons)))

    def one_by_one() -> list[Float32Array]:
        opened = pixel_maps.open(image)
        return [opened.neuron(neuron) for neuron in neurons]

    def bare() -> None:
        with torch.inference_mode():
            classifier.network(torch.from_numpy(image[None]).contiguous(memory_format=torch.channels_last))

    candidates = {
        "crp": lambda: crp_maps(default_layout, image, layer, neurons),
        "crp, channels last": lambda: crp_maps(channels_last, image, layer, neurons),
        "together": lambda: pixel_maps.open(image).neurons(neurons),
        "one by one": one_by_one,
        "bare": bare,
    }
    seconds = side_by_side(candidates, ROUNDS)
    took = {name: f"{1000 * value:.0f} ms" for name, value in seconds.items()}
    return [
        Row(
            f"six pixel maps of one image, {architecture}, over zennit-crp",
            "3",
            f"{seconds['crp'] / seconds['together']:.1f}",
            f"{took['together']} against {took['crp']} (channels last {took['crp, channels last']}); "
            f"one by one {took['one by one']}; bare forward {took['bare']}",
        ),
        Row(
            f"the same, largest difference over peak, {IMAGES} images, {architecture}",
            "≤ 0.001",
            f"{max(ours):.1e}",
            f"zennit-crp in float32 is {max(of_crp):.1e} from itself in float64",
        ),
    ]


def main() -> list[Row]:
    """Rows for the two networks."""
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        return [row for architecture in ("resnet18", "resnet50") for row in six_maps(architecture)]
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    print(table(main()))
