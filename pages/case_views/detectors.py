"""What each detector says of the image, and where its score lies among its own calibration scores."""

from __future__ import annotations

import streamlit as st

from nero_core.case import Case
from nero_core.wording import said
from pages.case_views import evidence, verdict
from pages.shared import widgets
from pages.shared.words import plain

PIXELS = 220


def show(reading: Case) -> None:
    """A histogram for each of the reference's detectors, with this image in it."""
    alpha = verdict.current_alpha()
    with st.grid(3, min_column_width=320, border=True) as grid:
        for name, other, part in evidence.judges_of(reading):
            title = reading.reference.detectors[name].info.title
            decision = verdict.decide(other, alpha)
            with grid.cell():
                adds = (
                    ""
                    if part is None
                    else said(" · adds {share} % to the panel’s verdict", share=f"{100 * part.share:.0f}")
                )
                st.markdown(f"**{plain(title)}** {verdict.marked(decision)}{adds}")
                widgets.plot(evidence.histogram(other, alpha, decision, PIXELS), title, key=f"histogram-{name}")
    widgets.table_twin(evidence.members(reading, alpha), said("What each detector says"))
