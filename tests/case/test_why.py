"""Why: the place is found and confirmed where a known square drives the score, and not where nothing local does."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from nero_core.case import Cover, leading_neurons, open_case, tell_why
from nero_core.case.leading import cell_sums, densest_rectangle, region_of, seen_part, share_on, shares_of
from nero_core.data.images import displayed
from nero_core.data.input_checks.places import LOOKED_FOR, find_places
from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import InputError
from tests.case.conftest import GREEN, SIDE, grey

STRETCHED = Preprocessing(64, 64)


def told(reference, image, detector="greenness", **more):
    return tell_why(open_case(reference, image, detector), image, **more)


# A known square ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_a_square_that_drives_the_score_is_found_and_confirmed(green_reference, seed):
    left, top = (int(v) for v in np.random.default_rng(seed).integers(0, SIDE - 16, 2))
    why = told(green_reference, grey(seed, 120, [(left, top, left + 16, top + 16)]))
    x0, y0, x1, y1 = why.region.box((SIDE, SIDE))
    inside = max(0, min(x1, left + 16) - max(x0, left)) * max(0, min(y1, top + 16) - max(y0, top))
    assert inside >= 0.75 * 16**2
    assert why.outcome == "confirmed"
    assert why.sentence.endswith("confirmed.")
    assert f"from {why.test.before:.3g} to {why.test.after:.3g}" in why.sentence


@pytest.mark.parametrize("seed", range(12))
def test_a_tint_all_over_is_not_confirmed(green_reference, seed):
    tinted = np.clip(np.asarray(grey(seed, 120)).astype(int) + np.array([-20, 40, -20]), 0, 255).astype(np.uint8)
    why = told(green_reference, Image.fromarray(tinted))
    assert open_case(green_reference, Image.fromarray(tinted), "greenness").decide(0.1).state == "out-of-distribution"
    assert why.outcome == "not confirmed"


def test_a_flat_image_has_no_place(green_reference):
    why = told(green_reference, Image.new("RGB", (SIDE, SIDE), (90, 160, 90)))
    assert (why.region, why.place, why.test, why.outcome) == (None, None, None, "not tested")
    assert "nowhere in particular" in why.sentence


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255)])
def test_an_image_without_content_is_no_crash(green_reference, colour):
    for detector in ("greenness", "nero", "energy"):
        assert told(green_reference, Image.new("RGB", (80, 50), colour), detector).outcome != "confirmed"


def test_it_is_the_same_again_and_the_seed_moves_the_random_places(green_reference):
    image = grey(3, 120, [(20, 20, 36, 36)])
    first, again, other = (told(green_reference, image, seed=seed) for seed in (0, 0, 1))
    assert first.numbers() == again.numbers()
    assert first.region == other.region
    assert first.test.others != other.test.others


def test_what_is_said_is_what_was_computed(green_reference):
    image = grey(3, 120, [(20, 20, 36, 36)])
    case = open_case(green_reference, image, "greenness")
    why = tell_why(case, image)
    e = case.explanation
    assert why.carried == pytest.approx(float(e.contributions.sum()) / e.score)
    assert why.neurons[0].channel == GREEN
    assert (why.leads, why.member, why.place) == ("Greenness", "Greenness", "tissue")
    assert "no position picture, burnt-in text, glare or black border" in why.sentence
    assert f"neuron {GREEN} carries most" in why.carries
    assert json.loads(json.dumps(why.numbers()))["cover_test"]["rank"] == why.test.rank


def test_a_term_that_leads_comes_first(green_reference):
    why = told(green_reference, grey(3, 120, [(20, 20, 36, 36)]), "nero")
    assert "most by its bias term, which sits nowhere in the image" in why.sentence
    assert "the bias term carries most" in why.carries


def test_a_score_without_an_account_is_said_to_have_none(green_reference):
    why = told(green_reference, grey(3, 120, [(20, 20, 36, 36)]), "energy")
    assert "Energy decides (how strongly the classes answer), which is no sum over neurons" in why.sentence
    assert (why.carried, why.carries, why.neurons) == (None, "", ())


def test_a_panel_names_the_member_that_leads(tiny_reference, strange_folder):
    """NERO decides there, without a panel; of a panel see the real frames."""
    from nero_core import Reference
    from nero_core.data.images import read_image

    image = read_image(sorted(strange_folder.iterdir())[0])
    why = told(Reference.load(tiny_reference), image, None)
    assert why.leads == why.member == "NERO"
    assert len(why.neurons) == 32


# What lies there ---------------------------------------------------------------------------------------------------


def test_the_place_is_what_most_of_the_relevance_lies_on(green_reference):
    image = grey(3, 120, [(20, 20, 36, 36)])
    text = np.zeros((SIDE, SIDE), bool)
    text[18:38, 18:38] = True
    why = told(green_reference, image, regions={"burnt-in text": text})
    assert why.place == "burnt-in text"
    assert "on burnt-in text" in why.sentence
    nothing = told(green_reference, image, regions={"position picture": np.zeros((SIDE, SIDE), bool)})
    assert nothing.place == "tissue"
    assert "on tissue (no position picture there)" in nothing.sentence
    assert "tissue" not in told(green_reference, image, regions={}).sentence


def test_a_mask_of_another_size_is_refused(green_reference):
    with pytest.raises(InputError, match="'glare' has shape"):
        told(green_reference, grey(0), regions={"glare": np.zeros((5, 5), bool)})


def test_places_are_those_of_the_input_checks():
    """A tissue-coloured frame with a black margin of an eighth: the border is there, and nothing else is."""
    rng = np.random.default_rng(0)
    frame = np.clip(np.array([170, 90, 70]) + rng.normal(0, 18, (240, 320, 1)), 0, 255).astype(np.uint8)
    frame[:, :40] = 3
    found = find_places(Image.fromarray(frame))
    assert list(found) == list(LOOKED_FOR)
    wanted = np.zeros((240, 320), bool)
    wanted[:, :40] = True
    assert (found["black border"] != wanted).mean() < 0.02
    assert not found["position picture"].any()
    assert not found["burnt-in text"].any()
    assert all(mask.shape == (240, 320) and mask.dtype == bool for mask in found.values())


# Where -------------------------------------------------------------------------------------------------------------


def test_the_densest_rectangle_by_its_twin():
    for seed in range(6):
        sums = np.random.default_rng(seed).exponential(size=(6, 7)) ** 2
        best = max(
            (sums[y : y + h, x : x + w].sum() / sums.sum() - h * w / 42, (x, y, x + w, y + h))
            for h in range(1, 4)
            for w in range(1, 4)
            for y in range(7 - h)
            for x in range(8 - w)
        )
        box, share = densest_rectangle(sums, longest=3)
        assert box == best[1]
        assert share == pytest.approx(sums[box[1] : box[3], box[0] : box[2]].sum() / sums.sum())


def test_a_block_is_its_own_rectangle_and_evenness_has_none():
    sums = np.zeros((16, 16))
    sums[3:6, 10:14] = 2
    assert densest_rectangle(sums) == ((10, 3, 14, 6), pytest.approx(1))
    assert densest_rectangle(np.ones((16, 16))) is None
    assert densest_rectangle(np.zeros((16, 16))) is None


def test_sums_of_cells_by_their_twin():
    heatmap = np.random.default_rng(0).random((10, 7))
    wanted = np.zeros((4, 4))
    for y in range(10):
        for x in range(7):
            wanted[y * 4 // 10, x * 4 // 7] += heatmap[y, x]
    np.testing.assert_allclose(cell_sums(heatmap, 4), wanted)


@pytest.mark.parametrize("share", [None, 0.875, 1.0, 0.6])
@pytest.mark.parametrize("size", [(300, 200), (200, 300), (128, 128)])
def test_a_region_lies_in_the_image_where_the_network_saw_it(size, share):
    """The region is painted white on black; as the network sees it, it lies where the map was."""
    preprocessing = Preprocessing(64, 64, crop_share=share)
    heatmap = np.zeros((64, 64))
    heatmap[8:20, 28:44] = 1
    region, held = region_of(heatmap, size, preprocessing)
    assert held == pytest.approx(1)
    picture = np.zeros((*size[::-1], 3), np.uint8)
    left, top, right, bottom = region.box(size)
    picture[top:bottom, left:right] = 255
    seen = np.asarray(displayed(Image.fromarray(picture), preprocessing))[..., 0] >= 128
    assert (seen != (heatmap > 0)).mean() < 0.02
    assert seen_part((64, 64), Preprocessing(64, 64)) == (0, 0, 1, 1)


def test_share_on_a_mask_by_hand():
    heatmap, mask = np.ones((64, 64)), np.zeros((64, 64), bool)
    mask[:, :8] = True
    assert share_on(mask, heatmap, Cover(0, 0, 0.5, 1), STRETCHED) == pytest.approx(0.25)
    heatmap[:, :8] = 9
    assert share_on(mask, heatmap, Cover(0, 0, 0.5, 1), STRETCHED) == pytest.approx(72 / 96)
    assert share_on(mask, np.zeros((64, 64)), Cover(0, 0, 0.5, 1), STRETCHED) == 0
    with pytest.raises(InputError, match="height and width"):
        share_on(np.zeros((2, 2, 2), bool), heatmap, Cover(0, 0, 1, 1), STRETCHED)


def test_maps_of_leading_neurons_are_those_that_the_case_draws(green_reference):
    image = grey(3, 120, [(20, 20, 36, 36)])
    case, other = (open_case(green_reference, image, "greenness") for _ in range(2))
    leading = leading_neurons(case, image)
    list(other.draw(image, leading.neurons))
    for neuron, heatmap in zip(leading.neurons, leading.maps, strict=True):
        np.testing.assert_allclose(heatmap, other.maps[neuron], atol=1e-7)
        assert case.methods[neuron] == other.methods[neuron]
    weights = np.maximum(leading.contributions, 0)
    twin = sum(w * np.abs(m) / np.abs(m).sum() for w, m in zip(weights, leading.maps, strict=True) if w)
    np.testing.assert_allclose(leading.raising, twin, rtol=1e-5, atol=1e-12)


def test_a_map_of_zeros_has_no_shares():
    np.testing.assert_array_equal(shares_of(np.zeros((1, 3, 3))), 0)
    np.testing.assert_allclose(shares_of(np.array([[[-1.0, 3.0]]])), [[[0.25, 0.75]]])
