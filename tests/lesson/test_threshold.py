"""Missed and falsely flagged: counted by hand, by a loop, and against the ROC curve; and the second camera."""

from __future__ import annotations

import numpy as np
import pytest

from nero_core.benchmark.reading import read_results
from nero_core.calibration import Calibration
from nero_core.data import scenes
from nero_core.data.guarantee import Guarantee
from nero_core.demo.rendered import BUNDLED
from nero_core.errors import ArtefactError, InputError
from nero_core.lesson import threshold
from nero_core.lesson.threshold import (
    BUNDLED_BENCHMARK,
    Scored,
    bundled_scores,
    second_camera,
    second_camera_scene,
    second_camera_scenes,
)
from nero_core.reference.reference import Reference


@pytest.fixture
def scored():
    """19 calibration scores 1 … 19: at α = 0.1 what is above 18 is flagged."""
    calibration = Calibration(np.arange(1.0, 20.0), Guarantee(holds=True))
    unusual = {"a": (np.array([20.0, 3.0, 25.0]), np.zeros(3, np.int64)), "b": (np.array([1.0]), np.zeros(1, np.int64))}
    return Scored("Detector", calibration, np.array([5.0, 30.0]), np.zeros(2, np.int64), unusual)


@pytest.fixture(scope="module")
def reference():
    return Reference.load(BUNDLED)


def test_an_example_that_a_person_can_check(scored):
    counts = scored.counts(0.1)
    assert (counts.false_alarms, counts.ordinary) == (1, 2)
    assert counts.missed == {"a": (1, 3), "b": (1, 1)}
    assert (counts.missed_in_all, counts.unusual) == (2, 4)
    assert counts.point == (0.5, 0.5)


def test_a_higher_alpha_misses_fewer_and_flags_more(scored):
    counts = [scored.counts(alpha) for alpha in (0.06, 0.1, 0.5, 0.9)]
    assert [c.missed_in_all for c in counts] == sorted((c.missed_in_all for c in counts), reverse=True)
    assert [c.false_alarms for c in counts] == sorted(c.false_alarms for c in counts)
    assert counts[0].missed_in_all > counts[-1].missed_in_all


def test_an_alpha_that_the_calibration_cannot_hold_is_refused(scored):
    with pytest.raises(InputError):
        scored.counts(0.01)


@pytest.mark.parametrize("detector", ["nero", "panel"])
def test_the_bundled_counts_are_those_of_a_loop_and_of_the_benchmark(reference, detector):
    scored = bundled_scores(reference, detector)
    counts = scored.counts(0.05)
    alarms = 0
    for score, predicted in zip(scored.ordinary, scored.predicted, strict=True):
        [p] = scored.calibration.p_values([score], [predicted])
        alarms += p <= 0.05 + 1e-12
    assert counts.false_alarms == alarms
    assert counts.ordinary == 300
    [row] = [row for row in read_results(BUNDLED_BENCHMARK).detectors if row.name == detector]
    assert counts.point[0] == pytest.approx(row.flagged["id"])
    for name, (missed, images) in counts.missed.items():
        assert 1 - missed / images == pytest.approx(row.flagged[name])


def test_the_point_lies_on_the_curve(reference):
    scored = bundled_scores(reference, "nero")
    ordinary, unusual = scored.roc()
    for alpha in (0.02, 0.05, 0.3):
        x, y = scored.counts(alpha).point
        assert np.min(np.abs(ordinary - x) + np.abs(unusual - y)) < 1e-9


def test_a_detector_without_scores_is_refused(reference):
    with pytest.raises(ArtefactError, match="nobody"):
        bundled_scores(reference, "nobody")


# The second camera --------------------------------------------------------------------------------------------------


def test_the_second_camera_changes_the_equipment_and_not_the_place():
    first = scenes.nuisances("z-line", 3)
    second = second_camera(first)
    assert second.text == first.text
    assert second.residue == first.residue
    assert second.bubbles == first.bubbles
    assert second.noise > first.noise
    one, other = np.asarray(scenes.render("z-line", 3, 64)), np.asarray(scenes.render("z-line", 3, 64, second))
    assert (one != other).any()


def test_its_scenes_are_deterministic_and_take_turns(monkeypatch):
    monkeypatch.setattr(threshold, "FRAME_PIXELS", 48)
    told = []
    found = second_camera_scenes(7, lambda done, of: told.append((done, of)))
    assert told == [(6, 7), (7, 7)]
    assert [np.asarray(picture).tobytes() for picture in found] == [
        np.asarray(second_camera_scene(number)).tobytes() for number in range(7)
    ]


def test_it_breaks_the_promise(reference):
    """Ordinary places, flagged far more often than promised: what the step shows is so."""
    seen = reference.classifier.extract(second_camera_scenes(12))
    flags = threshold.flagged_of(reference, "panel", 0.05, seen)
    assert flags.shape == (12,)
    assert flags.mean() > 0.5
