"""Asking for a build: the questions, and what becomes of the answers."""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from nero_core import wording
from nero_core.data.guarantee import needed_images
from nero_core.errors import InputError
from nero_core.jobs import builds
from nero_core.jobs.builds import BuildRequest
from nero_core.wording import label, message, said
from pages.reference_views.preparing import ask_preparation
from pages.reference_views.starting import FIT, PRETRAINED, TRAIN, network
from pages.shared import controls, permission, resources, uploads
from pages.shared.controls import line

ALPHAS = (1, 2, 5, 10, 20)  # in 100
HEATMAPS_MEASURED_ON = 24
FOLDER, ZIP = message("A folder on this computer"), message("A zip file")
NOT_STATED = message("not stated")
CONFIDENCE = 0.9
"""As the bound with probability 1 − δ is asked for where nothing else is said."""
ASKED = "builds-asked"


def asked() -> int:
    """How many builds this session has asked for."""
    number: int = st.session_state.get(ASKED, 0)
    return number


@permission.needed
def ask() -> None:
    """The questions; the answers become a job at the end of the queue."""
    st.markdown(
        said(
            "One folder per class, named after it, with its images inside. Some images are set aside before "
            "training: those measure false alarms and accuracy, and the network never learns from them."
        )
    )
    left, right = st.columns(2, gap="large")
    with left:
        images, upload = images_given(said("Folder of class folders"), "build")
        request = BuildRequest(
            line(said("Name of the reference"), "build-title", said("Colonoscopy, our clinic")),
            images=images,
            image_source=line(
                label(wording.WHERE_IMAGES_COME_FROM), "build-source", said("Endoscopy unit, 2019 to 2024")
            )
            or NOT_STATED,
            licence=line(said("Their licence"), "build-licence", said("not for redistribution")) or NOT_STATED,
            unusual=line(
                said(
                    "Folder of {images}, for comparison (may be left out)",
                    images=said(wording.KNOWN_OOD_IMAGES),
                ),
                "build-unusual",
                "/data/unusual",
            ),
            crops=st.checkbox(
                said("Keep small pictures of these images in it; I may pass them on"), key="build-crops", wrap=True
            ),
        )
        st.caption(
            said(
                "They show what each neuron looks for, and the images behind the map. Without them it carries no "
                "pixel of any image."
            )
        )
    with right:
        how = st.segmented_control(
            said("The network"),
            [TRAIN, PRETRAINED, FIT],
            default=TRAIN,
            format_func=said,
            required=True,
            key="build-how",
            wrap=True,
        )
        request = calibration_choices("build", network(how, request))
        true = st.checkbox(
            said(
                "Measure the {faithfulness} on {n} {images} (about a minute)",
                faithfulness=said(wording.FAITHFULNESS),
                n=HEATMAPS_MEASURED_ON,
                images=said(wording.CALIBRATION_IMAGES),
            ),
            value=True,
            key="build-faithfulness",
            wrap=True,
        )
        request = replace(request, faithfulness=HEATMAPS_MEASURED_ON if true else 0)
        request, weights = _more(how, request)
    if st.button(said("Build"), type="primary", icon=":material/construction:", key="build"):
        with controls.errors_said(), st.spinner(said("Putting it into the queue…")):
            submit(request, upload, None if weights is None else (weights.name, weights))


def _more(how: str, request: BuildRequest) -> tuple[BuildRequest, UploadedFile | None]:
    """What most leave as it is: put into the request, and a checkpoint that was uploaded."""
    path, weights = "", None
    more: dict[str, str] = {
        TRAIN: said("A checkpoint, and more"),
        PRETRAINED: said("More"),
        FIT: said("A trained network to fit"),
    }
    with st.expander(more[how], expanded=how == FIT):
        if how != PRETRAINED:
            path = line(said("Checkpoint: path on this computer"), "build-weights", "/data/weights.safetensors")
            weights = uploads.uploader(
                said("Or upload it"), type=["safetensors", "pt", "pth"], key="build-weights-file"
            )
        request = replace(
            request,
            weights=path,
            calibration=line(
                said("Class folders the network has never seen, for calibration"), "build-calibration", ""
            ),
            calibration_seen=how == FIT
            and st.checkbox(
                said("There are none: calibrate on images it may have learned from, without a guarantee"),
                key="build-seen",
                wrap=True,
            ),
            seed=st.number_input(said("Seed"), 0, 2**31 - 1, 0, key="build-seed"),
            side=st.number_input(
                said("Side of the network’s input in pixels (0: its own)"), 0, 1024, 0, key="build-side"
            ),
        )
        if path or weights is not None:
            request = ask_preparation(request)
    return request, weights


def images_given(label: str, form: str) -> tuple[str, UploadedFile | None]:
    """Images as a folder on the server, or as a zip."""
    given = st.segmented_control(
        said("The images"),
        [FOLDER, ZIP],
        default=FOLDER,
        format_func=said,
        required=True,
        key=f"{form}-given",
        wrap=True,
    )
    if given == FOLDER:
        return line(label, f"{form}-images", "/data/images"), None
    upload = uploads.uploader(said("Zip file: {folder}", folder=label), type="zip", key=f"{form}-zip")
    st.caption(said("Larger sets are given as a folder."))
    return "", upload


def calibration_choices(form: str, request: BuildRequest) -> BuildRequest:
    """What is fixed at calibration, asked and put into the request."""
    per_hundred: int = st.select_slider(said("Ordinary images flagged, … in 100"), ALPHAS, 5, key=f"{form}-alpha")
    st.caption(said("Needs {n} calibration images of every class.", n=needed_images(per_hundred / 100)))
    with st.expander(said("How the share is promised"), type="compact"):
        group = st.number_input(
            said("Folders of patients or clips: how many levels down (0: there are none)"),
            0,
            9,
            0,
            key=f"{form}-group",
            help=said("Images of one patient are kept together: they never both train and calibrate."),
        )
        marginal = st.checkbox(
            said("Read all classes together: one may then carry most of the false alarms"),
            key=f"{form}-marginal",
            wrap=True,
        )
        sure = st.checkbox(
            said(
                "Be {sure} % sure of the share, instead of on average: fewer are flagged, and more images are needed",
                sure=f"{100 * CONFIDENCE:.0f}",
            ),
            key=f"{form}-confidence",
            wrap=True,
        )
    return replace(
        request,
        alpha=per_hundred / 100,
        by_class=not marginal,
        confidence=CONFIDENCE if sure else 0.0,
        group=str(group) if group else "",
    )


@permission.needed
def submit(request: BuildRequest, upload: BinaryIO | None, weights: tuple[str, BinaryIO] | None) -> None:
    """Put a request into the queue, which the list of jobs sets going, and show the page anew.

    Raises
    ------
    NeroError
        It cannot be met.
    """
    if upload is None and not request.images:
        raise InputError(said("No images yet: give a folder of class folders, or a zip file of them."))
    if upload is not None:
        from nero_core.jobs.uploaded_images import check_upload

        check_upload(upload)
    builds.submit(resources.home(), request, upload, weights)
    st.session_state[ASKED] = asked() + 1
    st.rerun()
