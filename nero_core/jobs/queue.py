"""The queue of builds: one at a time, in the order they came, in a process that outlives pages and the whole app.

The process holds a lock that the operating system lets go when it ends, however it ends: a job that says it is running
while nobody holds the lock was interrupted. Training taken up again ends in the same weights as one that never stopped
(on one CPU; see :mod:`nero_core.network.training`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nero_core.errors import Cancelled, NeroError
from nero_core.jobs.builds import (
    BUILDS,
    CANCEL,
    LOG,
    QUEUE_LOCK,
    RUNNING,
    STATE,
    Build,
    Stage,
    discard,
    list_builds,
    remove_unpacked,
    write_record,
)
from nero_core.records import Progress
from nero_core.storage.dashboard import PACKAGES
from nero_core.storage.files import make_private_folder
from nero_core.storage.locks import trying_lock

REPORT_SECONDS = 0.5
"""The state is written, and a wish to cancel looked for, at most so often."""
SPOOL = "spool"
"""Sub-folder of the jobs' folder for what a build spills to disk: the next holder of the lock empties it."""
NICENESS = 5
"""Of the process: where a page needs the same core, the build gets a quarter of it (weights 335 and 1024)."""
EPOCH = re.compile(r"Epoch (\d+)/(\d+)")
"""How training announces its epochs; the time left is that of all of them."""

Work = Callable[[Build, "Reporter"], None]
"""Does one job; tells the reporter how far it is."""


def start_queue(home: Path) -> None:
    """Start a process that builds what waits, unless one is at it; it outlives this one, and takes half the cores.

    What processes that were killed have left is removed first.
    """
    builds = home / BUILDS
    if not builds.is_dir():
        return
    with trying_lock(builds / QUEUE_LOCK) as free:
        if not free:
            return
        make_private_folder(builds)
        _clean_up(home)
    if not any(build.state.stage == "waiting" for build in list_builds(home)):
        return
    spool = builds / SPOOL
    make_private_folder(spool)
    threads = str(max(1, (os.cpu_count() or 1) // 2))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PACKAGES), os.environ.get("PYTHONPATH", "")])),
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "TMPDIR": str(spool),
        "TEMP": str(spool),
        "TMP": str(spool),
    }
    with (builds / LOG).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "nero_core", "run-builds", str(home)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    threading.Thread(target=process.wait, daemon=True).start()  # so that no dead process is left in the table


def run_queue(home: Path, work: Work) -> None:
    """Build what waits, one after another, until nothing does; returns at once where another process is at it.

    A job submitted while the last one ends is not lost: whoever submits it finds the lock held only before this
    process looks once more.
    """
    builds = home / BUILDS
    while any(build.state.stage == "waiting" for build in list_builds(home)):
        with trying_lock(builds / QUEUE_LOCK) as held:
            if not held:
                return
            _clean_up(home)
            while waiting := [build for build in list_builds(home) if build.state.stage == "waiting"]:
                _run(waiting[0], work)


def _clean_up(home: Path) -> None:
    """For the holder of the lock, before any job runs: those that say that they run were killed, and left things."""
    for left in list_builds(home):
        if left.state.stage in RUNNING:
            write_record(left.folder / STATE, asdict(replace(left.state, stage="interrupted", seconds_left=None)))
        remove_unpacked(left)
    for spilled in (home / BUILDS / SPOOL).glob("*"):
        shutil.rmtree(spilled, ignore_errors=True)


def _run(build: Build, work: Work) -> None:
    report = Reporter(build)
    stage, reason = _done(build, work, report)
    if stage == "failed" and (build.folder / CANCEL).exists():  # what it worked on was taken away meanwhile
        stage, reason = "cancelled", None
    if stage == "cancelled":
        discard(build)
    remove_unpacked(build)
    report.finish(stage, reason)


def _done(build: Build, work: Work, report: Reporter) -> tuple[Stage, str | None]:
    """Do the work; how it ended, and why it failed."""
    try:
        work(build, report)
    except Cancelled:
        return "cancelled", None
    except NeroError as error:
        return "failed", str(error)
    except OSError as error:
        return "failed", f"{error.filename or 'The disk'}: {error.strerror or error}."
    except Exception as error:  # noqa: BLE001  whatever it is, the queue goes on, and its trace is in the log
        traceback.print_exc()
        return "failed", f"An unexpected {type(error).__name__}: {error}. Details are in {LOG}."
    return "done", None


class Reporter:
    """Writes the state of a build as it goes, and stops it where somebody asked for that."""

    def __init__(self, build: Build) -> None:
        self._folder = build.folder
        self._state = build.state
        self._written = 0.0
        self._epochs_begun: tuple[float, int] | None = None

    def stage(self, stage: Stage) -> None:
        """Enter the next stage."""
        self._set(stage=stage, what="", done=0, total=0, seconds_left=None)
        self._stop_if_asked()

    def begin(self, what: str) -> Progress:
        """Announce a stretch of work; its progress may raise :class:`~nero_core.errors.Cancelled`."""
        epoch = EPOCH.fullmatch(what)
        number, epochs = (int(epoch[1]), int(epoch[2])) if epoch else (1, 1)
        if epoch and self._epochs_begun:
            self._set(what=what)  # the epochs are one stretch: how far it is goes on
        else:
            self._epochs_begun = (time.monotonic(), number) if epoch else None
            self._set(what=what, done=0, total=0, seconds_left=None)
        begun, first = self._epochs_begun or (time.monotonic(), 1)

        def progress(done: int, total: int) -> None:
            if done < total and time.monotonic() - self._written < REPORT_SECONDS:
                return
            self._stop_if_asked()
            past, to_come = (number - first) * total + done, (epochs - number + 1) * total - done
            elapsed = time.monotonic() - begun
            left = elapsed * to_come / past if past and to_come else None
            self._set(done=(number - 1) * total + done, total=epochs * total, seconds_left=left)

        return progress

    def history(self, epochs: Sequence[Mapping[str, float]]) -> None:
        """Keep what the finished epochs came to."""
        self._set(history=tuple(dict(epoch) for epoch in epochs))

    def note(self, text: str) -> None:
        """Keep one line for the person who waits."""
        self._set(notes=(*self._state.notes, text))

    def finish(self, stage: Stage, error: str | None = None) -> None:
        """Leave the last state."""
        self._set(stage=stage, what="", done=0, total=0, seconds_left=None, error=error)

    def _stop_if_asked(self) -> None:
        if (self._folder / CANCEL).exists():
            raise Cancelled("The build was cancelled.")

    def _set(self, **changes: Any) -> None:
        self._state = replace(self._state, **changes)
        write_record(self._folder / STATE, asdict(self._state))
        self._written = time.monotonic()
