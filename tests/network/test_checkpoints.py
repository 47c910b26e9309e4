"""Foreign weights: taken where they fit, refused in words where they do not, and never executed."""

from __future__ import annotations

import io
import pickle
import random
import struct
import tarfile
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import ArtefactError
from nero_core.network.checkpoints import read_weights
from nero_core.network.classifier import build_classifier
from nero_core.network.pickle_scan import MAX_DEPTH, MAX_OPCODES, MAX_PICKLE_BYTES, MAX_VALUES, scan

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


# Hostile and damaged pickles ------------------------------------------------------------------------------------------


def in_zip(pickled, **more):
    """A file as torch writes it, around a pickle of one's own."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        entries = {"data.pkl": pickled, "byteorder": b"little", "version": b"3\n"} | more
        for name, content in entries.items():
            packed.writestr(f"w/{name}", content)
    return buffer.getvalue()


def older(pickled):
    """A file as torch wrote it before version 1.6, up to its content."""
    buffer = io.BytesIO()
    torch.save({}, buffer, _use_new_zipfile_serialization=False)
    start = buffer.getvalue()
    return start[: start.index(b"\x80\x02}q\x00.", 20)] + pickled


def pairs_of_pairs(depth):
    """A key that is a pair of the same pair of the same pair …: a hash goes through 2 ** depth of them."""
    return b"\x80\x02})q\0" + b"h\0\x86q\0" * depth + b"K\1s."


def lists_filled_later(depth):
    """As above, of lists that are still empty when they are put into each other."""
    made = b"".join(b"]q%c" % number for number in range(depth))
    filled = b"".join(b"h%c(h%ch%ce" % (n, n - 1, n - 1) for n in range(depth - 1, 0, -1))
    return b"\x80\x02}(" + made + filled + b"u."


def encoded_again(times):
    """A text written out in hexadecimal digits, these again, and so on: twice as long each time."""
    again = b"q\3h\2h\3X\3\0\0\0hex\x86R"
    return b"\x80\x02c_codecs\nencode\nq\2X\1\0\0\0aX\5\0\0\0utf-8\x86R" + again * times + b"."


BUSY = {
    "50 MB of brackets": (lambda: b"\x80\x02" + b"(" * 50_000_000, rf"at most {MAX_PICKLE_BYTES}|{MAX_DEPTH} brackets"),
    "a thousand brackets": (lambda: b"\x80\x02" + b"(" * 1000, f"more than {MAX_DEPTH} brackets"),
    "a million constants": (lambda: b"\x80\x02" + b"N" * 10**6 + b".", f"more than {MAX_OPCODES} opcodes"),
    "pairs of pairs": (lambda: pairs_of_pairs(60), f"holds more than {MAX_VALUES} values"),
    "lists filled later": (lambda: lists_filled_later(60), "filled after it was put into another"),
    "a call for 4 GB": (lambda: b"\x80\x02cbuiltins\nbytearray\n\x8a\5\0\0\0\xff\0\x85R.", "builtins bytearray"),
    "a tensor of 2 billion": (lambda: b"\x80\x02ctorch\nFloatTensor\nJ\0\0\0\x7f\x85R.", "torch FloatTensor"),
    "a storage of 2 billion": (lambda: b"\x80\x02ctorch\nFloatStorage\nJ\0\0\0\x7f\x85R.", "no function for tensors"),
    "a text encoded 40 times": (lambda: encoded_again(40), "_codecs encode"),
    "a closing bracket": (lambda: b"\x80\x02t.", "closes a bracket that is not open"),
    "more than there is": (lambda: b"\x80\x02(NN\x87.", "takes more values than it has"),
    "what was not kept": (lambda: b"\x80\x02h\7.", "was not kept"),
    "an opcode of objects": (lambda: b"\x80\x02ctorch\nSize\n)\x81.", "opcode NEWOBJ"),
    "no end": (lambda: b"\x80\x02N", "exhausted"),
}


@pytest.mark.parametrize("around", [in_zip, older], ids=["zip", "older"])
@pytest.mark.parametrize(("make", "message"), BUSY.values(), ids=BUSY)
def test_a_pickle_that_would_keep_its_reader_busy_is_refused_before_it_is_read(
    make, message, around, tmp_path, monkeypatch
):
    def load(*_, **__):
        raise AssertionError("torch read it")

    path = tmp_path / "busy.pt"
    path.write_bytes(around(make()))
    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(ArtefactError, match=rf"busy\.pt is not a plain file of weights \(.*({message})"):
        read_weights(path)


def test_the_limits_of_a_pickle_are_counted_exactly():
    def refused(pickled):
        with pytest.raises(ValueError, match="more than"):
            scan(io.BytesIO(pickled))

    scan(io.BytesIO(b"(" * MAX_DEPTH + b"t" * MAX_DEPTH + b"."))
    refused(b"(" * (MAX_DEPTH + 1))
    scan(io.BytesIO(b"N" * (MAX_OPCODES - 1) + b"."))
    refused(b"N" * MAX_OPCODES + b".")
    scan(io.BytesIO(pairs_of_pairs(18)))  # 2 ** 19 − 1 values
    refused(pairs_of_pairs(20))


def test_records_that_share_data_are_refused(tmp_path):
    """A thousand tensors whose data are the same bytes of the file would fill the memory a thousand times."""
    whole = io.BytesIO()
    torch.save({"w": torch.zeros(10_000)}, whole)
    data = bytearray(whole.getvalue())
    directory = data.index(b"PK\1\2")
    end = data.index(b"PK\6\6")
    entry = data.rindex(b"PK\1\2", 0, data.index(b"/data/0", directory))
    (name, extra) = struct.unpack_from("<HH", data, entry + 28)
    again = bytes(data[entry : entry + 46 + name + extra])
    changed = data[:end] + again * 3 + data[end:]
    shift = 3 * len(again)
    place = end + shift  # of the record of a large zip: entries here and in all, bytes and place of the directory
    here, total, size = struct.unpack_from("<QQQ", changed, place + 24)
    struct.pack_into("<QQQ", changed, place + 24, here + 3, total + 3, size + shift)
    locator = changed.index(b"PK\6\7", place)
    struct.pack_into("<Q", changed, locator + 8, place)
    last = changed.index(b"PK\5\6", locator)
    for offset, code, old in ((8, "<H", here), (10, "<H", total), (12, "<I", size)):
        if struct.unpack_from(code, changed, last + offset)[0] == old:
            struct.pack_into(code, changed, last + offset, old + (shift if code == "<I" else 3))
    (tmp_path / "w.pt").write_bytes(changed)
    with pytest.raises(ArtefactError, match="packed, or share data"):
        read_weights(tmp_path / "w.pt")


def test_a_tar_archive_is_refused_unopened(tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "old.pt", "w") as packed:
        packed.addfile(tarfile.TarInfo("storages"))
    monkeypatch.setattr(tarfile, "open", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(ArtefactError, match=r"old\.pt is not a plain file of weights \(it is a tar archive\)"):
        read_weights(tmp_path / "old.pt")


def damaged(whole, chance):
    """One to four small changes, of the opcodes that matter as often as of anything."""
    data = bytearray(whole)
    for _ in range(chance.choice([1, 1, 2, 4])):
        place, step = chance.randrange(len(data)), chance.choice(["flip", "opcode", "remove", "insert"])
        if step == "flip":
            data[place] ^= 1 << chance.randrange(8)
        elif step == "opcode":
            data[place] = chance.choice(b"(tu}]).0123NRbsQq\x85\x86\x87hjKMJX\x80\x8a")
        elif step == "remove":
            del data[place : place + chance.choice([1, 2, 8])]
        else:
            data[place:place] = bytes(chance.choice(b"(tu}]).NRbsQ") for _ in range(chance.choice([1, 3])))
    return bytes(data)


def test_any_damage_gives_weights_or_a_sentence_that_names_the_file(tmp_path):
    """Cut, changed anywhere, and changed inside the zip's pickle, whose checksum is right again."""
    content = {"epoch": 3, "state_dict": {"w": torch.arange(24.0).reshape(2, 3, 4), "n": torch.tensor(3)}}
    new, old = io.BytesIO(), io.BytesIO()
    torch.save(content, new)
    torch.save(content, old, _use_new_zipfile_serialization=False)
    new, old, path = new.getvalue(), old.getvalue(), tmp_path / "w.pt"
    with zipfile.ZipFile(io.BytesIO(new)) as plain:
        entries = {entry.filename.partition("/")[2]: plain.read(entry) for entry in plain.infolist()}
    read, told = 0, []
    for seed in range(600):
        chance = random.Random(seed)
        kind = seed % 4
        if kind == 0:
            whole = chance.choice([new, old])
            data = whole[: chance.randrange(len(whole))]
        elif kind == 1:
            data = in_zip(
                **{"pickled": damaged(entries["data.pkl"], chance)}
                | {name: entry for name, entry in entries.items() if name != "data.pkl"}
            )
        else:
            data = damaged(new if kind == 2 else old, chance)
        path.write_bytes(data)
        try:
            read += isinstance(read_weights(path), dict)
        except ArtefactError as error:
            told.append(str(error))
    assert all("w.pt" in text for text in told)
    assert 10 < read < 400, "else the damage tests little"


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
def test_checkpoints_of_large_networks_are_read(zipped, tmp_path):
    """A ResNet-152 as a training script leaves it, with its optimizer, all of whose tensors stand for larger ones."""
    import torchvision

    with torch.device("meta"):
        state = torchvision.models.resnet152().state_dict()
    small = {name: torch.tensor(float(n)).expand(t.shape) for n, (name, t) in enumerate(state.items())}
    state.update(small)  # an OrderedDict with the versions of its modules
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2)) for _ in small])
    for parameter in optimizer.param_groups[0]["params"]:
        parameter.grad = torch.ones(2)
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [30, 60])
    content = {"state_dict": state, "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    torch.save(content | {"best": 0.93, "arch": "resnet152"}, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    read = read_weights(tmp_path / "w.pt")
    assert list(read) == list(small)
    assert all(read[name].shape == tensor.shape and read[name].sum() == tensor.sum() for name, tensor in small.items())


@pytest.mark.parametrize(
    "kind", [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.bool, torch.complex64]
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
def test_numbers_of_any_kind_are_read(kind, zipped, tmp_path):
    weights = {"w": torch.ones(3, 2).to(kind), "p": torch.nn.Parameter(torch.ones(2))}
    torch.save(weights, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    read = read_weights(tmp_path / "w.pt")
    assert read["w"].dtype is kind
    assert torch.equal(read["w"], weights["w"])
