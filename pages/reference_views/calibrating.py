"""Asking for a calibration of a reference on one's own images."""

from __future__ import annotations

import streamlit as st

from nero_core.errors import NeroError
from nero_core.jobs.builds import BuildRequest
from nero_core.reference.manifest import ReferenceEntry
from nero_core.wording import WHERE_IMAGES_COME_FROM, label
from pages.reference_views.asking import ASKED, asked, calibration_choices, images_given, line, submit
from pages.shared import permission
from pages.shared.words import plain


@permission.needed
def calibrate(entry: ReferenceEntry) -> None:
    """The questions; the answers become a job at the end of the queue."""
    st.markdown(
        f"How often **{plain(entry.title)}** flags ordinary images of *your* endoscopes is only bounded by ordinary "
        "images from them. Nothing is trained or fitted; the reference itself stays as it is, and a copy is calibrated."
    )
    images, upload = images_given("Folder of ordinary images", "calibrate")
    named = f"{entry.title}, own calibration"
    title = line("Name of the calibrated reference", "title", named, form="calibrate")
    source = line(label(WHERE_IMAGES_COME_FROM), "source", "Endoscopy unit, 2024", form="calibrate")
    alpha, by_class, confidence, group = calibration_choices("calibrate")
    request = BuildRequest(
        title=title or named,
        images=images,
        epochs=0,
        image_source=source or "images given",
        alpha=alpha,
        by_class=by_class,
        confidence=confidence,
        group=group,
        calibrate=str(entry.path.resolve()),
    )
    if st.button("Calibrate", type="primary", icon=":material/straighten:", key="calibrate"):
        try:
            submit(request, upload, None)
        except NeroError as error:
            st.error(plain(str(error)))
        else:
            st.session_state[ASKED] = asked() + 1
            st.rerun()
