"""Whether heatmaps are true, against a slow twin, an example on paper, and maps known to be good or bad."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms.functional import gaussian_blur

from nero_core.attribution import Attribution, faithfulness
from nero_core.attribution.faithfulness import RANDOM, available_methods, measure_faithfulness, with_shuffled_weights
from nero_core.attribution.regions import area, blurred, cell_means, cell_of_pixels, first_cells, rank_correlation
from nero_core.cli.main import main
from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import Cancelled, InputError
from nero_core.network.classifier import Classifier

SIZE = 16


def energy(activations):
    """A score that reads the logits alone."""
    return -np.log(np.exp(activations.logits.astype(np.float64)).sum(axis=1))


@pytest.fixture(scope="module")
def classifier():
    """Answers "textured" the more, the more edges a convolution finds."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        network.append(nn.Linear(8, 2))
    return Classifier(network, "tiny", ["smooth", "textured"], Preprocessing(height=SIZE, width=SIZE))


def pictures(n):
    rng = np.random.default_rng(n)
    return [Image.fromarray(rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)) for _ in range(n)]


# Pieces -------------------------------------------------------------------------------------------------------


def test_cells_on_paper():
    np.testing.assert_array_equal(cell_of_pixels(3, 4, 2), [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3]])
    heat = np.array([[1, 3, 0, 0], [5, 7, 0, 4], [2, 4, 9, 9]])
    np.testing.assert_array_equal(cell_means(heat, 2), [4, 1, 3, 9])


def test_an_order_on_paper():
    order = np.array([3, 0, 2, 1])
    within = first_cells(order, np.array([0, 0.25, 0.5, 1]), 2, 2)
    np.testing.assert_array_equal(within, [[[0, 0], [0, 0]], [[0, 0], [0, 1]], [[1, 0], [0, 1]], [[1, 1], [1, 1]]])


def test_an_area_on_paper():
    shares = np.array([0, 0.5, 1])
    assert area(np.array([1, 0, 0]), shares) == 0.25
    np.testing.assert_array_equal(area(np.array([[2, 2, 2], [0, 4, 0]]), shares), [2, 2])


def test_rank_correlations_on_paper():
    assert rank_correlation(np.array([1, 2, 9]), np.array([10, 20, 21])) == 1
    assert rank_correlation(np.array([1, 2, 9]), np.array([3, 2, 1])) == -1
    # Ranks 1, 2, 3 and 1.5, 1.5, 3: deviations (−1, 0, 1) and (−½, −½, 1), so 3/2 over √(2 · 3/2).
    assert rank_correlation(np.array([1, 2, 3]), np.array([0, 0, 5])) == pytest.approx(1.5 / np.sqrt(3))
    assert rank_correlation(np.zeros(3), np.array([1, 2, 3])) == 0


def test_blurring_takes_texture_and_leaves_colour():
    image = np.random.default_rng(0).normal(2, 1, (3, 64, 64)).astype(np.float32)
    smooth = blurred(image)
    assert smooth.std() < 0.2 * image.std()
    assert abs(smooth.mean() - image.mean()) < 0.05
    assert blurred(image[:, :4, :5]).shape == (3, 4, 5)


def test_shuffled_weights_are_the_same_values(classifier):
    before = {name: tensor.clone() for name, tensor in classifier.network.state_dict().items()}
    one, same, other = (with_shuffled_weights(classifier, seed).network.state_dict() for seed in (1, 1, 2))
    for name, tensor in before.items():
        assert torch.equal(classifier.network.state_dict()[name], tensor)
        assert torch.equal(one[name], same[name])
        assert torch.equal(one[name].flatten().sort().values, tensor.flatten().sort().values)
        assert torch.equal(one[name], tensor) == (tensor.ndim == 1)
    assert not torch.equal(one["0.weight"], other["0.weight"])


# The measurement ----------------------------------------------------------------------------------------------


def curve_by_hand(classifier, image, heat, cells, steps, insertion):
    """One picture at a time, one pixel at a time."""
    sigma = SIZE / 20
    smooth = gaussian_blur(torch.from_numpy(image), 2 * int(np.ceil(2 * sigma)) + 1, sigma).numpy()
    side = SIZE // cells
    means = {}
    for row, column in np.ndindex(cells, cells):
        block = heat[row * side : (row + 1) * side, column * side : (column + 1) * side]
        means[row, column] = float(np.mean(block.astype(np.float64)))
    ranked = sorted(means, key=lambda cell: -means[cell])
    start, target = (smooth, image) if insertion else (image, smooth)
    with torch.no_grad():
        predicted = int(classifier.network(torch.from_numpy(image[None])).argmax())
    probabilities, scores = [], []
    for step in range(steps + 1):
        chosen = ranked[: round(step / steps * cells**2)]
        picture = start.copy()
        for y, x in np.ndindex(SIZE, SIZE):
            if (y // side, x // side) in chosen:
                picture[:, y, x] = target[:, y, x]
        with torch.no_grad():
            logits = classifier.network(torch.from_numpy(picture[None]))[0].double()
        probabilities.append(float(logits.softmax(0)[predicted]))
        scores.append(-float(logits.exp().sum().log()))
    return predicted, probabilities, scores


def test_curves_are_those_of_the_slow_twin(classifier):
    images = pictures(2)
    methods = ["CRP", "gradient × input"]
    measured = measure_faithfulness(classifier, energy, images, methods, cells=4, steps=5)
    assert measured.methods == (*methods, RANDOM)
    np.testing.assert_allclose(measured.shares, [0, 0.2, 0.4, 0.6, 0.8, 1])
    for m, method in enumerate(methods):
        pixel_maps = Attribution(classifier, method)
        for n, picture in enumerate(images):
            image = classifier.prepare(picture)
            heat = pixel_maps.open(image).overall()
            for kind in ("deletion", "insertion"):
                predicted, probability, score = curve_by_hand(classifier, image, heat, 4, 5, kind == "insertion")
                assert measured.predicted[n] == predicted
                np.testing.assert_allclose(measured.probability[kind][m, n], probability, rtol=1e-4)
                np.testing.assert_allclose(measured.score[kind][m, n], score, rtol=1e-4)


def test_ends_are_the_whole_and_the_blurred_image(classifier):
    measured = measure_faithfulness(classifier, energy, pictures(1), cells=4, steps=3)
    for curves in (measured.probability, measured.score):
        np.testing.assert_array_equal(curves["deletion"][:, :, 0], curves["insertion"][:, :, -1])
        np.testing.assert_array_equal(curves["deletion"][:, :, -1], curves["insertion"][:, :, 0])
        assert (np.ptp(curves["deletion"][:, 0, [0, -1]], axis=0) == 0).all()


def test_every_random_order_is_kept_and_their_mean_is_the_last_curve(classifier):
    one, many = (
        measure_faithfulness(classifier, energy, pictures(2), ["CRP"], cells=4, steps=3, random_orders=orders)
        for orders in (1, 4)
    )
    for kind in ("deletion", "insertion"):
        orders = many.random_probability[kind]
        assert orders.shape == (4, 2, 4)
        np.testing.assert_allclose(orders.mean(axis=0), many.probability[kind][-1], rtol=1e-12)
        assert (orders.std(axis=0)[:, 1:-1] > 0).all()
        np.testing.assert_allclose(orders[0], one.random_probability[kind][0], rtol=1e-5)
    np.testing.assert_allclose(many.random_gain.mean(axis=0), 0, atol=1e-12)
    assert (one.random_gain == 0).all()


def test_gain_and_best_on_paper():
    shares = np.array([0, 0.5, 1])
    deletion = np.array([[[1, 0, 0]], [[1, 1, 0]], [[1, 0.5, 0]]])
    measured = faithfulness.Faithfulness(
        ("good", "bad", RANDOM),
        shares,
        np.zeros(1, np.int64),
        {"deletion": deletion, "insertion": 1 - deletion},
        {"deletion": 2 * deletion, "insertion": 2 * deletion},
        np.ones((2, 1)),
        np.zeros((2, 1)),
        {"deletion": deletion[:2], "insertion": 1 - deletion[:2]},
    )
    # Deletion areas ¼, ¾, ½; insertion areas ¾, ¼, ½; differences ½, −½, 0.
    np.testing.assert_array_equal(measured.gain, [[0.5], [-0.5]])
    np.testing.assert_array_equal(measured.random_gain, [[0.5], [-0.5]])
    assert measured.best == "good"
    good, bad, random = measured.summary()
    assert (good["deletion"], good["insertion"], good["score_deletion"]) == (0.25, 0.75, 0.5)
    assert (good["gain"], good["gain_standard_error"], good["better_than_random"], good["stability"]) == (0.5, 0, 1, 1)
    assert (bad["gain"], bad["better_than_random"]) == (-0.5, 0)
    # One image, two random orders at ±0.5: differences 0 and 1, mean ½, spread 1/√2, a wide interval about ½.
    assert (good["effect"], good["by_chance"]) == (pytest.approx(0.5 * 2**0.5), True)
    np.testing.assert_array_equal(measured.beaten("good"), [1])
    np.testing.assert_array_equal(measured.beaten("bad"), [0])
    assert measured.left == 0
    assert measured.score_left is None, "a score of 0 has no share"
    assert random["method"] == RANDOM
    assert "gain" not in random
    assert [row["method"] for row in measured.rows()] == ["good", "bad"]


class HalfBlind(nn.Module):
    """Sees the contrast of the left half alone."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 2, 2), nn.Linear(2, 2)
        self.conv.weight.data[:] = 0
        self.conv.weight.data[0, :, 0, 0], self.conv.weight.data[0, :, 1, 1] = 1, -1
        self.conv.weight.data[1] = -self.conv.weight.data[0]
        self.conv.bias.data[:] = 0
        self.fc.weight.data[:] = torch.tensor([[0.0, 0.0], [2.0, 2.0]])
        self.fc.bias.data[:] = torch.tensor([1.0, -1.0])

    def forward(self, x):
        seen = torch.relu(self.conv(x))
        return self.fc(nn.functional.adaptive_avg_pool2d(seen[:, :, :, : SIZE // 2], 1).flatten(1))


def test_a_true_map_beats_a_random_order_and_a_false_one_does_not(monkeypatch):
    classifier = Classifier(HalfBlind(), "half blind", ["a", "b"], Preprocessing(height=SIZE, width=SIZE))

    class Told:
        """Says that one half matters."""

        def __init__(self, classifier, method):
            self._left = method == "CRP"

        def open(self, image):
            self.image = image
            return self

        def overall(self):
            heat = np.zeros((SIZE, SIZE), np.float32)
            heat[:, : SIZE // 2] = self._left
            heat[:, SIZE // 2 :] = not self._left
            return heat

    monkeypatch.setattr(faithfulness, "Attribution", Told)
    measured = measure_faithfulness(classifier, energy, pictures(4), ["CRP", "instant map"], cells=4, steps=4)
    true, false = measured.gain
    assert (measured.predicted == 1).all()
    assert (true > 0.05).all()
    assert (false < -0.05).all()
    assert measured.best == "CRP"
    np.testing.assert_array_equal(measured.stability, 1)
    np.testing.assert_array_equal(measured.shuffled, 1)


def test_equal_seeds_give_equal_results(classifier):
    one, same, other = (
        measure_faithfulness(classifier, energy, pictures(2), cells=4, steps=2, seed=seed) for seed in (5, 5, 6)
    )
    assert one.methods == same.methods == ("CRP", "instant map", "gradient × input", RANDOM)
    for kind in ("deletion", "insertion"):
        np.testing.assert_array_equal(one.probability[kind], same.probability[kind])
        np.testing.assert_array_equal(one.score[kind], same.score[kind])
    np.testing.assert_array_equal(one.stability, same.stability)
    np.testing.assert_array_equal(one.shuffled, same.shuffled)
    assert not np.array_equal(one.shuffled, other.shuffled)
    # Methods do not change each other, and neither does an image the next one.
    alone = measure_faithfulness(classifier, energy, pictures(2)[:1], ["gradient × input"], cells=4, steps=2, seed=5)
    for kind in ("deletion", "insertion"):
        np.testing.assert_allclose(alone.probability[kind][0, 0], one.probability[kind][2, 0], rtol=1e-4)
    np.testing.assert_array_equal(alone.stability[0], one.stability[2, :1])


def test_methods_are_those_of_the_network(classifier):
    assert list(available_methods(classifier)) == ["CRP", "instant map", "gradient × input"]
    with pytest.raises(InputError, match="nothing that conservative propagation holds constant"):
        measure_faithfulness(classifier, energy, pictures(1), ["conservative propagation"])


def test_progress_is_told_and_may_stop(classifier):
    told = []
    measure_faithfulness(
        classifier, energy, pictures(2), ["gradient × input"], cells=2, steps=1, progress=lambda *at: told.append(at)
    )
    assert told == [(1, 2), (2, 2)]

    def stop(done, total):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        measure_faithfulness(classifier, energy, pictures(2), ["gradient × input"], cells=2, steps=1, progress=stop)


@pytest.mark.parametrize(
    ("images", "changes", "said"),
    [
        ([], {}, "no image"),
        ([b"not a picture"], {"cells": 2}, "not an image"),
        (pictures(1), {"cells": 0}, "`cells` is 0"),
        (pictures(1), {"cells": 17}, "at most 16 cells"),
        (pictures(1), {"steps": 0}, "`steps` 0"),
        (pictures(1), {"random_orders": 0}, "`random_orders` 0"),
        (pictures(1), {"methods": ["LRP"]}, "no method 'LRP'"),
    ],
)
def test_what_makes_no_sense_is_refused(classifier, images, changes, said):
    with pytest.raises(InputError, match=said):
        measure_faithfulness(classifier, energy, images, **({"cells": 4} | changes))


# The command --------------------------------------------------------------------------------------------------


def test_the_command_writes_what_it_says(tiny_reference, class_folders, tmp_path, capsys):
    images = sorted(map(str, class_folders.glob("amber/*.png")))[:2]
    (tmp_path / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "result"
    arguments = ["faithfulness", str(tiny_reference), *images, "--out", str(out), "--methods", "CRP", "instant map"]
    assert main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    written = json.loads((out / "faithfulness.json").read_bytes())
    assert told["summary"] == written["summary"]
    assert [row["method"] for row in told["summary"]] == ["CRP", "instant map", RANDOM]
    assert told["best"] in {"CRP", "instant map"}
    assert len(told["shares"]) == len(told["curves"]["CRP"]["probability_deletion"]) == 11
    rows = list(csv.DictReader((out / "faithfulness.csv").read_text().splitlines()))
    assert [(row["method"], row["image"]) for row in rows] == [
        (row["method"], row["image"]) for row in written["per_image"]
    ]
    assert len(rows) == 4

    assert main([*arguments[:3], str(tmp_path / "broken.png"), *arguments[4:]]) == 1
    shown = capsys.readouterr()
    assert "random order" in shown.out
    assert "Left out: broken.png" in shown.err
    assert main([*arguments[:2], str(tmp_path / "broken.png"), "--out", str(out)]) == 2
    assert main([*arguments[:-2], "LRP"]) == 2
    assert "no method 'LRP'" in capsys.readouterr().err


def made_up(gains, blurred=0.0, score=(2.0, 1.0)):
    """A method that gains so much on each image over a random order; the answer falls from 1 to `blurred`."""
    curves = np.array([[[1.0, blurred]] * len(gains)] * 2)
    insertion = curves.copy()
    insertion[0] += np.array(gains)[:, None]
    given = {"deletion": curves, "insertion": insertion}
    scores = dict.fromkeys(("deletion", "insertion"), np.array([[list(score)] * len(gains)] * 2))
    none, answers = np.zeros((1, len(gains))), np.zeros(len(gains), np.int64)
    every = {kind: c[1:] for kind, c in given.items()}
    return faithfulness.Faithfulness(("m", RANDOM), np.array([0.0, 1.0]), answers, given, scores, none, none, every)


def test_steep_curves_are_called_better_and_small_effects_are_not():
    steep = made_up([0.2, 0.3, 0.4]).summary()[0]  # mean 0.3, spread 0.1: d_z = 3; t(2) = 4.30, ± 0.248
    assert (steep["effect"], steep["gain_low"]) == (pytest.approx(3), pytest.approx(0.3 - 4.302653 * 0.1 / 3**0.5))
    assert (steep["better_than_chance"], steep["by_chance"]) == (True, False)
    chance = made_up([-0.1, 0.0, 0.4]).summary()[0]
    assert (chance["better_than_chance"], chance["by_chance"]) == (False, True)
    # A hundred images: 61 gain 0.01 and 39 lose as much. Sure beyond 2 standard errors, and a small effect.
    consistent = made_up([0.01] * 61 + [-0.01] * 39)
    assert consistent.effect("m").low > 0
    assert consistent.effect("m").standardized == pytest.approx(0.22 / (1 - 0.22**2) ** 0.5 * 0.99**0.5)
    assert not consistent.summary()[0]["better_than_chance"]
    assert not made_up([0.0, 0.0]).summary()[0]["better_than_chance"], "no gain at all"
    assert not made_up([0.4]).summary()[0]["better_than_chance"], "one image against one random order tells nothing"


def test_the_share_that_does_not_need_the_image_is_the_last_point_over_the_first():
    flat = made_up([0.1, 0.2], blurred=0.86, score=(4.0, 3.0))
    assert (flat.left, flat.score_left) == (pytest.approx(0.86), 0.75)
    assert made_up([0.1], blurred=1.5).left == 1.5
    assert made_up([0.1], score=(-1.0, 2.0)).score_left is None
    assert made_up([0.1], score=(1.0, 0.0)).score_left is None
