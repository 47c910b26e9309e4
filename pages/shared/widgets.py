"""What several pages show: the header, a chart with its twins, how to get a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from nero_core.figures import overlays
from nero_core.figures.palette import Cell, Chart
from nero_core.reference.manifest import ReferenceEntry, read_manifest
from nero_core.wording import STANDING_LINE, said
from pages.components.glossary import glossary
from pages.shared import controls, language, resources, session, words_explained
from pages.shared.words import plain, reference_line

PICTURES = ("SVG", "PNG")
"""What a chart's camera saves; the browser makes both itself."""
PNG_SCALE = 3
"""A PNG has so many pixels for each on the screen, about 300 to an inch on paper."""


def header(title: str, entries: Sequence[ReferenceEntry]) -> ReferenceEntry | None:
    """The slim line above every page: its title, the reference in use (and another to choose), the current case."""
    usable = {str(entry.path): entry for entry in entries if entry.error is None}
    default = resources.default_of(entries)
    with (
        st.container(key="header", gap="xxsmall"),
        st.container(horizontal=True, vertical_alignment="center", gap="small"),
    ):
        st.title(title, anchor=False, width="content")
        chosen = None
        if usable:
            named = usable.get(st.session_state.get(session.REFERENCE) or "", default)
            name = said("Choose a reference") if named is None else plain(named.title)
            with st.popover(name, icon=":material/library_books:", type="tertiary", help=said("Change the reference")):
                path = controls.select_or_none(
                    said("Reference: the images that this case is held against"),
                    {path: entry.title for path, entry in usable.items()},
                    session.REFERENCE,
                    index=None if default is None else list(usable).index(str(default.path)),
                    placeholder=said("Choose one"),
                )
                if path is not None:
                    chosen = usable[path]
                    describe(chosen)
                for entry in entries:
                    if entry.error is not None:
                        st.caption(
                            said("{title} cannot be used: {error}", title=plain(entry.title), error=plain(entry.error))
                        )
            if chosen is not None and chosen.synthetic:
                st.badge(said("Synthetic images: for trying out only"), icon=":material/science:", color="gray")
        st.space("stretch")
        st.text(_case_line())
        words_explained.words()
        language.control()
        st.session_state[session.TOOLS] = st.container(horizontal=True, vertical_alignment="center", width="content")
    st.caption(said(STANDING_LINE))
    glossary()
    _tell_of_fallen(entries, chosen)
    return chosen


def _tell_of_fallen(entries: Sequence[ReferenceEntry], chosen: ReferenceEntry | None) -> None:
    """Say that what this session used cannot be used any more, until the reader chooses by hand."""
    broken = {str(entry.path): entry for entry in entries if entry.error is not None}
    before, now = st.session_state.get(session.IN_USE), None if chosen is None else str(chosen.path)
    if before != now:
        st.session_state[session.IN_USE] = now
        st.session_state[session.FALLEN] = before
    if (fallen := broken.get(st.session_state.get(session.FALLEN) or "")) is not None:
        told = said("**{title}** cannot be used: {error}", title=plain(fallen.title), error=plain(fallen.error or ""))
        if chosen is not None:
            told += said(" **{title}** is in use instead.", title=plain(chosen.title))
        st.warning(told)


def describe(entry: ReferenceEntry) -> None:
    """What is usual for a reference, in one line."""
    st.caption(reference_line(read_manifest(entry.path)))


def _case_line() -> str:
    frames = session.case()
    if not frames:
        return said("No case open")
    return said("Case: {name}", name=frames[0].name) if len(frames) == 1 else said("Case: {n} images", n=len(frames))


def chart(content: Chart, *, table: str, note: str = "") -> None:
    """A figure, named for those who cannot see it, a note under it, and its table twin."""
    plot(content, table)
    if note:
        st.caption(note)
    table_twin(content.rows, table, picture=table)


def plot(content: Chart, name: str, *, tools: Sequence[Sequence[str]] = (), **more: Any) -> Any:
    """A figure alone, with `more` as :func:`streamlit.plotly_chart` has it; returns what that returns.

    Parameters
    ----------
    name : str
        What its file is called; `picture_choice` says of which kind it is.
    tools : sequence of plotly's buttons, optional
        Beside the camera.
    """
    kind = st.session_state.get(_camera_key(name)) or PICTURES[0]
    saved = {"format": kind.lower(), "filename": f"nero {name.lower()}", "scale": PNG_SCALE if kind == "PNG" else 1}
    buttons = {"modeBarButtons": [["toImage"], *tools], "toImageButtonOptions": saved}
    config = {"scrollZoom": False, "displaylogo": False, **buttons}
    return st.plotly_chart(content.figure, alt=content.alt, config=config, **more)


def command(text: str) -> None:
    """What to type in a terminal."""
    st.code(text, language=None, wrap_lines=True)  # its words have no colours: blue and orange are the states'


def colour_bar() -> None:
    """What the colours of heatmaps mean; the legend has nothing to move and nothing to save."""
    bar = overlays.colour_bar()
    st.plotly_chart(bar.figure, alt=bar.alt, config={"displayModeBar": False, "scrollZoom": False}, width=360)


def picture_choice(name: str) -> None:
    """What the camera of the chart of this name saves."""
    offered = {kind: kind for kind in PICTURES}
    controls.one_of(said("Point at the chart: the camera in its corner saves"), offered, _camera_key(name))


def _camera_key(name: str) -> str:
    return f"camera-{name}"


def table_twin(rows: Sequence[Mapping[str, Cell]], name: str, *, picture: str = "") -> None:
    """The same content as a table, one click away; with what the camera of `picture` saves, where there is one."""
    with st.expander(said("{name} as a table", name=name), type="compact", icon=":material/table_rows:"):
        st.dataframe([dict(row) for row in rows], hide_index=True, placeholder="–", alt=name)
        if picture:
            picture_choice(picture)


def make_charts_ready() -> None:
    """A chart that nobody sees: the browser takes a second over its first, and does so while nobody waits for it."""
    import pandas  # noqa: F401  # waits for the loader's import: plotly trips over a pandas that is half there

    with st.container(key="unseen"):
        st.html("<style>.st-key-unseen {height: 0; overflow: hidden; visibility: hidden}</style>")
        st.plotly_chart({"data": [{"type": "bar", "x": [0], "y": [1]}], "layout": {"height": 100}}, key="unseen-chart")


def needed_reference() -> ReferenceEntry:
    """The reference in use; a page that cannot do without one ends here where there is none."""
    if (entry := session.entry()) is None:
        how_to_get_a_reference(session.entries())
        st.stop()
    return entry


def how_to_get_a_reference(entries: Sequence[ReferenceEntry]) -> None:
    """The empty state of every page that needs a reference."""
    if any(entry.error is None for entry in entries):
        st.header(said("First, choose a reference"), anchor=False)
        st.markdown(
            said(
                "Each one on this computer came as a file from elsewhere, and is used by those who choose it: above, "
                "beside this page’s title. What to know of one before is on the References page."
            )
        )
        return
    st.header(said("First, a reference"), anchor=False)
    st.markdown(
        said(
            "A reference holds a trained network and what is usual for it. None was found on this computer. Two "
            "commands make one from folders of images, one folder per class:"
        )
    )
    command(
        "python -m nero_core train IMAGES --arch resnet18 --out classifier.safetensors\n"
        "python -m nero_core fit IMAGES --classifier classifier.safetensors --out references/mine"
    )
    st.markdown(
        said(
            "Then start the app with `NERO_REFERENCES=references`: the environment variable names the folders "
            "that hold references."
        )
    )
    for entry in entries:
        st.warning(said("{title} cannot be used: {error}", title=plain(entry.title), error=plain(entry.error or "")))
