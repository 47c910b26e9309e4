"""References: which there are, what to know of one, bring one in, build one of one's own."""

import streamlit as st

from nero_core.errors import NeroError
from pages.reference_views import asking, carrying, inspecting, watching
from pages.shared import door, resources, session
from pages.shared.words import plain

HERE, FILE, BUILD = "On this computer", "From a file", "Build one"
NOT_HERE = (
    "Importing and building are switched off on this server, because both write to it. Whoever runs it can switch them "
    "on with the environment variable `NERO_ALLOW_BUILD=1`."
)


def view_control() -> str:
    """What to do here."""
    chosen: str = st.segmented_control(
        "What to do",
        [HERE, FILE, BUILD],
        default=HERE,
        required=True,
        key="view",
        bind="query-params",
        persist_state="session",
        label_visibility="collapsed",
    )
    return chosen


def here() -> None:
    """The list, and one of them in full."""
    entries, chosen = session.entries(), session.entry()
    if not entries:
        st.subheader("No reference on this computer yet", anchor=False)
        st.markdown("Bring one in **from a file**, or **build one** from folders of images: the choices are above.")
        return
    try:
        trusted = resources.trusted_keys()
    except NeroError as error:
        st.error(f"No signature can be told by name: {plain(str(error))}")
        trusted = []
    inspecting.listed(entries, chosen, trusted)
    if any(entry.error is None for entry in entries):
        st.subheader("Look inside", anchor=False)
        inspecting.inspect(entries, chosen, trusted)


def build() -> None:
    """The builds there are, and the form for another."""
    if watching.under_way():
        # A key of its own for each build asked for: the form folds again, and what was asked for is in sight.
        with st.expander("Build another", key=f"build-another-{asking.asked()}"):
            asking.ask()
    else:
        asking.ask()


door.enter()
st.markdown("A reference is a trained network with what is usual for it: the images that a case is held against.")
view = view_control()
try:
    if view == HERE:
        carrying.added()
        here()
    elif not resources.may_build():
        st.info(NOT_HERE)
    elif view == FILE:
        carrying.added()
        carrying.bring_in()
        st.caption(f"It will be kept in {plain(str(resources.home()))}.")
    else:
        build()
except NeroError as error:
    st.error(plain(str(error)))
