"""Real endoscopy frames: their statistics everywhere, and the frames themselves where they are at hand."""

from __future__ import annotations

import numpy as np
import pytest

from nero_core import Reference
from nero_core.data.class_folders import LabelledImages, list_images
from nero_core.data.images import read_image
from nero_core.data.near_duplicates import difference_hashes, large_groups, near_duplicate_groups
from nero_core.demo import rendered
from nero_core.records import Activations
from nero_core.storage.files import read_arrays
from tests import capsule_frames


@pytest.fixture(scope="module")
def reference():
    return Reference.load(rendered.BUNDLED)


@pytest.fixture(scope="module")
def kept():
    """Activations, scores and hashes of real frames, without their pixels."""
    arrays, notes = read_arrays(capsule_frames.PLACE)
    assert "CC BY 4.0" in notes["attribution"]
    return arrays


def test_real_features_are_scored_and_explained(kept, reference):
    activations = Activations(kept["features"], kept["logits"])
    assert len(activations) == capsule_frames.FRAMES * len(capsule_frames.CLASSES)
    scores = reference.score(activations, "nero")
    np.testing.assert_allclose(scores, kept["nero"], rtol=1e-9)
    for e, decision in zip(reference.explain(activations, "nero"), reference.decide(activations, "nero"), strict=True):
        assert e.score == decision.score
        assert e.contributions.sum() == pytest.approx(e.distance, rel=1e-9)


def test_near_duplicates_of_capsule_frames_do_not_chain(kept):
    hashes, labels = kept["hashes"], kept["labels"]
    names = tuple(map(str, range(len(hashes))))
    images = LabelledImages(names, labels, capsule_frames.CLASSES, names)
    groups = near_duplicate_groups(hashes)
    assert len(hashes) == 901
    assert large_groups(images, groups) == []
    assert np.unique(groups).size > 600


def test_what_is_kept_is_what_the_frames_give(gi_real, kept, reference):
    activations = reference.classifier.extract(capsule_frames.frames_of(gi_real))
    np.testing.assert_allclose(activations.features, kept["features"], rtol=1e-3, atol=1e-3)
    train = [difference_hashes(list_images(gi_real / "id" / "train" / name))[0] for name in capsule_frames.CLASSES]
    np.testing.assert_array_equal(np.concatenate(train), kept["hashes"])


def test_every_frame_is_read_scored_and_explained(gi_real, reference):
    frames = list_images(gi_real / "ood")
    assert len(frames) == 20
    acts = reference.classifier.extract(frames)
    scores = reference.score(acts, "nero")
    for e, decision in zip(reference.explain(acts, "nero"), reference.decide(acts, "nero"), strict=True):
        assert e.score == decision.score
        assert e.contributions.sum() == pytest.approx(e.distance, rel=1e-9)
    again = reference.score(reference.classifier.extract([read_image(frame) for frame in frames], batch_size=7), "nero")
    np.testing.assert_allclose(again, scores, rtol=1e-3)


def test_a_heatmap_of_a_whole_frame(gi_real, reference):
    frame = list_images(gi_real / "ood")[0]
    [(neuron, _)] = reference.explain(reference.classifier.extract([frame]), "nero")[0].top(1)
    maps = reference.heatmaps(frame, neurons=[neuron])
    assert maps.shape == (1, 224, 224)
    assert np.abs(maps).max() > 0
