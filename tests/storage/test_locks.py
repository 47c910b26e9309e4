"""Locks that are files: one holder among processes and threads, and none once that process is gone."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nero_core.storage.locks import is_locked, trying_lock

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL, fork and modes are POSIX")
HOLD = """
import os, sys, time
from pathlib import Path
from nero_core.storage.locks import trying_lock
with trying_lock(Path(sys.argv[1])) as held:
    child = os.fork() if sys.argv[2] == "fork" else None
    if held and not child:  # the forked one says so itself: by then it has let go of the file
        print(os.getpid() if child == 0 else 1, flush=True)
    time.sleep(600)
"""


@posix
@pytest.mark.parametrize("how", ["alone", "fork"])
def test_who_was_killed_holds_nothing_not_even_by_a_child(tmp_path, how):
    """A process that was forked, as loaders of images are, has the lock's file open, and may outlive its parent."""
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path), how], cwd=ROOT, stdout=subprocess.PIPE)
    child = int(holder.stdout.readline())
    try:
        assert is_locked(path)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    try:
        assert not is_locked(path)
        with trying_lock(path) as held:
            assert held
    finally:
        if child > 1:
            subprocess.run(["kill", "-9", str(child)], check=True)


def test_threads_exclude_each_other_and_can_wait(tmp_path):
    path, taken, let_go, seen = tmp_path / "lock", threading.Event(), threading.Event(), []

    def hold():
        with trying_lock(path) as held:
            seen.append(held)
            taken.set()
            let_go.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(60)
    with trying_lock(path) as held:
        assert not held
    assert is_locked(path)
    threading.Timer(0.1, let_go.set).start()
    with trying_lock(path, seconds=60) as held:
        assert held
    holder.join()
    assert seen == [True]
    assert not is_locked(path)


def test_a_lock_is_let_go_after_an_exception(tmp_path):
    def fail():
        with trying_lock(tmp_path / "lock") as held:
            assert held
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not is_locked(tmp_path / "lock")


@posix
def test_its_file_is_its_owners_and_holds_nothing(tmp_path):
    with trying_lock(tmp_path / "lock"):
        assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600
        assert (tmp_path / "lock").read_bytes() == b""


def test_looking_makes_no_file(tmp_path):
    assert not is_locked(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(OSError, match="lock"), trying_lock(tmp_path / "none" / "lock"):
        pass
    assert not (tmp_path / "none").exists()
