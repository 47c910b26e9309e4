"""Pixel maps of six neurons against zennit-crp, side by side: ``python -m benchmarks.attribution``."""

from __future__ import annotations

import numpy as np
import torch
from crp.attribution import CondAttribution
from torch import nn
from zennit.composites import EpsilonPlusFlat
from zennit.torchvision import ResNetCanonizer

from benchmarks.measure import Row, side_by_side, table
from nero_core.attribution import Attribution
from nero_core.classifier import Classifier, build_classifier
from nero_core.records import Float32Array

THREADS = 2
NEURONS = 6
ROUNDS = 7
CLASSES = ("a", "b", "c")


def settled_classifier(architecture: str) -> Classifier:
    """A seeded classifier whose batch norms have seen data, so that merging them is no trifle."""
    classifier = build_classifier(architecture, CLASSES, seed=0)
    generator = torch.Generator().manual_seed(0)
    network = classifier.network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5, generator=generator)
            module.bias.normal_(0, 0.2, generator=generator)
    with torch.no_grad():
        for _ in range(5):
            network(torch.randn(4, 3, 224, 224, generator=generator))
    network.eval()
    return classifier


def six_maps(architecture: str) -> list[Row]:
    """Time for six maps of one image, forward pass included, and how far they are from zennit-crp's."""
    classifier = settled_classifier(architecture)
    image = np.random.default_rng(0).normal(size=(3, 224, 224)).astype(np.float32)
    batch = torch.from_numpy(image[None]).contiguous(memory_format=torch.channels_last)
    pixel_maps = Attribution(classifier)
    relevance = pixel_maps.open(image).feature_relevance()
    neurons = [int(neuron) for neuron in np.argsort(-np.abs(relevance))[:NEURONS]]
    by_crp = CondAttribution(classifier.private_copy().to(memory_format=torch.contiguous_format))
    composite = EpsilonPlusFlat(canonizers=[ResNetCanonizer()])

    def with_crp() -> Float32Array:
        data = torch.tensor(image[None], requires_grad=True)
        conditions = [{classifier.layout.map: [neuron]} for neuron in neurons]
        maps: Float32Array = by_crp(data, conditions, composite, init_rel=lambda z: z.softmax(1)).heatmap.numpy()
        return maps

    def together() -> Float32Array:
        return pixel_maps.open(image).neurons(neurons)

    def one_by_one() -> list[Float32Array]:
        opened = pixel_maps.open(image)
        return [opened.neuron(neuron) for neuron in neurons]

    def bare() -> None:
        with torch.inference_mode():
            classifier.network(batch)

    reference = with_crp()
    error = (np.abs(together() - reference).max((1, 2)) / np.abs(reference).max((1, 2))).max()
    candidates = {"crp": with_crp, "together": together, "one by one": one_by_one, "bare": bare}
    seconds = side_by_side(candidates, ROUNDS)
    milliseconds = {name: f"{1000 * value:.0f} ms" for name, value in seconds.items()}
    return [
        Row(
            f"six pixel maps of one image, {architecture}, over zennit-crp",
            "3",
            f"{seconds['crp'] / seconds['together']:.1f}",
            f"{milliseconds['together']} against {milliseconds['crp']}; one by one {milliseconds['one by one']}; "
            f"bare forward {milliseconds['bare']}",
        ),
        Row(f"the same maps, largest difference over peak, {architecture}", "≤ 0.001", f"{error:.1e}"),
    ]


def main() -> list[Row]:
    """Rows for the two networks."""
    torch.set_num_threads(THREADS)
    return [row for architecture in ("resnet18", "resnet50") for row in six_maps(architecture)]


if __name__ == "__main__":
    print(table(main()))
