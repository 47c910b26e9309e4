"""Real endoscopy frames at their original sizes, where they are at hand."""

from __future__ import annotations

import numpy as np
import pytest

from nero_core import Reference
from nero_core.data.class_folders import list_images, read_class_folders
from nero_core.data.images import read_image
from nero_core.data.near_duplicates import difference_hashes, large_groups, near_duplicate_groups
from nero_core.demo import rendered


@pytest.fixture(scope="module")
def reference():
    return Reference.load(rendered.BUNDLED)


def test_every_frame_is_read_scored_and_explained(gi_real, reference):
    frames = list_images(gi_real / "ood")
    assert len(frames) == 20
    acts = reference.classifier.extract(frames)
    scores = reference.score(acts)
    for e, decision in zip(reference.explain(acts), reference.decide(acts), strict=True):
        assert e.score == decision.score
        assert e.contributions.sum() == pytest.approx(e.distance, rel=1e-9)
    again = reference.score(reference.classifier.extract([read_image(frame) for frame in frames], batch_size=7))
    np.testing.assert_allclose(again, scores, rtol=1e-3)


def test_a_heatmap_of_a_whole_frame(gi_real, reference):
    frame = list_images(gi_real / "ood")[0]
    [(neuron, _)] = reference.explain(reference.classifier.extract([frame]))[0].top(1)
    maps = reference.heatmaps(frame, neurons=[neuron])
    assert maps.shape == (1, 224, 224)
    assert np.abs(maps).max() > 0


def test_near_duplicates_of_capsule_frames_do_not_chain(gi_real):
    images = read_class_folders(gi_real / "id" / "train")
    assert len(images) == 1351
    hashes, unreadable = difference_hashes(images.paths)
    assert not unreadable
    groups = near_duplicate_groups(hashes)
    assert large_groups(images, groups) == []
    assert np.unique(groups).size > 1000
