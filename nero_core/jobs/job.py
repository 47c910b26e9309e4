"""Jobs in the background, as folders on disk: what was asked, how far it is; cancel, go on, remove.

A job's request is written once; its state is replaced in one step whenever it changes, so that any process can read how
far it is. :mod:`nero_core.jobs.queue` does the work in a process of its own: a closed window stops nothing.
"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, TypeVar

from nero_core.errors import ArtefactError, InputError
from nero_core.storage.files import PRIVATE_FOLDER, disk_errors, make_private_folder, write_bytes
from nero_core.storage.json_files import checked, read_json
from nero_core.storage.locks import is_locked

if TYPE_CHECKING:
    from nero_core.jobs.queue import Reporter

JOBS = ".builds"
"""Sub-folder of the references' folder that holds all jobs, hidden so that nothing in it is taken for a reference.

It is called after the first kind of job there was, so that those of earlier versions are found."""
REQUEST, STATE, CANCEL = "request.json", "state.json", "cancel"
KIND, FIRST_KIND = "kind", "build"
"""Under which name a request says what kind of job it is; one that does not was written when there were only builds."""

UNFINISHED, ABANDONED_SECONDS = ".new", 24 * 60 * 60
"""What a job is called until everything of it is there, and how long that can take at most."""

WAITING, DONE, FAILED, CANCELLED, INTERRUPTED, STOPPED = (
    "waiting", "done", "failed", "cancelled", "interrupted", "stopped"
)  # fmt: skip
"""Stages of every job, besides those in which its kind runs. Stopped: asked to stop, with what was done kept;
cancelled: asked before there was anything to keep but the request."""
DAMAGED = "The record is damaged; remove the job and ask for it again."
CAN_GO_ON = (INTERRUPTED, FAILED, STOPPED, CANCELLED)


@dataclass(frozen=True)
class JobRequest:
    """What somebody asked for; each kind adds its own fields, which have defaults.

    Attributes
    ----------
    title : str
        As it is called on the page.
    """

    title: str


Request = TypeVar("Request", bound=JobRequest)


@dataclass(frozen=True)
class Kind(Generic[Request]):
    """One kind of job. Jobs of one kind run one at a time, those of different kinds side by side.

    Attributes
    ----------
    name : str
        In the record and on the command line.
    request : type
    running : stages
        Those in which its process works.
    work : callable
        Does one job, and tells the reporter how far it is.
    result : str
        Name of the folder that a job leaves, in its own.
    contents : {name or stem: words}
        What else may lie in a job's folder, as a person is told; "" for everything that is not named.
    scratch : names
        What is there only while it runs.
    prefix : str
        Before the names of its lock, its log and its folder for what is spilled to disk; builds came first and have
        none.
    """

    name: str
    request: type[Request]
    running: tuple[str, ...]
    work: Callable[[Job[Request], Reporter], None]
    result: str
    contents: Mapping[str, str]
    scratch: tuple[str, ...] = ()
    prefix: str = ""

    @property
    def lock(self) -> str:
        """Held by the process that does its jobs."""
        return f"{self.prefix}lock"

    @property
    def log(self) -> str:
        """What that process has to say."""
        return f"{self.prefix}log.txt"

    @property
    def spool(self) -> str:
        """What that process spills to disk; the next one empties it."""
        return f"{self.prefix}spool"


@dataclass(frozen=True)
class State:
    """How far a job is.

    Attributes
    ----------
    stage : str
    what : str
        The stretch of work under way, `done` of `total` through; all epochs of a training are one stretch.
    step, steps : int
        The stretches of a job that knows how many there will be, counted from 1; else 0.
    seconds_left : float or None
        Of that stretch, as it was at `at`.
    history : sequence of {figure: value}
        One per finished epoch of a training: loss, train_accuracy, test_accuracy.
    notes : sequence of str
        Warnings, and files left out.
    error : str or None
        Why it failed, in a sentence.
    at : float or None
        In seconds since 1970.
    """

    stage: str
    what: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    history: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()
    error: str | None = None
    step: int = 0
    steps: int = 0
    at: float | None = None

    @property
    def share(self) -> float:
        """How much is done: of all steps, as if each took equally long, or of the one stretch."""
        within = min(1.0, self.done / self.total) if self.total else 0.0
        return min(1.0, (max(self.step, 1) - 1 + within) / self.steps) if self.steps else within

    def left(self, now: float) -> float | None:
        """Seconds left at a time in seconds since 1970: they fall between two states; None where it is not known."""
        if self.seconds_left is None or self.at is None:
            return self.seconds_left
        return max(0.0, self.seconds_left - max(0.0, now - self.at))


@dataclass(frozen=True)
class Job(Generic[Request]):
    """One job: of which kind, where it is, what was asked, how far it is."""

    kind: Kind[Request]
    folder: Path
    request: Request
    state: State

    @property
    def result(self) -> Path:
        """The folder of what it gave; whole once the stage is "done"."""
        return self.folder / self.kind.result

    @property
    def running(self) -> bool:
        """Whether a process is at it."""
        return self.state.stage in self.kind.running

    @property
    def live(self) -> bool:
        """Whether it runs, or will by itself."""
        return self.running or self.state.stage == WAITING

    @property
    def stopping(self) -> bool:
        """Whether it still runs, but was asked to stop."""
        return self.running and (self.folder / CANCEL).exists()


def submit(home: Path, kind: Kind[Request], request: Request, files: Mapping[str, BinaryIO] | None = None) -> Path:
    """Put a job at the end of the queue; returns its folder. :func:`~nero_core.jobs.queue.start_queue` sets it going.

    Parameters
    ----------
    home : Path
        The folder that references are written to.
    kind : Kind
    request : JobRequest
        Checked already.
    files : {name: binary file}, optional
        What was uploaded, copied into the job's folder.

    Raises
    ------
    ArtefactError
        The folder cannot be written.
    """
    jobs = home / JOBS
    staging = jobs / f".{secrets.token_hex(8)}{UNFINISHED}"
    with disk_errors(f"{jobs} cannot be written"):
        for left in jobs.glob(f".*{UNFINISHED}"):  # of a process that was killed while it took an upload
            if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        make_private_folder(jobs)
        staging.mkdir(mode=PRIVATE_FOLDER)
        try:
            for name, source in (files or {}).items():
                source.seek(0)
                with (staging / name).open("xb") as file:
                    shutil.copyfileobj(source, file)
            write_record(staging / REQUEST, {KIND: kind.name, **asdict(request)})
            write_state(staging, State(WAITING))
            return _numbered(staging, jobs)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _numbered(staging: Path, jobs: Path) -> Path:
    """Move a job that is all there to the next free number."""
    while True:
        taken = [int(path.name) for path in jobs.iterdir() if path.name.isdecimal()]
        folder = jobs / f"{max(taken, default=0) + 1:06d}"
        try:
            return staging.rename(folder)
        except OSError:
            if not folder.exists():
                raise  # otherwise somebody else took the number


def list_jobs(home: Path, kind: Kind[Request]) -> list[Job[Request]]:
    """Every job of a kind in the order they came; one whose process is gone is "interrupted"."""
    folders = sorted(path for path in (home / JOBS).glob("*") if path.name.isdecimal())
    return [job for folder in folders if (job := _read(folder, kind)) is not None]


def read_job(folder: Path, kind: Kind[Request]) -> Job[Request]:
    """One job.

    Raises
    ------
    ArtefactError
        It was removed meanwhile.
    """
    job = _read(folder, kind)
    if job is None:
        raise ArtefactError(f"The {kind.name} {folder.name} is gone; it was removed or finished elsewhere.")
    return job


def _read(folder: Path, kind: Kind[Request]) -> Job[Request] | None:
    """A job of a kind; None where there is none. Where a record cannot be read, it is told as a build that failed."""
    whose = FIRST_KIND
    try:
        asked = read_json(folder / REQUEST, dict[str, Any], DAMAGED, REQUEST)
        whose = asked.pop(KIND, FIRST_KIND)
        if whose != kind.name:
            return None
        request = checked(asked, kind.request, REQUEST, DAMAGED)
        state: State = read_json(folder / STATE, State, DAMAGED, STATE)
        if state.stage not in (WAITING, DONE, *CAN_GO_ON, *kind.running):
            raise ArtefactError(f"{STATE}, field `stage` is {state.stage!r}, which is not known. {DAMAGED}")
    except FileNotFoundError:
        return None
    except ArtefactError as error:
        return (
            Job(kind, folder, kind.request(folder.name), State(FAILED, error=str(error)))
            if whose == kind.name
            else None
        )
    if state.stage in kind.running and not is_locked(folder.parent / kind.lock):
        state = replace(state, stage=INTERRUPTED, seconds_left=None)
    elif state.stage == WAITING and (folder / CANCEL).exists():
        state = replace(state, stage=after_cancel(folder))
    return Job(kind, folder, request, state)


def cancel(job: Job[Request]) -> None:
    """Ask a job to stop: at once where it waits, at its next step where it runs. What was done is kept."""
    (job.folder / CANCEL).touch()
    if job.state.stage in CAN_GO_ON:
        write_state(job.folder, State(after_cancel(job.folder), history=job.state.history))


def after_cancel(folder: Path) -> str:
    """The stage of a job that was asked to stop."""
    return STOPPED if _besides_record(folder) else CANCELLED


def _besides_record(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name not in (REQUEST, STATE, CANCEL)]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def resume(job: Job[Request]) -> None:
    """Put a job that was interrupted or stopped or that failed back into the queue; it starts from what it has kept.

    One that was stopped before anything was done starts from its request.

    Raises
    ------
    InputError
        It is none of these.
    """
    if job.state.stage not in CAN_GO_ON:
        raise InputError(
            f"This {job.kind.name} is {job.state.stage}; only one that was interrupted or stopped, or that failed, can "
            "go on."
        )
    (job.folder / CANCEL).unlink(missing_ok=True)
    write_state(job.folder, State(WAITING, history=job.state.history))


def remove(job: Job[Request]) -> None:
    """Remove a job with everything in it; the log of its kind goes with the last of them.

    Raises
    ------
    InputError
        It is running: cancel it first.
    """
    if job.running:
        raise InputError(f"This {job.kind.name} is running; cancel it first.")
    shutil.rmtree(job.folder, ignore_errors=True)
    jobs = job.folder.parent
    if not list_jobs(jobs.parent, job.kind):
        (jobs / job.kind.log).unlink(missing_ok=True)


def kept(job: Job[Request]) -> dict[str, int]:
    """What lies in a job's folder besides its record and its result: {in words: bytes}; another try starts from it."""
    contents = job.kind.contents
    found: dict[str, int] = {}
    for path in _besides_record(job.folder):
        if path.name != job.kind.result:
            what = contents.get(path.name) or contents.get(path.stem) or contents[""]
            files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
            found[what] = found.get(what, 0) + sum(each.stat().st_size for each in files)
    return found


def remove_scratch(job: Job[Request]) -> None:
    """Remove what is there only while a job runs; what resists is named by :func:`kept`."""
    for name in job.kind.scratch:
        _remove(job.folder / name)


def write_state(folder: Path, state: State) -> None:
    """Replace the state of a job."""
    write_record(folder / STATE, asdict(state))


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """Write a record as JSON, whole or not at all."""
    write_bytes(path, json.dumps(content, ensure_ascii=False).encode())
