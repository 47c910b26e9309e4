"""Explanations beyond ResNet, against zennit, against other implementations of one network, and against slow twins."""

from __future__ import annotations

import copy
import gc
import hashlib
import types
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from zennit.attribution import Gradient
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.composites import EpsilonPlusFlat
from zennit.layer import Sum

from nero_core.attribution import FAMILIES, PREFERRED, Attribution, describe_families, rules, share_arriving, supports
from nero_core.attribution import holding as holding_module
from nero_core.attribution.holding import HELD, Holding
from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import InputError
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.relevance import neuron_relevance

SIZE = 32
ROUNDING = 1e-6
"""Agreement wanted in float64 where only the map is rounded to float32, as a share of a map's peak."""


def settled(network, size=SIZE, eps=None):
    """A network whose batch norms have seen data, in evaluation mode and float64."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            module.eps = module.eps if eps is None else eps
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(4, 3, size, size))
    return network.eval().double()


def made(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()


def classifier_of(network, name, size=SIZE):
    """A classifier in the precision of its network."""
    dtype = next(network.parameters()).dtype
    classes = next(m for m in reversed(list(network.modules())) if isinstance(m, nn.Linear)).out_features
    classifier = Classifier(
        network.float(), name, [f"class {k}" for k in range(classes)], Preprocessing(height=size, width=size)
    )
    network.to(dtype)
    return classifier


def image_of(seed, size=SIZE):
    return np.random.default_rng(seed).normal(size=(3, size, size)).astype(np.float32)


def peak_error(maps, reference):
    assert maps.shape == reference.shape
    assert np.abs(reference).max(axis=(-2, -1)).min() > 0
    return (np.abs(maps - reference).max(axis=(-2, -1)) / np.abs(reference).max(axis=(-2, -1))).max()


def zennit_map(network, image, canonizers=()):
    composite = EpsilonPlusFlat(canonizers=list(canonizers))
    data = torch.from_numpy(image[None]).double()
    with Gradient(network, composite, attr_output=lambda z: z.softmax(1)) as attributor:
        return attributor(data)[1].sum(1)[0].numpy()


# CRP, against zennit ------------------------------------------------------------------------------------------


def small_vgg():
    features = torchvision.models.vgg.make_layers([8, "M", 16, "M", 16, 16, "M"], batch_norm=True)
    hidden = (nn.Linear(16 * 4, 24), nn.ReLU(True), nn.Dropout(), nn.Linear(24, 12), nn.ReLU(True))
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(2), nn.Flatten(), *hidden, nn.Linear(12, 4))


def test_vgg_is_that_of_zennit():
    classifier = classifier_of(made(lambda: settled(small_vgg())), "small VGG")
    ours = Attribution(classifier, "CRP").open(image_of(0))
    theirs = zennit_map(copy.deepcopy(classifier.network), image_of(0), [SequentialMergeBatchNorm()])
    assert peak_error(ours.overall(), theirs) < ROUNDING


def test_activations_and_depthwise_convolutions_are_those_of_zennit():
    network = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU(inplace=True)),
        *(nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), nn.Hardswish(inplace=True)),
        *(nn.Conv2d(8, 12, 1), nn.BatchNorm2d(12), nn.ReLU6(inplace=True)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 3)),
    )
    classifier = classifier_of(made(lambda: settled(network)), "small network")
    ours = Attribution(classifier, "CRP").open(image_of(1))
    theirs = zennit_map(copy.deepcopy(classifier.network), image_of(1), [SequentialMergeBatchNorm()])
    assert peak_error(ours.overall(), theirs) < ROUNDING


def merged(network):
    """Each convolution that is followed by a batch norm in a Sequential, merged with it by torch."""
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for first, second in zip(list(module), list(module)[1:], strict=False):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    places = {id(child): number for number, child in enumerate(module)}
                    module[places[id(first)]] = fuse_conv_bn_eval(first, second)
                    module[places[id(second)]] = nn.Identity()
    return network


def test_mobilenet_is_that_of_zennit():
    # With ε = 1e-3 in its batch norms nothing is left of them, so that torch's own merging is the twin.
    setting = [[1, 8, 1, 1], [4, 12, 2, 2], [4, 16, 2, 2]]
    classifier = classifier_of(
        made(
            lambda: settled(torchvision.models.MobileNetV2(3, 1.0, setting, dropout=0.0), eps=1e-3),
        ),
        "small MobileNetV2",
    )

    def forward(self, x):
        return self.sum(torch.stack([x, self.conv(x)], dim=-1)) if self.use_res_connect else self.conv(x)

    twin = merged(copy.deepcopy(classifier.network))
    for block in twin.modules():
        if isinstance(block, torchvision.models.mobilenetv2.InvertedResidual):
            block.sum = Sum()
            block.forward = types.MethodType(forward, block)
    twin = nn.Sequential(twin.features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), twin.classifier)
    ours = Attribution(classifier, "CRP").open(image_of(2))
    assert peak_error(ours.overall(), zennit_map(twin, image_of(2))) < ROUNDING


def as_convolution(norm):
    """A batch norm as the 1×1 convolution of each channel that it is."""
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    convolution = nn.Conv2d(len(scale), len(scale), 1, groups=len(scale)).double()
    convolution.weight.data[:] = scale[:, None, None, None]
    convolution.bias.data[:] = norm.bias - norm.running_mean * scale
    return convolution


def test_densenet_is_that_of_zennit():
    network = torchvision.models.DenseNet(8, (2, 2), 16, bn_size=2, num_classes=3)
    classifier = classifier_of(made(lambda: settled(network, eps=1e-3)), "small DenseNet")
    assert classifier.layout.map == "features"

    twin = copy.deepcopy(classifier.network)
    twin.features.conv0 = fuse_conv_bn_eval(twin.features.conv0, twin.features.norm0)
    twin.features.norm0 = nn.Identity()
    for layer in twin.features.modules():
        if isinstance(layer, torchvision.models.densenet._DenseLayer):
            layer.conv1, layer.norm2 = fuse_conv_bn_eval(layer.conv1, layer.norm2), nn.Identity()
            layer.norm1 = as_convolution(layer.norm1)
        if isinstance(layer, torchvision.models.densenet._Transition):
            layer.norm = as_convolution(layer.norm)
    twin.features.norm5 = as_convolution(twin.features.norm5)
    twin = nn.Sequential(twin.features, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), twin.classifier)
    ours = Attribution(classifier, "CRP").open(image_of(3))
    assert peak_error(ours.overall(), zennit_map(twin, image_of(3))) < ROUNDING
    together = ours.neurons(range(classifier.head.width)).sum(axis=0, dtype=np.float64)
    assert peak_error(together, ours.overall()) < 1e-4


@pytest.mark.parametrize("block", ["BasicBlock", "Bottleneck"])
def test_timms_blocks_are_torchvisions(block):
    resnet = torchvision.models.resnet
    torchvisions = made(lambda: settled(resnet.ResNet(getattr(resnet, block), [1, 2, 1, 1], num_classes=3), 64).float())
    timms = timm.models.resnet.ResNet(getattr(timm.models.resnet, block), (1, 2, 1, 1), num_classes=3).eval()
    timms.load_state_dict(torchvisions.state_dict())
    one, other = (Attribution(classifier_of(network, block, 64), "CRP") for network in (torchvisions, timms))
    one, other = one.open(image_of(4, 64)), other.open(image_of(4, 64))
    assert peak_error(other.overall(), one.overall()) < 1e-4
    assert peak_error(other.neurons([3, 9], "layer2"), one.neurons([3, 9], "layer2")) < 1e-4


# CRP, new rules on paper --------------------------------------------------------------------------------------


def test_a_batch_norm_of_its_own_on_paper():
    # w = 6/√(8+1) = 2 and b = 3 − 1·2 = 1. x = 4 gives 9, of which 8 are x's; x = −1 gives −1 and nothing is positive.
    x = torch.tensor([4.0, -1.0]).view(1, 1, 1, 2)
    mean, variance, weight, bias = (torch.tensor([value]) for value in (1.0, 8.0, 6.0, 3.0))
    output, down = rules.RULES[F.batch_norm].make(x, mean, variance, weight, bias, False, 0.1, 1.0)(x)
    np.testing.assert_array_equal(output.flatten(), [9, -1])
    np.testing.assert_allclose(down(torch.full((1, 1, 1, 2), 18.0))[0].flatten(), [16, 0], rtol=1e-5)


def test_a_gate_is_held_constant():
    signal, gate = torch.tensor([[[[2.0, 3.0]]]]), torch.tensor([[[[0.5]]]])
    relevance = torch.tensor([[[[5.0, 7.0]]]])
    for factors, place in [((signal, gate), 0), ((gate, signal), 1)]:
        output, down = rules.RULES[torch.Tensor.mul].make(*factors)(*factors)
        np.testing.assert_array_equal(output, [[[[1, 1.5]]]])
        below = down(relevance)
        np.testing.assert_array_equal(below[place], relevance)
        assert below[1 - place] is None
    assert rules.RULES[torch.Tensor.mul].make(signal, signal) is None


class Squeezed(nn.Module):
    """A convolution, squeeze-and-excitation written over its own input, and a head."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 6, 3), nn.ReLU()
        self.squeeze, self.gate = nn.Conv2d(6, 6, 1), nn.Hardsigmoid(inplace=True)
        self.after, self.fc = nn.Conv2d(6, 6, 3), nn.Linear(6, 2)

    def forward(self, x):
        x = self.relu(self.conv(x))
        x = x * self.gate(self.squeeze(x.mean((2, 3), keepdim=True)))
        return self.fc(self.after(x).mean((2, 3)))


def test_relevance_goes_past_a_gate_and_not_into_it():
    classifier = classifier_of(made(lambda: Squeezed().eval()), "squeezed", 12)
    image = image_of(5, 12)
    ours = Attribution(classifier, "CRP").open(image)

    class Constant(nn.Module):
        """The same with the gate a number, and what it multiplies merged into the convolution after it."""

        def __init__(self, network):
            super().__init__()
            self.inner = network

        def forward(self, x):
            return self.inner.fc(self.inner.after(self.inner.relu(self.inner.conv(x))).mean((2, 3)))

    twin = copy.deepcopy(classifier.network)
    with torch.no_grad():
        pooled = twin.relu(twin.conv(torch.from_numpy(image[None]))).mean((2, 3), keepdim=True)
        twin.after.weight *= twin.gate(twin.squeeze(pooled)).view(1, 6, 1, 1)
    theirs = Attribution(classifier_of(Constant(twin), "constant", 12), "CRP").open(image)
    assert peak_error(ours.neurons([0, 4]), theirs.neurons([0, 4])) < 1e-5
    assert peak_error(ours.neurons([1], "relu"), theirs.neurons([1], "inner.relu")) < 1e-5
    with pytest.raises(InputError, match="no stage 'squeeze'"):
        ours.neuron(0, "squeeze")


def test_parts_side_by_side_keep_their_own():
    first, second = torch.ones(1, 2, 1, 1), torch.ones(1, 1, 1, 1)
    output, down = rules.RULES[torch.cat].make([first, second], 1)(first, second)
    assert output.shape == (1, 3, 1, 1)
    parts = down(torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1))
    assert [part.flatten().tolist() for part in parts] == [[1, 2], [3]]
    x = torch.ones(1, 1, 1, 2)
    output, down = rules.RULES[F.pad].make(x, (1, 2))(x)
    assert output.flatten().tolist() == [0, 1, 1, 0, 0]
    assert down(torch.arange(5.0).view(1, 1, 1, 5))[0].flatten().tolist() == [1, 2]


# Conservative propagation, against a slow twin ----------------------------------------------------------------


def small_transformer(**changes):
    """Two blocks of two heads on four patches, every weight and bias in use."""
    arguments = {"img_size": 8, "patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2, "num_classes": 3}
    network = timm.models.vision_transformer.VisionTransformer(**(arguments | changes))
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.5)
    return network.eval()


@pytest.fixture(scope="module")
def transformer():
    return classifier_of(made(small_transformer), "small transformer", 8)


class ByHand:
    """The transformer written out, with the constants of one image in it: from then on a linear function of pixels."""

    def __init__(self, network, image):
        self.w = {name: value.double().numpy() for name, value in network.state_dict().items()}
        self.constants = None
        self.seen = []
        self.features = self(image)
        self.constants = self.seen

    def held(self, compute):
        """A number that is computed for the first image and then stays what it was."""
        if self.constants is None:
            self.seen.append(compute())
            return self.seen[-1]
        return self.constants[next(self.places)]

    def linear(self, x, name):
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def norm(self, x, name):
        deviation = self.held(lambda: np.sqrt(x.var(axis=1, keepdims=True) + 1e-6))
        return (x - x.mean(axis=1, keepdims=True)) / deviation * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def attend(self, x, name):
        q, k, v = np.split(self.linear(x, f"{name}.qkv"), 3, axis=1)
        heads = []
        for head in (slice(0, 4), slice(4, 8)):
            scores = np.exp(q[:, head] @ k[:, head].T / 2)
            weights = self.held(lambda scores=scores: scores / scores.sum(axis=1, keepdims=True))
            heads.append(weights @ v[:, head])
        return self.linear(np.hstack(heads), f"{name}.proj")

    def mlp(self, x, name):
        h = self.linear(x, f"{name}.fc1")
        ratio = self.held(lambda: (F.gelu(torch.from_numpy(h)) / torch.from_numpy(h)).numpy())
        return self.linear(h * ratio, f"{name}.fc2")

    def __call__(self, image):
        self.places = iter(range(100))
        kernel = self.w["patch_embed.proj.weight"].reshape(8, -1)
        patches = [image[:, y : y + 4, x : x + 4].ravel() for y in (0, 4) for x in (0, 4)]
        x = np.array(patches) @ kernel.T + self.w["patch_embed.proj.bias"]
        x = np.vstack([self.w["cls_token"][0], x]) + self.w["pos_embed"][0]
        for block in ("blocks.0", "blocks.1"):
            x = x + self.attend(self.norm(x, f"{block}.norm1"), f"{block}.attn")
            x = x + self.mlp(self.norm(x, f"{block}.norm2"), f"{block}.mlp")
        return self.norm(x, "norm")[0]


def test_maps_of_a_transformer_are_those_of_the_linear_function_it_becomes(transformer):
    image = image_of(6, 8)
    by_hand = ByHand(transformer.network, image.astype(np.float64))
    batch = transformer.forward(torch.from_numpy(image[None])).activations
    np.testing.assert_allclose(by_hand.features, batch.features[0], rtol=1e-4, atol=1e-5)

    slopes = np.zeros((8, 3, 8, 8))
    for pixel in np.ndindex(3, 8, 8):
        moved = image.astype(np.float64)
        moved[pixel] += 1
        slopes[(slice(None), *pixel)] = by_hand(moved) - by_hand.features
    r, _ = neuron_relevance(batch.features, batch.logits, transformer.head.weight, transformer.head.bias, rules.EPSILON)
    scaled = slopes * (r[0] / batch.features[0])[:, None, None, None]
    opened = Attribution(transformer).open(image)
    assert opened.method == "conservative propagation"
    np.testing.assert_allclose(opened.feature_relevance(), r[0], rtol=1e-3)
    assert peak_error(opened.neurons(range(8)), (image * scaled).sum(axis=1)) < 1e-4
    assert peak_error(opened.overall(), (image * scaled).sum(axis=(0, 1))) < 1e-4


def test_rules_that_hold_on_paper():
    # Layer norm: x = (1, 3) has mean 2 and σ = 1, so y = x − 2; a gradient (1, 0) comes down as (1/2, −1/2).
    x = torch.tensor([[1.0, 3.0]], requires_grad=True)
    y = HELD[F.layer_norm](x, (2,), eps=0.0)
    np.testing.assert_array_equal(y.detach(), [[-1, 1]])
    np.testing.assert_array_equal(torch.autograd.grad(y, x, torch.tensor([[1.0, 0.0]]))[0], [[0.5, -0.5]])
    # Hardswish: 3 → 3 with ratio 1, 1 → 4/6 with ratio 2/3, 0 → 0 with ratio 1/2, −5 → 0 with ratio 0.
    x = torch.tensor([3.0, 1.0, 0.0, -5.0], requires_grad=True)
    y = HELD[F.hardswish](x)
    np.testing.assert_allclose(torch.autograd.grad(y.sum(), x)[0], [1, 2 / 3, 0.5, 0], rtol=1e-6)
    # Attention: two tokens with equal weights give the mean of their values; queries and keys get nothing.
    q, v = torch.zeros(1, 1, 2, 1, requires_grad=True), torch.tensor([[[[2.0], [6.0]]]], requires_grad=True)
    y = HELD[F.scaled_dot_product_attention](q, q, v)
    np.testing.assert_array_equal(y.detach().flatten(), [4, 4])
    to_q, to_v = torch.autograd.grad(y[0, 0, 0], (q, v), torch.tensor([8.0]), allow_unused=True)
    assert to_q is None
    np.testing.assert_array_equal(to_v.flatten(), [4, 4])


def test_torchs_own_attention_is_held_like_any_other():
    attention = made(lambda: nn.MultiheadAttention(8, 2, batch_first=True).eval()).requires_grad_(False)
    x = torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with Holding(HELD) as holding:
        y, _ = attention(x, x, x, need_weights=False)
    assert holding.held == 1
    assert not holding.unruled
    np.testing.assert_allclose(y.detach(), attention(x, x, x)[0].detach(), rtol=1e-5, atol=1e-6)
    # Linear in the values, with the weights a constant.
    _, weights = attention(x, x, x, average_attn_weights=False)
    values = F.linear(x, attention.in_proj_weight[16:]).view(1, 5, 2, 4).transpose(1, 2)
    expected = F.linear((weights.detach() @ values).transpose(1, 2).flatten(2), attention.out_proj.weight)
    g = torch.randn(1, 5, 8)
    np.testing.assert_allclose(
        torch.autograd.grad(y, x, g)[0], torch.autograd.grad(expected, x, g)[0], rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("name", ["convnext_atto", "swin_t"])
def test_without_biases_all_relevance_arrives(name):
    classifier = build_classifier(name, ["a", "b", "c"], preprocessing=Preprocessing(height=64, width=64))
    for parameter_name, parameter in classifier.network.named_parameters():
        if parameter_name.endswith("bias"):
            parameter.zero_()
    opened = Attribution(classifier).open(image_of(7, 64))
    assert opened.method == "conservative propagation"
    for stage in (None, classifier.layout.stages[1]):
        r = opened._relevance(stage)
        neurons = np.argsort(-np.abs(r))[:2]
        np.testing.assert_array_equal(opened.relevance(neurons, stage), r[neurons])
        np.testing.assert_allclose(share_arriving(opened.neurons(neurons, stage), r[neurons]), 1, rtol=1e-3)


def test_shares_are_reported():
    maps = np.array([[[1.0, 2.0]], [[1.0, 0.0]], [[0.0, 0.0]]])
    np.testing.assert_array_equal(share_arriving(maps, np.array([6.0, -1.0, 0.0])), [0.5, -1, np.nan])


@pytest.mark.parametrize("stage", [None, "blocks.0", "blocks.1"])
def test_the_maps_of_all_neurons_add_up_to_the_overall_map(stage):
    classifier = classifier_of(made(lambda: small_transformer(depth=4)), "small transformer", 8)
    assert classifier.layout.stages == ("blocks.0", "blocks.1", "blocks.2", "blocks.3")
    opened = Attribution(classifier).open(image_of(8, 8))
    assert peak_error(opened.neurons(range(8), stage).sum(axis=0, dtype=np.float64), opened.overall()) < 1e-4
    with pytest.raises(InputError, match="no neuron 8"):
        opened.neuron(8, stage)
    with pytest.raises(InputError, match=r"no stage 'blocks\.7'; choose one of blocks\.0"):
        opened.neuron(0, "blocks.7")


def test_maps_change_when_a_transformers_weights_are_randomised(transformer):
    before = Attribution(transformer).open(image_of(9, 8))
    other = classifier_of(transformer.private_copy(), "small transformer", 8)
    np.testing.assert_array_equal(Attribution(other).open(image_of(9, 8)).overall(), before.overall())
    for parameter in other.network.blocks[1].parameters():
        parameter.copy_(parameter.flatten()[torch.randperm(parameter.numel())].view_as(parameter))
    after = Attribution(other).open(image_of(9, 8))
    assert peak_error(after.neurons([0, 1]), before.neurons([0, 1])) > 0.1


# What is left behind ------------------------------------------------------------------------------------------


def state_of(network):
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    hooks = sum(len(getattr(module, kind)) for module in network.modules() for kind in kinds)
    return digest.hexdigest(), hooks, [(p.requires_grad, p.grad) for p in network.parameters()]


def test_threads_that_explain_and_score_a_transformer_get_the_serial_results(transformer):
    before = state_of(transformer.network)
    shared = Attribution(transformer)

    def work(seed):
        image = image_of(seed, 8)
        with torch.inference_mode():
            logits = transformer.network(torch.from_numpy(image[None])).numpy()
        opened = (shared if seed % 4 else Attribution(transformer)).open(image)
        return logits, opened.neurons([3, 1]), opened.overall()

    serial = [work(seed) for seed in range(12)]
    with ThreadPoolExecutor(6) as pool:
        threaded = list(pool.map(work, range(12)))
    for expected, seen in zip(serial, threaded, strict=True):
        for a, b in zip(expected, seen, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5 * np.abs(a).max())
    assert state_of(transformer.network) == before


def test_an_error_while_parts_are_held_leaves_nothing_behind(transformer, monkeypatch):
    before, pixel_maps = state_of(transformer.network), Attribution(transformer)
    expected = pixel_maps.open(image_of(10, 8)).neuron(1)

    def failing(*arguments):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(holding_module, "_attended", failing)
        with pytest.raises(RuntimeError, match="out of memory"):
            pixel_maps.open(image_of(10, 8))
    assert torch.overrides._get_current_function_mode_stack() == []
    assert state_of(transformer.network) == before
    np.testing.assert_array_equal(pixel_maps.open(image_of(10, 8)).neuron(1), expected)


def test_an_abandoned_pass_is_freed_at_once(transformer):
    pixel_maps = Attribution(transformer)
    gc.disable()
    try:
        opened = pixel_maps.open(image_of(11, 8))
        opened.neuron(1)
        held = weakref.ref(opened._logits)
        del opened
        assert held() is None
    finally:
        gc.enable()


def test_a_held_network_gives_its_own_logits(transformer):
    image = torch.from_numpy(image_of(12, 8)[None])
    logits, _, _ = Attribution(transformer).prepared._linearised.run(image.clone().requires_grad_())
    bare = transformer.network(image)
    assert float((logits.detach() - bare).abs().max()) < 1e-5 * float(bare.abs().max())


# What there is where rules are missing ------------------------------------------------------------------------


def test_gradient_times_input_is_that_of_autograd(transformer):
    image = image_of(13, 8)
    opened = Attribution(transformer, "gradient × input").open(image)
    x = torch.from_numpy(image[None]).requires_grad_()
    features = transformer.private_copy().forward_features(x)[:, 0]
    (gradient,) = torch.autograd.grad(features[0, 5], x)
    r = opened.feature_relevance()[5]
    expected = (x * gradient).sum(dim=1)[0].detach().numpy() * r / features[0, 5].item()
    assert peak_error(opened.neuron(5), expected) < 1e-4


def test_instant_maps_are_enlarged_and_keep_their_sum():
    classifier = build_classifier("resnet18", ["a", "b"], preprocessing=Preprocessing(height=64, width=64))
    opened = Attribution(classifier, "instant map").open(image_of(14, 64))
    assert (opened.method, opened.method_at(None), opened.method_at("layer2")) == (
        "instant map",
        "instant map",
        "gradient × input",
    )
    r = opened.feature_relevance()
    neurons = np.argsort(-np.abs(r))[:3]
    maps = opened.neurons(neurons)
    assert maps.shape == (3, 64, 64)
    np.testing.assert_allclose(share_arriving(maps, r[neurons]), 1, rtol=1e-5)
    np.testing.assert_allclose(opened.overall().sum(), r.sum(), rtol=1e-3)
    gradients = Attribution(classifier, "gradient × input").open(image_of(14, 64))
    np.testing.assert_array_equal(opened.neurons([3], "layer2"), gradients.neurons([3], "layer2"))


class WritesOver(nn.Module):
    """A block whose output the next layer may write over."""

    def __init__(self, inplace):
        super().__init__()
        self.block, self.relu = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh()), nn.ReLU(inplace)
        self.conv, self.fc = nn.Conv2d(4, 4, 3), nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.conv(self.relu(self.block(x))).mean((2, 3)))


def test_a_layer_that_writes_over_a_stage_changes_no_map():
    one, other = (
        made(lambda inplace=inplace: classifier_of(WritesOver(inplace), "w", 12)) for inplace in (True, False)
    )
    assert one.layout.stages == ("block",)
    one, other = (Attribution(classifier, "gradient × input").open(image_of(16, 12)) for classifier in (one, other))
    np.testing.assert_array_equal(one.relevance(range(4), "block"), other.relevance(range(4), "block"))
    np.testing.assert_array_equal(one.neurons(range(4), "block"), other.neurons(range(4), "block"))


def test_a_transformer_has_no_instant_map(transformer):
    assert supports(transformer)
    with pytest.raises(InputError, match="small transformer does not pool a feature map"):
        Attribution(transformer, "instant map")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.architecture)
def test_families_are_explained_as_the_table_says(family):
    classifier = build_classifier(family.architecture, ["a", "b"], preprocessing=Preprocessing(height=64, width=64))
    pixel_maps = Attribution(classifier)
    assert pixel_maps.method == family.method
    assert (pixel_maps.reason == "") == (family.method == PREFERRED[0])
    assert np.isfinite(pixel_maps.open(image_of(15, 64)).overall()).all()


def test_the_table_of_the_readme_is_that_of_the_code():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert describe_families() in readme
