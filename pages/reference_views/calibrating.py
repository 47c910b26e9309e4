"""Asking for a calibration of a reference on one's own images."""

from __future__ import annotations

import streamlit as st

from nero_core.jobs.builds import BuildRequest
from nero_core.reference.manifest import ReferenceEntry
from nero_core.wording import WHERE_IMAGES_COME_FROM, label, said
from pages.reference_views.asking import calibration_choices, images_given, submit
from pages.shared import controls, permission
from pages.shared.controls import line
from pages.shared.words import plain


@permission.needed
def calibrate(entry: ReferenceEntry) -> None:
    """The questions; the answers become a job at the end of the queue."""
    st.markdown(
        said(
            "How often **{title}** flags ordinary images of *your* endoscopes is only bounded by ordinary images "
            "from them. Nothing is trained or fitted; the reference itself stays as it is, and a copy is "
            "calibrated.",
            title=plain(entry.title),
        )
    )
    images, upload = images_given(said("Folder of ordinary images"), "calibrate")
    named = said("{title}, own calibration", title=entry.title)
    request = BuildRequest(
        line(said("Name of the calibrated reference"), "calibrate-title", named) or named,
        images=images,
        epochs=0,
        image_source=line(label(WHERE_IMAGES_COME_FROM), "calibrate-source", said("Endoscopy unit, 2024"))
        or "images given",
        calibrate=str(entry.path.resolve()),
    )
    request = calibration_choices("calibrate", request)
    if st.button(said("Calibrate"), type="primary", icon=":material/straighten:", key="calibrate"):
        with controls.errors_said():
            submit(request, upload, None)
