"""A reference that comes as a file."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.reference_views.inspecting import use
from pages.shared import permission, resources, uploads
from pages.shared.words import plain

ADDED = "reference-added"


@permission.needed
def bring_in() -> None:
    """Ask for a file, verify it, add it to the others."""
    st.markdown(
        "A file that **Export as one file** made on another computer. Every part of it is verified before it is added: "
        "names, sizes, hashes, and that the reference opens."
    )
    file = uploads.uploader("Reference file", type="zip", key="import-file")
    st.caption(uploads.larger("python -m nero_core import FILE.zip --to FOLDER"))
    if file is None:
        return
    from nero_core.building import folder_name

    name = st.text_input(
        "Name of its folder here", folder_name(Path(file.name).stem), key=f"import-name-{file.file_id}"
    )
    if st.button("Verify and add", type="primary", icon=":material/verified:", key="import"):
        from nero_core.exchange import import_reference

        with st.spinner("Verifying and unpacking…"):
            entry = import_reference(file, resources.home() / folder_name(name))
        st.session_state[ADDED] = (str(entry.path), entry.title)
        st.rerun()


def added() -> None:
    """Say once what was added, and offer it."""
    if ADDED not in st.session_state:
        return
    path, title = st.session_state.pop(ADDED)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.success(f"**{plain(title)}** was verified and added.")
        st.button("Use it", on_click=use, args=(Path(path),), key="use-added")
