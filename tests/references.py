"""References made in a second or two, whose network tells the classes of coloured noise apart."""

from __future__ import annotations

import numpy as np
import torch

from nero_core.data.guarantee import CalibrationSettings
from nero_core.data.near_duplicates import difference_hashes
from nero_core.data.preprocessing import Preprocessing
from nero_core.data.splits import split_for_fit
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.records import TrainingRecord
from nero_core.reference.description import Card
from nero_core.reference.fit import fit_reference

ALPHA = 0.1
"""Needs nine calibration images of a class."""
TENTH = CalibrationSettings(alpha=ALPHA)


def telling_classifier(images, record=None):
    """ResNet-18 with random weights at 64 pixels whose head compares with the mean features of each class."""
    preprocessing = Preprocessing(height=64, width=64)
    network = build_classifier("resnet18", images.classes, seed=0, preprocessing=preprocessing).network
    classifier = Classifier(network, "resnet18", images.classes, preprocessing, record)
    features = classifier.extract(images.paths).features
    centres = np.stack([features[images.labels == label].mean(axis=0) for label in range(len(images.classes))])
    with torch.no_grad():
        network.fc.weight.copy_(torch.from_numpy(2 * centres))
        network.fc.bias.copy_(torch.from_numpy(-(centres**2).sum(axis=1)))
    return Classifier(network, "resnet18", images.classes, preprocessing, record)


def halves_record(images, hashed=True, groups=None):
    """Every second image trains, and the others are set aside to calibrate."""
    found, _ = difference_hashes(images.paths)
    hashes = dict(zip(images.digests, map(int, found), strict=True)) if hashed else {}
    parts = (frozenset(images.digests[::2]), frozenset(images.digests[1::2]), frozenset())
    return TrainingRecord(*parts, {"epochs": 0}, hashes=hashes, groups=groups or {})


def fitted(classifier, images, detectors=("nero", "energy"), settings=TENTH, ood=None, **given):
    """A reference of this classifier; `given` goes to `split_for_fit`."""
    return fit_reference(
        classifier,
        split_for_fit(classifier.training, images, **given),
        Card("Coloured noise"),
        detectors=detectors and {name: {} for name in detectors},
        ood=ood,
        crops=False,
        settings=settings,
    )
