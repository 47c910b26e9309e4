"""Larger = more out-of-distribution, for every detector: on a made-up shift of the kind that its paper claims to find.

A new detector brings its own row of `SHIFTS`. The shifts are simple on purpose: they show which way a score runs, not
how well it does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from nero_core.data.pasted_lesions import relit, rendered_findings
from nero_core.detectors import DETECTORS, make_detector
from nero_core.metrics import point_metrics
from nero_core.network.classifier import Classifier
from nero_core.records import Activations, Head
from tests.activations import make_activations, noise_images, tiny_classifier

LEAST = 0.75
"""AUROC from which a shift counts as found; 0.5 is chance, and a score the wrong way round is below it."""


@dataclass(frozen=True)
class Material:
    """What one network gives: images to learn from, to calibrate by, and ordinary ones to be told apart from."""

    train: Activations
    head: Head
    calibration: Activations
    usual: Activations
    extract: Callable[[Any], Activations] | None = None
    """From pictures (n, H, W, 3), where the network is there."""

    @property
    def class_means(self):
        return np.stack([self.train.features[self.train.labels == c].mean(axis=0) for c in range(self.head.classes)])


@cache
def made(scale=1.0):
    """Made-up activations; `scale` makes features larger, as a network with more neurons has their sum."""
    parts = [make_activations(n=n, d=24, K=3, seed=seed, trained=True) for n, seed in ((90, 0), (40, 2), (33, 1))]
    head = Head(parts[0][1].weight / scale, parts[0][1].bias)
    train, calibration, usual = (replace(each, features=each.features * np.float32(scale)) for each, _ in parts)
    return Material(train, head, calibration, usual)


@cache
def pictured(blur=0.0):
    """Pictures of noise around three colours, and a small network that compares with the mean features of each."""
    pictures, labels, base = pictures_of(30, 0, blur), noise_images(30, seed=0)[1], tiny_classifier()
    features = base.extract(pictures).features
    means = np.stack([features[labels == c].mean(axis=0) for c in range(3)])
    network = base.private_copy().requires_grad_(False)
    sharpness, middle = 100, means.mean(axis=0)
    network[5].weight.copy_(tensor(sharpness * (means - middle)))
    network[5].bias.copy_(tensor(-sharpness / 2 * ((means**2).sum(axis=1) - (middle**2).sum())))
    classifier = Classifier(network, "tiny", base.classes, base.preprocessing)

    def extract(values):
        images = [Image.fromarray(np.clip(each, 0, 255).astype(np.uint8)) for each in values]
        return classifier.extract(images, keep_source=True)

    train = classifier.extract(pictures, labels, keep_source=True)
    calibration = classifier.extract(pictures_of(24, 2, blur), keep_source=True)
    return Material(train, classifier.head, calibration, extract(usual_pictures(blur)), extract)


def tensor(values):
    import torch

    return torch.from_numpy(values).float()


def pictures_of(count, seed, blur=0.0):
    return [picture.filter(ImageFilter.GaussianBlur(blur)) for picture in noise_images(count, seed)[0]]


def usual_pictures(blur=0.0):
    return np.stack([np.asarray(each, np.float64) for each in pictures_of(12, 1, blur)])


CALM = 1.5
"""Blur, in pixels, after which a lesion shows in the noise."""


# Shifts ----------------------------------------------------------------------------------------------------------


def with_features(material, features):
    features = np.maximum(features, 0).astype(np.float32)
    logits = (features.astype(np.float64) @ material.head.weight.T + material.head.bias).astype(np.float32)
    return replace(material.usual, features=features, logits=logits, labels=None, peaks=features * 2)


def between_the_classes(material):
    """Around the mean of all classes: no class stands out."""
    noise = 0.4 * np.random.default_rng(7).normal(size=material.usual.features.shape)
    return with_features(material, material.class_means.mean(axis=0) + noise)


def weak(material):
    """Every feature at a third: the network answers little."""
    return with_features(material, 0.3 * material.usual.features)


def weak_with_spikes(material):
    """Weak, and one feature in ten far above what training images have."""
    spikes = np.random.default_rng(7).random(material.usual.features.shape) < 0.1
    return with_features(material, np.where(spikes, 8.0, 0.3 * material.usual.features))


def in_other_neurons(material):
    """Each image's features in other places: a combination that no class has."""
    return with_features(material, np.random.default_rng(7).permuted(material.usual.features, axis=1))


def far_from_the_means(material):
    """Class means with much noise: along every direction, also those in which training images do not vary."""
    n, d = material.usual.features.shape
    rng, scale = np.random.default_rng(7), material.usual.features.mean()
    return with_features(material, material.class_means[np.arange(n) % 3] + 2 * scale * rng.normal(size=(n, d)))


def without_peaks(material):
    """The same features, from maps that are flat."""
    return replace(material.usual, peaks=material.usual.features)


def other_texture(material):
    """The same features, and other statistics of the stages."""
    rng = np.random.default_rng(7)
    noisy = {
        name: np.abs(values + rng.normal(0, 2, values.shape)).astype(np.float32)
        for name, values in material.usual.stages.items()
    }
    return replace(material.usual, stages=noisy)


def two_in_one(material):
    """The mean of two pictures of different classes."""
    pictures = usual_pictures()
    return material.extract((pictures + np.roll(pictures, 1, axis=0)) / 2)


def striped(material):
    """Strong stripes, a pattern of rank one."""
    rows = np.arange(32)[None, :, None, None] // 2 % 2
    return material.extract(np.where(rows == 0, 20.0, 235.0) + np.zeros((12, 32, 32, 3)))


def more_contrast(material):
    """Three times the contrast, colours unchanged."""
    pictures = usual_pictures()
    mean = pictures.mean(axis=(1, 2), keepdims=True)
    return material.extract(mean + 3 * (pictures - mean))


def with_a_strange_place(material):
    """A square of a colour that no picture has, an eighth of each picture."""
    pictures = usual_pictures()
    pictures[:, 16:27, 14:25] = (250, 20, 250)
    return material.extract(pictures)


def with_a_lesion(material):
    """A rendered polyp on each picture, of a size that training pictures were given."""
    rng, tissue = np.random.default_rng(7), np.ones((32, 32), bool)
    frames = [relit(np.asarray(each, np.float32), tissue, rendered_findings(), rng) for each in usual_pictures(CALM)]
    return material.extract(np.stack([frame for frame, _ in frames]))


@dataclass(frozen=True)
class Claim:
    """What a paper says that its score finds, and images made so."""

    says: str
    shift: Callable[[Material], Activations]
    material: Callable[[], Material] = made
    parameters: Mapping[str, Any] = field(default_factory=dict)


SHIFTS = {
    "ash": Claim("what is left after pruning is weaker for OOD images", weak),
    "cadref": Claim("relative to their size, OOD features are far from the predicted class's mean", in_other_neurons),
    "caref": Claim("relative to their size, OOD features are far from the predicted class's mean", in_other_neurons),
    "dice": Claim("the weights that matter for a class find little in OOD features", in_other_neurons),
    "energy": Claim("OOD images have smaller logits altogether", weak),
    "entropy": Claim("OOD images spread their probability over the classes", between_the_classes),
    "fdbd": Claim("OOD features lie nearer to decision boundaries", between_the_classes),
    "patch_gaussian": Claim("a place is far from the mean of all places", with_a_strange_place, pictured),
    "patch_knn": Claim("a place is unlike all that were seen", with_a_strange_place, pictured),
    "pseudo_lesion": Claim("a place looks like a lesion that was laid in", with_a_lesion, lambda: pictured(CALM)),
    "panel": Claim("what is unusual to any of its members is unusual", more_contrast, pictured),
    "gen": Claim("OOD images spread their probability over the classes", between_the_classes),
    "gradnorm": Claim("the gradient towards uniform probabilities is smaller for OOD images", between_the_classes),
    "gram": Claim("correlations of channels leave the range of the training images", more_contrast, pictured),
    "itp": Claim("some neurons of OOD images contribute too much, and are dropped", weak_with_spikes),
    "kl_matching": Claim("the probabilities of OOD images are like no class's mean", between_the_classes),
    "knn": Claim("OOD features point where no training features do", in_other_neurons),
    "line": Claim("few important neurons of a class are active, others strongly", weak_with_spikes),
    "mahalanobis": Claim("OOD features are far from each class's mean", far_from_the_means),
    "mahalanobis_pp": Claim("OOD directions are far from each class's mean direction", in_other_neurons),
    "max_logit": Claim("no logit of an OOD image is large", weak),
    "msp": Claim("no probability of an OOD image is large", between_the_classes),
    "nac": Claim("neurons are in states that no training image put them in", striped, pictured),
    "nap": Claim("OOD images have no sharp peaks in their last maps", without_peaks),
    # Its constants belong to features whose distance from the mean, summed, is some hundreds.
    "ncdd": Claim("OOD features are as far from all classes", between_the_classes, lambda: made(scale=200.0)),
    "nci": Claim("OOD features are near the origin, and away from the class's weights", weak),
    # Neural collapse leaves K − 1 directions.
    "neco": Claim("OOD features lie outside the principal subspace", far_from_the_means, parameters={"components": 2}),
    "nero": Claim("neurons are relevant that are not so for any class", in_other_neurons),
    "nnguide": Claim("OOD images have little energy, and few training images like them", weak),
    "odin": Claim("a step towards the predicted class makes OOD images less certain", two_in_one, pictured),
    "rankfeat": Claim("the first singular component carries the energy of OOD maps", striped, pictured),
    "react": Claim("few features of OOD images are far too large, and carry their energy", weak_with_spikes),
    "rmd": Claim("OOD features are as far from each class's mean as from that of all", between_the_classes),
    "scale": Claim("OOD features are weaker where they are scaled up", weak),
    "she": Claim("OOD features are unlike the stored pattern of the predicted class", in_other_neurons),
    "stage_knn": Claim("early channels have unusual statistics", other_texture),
    "stage_mahalanobis": Claim("early channels have unusual statistics", other_texture),
    "temperature_scaling": Claim("no probability of an OOD image is large", between_the_classes),
    "vim": Claim("OOD features leave the principal subspace", far_from_the_means),
    "vra": Claim("OOD features are too small or too large, and are clipped from both sides", weak_with_spikes),
}


def test_every_detector_brings_its_shift():
    missing, gone = sorted(DETECTORS.keys() - SHIFTS.keys()), sorted(SHIFTS.keys() - DETECTORS.keys())
    assert missing == [], "give each new detector a row in SHIFTS: what its paper claims, and images made so"
    assert gone == []


@pytest.mark.parametrize("name", sorted(SHIFTS))
def test_larger_is_more_out_of_distribution(name):
    claim = SHIFTS[name]
    material = claim.material()
    detector = make_detector(name, **claim.parameters)
    detector.fit(material.train, material.head, calibration=material.calibration)
    found = point_metrics(detector.score(material.usual), detector.score(claim.shift(material)))["auroc"]
    assert found > LEAST, f"{name}: {claim.says}, but AUROC is {found:.2f} on images that are {claim.shift.__name__}"
