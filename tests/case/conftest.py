"""A made-up network that sees how green an image is, and a reference of grey images with a little green in them."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nero_core.calibration import Calibration
from nero_core.data.guarantee import CalibrationSettings, Guarantee
from nero_core.data.preprocessing import Preprocessing
from nero_core.detectors import ExplainedDetector, make_detector
from nero_core.detectors.base import DetectorInfo, Paper, account_of
from nero_core.network.classifier import Classifier
from nero_core.records import Float64Array
from nero_core.reference.reference import Reference
from nero_core.storage.typed import Shape

SIDE = 64
CELL = 4
"""Side of the squares, pixels, over which the network takes colour."""
GREEN = 3
"""The channel that answers to green alone."""


def network():
    """Colour over cells, the mean over all cells, and two classes that tell bright from dark."""
    convolution, head = nn.Conv2d(3, 6, CELL, CELL), nn.Linear(6, 2)
    of_colour = torch.tensor(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 2, -1], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.0, 0.5]], dtype=torch.float32
    )
    with torch.no_grad():
        convolution.weight.copy_((of_colour / CELL**2)[:, :, None, None].expand(-1, -1, CELL, CELL))
        convolution.bias.zero_()
        head.weight.copy_(torch.tensor([[1, 1, 1, 1, 1, 1], [-1, -1, -1, -0.5, -1, -1]]))
        head.bias.copy_(torch.tensor([-1.5, 1.5]))
    return nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


def grey(seed, level=None, green=(), size=(SIDE, SIDE)):
    """A textured grey image; `green` are the boxes that are painted green."""
    rng = np.random.default_rng(seed)
    level = rng.uniform(60, 190) if level is None else level
    noise = rng.normal(0, 12, (size[1], size[0], 1)) + rng.normal(0, 6, (size[1], size[0], 3))
    pixels = np.clip(level + noise, 0, 255).astype(np.uint8)
    for left, top, right, bottom in green:
        pixels[top:bottom, left:right] = (30, 220, 30)
    return Image.fromarray(pixels)


def ordinary(seed):
    """One with a green speck somewhere: some green is usual."""
    rng = np.random.default_rng(seed)
    left, top = (int(v) for v in rng.integers(0, SIDE - 4, 2))
    return grey(seed, green=[(left, top, left + 3, top + 3)])


class Greenness(ExplainedDetector):
    """How green an image is, more than it is usual: the share of one channel in a score that is a sum."""

    info = DetectorInfo("greenness", "Greenness", Paper("made up for tests", (), "", 2026), claims_far_point=False)
    usual_: Annotated[Float64Array, Shape("d")]

    def _fit(self, train, head, calibration):
        self.usual_ = train.features.astype(np.float64).mean(axis=0)

    def _score(self, batch):
        return self.account(batch).score

    def account(self, batch):
        contributions = np.zeros(batch.features.shape)
        contributions[:, GREEN] = batch.features[:, GREEN] - self.usual_[GREEN]
        return account_of(contributions, np.zeros(len(batch), np.int64), terms={"one": np.full(len(batch), 0.01)})

    def what_if(self, batch, neurons):
        return np.full(len(batch), 0.01) if GREEN in neurons else self._score(batch)


@pytest.fixture(scope="session")
def green_reference():
    """Fitted on 60 ordinary images and calibrated on 40 others, by greenness, NERO and energy."""
    preprocessing = Preprocessing(SIDE, SIDE, (0, 0, 0), (1, 1, 1))
    classifier = Classifier(network(), "made up", ["bright", "dark"], preprocessing)
    seen = [ordinary(seed) for seed in range(60)]
    train = classifier.extract(seen, labels=classifier.extract(seen).logits.argmax(axis=1))
    own = classifier.extract([ordinary(seed) for seed in range(100, 140)])
    made = {"greenness": Greenness(), "nero": make_detector("nero", k=2), "energy": make_detector("energy")}
    detectors = {name: detector.fit(train, classifier.head) for name, detector in made.items()}
    settings = CalibrationSettings(by_class=False)
    calibrations = {
        name: Calibration(detector.score(own), Guarantee(True), settings=settings)
        for name, detector in detectors.items()
    }
    return Reference(classifier, detectors, calibrations, {"title": "green", "classes": ["bright", "dark"]})
