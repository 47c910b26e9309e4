"""Made-up activations of a made-up network, for tests of detectors."""

from __future__ import annotations

import numpy as np

from nero_core.records import Activations, Head


def make_activations(n=60, d=12, K=3, seed=0, far=0.0, stages=True):
    """n images of K classes on d non-negative features, float32 as a network gives them; one head for all seeds."""
    head_rng = np.random.default_rng(1234 + d * 100 + K)
    weight = head_rng.normal(size=(K, d)).astype(np.float32)
    bias = head_rng.normal(size=K).astype(np.float32)
    centres = np.abs(head_rng.normal(1.0, 1.0, size=(K, d)))
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
