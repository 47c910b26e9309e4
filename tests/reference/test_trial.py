"""A reference from elsewhere is tried by a process of its own, which ends at its limits and takes nothing with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import nero_core.reference.export
from nero_core.demo.rendered import BUNDLED
from nero_core.errors import ArtefactError
from nero_core.reference import trial
from nero_core.reference.export import export_reference, import_reference
from nero_core.reference.manifest import MANIFEST_NAME, read_manifest
from nero_core.reference.origin import Origin, read_origin
from nero_core.reference.trial import try_reference
from tests.reference.forging import files_of, with_description, with_manifest, write_folder, zipped

ROOT = Path(__file__).parents[2]
LIMITED = pytest.mark.skipif(not trial.memory_is_limited, reason="only Linux limits the memory of a process")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")


def test_the_bundled_reference_passes(capfd):
    try_reference(BUNDLED, "It")
    assert capfd.readouterr() == ("", "")


def test_an_import_is_tried_and_noted(tiny_reference, tmp_path, capfd):
    export_reference(tiny_reference, tmp_path / "r.zip")
    taken = import_reference(tmp_path / "r.zip", tmp_path / "in" / "new")
    assert read_origin(taken.path) == Origin(imported=True)
    assert not read_origin(taken.path).may_begin
    assert capfd.readouterr() == ("", "")


def test_what_is_wrong_is_told_and_nothing_is_left(tiny_reference, tmp_path, capfd):
    """Found by the process alone: what stands in the manifest is as it should be."""

    def odd(content):
        content["detectors"]["nero"]["parameters"]["k"] = 10**18

    forged = zipped(with_manifest(files_of(tiny_reference), odd).items())
    with pytest.raises(ArtefactError, match=r"reference that cannot be used: .*`k` of NERO is 1000000000000000000"):
        import_reference(forged, tmp_path / "in" / "new")
    assert not list((tmp_path / "in").iterdir())
    assert capfd.readouterr() == ("", ""), "no trace of the process reaches a person"


@LIMITED
def test_too_much_memory_is_a_refusal(tiny_reference, tmp_path, monkeypatch, capfd):
    """Every field is as it may be: a network that takes 64 pixels is given 2,048, and a thousand times the memory."""
    monkeypatch.setattr(trial, "BASE_MEMORY", 7 * 2**28)
    monkeypatch.setattr(trial, "MEMORY_PER_BYTE", 0)

    def large(content):
        content["preprocessing"].update(height=2048, width=2048)

    hungry = with_manifest(with_description(files_of(tiny_reference), large), large)
    with pytest.raises(ArtefactError, match=r"more than 1\.8 GiB of memory|where memory is refused"):
        import_reference(zipped(hungry.items()), tmp_path / "in" / "new")
    assert not list((tmp_path / "in").iterdir())
    assert import_reference(zipped(files_of(tiny_reference).items()), tmp_path / "in" / "new").title == "Coloured noise"
    assert capfd.readouterr() == ("", "")


def test_too_much_time_is_a_refusal(tiny_reference, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", 1)
    export_reference(tiny_reference, tmp_path / "r.zip")
    with pytest.raises(ArtefactError, match="takes more than 1 s"):
        import_reference(tmp_path / "r.zip", tmp_path / "in" / "new")
    assert not list((tmp_path / "in").iterdir())


def limited(memory, seconds, code):
    """The exit status of a process that limits itself as a trial does and then runs some code."""
    script = f"from nero_core.reference.trial import _limit\n_limit({memory}, {seconds})\n{code}"
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True)
    return ended.returncode, ended.stderr.decode()


@LIMITED
def test_the_limit_of_memory_holds_where_memory_is_asked_for():
    assert limited(2**30, 60, "bytearray(2**29)")[0] == 0
    code, said = limited(2**30, 60, "bytearray(2**31)")
    assert code == 1
    assert "MemoryError" in said


@POSIX
def test_the_limit_of_time_ends_a_process_that_nobody_waits_for():
    assert limited(2**33, 1, "while True: pass")[0] == -signal.SIGXCPU


@pytest.mark.parametrize(
    ("code", "output", "said"),
    [
        (0, {"error": None, "memory": False}, None),
        (0, {"error": "odd", "memory": False}, "odd"),
        (0, {"error": "MemoryError: ", "memory": True}, "more than 2.0 GiB of memory"),
        (-11, None, "broke off (code -11)"),
        (1, None, "broke off (code 1)"),
    ],
)
def test_every_end_has_a_sentence(code, output, said):
    reason = trial._reason(code, json.dumps(output).encode(), 2 * 2**30)
    assert reason is None if said is None else said in reason


def test_libraries_that_print_do_not_spoil_the_answer(tiny_reference):
    """What anything prints goes nowhere: the answer has a door of its own."""
    script = (
        "import sys\nfrom nero_core.reference import trial\n"
        "trial.score_one_image = lambda folder: print('noise', flush=True) or sys.stdout.flush()\n"
        "trial.main([sys.argv[1], str(2**33), '60'])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tiny_reference)], cwd=ROOT, capture_output=True, check=True
    )
    assert json.loads(ended.stdout) == {"error": None, "memory": False}


@pytest.mark.parametrize("raised", ["MemoryError()", "RuntimeError('DefaultCPUAllocator: can\\'t allocate memory: x')"])
def test_want_of_memory_is_told_as_such(raised, tiny_reference):
    script = (
        "import sys\nfrom nero_core.reference import trial\n"
        f"def fail(folder): raise {raised}\n"
        "trial.score_one_image = fail\ntrial.main([sys.argv[1], str(2**33), '60'])\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, "x"], cwd=ROOT, capture_output=True, check=True)
    assert json.loads(ended.stdout)["memory"] is True


@POSIX
def test_a_trial_whose_starter_is_killed_leaves_what_the_next_import_removes(tiny_reference, tmp_path):
    """The zip is unpacked and its trial under way; the hidden folder is all there is."""
    export_reference(tiny_reference, tmp_path / "r.zip")
    script = (
        "import sys\nfrom pathlib import Path\nimport nero_core.reference.export, nero_core.reference.trial\n"
        "real = nero_core.reference.trial.subprocess.Popen\n"
        "class Told(real):\n"
        "    def __init__(self, *a, **k):\n        super().__init__(*a, **k); print(self.pid, flush=True)\n"
        "nero_core.reference.trial.subprocess.Popen = Told\n"
        "nero_core.reference.export.import_reference(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "r.zip"), str(tmp_path / "home" / "new")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    pid = int(worker.stdout.readline())
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    left = list((tmp_path / "home").iterdir())
    assert [path.name.endswith(nero_core.reference.export.UNFINISHED) for path in left] == [True]
    os.kill(pid, signal.SIGKILL)
    nero_core.reference.export.remove_abandoned(tmp_path / "home")
    assert not list((tmp_path / "home").iterdir())


def test_saving_notes_what_was_imported_and_drops_a_signature(tiny_reference, tmp_path):
    from nero_core.reference.origin import ORIGIN_NAME, write_origin
    from nero_core.reference.reference import Reference

    folder = write_folder(files_of(tiny_reference), tmp_path / "r")
    write_origin(folder, Origin(imported=True, default=True))
    (folder / "manifest.sig").write_bytes(b"of what was there")
    loaded = Reference.load(folder)
    loaded.save(folder)
    assert read_origin(folder) == Origin(imported=True, default=True)
    assert not (folder / "manifest.sig").exists()
    loaded.save(tmp_path / "elsewhere")
    assert read_origin(tmp_path / "elsewhere") == Origin(imported=True), "a copy of an import is one"
    loaded.path = None  # as a new fit has it
    loaded.save(folder)
    assert read_origin(folder) == Origin(default=True)
    assert (folder / ORIGIN_NAME).is_file()
    assert read_manifest(folder)["title"] == "Coloured noise"
    assert (folder / MANIFEST_NAME).is_file()
