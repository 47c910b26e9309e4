"""The language of each browser session: the one that was chosen in it, and until then the browser's own."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from nero_core import wording
from nero_core.wording import languages, said

CHOSEN = "language"
"""Of the session: the code of the language that was chosen; kept until the session ends."""
MENU = "language-menu"


def of_session() -> str | None:
    """The code of this session's language; None where there is no session, or its browser asks for none."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return None
    chosen: str | None = st.session_state.get(CHOSEN)
    if chosen is not None and languages.best([chosen]) == chosen:
        return chosen
    browser = st.context.locale
    return (languages.best([browser]) or languages.ENGLISH) if browser else None


def control() -> None:
    """Choose another, each called by its own name; its code alone stands in the header, where room is short."""
    names = languages.offered()
    if len(names) > 1:
        st.menu_button(
            wording.language().partition("_")[0].upper(),
            list(names),
            key=MENU,
            help=said("Language"),
            icon=":material/language:",
            type="tertiary",
            format_func=names.__getitem__,
            on_click=_choose,
        )


def _choose() -> None:
    if (chosen := st.session_state[MENU]) is not None:
        st.session_state[CHOSEN] = chosen


wording.ask(of_session)
