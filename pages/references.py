"""References: which there are, what to know of one, bring one in, build one of one's own."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from nero_core.reference.signatures import TrustedKey
from nero_core.wording import message, said
from pages.reference_views import asking, calibrating, carrying, inspecting, watching
from pages.shared import controls, door, permission, resources, session
from pages.shared.words import plain

HERE, FILE, CALIBRATE, BUILD = (
    message("On this computer"),
    message("From a file"),
    message("Calibrate"),
    message("Build one"),
)
WRITES = {FILE: message("Importing"), CALIBRATE: message("Calibrating"), BUILD: message("Building")}


def here() -> None:
    """The list, and one of them in full."""
    entries, chosen = session.entries(), session.entry()
    if not entries:
        st.header(said("No reference on this computer yet"), anchor=False)
        st.markdown(
            said("Bring one in **from a file**, or **build one** from folders of images: the choices are above.")
        )
        return
    trusted: list[TrustedKey] = []
    with controls.errors_said(before=said("No signature can be told by name: ")):
        trusted = resources.trusted_keys()
    inspecting.listed(entries, chosen, trusted)
    if any(entry.error is None for entry in entries):
        st.header(said("Look inside"), anchor=False)
        inspecting.inspect(entries, chosen, trusted)


def queued(ask: Callable[[], None], another: str) -> None:
    """The jobs there are, and the form for another."""
    if watching.under_way():
        # A key of its own for each job asked for: the form folds again, and what was asked for is in sight.
        with st.expander(another, key=f"another-{another}-{asking.asked()}"):
            ask()
    else:
        ask()


def calibrate() -> None:
    """Calibrate the reference in use."""
    chosen = session.entry()
    if chosen is None:
        st.info(said("There is no reference to calibrate yet: bring one in, or build one."))
    else:
        queued(partial(calibrating.calibrate, chosen), said("Calibrate another"))


door.enter()
st.markdown(said("A reference is a trained network with what is usual for it: the images that a case is held against."))
views = {view: said(view) for view in (HERE, FILE, CALIBRATE, BUILD)}
view = controls.one_of(said("What to do"), views, "view", bind="query-params", label_visibility="collapsed")
with controls.errors_said():
    if view == HERE:
        carrying.added()
        here()
    elif not permission.granted():
        st.info(permission.not_offered(said(WRITES[view])))
    elif view == FILE:
        carrying.added()
        carrying.bring_in()
        st.caption(said("It will be kept in {folder}.", folder=plain(str(resources.home()))))
    elif view == CALIBRATE:
        calibrate()
    else:
        queued(asking.ask, said("Build another"))
