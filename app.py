"""NERO Dashboard: the door. Page settings, navigation, the header, the page; and what the server lets through it."""

import streamlit as st
from starlette.middleware import Middleware

from pages.shared import door, origins, resources, session, start, uploads, widgets, words


def show() -> None:
    """One run of the app in one browser session."""
    if not origins.is_guarded():
        st.error(origins.UNGUARDED)
        st.stop()
    st.set_page_config(
        page_title="NERO",
        page_icon=str(resources.ASSETS / "mark.svg"),
        layout="wide",
        menu_items={"About": words.about()},
    )
    st.logo(str(resources.ASSETS / "logo.svg"), size="large")

    # A page's address is its file's name: see `door`.
    page = st.navigation(
        [
            st.Page(
                "pages/case_review.py",
                title="Case review",
                icon=":material/imagesmode:",
                default=True,
                help="Drop endoscopy images and see how unusual each is for the reference, and why.",
            ),
            st.Page(
                "pages/neurons.py",
                title="Neurons",
                icon=":material/hub:",
                help="Which neurons tell ordinary images from unusual ones, and what each has learnt.",
            ),
            st.Page(
                "pages/benchmark.py",
                title="Benchmark",
                icon=":material/leaderboard:",
                help="Compare detectors on images of your own, with intervals.",
            ),
            st.Page(
                "pages/references.py",
                title="References",
                icon=":material/library_books:",
                help="Look into references, carry them as files, build one from images of your own.",
            ),
        ],
        position="top",
    )
    entries = resources.entries()
    chosen = widgets.header(page.title, entries)
    st.session_state[session.ENTRIES], st.session_state[session.ENTRY] = entries, chosen
    try:
        with door.opened(), uploads.watched():
            page.run()
    finally:  # a page without a case ends by st.stop(), which ends the whole run
        if chosen is not None:
            # After the paint: loading takes seconds, and nothing here waits for it.
            resources.begin_loading(chosen.path)


if __name__ == "__main__":  # as Streamlit runs a script
    show()
else:  # as the server asks for what it serves
    app = st.App(
        __file__, middleware=[Middleware(origins.OwnOrigins), Middleware(uploads.Limits)], lifespan=start.announced
    )
