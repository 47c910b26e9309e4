"""Covers: bad input, fillings against literal twins, random places, and the test of a region by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nero_core.case import Cover, CoverTest, cover_test, covered, open_case, parse_cover
from nero_core.case.covering import random_places
from nero_core.case.covers import CHANGED, FILLS, covered_pixels
from nero_core.case.inpainting import harmonic
from nero_core.errors import InputError
from tests.case.conftest import grey, ordinary

MIDDLE = Cover(0.25, 0.25, 0.5, 0.5)


# Rectangles --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0, 0, 0, 0.5), "empty"),
        ((0, 0, 0.5, -0.1), "empty"),
        ((-0.1, 0, 0.5, 0.5), "beyond"),
        ((0.6, 0, 0.5, 0.5), "beyond"),
        ((0, 0.6, 0.5, 0.5), "beyond"),
        ((float("nan"), 0, 0.5, 0.5), "NaN"),
        ((0, 0, float("inf"), 0.5), "NaN or infinity"),
    ],
)
def test_a_rectangle_that_is_none_is_refused(values, said):
    with pytest.raises(InputError, match=said):
        Cover(*values)


def test_pixels_of_a_cover():
    assert Cover(0.25, 0.5, 0.5, 0.25).box((8, 4)) == (2, 2, 6, 3)
    assert Cover(0.999, 0.999, 0.001, 0.001).box((8, 4)) == (7, 3, 8, 4), "one pixel at least, and within"
    assert Cover(0, 0, 1, 1).box((8, 4)) == (0, 0, 8, 4)
    assert Cover(0.1 + 0.2, 0, 0.7, 1).box((10, 10)) == (3, 0, 10, 10), "0.1 + 0.2 + 0.7 > 1 by rounding"


@given(st.integers(0, 29), st.integers(0, 29), st.integers(1, 30), st.integers(1, 30))
def test_boxes_and_covers_are_the_same(left, top, wide, high):
    box = (left, top, min(left + wide, 30), min(top + high, 30))
    assert Cover.of_box(box, (30, 30)).box((30, 30)) == box


@pytest.mark.parametrize("text", ["0.1,0.2,0.3,0.25", "10%, 20%, 30%, 25%", " 0.1,20%,0.3,25% "])
def test_a_cover_in_fractions_or_percent(text):
    assert parse_cover(text) == Cover(0.1, 0.2, 0.3, 0.25)


@pytest.mark.parametrize("text", ["", "1,2,3", "a,b,c,d", "0.1,0.1,0.1,0.1,0.1", "%,%,%,%", "10,20,30,25"])
def test_text_that_is_no_cover_is_refused(text):
    with pytest.raises(InputError, match="cover"):
        parse_cover(text)


# Fillings ----------------------------------------------------------------------------------------------------------


def test_covering_nothing_changes_nothing():
    image = ordinary(0)
    for fill in FILLS:
        np.testing.assert_array_equal(np.asarray(covered(image, [], fill)), np.asarray(image))


@pytest.mark.parametrize("fill", FILLS)
def test_what_is_under_a_cover_has_no_part_in_it_and_the_rest_stays(fill):
    covers = [MIDDLE, Cover(0, 0.9, 0.3, 0.1)]
    image = grey(1, size=(100, 70))
    mask = covered_pixels(image.size, covers)
    other = np.array(image)
    other[mask] = np.random.default_rng(0).integers(0, 256, (int(mask.sum()), 3))
    one, two = (np.asarray(covered(each, covers, fill)) for each in (image, Image.fromarray(other)))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one[~mask], np.asarray(image)[~mask])


def test_the_mean_colour_by_its_twin():
    image = grey(2)
    kept = [image.getpixel((x, y)) for y in range(64) for x in range(64) if not (16 <= x < 48 and 16 <= y < 48)]
    wanted = tuple(round(sum(colour[c] for colour in kept) / len(kept)) for c in range(3))
    assert covered(image, [MIDDLE], "mean").getpixel((30, 30)) == wanted


def test_a_flat_image_is_filled_with_its_colour():
    image = Image.new("RGB", (500, 300), (120, 60, 30))
    for fill in FILLS:
        assert covered(image, [MIDDLE], fill).getcolors() == [(150000, (120, 60, 30))]


def test_inpainting_goes_on_with_a_slope():
    slope = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(100, axis=0)
    filled = np.asarray(covered(Image.fromarray(slope), [MIDDLE])).astype(int)
    assert abs(filled - slope.astype(int)).max() <= 3, "of 255 grey levels, from the reduced copy"


def test_a_gap_between_0_and_3_is_1_and_2():
    filled = harmonic(np.array([[0.0, 9, 9, 3]]), np.array([[True, False, False, True]]))
    np.testing.assert_allclose(filled, [[0, 1, 2, 3]])


def test_harmonic_by_its_twin():
    """Each unknown cell again and again the mean of its neighbours, until nothing moves."""
    rng = np.random.default_rng(0)
    values, known = rng.uniform(0, 255, (7, 9)), rng.random((7, 9)) < 0.5
    filled = np.where(known, values, 0.0)
    for _ in range(3000):
        for y in range(7):
            for x in range(9):
                if not known[y, x]:
                    beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
                    beside = [filled[a, b] for a, b in beside if 0 <= a < 7 and 0 <= b < 9]
                    filled[y, x] = sum(beside) / len(beside)
    found = harmonic(values, known)
    np.testing.assert_allclose(found, filled, atol=1e-6)
    assert values[known].min() <= found.min() <= found.max() <= values[known].max()


def test_nothing_left_uncovered_and_unknown_fillings_are_refused():
    for fill in FILLS:
        with pytest.raises(InputError, match="leave nothing"):
            covered(grey(0), [Cover(0, 0, 1, 1)], fill)
    with pytest.raises(InputError, match="no filling 'black'"):
        covered(grey(0), [MIDDLE], "black")


# Random places -----------------------------------------------------------------------------------------------------

REGION = Cover(0.25, 0.5, 0.25, 0.2)


def shares_no_pixel(one, other, size):
    return not (covered_pixels(size, [one]) & covered_pixels(size, [other])).any()


@given(st.integers(0, 10**6))
def test_random_places_are_inside_different_beside_the_region_and_of_its_size(seed):
    content = np.zeros((60, 80), bool)
    content[6:54, 8:72] = True
    places = random_places(REGION, content, seed)
    assert len(set(places)) == 8
    left, top, right, bottom = REGION.box((80, 60))
    for place in places:
        x0, y0, x1, y1 = place.box((80, 60))
        assert (x1 - x0, y1 - y0) == (right - left, bottom - top)
        assert shares_no_pixel(place, REGION, (80, 60))
        assert content[y0:y1, x0:x1].mean() >= 0.9


def test_places_are_those_of_the_twin():
    """Every place that is allowed comes up, and no other."""
    content = np.ones((16, 16), bool)
    content[:, :3] = False
    region = Cover.of_box((6, 6, 10, 10), (16, 16))
    allowed = {
        (x, y, x + 4, y + 4)
        for x in range(13)
        for y in range(13)
        if (x + 4 <= 6 or x >= 10 or y + 4 <= 6 or y >= 10) and content[y : y + 4, x : x + 4].mean() >= 0.9
    }
    drawn = {place.box((16, 16)) for seed in range(150) for place in random_places(region, content, seed)}
    assert drawn == allowed


def test_a_region_on_the_border_is_held_against_places_with_as_much_of_it():
    content = np.zeros((64, 64), bool)
    content[:, 32:] = True
    region = Cover(0.375, 0.25, 0.25, 0.25)  # half of it on the border
    places = random_places(region, content, 0)
    assert len(places) == 8
    for place in places:
        left, top, right, bottom = place.box((64, 64))
        assert content[top:bottom, left:right].mean() >= 0.5


def test_the_seed_decides():
    content = np.ones((64, 64), bool)
    assert random_places(REGION, content, 3) == random_places(REGION, content, 3)
    assert random_places(REGION, content, 3) != random_places(REGION, content, 4)


def test_without_room_there_is_no_place():
    assert random_places(Cover(0.1, 0.1, 0.8, 0.8), np.ones((64, 64), bool), 0) == ()


# The test ----------------------------------------------------------------------------------------------------------


def outcome(after, elsewhere, usual=2.0):
    """Of covering a region of an image that scores 10."""
    return CoverTest(REGION, (REGION,) * len(elsewhere), "mean", 0, 10.0, after, tuple(elsewhere), usual)


def test_rank_and_outcome_by_hand():
    best = outcome(5, [9, 8, 10, 11, 7, 9, 9, 6])
    assert (best.fall, best.rank, best.confirmed) == (5, 1, True)
    third = outcome(8, [9, 7, 10, 11, 6, 9, 9, 9])
    assert (third.fall, third.rank, third.confirmed) == (2, 3, False)
    tie = outcome(8, [9, 8, 10, 11, 9, 9, 9, 9])
    assert (tie.rank, tie.confirmed) == (2, False)
    within_rounding = outcome(8, [8.0005, *[9] * 7])
    assert within_rounding.rank == 2, "1e-4 of 10 is 0.001"
    raised = outcome(10.5, [11] * 8)
    assert (raised.rank, raised.lowers, raised.confirmed) == (1, False, False)


def test_a_fall_has_to_be_a_tenth_of_what_is_above_usual():
    assert outcome(9.2, [10] * 8).confirmed, "0.8 of 8"
    little = outcome(9.21, [10] * 8)
    assert (little.lowers, little.rank, little.worth, little.confirmed) == (True, 1, False, False)
    assert outcome(9.9, [10] * 8, usual=12.0).confirmed, "a score below the usual one has nothing above it"


def test_a_covered_case_has_no_guarantee_and_the_same_reference(green_reference):
    image = ordinary(1)
    case = open_case(green_reference, image, "greenness")
    other = case.cover(image, [MIDDLE], "mean")
    decision = other.decide(0.1)
    assert case.decide(0.1).guaranteed
    assert (decision.guaranteed, decision.no_guarantee_because) == (False, CHANGED)
    assert other.reference is case.reference
    assert other.under("nero").decide(0.1).no_guarantee_because == CHANGED
    assert (other.covers, other.fill) == ((MIDDLE,), "mean")


def test_a_case_without_covers_is_the_same_again(green_reference):
    image = ordinary(1)
    case = open_case(green_reference, image, "greenness")
    again = case.cover(image, [])
    assert again.score == case.score
    assert again.decide(0.1) == case.decide(0.1)
    assert (again.covers, again.fill) == ((), None)


def test_cover_test_by_its_twin(green_reference):
    image = grey(5, 120, [(8, 8, 24, 24)])
    case = open_case(green_reference, image, "greenness")
    region = Cover(0.125, 0.125, 0.25, 0.25)
    found = cover_test(case, image, region, seed=7)
    assert found.before == case.score
    assert found.others == random_places(region, np.ones((64, 64), bool), 7)
    for cover, score in zip((region, *found.others), (found.after, *found.elsewhere), strict=True):
        alone = open_case(green_reference, covered(image, [cover]), "greenness")
        assert score == alone.score
    assert found.confirmed
    assert found == cover_test(case, image, region, seed=7), "the same again"
    assert cover_test(case, image, Cover(0.05, 0.05, 0.9, 0.9)) is None


def test_a_place_that_drives_nothing_is_not_confirmed(green_reference):
    image = grey(5, 120, [(8, 8, 24, 24)])
    case = open_case(green_reference, image, "greenness")
    for seed in range(5):
        found = cover_test(case, image, Cover(0.6, 0.6, 0.25, 0.25), seed)
        assert not found.confirmed


def test_content_of_another_size_is_refused(green_reference):
    image = ordinary(1)
    with pytest.raises(InputError, match=r"\(3, 4\)"):
        cover_test(open_case(green_reference, image), image, REGION, content=np.ones((3, 4), bool))
