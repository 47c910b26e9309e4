"""Components as the browser gets them: bundles that `make frontend` builds from `frontend/src`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

BUNDLES = Path(__file__).parent / "bundles"
PREFIX = "nero-"
"""Before every name: names are shared with the components of other packages."""


def component(name: str) -> ComponentRenderer:
    """The component of a bundle, to be mounted on a page; its styles are its own.

    Parameters
    ----------
    name : str
        Of its file in `frontend/src` and in `bundles/`, without ending.
    """
    return st.components.v2.component(f"{PREFIX}{name}", js=(BUNDLES / f"{name}.js").read_text(encoding="utf-8"))
