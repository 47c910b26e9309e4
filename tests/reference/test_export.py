"""A reference out as one zip and in again: whole, verified, or refused with nothing left behind."""

from __future__ import annotations

import io
import math
import os
import random
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nero_core.reference.export
from nero_core.data.class_folders import read_class_folders
from nero_core.data.preprocessing import Preprocessing
from nero_core.data.splits import split_for_fit
from nero_core.errors import ArtefactError, InputError, NeroError
from nero_core.network.classifier import build_classifier
from nero_core.reference.description import Card
from nero_core.reference.export import UNFINISHED, export_reference, free_name, import_reference
from nero_core.reference.fit import fit_reference
from nero_core.reference.manifest import MANIFEST_NAME, list_references, read_manifest, write_manifest
from nero_core.reference.model_card import CARD_NAME
from nero_core.reference.origin import ORIGIN_NAME, Origin, read_origin
from nero_core.reference.reference import Reference
from nero_core.reference.trial import score_one_image
from nero_core.storage.files import digest
from nero_core.storage.zips import MAX_RATIO, Limits, open_archive
from tests.reference.forging import files_of, with_description, with_manifest, zipped

ROOT = Path(__file__).parents[2]
LIMITS = Limits(entry_bytes=10_000, total_bytes=20_000, entries=10)


@pytest.fixture(autouse=True)
def tried_here(monkeypatch):
    """Most tests try a reference in this process; what the process of its own is for is in `test_trial`."""
    monkeypatch.setattr("nero_core.reference.export.try_reference", lambda folder, what: score_one_image(folder))


@pytest.fixture(scope="module")
def packed(tmp_path_factory, tiny_reference):
    """The tiny reference as a zip."""
    file = tmp_path_factory.mktemp("packed") / "reference.zip"
    export_reference(tiny_reference, file)
    return file


@pytest.fixture(scope="module")
def entries(packed):
    """{name: bytes} of that zip, in order."""
    with zipfile.ZipFile(packed) as opened:
        return {info.filename: opened.read(info) for info in opened.infolist()}


def refused(source, target, error=NeroError):
    """Import, expect a refusal, and see that nothing is left; returns the sentence."""
    with pytest.raises(error) as told:
        import_reference(source, target)
    assert not target.exists()
    assert not target.parent.exists() or not list(target.parent.iterdir()), "nothing is left beside the target"
    return str(told.value)


# Out and in --------------------------------------------------------------------------------------------------------


def test_a_round_trip_is_the_same_reference(packed, tiny_reference, tmp_path):
    entry = import_reference(packed, tmp_path / "in" / "again")
    assert (entry.title, entry.signature) == ("Coloured noise", None)
    assert read_origin(entry.path) == Origin(imported=True)
    files = {p.relative_to(entry.path): p.read_bytes() for p in entry.path.rglob("*") if p.is_file()}
    assert files.pop(Path(ORIGIN_NAME))
    assert files == {p.relative_to(tiny_reference): p.read_bytes() for p in tiny_reference.rglob("*") if p.is_file()}
    assert [found.path for found in list_references([tmp_path / "in"])] == [entry.path]
    assert [p.name for p in (tmp_path / "in").iterdir()] == ["again"]


def test_equal_references_give_equal_bytes(packed, tiny_reference, tmp_path):
    copied = shutil.copytree(tiny_reference, tmp_path / "copy")
    for path in copied.rglob("*"):
        os.utime(path, (1, 1))
    buffer = io.BytesIO()
    export_reference(copied, buffer)
    assert buffer.getvalue() == packed.read_bytes()


def test_the_zip_holds_what_the_manifest_lists_and_the_card(entries, tiny_reference):
    listed = sorted(entry["name"] for entry in read_manifest(tiny_reference)["files"].values())
    assert list(entries) == [MANIFEST_NAME, CARD_NAME, *listed]
    assert "# Coloured noise" in entries[CARD_NAME].decode()


def test_a_damaged_reference_is_not_exported(tiny_reference, tmp_path):
    copied = shutil.copytree(tiny_reference, tmp_path / "copy")
    next(copied.glob("classifier-*")).write_bytes(b"other")
    with pytest.raises(ArtefactError, match="classifier"):
        export_reference(copied, tmp_path / "out.zip")
    assert [p.name for p in tmp_path.iterdir()] == ["copy"], "nothing half is left"


def test_an_existing_file_is_not_replaced(tiny_reference, tmp_path):
    (tmp_path / "out.zip").write_bytes(b"mine")
    with pytest.raises(ArtefactError, match="another name"):
        export_reference(tiny_reference, tmp_path / "out.zip")
    assert (tmp_path / "out.zip").read_bytes() == b"mine"


def test_an_existing_name_is_refused_and_another_offered(packed, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine-2").mkdir()
    with pytest.raises(ArtefactError, match="'mine-3'"):
        import_reference(packed, tmp_path / "mine")
    assert free_name(tmp_path / "new") == tmp_path / "new"
    assert not list((tmp_path / "mine").iterdir())


def test_packed_again_by_hand_is_read(entries, tmp_path):
    again = zipped(reversed(entries.items()), zipfile.ZIP_DEFLATED)
    assert import_reference(again, tmp_path / "again").title == "Coloured noise"


# What is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../escaped", "lead out"),
        ("concepts/../../escaped", "lead out"),
        ("/etc/escaped", "lead out"),
        ("..\\escaped", "lead out"),
        ("C:/escaped", "lead out"),
        ("./x", "lead out"),
        ("a//b", "lead out"),
        ("a\nb", "control"),
        ("n" * 256, "255 bytes"),
        ("/".join(["n" * 200] * 6), "255 bytes"),
        ("notes.txt", "is not listed"),
        ("concepts/neuron_99999-0123456789abcdef.webp", "is not listed"),
        ("manifest.JSON", "twice"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_entry_that_does_not_belong_is_refused(entries, tmp_path, name, why):
    said = refused(zipped([*entries.items(), (name, b"x")]), tmp_path / "in" / "new")
    assert why in said
    assert not (tmp_path / "escaped").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_repeated_entry_is_refused(entries, tmp_path):
    assert "twice" in refused(zipped([*entries.items(), (MANIFEST_NAME, b"{}")]), tmp_path / "in" / "new")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_and_special_files_are_refused(entries, tmp_path, kind):
    link = zipfile.ZipInfo("concepts")
    link.external_attr = (kind | 0o777) << 16
    assert "special file" in refused(zipped([(link, b"/etc"), *entries.items()]), tmp_path / "in" / "new")


def test_encrypted_entries_are_refused(entries, tmp_path):
    data = bytearray(zipped(entries.items()).getvalue())
    data[data.find(b"PK\x01\x02") + 8] |= 1
    assert "encrypted" in refused(io.BytesIO(data), tmp_path / "in" / "new", InputError)


def test_a_name_cut_short_by_a_nul_is_refused():
    data = zipped([("harmless.txtX.exe", b"x")]).getvalue().replace(b"txtX", b"txt\0")
    with pytest.raises(InputError, match="control"), open_archive(io.BytesIO(data), LIMITS, "it"):
        pass


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ([("big", bytes(10_001))], "would unpack to"),
        ([(f"n{i}", os.urandom(9_000)) for i in range(3)], "would unpack to"),
        ([(f"n{i}", b"") for i in range(11)], "11 entries"),
    ],
)
def test_limits(files, why):
    with pytest.raises(InputError, match=why), open_archive(zipped(files, zipfile.ZIP_DEFLATED), LIMITS, "it"):
        pass


def test_a_bomb_within_the_limits_is_refused_by_its_ratio():
    bomb, roomy = zipped([("zeros", bytes(10**6))], zipfile.ZIP_DEFLATED), Limits(10**7, 10**7)
    with pytest.raises(InputError, match=f"more than {MAX_RATIO} times"), open_archive(bomb, roomy, "it"):
        pass


@pytest.mark.parametrize("claimed", [1, 200])
def test_a_size_that_is_a_lie_is_found_while_reading(claimed):
    data = bytearray(zipped([("x", os.urandom(100))]).getvalue())
    struct.pack_into("<L", data, data.find(b"PK\x01\x02") + 24, claimed)
    with open_archive(io.BytesIO(data), LIMITS, "it") as archive, pytest.raises(InputError, match="damaged"):
        archive.read("x")


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip at all", b"\x80\x04.", zipped([]).getvalue()])
def test_what_is_no_zip_is_refused(tmp_path, data):
    assert "not a zip" in refused(io.BytesIO(data), tmp_path / "in" / "new", InputError)


def test_a_table_of_contents_too_long_to_read_is_refused_unread():
    data = bytearray(zipped([("x", b"x")]).getvalue())
    struct.pack_into("<L", data, len(data) - 10, 2**31)
    with pytest.raises(InputError, match="table of contents"), open_archive(io.BytesIO(data), LIMITS, "it"):
        pass


def test_files_missing_from_the_zip_are_named(entries, tmp_path):
    for name in entries:
        if name != CARD_NAME:
            said = refused(zipped([(n, d) for n, d in entries.items() if n != name]), tmp_path / "in" / "new")
            assert name in said
        if name.startswith("concepts/"):
            break


def test_a_swapped_file_is_found(entries, tmp_path):
    name = next(name for name in entries if name.startswith("classifier-"))
    swapped = {**entries, name: entries[name][:-1] + bytes([entries[name][-1] ^ 1])}
    assert "SHA-256 differs" in refused(zipped(swapped.items()), tmp_path / "in" / "new", ArtefactError)


def test_an_edited_manifest_is_found(entries, tmp_path):
    edited = {**entries, MANIFEST_NAME: entries[MANIFEST_NAME].replace(b"Coloured noise", b"Coloured trees")}
    assert "changed after it was written" in refused(zipped(edited.items()), tmp_path / "in" / "new")


def test_a_sealed_manifest_over_a_file_that_is_no_classifier_is_found(entries, tmp_path):
    """Everything agrees but the content: what was loaded is what is believed."""
    copied = tmp_path / "copy"
    import_reference(zipped(entries.items()), copied)
    manifest = {key: value for key, value in read_manifest(copied).items() if key != "sha256"}
    fake = b"not weights"
    sha = digest(fake)
    manifest["files"]["classifier"] = {
        "name": f"classifier-{sha[:16]}.safetensors",
        "sha256": sha,
        "bytes": len(fake),
    }
    write_manifest(copied, manifest)
    kept = {n: d for n, d in entries.items() if not n.startswith("classifier-")}
    forged = {**kept, MANIFEST_NAME: (copied / MANIFEST_NAME).read_bytes(), f"classifier-{sha[:16]}.safetensors": fake}
    shutil.rmtree(copied)
    assert "classifier" in refused(zipped(forged.items()), tmp_path / "in" / "new", ArtefactError)


def test_a_card_is_neither_read_nor_kept(entries, tmp_path):
    entry = import_reference(zipped({**entries, CARD_NAME: b"all is well"}.items()), tmp_path / "new")
    assert not (entry.path / CARD_NAME).exists()
    assert "at most" in refused(zipped({**entries, CARD_NAME: bytes(2**21)}.items()), tmp_path / "in" / "new")


@settings(max_examples=15)
@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused(packed, tmp_path_factory, cut):
    data = packed.read_bytes()
    refused(io.BytesIO(data[: int(cut * len(data))]), tmp_path_factory.mktemp("cut") / "in" / "new")


@given(seed=st.integers(0, 2**32), fields=st.booleans())
def test_damage_gives_the_same_reference_or_a_refusal(tmp_path_factory, seed, fields):
    """Bytes changed anywhere, or in headers and the table of contents: an answer of ours, within the limits."""
    chance = random.Random(seed)
    files = [(f"class {i}/{j}.png", chance.randbytes(50)) for i in range(2) for j in range(2)]
    data = bytearray(zipped(files, chance.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])).getvalue())
    start = data.find(b"PK\x01\x02") if fields else 0
    for _ in range(chance.choice([1, 1, 3, 10])):
        data[chance.randrange(start, len(data))] = chance.choice([0, 1, 47, 46, 92, 127, 255])
    try:
        with open_archive(io.BytesIO(data), LIMITS, "it") as archive:
            total = sum(len(archive.read(name)) for name in archive.sizes)
    except InputError:
        return
    assert total <= LIMITS.total_bytes


# Written by an attacker: every hash agrees ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slight(tmp_path_factory, class_folders):
    """{name: bytes} of a reference of a very small network."""
    images = read_class_folders(class_folders)
    classifier = build_classifier("test_resnet", images.classes, preprocessing=Preprocessing(height=32, width=32))
    parts = split_for_fit(classifier.training, images, calibration_seen=True)
    folder = tmp_path_factory.mktemp("slight") / "reference"
    fit_reference(classifier, parts, Card("Slight"), detectors={"nero": {}}, crops=False).save(folder)
    return files_of(folder)


def forged(files, change):
    """A zip of these files whose manifest was changed in place, and sealed again."""
    return zipped(with_manifest(files, change).items())


def setting(**fields):
    return lambda content: content.update(fields)


def test_what_is_forged_here_is_taken_when_nothing_is_changed(slight, tmp_path):
    assert import_reference(forged(slight, lambda content: None), tmp_path / "new").title == "Slight"


FORGERIES = {
    "no classes": (setting(classes=[]), "classes"),
    "classes that are no names": (setting(classes=[1, {}, None]), "classes"),
    "an empty title": (setting(title=" \n"), "title"),
    "a title of a megabyte": (setting(title="x" * 10**6), "at most 200"),
    "a title of two lines": (setting(title="mine\n# yours"), "control"),
    "a title that runs backwards": (setting(title="mine\u202eenim"), "control"),
    "half a character": (setting(licence="\ud800"), "cannot be read"),
    "a schema before the first": (setting(schema=0), "schema"),
    "a name that leads out": (
        lambda m: m["files"]["fitted"].update(name="../fitted.safetensors"),
        "not a name of ours",
    ),
    "a name from the root": (lambda m: m["files"]["fitted"].update(name="/etc/passwd"), "not a name of ours"),
    "a hash of something else": (lambda m: m["files"]["fitted"].update(sha256="0" * 64), "SHA-256 differs"),
    "a negative size": (lambda m: m["files"]["fitted"].update(bytes=-1), "`files.fitted.bytes` is -1"),
    "an accuracy that is none": (
        setting(metrics={"accuracy": math.nan, "test_images": 3}),
        "`metrics.accuracy` is nan",
    ),
    "endless images": (lambda m: m["calibration"].update(images=math.inf), "`calibration.images` is inf"),
    "a detector of another name": (lambda m: m["detectors"].update(os={"parameters": {}}), "`calibration/os`"),
    "a parameter that is none": (lambda m: m["detectors"]["nero"].update(parameters={"__class__": 1}), "no parameter"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_manifest_is_refused(slight, tmp_path, forgery):
    change, why = FORGERIES[forgery]
    assert why in refused(forged(slight, change), tmp_path / "in" / "new")


def test_a_manifest_too_deep_to_read_is_refused(slight, tmp_path):
    deep = {**slight, MANIFEST_NAME: b"[" * 10**6}
    assert "cannot be read" in refused(zipped(deep.items()), tmp_path / "in" / "new", ArtefactError)


@pytest.mark.parametrize(
    ("described", "why"),
    [
        (
            {"preprocessing": {"height": 10**6, "width": 10**6, "mean": [0, 0, 0], "std": [1, 1, 1]}},
            "`preprocessing.height` is 1000000",
        ),
        ({"classes": [f"x{i}" for i in range(10**5)]}, "`classes` are 100000"),
        ({"classes": [1, 2, 3]}, "`classes[0]` is 1; wanted text"),
        ({"architecture": ["test_resnet"]}, "`architecture` is ['test_resnet']; wanted text"),
        ({"architecture": "vit_giant_patch14_224"}, "and vit_giant_patch14_224 1010"),
    ],
    ids=["an input that fills memory", "a head that fills memory", "classes", "architecture", "a giant"],
)
def test_a_forged_classifier_is_refused_before_memory_is_asked_for(slight, tmp_path, described, why):
    files = with_description(slight, lambda content: content.update(described))
    assert why in refused(zipped(files.items()), tmp_path / "in" / "new")


def test_a_manifest_that_cannot_be_shown_does_not_take_the_others_away(slight, tmp_path):
    """The list is read on every page: one bad folder must not hide the good ones."""
    for name, change in (("good", lambda content: None), ("bad", setting(title="\ud800", classes=[]))):
        folder = tmp_path / name
        folder.mkdir()
        with zipfile.ZipFile(forged(slight, change)) as opened:
            opened.extractall(folder)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / MANIFEST_NAME).write_bytes(b"[" * 10**6)
    assert [(e.path.name, e.error is None) for e in list_references([tmp_path])] == [
        ("good", True),
        ("bad", False),
        ("deep", False),
    ]


def test_another_file_under_a_checked_name_is_found(slight, tmp_path):
    """The table of contents is believed on nothing: another name in an entry's own header is damage."""
    data = bytearray(zipped(slight.items()).getvalue())
    name = next(name for name in slight if name.startswith("fitted-")).encode()
    place = data.find(name)
    data[place : place + 6] = b"../../"
    assert "damaged" in refused(io.BytesIO(data), tmp_path / "in" / "new", InputError)


def test_entries_that_share_their_bytes_count_each(tmp_path):
    """Overlapping entries (Fifield, "A better zip bomb", 2019) are summed as they claim, before any is opened."""
    data = zipped([("a", np.random.default_rng(0).bytes(9_000))]).getvalue()
    start = data.find(b"PK\x01\x02")
    end = data.find(b"PK\x05\x06")
    entry = data[start:end]
    table = b"".join(entry[:46] + letter + entry[47:] for letter in (b"a", b"b", b"c"))  # the name follows 46 bytes
    record = bytearray(data[end:])
    struct.pack_into("<HHLL", record, 8, 3, 3, len(table), start)
    with (
        pytest.raises(InputError, match="would unpack to"),
        open_archive(io.BytesIO(data[:start] + table + record), LIMITS, "it"),
    ):
        pass


@pytest.mark.parametrize("names", [["a/x.png", "a/x.png/y.png"], ["a/x.png/y.png", "a/x.png"], ["a", "a/b/c"]])
def test_a_file_that_is_a_folder_too_is_refused(names):
    with (
        pytest.raises(InputError, match="is a file and a folder"),
        open_archive(zipped([(name, b"x") for name in names]), LIMITS, "it"),
    ):
        pass


def test_a_zip_in_a_zip_is_no_reference(packed, tmp_path):
    assert MANIFEST_NAME in refused(zipped([("reference.zip", packed.read_bytes())]), tmp_path / "in" / "new")


def deflated(zeros):
    """So many zeros as a raw deflate stream, never all of them in memory."""
    pack = zlib.compressobj(1, zlib.DEFLATED, -15)
    return b"".join([pack.compress(bytes(2**24)) for _ in range(zeros // 2**24)] + [pack.flush()])


def listed(name, packed, size):
    """An entry of a table of contents (APPNOTE 4.3.12), whatever it says of its size."""
    return struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 8, 0, 33, 0, packed, size, len(name), *[0] * 6) + name


def zip_of(packed, size, table):
    """A zip of one entry `0` with these bytes, and a table of contents."""
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 33, 0, len(packed), size, 1, 0) + b"0"
    entries = table.count(b"PK\x01\x02") % 2**16
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, entries, entries, len(table), len(local + packed), 0)
    return io.BytesIO(local + packed + table + end)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(("claimed", "why"), [(2**30, "times as much"), (100, "damaged")], ids=["honest", "a lie"])
def test_a_bomb_of_a_gigabyte_is_refused(claimed, why):
    packed = deflated(2**30)
    bomb = zip_of(packed, claimed, listed(b"0", len(packed), claimed))
    assert len(bomb.getvalue()) < 2**23
    with pytest.raises(InputError, match=why), open_archive(bomb, nero_core.reference.export.LIMITS, "it") as archive:
        archive.read("0")


@pytest.mark.usefixtures("little_memory")
def test_two_hundred_thousand_entries_are_refused(tmp_path):
    """In a table of contents just short enough to be read, whose count does not fit into its field."""
    table = b"".join(listed(b"%06d" % number, 0, 0) for number in range(200_000))
    said = refused(zip_of(b"", 0, table), tmp_path / "in" / "new", InputError)
    assert "200000 entries; at most 50000" in said


# Crashes -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
@pytest.mark.parametrize("kills", [pytest.param(2, id="few"), pytest.param(50, id="many", marks=pytest.mark.soak)])
def test_a_killed_import_leaves_all_or_nothing(packed, tmp_path, kills):
    script = (
        "import sys\nfrom pathlib import Path\nfrom nero_core.reference.export import import_reference\n"
        "from nero_core.reference import export, reference, trial\n"
        "export.try_reference = lambda folder, what: trial.score_one_image(folder)\n"
        "print('ready', flush=True)\nn = 0\n"
        "while True:\n import_reference(Path(sys.argv[1]), Path(sys.argv[2]) / f'r{n}'); n += 1\n"
    )
    moments, home = random.Random(0), tmp_path / "home"
    for _ in range(kills):
        shutil.rmtree(home, ignore_errors=True)
        worker = subprocess.Popen(
            [sys.executable, "-c", script, str(packed), str(home)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert worker.stdout.readline()
        time.sleep(moments.uniform(0, 0.5))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
        for entry in list_references([home]):
            assert entry.error is None
            Reference.load(entry.path)
    import_reference(packed, home / "last")
    assert not list(home.glob(f".*{UNFINISHED}")), "the next import clears what the killed ones left"


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is POSIX")
def test_a_full_disk_leaves_nothing_and_says_so(packed, tmp_path):
    script = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from nero_core.reference.export import import_reference\nfrom nero_core.errors import ArtefactError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try: import_reference(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except ArtefactError as error: print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(packed), str(tmp_path / "home" / "new")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "free space" in told.stdout
    assert not list((tmp_path / "home").iterdir())
