"""Detectors on places: literal twins, an example by hand, what is masked, and that the account is the score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from sklearn.neighbors import NearestNeighbors

from nero_core.data.images import preprocess
from nero_core.data.input_checks.places import find_places
from nero_core.detectors import DETECTORS, make_detector
from nero_core.detectors.places import base
from nero_core.detectors.places.base import OnPlaces, Places, mean_around, mean_of_largest, shares_in, smoothed
from nero_core.detectors.places.patch_knn import greedy_coreset
from nero_core.detectors.places.pseudo_lesion import balanced, with_surroundings
from nero_core.errors import InputError
from nero_core.network.image_source import Images
from nero_core.records import Layout
from tests.activations import image_activations, noise_images, tiny_classifier

NAMES = sorted(name for name, detector in DETECTORS.items() if issubclass(detector, OnPlaces))


@pytest.fixture(scope="module")
def train():
    return image_activations(36, seed=0)


@pytest.fixture(scope="module", params=NAMES)
def fitted(request, train):
    return make_detector(request.param).fit(*train)


def activations_of(pictures):
    return tiny_classifier().extract(pictures, keep_source=True)


# The score by hand ---------------------------------------------------------------------------------------------------


def test_the_mean_of_the_largest_few_by_hand():
    novelty = np.array([[5.0, 1.0, 7.0], [7.0, 9.0, 2.0]])
    usable = np.array([[True, True, True], [True, False, True]])
    # Three of six places: 7 and 7, then 5; 9 is masked.
    np.testing.assert_allclose(mean_of_largest(novelty, usable, 0.5), [[5 / 3, 0, 7 / 3], [7 / 3, 0, 0]])
    # One of them: of the two sevens the first by position.
    np.testing.assert_array_equal(mean_of_largest(novelty, usable, 0.1), [[0, 0, 7], [0, 0, 0]])
    few = np.array([[True, False, False], [False, False, True]])
    np.testing.assert_array_equal(mean_of_largest(novelty, few, 0.9), [[2.5, 0, 0], [0, 0, 1]])


def test_a_negative_novelty_stays_negative():
    account = mean_of_largest(np.array([[-4.0, -2.0]]), np.array([[True, True]]), 1.0)
    np.testing.assert_array_equal(account, [[-2, -1]])


def test_means_round_a_place_leave_out_what_is_masked():
    rng = np.random.default_rng(0)
    seen = Places(rng.normal(size=(5, 6, 2)).astype(np.float32), rng.random((5, 6)) < 0.7)
    for reach in (1, 3):
        found = mean_around(seen, reach)
        for row in range(5):
            for column in range(6):
                near = [
                    seen.values[r, c]
                    for r in range(max(0, row - reach), min(5, row + reach + 1))
                    for c in range(max(0, column - reach), min(6, column + reach + 1))
                    if seen.usable[r, c]
                ]
                wanted = np.mean(near, axis=0) if near else seen.values[row, column]
                np.testing.assert_allclose(found[row, column], wanted, atol=1e-5)


def test_shares_of_cells_by_hand():
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = mask[:2, 2:] = True
    np.testing.assert_allclose(shares_in(mask, 2, 2), [[0.25, 1.0], [0, 0]])


# Literal twins -------------------------------------------------------------------------------------------------------


def places_literally(picture, scale):
    """Maps of stage 1 of the tiny network at `scale` times 32 pixels, (h, w, 16), and what is usable."""
    classifier = tiny_classifier()
    side = round(32 * scale)
    own = replace(classifier.preprocessing, height=side, width=side)
    x = torch.from_numpy(preprocess(picture, own))[None]
    network = classifier.private_copy()
    with torch.no_grad():
        values = network[1](network[0](x))[0].permute(1, 2, 0).numpy()
    mask = np.zeros(picture.size[::-1], bool)
    for each in find_places(picture).values():
        mask |= each
    h, w = values.shape[:2]
    cells = F.adaptive_avg_pool2d(torch.from_numpy(mask.astype(np.float32))[None], (h, w))[0].numpy()
    usable = cells < 0.25
    return values, usable if usable.any() else np.ones((h, w), bool)


def largest_mean_literally(novelty, usable, share):
    values = sorted(novelty[usable].tolist(), reverse=True)
    m = min(int(np.ceil(share * novelty.size)), len(values))
    return sum(values[:m]) / m


@pytest.fixture(scope="module")
def pictures():
    return noise_images(6, seed=5)[0]


def test_patch_knn_is_its_literal_twin(train, pictures):
    detector = make_detector("patch_knn", k=3, bank=50, share=0.1, scale=1.5).fit(*train)
    scores = detector.score(activations_of(pictures))
    nearest = NearestNeighbors(n_neighbors=3).fit(detector.bank_)
    for picture, score in zip(pictures, scores, strict=True):
        values, usable = places_literally(picture, 1.5)
        values = (smoothed(Places(values, usable)) - detector.mean_) / detector.deviation_
        distances = nearest.kneighbors(values.reshape(-1, values.shape[2]))[0]
        novelty = (distances**2).mean(axis=1).reshape(usable.shape)
        assert score == pytest.approx(largest_mean_literally(novelty, usable, 0.1), rel=1e-4)


def test_patch_gaussian_is_its_literal_twin(train, pictures):
    detector = make_detector("patch_gaussian", share=0.05, scale=1.0).fit(*train)
    precision = detector.whitening_ @ detector.whitening_.T
    for picture, score in zip(pictures, detector.score(activations_of(pictures)), strict=True):
        values, usable = places_literally(picture, 1.0)
        values = (smoothed(Places(values, usable)) - detector.mean_) / detector.deviation_
        novelty = np.einsum("hwc,cd,hwd->hw", values, precision, values)
        assert score == pytest.approx(largest_mean_literally(novelty, usable, 0.05), rel=1e-4)


def test_pseudo_lesion_is_its_literal_twin(train, pictures):
    detector = make_detector("pseudo_lesion", share=0.1, scale=2.0).fit(*train)
    head = torch.nn.Sequential(
        torch.nn.Linear(*detector.first_.shape),
        torch.nn.ReLU(),
        torch.nn.Linear(*detector.second_.shape),
        torch.nn.ReLU(),
        torch.nn.Linear(len(detector.third_), 1),
    )
    weights = (detector.first_, detector.second_, detector.third_[:, None])
    biases = (detector.first_bias_, detector.second_bias_, detector.third_bias_[None])
    with torch.no_grad():
        for layer, weight, bias in zip(head[::2], weights, biases, strict=True):
            layer.weight.copy_(torch.from_numpy(weight.T))
            layer.bias.copy_(torch.from_numpy(bias))
    for picture, score in zip(pictures, detector.score(activations_of(pictures)), strict=True):
        values, usable = places_literally(picture, 2.0)
        compared = (with_surroundings(Places(values, usable)) - detector.mean_) / detector.deviation_
        with torch.no_grad():
            novelty = head(torch.from_numpy(compared))[..., 0].numpy()
        assert score == pytest.approx(largest_mean_literally(novelty, usable, 0.1), rel=1e-3, abs=1e-4)


# Properties ----------------------------------------------------------------------------------------------------------


def test_the_account_is_the_score(fitted, pictures):
    batch = activations_of(pictures)
    account = fitted.account_over_places(batch)
    np.testing.assert_allclose(account.sum(axis=(1, 2)), fitted.score(batch), rtol=1e-12)
    counted = max(1, int(np.ceil(fitted.share * account[0].size)))
    assert all((each != 0).sum() <= counted for each in account)


def test_what_is_masked_takes_no_part(fitted, monkeypatch, pictures):
    left = np.zeros((32, 32), bool)
    left[:, :16] = True
    monkeypatch.setattr(base, "masked", lambda picture: left)
    account = fitted.account_over_places(activations_of(pictures))
    half = account.shape[2] // 2
    assert not account[:, :, :half].any()
    assert account[:, :, half:].any(axis=(1, 2)).all()


def test_an_image_that_is_masked_all_over_is_scored_as_a_whole(fitted, monkeypatch, pictures):
    monkeypatch.setattr(base, "masked", lambda picture: np.ones((32, 32), bool))
    covered = fitted.score(activations_of(pictures))
    monkeypatch.setattr(base, "masked", lambda picture: np.zeros((32, 32), bool))
    np.testing.assert_array_equal(covered, fitted.score(activations_of(pictures)))


@pytest.mark.parametrize("name", ["patch_knn", "patch_gaussian"])
def test_a_strange_place_raises_the_score_and_is_where_it_comes_from(name, train, pictures):
    detector = make_detector(name, share=1.0).fit(*train)
    strange = []
    for picture in pictures:
        changed = picture.copy()
        ImageDraw.Draw(changed).rectangle((18, 18, 27, 27), fill=(250, 20, 250))
        strange.append(changed)
    before, after = (detector.account_over_places(activations_of(each)) for each in (pictures, strange))
    for rise in after - before:
        assert rise.sum() > 0
        assert rise[7:16, 7:16].sum() == pytest.approx(rise.sum(), rel=1e-3)


def test_images_of_any_size_are_scored(fitted):
    sizes = [(40, 24), (200, 90), (9, 64)]
    pictures = [Image.effect_noise(size, 60).convert("RGB") for size in sizes]
    assert np.isfinite(fitted.score(activations_of(pictures))).all()


def test_networks_without_rows_and_columns_are_refused():
    head = image_activations(3)[1]
    for name in NAMES:
        with pytest.raises(InputError, match="rows and columns"):
            make_detector(name).check_network(Layout("head", None, ("blocks.0",)), head)


def test_the_coreset_takes_the_farthest_and_spreads(train):
    rng = np.random.default_rng(0)
    # Four clusters far from each other, one of a single place: each has a member among four.
    centres = np.array([[0, 0], [100, 0], [0, 100], [500, 500]], np.float32)
    places = np.concatenate(
        [centre + rng.normal(size=(n, 2)) for centre, n in zip(centres, (50, 50, 50, 1), strict=True)]
    )
    chosen = greedy_coreset(places.astype(np.float32), 4, rng)
    assert [int((chosen // 50 == cluster).sum()) for cluster in range(4)] == [1, 1, 1, 1]
    np.testing.assert_array_equal(greedy_coreset(places, 500, rng), np.arange(151))


def test_balanced_places_hold_all_of_both_kinds():
    inputs = np.arange(10, dtype=np.float32)[:, None]
    labels = np.array([1, 0, 0, 0, 0, 0, 0, 1, 0, 0])
    rows, kinds = balanced(inputs, labels, np.random.default_rng(0))
    assert (kinds == 1).sum() == (kinds == 0).sum() == 8
    assert set(rows[:, 0]) == set(range(10))
    assert {float(row) for row in rows[kinds == 1, 0]} == {0.0, 7.0}


def test_images_without_room_for_a_lesion_teach_nothing(train):
    black = [Image.new("RGB", (32, 32)) for _ in range(6)]
    batch = tiny_classifier().extract(black, np.arange(6) % 3, keep_source=True)
    with pytest.raises(InputError, match="hardly any has room"):
        make_detector("pseudo_lesion").fit(batch, train[1])


def test_a_whole_picture_is_prepared_at_the_size_that_is_asked_for():
    source = Images(tiny_classifier(), noise_images(1)[0])
    [picture] = list(source.pictures())
    assert source.prepared(picture, 1.5).shape == (3, 48, 48)
