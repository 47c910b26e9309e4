"""Kill −9 and a full disk while saving: the old reference or the new one, never half."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nero_core import Reference
from nero_core.errors import ArtefactError
from nero_core.reference.manifest import read_manifest

ROOT = Path(__file__).parents[2]
LONGEST_WAIT = 2.0
"""Seconds until the kill: a few saves long."""


def kill_while_saving(source, target, wait):
    """Start saving, kill at a moment, and check what is on disk; returns the version found."""
    saver = subprocess.Popen(
        [sys.executable, "-m", "tests.reference.save_until_killed", str(source), str(target)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert saver.stdout.readline(), "the first save must succeed"
        time.sleep(wait)
    finally:
        saver.send_signal(signal.SIGKILL)
        saver.wait()
        saver.stdout.close()
    found = Reference.load(target)
    version = int(found.title.removeprefix("version "))
    base = Reference.load(source).calibrations["nero"].scores
    np.testing.assert_allclose(found.calibrations["nero"].scores, base + version)
    return version


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
@pytest.mark.parametrize("kills", [pytest.param(3, id="few"), pytest.param(100, id="many", marks=pytest.mark.soak)])
def test_a_killed_save_leaves_the_old_or_the_new(tiny_reference, tmp_path, kills):
    moments = random.Random(0)
    target = tmp_path / "target"
    for _ in range(kills):
        kill_while_saving(tiny_reference, target, moments.uniform(0, LONGEST_WAIT))
    Reference.load(tiny_reference).save(target)
    listed = {entry["name"] for entry in read_manifest(target)["files"].values()} | {"manifest.json"}
    present = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert present == listed, "the next save clears what the killed ones left"


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is POSIX")
@pytest.mark.parametrize("limit", [10, 5_000, 1_000_000], ids="{} bytes".format)
def test_a_full_disk_leaves_the_old_one_and_says_so(tiny_reference, tmp_path, limit):
    target = shutil.copytree(tiny_reference, tmp_path / "target")
    before = read_manifest(target)
    script = (
        "import resource, signal, sys\n"
        "from nero_core import Reference\n"
        "from nero_core.errors import ArtefactError\n"
        "ref = Reference.load(sys.argv[1])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "try: ref.save(sys.argv[1])\n"
        "except ArtefactError as error: print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(target)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "free space" in told.stdout
    assert read_manifest(target) == before
    Reference.load(target)
    assert not list(target.rglob("*.part"))


# Several processes ---------------------------------------------------------------------------------------------------


def test_two_writers_of_one_folder_take_turns_or_are_told(tiny_reference, tmp_path):
    """The one that comes second is told so, at whatever moment it comes, and nothing of the first is lost."""
    target = tmp_path / "target"
    savers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.reference.save_until_killed", str(tiny_reference), str(target), "6"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    told = [saver.communicate() for saver in savers]
    assert [saver.returncode for saver in savers] == [0, 0], told
    lines = [line for out, _ in told for line in out.splitlines()]
    refused = [line for line in lines if not line.isdecimal()]
    assert all(f"Another process is writing {target}" in line for line in refused), refused
    assert len(lines) == 12
    assert len(refused) < 12
    Reference.load(target)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_who_was_killed_holds_no_lock(tiny_reference, tmp_path):
    shutil.copytree(tiny_reference, tmp_path / "target")
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from nero_core.storage.locks import writing\n"
        "with writing(Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(600)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "target")], cwd=ROOT, stdout=subprocess.PIPE
    )
    reference = Reference.load(tiny_reference)
    try:
        assert holder.stdout.readline()
        with pytest.raises(ArtefactError, match=r"Another process is writing .*target; wait until it is done"):
            reference.save(tmp_path / "target")
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    reference.save(tmp_path / "target")
    Reference.load(tmp_path / "target")


def test_a_folder_that_may_not_be_written_is_said(tiny_reference, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(ArtefactError, match=r"target cannot be written: Permission denied"):
        Reference.load(tiny_reference).save(tmp_path / "target")
