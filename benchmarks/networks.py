"""What a transformer costs to explain and to score, and reference concepts: ``python -m benchmarks.networks``."""

from __future__ import annotations

import statistics
import time

import torch

from benchmarks.attribution import noise_image
from benchmarks.measure import Row, side_by_side, table
from benchmarks.scenes import DEMO, scenes
from benchmarks.scoring import CLASSES, fitted_nero, from_tensors
from nero_core.attribution import Attribution
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.neurons.crops import cut_concepts
from nero_core.neurons.ranking import RankingCollector
from nero_core.reference.reference import Reference

TRANSFORMER = "deit_small_patch16_224"
IMAGES = 2000
ROUNDS, SCORING_ROUNDS = 7, 11


def one_map(classifier: Classifier) -> Row:
    """The map of one neuron, forward pass included, over the bare forward of the same image."""
    image = noise_image(0)
    pixel_maps = Attribution(classifier)
    batch = torch.from_numpy(image[None]).contiguous(memory_format=torch.channels_last)

    def bare() -> None:
        with torch.inference_mode():
            classifier.network(batch)

    seconds = side_by_side({"bare": bare, "map": lambda: pixel_maps.open(image).neuron(0)}, ROUNDS)
    return Row(
        f"one neuron's map, {classifier.architecture}, over the bare forward of the same image",
        "≤ 4",
        f"{seconds['map'] / seconds['bare']:.2f}",
        f"{1000 * seconds['map']:.0f} ms against {1000 * seconds['bare']:.0f} ms; {pixel_maps.method}",
    )


def reference_concepts() -> Row:
    """Every neuron's most relevant and most active images, found and cut, over one extraction pass."""
    classifier = Reference.load(DEMO).classifier
    images, labels = scenes(IMAGES, tuple(classifier.classes))

    def with_concepts() -> float:
        ranking = RankingCollector(classifier.head)
        start = time.perf_counter()
        classifier.extract(images, labels, on_batch=ranking.add)
        concepts = cut_concepts(ranking.rankings(), images, labels, classifier.preprocessing)
        taken = time.perf_counter() - start
        assert len(concepts.neurons) == classifier.head.width
        return taken

    def one_pass() -> float:
        start = time.perf_counter()
        classifier.extract(images, labels)
        return time.perf_counter() - start

    classifier.extract(images[:32])
    before, taken, after = one_pass(), with_concepts(), one_pass()
    alone = statistics.mean((before, after))
    return Row(
        f"reference concepts of {classifier.head.width} neurons over {len(images):,} images, over one extraction pass",
        "≤ 1.5",
        f"{taken / alone:.2f}",
        f"{taken:.0f} s against {before:.0f} s before and {after:.0f} s after, ResNet-18",
    )


def main() -> list[Row]:
    """All rows."""
    transformer = build_classifier(TRANSFORMER, CLASSES, seed=0)
    return [
        one_map(transformer),
        from_tensors(transformer, fitted_nero(transformer), SCORING_ROUNDS),
        reference_concepts(),
    ]


if __name__ == "__main__":
    print(table(main()))
