"""Files of ours: whole or not at all, bit for bit, never executed."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nero_core.errors import ArtefactError
from nero_core.storage import files
from nero_core.storage.files import digest, read_arrays, write_arrays, write_bytes


def test_digest_of_bytes_and_of_a_file_agree(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(data)
    assert digest(data) == digest(tmp_path / "a") == hashlib.sha256(data).hexdigest()


def test_digest_of_a_missing_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"gone\.bin cannot be read: No such file"):
        digest(tmp_path / "gone.bin")


def test_write_bytes_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"old")
    write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interrupted_write_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, step: str
) -> None:
    path = tmp_path / "a.safetensors"
    write_arrays(path, {"x": np.arange(3)})
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(os, step, fail)
    wanted = ArtefactError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(wanted):
        write_arrays(path, {"x": np.arange(4)})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_full_disk_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        ArtefactError, match="No such file or directory; check the folder, its permissions and the free"
    ):
        write_bytes(tmp_path / "no-folder" / "a", b"x")


def test_a_disk_that_changes_bits_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(path: Path) -> Any:
        return {"x": np.array([1.0, 2.0, 4.0])}, {}

    write_arrays(tmp_path / "a", {"x": np.array([1.0, 2.0, 3.0])})
    monkeypatch.setattr(files, "read_arrays", damaged)
    with pytest.raises(ArtefactError, match="x read back differently"):
        write_arrays(tmp_path / "a", {"x": np.array([0.0, 2.0, 3.0])})
    monkeypatch.undo()
    assert read_arrays(tmp_path / "a")[0]["x"][0] == 1.0


def test_non_contiguous_arrays_survive(tmp_path: Path) -> None:
    base = np.arange(24.0).reshape(4, 6)
    arrays = {"fortran": np.asfortranarray(base), "step": base[::2, ::-3], "turned": base.T, "scalar": np.float32(3)}
    write_arrays(tmp_path / "a", arrays, {"k": "v"})
    read, metadata = read_arrays(tmp_path / "a")
    assert metadata == {"k": "v"}
    assert list(read) == sorted(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array, strict=True)
        assert read[name].flags.writeable


@given(
    hnp.arrays(
        st.sampled_from(["<f4", ">f4", "<f8", "<f2", "<i8", ">i8", "u8", "u1", "?"]),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    ),
    st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=4),
)
def test_round_trip_is_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, array: Any, notes: dict[str, str]) -> None:
    path = tmp_path_factory.getbasetemp() / "round.safetensors"
    write_arrays(path, {"x": array.T}, notes)
    read, metadata = read_arrays(path)
    assert metadata == notes
    assert read["x"].shape == array.T.shape
    native = array.T.astype(array.dtype.newbyteorder("="))
    assert read["x"].tobytes() == native.tobytes()


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    notes = {f"key {i}": str(i) for i in range(8)}
    backwards = dict(reversed(notes.items()))
    for name, given_notes in (("a", notes), ("b", backwards)):
        write_arrays(tmp_path / name, {"x": np.arange(3)}, given_notes)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_foreign_metadata_is_handed_on(tmp_path: Path) -> None:
    safetensors.numpy.save_file({"x": np.zeros(1)}, tmp_path / "a", metadata={"format": "pt"})
    assert read_arrays(tmp_path / "a")[1] == {"format": "pt"}


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([object()]), np.array([1j])])
def test_only_numbers_are_stored(tmp_path: Path, array: Any) -> None:
    with pytest.raises(ArtefactError, match="store numbers only"):
        write_arrays(tmp_path / "a", {"x": array})
    assert not list(tmp_path.iterdir())


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_a_pickle_is_refused_and_never_run(tmp_path: Path) -> None:
    for protocol in (2, 5):
        path = tmp_path / f"model{protocol}.safetensors"
        path.write_bytes(pickle.dumps(Bomb(tmp_path / "exploded"), protocol=protocol))
        with pytest.raises(ArtefactError, match=rf"model{protocol}\.safetensors cannot be used: it is a Python pickle"):
            read_arrays(path)
    assert not (tmp_path / "exploded").exists()


def test_a_torch_checkpoint_is_refused_and_never_run(tmp_path: Path) -> None:
    inside = io.BytesIO()
    with zipfile.ZipFile(inside, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb(tmp_path / "exploded")))
    (tmp_path / "model.pt").write_bytes(inside.getvalue())
    with pytest.raises(ArtefactError, match=r"model\.pt cannot be used: it is a zip archive, as PyTorch checkpoints"):
        read_arrays(tmp_path / "model.pt")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"hello, this is text and not arrays", "damaged, truncated or not safetensors"),
        (b"\x00" * 64, "damaged, truncated or not safetensors"),
        (b"\xff" * 64, "damaged, truncated or not safetensors"),
    ],
)
def test_what_is_not_safetensors_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.safetensors").write_bytes(content)
    with pytest.raises(ArtefactError, match=rf"bad\.safetensors cannot be used: .*{message}"):
        read_arrays(tmp_path / "bad.safetensors")


def test_truncation_at_every_byte_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_arrays(path, {"x": np.arange(4), "y": np.ones(2)}, {"k": "v"})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtefactError):
            read_arrays(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="gone does not exist"):
        read_arrays(tmp_path / "gone")
    with pytest.raises(ArtefactError, match="is not a file"):
        read_arrays(tmp_path)


@pytest.mark.parametrize("notes", ["not json", "[1, 2]"])
def test_damaged_metadata_is_an_error(tmp_path: Path, notes: str) -> None:
    safetensors.numpy.save_file({"x": np.zeros(1)}, tmp_path / "a", metadata={files.METADATA_KEY: notes})
    with pytest.raises(ArtefactError, match="a cannot be used"):
        read_arrays(tmp_path / "a")


def test_a_type_numpy_lacks_is_an_error(tmp_path: Path) -> None:
    header = b'{"x":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(ArtefactError, match="bfloat16"):
        read_arrays(tmp_path / "a")
