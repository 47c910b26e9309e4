"""Which step is open, and for whom: in the session and in the page's address."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import streamlit as st

from nero_core.lesson.steps import STEPS

STEP, PRESENTS = "lesson-step", "lesson-presents"
READ = "lesson-link-read"
GOES_TO = "lesson-goes-to"  # the step that a part of the page asked for
SHOWN = "shown"
"""What `answer` says in an address that opens a step with its answer."""
QUIZ = len(STEPS)
"""The place of the quiz, after the last step."""
SCRIPT = """<script>
(({ view }) => {
  if (location.pathname.endsWith("/lesson")) history.replaceState(history.state, "", `${location.pathname}?${view}`);
})(%s);
</script>"""
"""In the browser, so that steps are no pages of their own: Back leads to the page before the lesson."""


def opened_key(name: str) -> str:
    """Under which the session has whether a step's answer is shown though nobody answered."""
    return f"lesson-{name}-opened"


def restore() -> None:
    """Put the address's step into the session, once for each address that is opened."""
    asked = {name: st.query_params.get(name) for name in ("step", "presenter", "answer")}
    state = st.session_state
    if any(asked.values()) and asked != state.get(READ):
        state[READ] = asked
        number = asked["step"] or ""
        if number.isascii() and number.isdigit() and 1 <= int(number[:4]) <= QUIZ + 1:
            state[STEP] = int(number) - 1
            if asked["answer"] == SHOWN and state[STEP] < QUIZ:
                state[opened_key(STEPS[state[STEP]].name)] = True
        if asked["presenter"] in ("0", "1"):
            state[PRESENTS] = asked["presenter"] == "1"
    if GOES_TO in state:
        go(state.pop(GOES_TO))
    state.setdefault(STEP, 0)
    state.setdefault(PRESENTS, False)


def write() -> None:
    """Put the view into the address."""
    view = {"step": str(st.session_state[STEP] + 1)}
    if st.session_state[PRESENTS]:
        view["presenter"] = "1"
    st.session_state[READ] = {"step": view["step"], "presenter": view.get("presenter"), "answer": None}
    st.html(SCRIPT % json.dumps({"view": urlencode(view)}), unsafe_allow_javascript=True)


def go(to: int) -> None:
    """Open another step."""
    st.session_state[STEP] = min(max(to, 0), QUIZ)
