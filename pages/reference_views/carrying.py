"""A reference that comes as a file."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from nero_core.wording import said
from pages.reference_views.inspecting import use
from pages.shared import permission, resources, uploads
from pages.shared.words import plain

ADDED = "reference-added"


@permission.needed
def bring_in() -> None:
    """Ask for a file, check and try it, add it to the others."""
    st.markdown(
        said(
            "A file that **Export as one file** made on another computer. Before it is added, it is checked that "
            "nothing in it was changed since it was made, and one image is scored with it within limits of "
            "memory and time. Who made it is known only where it was signed. It is used by those who choose it."
        )
    )
    file = uploads.uploader(said("Reference file"), type="zip", key="import-file")
    st.caption(uploads.larger("python -m nero_core import FILE.zip --to FOLDER"))
    if file is None:
        return
    from nero_core.jobs.builds import folder_name

    name = st.text_input(
        said("Name of its folder here"), folder_name(Path(file.name).stem), key=f"import-name-{file.file_id}"
    )
    if st.button(said("Check and add"), type="primary", icon=":material/fact_check:", key="import"):
        from nero_core.reference.export import import_reference
        from nero_core.reference.signatures import who_made_it
        from nero_core.reference.trial import LIMITS_NOTE

        trusted = resources.trusted_keys()
        with st.spinner(said("Checking it, and scoring one image with it…")):
            taken = import_reference(file, resources.home() / folder_name(name), trusted)
        told = said(
            "unchanged since it was made; {maker}. {note}",
            maker=who_made_it(taken.signature),
            note=said(LIMITS_NOTE),
        )
        st.session_state[ADDED] = (str(taken.path), taken.title, told)
        st.rerun()


def added() -> None:
    """Say once what was added, and offer it."""
    if ADDED not in st.session_state:
        return
    path, title, told = st.session_state.pop(ADDED)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.success(said("**{title}** was added: {told}", title=plain(title), told=plain(told)))
        st.button(said("Use it"), on_click=use, args=(Path(path),), key="use-added")
