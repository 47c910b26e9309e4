"""Foreign weights: taken where they fit, refused in words where they do not, and never executed."""

from __future__ import annotations

import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from nero_core.classifier import build_classifier
from nero_core.errors import ArtefactError
from nero_core.records import Preprocessing

SMALL = Preprocessing(height=64, width=64)


def build(init=None, architecture="resnet18", classes=("a", "b"), say=None):
    return build_classifier(architecture, classes, seed=5, init=init, preprocessing=SMALL, say=say)


@pytest.fixture(scope="module")
def weights():
    return build_classifier("resnet18", ["a", "b"], seed=1, preprocessing=SMALL).network.state_dict()


def same(network, weights):
    return all(torch.equal(tensor, weights[name]) for name, tensor in network.state_dict().items())


def test_safetensors_and_plain_pt_files_are_read(weights, tmp_path):
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, tmp_path / "w.safetensors")
    torch.save(weights, tmp_path / "w.pt")
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{name}": tensor for name, tensor in weights.items()}}, tmp_path / "w.pth"
    )
    for name in ("w.safetensors", "w.pt", "w.pth"):
        assert same(build(tmp_path / name).network, weights), name


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_pickles_of_code_are_refused_unread(weights, tmp_path):
    torch.save({"state_dict": weights, "extra": Bomb()}, tmp_path / "bomb.pt")
    (tmp_path / "raw.pt").write_bytes(pickle.dumps(Bomb()))
    torch.save(build().network, tmp_path / "whole.pth")
    for name in ("bomb.pt", "raw.pt", "whole.pth"):
        with pytest.raises(ArtefactError, match=r"state_dict\(\)"):
            build(tmp_path / name)


def test_another_head_is_left_at_its_seed(weights, tmp_path):
    torch.save(weights, tmp_path / "w.pt")
    told = []
    network = build(tmp_path / "w.pt", classes=("a", "b", "c"), say=told.append).network
    assert len(told) == 1
    assert "w.pt has no head `fc` for 3 classes" in told[0]
    build(tmp_path / "w.pt", say=told.append)
    assert len(told) == 1
    fresh = build(classes=("a", "b", "c")).network
    assert torch.equal(network.fc.weight, fresh.fc.weight)
    assert torch.equal(network.conv1.weight, weights["conv1.weight"])


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.module.", "network."])
def test_wrappers_prefixes_are_dropped(weights, tmp_path, prefix):
    wrapped = {f"{prefix}{name}": tensor for name, tensor in weights.items()}
    torch.save(wrapped, tmp_path / "w.pt")
    assert same(build(tmp_path / "w.pt").network, weights)
    torch.save({"net": wrapped | {"loss.weight": torch.ones(2)}}, tmp_path / "w.pt")
    with pytest.raises(ArtefactError, match=r"\(1 surplus: loss\.weight\)"):
        build(tmp_path / "w.pt")


def test_another_input_size_is_told_by_its_shapes(tmp_path):
    large = build_classifier("deit_tiny_patch16_224", ["a", "b"], preprocessing=Preprocessing(height=96, width=96))
    torch.save(large.network.state_dict(), tmp_path / "w.pt")
    with pytest.raises(ArtefactError, match=r"pos_embed \(1, 37, 192\) instead of \(1, 17, 192\).*the input size"):
        build(tmp_path / "w.pt", architecture="deit_tiny_patch16_224")


def test_another_architecture_is_named_with_its_keys(weights, tmp_path):
    torch.save(weights, tmp_path / "w.pt")
    with pytest.raises(ArtefactError, match=r"w\.pt does not fit.*missing: .*and \d+ more.*surplus"):
        build(tmp_path / "w.pt", architecture="densenet121")
    with pytest.raises(ArtefactError, match=r"of another shape: layer1\.0\.conv1\.weight"):
        build(tmp_path / "w.pt", architecture="resnet50")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 broken"])
def test_damaged_files_are_refused(content, tmp_path):
    for suffix in (".pt", ".safetensors"):
        path = tmp_path / f"w{suffix}"
        path.write_bytes(content)
        with pytest.raises(ArtefactError, match="w"):
            build(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ArtefactError, match=r"none\.pt"):
        build(tmp_path / "none.pt")


def test_tensors_that_are_no_weights_are_refused(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    with pytest.raises(ArtefactError, match="holds list"):
        build(tmp_path / "list.pt")


def test_a_packed_checkpoint_is_refused_before_it_fills_memory(tmp_path):
    """torch unpacks what it never packs: 400 kB would become 400 MB."""
    torch.save({"w": torch.zeros(100_000)}, tmp_path / "w.pt")
    with (
        zipfile.ZipFile(tmp_path / "w.pt") as plain,
        zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in plain.infolist():
            packed.writestr(entry.filename, plain.read(entry))
    torch.load(tmp_path / "packed.pt", weights_only=True)
    with pytest.raises(ArtefactError, match=r"packed\.pt is not a plain file of weights"):
        build(tmp_path / "packed.pt")


def test_a_view_larger_than_its_storage_is_told_by_its_shape(weights, tmp_path):
    torch.save({**weights, "conv1.weight": torch.zeros(1).expand(10**6, 10**6)}, tmp_path / "w.pt")
    with pytest.raises(ArtefactError, match=r"conv1\.weight \(1000000, 1000000\) instead of"):
        build(tmp_path / "w.pt")


def test_missing_and_surplus_keys_are_listed(weights, tmp_path):
    odd = {name: tensor for name, tensor in weights.items() if name != "layer1.0.conv1.weight"}
    torch.save({**odd, "layer9.weight": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(ArtefactError, match=r"1 missing: layer1\.0\.conv1\.weight; 1 surplus: layer9\.weight"):
        build(tmp_path / "w.pt")
