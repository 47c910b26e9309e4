"""Which references there are, and what to know of one before trusting it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from nero_core.manifest import MANIFEST_NAME, ReferenceEntry
from pages.shared import permission, session, widgets
from pages.shared.words import plain

if TYPE_CHECKING:
    from nero_core.model_card import ModelCard, Section

KEPT = 8  # cards in memory; they hold no pictures


def use(path: Path) -> None:
    """Make a reference the one of this session."""
    st.session_state[session.REFERENCE] = str(path)


def listed(entries: Sequence[ReferenceEntry], chosen: ReferenceEntry | None) -> None:
    """Every reference found, the broken ones with the reason."""
    for number, entry in enumerate(entries):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            with st.container():
                st.markdown(f"**{plain(entry.title)}**")
                if entry.error is None:
                    widgets.describe(entry)
                else:
                    st.caption(f":material/block: Cannot be used: {plain(entry.error)}")
            if chosen is not None and entry.path == chosen.path:
                st.badge("In use", icon=":material/check:", color="blue")
            elif entry.error is None:
                st.button(
                    "Use", key=f"use-{number}", on_click=use, args=(entry.path,), help=f"Use {plain(entry.title)}"
                )


def inspect(entries: Sequence[ReferenceEntry], chosen: ReferenceEntry) -> None:
    """The model card of one reference, how its training went, and the reference as a file."""
    usable = {str(entry.path): entry for entry in entries if entry.error is None}
    path = st.selectbox(
        "Look inside",
        list(usable),
        index=list(usable).index(str(chosen.path)),
        format_func=lambda path: usable[path].title,
        key=f"inspected-{chosen.path}",
        label_visibility="collapsed",
    )
    entry = usable[path]
    changed = (entry.path / MANIFEST_NAME).stat().st_mtime_ns
    with st.spinner("Reading the model card…"):
        card = _card(path, changed)
    name = entry.path.name
    with st.container(horizontal=True):
        if permission.granted():
            st.download_button(
                "Export as one file",
                data=lambda: _packed(entry.path),
                file_name=f"{name}.zip",
                mime="application/zip",
                icon=":material/download:",
                key="export",
                on_click="ignore",
                help="A zip with everything in it, for another computer. It is verified when it is imported.",
            )
        st.download_button(
            "Save the model card",
            data=card.markdown(),
            file_name=f"{name}.md",
            mime="text/markdown",
            icon=":material/description:",
            key="card-file",
            on_click="ignore",
        )
    show_card(card.sections)
    if epochs := _history(path, changed):
        st.subheader("How the training went", anchor=False)
        curves(epochs, "training")


def show_card(sections: Sequence[Section]) -> None:
    """Parts of a model card: one table of two columns each."""
    for section in sections:
        with st.container(border=True):
            st.markdown(f"**{section.heading}**")
            st.html(section.html())


def curves(history: Sequence[dict[str, float]], key: str) -> None:
    """Loss and accuracy over epochs, side by side where there is room."""
    from nero_core.figures.training import training_curves

    loss, accuracy = training_curves(history)
    with st.grid(2, min_column_width=280) as grid:
        for number, each in enumerate((loss, accuracy)):
            with grid.cell():
                st.plotly_chart(each.figure, alt=each.alt, config=widgets.STILL, key=f"{key}-{number}")
    widgets.table_twin(loss.rows, "Training")


def _packed(folder: Path) -> io.BytesIO:
    from nero_core.exchange import export_reference

    buffer = io.BytesIO()
    export_reference(folder, buffer)
    buffer.seek(0)
    return buffer


@st.cache_data(max_entries=KEPT, show_spinner=False)
def _card(path: str, changed: int) -> ModelCard:
    """`changed` makes a reference that was written anew a new entry."""
    from nero_core.model_card import model_card

    return model_card(Path(path))


@st.cache_data(max_entries=KEPT, show_spinner=False)
def _history(path: str, changed: int) -> tuple[dict[str, float], ...]:
    from nero_core.model_card import training_history

    return training_history(Path(path))
