"""Builds of references: what is asked for one, what is refused at once, and how a finished one is put to use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from nero_core.data.guarantee import CalibrationSettings
from nero_core.errors import InputError
from nero_core.jobs import job as jobs
from nero_core.jobs.job import DONE, Job, JobRequest, Kind, remove
from nero_core.network.given_preprocessing import Settings
from nero_core.reference.export import free_name
from nero_core.reference.manifest import MANIFEST_NAME, refused_title
from nero_core.storage.files import disk_errors
from nero_core.wording import CALIBRATION_IMAGES, KNOWN_OOD_IMAGES, said

if TYPE_CHECKING:
    from nero_core.jobs.queue import Reporter

UPLOAD, IMAGES, RESULT, CLASSIFIER = "images.zip", "images", "reference", "classifier.safetensors"
WEIGHTS, WEIGHTS_SUFFIXES = "weights", (".safetensors", ".pt", ".pth")

NAME_CHARACTERS = 40
CALIBRATION_SHARE, TEST_SHARE = 0.15, 0.1
"""Of the images, set aside before training."""


@dataclass(frozen=True)
class BuildRequest(JobRequest):
    """What somebody asked to be built.

    Attributes
    ----------
    title : str
        Of the reference.
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
    pretrained : bool
        Whether training starts from the weights that the architecture's makers give.
    frozen : bool
        Whether those stay as they are, and only a head is fitted to their features.
    init_unseen : bool
        Whether `weights` that training starts from are known to have seen none of these images, as ImageNet's.
    side : int
        Side of the network's input in pixels; 0 for the architecture's own.
    calibrate : str
        Folder of a reference that is calibrated on `images` as it is: nothing is trained and nothing is fitted; empty
        where a reference is built.
    add_to : str
        Folder of a reference that gets more detectors, fitted to `images`; it stays as it is, and a copy has them.
        Empty where a reference is built.
    add : names
        The detectors that are added to it.
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
    pretrained: bool = False
    frozen: bool = False
    init_unseen: bool = False
    side: int = 0
    calibrate: str = ""
    add_to: str = ""
    add: Sequence[str] = ()
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


def _build(job: Job[BuildRequest], report: Reporter) -> None:
    from nero_core.jobs.build_steps import build  # torch, only in the process that builds

    build(job, report)


BUILD = Kind(
    name="build",
    request=BuildRequest,
    running=("checking", "training", "fitting"),
    work=_build,
    result=RESULT,
    contents={
        UPLOAD: "the uploaded images",
        WEIGHTS: "the uploaded checkpoint",
        IMAGES: "unpacked images",
        "": "what was learned so far",
    },
    scratch=(IMAGES,),
)
Build = Job[BuildRequest]


def submit(
    home: Path, request: BuildRequest, upload: BinaryIO | None = None, weights: tuple[str, BinaryIO] | None = None
) -> Path:
    """Put a build at the end of the queue; returns its folder.

    Parameters
    ----------
    home : Path
        The folder that references are written to.
    request : BuildRequest
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
    files = {} if upload is None else {UPLOAD: upload}
    if weights is not None:
        name = f"{WEIGHTS}{Path(weights[0]).suffix.lower()}"
        files[name], request = weights[1], replace(request, weights=name)
    return jobs.submit(home, BUILD, request, files)


def _check_request(request: BuildRequest, uploaded: bool, weights: tuple[str, BinaryIO] | None) -> None:
    if why := refused_title(request.title):
        raise InputError(f"The name of the reference {why}.")
    if uploaded == bool(request.images):
        raise InputError("Give the images either as a folder or as a zip file, not both and not neither.")
    CalibrationSettings(request.by_class, request.alpha, request.confidence or None)  # refuses what is no share
    folders = {
        "images": request.images,
        said(CALIBRATION_IMAGES): request.calibration,
        said(KNOWN_OOD_IMAGES): request.unusual,
    }
    for what, path in folders.items():
        if path and not (Path(path).is_absolute() and Path(path).is_dir()):
            raise InputError(f"The folder of {what}, {path}, is not there; give the whole path of a folder.")
    if place := request.calibrate or request.add_to:
        if not (Path(place) / MANIFEST_NAME).is_file():
            raise InputError(f"There is no reference in {place}; choose one that is listed.")
        if request.add_to and not request.add:
            raise InputError("No detector was named; choose at least one to add.")
        return
    given = weights[0] if weights else request.weights
    if request.epochs < 0:
        raise InputError(f"{request.epochs} epochs were asked for; wanted 0 (only fit) or more.")
    if request.pretrained and given:
        raise InputError("Both a checkpoint and the pretrained weights were asked for; give one of them.")
    if request.frozen and not (request.pretrained or given):
        raise InputError("A frozen network needs weights that know something; ask for pretrained ones, or give a file.")
    if not request.epochs and not given:
        raise InputError("Only fitting needs the weights of a trained network; give a checkpoint, or train one.")
    if given and Path(given).suffix.lower() not in WEIGHTS_SUFFIXES:
        raise InputError(f"The checkpoint {Path(given).name!r} should end in {', '.join(WEIGHTS_SUFFIXES)}.")
    if request.weights and not (Path(request.weights).is_absolute() and Path(request.weights).is_file()):
        raise InputError(f"The checkpoint {request.weights} is not there; give the whole path of a file.")
    typed, configured = request.settings()
    if not given and {*typed.given, *configured.given} - {"size"}:
        raise InputError("How images are prepared is asked for weights that you bring; give their checkpoint, too.")


def publish(build: Build, home: Path) -> Path:
    """Put a finished reference among the others in one step, and close its job; returns its folder.

    Raises
    ------
    InputError
        It is not finished.
    ArtefactError
        The folder of references cannot be written.
    """
    if build.state.stage != DONE:
        raise InputError(f"This build is {build.state.stage}; only a finished reference can be used.")
    target = free_name(home / folder_name(build.request.title))
    with disk_errors(f"{target} cannot be written"):
        build.result.rename(target)
    remove(build)
    return target


def folder_name(title: str) -> str:
    """A title as the name of a folder: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower())[:NAME_CHARACTERS].strip("-") or "reference"
