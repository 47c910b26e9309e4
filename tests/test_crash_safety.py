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
from nero_core.manifest import read_manifest

ROOT = Path(__file__).parents[1]
LONGEST_WAIT = 2.0
"""Seconds until the kill: a few saves long."""


def kill_while_saving(source, target, wait):
    """Start saving, kill at a moment, and check what is on disk; returns the version found."""
    saver = subprocess.Popen(
        [sys.executable, "-m", "tests.save_until_killed", str(source), str(target)], cwd=ROOT, stdout=subprocess.PIPE
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
