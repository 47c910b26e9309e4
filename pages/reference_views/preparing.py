"""How images are prepared for weights that somebody brings: the questions, and what follows from the answers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TypedDict

import streamlit as st

from nero_core.errors import InputError
from nero_core.jobs.builds import BuildRequest
from nero_core.network.given_preprocessing import CONFIG_BYTES, described, given_preprocessing
from pages.shared import uploads
from pages.shared.words import plain

OWN = "the architecture’s own"


class Answers(TypedDict, total=False):
    """Fields of a :class:`~nero_core.jobs.builds.BuildRequest`."""

    mean: str
    std: str
    interpolation: str
    crop: str
    pretrained_cfg: str


def ask_preparation(architecture: str, side: int) -> Answers:
    """The questions; whatever is left empty is guessed, and shown to be."""
    st.markdown("**How the images of these weights are prepared**")
    st.caption(
        "Weights do not say for what they were trained. A network fed in another way answers all the same, only "
        "worse: look at its accuracy when it is built."
    )
    upload = uploads.uploader(
        "timm’s config.json, if there is one", type="json", megabytes=CONFIG_BYTES // 2**20, key="build-pretrained-cfg"
    )
    configuration = "" if upload is None else upload.getvalue().decode(errors="replace")
    mean = _line("Mean of the channels", "mean", "0.485, 0.456, 0.406")
    std = _line("Their standard deviation", "std", "0.229, 0.224, 0.225")
    crop = _line("Centre crop, as a share of the shorter side", "crop", "0.875, or none to stretch the whole image")
    interpolation = st.selectbox(
        "Interpolation", ("", "bilinear", "bicubic"), format_func=lambda name: name or OWN, key="build-interpolation"
    )
    answers: Answers = {
        "mean": mean,
        "std": std,
        "crop": crop,
        "interpolation": str(interpolation),
        "pretrained_cfg": configuration,
    }
    _show(architecture, side, answers)
    return answers


def _line(label: str, key: str, example: str) -> str:
    text: str = st.text_input(label, placeholder=example, key=f"build-{key}", persist_state="session")
    return text.strip()


def _show(architecture: str, side: int, answers: Answers) -> None:
    """What would be done, each setting with where it comes from."""
    request = BuildRequest("", architecture=architecture, side=side, **answers)
    try:
        with st.spinner("Asking the architecture…"):  # timm takes a few seconds the first time
            found = given_preprocessing(architecture, *request.settings())
    except InputError as error:
        st.error(plain(str(error)))
    else:
        rows = described(asdict(found.preprocessing), found.origins)
        st.markdown("\n".join("- " + plain(f"{name}: {text}") for name, text in rows))
