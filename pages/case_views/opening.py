"""Before a case is open, and how another is opened: the uploader, and examples as pictures to click."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from nero_core.data.images import read_image
from nero_core.demo.examples import Example
from nero_core.figures.data_urls import fitted, jpeg_url
from nero_core.reference.manifest import ReferenceEntry
from nero_core.wording import message, said, state_mark
from pages.components.picture_grid import Choice, chosen_in, picture_grid
from pages.shared import resources, session, uploads, widgets

PICTURE_PIXELS = 240  # longer side of an example: twice what it is shown at
TEACHES = {
    "like": message("Like what the network learned from"),
    "unlike": message("Unlike what it learned from"),
    "missed": message("Unlike it, and missed"),
}
RENDERED = message(
    "Or try an example: rendered, not real, each with what the bundled reference says of it. It does not "
    "notice all that is unlike what it learned from."
)


def uploader() -> None:
    """The one question of this page.

    It takes files of any kind: those that the browser would refuse by themselves would be named in no place that is in
    sight once the case is open, and those that cannot be read are named with the reason.
    """
    uploads.uploader(
        said("Drop one image or many"),
        accept_multiple_files=True,
        key=session.upload_key(),
        on_change=session.take_upload,
        megabytes=session.LARGEST,
        help=said("JPEG, PNG, TIFF, BMP, WebP or GIF. The images stay on this computer."),
    )


def first_screen(entry: ReferenceEntry) -> None:
    """No case is open: what to drop, what is usual here, and pictures to try it on."""
    uploader()
    widgets.describe(entry)
    examples("examples")


def in_header(entry: ReferenceEntry) -> None:
    """A case is open: all that in one line, and how to close it."""
    with session.tools():
        opened = st.popover(
            said("Open images"),
            icon=":material/add_photo_alternate:",
            type="tertiary",
            key=session.OPEN_IMAGES,
            on_change="rerun",
        )
        with opened:
            uploader()  # also while it is closed: one that is not on the page forgets its files
            if opened.open:
                examples("examples-in-header")
        st.button(
            said("Close case"), icon=":material/close:", type="tertiary", key="close-case", on_click=session.close_case
        )


def examples(key: str) -> None:
    """Bundled pictures to click, whatever reference is in use: they are held against that one."""
    offered = resources.examples()
    if not offered:
        return
    paths = {example.file: path for example, path in offered}

    def take() -> None:
        if (chosen := chosen_in(key)) is not None:
            session.take_examples([paths[chosen]])

    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(said(RENDERED))
        everything: Sequence[Path] = list(paths.values())
        st.button(
            said("Open all"), on_click=session.take_examples, args=(everything,), key=f"all-{key}", type="tertiary"
        )
    picture_grid(key, said("Examples"), [_choice(example, paths[example.file]) for example, _ in offered], take)


def _choice(example: Example, path: Path) -> Choice:
    name = path.stem.replace("-", " ")
    missed = not example.known and example.state == "in-distribution"
    teaches = TEACHES["like" if example.known else "missed" if missed else "unlike"]
    title = f"{name[:1].upper()}{name[1:]}"
    return Choice(example.file, _picture(path), title, f"{state_mark(example.state)}. {said(teaches)}")


@st.cache_data(show_spinner=False)
def _picture(path: Path) -> str:
    """A bundled picture, small: no patient's, so that sessions may share it."""
    return jpeg_url(fitted(read_image(path.read_bytes()), PICTURE_PIXELS))
