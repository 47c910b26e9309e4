"""How images are prepared for weights that somebody brings: the questions, and what follows from the answers."""

from __future__ import annotations

from dataclasses import asdict, replace

import streamlit as st

from nero_core.jobs.builds import BuildRequest
from nero_core.network.given_preprocessing import CONFIG_BYTES, described, given_preprocessing
from nero_core.wording import message, said
from pages.shared import controls, uploads
from pages.shared.controls import line
from pages.shared.words import plain

OWN = message("the architecture’s own")


def ask_preparation(request: BuildRequest) -> BuildRequest:
    """The questions, answered in the request; whatever is left empty is guessed, and shown to be."""
    st.markdown(said("**How the images of these weights are prepared**"))
    st.caption(
        said(
            "Weights do not say for what they were trained. A network fed in another way answers all the same, "
            "only worse: look at its accuracy when it is built."
        )
    )
    upload = uploads.uploader(
        said("timm’s config.json, if there is one"),
        type="json",
        megabytes=CONFIG_BYTES // 2**20,
        key="build-pretrained-cfg",
    )
    answered = replace(
        request,
        pretrained_cfg="" if upload is None else upload.getvalue().decode(errors="replace"),
        mean=line(said("Mean of the channels"), "build-mean", "0.485, 0.456, 0.406"),
        std=line(said("Their standard deviation"), "build-std", "0.229, 0.224, 0.225"),
        crop=line(
            said("Centre crop, as a share of the shorter side"),
            "build-crop",
            said("0.875, or none to stretch the whole image"),
        ),
        interpolation=st.selectbox(
            said("Interpolation"),
            ("", "bilinear", "bicubic"),
            format_func=lambda name: name or said(OWN),
            key="build-interpolation",
        ),
    )
    _show(answered)
    return answered


def _show(request: BuildRequest) -> None:
    """What would be done, each setting with where it comes from."""
    with controls.errors_said():
        with st.spinner(said("Asking the architecture…")):  # timm takes a few seconds the first time
            found = given_preprocessing(request.architecture, *request.settings())
        rows = described(asdict(found.preprocessing), found.origins)
        st.markdown("\n".join("- " + plain(f"{name}: {text}") for name, text in rows))
