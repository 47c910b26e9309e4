"""The methods that zennit and zennit-crp run: against literal twins, and nothing of them left behind."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from zennit.rules import Epsilon, ZPlus

from nero_core.attribution import METHODS, Attribution, fits_of
from nero_core.attribution.methods import epsilon_gamma_box, integrated_gradients, smooth_grad
from nero_core.attribution.zennit_crp import GROWN
from nero_core.errors import Cancelled, InputError
from nero_core.network.classifier import build_classifier
from tests.attribution.test_families import classifier_of, image_of, made, peak_error, settled, small_vgg, state_of

SIZE = 8
COMPOSITES = ("EpsilonPlusFlat", "EpsilonAlpha2Beta1Flat", "EpsilonGammaBox")
ONE_MAP = ("SmoothGrad", "integrated gradients")
STABILISER = 1e-6
TOLERANCE = 1e-4
"""Agreement with a twin in float64; zennit stabilises each division by 1e-6."""


class Small(nn.Module):
    """Two convolutions, the mean over space, and a head."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(4, 5, 3, stride=2), nn.ReLU())
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(5, 3)

    def forward(self, x):
        return self.fc(self.pool(self.second(self.first(x))).flatten(1))


@pytest.fixture(scope="module")
def classifier():
    """Two convolutions and a head, in float64, every bias in use."""
    return classifier_of(made(lambda: settled(Small(), SIZE)), "small network", SIZE)


@pytest.fixture(scope="module")
def image():
    """Grey values from black to white, as preprocessing gives them."""
    grey = np.random.default_rng(0).random((3, SIZE, SIZE))
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return ((grey - mean[:, None, None]) / std[:, None, None]).astype(np.float32)


# Composites, against relevance handed down connection by connection ---------------------------------------------------


def stabilised(z):
    return z + (STABILISER if z >= 0 else -STABILISER)


def plus(x):
    return max(x, 0.0)


def minus(x):
    return min(x, 0.0)


def z_plus(x, w, b, low, high):
    parts = [plus(a * c) for a, c in zip(x, w, strict=True)]
    return [part / stabilised(sum(parts) + plus(b)) for part in parts]


def alpha2_beta1(x, w, b, low, high):
    negative = [minus(a * c) for a, c in zip(x, w, strict=True)]
    below = stabilised(sum(negative) + minus(b))
    return [2 * part - n / below for part, n in zip(z_plus(x, w, b, low, high), negative, strict=True)]


def gamma(x, w, b, low, high):
    parts = [a * (c + 0.25 * plus(c)) for a, c in zip(x, w, strict=True)]
    return [part / stabilised(sum(parts) + b + 0.25 * plus(b)) for part in parts]


def flat(x, w, b, low, high):
    return [1 / stabilised(len(x))] * len(x)


def box(x, w, b, low, high):
    parts = [a * c - lo * plus(c) - hi * minus(c) for a, c, lo, hi in zip(x, w, low, high, strict=True)]
    return [part / stabilised(sum(parts)) for part in parts]


RULES = {
    "EpsilonPlusFlat": (flat, z_plus),
    "EpsilonAlpha2Beta1Flat": (flat, alpha2_beta1),
    "EpsilonGammaBox": (box, gamma),
}
"""For the first convolution and for the second."""


def convolution_down(x, layer, relevance, rule):
    """Σ over the outputs of what each of them hands to the inputs that it has seen; a pixel of padding is none."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    (stride, _), (padding, _) = layer.stride, layer.padding
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    low, high = (0 - mean) / std, (1 - mean) / std
    below = np.zeros(x.shape)
    for k, row, column in np.ndindex(*relevance.shape):
        places = [
            ((c, row * stride + dy - padding, column * stride + dx - padding), weight[k, c, dy, dx])
            for c, dy, dx in np.ndindex(*weight.shape[1:])
        ]
        seen = [(j, w) for j, w in places if 0 <= j[1] < x.shape[1] and 0 <= j[2] < x.shape[2]]
        bounds = [(low[j[0] % 3], high[j[0] % 3]) for j, _ in seen]
        shares = rule(
            [x[j] for j, _ in seen], [w for _, w in seen], bias[k], [lo for lo, _ in bounds], [hi for _, hi in bounds]
        )
        for (j, _), share in zip(seen, shares, strict=True):
            below[j] += share * relevance[k, row, column]
    return below


def by_hand(network, image, title, neuron=None, channel=None):
    """The map of all relevance, or of one feature, or of one channel after the first ReLU."""
    first, second = RULES[title]
    x = torch.from_numpy(image[None]).double()
    with torch.no_grad():
        hidden = network.first(x)
        last = network.second(hidden)
        features = last.mean((2, 3))
        z = network.fc(features)
    image, hidden, last, features, z = (value[0].numpy() for value in (x, hidden, last, features, z))
    weight = network.fc.weight.numpy()
    p = np.exp(z) / np.exp(z).sum()
    r = np.array([sum(features[j] * weight[k, j] * p[k] / stabilised(z[k]) for k in range(3)) for j in range(5)])
    if neuron is not None:
        r = np.where(np.arange(5) == neuron, r, 0)
    cells = last[0].size
    pooled = np.stack([last[j] / cells * r[j] / stabilised(features[j]) for j in range(5)])
    at_hidden = convolution_down(hidden, network.second[0], pooled, second)
    if channel is not None:
        at_hidden = np.where(np.arange(4)[:, None, None] == channel, at_hidden, 0)
    return r, convolution_down(image, network.first[0], at_hidden, first).sum(axis=0)


@pytest.mark.parametrize("title", COMPOSITES)
def test_a_composite_is_its_rules_connection_by_connection(classifier, image, title):
    opened = Attribution(classifier, title).open(image)
    assert opened.method == title
    r, overall = by_hand(classifier.network, image, title)
    np.testing.assert_allclose(opened.feature_relevance(), r, rtol=TOLERANCE, atol=1e-7)
    assert peak_error(opened.overall(), overall) < TOLERANCE
    some = [int(neuron) for neuron in np.argsort(-np.abs(r))[:3]]
    expected = np.stack([by_hand(classifier.network, image, title, neuron)[1] for neuron in some])
    assert peak_error(opened.neurons(some), expected) < TOLERANCE
    assert classifier.layout.stages[0] == "first"
    expected = np.stack([by_hand(classifier.network, image, title, channel=channel)[1] for channel in (1, 3)])
    assert peak_error(opened.neurons([1, 3], "first"), expected) < TOLERANCE


@pytest.mark.parametrize("title", COMPOSITES)
def test_the_maps_of_all_neurons_add_up_to_the_overall_map(classifier, image, title):
    opened = Attribution(classifier, title).open(image)
    assert peak_error(opened.neurons(range(5)).sum(axis=0, dtype=np.float64), opened.overall()) < 1e-5
    assert peak_error(opened.neurons(range(4), "first").sum(axis=0, dtype=np.float64), opened.overall()) < 1e-5
    with pytest.raises(InputError, match="no neuron 5"):
        opened.neuron(5)
    with pytest.raises(InputError, match="no stage 'block'"):
        opened.neuron(0, "block")


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "small VGG"])
def test_epsilon_plus_flat_is_our_own_crp(name):
    """Batch norms that saw data are merged, sums of branches are modules, and branches are joined."""

    def network():
        if name == "small VGG":
            return settled(small_vgg(), 64)
        given = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
        return settled(torchvision.models.get_model(name, num_classes=3, **given), 64, 1e-5)

    own = classifier_of(made(network), name, 64)
    picture = image_of(1, 64)
    ours, theirs = (Attribution(own, title).open(picture) for title in ("CRP", "EpsilonPlusFlat"))
    assert peak_error(theirs.overall(), ours.overall()) < 1e-5
    assert not theirs.caution
    r = ours.feature_relevance()
    np.testing.assert_allclose(theirs.feature_relevance(), r, rtol=1e-5, atol=1e-5 * np.abs(r).max())
    leading = np.argsort(-np.abs(r))[:2]
    assert peak_error(theirs.neurons(leading), ours.neurons(leading)) < 1e-5
    if not own.layout.stages:
        return
    stage = own.layout.stages[-1]
    strongest = [int(np.abs(ours._relevance(stage)).argmax())]
    assert peak_error(theirs.neurons(strongest, stage), ours.neurons(strongest, stage)) < 1e-5


def test_the_bounds_of_a_pixel_are_those_of_black_and_white(classifier):
    prepared = METHODS["EpsilonGammaBox"](classifier)
    np.testing.assert_allclose(
        prepared._bound(epsilon_gamma_box.BLACK).flatten(), [-2.1179, -2.0357, -1.8044], rtol=1e-4
    )
    np.testing.assert_allclose(prepared._bound(epsilon_gamma_box.WHITE).flatten(), [2.2489, 2.4286, 2.64], rtol=1e-4)


def test_relevance_that_grows_is_warned_of(classifier, image, monkeypatch):
    opened = Attribution(classifier, "EpsilonPlusFlat").open(image)
    assert opened.caution == ""
    grown = (GROWN + 1) * np.abs(opened.feature_relevance()).sum() / np.abs(opened.overall()).sum()
    opened._whole = (opened.overall() * grown, opened._whole[1])
    assert "EpsilonPlusFlat grew 11-fold" in opened.caution


# SmoothGrad and integrated gradients, against literal loops -----------------------------------------------------------


def answer_gradient(network, x, weights):
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((network(x) * weights).sum(), x)
    return gradient


def test_smooth_grad_is_its_definition(classifier, image):
    # Random numbers are drawn in the order of memory.
    x = torch.from_numpy(image[None]).double().contiguous(memory_format=torch.channels_last)
    weights = classifier.network(x).softmax(1)
    torch.manual_seed(smooth_grad.SEED)
    spread = smooth_grad.NOISE_LEVEL * (image.max() - image.min())
    total = torch.zeros_like(x)
    for _ in range(smooth_grad.COPIES - 1):
        total += answer_gradient(classifier.network, x + spread * torch.randn_like(x), weights)
    total += answer_gradient(classifier.network, x, weights)
    expected = (x * total / smooth_grad.COPIES).sum(1)[0].numpy()
    assert peak_error(Attribution(classifier, "SmoothGrad").open(image).overall(), expected) < 1e-5


def test_smooth_grad_gives_an_image_one_map_and_leaves_the_random_numbers_alone(classifier, image):
    pixel_maps = Attribution(classifier, "SmoothGrad")
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = pixel_maps.open(image).overall()
    np.testing.assert_array_equal(torch.rand(3), expected)
    torch.manual_seed(8)
    np.testing.assert_array_equal(pixel_maps.open(image).overall(), first)
    np.testing.assert_array_equal(Attribution(classifier, "SmoothGrad").open(image).overall(), first)


def test_smooth_grad_without_noise_is_the_gradient_times_input(classifier, image, monkeypatch):
    monkeypatch.setattr(smooth_grad, "COPIES", 1)
    x = torch.from_numpy(image[None]).double()
    gradient = answer_gradient(classifier.network, x, classifier.network(x).softmax(1))
    expected = (x * gradient).sum(1)[0].numpy()
    assert peak_error(Attribution(classifier, "SmoothGrad").open(image).overall(), expected) < 1e-6


def test_integrated_gradients_are_their_definition(classifier, image):
    x = torch.from_numpy(image[None]).double()
    weights = classifier.network(x).softmax(1)
    total = torch.zeros_like(x)
    for step in range(1, integrated_gradients.STEPS + 1):
        total += answer_gradient(classifier.network, x * step / integrated_gradients.STEPS, weights)
    expected = (x * total / integrated_gradients.STEPS).sum(1)[0].numpy()
    assert peak_error(Attribution(classifier, "integrated gradients").open(image).overall(), expected) < 1e-5


def test_integrated_gradients_add_up_to_what_the_answer_gains(classifier, image, monkeypatch):
    monkeypatch.setattr(integrated_gradients, "STEPS", 2000)
    x = torch.from_numpy(image[None]).double()
    z, grey = classifier.network(x), classifier.network(torch.zeros_like(x))
    gained = float((z.softmax(1) * (z - grey)).sum())
    found = Attribution(classifier, "integrated gradients").open(image).overall().sum()
    assert abs(found - gained) < 1e-2 * abs(gained)


@pytest.mark.parametrize("title", ONE_MAP)
def test_a_method_of_one_map_refuses_those_of_neurons(classifier, image, title):
    opened = Attribution(classifier, title).open(image)
    assert not opened.single_neurons
    for ask in (lambda: opened.neuron(0), lambda: opened.relevance([0]), opened.feature_relevance):
        with pytest.raises(InputError, match=f"{title} gives one map of the whole answer and none of single neurons"):
            ask()
    assert opened.overall() is opened.overall(), "computed once"


@pytest.mark.parametrize("title", ONE_MAP)
def test_a_transformer_has_them_too(title):
    given = {"img_size": 8, "patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2, "num_classes": 3}
    import timm

    network = made(lambda: timm.models.vision_transformer.VisionTransformer(**given).eval())
    found = Attribution(classifier_of(network, "small transformer", 8), title).open(image_of(2, 8)).overall()
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 0


# What is left behind --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), Cancelled("stop"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("title", COMPOSITES)
def test_an_error_or_a_cancel_on_the_way_down_leaves_nothing_behind(title, error, image, monkeypatch):
    residual = classifier_of(made(lambda: settled(torchvision.models.resnet18(num_classes=3), 32)), "resnet18", 32)
    picture, before = image_of(3, 32), state_of(residual.network)
    pixel_maps = Attribution(residual, title)
    expected = pixel_maps.open(picture).neurons([3, 5])
    inside = state_of(pixel_maps.prepared._network._network)

    def failing(*arguments, **named):
        raise error

    with monkeypatch.context() as patch:
        # the last rule on the way down is at work while hooks, merged norms and recordings are all in place
        patch.setattr(torch.Tensor, "clamp" if title != "EpsilonPlusFlat" else "sign", failing)
        with pytest.raises(type(error)):
            pixel_maps.open(picture).neurons([3, 5])
    assert state_of(residual.network) == before
    np.testing.assert_array_equal(pixel_maps.open(picture).neurons([3, 5]), expected)
    assert state_of(pixel_maps.prepared._network._network) == inside


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), Cancelled("stop"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("title", ONE_MAP)
def test_an_error_or_a_cancel_between_two_gradients_leaves_nothing_behind(title, error, classifier, image, monkeypatch):
    before, pixel_maps = state_of(classifier.network), Attribution(classifier, title)
    expected = pixel_maps.open(image).overall()
    calls, original = iter(range(5)), torch.autograd.grad

    def failing(*arguments, **named):
        if next(calls, None) is None:
            raise error
        return original(*arguments, **named)

    torch.manual_seed(3)
    drawn = torch.rand(2)
    torch.manual_seed(3)
    with monkeypatch.context() as patch:
        patch.setattr(torch.autograd, "grad", failing)
        with pytest.raises(type(error)):
            pixel_maps.open(image).overall()
    np.testing.assert_array_equal(torch.rand(2), drawn)
    assert state_of(classifier.network) == before
    np.testing.assert_array_equal(pixel_maps.open(image).overall(), expected)


def test_an_error_while_a_network_is_looked_at_leaves_it_as_it_was(classifier, monkeypatch):
    before = state_of(classifier.network)

    def failing(*arguments):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(F, "linear", failing)
        with pytest.raises(RuntimeError, match="out of memory"):
            METHODS["EpsilonPlusFlat"](classifier)
    assert torch.overrides._get_current_function_mode_stack() == []
    assert state_of(classifier.network) == before


@pytest.mark.parametrize("title", [*COMPOSITES, *ONE_MAP])
def test_threads_that_explain_and_score_get_the_serial_results(classifier, title):
    before, shared = state_of(classifier.network), Attribution(classifier, title)

    def work(seed):
        picture = image_of(seed, SIZE)
        with torch.inference_mode():
            logits = classifier.network(torch.from_numpy(picture[None]).double()).numpy()
        opened = shared.open(picture)
        return logits, opened.overall(), opened.neurons([1, 2]) if opened.single_neurons else logits

    serial = [work(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(work, range(8)))
    for expected, seen in zip(serial, threaded, strict=True):
        for a, b in zip(expected, seen, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6 * np.abs(a).max())
    assert state_of(classifier.network) == before


# To which networks they are offered -----------------------------------------------------------------------------------


class Pooled(nn.Module):
    """A convolution, something odd, and a head."""

    def __init__(self, something):
        super().__init__()
        self.conv, self.pool, self.fc = nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Linear(4, 2)
        self.something = something

    def forward(self, x):
        return self.fc(self.pool(self.something(self, self.conv(x))).flatten(1))


class NormFirst(nn.Module):
    """A batch norm with nothing before it that it could be merged into."""

    def __init__(self):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.pool(self.conv(self.norm(x))).flatten(1))


class Backwards(nn.Module):
    """Its first layer is listed second."""

    def __init__(self):
        super().__init__()
        self.later, self.first, self.pool = nn.Conv2d(4, 4, 1), nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.pool(self.later(torch.relu(self.first(x)))).flatten(1))


class Listed(nn.Module):
    """A batch norm that is listed after the convolution that it does not follow."""

    def __init__(self, width):
        super().__init__()
        self.first, self.other, self.norm = nn.Conv2d(3, 4, 1), nn.Conv2d(4, width, 1), nn.BatchNorm2d(4)
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(width, 2)

    def forward(self, x):
        return self.fc(self.pool(self.other(torch.relu(self.norm(self.first(x))))).flatten(1))


class ReadsItsHead(Pooled):
    """Scales by the weights of its own head."""

    def forward(self, x):
        return self.fc(self.pool(self.conv(x)).flatten(1) + 0 * self.fc.weight.sum())


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (lambda: Pooled(lambda net, x: x + torch.relu(x)), r"odd network calls torch\.Tensor\.add outside of modules"),
        (lambda: Pooled(lambda net, x: torch.sigmoid(x)), r"torch\.sigmoid outside of modules"),
        (lambda: Pooled(lambda net, x: x * 2), r"torch\.Tensor\.mul outside of modules"),
        (lambda: Pooled(lambda net, x: F.avg_pool2d(x, 2)), r"avg_pool2d outside of modules"),
        (lambda: Pooled(lambda net, x: net.pool(x).expand(-1, -1, 2, 2)), r"expand outside of modules"),
        (lambda: Pooled(lambda net, x: net.pool(torch.relu(x))), "calls `pool` more than once"),
        (NormFirst, "a batch norm, `norm`, that zennit cannot merge"),
        (Backwards, "calls `first` first, where zennit takes `later` for its first layer"),
        (lambda: Listed(6), "a batch norm that zennit cannot merge into the layer listed before it"),
        (lambda: Listed(4), "gives other logits with its batch norms merged by zennit"),
        (lambda: ReadsItsHead(None), "reads into its layers where zennit's rules are put"),
    ],
)
def test_a_network_that_a_composite_would_tell_wrongly_of_is_refused_with_the_reason(network, said):
    odd = classifier_of(made(lambda: settled(network(), 16)), "odd network", 16)
    before = state_of(odd.network)
    for title in COMPOSITES:
        with pytest.raises(InputError, match=said):
            Attribution(odd, title)
        fit = METHODS[title].fits(odd)
        assert not fit
        assert re.search(said, fit.reason)
    assert state_of(odd.network) == before


def test_torchs_own_attention_is_no_activation():
    """zennit lists it among the functions that work value by value."""
    own = made(lambda: torchvision.models.VisionTransformer(32, 16, 1, 2, 8, 16, num_classes=2).eval())
    fit = METHODS["EpsilonPlusFlat"].fits(classifier_of(own, "small ViT", 32))
    assert "multi_head_attention_forward" in fit.reason


def test_functions_that_hand_values_on_are_allowed():
    """A ReLU, a join and a maximum written as functions have their plain gradient for a rule, as our CRP has it."""

    def something(net, x):
        x = F.relu(x)
        return F.max_pool2d(torch.cat([x[:, :2], x[:, 2:]], 1), 2)

    own = classifier_of(made(lambda: settled(Pooled(something), 16)), "joined", 16)
    ours = by_crp = None
    theirs = Attribution(own, "EpsilonPlusFlat").open(image_of(4, 16)).overall()
    with pytest.raises(InputError, match="__getitem__"):
        ours = Attribution(own, "CRP")
    assert ours is by_crp is None
    simple = classifier_of(own.private_copy(), "simple", 16)
    simple.network.something = lambda net, x: F.max_pool2d(F.relu(x), 2)
    simple.network.double()
    assert peak_error(theirs, Attribution(simple, "CRP").open(image_of(4, 16)).overall()) < 1e-5


@pytest.mark.parametrize(
    ("name", "fitting"),
    [
        ("alexnet", True),
        ("resnet50", True),
        ("seresnet18", False),
        ("densenet121", False),
        ("efficientnet_b0", False),
        ("deit_tiny_patch16_224", False),
    ],
)
def test_families_are_offered_what_they_can_have(name, fitting):
    from nero_core.data.preprocessing import Preprocessing

    own = build_classifier(name, ["a", "b"], preprocessing=Preprocessing(height=64, width=64))
    fits = fits_of(own)
    assert list(fits) == list(METHODS)
    for title in COMPOSITES:
        assert bool(fits[title]) == fitting
        assert (fits[title].reason == "") == fitting
        assert fitting or fits[title].reason.startswith(name)
    assert all(fits[title] for title in (*ONE_MAP, "gradient × input"))


def test_a_rule_is_a_hook_of_zennits(classifier):
    """The composites are zennit's own, so that a rule of theirs that changes is seen by the twins above."""
    composite = METHODS["EpsilonPlusFlat"](classifier).composite()
    kinds = [type(hook) for _, hook in composite.layer_map]
    assert ZPlus in kinds
    assert Epsilon in kinds
