"""NERO in two dimensions: distances by hand, the way along the axes, and the terms of real images."""

from __future__ import annotations

import numpy as np
import pytest

from nero_core.errors import InputError
from nero_core.lesson.plane import equally_far, plane_of, read_point
from nero_core.reference.reference import Reference

CENTROIDS = np.array([[0.0, 0.0], [10.0, 0.0]])


def test_an_example_that_a_person_can_check():
    found = read_point(CENTROIDS, np.array([3.0, 4.0]), bias_term=1.0, factor=0.5)
    assert found.nearest == 0
    assert found.along.tolist() == [3, 4]
    assert found.distance == 7
    assert found.straight == 5
    assert found.path.tolist() == [[3, 4], [0, 4], [0, 0]]
    assert found.score == 4  # (7 + 1) · ½


def test_the_nearest_class_changes_half_way():
    assert [read_point(CENTROIDS, np.array([x, 2.0]), 0, 1).nearest for x in (4.9, 5.1)] == [0, 1]


def test_the_score_rises_with_each_of_its_parts():
    point = np.array([3.0, 4.0])
    least = read_point(CENTROIDS, point, 1, 0.5).score
    assert read_point(CENTROIDS, point * 1.1, 1, 0.5).score > least
    assert read_point(CENTROIDS, point, 1.5, 0.5).score > least
    assert read_point(CENTROIDS, point, 1, 0.6).score > least
    assert read_point(CENTROIDS, point, 1, 0).score == 0


def test_a_ruler_finds_both_equally_far_and_nero_does_not():
    axis, diagonal = equally_far(2.0)
    assert axis == 2
    assert diagonal == pytest.approx(2 * np.sqrt(2))


@pytest.mark.parametrize(
    ("point", "bias", "factor"),
    [([1.0], 0, 0), ([1.0, np.nan], 0, 0), ([1.0, 1.0], -1, 0), ([1.0, 1.0], np.inf, 0), ([1.0, 1.0], 0, 1.1)],
)
def test_what_cannot_be_is_refused(point, bias, factor):
    with pytest.raises(InputError):
        read_point(CENTROIDS, np.array(point), bias, factor)


def test_the_plane_is_the_reference_s_own(tiny_reference):
    reference = Reference.load(tiny_reference)
    nero, plane = reference.detector("nero"), plane_of(reference)
    assert plane.components == len(nero.components_)
    np.testing.assert_array_equal(plane.centroids, nero.centroids_[:, :2])
    assert 0 < plane.share <= 1
    assert (plane.low < plane.centroids.min(axis=0)).all()
    assert (plane.high > plane.centroids.max(axis=0)).all()


def test_places_and_terms_are_those_of_the_detector(tiny_reference):
    from nero_core.records import Activations

    reference = Reference.load(tiny_reference)
    nero, plane, sample = reference.detector("nero"), plane_of(reference), reference.sample
    batch = Activations(sample.features[:5], sample.logits[:5])
    places, terms = plane.place(batch)
    np.testing.assert_allclose(places, plane.points[:5], rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(terms.score, nero.score(batch))


def test_a_reference_without_a_sample_is_refused(tiny_reference):
    reference = Reference.load(tiny_reference)
    reference.sample = None
    with pytest.raises(InputError, match="sample"):
        plane_of(reference)
