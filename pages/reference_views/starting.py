"""Which network a build trains, and what it starts from."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from nero_core.jobs.builds import BuildRequest
from nero_core.network.packaged import PACKAGED
from nero_core.wording import message, said
from pages.shared.words import plain

NETWORKS = (
    "resnet18",
    "resnet50",
    "efficientnet_b0",
    "mobilenetv3_large_100",
    "deit_tiny_patch16_224",
    "vit_small_patch16_224",
)
PRETRAINED_NETWORKS = (*PACKAGED, "resnet18", "resnet50", "deit_tiny_patch16_224")
TRAIN, PRETRAINED, FIT = (
    message("Train from scratch"),
    message("Start from ImageNet’s weights"),
    message("Only fit a trained network"),
)


def network(how: str, request: BuildRequest) -> BuildRequest:
    """Which network, what it starts from and for how long it is trained; into the request."""
    start = how == PRETRAINED
    architecture = st.selectbox(
        said("Architecture"),
        PRETRAINED_NETWORKS if start else NETWORKS,
        accept_new_options=True,
        key="build-pretrained-network" if start else "build-network",
        help=said("Any of torchvision or timm."),
    )
    request = replace(request, architecture=str(architecture or ""), pretrained=start, epochs=0)
    if start and request.architecture not in PACKAGED:
        st.caption(
            said(
                "The weights of {architecture} are fetched from its makers by this computer, unless it has them. "
                "Nothing of your images is sent. Those of tf_efficientnet_lite0, 1 and 2 are here already.",
                architecture=plain(request.architecture),
            )
        )
    if start and st.checkbox(
        said("Leave its weights as they are, and fit only the head, in one pass over the images"),
        value=True,
        key="build-frozen",
        wrap=True,
    ):
        return replace(request, frozen=True, epochs=1)
    if how == FIT:
        return request
    epochs = st.number_input(said("Passes over the images (epochs)"), 1, 500, 12, key="build-epochs")
    return replace(request, epochs=int(epochs))
