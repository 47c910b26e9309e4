"""Detectors of pytorch-ood: equal to the library called directly, checkable by hand, and steady on bad input."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from pytorch_ood import detector as theirs
from torch import nn

from nero_core.detectors import DETECTORS, knn, linear_algebra, make_detector
from nero_core.detectors.pytorch_ood import base, features
from nero_core.errors import InputError
from nero_core.records import Activations, Head, Layout
from tests.activations import image_activations, make_activations, tiny_classifier

ON_IMAGES = ["gram", "nac", "odin", "rankfeat"]
EXPLAINED = ["knn", "mahalanobis", "rmd", "vim"]
ON_ARRAYS = sorted([name for name, each in DETECTORS.items() if issubclass(each, base.LibraryDetector)] + EXPLAINED)


def activations_of(features, head, labels=None):
    """Features and the logits that the head gives for them."""
    features = np.asarray(features, np.float32)
    logits = features.astype(np.float64) @ head.weight.T + head.bias
    return Activations(features, logits, None if labels is None else np.asarray(labels))


@pytest.fixture(scope="module")
def train():
    return make_activations(n=120, d=24, K=3, seed=0, trained=True)


@pytest.fixture(scope="module")
def test():
    return make_activations(n=40, d=24, K=3, seed=1, far=0.5, trained=True)[0]


# The library itself ------------------------------------------------------------------------------------------


def layer_of(head, dtype=torch.float32):
    layer = nn.Linear(head.width, head.classes, dtype=dtype).requires_grad_(False)
    layer.weight.copy_(torch.from_numpy(head.weight))
    layer.bias.copy_(torch.from_numpy(head.bias))
    return layer


def direct_score(name, train, head, test):
    """The library's own scores of a batch, in its own float32."""
    layer, y = layer_of(head), torch.from_numpy(train.labels)
    z, z_test = torch.from_numpy(train.logits), torch.from_numpy(test.logits)
    a, a_test = torch.from_numpy(train.features), torch.from_numpy(test.features)
    maps, maps_test = a[:, :, None, None], a_test[:, :, None, None]

    def on_maps(values):
        return layer(values.flatten(1))

    d = theirs
    match name:
        case "msp":
            return d.MaxSoftmax(None).predict_logits(z_test)
        case "temperature_scaling":
            return d.TemperatureScaling(None).fit_logits(z, y).predict_logits(z_test).detach()
        case "energy":
            return d.EnergyBased(None).predict_logits(z_test)
        case "max_logit":
            return d.MaxLogit(None).predict_logits(z_test)
        case "entropy":
            return d.Entropy(None).predict_logits(z_test)
        case "gen":
            return d.GEN(None, gamma=0.1, M=3).predict_logits(z_test)
        case "kl_matching":
            return d.KLMatching(None).fit_logits(z, y).predict_logits(z_test)
        case "react":
            return d.ReAct(None, on_maps, percentile=0.9).fit_feature_maps(maps, y).predict_feature_maps(maps_test)
        case "vra":
            return d.VRA(None, on_maps).fit_feature_maps(maps, y).predict_feature_maps(maps_test)
        case "ash":
            return d.ASH(None, on_maps, "ash-s", 0.9).predict_feature_maps(maps_test)
        case "scale":
            return d.SCALE(None, on_maps, 0.85).predict_feature_maps(maps_test)
        case "dice":
            return d.DICE(None, layer.weight, layer.bias, 0.9).fit_features(a, y).predict_features(a_test)
        case "gradnorm":
            return d.GradNorm(layer, lambda parameter: parameter == "weight").predict(a_test)
        case "she":
            return d.SHE(None, layer).fit_features(a, y).predict_features(a_test)
        case "fdbd":
            return d.fDBD(None, layer).fit_features(a).predict_features(a_test)
        case "nnguide":
            return d.NNGuide(None, layer, k=10).fit_features(a, y).predict_features(a_test)
        case "nci":
            alpha = float(make_detector("nci").fit(train, head).alpha_)
            return d.NCI(None, layer, alpha).fit_features(a).predict_features(a_test)
        case "mahalanobis":
            return d.Mahalanobis(None).fit_features(a, y).predict_features(a_test)
        case "rmd":
            return d.RMD(None).fit_features(a, y).predict_features(a_test)
        case "vim":
            return d.ViM(None, 12, layer.weight, layer.bias).fit_features(a, y).predict_features(a_test)
        case "knn":
            return d.KNN(None, k=50).fit_features(a, y).predict_features(a_test)
    raise AssertionError(name)


@pytest.mark.parametrize("name", ON_ARRAYS)
def test_scores_are_the_librarys(name, train, test):
    ours = make_detector(name).fit(*train).score(test)
    direct = direct_score(name, *train, test).double().numpy()
    assert np.ptp(direct) > 0
    np.testing.assert_allclose(ours, direct, rtol=1e-4, atol=1e-4 * np.median(np.abs(direct)))


def images_of(activations):
    return torch.from_numpy(np.concatenate(list(activations.source.batches())))


@pytest.mark.parametrize("name", ON_IMAGES)
def test_scores_from_images_are_the_librarys(name):
    train, head = image_activations(30, seed=0)
    test, _ = image_activations(12, seed=1)
    network = tiny_classifier().private_copy().requires_grad_(name == "nac")
    loader = [(images_of(train), torch.from_numpy(train.labels))]
    if name == "odin":
        direct = theirs.ODIN(network, eps=0.1, temperature=0.1, norm_std=list(test.source.deviation)).predict(
            images_of(test)
        )
    elif name == "rankfeat":
        direct = theirs.RankFeat(lambda x: network[:3](x).contiguous(), network[3:]).predict(images_of(test))
    elif name == "gram":
        detector = theirs.Gram(network[3:], list(network[:3]), 3).to("cpu")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            direct = detector.fit(loader).predict(images_of(test))
    else:
        # one image at a time, so that no neuron changes its bin by rounding
        alpha = make_detector("nac").fit(train, head).alpha_.tolist()
        detector = theirs.NACUE(network, list(network[:3]), alpha=alpha, o_star=1)
        detector.fit([(x[None], None) for x in loader[0][0]])
        direct = torch.cat([detector.predict(x[None]) for x in images_of(test)])
    parameters = {"odin": {"epsilon": 0.1, "temperature": 0.1}}.get(name, {})  # at T = 1000 all scores are near 1/K
    ours = make_detector(name, **parameters).fit(train, head).score(test)
    assert np.ptp(ours) > 0
    np.testing.assert_allclose(ours, direct.numpy(), rtol=0, atol=1e-3 * np.ptp(ours))


def test_mahalanobis_is_the_librarys_formula_to_the_last_digits(train, test):
    activations, head = train
    a, x = activations.features.astype(np.float64), test.features.astype(np.float64)
    means = np.stack([a[activations.labels == c].mean(axis=0) for c in range(3)])
    centred = a - means[activations.labels]
    precision = np.linalg.inv(centred.T @ centred + 1e-6 * np.eye(24))
    slow = [min(0.5 * (row - mean) @ precision @ (row - mean) for mean in means) for row in x]
    np.testing.assert_allclose(make_detector("mahalanobis").fit(activations, head).score(test), slow, rtol=1e-9)


# By hand -----------------------------------------------------------------------------------------------------

PLANE = Head(np.eye(2), np.zeros(2))
"""Two classes, and logits that are the features."""

CROSSES = [[x + centre, y] for centre in (0, 10) for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1))]
"""Four images of class 0 around the origin, four of class 1 around (10, 0)."""


def by_hand(name, features, labels, query, head=PLANE, **parameters):
    detector = make_detector(name, **parameters).fit(activations_of(features, head, labels), head)
    return detector, activations_of([query], head)


@pytest.mark.parametrize(
    ("name", "query", "score"),
    [
        ("msp", [0, np.log(3)], -3 / 4),
        ("energy", [0, np.log(3)], -np.log(4)),
        ("max_logit", [-1, 2], -2),
        ("entropy", [5, 5], np.log(2)),
        ("gen", [5, 5], 0.25**0.1),
        ("gradnorm", [0, np.log(3)], -np.log(3) / 2),  # ‖a‖₁ = ln 3, p − 1/2 = (−1/4, 1/4)
        ("she", [1, 6], -(1 * 1 + 6 * 4)),  # the mean of class 1 is (1, 4)
        ("fdbd", [5, 3], -2 / (np.sqrt(2) * 3)),  # ‖w₀ − w₁‖ = √2, the training mean is (2, 3)
        ("nci", [2, 7], -1),  # straight up from the training mean, along w₁
        ("react", [9, 2], -np.log(np.exp(5) + np.exp(2))),  # clipped at 5, the largest training feature
        ("dice", [2, 5], -np.log(np.exp(0) + np.exp(5))),  # contributions 2, 0, 0, 3: only w₁₁ is kept
    ],
)
def test_small_examples(name, query, score):
    parameters = {"nci": {"alpha": 0.0}, "react": {"percentile": 1.0}, "dice": {"p": 0.75}}.get(name, {})
    features = [[3, 2], [3, 2], [1, 3], [1, 5]]  # mean (2, 3), class means (3, 2) and (1, 4)
    detector, batch = by_hand(name, features, [0, 0, 1, 1], query, **parameters)
    np.testing.assert_allclose(detector.score(batch), [score], rtol=1e-5)


def test_knn_by_hand():
    # (3, 4) has direction (0.6, 0.8), at (0.6, −0.2) from (0, 1)
    detector, batch = by_hand("knn", [[5, 0], [0, 2]], [0, 1], [3, 4], k=1)
    np.testing.assert_allclose(detector.score(batch), [np.sqrt(0.4)], rtol=1e-6)
    account = detector.account(batch)
    np.testing.assert_allclose(account.contributions, [[0.36 / np.sqrt(0.4), 0.04 / np.sqrt(0.4)]], rtol=1e-6)
    assert account.nearest.tolist() == [1]
    # the second of two neighbours is (1, 0)
    second, _ = by_hand("knn", [[5, 0], [0, 2]], [0, 1], [3, 4], k=2)
    np.testing.assert_allclose(second.score(batch), [np.sqrt(0.8)], rtol=1e-6)
    # feature 1 as in class 1's mean (0, 2): (3, 2) is nearer to the second
    np.testing.assert_allclose(
        detector.what_if(batch, [1]), [np.hypot(1 - 3 / np.sqrt(13), 2 / np.sqrt(13))], rtol=1e-6
    )


def test_mahalanobis_by_hand():
    # scatter (2 + 2, 2 + 2)
    detector, batch = by_hand("mahalanobis", CROSSES, [0] * 4 + [1] * 4, [12, 4])
    np.testing.assert_allclose(detector.score(batch), [(4 + 16) / 4 / 2], rtol=1e-5)
    account = detector.account(batch)
    np.testing.assert_allclose(account.contributions, [[0.5, 2.0]], rtol=1e-5)
    assert account.nearest.tolist() == [1]
    np.testing.assert_allclose(detector.what_if(batch, [1]), [0.5], rtol=1e-5)
    np.testing.assert_allclose(detector.what_if(batch, [0, 1]), [0.0], atol=1e-12)


def test_relative_mahalanobis_by_hand():
    # the background has mean (5, 0) and scatter (4 + 8·25, 4)
    detector, batch = by_hand("rmd", CROSSES, [0] * 4 + [1] * 4, [12, 4])
    np.testing.assert_allclose(detector.account(batch).contributions, [[4 / 4 - 49 / 204, 0.0]], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(detector.score(batch), [1 - 49 / 204], rtol=1e-5)


def test_vim_by_hand():
    # logit = first feature; residual (0, ±1, 0), so α = 4 / 1; the query's residual is (3, 4)
    head = Head(np.array([[1.0, 0, 0]]), np.zeros(1))
    detector, batch = by_hand("vim", [[4, 1, 0], [4, -1, 0]], [0, 0], [2, 3, 4], head, dimension=1)
    np.testing.assert_allclose(detector.score(batch), [4 * 5 - 2], rtol=1e-6)
    account = detector.account(batch)
    np.testing.assert_allclose(account.contributions, [[0, 4 * 9 / 5, 4 * 16 / 5]], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(account.terms["energy"], [-2.0])


def test_the_default_of_nci_balances_its_terms(train):
    activations, _ = train
    balanced, angle = make_detector("nci").fit(*train), make_detector("nci", alpha=0).fit(*train)
    size = np.abs(activations.features).sum(axis=1).mean()
    np.testing.assert_allclose(balanced.alpha_ * size, np.abs(angle.score(activations)).mean(), rtol=1e-5)


# Invariances -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ON_ARRAYS)
def test_the_order_of_training_images_does_not_matter(name, train, test):
    activations, head = train
    shuffled = activations[np.random.default_rng(0).permutation(len(activations))]
    scores = make_detector(name).fit(activations, head).score(test)
    again = make_detector(name).fit(shuffled, head).score(test)
    np.testing.assert_allclose(again, scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ON_ARRAYS)
def test_chunks_are_not_seen_in_the_scores(name, train, test, monkeypatch):
    whole = make_detector(name).fit(*train).score(test)
    for module in (base, features, linear_algebra):
        monkeypatch.setattr(module, "CHUNK_ROWS", 7)
    for module in (features, knn):
        monkeypatch.setattr(module, "PAIR_CHUNK_NUMBERS", 600)
    monkeypatch.setattr(features, "BANK_CHUNK_ROWS", 7)
    np.testing.assert_allclose(make_detector(name).fit(*train).score(test), whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ON_ARRAYS + ON_IMAGES)
def test_nothing_is_drawn_logged_or_printed(name, train, test, caplog, capfd):
    if name in ON_IMAGES:
        train, test = image_activations(30, seed=0), image_activations(6, seed=1)[0]
    torch.manual_seed(20)  # of no detector
    before = torch.random.get_rng_state()
    with caplog.at_level(logging.WARNING):
        make_detector(name).fit(*train).score(test)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ON_IMAGES)
def test_the_classifier_is_left_as_it_was(name):
    train, head = image_activations(30, seed=0)
    network = train.source._classifier.network
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    make_detector(name).fit(train, head).score(train)
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_listing_the_detectors_does_not_import_torch():
    code = "import sys; from nero_core.detectors import DETECTORS; print('torch' in sys.modules, 'vim' in DETECTORS)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == (
        "False True\n"
    )


# Bad input ---------------------------------------------------------------------------------------------------


def refused(name, train, head, test):
    """Whether the detector refuses these, by its name; it scores them where it does not."""
    try:
        make_detector(name).fit(train, head).score(test)  # whose scores are finite by its contract
    except InputError as error:
        return DETECTORS[name].info.title in str(error) or pytest.fail(f"{error} does not name {name}")
    return False


@pytest.mark.parametrize("name", ON_ARRAYS)
@pytest.mark.parametrize("classes", [1, 2])
def test_few_classes(name, classes):
    train, head = make_activations(n=40, d=12, K=classes, seed=0, trained=True)
    test = make_activations(n=9, d=12, K=classes, seed=1, trained=True)[0]
    assert refused(name, train, head, test) == (name == "fdbd" and classes == 1)


@pytest.mark.parametrize("name", ON_ARRAYS)
def test_an_image_of_zero_features_has_a_score(name, train):
    head = train[1]
    test = activations_of([np.zeros(24), np.ones(24)], head)
    assert make_detector(name).fit(*train).score(test).shape == (2,)


@pytest.mark.parametrize("name", ON_ARRAYS)
def test_a_dead_network(name, train, test):
    _, head = train
    dead = activations_of(np.zeros((12, 24)), head, np.arange(12) % 3)
    assert refused(name, dead, head, test) == (name in {"she", "vim"})


@pytest.mark.parametrize("name", ON_ARRAYS)
def test_copies_of_one_image_per_class(name):
    train, head = make_activations(n=3, d=24, K=3, seed=0, trained=True)
    copies = train[np.arange(30) % 3]
    test = make_activations(n=9, d=24, K=3, seed=1, trained=True)[0]
    assert refused(name, copies, head, test) == (name == "vim")  # three directions and twelve components


@pytest.mark.parametrize("name", ON_ARRAYS)
def test_fewer_images_than_neighbours_or_features(name, test):
    train, head = make_activations(n=5, d=24, K=3, seed=0, trained=True)
    assert not refused(name, train, head, test)


@pytest.mark.parametrize("name", EXPLAINED)
def test_accounts_add_up_where_the_scatter_is_singular(name, test):
    train, head = make_activations(n=12, d=24, K=3, seed=0, trained=True)
    detector = make_detector(name).fit(train, head)
    together = Activations(
        *(np.concatenate([getattr(x, key) for x in (train, test)]) for key in ("features", "logits"))
    )
    scores = detector.score(together)
    np.testing.assert_allclose(detector.account(together).score, scores, rtol=1e-9, atol=1e-9 * np.abs(scores).max())


def test_two_classes_of_equal_weights_have_no_boundary(train, test):
    activations, head = train
    twins = Head(head.weight[[0, 1, 1]], head.bias[[0, 1, 1]])
    train, test = (activations_of(x.features, twins, activations.labels[: len(x)]) for x in (activations, test))
    assert np.isfinite(make_detector("fdbd").fit(train, twins).score(test)).all()


def test_an_image_at_the_training_mean_has_no_direction(train):
    activations, head = train
    detector = make_detector("nci").fit(activations, head)
    assert detector.score(activations_of([detector.mean_], head)).tolist() == [0.0]


def test_she_needs_a_rightly_predicted_image_per_class(train):
    activations, head = train
    wrong = replace(activations, labels=(activations.labels + 1) % 3)
    with pytest.raises(InputError, match="SHE cannot be used here: No correct predictions for class 0"):
        make_detector("she").fit(wrong, head)


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("react", {"percentile": 90}, r"`percentile` of ReAct is 90; wanted a finite number in \[0, 1\]"),
        ("vra", {"lower_percentile": 0.9, "upper_percentile": 0.1}, "VRA cannot be used here: lower_percentile"),
        ("dice", {"p": -1}, "`p` of DICE is -1; wanted"),
        ("ash", {"variant": "ash-x"}, "`variant` of ASH is 'ash-x'; wanted 'ash-s' or 'ash-b' or"),
        ("ash", {"percentile": 1.0}, r"`percentile` of ASH is 1.0; wanted .* in \[0, 1\)"),
        ("scale", {"percentile": 0.99}, "SCALE keeps none of 24 features"),
        ("msp", {"temperature": 0}, r"`temperature` of MSP is 0; wanted a finite number in \(0, "),
        ("energy", {"temperature": float("nan")}, "`temperature` of Energy is nan; wanted"),
        ("odin", {"temperature": -1.0}, "`temperature` of ODIN is -1.0; wanted"),
        ("gen", {"top_classes": 0}, "`top_classes` of GEN is 0; wanted a whole number"),
        ("nnguide", {"k": 2.5}, "`k` of NNGuide is 2.5; wanted a whole number"),
        ("knn", {"k": 0}, "`k` of KNN is 0; wanted a whole number"),
        ("vim", {"dimension": 24}, "`dimension` is 24; ViM wants"),
        ("nac", {"bins": 1}, r"`bins` of NAC is 1; wanted a whole number in \[2, "),
        ("nac", {"alpha": 0}, "`alpha` of NAC is 0; wanted"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(name, parameters, words, train):
    given = image_activations(9) if name in ON_IMAGES else train
    with pytest.raises(InputError, match=words):
        make_detector(name, **parameters).fit(*given)


def test_a_parameter_may_stand_without_its_name():
    assert type(make_detector("react"))(0.5).parameters() == {"percentile": 0.5}
    with pytest.raises(TypeError):
        type(make_detector("react"))(0.5, 0.6)


def test_vim_takes_the_papers_dimension():
    train, head = make_activations(n=60, d=24, K=3, seed=0)
    assert make_detector("vim").fit(train, head).residual_.shape == (24, 12)
    assert make_detector("vim").fit(train[:9], head).residual_.shape == (24, 20)
    with pytest.raises(InputError, match="ViM: 1 principal components leave nothing of the 3 training images"):
        make_detector("vim", dimension=1).fit(activations_of(np.ones((3, 2)), PLANE, [0, 1, 1]), PLANE)


@pytest.mark.parametrize(
    ("name", "layout", "words"),
    [
        ("rankfeat", Layout("5", None, ("0",)), "RankFeat reads the map before global pooling"),
        ("gram", Layout("5", None, ()), "Gram reads the maps of a network's stages"),
        ("nac", Layout("5", None, ()), "NAC reads the maps of a network's stages"),
    ],
)
def test_networks_without_maps_are_refused(name, layout, words):
    train, head = image_activations(9)
    train.source.layout = layout
    with pytest.raises(InputError, match=words):
        make_detector(name).fit(train, head)


def test_rankfeat_wants_more_than_one_cell():
    train, head = image_activations(9)
    train.source.layout = Layout("5", "3", ())
    with pytest.raises(InputError, match="this network's has one cell"):
        make_detector("rankfeat").fit(train, head).score(train)


class Permuted(nn.Module):
    """The same numbers with their axes in another order."""

    def __init__(self, *axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        return x.permute(self.axes)


class ChannelsLast:
    """The same images and network, whose later stages keep their channels in the last axis."""

    layout = Layout("5", "2", ("0", "1", "2"), frozenset({"1", "2"}))

    def __init__(self, source):
        self._source, self.deviation, self.batches = source, source.deviation, source.batches

    def network(self):
        network, last, first = self._source.network(), Permuted(0, 2, 3, 1), Permuted(0, 3, 1, 2)
        network[1] = nn.Sequential(network[1], last)
        network[2] = nn.Sequential(first, network[2], last)
        network[3] = nn.Sequential(first, network[3])
        return network

    def __getitem__(self, rows):
        return ChannelsLast(self._source[rows])


@pytest.mark.parametrize("name", sorted(ON_IMAGES))
def test_it_does_not_matter_where_a_network_has_its_channels(name):
    (train, head), test = image_activations(30, seed=0), image_activations(6, seed=1)[0]
    train.source.layout = test.source.layout = Layout("5", "2", ("0", "1", "2"))
    wanted = make_detector(name).fit(train, head).score(test)
    train, test = (replace(each, source=ChannelsLast(each.source)) for each in (train, test))
    np.testing.assert_allclose(make_detector(name).fit(train, head).score(test), wanted, rtol=1e-5)


# Many classes ------------------------------------------------------------------------------------------------

MANY_CLASSES = """
import resource, sys
import numpy as np, pytorch_ood.detector, scipy.special
from nero_core.detectors import make_detector
from tests.activations import make_activations
train, head = make_activations(n=1000, d=64, K=1000, seed=0, trained=True, stages=False)
test = make_activations(n=1000, d=64, K=1000, seed=1, trained=True, stages=False)[0]
make_detector("energy").fit(train, head).score(test)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    assert np.ptp(make_detector(name).fit(train, head).score(test)) > 0, name
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read in Linux's units")
def test_a_thousand_classes_take_no_array_of_all_pairs_and_features():
    # In float32 K·K·d is 256 MB and n·K·d as much; the logits of all images are 4 MB. glibc must give freed arrays
    # back, or their sum would be the peak.
    run = subprocess.run(
        [sys.executable, "-c", MANY_CLASSES, *ON_ARRAYS],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 150
