"""What the theme of `.streamlit/config.toml` cannot say: one stylesheet for every page."""

import streamlit as st

from pages.shared import resources


def apply() -> None:
    """Put it on the page; it takes no place there."""
    st.html(resources.ASSETS / "style.css")
