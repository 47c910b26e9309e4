"""Any network with a linear head: by name, with its own preprocessing, and read by inspection."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import InputError
from nero_core.network.architectures import architectures, build_network, preprocessing_of, weight_count
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.network.inspection import inspect_layout
from nero_core.records import Layout

SIZE = 64
SMALL = Preprocessing(height=SIZE, width=SIZE)

CLASSES = ["a", "b", "c"]


def pictures(n):
    rng = np.random.default_rng(n)
    return [Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)) for _ in range(n)]


NETWORKS = {
    "deit_tiny_patch16_224": Layout("head", None, ("blocks.2", "blocks.5", "blocks.8", "blocks.11")),
    "mixer_s32_224": Layout("head", None, ("blocks.1", "blocks.3", "blocks.5", "blocks.7")),
    "resnet26": Layout("fc", "layer4", ("layer1", "layer2", "layer3", "layer4")),
    "convnext_atto": Layout("head.fc", None, ("stages.0", "stages.1", "stages.2", "stages")),
    "efficientnet_b0": Layout(
        "classifier.1", "features", ("features.1", "features.2", "features.3", "features.5", "features")
    ),
    "mobilenetv3_small_050": Layout("classifier", None, ("bn1", "blocks.0", "blocks.1", "blocks.3", "blocks")),
    "regnety_002": Layout("head.fc", "s4", ("stem", "s1", "s2", "s3", "s4")),
    "densenet121": Layout(
        "classifier", "features", ("features.denseblock1", "features.denseblock2", "features.denseblock3", "features")
    ),
    "swin_t": Layout(
        "head",
        "norm",
        ("features.1", "features.3", "features.5", "features"),
        frozenset({"features.1", "features.3", "features.5", "features", "norm"}),
    ),
    "swin_tiny_patch4_window7_224": Layout(
        "head.fc",
        "norm",
        ("layers.0", "layers.1", "layers.2", "layers"),
        frozenset({"layers.0", "layers.1", "layers.2", "layers", "norm"}),
    ),
}
"""Networks of ten families, from both libraries, and where each keeps things."""


@pytest.mark.parametrize("name", NETWORKS)
def test_head_map_and_stages_are_found_by_inspection(name):
    classifier = build_classifier(name, CLASSES, preprocessing=SMALL)
    wanted = NETWORKS[name]
    if name in {"deit_tiny_patch16_224", "mixer_s32_224"}:
        wanted = replace(wanted, channels_last=frozenset(wanted.stages))
    assert classifier.layout == wanted

    seen = {}

    def keep(module, args, output, stage=None):
        seen[stage] = output

    twin = classifier.private_copy()
    for stage in wanted.stages:
        twin.get_submodule(stage).register_forward_hook(
            lambda module, args, output, stage=stage: keep(module, args, output, stage)
        )
    images = pictures(2)
    acts = classifier.extract(images)
    with torch.no_grad():
        logits = twin(torch.from_numpy(np.stack([classifier.prepare(image) for image in images])))
    np.testing.assert_allclose(acts.logits, logits, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        acts.logits, acts.features @ classifier.head.weight.T + classifier.head.bias, rtol=1e-3, atol=1e-4
    )
    for stage, output in seen.items():
        last = output.ndim == 3 or stage in wanted.channels_last
        values = (output if last else output.movedim(1, -1)).flatten(1, -2).double()
        expected = torch.cat([values.mean(1), values.std(1, correction=0)], dim=1)
        np.testing.assert_allclose(acts.stages[stage], expected, rtol=1e-2, atol=1e-3)

    if wanted.map is None:
        assert acts.peaks is None
        assert classifier.feature_map(images[0]) is None
    else:
        feature_map = classifier.feature_map(images[0])
        scale = np.abs(acts.features[0]).max()
        assert np.abs(feature_map.mean(axis=(1, 2)) - acts.features[0]).max() < 1e-4 * scale
        assert np.abs(feature_map.max(axis=(1, 2)) - acts.peaks[0]).max() < 1e-3 * np.abs(acts.peaks).max()


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_counted_before_there_are_any(name):
    network = build_network(name, 3, (SIZE, SIZE))
    assert weight_count(name, 3, (SIZE, SIZE)) == sum(weight.numel() for weight in network.parameters())


def test_features_of_a_transformer_are_its_class_token():
    classifier = build_classifier("deit_tiny_patch16_224", CLASSES, preprocessing=SMALL)
    image = pictures(1)[0]
    network = classifier.private_copy()
    with torch.no_grad():
        tokens = network.forward_features(torch.from_numpy(classifier.prepare(image))[None])
    assert tokens.shape == (1, 1 + (SIZE // 16) ** 2, 192)
    np.testing.assert_allclose(classifier.extract([image]).features[0], tokens[0, 0], rtol=1e-3, atol=1e-5)


# Preprocessing ------------------------------------------------------------------------------------------------


def test_preprocessing_is_the_architectures_own():
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    assert preprocessing_of("resnet18") == Preprocessing()
    assert preprocessing_of("deit_tiny_patch16_224") == Preprocessing(
        224, 224, interpolation="bicubic", crop_share=0.9, **imagenet
    )
    assert preprocessing_of("vit_small_patch16_384") == Preprocessing(
        384, 384, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic", 1.0
    )
    squashed = preprocessing_of("convnextv2_huge")
    assert squashed.crop_share is None, "whole images, stretched"
    assert build_classifier("mobilenetv3_small_050", CLASSES).preprocessing == preprocessing_of("mobilenetv3_small_050")
    assert build_classifier("mobilenetv3_small_050", CLASSES, preprocessing=SMALL).preprocessing == SMALL


def test_other_sizes_are_built_or_refused():
    wide = Preprocessing(height=32, width=64)
    deit = build_classifier("deit_tiny_patch16_224", CLASSES, preprocessing=wide)
    assert deit.network.pos_embed.shape == (1, 1 + 2 * 4, 192)
    assert build_network("vit_b_32", 2, (64, 64)).image_size == 64
    with pytest.raises(InputError, match="vit_b_32 takes square images, not 32×64"):
        build_network("vit_b_32", 2, (32, 64))
    with pytest.raises(InputError, match=r"twins_svt_small cannot be built for images of 30×30 pixels.*224×224"):
        build_network("twins_svt_small", 2, (30, 30))
    with pytest.raises(InputError, match="does not take a 3-channel image of 63×63"):
        inspect_layout(build_network("deit_tiny_patch16_224", 2, (64, 64)), 63, 63)


def test_a_map_that_is_longer_than_wide_is_read():
    classifier = build_classifier("swin_t", CLASSES, preprocessing=Preprocessing(height=64, width=160))
    assert classifier.feature_map(pictures(1)[0]).shape == (768, 2, 5)
    assert classifier.layout.channels_last == NETWORKS["swin_t"].channels_last


# Names and seeds ----------------------------------------------------------------------------------------------


def test_names_of_both_libraries_are_known():
    names = architectures()
    assert {"resnet18", "vit_b_16", "deit_small_patch16_224", "convnext_tiny", "vit_small_patch16_224"} <= set(names)
    assert names == sorted(set(names))
    assert type(build_network("resnet18", 2)).__module__.startswith("torchvision")


@pytest.mark.parametrize(
    ("typo", "offered"),
    [("deit_tiny_patch16", "deit_tiny_patch16_224"), ("resnet-18", "resnet18"), ("hf-hub:timm/resnet18", "resnet18")],
)
def test_near_names_are_offered(typo, offered):
    for ask in (preprocessing_of, lambda name: build_classifier(name, CLASSES)):
        with pytest.raises(InputError, match=f"No architecture is named.*{offered}"):
            ask(typo)


def test_seeds_decide_a_transformers_weights():
    one, same, other = (
        build_classifier("deit_tiny_patch16_224", CLASSES, seed=seed, preprocessing=SMALL) for seed in (3, 3, 4)
    )
    weights = one.network.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in same.network.state_dict().items())
    assert not torch.equal(one.network.head.weight, other.network.head.weight)


def test_a_transformer_survives_the_disk(tmp_path):
    classifier = build_classifier("deit_tiny_patch16_224", CLASSES, preprocessing=SMALL)
    classifier.save(tmp_path / "deit.safetensors")
    loaded = Classifier.load(tmp_path / "deit.safetensors")
    assert (loaded.architecture, loaded.preprocessing, loaded.layout) == (
        classifier.architecture,
        SMALL,
        classifier.layout,
    )
    np.testing.assert_array_equal(loaded.extract(pictures(2)).logits, classifier.extract(pictures(2)).logits)


def test_a_transformer_is_built_as_the_readme_says():
    classifier = build_classifier("deit_tiny_patch16_224", classes=["a", "b", "c"], seed=0)
    assert (classifier.preprocessing.height, classifier.preprocessing.width) == (224, 224)
    assert classifier.extract(pictures(1)).logits.shape == (1, 3)


# What is refused ----------------------------------------------------------------------------------------------


def test_two_heads_are_refused_with_the_way_out():
    with pytest.raises(InputError, match=r"`head`, `head_dist`.*deit_small_patch16_224 instead"):
        build_classifier("deit_tiny_distilled_patch16_224", CLASSES, preprocessing=SMALL)


@pytest.mark.parametrize("name", ["squeezenet1_0", "resnetv2_18"])
def test_a_head_that_is_not_linear_is_refused(name):
    with pytest.raises(InputError, match=r"not the output of one linear layer.*give a network with a single linear"):
        build_classifier(name, CLASSES, preprocessing=SMALL)


def test_a_head_without_bias_has_a_bias_of_zero():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2, bias=False))
    classifier = Classifier(network, "no bias", ["a", "b"], Preprocessing(height=16, width=16))
    np.testing.assert_array_equal(classifier.head.bias, [0, 0])


def test_one_channel_networks_are_refused():
    network = build_network("resnet18", 2)
    network.conv1 = nn.Conv2d(1, 64, 7, 2, 3)
    with pytest.raises(InputError, match="does not take a 3-channel image"):
        inspect_layout(network, SIZE, SIZE)


def test_the_package_and_its_help_load_no_network_library():
    code = "import sys, nero_core.cli.main as m; m._parser(); sys.exit(len({'torch', 'timm'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
