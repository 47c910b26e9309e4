"""One pass through a network: what it sees, also in threads, and what survives the disk."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import ArtefactError, Cancelled, InputError
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.network.inspection import inspect_layout
from nero_core.records import Layout, TrainingRecord

SMALL = Preprocessing(height=64, width=64)


def pictures(n, size=(80, 60)):
    rng = np.random.default_rng(n)
    return [Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)) for _ in range(n)]


@pytest.fixture(scope="module")
def classifier():
    return build_classifier("resnet18", ["a", "b", "c"], seed=0, preprocessing=SMALL)


def test_features_and_logits_are_those_of_the_plain_network(classifier):
    images = pictures(5)
    acts = classifier.extract(images, batch_size=5)
    batch = torch.from_numpy(np.stack([classifier.prepare(image) for image in images]))
    with torch.inference_mode():
        logits = classifier.network(batch).numpy()
        network = classifier.network
        x = network.maxpool(network.relu(network.bn1(network.conv1(batch))))
        stages = {}
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = stages[name] = getattr(network, name)(x)
    np.testing.assert_allclose(acts.logits, logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(acts.features, x.mean((2, 3)).numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(acts.peaks, x.amax((2, 3)).numpy(), rtol=1e-4, atol=1e-5)
    for name, values in stages.items():
        flat = values.flatten(2).double()
        expected = torch.cat([flat.mean(2), flat.std(2, correction=0)], dim=1).numpy()
        np.testing.assert_allclose(acts.stages[name], expected, rtol=1e-3, atol=1e-4)
    assert acts.features.dtype == acts.logits.dtype == np.float32
    np.testing.assert_allclose(
        acts.logits, acts.features @ classifier.head.weight.T + classifier.head.bias, rtol=1e-4, atol=1e-4
    )


def test_layout_is_found_by_inspection(classifier):
    assert classifier.layout == Layout("fc", "layer4", ("layer1", "layer2", "layer3", "layer4"))


@pytest.mark.parametrize(
    ("architecture", "head", "pooled"),
    [
        ("densenet121", "classifier", "features"),
        ("mobilenet_v3_small", "classifier.3", None),
        ("alexnet", "classifier.6", None),
    ],
)
def test_other_families_are_read_too(architecture, head, pooled):
    other = build_classifier(architecture, ["a", "b"], preprocessing=SMALL)
    assert (other.layout.head, other.layout.map) == (head, pooled)
    acts = other.extract(pictures(2))
    np.testing.assert_allclose(acts.logits, acts.features @ other.head.weight.T + other.head.bias, rtol=1e-3, atol=1e-4)
    assert (acts.peaks is None) == (pooled is None)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x):
        x = x.mean((2, 3))
        return (self.one(x) + self.two(x)) / 2


def test_networks_without_one_linear_head_are_refused():
    with pytest.raises(InputError, match="single linear head"):
        inspect_layout(TwoHeads(), 32, 32)
    with pytest.raises(InputError, match="not the output of one linear layer"):
        inspect_layout(
            nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(2 * 32 * 32, 2), nn.Softmax(1)), 32, 32
        )
    with pytest.raises(InputError, match="does not take a 3-channel image"):
        inspect_layout(nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(2048, 2)), 32, 32)


def test_threads_get_their_own_features(classifier):
    images = pictures(24)
    serial = [classifier.extract([image]).features for image in images]
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(lambda image: classifier.extract([image]).features, images))
    for one, other in zip(serial, threaded, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_network_carries_no_hooks(classifier):
    classifier.extract(pictures(1))
    for module in classifier.network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
    assert not any(p.requires_grad for p in classifier.network.parameters())


def test_a_private_copy_shares_nothing(classifier):
    before = classifier.extract(pictures(1)).logits
    with torch.no_grad():
        for parameter in classifier.private_copy().parameters():
            parameter.zero_()
    np.testing.assert_array_equal(classifier.extract(pictures(1)).logits, before)


def test_paths_bytes_and_pictures_agree(classifier, tmp_path):
    buffer = io.BytesIO()
    pictures(1)[0].save(buffer, "PNG")
    path = tmp_path / "frame.png"
    path.write_bytes(buffer.getvalue())
    acts = classifier.extract([str(path), path, buffer.getvalue(), pictures(1)[0]])
    np.testing.assert_allclose(acts.features, acts.features[:1].repeat(4, axis=0), rtol=1e-5)


def test_batches_and_spools_do_not_matter(classifier, tmp_path):
    images = pictures(7)
    whole = classifier.extract(images, labels=np.arange(7))
    parts = classifier.extract(images, labels=np.arange(7), batch_size=3, spool=tmp_path)
    np.testing.assert_allclose(parts.features, whole.features, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(parts.labels, np.arange(7))
    assert isinstance(parts.features, np.memmap)


def test_unreadable_images_are_told_and_left_out(classifier):
    images = [pictures(1)[0], b"not a picture", pictures(1)[0], b""]
    told = {}
    acts = classifier.extract(
        images, labels=np.array([5, 6, 7, 8]), batch_size=2, on_unreadable=lambda i, e: told.__setitem__(i, str(e))
    )
    assert sorted(told) == [1, 3]
    np.testing.assert_array_equal(acts.labels, [5, 7])
    with pytest.raises(InputError):
        classifier.extract(images)
    with pytest.raises(InputError, match="None of the 1 images"):
        classifier.extract([b"x"], on_unreadable=lambda i, e: None)


def test_cancelling_leaves_a_working_classifier(classifier):
    def stop(done, total):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        classifier.extract(pictures(9), batch_size=2, progress=stop)
    assert len(classifier.extract(pictures(2))) == 2


def test_it_survives_the_disk(classifier, tmp_path):
    record = TrainingRecord(frozenset({"aa"}), frozenset({"bb"}), frozenset({"cc"}), {"epochs": 3}, ({"loss": 0.5},))
    kept = Classifier(classifier.network, "resnet18", ["a", "b", "c"], SMALL, record)
    kept.save(tmp_path / "c.safetensors")
    loaded = Classifier.load(tmp_path / "c.safetensors")
    assert (loaded.classes, loaded.preprocessing, loaded.training) == (["a", "b", "c"], SMALL, record)
    np.testing.assert_array_equal(loaded.extract(pictures(2)).logits, classifier.extract(pictures(2)).logits)


def test_half_precision_only_where_nothing_is_lost(classifier, tmp_path):
    classifier.save(tmp_path / "full.safetensors")
    rounded = classifier.private_copy().half().float()
    Classifier(rounded, "resnet18", ["a", "b", "c"], SMALL).save(tmp_path / "half.safetensors")
    full, half = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half"))
    assert half < 0.51 * full
    loaded = Classifier.load(tmp_path / "half.safetensors").network.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in rounded.state_dict().items())


def test_equal_seeds_give_equal_networks_and_leave_the_global_seed_alone():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    one, two = (build_classifier("resnet18", ["a", "b"], seed=3, preprocessing=SMALL) for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    np.testing.assert_array_equal(one.head.weight, two.head.weight)
    assert not np.array_equal(
        one.head.weight, build_classifier("resnet18", ["a", "b"], seed=4, preprocessing=SMALL).head.weight
    )


def test_unknown_architectures_offer_near_ones():
    with pytest.raises(InputError, match="did you mean resnet18"):
        build_classifier("resnet-18", ["a", "b"])


def test_damaged_and_foreign_files_are_named(classifier, tmp_path):
    path = tmp_path / "c.safetensors"
    with pytest.raises(ArtefactError, match=r"c\.safetensors"):
        Classifier.load(path)
    classifier.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtefactError, match=r"c\.safetensors"):
        Classifier.load(path)
