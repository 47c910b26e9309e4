"""The queue of each kind of job: one at a time, in the order they came, in a process that outlives pages and the app.

The process holds a lock that the operating system lets go when it ends, however it ends: a job that says it is running
while nobody holds the lock was interrupted. Training taken up again ends in the same weights as one that never stopped
(on one CPU; see :mod:`nero_core.network.training`), and a benchmark goes on from the detectors it has finished.
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
from dataclasses import replace
from pathlib import Path
from typing import Any

from nero_core.errors import Cancelled, NeroError
from nero_core.jobs.job import (
    CANCEL,
    CANCELLED,
    DONE,
    FAILED,
    INTERRUPTED,
    JOBS,
    WAITING,
    Job,
    Kind,
    Request,
    after_cancel,
    list_jobs,
    remove_scratch,
    write_state,
)
from nero_core.records import Progress
from nero_core.storage.dashboard import environment_of_child
from nero_core.storage.files import make_private_folder
from nero_core.storage.locks import trying_lock

REPORT_SECONDS = 0.5
"""The state is written, and a wish to cancel looked for, at most so often,"""
FEW = 100
"""but after each piece of a stretch of at most so many: one of them, such as a detector, may take minutes."""
GLANCE_SECONDS = 1.0
"""How long a queue's process waits for the lock: whoever only looks whether it is held has it for a moment."""
NICENESS = 5
"""Of the process: where a page needs the same core, the job gets a quarter of it (weights 335 and 1024)."""
EPOCH = re.compile(r"Epoch (\d+)/(\d+)")
"""How training announces its epochs; the time left is that of all of them."""


def start_queue(home: Path, kind: Kind[Request]) -> None:
    """Start a process that does what waits, unless one is at it; it outlives this one, and takes half the cores.

    What processes that were killed have left is removed first.
    """
    jobs = home / JOBS
    if not jobs.is_dir():
        return
    with trying_lock(jobs / kind.lock) as free:
        if not free:
            return
        make_private_folder(jobs)
        _clean_up(home, kind)
    if not any(job.state.stage == WAITING for job in list_jobs(home, kind)):
        return
    spool = jobs / kind.spool
    make_private_folder(spool)
    threads, spilled = max(1, (os.cpu_count() or 1) // 2), dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(spool))
    with (jobs / kind.log).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "nero_core", "run-jobs", str(home), "--kind", kind.name],
            env=environment_of_child(threads, **spilled),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    threading.Thread(target=process.wait, daemon=True).start()  # so that no dead process is left in the table


def run_queue(home: Path, kind: Kind[Request], work: Callable[[Job[Request], Reporter], None] | None = None) -> None:
    """Do what waits, one after another, until nothing does; returns where another process is at it.

    A job submitted while the last one ends is not lost: whoever submits it finds the lock held only before this
    process looks once more.

    Parameters
    ----------
    home : Path
        The folder that references are written to.
    kind : Kind
    work : callable, optional
        Done instead of the kind's own.
    """
    while any(job.state.stage == WAITING for job in list_jobs(home, kind)):
        with trying_lock(home / JOBS / kind.lock, GLANCE_SECONDS) as held:
            if not held:
                return
            _clean_up(home, kind)
            while waiting := [job for job in list_jobs(home, kind) if job.state.stage == WAITING]:
                _run(waiting[0], work or kind.work)


def _clean_up(home: Path, kind: Kind[Request]) -> None:
    """For the holder of the lock, before any job runs: those that say that they run were killed, and left things."""
    for left in list_jobs(home, kind):
        if left.running:
            write_state(left.folder, replace(left.state, stage=INTERRUPTED, seconds_left=None))
        remove_scratch(left)
    for spilled in (home / JOBS / kind.spool).glob("*"):
        shutil.rmtree(spilled, ignore_errors=True)


def _run(job: Job[Request], work: Callable[[Job[Request], Reporter], None]) -> None:
    report = Reporter(job)
    stage, reason = _done(job, work, report)
    if stage == FAILED and (job.folder / CANCEL).exists():  # what it worked on was taken away meanwhile
        stage, reason = CANCELLED, None
    remove_scratch(job)
    if stage == CANCELLED:
        stage = after_cancel(job.folder)
    report.finish(stage, reason)


def _done(
    job: Job[Request], work: Callable[[Job[Request], Reporter], None], report: Reporter
) -> tuple[str, str | None]:
    """Do the work; how it ended, and why it failed."""
    try:
        work(job, report)
    except Cancelled:
        return CANCELLED, None
    except NeroError as error:
        return FAILED, str(error)
    except OSError as error:
        return FAILED, f"{error.filename or 'The disk'}: {error.strerror or error}."
    except Exception as error:  # noqa: BLE001  whatever it is, the queue goes on, and its trace is in the log
        traceback.print_exc()
        return FAILED, f"An unexpected {type(error).__name__}: {error}. Details are in {job.kind.log}."
    return DONE, None


class Reporter:
    """Writes the state of a job as it goes, and stops it where somebody asked for that."""

    def __init__(self, job: Job[Request]) -> None:
        self._folder = job.folder
        self._state = job.state
        self._written = 0.0
        self._epochs_begun: tuple[float, int] | None = None

    def stage(self, stage: str) -> None:
        """Enter the next stage."""
        self._set(stage=stage, what="", done=0, total=0, seconds_left=None)
        self.stop_if_asked()

    def steps(self, steps: int) -> None:
        """Announce how many stretches of work are to come; they are counted from here on."""
        self._set(step=0, steps=steps)

    def begin(self, what: str) -> Progress:
        """Announce a stretch of work; its progress may raise :class:`~nero_core.errors.Cancelled`."""
        epoch = EPOCH.fullmatch(what)
        number, epochs = (int(epoch[1]), int(epoch[2])) if epoch else (1, 1)
        if epoch and self._epochs_begun:
            self._set(what=what)  # the epochs are one stretch: how far it is goes on
        else:
            self._epochs_begun = (time.monotonic(), number) if epoch else None
            step = self._state.step + 1 if self._state.steps else 0
            self._set(what=what, step=step, done=0, total=0, seconds_left=None)
        begun, first = self._epochs_begun or (time.monotonic(), 1)

        def progress(done: int, total: int) -> None:
            if total > FEW and done < total and time.monotonic() - self._written < REPORT_SECONDS:
                return
            self.stop_if_asked()
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

    def finish(self, stage: str, error: str | None = None) -> None:
        """Leave the last state."""
        self._set(stage=stage, what="", done=0, total=0, step=0, steps=0, seconds_left=None, error=error)

    def stop_if_asked(self) -> None:
        """Stop here where somebody asked for it.

        Raises
        ------
        Cancelled
            Somebody did.
        """
        if (self._folder / CANCEL).exists():
            raise Cancelled("Somebody asked for this to stop.")

    def _set(self, **changes: Any) -> None:
        if "seconds_left" in changes:
            changes["at"] = time.time()
        self._state = replace(self._state, **changes)
        write_state(self._folder, self._state)
        self._written = time.monotonic()
