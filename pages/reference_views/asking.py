"""Asking for a build: the questions, and what becomes of the answers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, BinaryIO

import streamlit as st

from nero_core import building
from nero_core.build_queue import start_queue
from nero_core.building import BuildRequest
from nero_core.errors import InputError, NeroError
from pages.reference_views.preparing import Answers, ask_preparation
from pages.shared import resources
from pages.shared.words import plain

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

LARGEST = 1000  # megabytes of an upload, which is held in memory; larger sets are given as a folder
NETWORKS = (
    "resnet18",
    "resnet50",
    "efficientnet_b0",
    "mobilenetv3_large_100",
    "deit_tiny_patch16_224",
    "vit_small_patch16_224",
)
ALPHAS = (1, 2, 5, 10, 20)  # in 100
HEATMAPS_MEASURED_ON = 24
FOLDER, ZIP = "A folder on this computer", "A zip file"
TRAIN, FIT = "Train a network", "Only fit a trained network"
NOT_STATED = "not stated"
ASKED = "builds-asked"


def asked() -> int:
    """How many builds this session has asked for."""
    number: int = st.session_state.get(ASKED, 0)
    return number


def ask() -> None:
    """The questions; the answers become a job at the end of the queue."""
    st.markdown(
        "One folder per class, named after it, with its images inside. Some images are set aside before training: "
        "those measure false alarms and accuracy, and the network never learns from them."
    )
    left, right = st.columns(2, gap="large")
    with left:
        images, upload = _images()
        title = _line("Name of the reference", "title", "Colonoscopy, our clinic")
        source = _line("Where the images come from", "source", "Endoscopy unit, 2019 to 2024")
        licence = _line("Their licence", "licence", "not for redistribution")
        unusual = _line("Folder of known unusual images, for comparison (may be left out)", "unusual", "/data/unusual")
        crops = st.checkbox(
            "Keep small pictures of these images in it; I may pass them on", key="build-crops", wrap=True
        )
        st.caption(
            "They show what each neuron looks for, and the images behind the map. Without them it carries no pixel of "
            "any image."
        )
    with right:
        how = st.segmented_control("The network", [TRAIN, FIT], default=TRAIN, required=True, key="build-how")
        architecture = st.selectbox(
            "Architecture", NETWORKS, accept_new_options=True, key="build-network", help="Any of torchvision or timm."
        )
        epochs = 0
        if how == TRAIN:
            epochs = st.number_input("Passes over the images (epochs)", 1, 500, 12, key="build-epochs")
        alpha = _alpha(how == TRAIN)
        true = st.checkbox(
            f"Measure on {HEATMAPS_MEASURED_ON} calibration images whether heatmaps are true (about a minute)",
            value=True,
            key="build-faithfulness",
            wrap=True,
        )
        with st.expander("A trained network to fit" if how == FIT else "A checkpoint, and more", expanded=how == FIT):
            weights_path, weights = _weights()
            calibration = _line("Class folders the network has never seen, for calibration", "calibration", "")
            seen = how == FIT and st.checkbox(
                "There are none: calibrate on images it may have learned from, without a guarantee",
                key="build-seen",
                wrap=True,
            )
            seed = st.number_input("Seed", 0, 2**31 - 1, 0, key="build-seed")
            side = st.number_input("Side of the network’s input in pixels (0: its own)", 0, 1024, 0, key="build-side")
            brought = bool(weights_path) or weights is not None
            answers = ask_preparation(str(architecture or ""), int(side)) if brought else Answers()
    request = BuildRequest(
        title=title,
        images=images,
        architecture=str(architecture or ""),
        epochs=int(epochs),
        seed=int(seed),
        weights=weights_path,
        calibration=calibration,
        calibration_seen=bool(seen),
        image_source=source or NOT_STATED,
        licence=licence or NOT_STATED,
        crops=crops,
        alpha=alpha,
        side=int(side),
        unusual=unusual,
        faithfulness=HEATMAPS_MEASURED_ON if true else 0,
        **answers,
    )
    if st.button("Build", type="primary", icon=":material/construction:", key="build"):
        try:
            with st.spinner("Putting it into the queue…"):
                _submit(request, upload, None if weights is None else (weights.name, weights))
        except NeroError as error:
            st.error(plain(str(error)))
        else:
            st.session_state[ASKED] = asked() + 1
            st.rerun()


def _images() -> tuple[str, UploadedFile | None]:
    given = st.segmented_control("The images", [FOLDER, ZIP], default=FOLDER, required=True, key="build-given")
    if given == FOLDER:
        return _line("Folder of class folders", "images", "/data/images"), None
    return "", st.file_uploader("Zip file of class folders", type="zip", max_upload_size=LARGEST, key="build-zip")


def _weights() -> tuple[str, UploadedFile | None]:
    path = _line("Checkpoint: path on this computer", "weights", "/data/weights.safetensors")
    return path, st.file_uploader(
        "Or upload it", type=["safetensors", "pt", "pth"], max_upload_size=LARGEST, key="build-weights-file"
    )


def _alpha(trained: bool) -> float:
    """The share of false alarms to support, and what it takes."""
    per_hundred: int = st.select_slider("Ordinary images flagged, at most … in 100", ALPHAS, 5, key="build-alpha")
    needed = building.needed_calibration(per_hundred / 100)
    in_all = f": about {math.ceil(needed / building.CALIBRATION_SHARE)} in all"
    st.caption(f"Needs {needed} images for calibration{in_all if trained else ''}.")
    return per_hundred / 100


def _line(label: str, key: str, example: str) -> str:
    text: str = st.text_input(label, placeholder=example, key=f"build-{key}", persist_state="session")
    return text.strip()


def _submit(request: BuildRequest, upload: BinaryIO | None, weights: tuple[str, BinaryIO] | None) -> None:
    if upload is None and not request.images:
        raise InputError("No images yet: give a folder of class folders, or a zip file of them.")
    if upload is not None:
        from nero_core.build_steps import check_upload

        check_upload(upload)
    building.submit(resources.home(), request, upload, weights)
    start_queue(resources.home())
