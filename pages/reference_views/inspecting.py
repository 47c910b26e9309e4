"""Which references there are, and what to know of one before trusting it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from nero_core.errors import NeroError
from nero_core.reference.manifest import MANIFEST_NAME, ReferenceEntry
from nero_core.reference.model_card import ModelCard, Section, model_card, training_history
from nero_core.reference.origin import clear_default, read_origin, set_default
from nero_core.reference.signatures import TrustedKey, read_signature, who_made_it
from nero_core.storage.files import digest
from nero_core.wording import language, said
from pages.shared import controls, permission, session, widgets
from pages.shared.words import plain

KEPT = 8  # cards in memory; they hold no pictures
REFUSED = "default-refused"


def use(path: Path) -> None:
    """Make a reference the one of this session."""
    st.session_state[session.REFERENCE] = str(path)


def listed(entries: Sequence[ReferenceEntry], chosen: ReferenceEntry | None, trusted: Sequence[TrustedKey]) -> None:
    """Every reference found, the broken ones with the reason."""
    if REFUSED in st.session_state:
        st.error(plain(st.session_state.pop(REFUSED)))
    for number, entry in enumerate(entries):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            with st.container():
                st.markdown(f"**{plain(entry.title)}**")
                if entry.error is None:
                    widgets.describe(entry)
                    _came_from(entry, trusted)
                else:
                    st.caption(said(":material/block: Cannot be used: {error}", error=plain(entry.error)))
            if chosen is not None and entry.path == chosen.path:
                st.badge(said("In use"), icon=":material/check:", color="gray")
            elif entry.error is None:
                st.button(
                    said("Use"),
                    key=f"use-{number}",
                    on_click=use,
                    args=(entry.path,),
                    help=said("Use {title}", title=plain(entry.title)),
                )
            if entry.error is None and permission.granted():
                _default_button(entry, number)


def _came_from(entry: ReferenceEntry, trusted: Sequence[TrustedKey]) -> None:
    """Whether it was imported, and by whom it was signed."""
    origin = read_origin(entry.path)
    if not origin.imported:
        return
    try:
        maker = who_made_it(read_signature(entry.path, trusted))
    except NeroError as error:
        maker = str(error)
    st.caption(said(":material/move_to_inbox: Imported: unchanged since it was made; {maker}", maker=plain(maker)))


def _default_button(entry: ReferenceEntry, number: int) -> None:
    """For whoever may change this server: what every session starts with."""
    origin = read_origin(entry.path)
    if origin.default:
        label, change, why = said("Sessions start with it"), clear_default, said("Take that back")
    elif origin.imported:
        label, change, why = (
            said("Start sessions with it"),
            set_default,
            said("Everybody who opens this dashboard begins with it"),
        )
    else:
        return
    st.button(label, key=f"default-{number}", on_click=_change, args=(change, entry.path), help=why, type="tertiary")


@permission.needed
def _change(change: Callable[[Path], None], path: Path) -> None:
    try:
        change(path)
    except NeroError as error:
        st.session_state[REFUSED] = str(error)


def inspect(entries: Sequence[ReferenceEntry], chosen: ReferenceEntry | None, trusted: Sequence[TrustedKey]) -> None:
    """The model card of one reference, how its training went, and the reference as a file."""
    usable = {str(entry.path): entry for entry in entries if entry.error is None}
    left, right = st.columns(2)
    with left:
        path = st.selectbox(
            said("Look inside"),
            list(usable),
            index=0 if chosen is None else list(usable).index(str(chosen.path)),
            format_func=lambda path: usable[path].title,
            key=f"inspected-{_named(str(chosen and chosen.path))}",
        )
    others = {other: entry.title for other, entry in usable.items() if other != path}
    beside = None
    if others:
        with right:
            beside = controls.select_or_none(
                said("Beside it"), others, f"beside-{_named(path)}", placeholder=said("No other")
            )
    entry = usable[path]
    shown = [path] if beside is None else [path, beside]
    changed = {each: (usable[each].path / MANIFEST_NAME).stat().st_mtime_ns for each in shown}
    keys = tuple((key.name, key.raw) for key in trusted)
    with st.spinner(said("Reading the model card…")):
        cards = [_card(each, changed[each], keys, language()) for each in shown]
    name = entry.path.name
    with st.container(horizontal=True):
        if permission.granted():
            controls.download(
                said("Export as one file"),
                lambda: _packed(entry.path),
                f"{name}.zip",
                "application/zip",
                "export",
                icon=":material/download:",
                help=said("A zip with everything in it, for another computer. It is checked when it is imported."),
            )
        controls.download(
            said("Save the model card"),
            cards[0].markdown(),
            f"{name}.md",
            "text/markdown",
            "card-file",
            icon=":material/description:",
        )
    if len(cards) == 1:
        show_card(cards[0].sections)
    else:
        side_by_side([usable[each].title for each in shown], cards)
    histories = [_history(each, changed[each]) for each in shown]
    if any(histories):
        st.header(said("How the training went"), anchor=False)
        for number, (place, epochs) in enumerate(zip(st.columns(len(shown)), histories, strict=True)):
            with place:
                if len(shown) > 1:
                    st.markdown(f"**{plain(usable[shown[number]].title)}**")
                if epochs:
                    curves(epochs, "training" if number == 0 else "training beside")
                else:
                    st.caption(said("It keeps no record of its training."))


def _named(path: str) -> str:
    """A path in a widget's key: a browser is told the key, and no path."""
    return digest(path.encode())[:8]


def show_card(sections: Sequence[Section]) -> None:
    """Parts of a model card: one table of two columns each."""
    from nero_core.reports.model_card import table

    for section in sections:
        with st.container(border=True):
            st.subheader(section.heading, anchor=False)
            st.html(table(section))


def side_by_side(titles: Sequence[str], cards: Sequence[ModelCard]) -> None:
    """Two model cards, part by part; lines that are not the same in both are marked."""
    from nero_core.reports.model_card import table

    pairs = list(zip(*(card.sections for card in cards), strict=True))
    unlike = [first.unlike(second) for first, second in pairs]
    lines = sum(len({name for part in pair for name, _ in part.lines}) for pair in pairs)
    if count := sum(map(len, unlike)):
        st.markdown(said("**{n} of {lines} lines differ**, and are marked with ≠.", n=count, lines=lines))
    else:
        st.markdown(said("**All {lines} lines are the same.**", lines=lines))
    for pair, names in zip(pairs, unlike, strict=True):
        with st.container(border=True):
            st.subheader(pair[0].heading, anchor=False)
            for place, title, section in zip(st.columns(2, gap="medium"), titles, pair, strict=True):
                with place:
                    st.caption(plain(title))
                    st.html(table(section, names))


def curves(history: Sequence[dict[str, float]], key: str) -> None:
    """Loss and accuracy over epochs, side by side where there is room."""
    from nero_core.figures.training import training_curves

    loss, accuracy = training_curves(history)
    with st.grid(2, min_column_width=280) as grid:
        for number, each in enumerate((loss, accuracy)):
            with grid.cell():
                widgets.plot(each, f"Training {key}", key=f"{key}-{number}")
    widgets.table_twin(loss.rows, said("Training"), picture=f"Training {key}")


def _packed(folder: Path) -> io.BytesIO:
    from nero_core.reference.export import export_reference

    buffer = io.BytesIO()
    export_reference(folder, buffer)
    buffer.seek(0)
    return buffer


@st.cache_data(max_entries=KEPT, show_spinner=False)
def _card(path: str, changed: int, trusted: tuple[tuple[str, bytes], ...], language: str) -> ModelCard:
    """`changed` makes a reference that was written anew a new entry, and `language` one in other words."""
    return model_card(Path(path), [TrustedKey(*key) for key in trusted])


@st.cache_data(max_entries=KEPT, show_spinner=False)
def _history(path: str, changed: int) -> tuple[dict[str, float], ...]:
    return training_history(Path(path))
