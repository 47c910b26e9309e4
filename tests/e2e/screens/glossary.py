"""A page that says terms of the glossary; the boxes decide which."""

import streamlit as st

from pages.components.glossary import glossary
from pages.shared import style

style.apply()
held = st.session_state.setdefault("held", {"runs": 0})
glossary()
st.title("Neurons")
more = st.checkbox("more", False)
st.text_input("a threshold")
st.markdown("The detector of this reference is a detector with two detectors. Its id is no ID, and *panel* a class.")
st.caption("With ε = 0 and α = 5 %: calibration images, Percentile, detectorate, my-AUROC.png and `softmax`.")
st.text("a file that is called NERO.png, softmax")
if more:
    st.markdown("What comes later has a centroid, too.")
st.container(height=900, border=False)
held["runs"] += 1
st.text(f"runs: {held['runs']}")
