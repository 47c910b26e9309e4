"""Builds of references as jobs on disk: what was asked, how far it is, cancel, resume, use.

A job is a folder. Its request is written once; its state is replaced in one step whenever it changes, so that any
process can read how far it is. :mod:`nero_core.jobs.queue` does the work in a process of its own.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

from nero_core.data.guarantee import CalibrationSettings
from nero_core.errors import ArtefactError, InputError
from nero_core.network.given_preprocessing import Settings
from nero_core.reference.export import free_name
from nero_core.reference.manifest import MANIFEST_NAME, refused_title
from nero_core.storage.files import PRIVATE_FOLDER, make_private_folder, write_bytes
from nero_core.storage.locks import is_locked

BUILDS = ".builds"
"""Sub-folder of the references' folder, hidden so that nothing in it is taken for a reference."""
REQUEST, STATE, CANCEL, QUEUE_LOCK, LOG = "request.json", "state.json", "cancel", "lock", "log.txt"
UPLOAD, IMAGES, RESULT, CLASSIFIER = "images.zip", "images", "reference", "classifier.safetensors"
WEIGHTS, WEIGHTS_SUFFIXES = "weights", (".safetensors", ".pt", ".pth")

UNFINISHED, ABANDONED_SECONDS = ".new", 24 * 60 * 60
"""What a job is called until everything of it is there, and how long that can take at most."""

Stage = Literal["waiting", "checking", "training", "fitting", "done", "failed", "cancelled", "interrupted"]
RUNNING: tuple[Stage, ...] = ("checking", "training", "fitting")

NAME_CHARACTERS = 40
CALIBRATION_SHARE, TEST_SHARE = 0.15, 0.1
"""Of the images, set aside before training."""


@dataclass(frozen=True)
class BuildRequest:
    """What somebody asked to be built.

    Attributes
    ----------
    title : str
    images : str
        Folder with one sub-folder per class; empty where a zip is uploaded.
    architecture : str
    epochs : int
        0 only fits the weights given.
    weights : str
        Checkpoint to start from, or to fit; empty for random ones.
    calibration : str
        Class folders never trained on; empty to take the images set aside before training.
    calibration_seen : bool
        Whether to calibrate on images that were trained on, and give up the guarantee.
    crops : bool
        Whether the owner consents that small pictures of training images become part of the reference.
    alpha : float
        Share of false alarms that the reference must support.
    by_class : bool
        Whether images are read against calibration images of their predicted class.
    confidence : float
        Probability over calibration sets with which the bound at `alpha` shall hold; 0 for on average.
    group : str
        Folder level below the class that holds what belongs together, such as patients; empty for none.
    init_unseen : bool
        Whether `weights` that training starts from are known to have seen none of these images, as ImageNet's.
    side : int
        Side of the network's input in pixels; 0 for the architecture's own.
    calibrate : str
        Folder of a reference that is calibrated on `images` as it is: nothing is trained and nothing is fitted; empty
        where a reference is built.
    mean, std, interpolation, crop : str
        How images are prepared for the weights given, as typed (see
        :meth:`~nero_core.network.given_preprocessing.Settings.parsed`); empty for the architecture's own.
    pretrained_cfg : str
        The text of timm's configuration of these weights, for what is not typed; empty for none.
    unusual : str
        Folder of known unusual images, one sub-folder per kind or images of one kind; empty for none. Nothing is
        chosen by them.
    faithfulness : int
        On how many calibration images to measure whether heatmaps are true; 0 for none.
    """

    title: str
    images: str = ""
    architecture: str = "resnet18"
    epochs: int = 12
    seed: int = 0
    weights: str = ""
    calibration: str = ""
    calibration_seen: bool = False
    image_source: str = "not stated"
    licence: str = "not stated"
    crops: bool = False
    alpha: float = 0.05
    by_class: bool = True
    confidence: float = 0.0
    group: str = ""
    init_unseen: bool = False
    side: int = 0
    calibrate: str = ""
    mean: str = ""
    std: str = ""
    interpolation: str = ""
    crop: str = ""
    pretrained_cfg: str = ""
    unusual: str = ""
    faithfulness: int = 0

    def settings(self) -> tuple[Settings, Settings]:
        """How images are prepared: what was typed, and what the configuration says of the rest.

        Raises
        ------
        InputError
            Something was not understood.
        """
        side = str(self.side) if self.side else None
        typed = Settings.parsed(side, self.mean, self.std, self.interpolation, self.crop)
        kept = self.pretrained_cfg
        return typed, Settings.of_pretrained_cfg(kept, "The configuration", typed) if kept else Settings()


@dataclass(frozen=True)
class BuildState:
    """How far a build is.

    Attributes
    ----------
    stage : Stage
    what : str
        The stretch of work under way, `done` of `total` through; all epochs are one stretch.
    seconds_left : float or None
        Of that stretch.
    history : sequence of {figure: value}
        One per finished epoch: loss, train_accuracy, test_accuracy.
    notes : sequence of str
        Warnings, and files left out.
    error : str or None
        Why it failed, in a sentence.
    """

    stage: Stage = "waiting"
    what: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    history: tuple[Mapping[str, float], ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class Build:
    """One job: where it is, what was asked, how far it is."""

    folder: Path
    request: BuildRequest
    state: BuildState

    @property
    def result(self) -> Path:
        """The finished reference, not yet among the others; exists once the stage is "done"."""
        return self.folder / RESULT

    @property
    def stopping(self) -> bool:
        """Whether it still runs, but was asked to stop."""
        return self.state.stage in RUNNING and (self.folder / CANCEL).exists()


# Jobs --------------------------------------------------------------------------------------------------------------


def submit(
    home: Path,
    request: BuildRequest,
    upload: BinaryIO | None = None,
    weights: tuple[str, BinaryIO] | None = None,
) -> Path:
    """Put a build at the end of the queue; returns its folder. `build_queue.start_queue` sets it going.

    Parameters
    ----------
    home : Path
        The folder that references are written to.
    upload : binary file, optional
        A zip of class folders, whose table of contents has been checked.
    weights : (name, binary file), optional
        An uploaded checkpoint.

    Raises
    ------
    InputError
        The request cannot be met, whatever the images are.
    ArtefactError
        The folder cannot be written.
    """
    _check_request(request, upload is not None, weights)
    builds = home / BUILDS
    staging = builds / f".{secrets.token_hex(8)}{UNFINISHED}"
    try:
        for left in builds.glob(f".*{UNFINISHED}"):  # of a process that was killed while it took an upload
            if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        make_private_folder(builds)
        staging.mkdir(mode=PRIVATE_FOLDER)
        try:
            if upload is not None:
                _keep(upload, staging / UPLOAD)
            if weights is not None:
                name = f"{WEIGHTS}{Path(weights[0]).suffix.lower()}"
                _keep(weights[1], staging / name)
                request = replace(request, weights=name)
            write_record(staging / REQUEST, asdict(request))
            write_record(staging / STATE, asdict(BuildState()))
            while True:
                taken = [int(path.name) for path in builds.iterdir() if path.name.isdecimal()]
                folder = builds / f"{max(taken, default=0) + 1:06d}"
                try:
                    staging.rename(folder)
                    return folder
                except OSError:
                    if not folder.exists():
                        raise  # otherwise somebody else took the number
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise ArtefactError(f"{builds} cannot be written: {error.strerror}; check the free space.") from error


def _check_request(request: BuildRequest, uploaded: bool, weights: tuple[str, BinaryIO] | None) -> None:
    if why := refused_title(request.title):
        raise InputError(f"The name of the reference {why}.")
    if uploaded == bool(request.images):
        raise InputError("Give the images either as a folder or as a zip file, not both and not neither.")
    CalibrationSettings(request.by_class, request.alpha, request.confidence or None)  # refuses what is no share
    folders = {
        "images": request.images,
        "calibration images": request.calibration,
        "known unusual images": request.unusual,
    }
    for what, path in folders.items():
        if path and not (Path(path).is_absolute() and Path(path).is_dir()):
            raise InputError(f"The folder of {what}, {path}, is not there; give the whole path of a folder.")
    if request.calibrate:
        if not (Path(request.calibrate) / MANIFEST_NAME).is_file():
            raise InputError(f"There is no reference in {request.calibrate}; choose one that is listed.")
        return
    given = weights[0] if weights else request.weights
    if request.epochs < 0:
        raise InputError(f"{request.epochs} epochs were asked for; wanted 0 (only fit) or more.")
    if not request.epochs and not given:
        raise InputError("Only fitting needs the weights of a trained network; give a checkpoint, or train one.")
    if given and Path(given).suffix.lower() not in WEIGHTS_SUFFIXES:
        raise InputError(f"The checkpoint {Path(given).name!r} should end in {', '.join(WEIGHTS_SUFFIXES)}.")
    if request.weights and not (Path(request.weights).is_absolute() and Path(request.weights).is_file()):
        raise InputError(f"The checkpoint {request.weights} is not there; give the whole path of a file.")
    typed, configured = request.settings()
    if not given and {*typed.given, *configured.given} - {"size"}:
        raise InputError("How images are prepared is asked for weights that you bring; give their checkpoint, too.")


def _keep(source: BinaryIO, path: Path) -> None:
    source.seek(0)
    with path.open("xb") as file:
        shutil.copyfileobj(source, file)


def list_builds(home: Path) -> list[Build]:
    """Every job in the order they came; one whose process is gone is "interrupted"."""
    builds = home / BUILDS
    folders = sorted(path for path in builds.glob("*") if path.name.isdecimal())
    return [build for folder in folders if (build := _read(folder)) is not None]


def read_build(folder: Path) -> Build:
    """One job.

    Raises
    ------
    ArtefactError
        It was removed meanwhile.
    """
    build = _read(folder)
    if build is None:
        raise ArtefactError(f"The build {folder.name} is gone; it was removed or finished elsewhere.")
    return build


def _read(folder: Path) -> Build | None:
    try:
        asked = json.loads((folder / REQUEST).read_bytes())
        seen = json.loads((folder / STATE).read_bytes())
        request = BuildRequest(**{field.name: asked[field.name] for field in fields(BuildRequest)})
        state = BuildState(**{field.name: seen[field.name] for field in fields(BuildState)})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        return Build(folder, BuildRequest(folder.name), BuildState("failed", error=f"Its record is damaged ({error})."))
    state = replace(state, history=tuple(state.history), notes=tuple(state.notes))
    if state.stage not in get_args(Stage):
        return Build(folder, request, BuildState("failed", error=f"Its stage {state.stage!r} is not known."))
    if state.stage in RUNNING and not is_locked(folder.parent / QUEUE_LOCK):
        state = replace(state, stage="interrupted", seconds_left=None)
    elif state.stage == "waiting" and (folder / CANCEL).exists():
        state = replace(state, stage="cancelled")
    return Build(folder, request, state)


def cancel(build: Build) -> None:
    """Ask a build to stop: at once where it waits, at its next step where it runs. Nothing half is left."""
    (build.folder / CANCEL).touch()
    if build.state.stage in ("waiting", "interrupted", "failed"):
        discard(build)
    if build.state.stage in ("interrupted", "failed"):
        write_record(build.folder / STATE, asdict(BuildState("cancelled")))


def resume(build: Build) -> None:
    """Put a build that was interrupted or failed back into the queue; training goes on after its last whole epoch.

    Raises
    ------
    InputError
        It is neither.
    """
    if build.state.stage not in ("interrupted", "failed"):
        raise InputError(f"This build is {build.state.stage}; only one that was interrupted or failed can go on.")
    (build.folder / CANCEL).unlink(missing_ok=True)
    write_record(build.folder / STATE, asdict(BuildState(history=build.state.history)))


def remove(build: Build) -> None:
    """Remove a job with everything in it.

    Raises
    ------
    InputError
        It is running: cancel it first.
    """
    if build.state.stage in RUNNING:
        raise InputError("This build is running; cancel it first.")
    shutil.rmtree(build.folder, ignore_errors=True)
    if not list_builds(build.folder.parents[1]):
        (build.folder.parent / LOG).unlink(missing_ok=True)


def kept(build: Build) -> dict[str, int]:
    """What lies in a job's folder besides its record and its result: {in words: bytes}; another try starts from it."""
    words = {UPLOAD: "the uploaded images", WEIGHTS: "the uploaded checkpoint", IMAGES: "unpacked images"}
    found: dict[str, int] = {}
    for path in build.folder.iterdir():
        if path.name not in (REQUEST, STATE, CANCEL, RESULT):
            what = words.get(path.name) or words.get(path.stem) or "what was learned so far"
            files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
            found[what] = found.get(what, 0) + sum(each.stat().st_size for each in files)
    return found


def publish(build: Build, home: Path) -> Path:
    """Put a finished reference among the others in one step, and close its job; returns its folder.

    Raises
    ------
    InputError
        It is not finished.
    """
    if build.state.stage != "done":
        raise InputError(f"This build is {build.state.stage}; only a finished reference can be used.")
    target = free_name(home / folder_name(build.request.title))
    try:
        build.result.rename(target)
    except OSError as error:
        raise ArtefactError(f"{target} cannot be written: {error.strerror}.") from error
    remove(build)
    return target


def folder_name(title: str) -> str:
    """A title as the name of a folder: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower())[:NAME_CHARACTERS].strip("-") or "reference"


def discard(build: Build) -> None:
    """Remove everything of a job but its record."""
    for path in build.folder.iterdir():
        if path.name in (REQUEST, STATE, CANCEL):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def remove_unpacked(build: Build) -> None:
    """Remove the images that were unpacked for a build; what resists is named by :func:`kept`."""
    shutil.rmtree(build.folder / IMAGES, ignore_errors=True)


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    write_bytes(path, json.dumps(content, ensure_ascii=False).encode())
