"""Made-up activations of a made-up network, for tests of detectors."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

from nero_core.data.preprocessing import Preprocessing
from nero_core.records import Activations, Head


def make_activations(n=60, d=12, K=3, seed=0, far=0.0, stages=True, trained=False):
    """n images of K classes on d non-negative features, float32 as a network gives them; one head for all seeds.

    The head is random, or `trained`: it compares with the classes' centres.
    """
    head_rng = np.random.default_rng(1234 + d * 100 + K)
    weight = head_rng.normal(size=(K, d)).astype(np.float32)
    bias = head_rng.normal(size=K).astype(np.float32)
    centres = np.abs(head_rng.normal(1.0, 1.0, size=(K, d)))
    if trained:
        # −‖a − centre‖² up to what all classes share, softened so that no probability is 0 or 1 to rounding
        weight = (0.2 * centres).astype(np.float32)
        bias = (-0.1 * (centres**2).sum(axis=1)).astype(np.float32)
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % K
    features = np.maximum(centres[labels] + 0.4 * rng.normal(size=(n, d)) + far * np.abs(rng.normal(size=(n, d))), 0)
    features = features.astype(np.float32)
    statistics = np.abs(rng.normal(1 + labels[:, None], 0.3, size=(n, 8))).astype(np.float32)
    return (
        Activations(
            features=features,
            logits=(features.astype(np.float64) @ weight.T + bias).astype(np.float32),
            labels=labels,
            peaks=features * 2,
            stages={"layer1": statistics, "layer2": statistics + 1, "layer3": statistics * 2} if stages else None,
        ),
        Head(weight, bias),
    )


def noise_images(n, seed=0, size=32):
    """n small pictures of noise around one of three colours, and which."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    colours = np.array([[200, 120, 60], [80, 160, 70], [70, 90, 190]])[labels][:, None, None, :]
    values = np.clip(colours + rng.normal(0, 50, size=(n, size, size, 3)), 0, 255).astype(np.uint8)
    return [Image.fromarray(picture) for picture in values], labels


@cache
def tiny_classifier():
    """Three stages of a convolution each, global pooling and a head of 3 classes on 24 features; random weights."""
    import torch
    from torch import nn

    from nero_core.network.classifier import Classifier

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU()),
            nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU()),
            nn.Sequential(nn.Conv2d(16, 24, 3, 2, 1), nn.ReLU()),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(24, 3),
        )
    return Classifier(network, "tiny", ["amber", "moss", "slate"], Preprocessing(height=32, width=32))


def image_activations(n, seed=0):
    """What the tiny network gives for n pictures, with the pictures; and its head."""
    classifier = tiny_classifier()
    images, labels = noise_images(n, seed)
    return classifier.extract(images, labels, keep_source=True), classifier.head
