import copy
import gc
import hashlib
import re
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from crp.attribution import CondAttribution
from torch import nn
from zennit.attribution import Gradient
from zennit.canonizers import AttributeCanonizer, CompositeCanonizer, NamedMergeBatchNorm, SequentialMergeBatchNorm
from zennit.composites import EpsilonPlusFlat
from zennit.layer import Sum
from zennit.torchvision import ResNetCanonizer

from nero_core.attribution import Attribution, instant_maps, rules, supports, tracing
from nero_core.attribution.base import CONDITIONS_AT_ONCE
from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import InputError
from nero_core.network.classifier import Classifier
from nero_core.relevance import neuron_relevance

SIZE = 64
TOLERANCE = 1e-3
"""Agreement wanted with zennit-crp, as a share of a map's peak."""
ROUNDING = 1e-6
"""The same where both compute in float64 and only the map is rounded to float32."""


def settled(network, size=SIZE, seed=0):
    """A network whose batch norms have seen data, in evaluation mode, so that merging them is no trifle."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(4, 3, size, size))
    return network.eval()


def classifier_of(network, name, size=SIZE):
    classes = next(m for m in reversed(list(network.modules())) if isinstance(m, nn.Linear)).out_features
    return Classifier(network, name, [f"class {k}" for k in range(classes)], Preprocessing(height=size, width=size))


def residual_network(name, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return classifier_of(settled(torchvision.models.get_model(name, num_classes=4), seed=seed), name)


@pytest.fixture(scope="module")
def classifier():
    return residual_network("resnet18")


@pytest.fixture(scope="module")
def pixel_maps(classifier):
    return Attribution(classifier)


def image_of(seed, size=SIZE):
    return np.random.default_rng(seed).normal(size=(3, size, size)).astype(np.float32)


def peak_error(maps, reference):
    """Largest difference of each map, as a share of the reference's peak; the worst of them."""
    assert maps.shape == reference.shape
    assert np.abs(reference).max(axis=(-2, -1)).min() > 0
    return (np.abs(maps - reference).max(axis=(-2, -1)) / np.abs(reference).max(axis=(-2, -1))).max()


# The instant maps ---------------------------------------------------------------------------------------------


def test_an_instant_map_shares_a_relevance_out_by_activation():
    activation = np.array([[[1, 0], [2, 1]], [[0, 0], [0, 5]], [[1, 1], [1, 1]]])
    maps = instant_maps(np.array([8.0, -3.0, 2.0]), activation, [1, 0])
    np.testing.assert_array_equal(maps, [[[0, 0], [0, -3]], [[2, 0], [4, 2]]])


def test_instant_maps_sum_to_the_relevance():
    rng = np.random.default_rng(0)
    r, activation = rng.normal(size=40), rng.random((40, 7, 5)).astype(np.float32)
    maps = instant_maps(r, activation, range(40))
    assert maps.dtype == np.float64
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), r, rtol=1e-14)


def test_a_silent_neuron_looked_nowhere():
    silent = np.zeros((2, 2, 2))
    np.testing.assert_array_equal(instant_maps(np.array([0.0, 4.0]), silent, [0]), np.zeros((1, 2, 2)))
    np.testing.assert_array_equal(instant_maps(np.array([0.0, 4.0]), silent, [1]), np.ones((1, 2, 2)))
    assert instant_maps(np.array([0.0, 4.0]), silent, []).shape == (0, 2, 2)


@pytest.mark.parametrize(
    ("relevance", "activation", "neurons", "said"),
    [
        (np.ones(3), np.ones((2, 4, 4)), [0], r"\(3,\) and `activation_map` \(2, 4, 4\)"),
        (np.ones((1, 2)), np.ones((2, 4, 4)), [0], "wanted"),
        (np.ones(2), np.ones((2, 16)), [0], "wanted"),
        (np.array([1, np.nan]), np.ones((2, 4, 4)), [0], "NaN"),
        (np.ones(2), np.full((2, 4, 4), np.inf), [0], "infinity"),
        (np.ones(2), np.ones((2, 4, 4)), [2], "no neuron 2.*0 to 1"),
        (np.ones(2), np.ones((2, 4, 4)), [-1], "no neuron -1"),
        (np.ones(2), np.ones((2, 4, 4)), [0.5], "whole numbers"),
        (np.ones(2), np.ones((2, 4, 4)), [True], "whole numbers"),
    ],
)
def test_instant_maps_refuse_what_makes_no_sense(relevance, activation, neurons, said):
    with pytest.raises(InputError, match=said):
        instant_maps(relevance, activation, neurons)


# The rules, against literal twins -----------------------------------------------------------------------------


def z_plus_by_hand(x, weight, bias, r, stride, padding, groups):
    """Σ_k (x_j W_kj)⁺ R_k / (b_k⁺ + Σ_i (x_i W_ki)⁺), connection by connection; x (C, H, W), r (K, h, w)."""
    below = np.zeros(x.shape)
    per_group, outputs_per_group = weight.shape[1], len(weight) // groups
    for k, row, column in np.ndindex(*r.shape):
        contributions = {}
        for c, dy, dx in np.ndindex(*weight.shape[1:]):
            j = (k // outputs_per_group * per_group + c, row * stride + dy - padding, column * stride + dx - padding)
            if 0 <= j[1] < x.shape[1] and 0 <= j[2] < x.shape[2]:
                contributions[j] = max(x[j] * weight[k, c, dy, dx], 0)
        z = max(bias[k], 0) + sum(contributions.values())
        for j, contribution in contributions.items():
            below[j] += contribution * r[k, row, column] / (z + rules.EPSILON)
    return below


def test_z_plus_on_paper():
    # Three inputs, one output: products 2, −2 and 3 with a bias of 1. The positive ones and the bias make 6, so a
    # relevance of 6 gives 2 to the first input, 3 to the third and leaves 1 in the bias.
    x = torch.tensor([1.0, 2.0, -1.0]).view(1, 3, 1, 1)
    weight, bias = torch.tensor([2.0, -1.0, -3.0]).view(1, 3, 1, 1), torch.tensor([1.0])
    z, down = rules.RULES[F.conv2d].make(x, weight, bias)(x)
    assert z.item() == 2 - 2 + 3 + 1
    np.testing.assert_allclose(down(torch.full((1, 1, 1, 1), 6.0))[0].flatten(), [2, 0, 3], rtol=1e-6)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("stride", "padding", "groups"), [(1, 0, 1), (2, 1, 1), (3, 2, 2)])
def test_z_plus_is_its_definition(signed, stride, padding, groups):
    rng = np.random.default_rng(1)
    x = rng.integers(-3 if signed else 0, 4, (4, 6, 5)).astype(float)
    weight = rng.integers(-2, 3, (6, 4 // groups, 3, 3)).astype(float)
    bias = rng.integers(-2, 3, 6).astype(float)
    y = F.conv2d(
        torch.from_numpy(x[None]), torch.from_numpy(weight), torch.from_numpy(bias), stride, padding, 1, groups
    )
    relevance = rng.integers(-5, 6, (2, *y.shape[1:])).astype(float)
    made = rules.RULES[F.conv2d].make(
        torch.from_numpy(x[None]), torch.from_numpy(weight), torch.from_numpy(bias), stride, padding, 1, groups
    )
    output, down = made(torch.from_numpy(x[None]))
    np.testing.assert_array_equal(output, y)
    by_hand = [z_plus_by_hand(x, weight, bias, r, stride, padding, groups) for r in relevance]
    np.testing.assert_allclose(down(torch.from_numpy(relevance))[0], by_hand, rtol=1e-12, atol=1e-12)


def test_flat_spreads_evenly_over_what_was_seen():
    # A 2×2 window in a 3×3 image with padding 1: the corner output has seen one pixel, the next one two.
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64)
    made = rules.FIRST_RULES[F.conv2d].make(x, torch.randn(1, 2, 2, 2, dtype=torch.float64), None, 1, 1)
    relevance = torch.zeros(2, 1, 4, 4, dtype=torch.float64)
    relevance[0, 0, 0, 0] = 6
    relevance[1, 0, 0, 1] = 8
    below = made(x)[1](relevance)[0].sum(dim=1)
    np.testing.assert_allclose(below[0], [[6, 0, 0], [0, 0, 0], [0, 0, 0]], rtol=1e-5)
    np.testing.assert_allclose(below[1], [[4, 4, 0], [0, 0, 0], [0, 0, 0]], rtol=1e-5)


def test_a_sum_shares_in_proportion():
    first, second = torch.tensor([[3.0, -1.0]]), torch.tensor([[1.0, 3.0]])
    _, down = rules.RULES[torch.Tensor.add].make(first, second)(first, second)
    to_first, to_second = down(torch.tensor([[8.0, 4.0]]))
    np.testing.assert_allclose(to_first, [[6, -2]], rtol=1e-5)
    np.testing.assert_allclose(to_second, [[2, 6]], rtol=1e-5)


def test_the_winner_of_a_window_takes_its_relevance():
    x = torch.tensor([[1.0, 5.0, 2.0], [0.0, 3.0, 4.0], [9.0, 1.0, 1.0]]).view(1, 1, 3, 3)
    _, down = rules.RULES[F.max_pool2d].make(x, 2, stride=1)(x)
    below = down(torch.tensor([[1.0, 10.0], [100.0, 1000.0]]).view(1, 1, 2, 2))[0]
    np.testing.assert_array_equal(below[0, 0], [[0, 11, 0], [0, 0, 1000], [100, 0, 0]])


def test_a_rule_does_not_write_over_its_input():
    x = torch.tensor([[-1.0, 2.0]])
    output, down = rules.RULES[F.relu].make(x, inplace=True)(x)
    np.testing.assert_array_equal(output, [[0, 2]])
    np.testing.assert_array_equal(x, [[-1, 2]])
    np.testing.assert_array_equal(down(torch.tensor([[3.0, 4.0]]))[0], [[3, 4]])


# The maps, against zennit and zennit-crp ----------------------------------------------------------------------


def crp(network, image, conditions, canonizer=ResNetCanonizer, record=()):
    private = copy.deepcopy(network)
    return CondAttribution(private)(
        torch.tensor(image[None]).to(next(private.parameters())).requires_grad_(),
        conditions,
        EpsilonPlusFlat(canonizers=[canonizer()]),
        init_rel=lambda logits: logits.softmax(1),
        record_layer=list(record),
    )


def crp_maps(network, image, neurons, layer, canonizer=ResNetCanonizer):
    return crp(network, image, [{layer: [int(neuron)]} for neuron in neurons], canonizer).heatmap.numpy()


def zennit_map(network, image, canonizer=ResNetCanonizer):
    private = copy.deepcopy(network)
    data = torch.tensor(image[None]).to(next(private.parameters()))
    with Gradient(private, EpsilonPlusFlat(canonizers=[canonizer()]), attr_output=lambda z: z.softmax(1)) as attributor:
        return attributor(data)[1].sum(1)[0].numpy()


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_maps_are_those_of_zennit_crp(name):
    classifier = residual_network(name)
    image = image_of(0)
    opened = Attribution(classifier).open(image)
    neurons = np.argsort(-np.abs(opened.feature_relevance()))[:2]
    assert peak_error(opened.neurons(neurons), crp_maps(classifier.network, image, neurons, "layer4")) < TOLERANCE

    classifier.network.double()
    opened = Attribution(classifier).open(image)
    by_crp = crp_maps(classifier.network, image, neurons, "layer4")
    assert peak_error(opened.neurons(neurons), by_crp) < ROUNDING
    assert peak_error(opened.neurons(neurons, "layer4"), by_crp) < ROUNDING
    by_crp = crp_maps(classifier.network, image, [40], "layer2")
    assert peak_error(opened.neurons([40], "layer2"), by_crp) < ROUNDING
    assert peak_error(opened.overall(), zennit_map(classifier.network, image)) < ROUNDING


class Residual(AttributeCanonizer):
    """The sums of timm's blocks as a module, as zennit has it for torchvision's."""

    def __init__(self):
        super().__init__(self.changed)

    @staticmethod
    def changed(name, block):
        if not getattr(block, "has_skip", False):
            return None

        def forward(self, x):
            self.has_skip = False
            try:
                beside = type(block).forward(self, x)
            finally:
                self.has_skip = True
            return self.canonizer_sum(torch.stack([x, beside], dim=-1))

        return {"forward": forward.__get__(block), "canonizer_sum": Sum()}


class WholeMerge(NamedMergeBatchNorm):
    """Batch norms merged into the convolutions before them, leaving nothing: timm's ε of 1e-3 is no trifle."""

    def register(self, linears, batch_norm):
        self.norm, self.eps = batch_norm, batch_norm.eps
        super().register(linears, batch_norm)
        batch_norm.eps = 0.0

    def remove(self):
        super().remove()
        self.norm.eps = self.eps


def for_efficientnet(network):
    """The canonizer of one of timm's efficient networks."""
    merged = []
    for name, block in network.named_modules():
        convolution = None
        for child, module in block.named_children():
            path = f"{name}.{child}" if name else child
            if isinstance(module, nn.BatchNorm2d):
                merged.append(([convolution], path))
            convolution = path if isinstance(module, nn.Conv2d) else convolution
    return lambda: CompositeCanonizer([Residual(), WholeMerge(merged)])


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "tf_efficientnet_lite2"])
def test_maps_of_networks_with_relu6_and_zeros_laid_round_the_image_are_those_of_zennit_crp(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier = classifier_of(settled(timm.create_model(name, num_classes=4)), name)
    classifier.network.double()
    image, network, canonizer = image_of(0), classifier.network, for_efficientnet(classifier.network)
    opened = Attribution(classifier).open(image)
    neurons = np.argsort(-np.abs(opened.feature_relevance()))[:2]
    assert peak_error(opened.neurons(neurons), crp_maps(network, image, neurons, "bn2", canonizer)) < ROUNDING
    assert peak_error(opened.neurons([3], "blocks.2"), crp_maps(network, image, [3], "blocks.2", canonizer)) < ROUNDING
    assert peak_error(opened.overall(), zennit_map(network, image, canonizer)) < ROUNDING


class Plain(nn.Module):
    """A network in the manner of VGG: no sums, a hidden linear layer, two kinds of average pooling, dropout."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.AvgPool2d(3, 2, 1),
            nn.Conv2d(8, 8, 3, groups=2, bias=False),
            nn.Conv2d(8, 12, 3, stride=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.AdaptiveAvgPool2d((2, 3)),
            nn.Flatten(),
        )
        self.classifier = nn.Sequential(nn.Linear(72, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 3))

    def forward(self, x):
        return self.classifier(self.features(x))


@pytest.fixture(scope="module")
def plain():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        classifier = classifier_of(settled(Plain(), 40), "plain", 40)
    classifier.network.double()
    return classifier


def test_rules_go_by_function_and_not_by_family(plain):
    image, network = image_of(1, 40), plain.network
    opened = Attribution(plain).open(image)
    neurons = np.flatnonzero(opened.feature_relevance())[:4]
    hidden = crp_maps(network, image, neurons, "classifier.1", SequentialMergeBatchNorm)
    assert peak_error(opened.neurons(neurons), hidden) < ROUNDING
    inner = crp_maps(network, image, [0, 5], "features.6", SequentialMergeBatchNorm)
    assert peak_error(opened.neurons([0, 5], "features.6"), inner) < ROUNDING
    assert peak_error(opened.overall(), zennit_map(network, image, SequentialMergeBatchNorm)) < ROUNDING


def test_relevance_at_the_features_is_that_of_the_method(classifier, pixel_maps):
    image = image_of(2)
    batch = classifier.forward(torch.from_numpy(image[None])).activations
    r, _ = neuron_relevance(batch.features, batch.logits, classifier.head.weight, classifier.head.bias, rules.EPSILON)
    every_class = [{"y": list(range(len(classifier.classes)))}]
    by_zennit = crp(classifier.network, image, every_class, record=["avgpool"]).relevances["avgpool"].flatten().numpy()
    for seen in (pixel_maps.open(image).feature_relevance(), by_zennit):
        assert seen.shape == (512,)
        assert np.abs(seen - r[0]).max() < 1e-3 * np.abs(r).max()


# What maps are ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "width"), [("layer1", 64), ("layer2", 128)])
def test_the_maps_of_all_channels_add_up_to_the_overall_map(pixel_maps, stage, width):
    opened = pixel_maps.open(image_of(3))
    together = opened.neurons(range(width), stage).sum(axis=0, dtype=np.float64)
    assert peak_error(together, opened.overall()) < 1e-4


def test_the_maps_of_all_features_add_up_to_the_overall_map(plain):
    opened = Attribution(plain).open(image_of(3, 40))
    assert peak_error(opened.neurons(range(16)).sum(axis=0, dtype=np.float64), opened.overall()) < 1e-4


def test_one_by_one_or_together(pixel_maps):
    opened = pixel_maps.open(image_of(4))
    neurons = [7, 300, 2, 2, *range(100, 100 + CONDITIONS_AT_ONCE)]
    together = opened.neurons(neurons)
    assert together.dtype == np.float32
    assert together.shape == (len(neurons), SIZE, SIZE)
    silent = np.abs(together).max(axis=(1, 2)) == 0
    assert not silent[:4].any()
    one_by_one = np.stack([opened.neuron(neuron) for neuron in neurons])
    assert peak_error(one_by_one[~silent], together[~silent]) < 1e-4
    assert not one_by_one[silent].any()
    assert opened.neurons([]).shape == (0, SIZE, SIZE)


def test_maps_change_when_the_weights_are_randomised(classifier, pixel_maps):
    image = image_of(5)
    other = classifier_of(classifier.private_copy(), "resnet18")
    before = pixel_maps.open(image)
    np.testing.assert_array_equal(Attribution(other).open(image).overall(), before.overall())
    for parameter in other.network.layer2.parameters():
        parameter.copy_(parameter.flatten()[torch.randperm(parameter.numel())].view_as(parameter))
    after = Attribution(other).open(image)
    assert peak_error(after.overall(), before.overall()) > 0.1
    neuron = int(np.abs(before.feature_relevance()).argmax())
    assert peak_error(after.neuron(neuron), before.neuron(neuron)) > 0.1


# What is left behind ------------------------------------------------------------------------------------------


def state_of(network):
    """Checksum of the weights, number of hooks, and which parameters want a gradient."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    hooks = sum(len(getattr(module, kind)) for module in network.modules() for kind in kinds)
    return digest.hexdigest(), hooks, [(p.requires_grad, p.grad) for p in network.parameters()]


def test_threads_that_explain_and_score_get_the_serial_results(classifier, pixel_maps):
    before = state_of(classifier.network)
    images = [image_of(seed) for seed in range(8)]

    def score(image):
        with torch.inference_mode():
            return classifier.network(torch.from_numpy(image[None])).numpy()

    def work(seed):
        opened = (pixel_maps if seed % 4 else Attribution(classifier)).open(images[seed])
        logits = score(images[seed])
        first = opened.neuron(3)
        maps = opened.neurons([1, 2], "layer2")
        return logits, first, score(images[seed]), maps, opened.overall(), score(images[seed])

    serial = [work(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(work, range(8)))
    for expected, seen in zip(serial, threaded, strict=True):
        for a, b in zip(expected, seen, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-6 * np.abs(a).max())
    assert state_of(classifier.network) == before


@pytest.mark.parametrize("function", ["_stabilise", "_convolve_back"])
def test_an_error_on_the_way_leaves_nothing_behind(classifier, pixel_maps, monkeypatch, function):
    before, image = state_of(classifier.network), image_of(6)
    expected = pixel_maps.open(image).neuron(3)
    calls = iter(range(5))
    original = getattr(rules, function)

    def failing(*arguments):
        if next(calls, None) is None:
            raise RuntimeError("out of memory")
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(rules, function, failing)
        with pytest.raises(RuntimeError, match="out of memory"):
            pixel_maps.open(image).neuron(3)
    assert state_of(classifier.network) == before
    np.testing.assert_array_equal(pixel_maps.open(image).neuron(3), expected)


def test_an_error_while_the_network_is_read_leaves_nothing_behind(classifier):
    before = state_of(classifier.network)

    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("out of memory")

    private = classifier.private_copy()
    private.layer3 = Broken()
    with pytest.raises(RuntimeError, match="out of memory"):
        tracing.trace(private, "fc", SIZE, SIZE, "resnet18")
    assert state_of(private)[1] == 0
    assert state_of(classifier.network) == before
    assert torch.overrides._get_current_function_mode_stack() == []


def test_an_abandoned_pass_is_freed_at_once(classifier, pixel_maps):
    before = state_of(classifier.network)
    gc.disable()
    try:
        opened = pixel_maps.open(image_of(7))
        opened.neuron(3)
        held = [weakref.ref(down) for down in opened._downs]
        del opened
        assert not [ref for ref in held if ref() is not None]
    finally:
        gc.enable()
    assert state_of(classifier.network) == before


# What is refused ----------------------------------------------------------------------------------------------


class Odd(nn.Module):
    """A convolution, something odd, and a head."""

    def __init__(self, something):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 2)
        self.something = something

    def forward(self, x):
        return self.fc(self.something(self, self.conv(x)).mean((2, 3)))


class Pooled(Odd):
    def forward(self, x):
        return self.fc(F.adaptive_avg_pool2d(self.something(self, self.conv(x)), 1).flatten(1))


def zero_a_corner(net, x):
    x[:, :, 0] = 0
    return x


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (Odd(lambda net, x: x.transpose(2, 3)), "torch.Tensor.transpose"),
        (Odd(lambda net, x: x.mean(1, keepdim=True).expand(-1, 4, -1, -1)), "torch.Tensor.mean"),
        (Pooled(lambda net, x: torch.sigmoid(x)), "torch.sigmoid"),
        (Pooled(lambda net, x: x * F.relu(x)), "torch.Tensor.mul"),
        (
            Pooled(lambda net, x: torch.cat([x, net.conv.weight[:1, :1, :1, :1].expand(1, 4, 1, 14)], 2)),
            "torch.cat",
        ),
        (Pooled(lambda net, x: F.pad(x, (1, 1), value=1.0)), "pad"),
        (Pooled(lambda net, x: torch.add(x, x, alpha=2)), "torch.add"),
        (Pooled(lambda net, x: x + 1), "torch.Tensor.add"),
        (Pooled(lambda net, x: F.batch_norm(x, None, None, training=True)), "batch_norm"),
        (Pooled(lambda net, x: F.conv2d(x, net.conv.weight[:, [0, 0, 1, 2]], padding="same")), "conv2d"),
        (Pooled(lambda net, x: max(x.split(2), key=len)), "split"),
        (Pooled(zero_a_corner), "do not give its logits"),
    ],
)
def test_a_network_without_exact_rules_says_so_by_name(odd, said):
    torch.manual_seed(0)
    classifier = classifier_of(odd, "odd network", 16)
    before = state_of(classifier.network)
    with pytest.raises(InputError, match=f"odd network.*{said}"):
        Attribution(classifier, "CRP")
    assert not supports(classifier)
    fallback = Attribution(classifier)
    assert fallback.method in {"instant map", "gradient × input"}
    assert re.search(f"CRP: .*odd network.*{said}", fallback.reason)
    assert np.isfinite(fallback.open(image_of(0, 16)).neuron(1)).all()
    assert state_of(classifier.network) == before


def test_networks_with_exact_rules_are_supported(classifier):
    assert supports(classifier)
    assert Attribution(classifier).reason == ""
    unread = classifier_of(Pooled(lambda net, x: (torch.sigmoid(x), F.relu(x))[1]), "unread sigmoid", 16)
    assert supports(unread)


def test_methods_that_are_not_there_are_refused(classifier):
    with pytest.raises(InputError, match="no method 'LRP'; choose one of CRP, conservative propagation"):
        Attribution(classifier, "LRP")
    with pytest.raises(InputError, match="nothing that conservative propagation holds constant"):
        Attribution(classifier, "conservative propagation")


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((3, SIZE, SIZE + 1), np.float32), r"\(3, 64, 65\); wanted \(3, 64, 64\)"),
        (np.zeros((1, 3, SIZE, SIZE), np.float32), "wanted"),
        (np.zeros((SIZE, SIZE, 3), np.float32), "wanted"),
        (np.full((3, SIZE, SIZE), np.nan, np.float32), "NaN"),
        (np.full((3, SIZE, SIZE), 1e300), "infinity"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_images_that_cannot_be_explained(pixel_maps, image, said):
    with pytest.raises(InputError, match=said):
        pixel_maps.open(image)


@pytest.mark.parametrize(
    ("neurons", "stage", "said"),
    [
        ([512], None, "no neuron 512: the features are numbered 0 to 511"),
        ([0, -1], None, "no neuron -1"),
        ([128], "layer2", "no neuron 128: the channels of `layer2` are numbered 0 to 127"),
        ([1.0], None, "whole numbers"),
        ([[1]], None, "whole numbers"),
        ([1], "layer5", "no stage 'layer5'; choose one of layer1, layer2, layer3, layer4"),
        ([1], "layer1.0.relu", "no stage"),
        ([1], "", "no stage"),
    ],
)
def test_neurons_that_are_not_there(pixel_maps, neurons, stage, said):
    with pytest.raises(InputError, match=said):
        pixel_maps.open(image_of(0)).neurons(neurons, stage)
