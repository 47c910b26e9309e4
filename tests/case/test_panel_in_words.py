"""What a panel's members say of an image, and what a reference catches, in words."""

from __future__ import annotations

import numpy as np
import pytest

from nero_core.calibration.in_words import caught_in_words
from nero_core.case import MemberReading, members_in_words, open_case
from nero_core.data.class_folders import list_images, read_class_folders
from nero_core.data.images import read_image
from nero_core.reference.reference import Reference
from tests.references import fitted, halves_record, telling_classifier


@pytest.fixture(scope="module")
def reference(class_folders, tmp_path_factory):
    """With a panel: fitted without a word about detectors."""
    images = read_class_folders(class_folders)
    folder = tmp_path_factory.mktemp("panel") / "r"
    fitted(telling_classifier(images, halves_record(images)), images, None).save(folder)
    return Reference.load(folder)


def member(name, p, weight=0.25, share=0.25):
    return MemberReading(name, weight, 1.0, share, p)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([], ""),
        (
            [member("stage_mahalanobis", 0.01), member("nero", 0.5, 0.0), member("mahalanobis_pp", 0.04)],
            "Stage Mahalanobis led: colour and texture in early layers; Mahalanobis++ agrees; NERO sees nothing "
            "unusual.",
        ),
        (
            [member("energy", 0.02), member("stage_mahalanobis", 0.01), member("mahalanobis_pp", 0.03)],
            "Energy led: how strongly the classes answer; Stage Mahalanobis and Mahalanobis++ agree.",
        ),
        (
            [member("nero", 0.02), member("energy", 0.08), member("stage_mahalanobis", 0.3), member("knn", 0.9, 0.0)],
            "NERO led: which neurons the answer rests on; Stage Mahalanobis sees nothing unusual.",
        ),
        ([member("nero", 0.4), member("energy", 0.8)], "None of the panel’s detectors finds this image unusual."),
        (  # a member that counts little, or nothing, sees it all the same
            [member("energy", 0.2), member("mahalanobis_pp", 0.3), member("nero", 0.01, 0.0, 0.0)],
            "NERO finds this image unusual; Energy and Mahalanobis++ see nothing unusual.",
        ),
        (  # the first by weight is not the one that sees it
            [member("stage_mahalanobis", 0.2, 0.8, 0.7), member("energy", 0.08, 0.2, 0.3)],
            "Energy finds this image borderline; Stage Mahalanobis sees nothing unusual.",
        ),
    ],
)
def test_who_led_and_who_sees_it_otherwise(members, said):
    assert members_in_words(members, 0.05) == said


def test_an_image_that_only_the_panel_as_a_whole_flags_is_said_to_be_one():
    members = [member("nero", 0.2), member("energy", 0.12)]
    said = "None of the panel’s detectors alone finds this image unusual; together they do."
    assert members_in_words(members, 0.05, flagged=True) == said


def test_a_panel_s_value_is_what_its_members_add(reference, class_folders):
    case = open_case(reference, read_image(next(class_folders.rglob("*.png"))))
    assert case.detector == "panel"
    panel = reference.detector("panel")
    value = float(next(panel.readings(case.activations))[1].value[0])
    assert {each.name for each in case.members} == set(panel.members_)
    assert sum(each.weight for each in case.members) == pytest.approx(1)
    assert sum(each.weight * each.surprise for each in case.members) == pytest.approx(value)
    if value > 0:
        assert sum(each.share for each in case.members) == pytest.approx(1)
    assert [each.share for each in case.members] == sorted((each.share for each in case.members), reverse=True)
    assert case.leader is case.members[0]
    for each in case.members:
        own = reference.decide(case.activations, each.name, 0.1)[0]
        assert each.p_value == pytest.approx(own.p_value)
        assert each.state(0.1) == own.state


def test_the_account_is_that_of_the_first_member_that_has_one(reference, class_folders):
    case = open_case(reference, read_image(next(class_folders.rglob("*.png"))))
    exact = [each.name for each in case.members if each.weight > 0 and each.name != "energy"]
    assert case.explained == exact[0]
    assert case.explanation.score == pytest.approx(float(reference.score(case.activations, case.explained)[0]))
    alone = case.under("energy")
    assert alone.members == ()
    assert alone.leader is None
    assert alone.explained == "energy"
    assert alone.explanation is None


def test_numbers_name_the_panel_s_members(reference, class_folders):
    case = open_case(reference, read_image(next(class_folders.rglob("*.png"))))
    numbers = case.numbers(0.1, 3)
    assert numbers["detector"] == "panel"
    assert numbers["explained"] == case.explained
    assert [each["name"] for each in numbers["panel"]] == [each.name for each in case.members]
    assert all(each["state"] in {"in-distribution", "borderline", "out-of-distribution"} for each in numbers["panel"])
    account = np.sum(numbers["contributions"]) + sum(numbers["terms"].values())
    assert numbers["factor"] * account == pytest.approx(case.explanation.score)


@pytest.mark.parametrize(
    ("caught", "said"),
    [
        (None, "Nobody has measured what this reference misses."),
        (
            {"a": (1, 10), "b": (9, 10)},
            "Known unusual images caught: 10 to 90 of 100, by kind (2 kinds of 10 images); the others are missed.",
        ),
        ({}, "Nobody has measured what this reference misses."),
        ({"polyp": (3, 10)}, "Known unusual images caught: 3 of 10, of one kind; the others are missed."),
        (
            {"polyp": (31, 100), "ulcer": (39, 40), "blood": (1, 3)},
            "Known unusual images caught: 31 to 97 of 100, by kind (3 kinds of 3 to 100 images); the others are "
            "missed.",
        ),
        (
            {"polyp": (5, 10), "ulcer": (2, 4)},
            "Known unusual images caught: 50 of 100, by kind (2 kinds of 4 to 10 images); the others are missed.",
        ),
    ],
)
def test_what_is_caught_is_a_range_over_sets(caught, said):
    assert caught_in_words(caught) == said


def test_an_earlier_reference_with_known_images_does_not_say_that_nobody_measured():
    assert caught_in_words(None, sets=2).startswith("What this reference misses cannot be said: an earlier version")


def test_a_case_of_a_folder_is_read_the_same_alone_and_in_a_batch(reference, class_folders):
    from nero_core.case import read_members

    paths = list_images(class_folders)[:4]
    together = read_members(reference, reference.classifier.extract(paths))
    for path, members in zip(paths, together, strict=True):
        alone = open_case(reference, read_image(path)).members
        assert [each.name for each in alone] == [each.name for each in members]
        for one, other in zip(alone, members, strict=True):
            assert one.p_value == pytest.approx(other.p_value)
