"""NERO Dashboard: the door. Page settings, navigation, the header, the page; and what the server lets through it."""

import streamlit as st
from starlette.middleware import Middleware

from nero_core.wording import message, said
from pages.components.case_watch import case_watch
from pages.shared import door, origins, resources, session, start, style, uploads, widgets, words

PAGES = {
    "case_review": (
        message("Case review"),
        "imagesmode",
        message("Drop endoscopy images and see how unusual each is for the reference, and why."),
    ),
    "neurons": (
        message("Neurons"),
        "hub",
        message("Which neurons tell ordinary images from unusual ones, and what each has learnt."),
    ),
    "benchmark": (
        message("Benchmark"),
        "leaderboard",
        message("Compare detectors on images of your own, with intervals."),
    ),
    "references": (
        message("References"),
        "library_books",
        message("Look into references, carry them as files, build one from images of your own."),
    ),
    "lesson": ("Lesson", "school", "Seven steps to teach it with: no data, no network, something to touch in each."),
}
"""Files of the pages with their titles, their symbols and what they are for. A file's name is the page's address: see
:mod:`pages.shared.door`."""


def show() -> None:
    """One run of the app in one browser session."""
    if not origins.is_guarded():
        st.error(said(origins.UNGUARDED))
        st.stop()
    st.set_page_config(
        page_title="NERO",
        page_icon=str(resources.ASSETS / "mark.svg"),
        layout="wide",
        menu_items={"About": words.about()},
    )
    style.apply()
    st.logo(str(resources.ASSETS / "logo.svg"), size="large")

    pages = [
        st.Page(
            f"pages/{file}.py",
            title=said(title),
            icon=f":material/{icon}:",
            default=file == "case_review",
            help=said(about),
        )
        for file, (title, icon, about) in PAGES.items()
    ]
    page = st.navigation(pages, position="top")
    entries = resources.entries()
    chosen = widgets.header(page.title, entries)
    st.session_state[session.ENTRIES], st.session_state[session.ENTRY] = entries, chosen
    if session.case() and page.title != said(PAGES["case_review"][0]):
        case_watch(session.under_review().number)  # on Case review the page itself does it, with what it announces
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
