"""The words for whether heatmaps are true: what is said follows from the numbers, and what was not measured is said."""

from __future__ import annotations

import pytest

from nero_core.errors import ArtefactError
from nero_core.metrics import effect
from nero_core.reference.heatmap_truth import is_flat, said_of_chance, said_of_left, stored_heatmaps

EARLIER = {"method": "CRP", "deletion": 0.5, "insertion": 0.9, "gain": 0.2, "gain_standard_error": 0.02}
EARLIER |= {"better_than_random": 0.9, "by_chance": False, "stability": 0.9, "shuffled": 0.0}
RANDOM = {"method": "random order", "deletion": 0.7, "insertion": 0.8}


@pytest.mark.parametrize(
    ("mean", "error", "count", "said"),
    [
        (0.3, 0.02, 60, "better than chance"),
        (0.01, 0.004, 100, "more than chance by so little (d_z 0.25, below 0.5) that it is not called better"),
        (0.01, 0.02, 60, "chance can do as well"),
        (0.0, 0.0, 4, "chance can do as well"),
        (-0.3, 0.02, 60, "worse than chance"),
        (0.3, 0.0, 1, "one image alone does not tell whether chance can do as well"),
        (0.3, 0.0, 4, "better than chance"),
    ],
)
def test_chance(mean, error, count, said):
    assert said_of_chance(effect(mean, error, count)) == said


def test_a_flat_curve_is_said_and_a_steep_one_is_not():
    assert said_of_left(0.86).startswith("86\u00a0% of this answer does not need the image: so much of its probability")
    assert said_of_left(0.86, of="score").startswith("86\u00a0% of this score does not need the image")
    assert said_of_left(0.86, 60).endswith("blurred away, on average over 60 images")
    assert said_of_left(0.3) == "30\u00a0% of this answer is left when the whole image is blurred away"
    said = "None of this answer needs the image: its probability is 104\u00a0% of itself"
    assert said_of_left(1.04).startswith(said)
    assert said_of_left(4.26).startswith("None of this answer needs the image")
    assert [is_flat(left) for left in (None, 0.0, 0.7499, 0.75, 1.2)] == [False, False, False, True, True]


def test_a_score_that_rises_without_the_image_is_not_said_to_need_none_of_it():
    """A blurred frame is unusual itself: seen on real frames, where the score came to four times its own size."""
    assert said_of_left(4.26, 24, "score") == (
        "The score rises to 426\u00a0% of itself when the whole image is blurred away, on average over 24 images: "
        "blurring does not tell how much of it needs the image"
    )
    assert said_of_left(1.1, of="score").startswith("None of this score needs the image: it is 110\u00a0% of itself")
    assert [is_flat(left, "score") for left in (0.74, 0.75, 1.33, 1.34)] == [False, True, True, False]


def test_what_was_not_measured_is_said():
    assert said_of_left(None, 60) == "How much of the answer does not need the image was not measured"
    assert "scores of this detector can be 0 or less" in said_of_left(None, of="score")


def test_a_summary_of_an_earlier_version_opens_and_is_judged_by_the_same_rule():
    kept = stored_heatmaps({"heatmaps": {"images": 60, "methods": [EARLIER, RANDOM]}})
    assert (kept.images, kept.methods, kept.random, kept.left) == (60, [EARLIER], RANDOM, None)
    assert kept.effect(kept.methods[0]).better
    small = {**EARLIER, "gain": 0.05}  # 2.5 standard errors, which was not chance before; d_z is 0.32
    kept = stored_heatmaps({"heatmaps": {"images": 60, "left": 0.9, "methods": [small, RANDOM]}})
    assert kept.left == 0.9
    assert not kept.effect(kept.methods[0]).better
    assert stored_heatmaps({}) is None


@pytest.mark.parametrize("left", [-0.1, float("nan"), "much", None, True])
def test_a_share_that_cannot_be_is_refused(left):
    with pytest.raises(ArtefactError, match=r"heatmaps\.left"):
        stored_heatmaps({"heatmaps": {"images": 60, "left": left, "methods": [EARLIER, RANDOM]}})


@pytest.mark.parametrize("methods", [[], [RANDOM], "CRP"])
def test_a_summary_without_a_method_is_refused(methods):
    with pytest.raises(ArtefactError, match=r"heatmaps\.methods"):
        stored_heatmaps({"heatmaps": {"images": 60, "methods": methods}})
