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
from nero_core.wording import label, said
from pages.reference_views.preparing import ask_preparation
from pages.reference_views.starting import FIT, PRETRAINED, TRAIN, network
from pages.shared import controls, permission, resources, uploads
from pages.shared.controls import line

ALPHAS = (1, 2, 5, 10, 20)  # in 100
HEATMAPS_MEASURED_ON = 24
FOLDER, ZIP = "A folder on this computer", "A zip file"
NOT_STATED = "not stated"
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
        "One folder per class, named after it, with its images inside. Some images are set aside before training: "
        "those measure false alarms and accuracy, and the network never learns from them."
    )
    left, right = st.columns(2, gap="large")
    with left:
        images, upload = images_given("Folder of class folders", "build")
        request = BuildRequest(
            line("Name of the reference", "build-title", "Colonoscopy, our clinic"),
            images=images,
            image_source=line(label(wording.WHERE_IMAGES_COME_FROM), "build-source", "Endoscopy unit, 2019 to 2024")
            or NOT_STATED,
            licence=line("Their licence", "build-licence", "not for redistribution") or NOT_STATED,
            unusual=line(
                f"Folder of {said(wording.KNOWN_OOD_IMAGES)}, for comparison (may be left out)",
                "build-unusual",
                "/data/unusual",
            ),
            crops=st.checkbox(
                "Keep small pictures of these images in it; I may pass them on", key="build-crops", wrap=True
            ),
        )
        st.caption(
            "They show what each neuron looks for, and the images behind the map. Without them it carries no pixel of "
            "any image."
        )
    with right:
        how = st.segmented_control(
            "The network", [TRAIN, PRETRAINED, FIT], default=TRAIN, required=True, key="build-how", wrap=True
        )
        request = calibration_choices("build", network(how, request))
        true = st.checkbox(
            f"Measure the {said(wording.FAITHFULNESS)} on {HEATMAPS_MEASURED_ON} {said(wording.CALIBRATION_IMAGES)} "
            "(about a minute)",
            value=True,
            key="build-faithfulness",
            wrap=True,
        )
        path, weights = "", None
        more = {TRAIN: "A checkpoint, and more", PRETRAINED: "More", FIT: "A trained network to fit"}
        with st.expander(more[how], expanded=how == FIT):
            if how != PRETRAINED:
                path = line("Checkpoint: path on this computer", "build-weights", "/data/weights.safetensors")
                weights = uploads.uploader("Or upload it", type=["safetensors", "pt", "pth"], key="build-weights-file")
            request = replace(
                request,
                faithfulness=HEATMAPS_MEASURED_ON if true else 0,
                weights=path,
                calibration=line("Class folders the network has never seen, for calibration", "build-calibration", ""),
                calibration_seen=how == FIT
                and st.checkbox(
                    "There are none: calibrate on images it may have learned from, without a guarantee",
                    key="build-seen",
                    wrap=True,
                ),
                seed=st.number_input("Seed", 0, 2**31 - 1, 0, key="build-seed"),
                side=st.number_input(
                    "Side of the network’s input in pixels (0: its own)", 0, 1024, 0, key="build-side"
                ),
            )
            if path or weights is not None:
                request = ask_preparation(request)
    if st.button("Build", type="primary", icon=":material/construction:", key="build"):
        with controls.errors_said(), st.spinner("Putting it into the queue…"):
            submit(request, upload, None if weights is None else (weights.name, weights))


def images_given(label: str, form: str) -> tuple[str, UploadedFile | None]:
    """Images as a folder on the server, or as a zip."""
    given = st.segmented_control(
        "The images", [FOLDER, ZIP], default=FOLDER, required=True, key=f"{form}-given", wrap=True
    )
    if given == FOLDER:
        return line(label, f"{form}-images", "/data/images"), None
    upload = uploads.uploader(f"Zip file of a {label[0].lower()}{label[1:]}", type="zip", key=f"{form}-zip")
    st.caption("Larger sets are given as a folder.")
    return "", upload


def calibration_choices(form: str, request: BuildRequest) -> BuildRequest:
    """What is fixed at calibration, asked and put into the request."""
    per_hundred: int = st.select_slider("Ordinary images flagged, … in 100", ALPHAS, 5, key=f"{form}-alpha")
    st.caption(f"Needs {needed_images(per_hundred / 100)} calibration images of every class.")
    with st.expander("How the share is promised", type="compact"):
        group = st.number_input(
            "Folders of patients or clips: how many levels down (0: there are none)",
            0,
            9,
            0,
            key=f"{form}-group",
            help="Images of one patient are kept together: they never both train and calibrate.",
        )
        marginal = st.checkbox(
            "Read all classes together: one may then carry most of the false alarms", key=f"{form}-marginal", wrap=True
        )
        sure = st.checkbox(
            f"Be {100 * CONFIDENCE:.0f} % sure of the share, instead of on average: fewer are flagged, and more images "
            "are needed",
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
        raise InputError("No images yet: give a folder of class folders, or a zip file of them.")
    if upload is not None:
        from nero_core.jobs.uploaded_images import check_upload

        check_upload(upload)
    builds.submit(resources.home(), request, upload, weights)
    st.session_state[ASKED] = asked() + 1
    st.rerun()
