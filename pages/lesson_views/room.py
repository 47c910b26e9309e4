"""The class, where one is on (`make class`): its question, how many have answered, and after the reveal what.

The question goes to the room by a button, never by leafing through the steps, and asking hides the answer on this
screen. The room sees the counts when the session that asked reveals its answer: another tab, in which the same step may
have been open for long, reveals nothing to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from nero_core.figures.votes import vote_chart
from nero_core.lesson.tally import Round, Tally
from nero_core.wording import said
from pages.classroom import server
from pages.shared import widgets
from pages.shared.words import plain, spoken

LOOK_EVERY = 2.0  # seconds between two looks at how many have answered
ROUND = "lesson-class-round"
"""The round that this session asked."""


def ask(name: str, text: str, options: Mapping[str, str], hide: Callable[[], None], *, revealed: bool) -> None:
    """A step's line for the class; nothing where no class is on.

    Parameters
    ----------
    name : str
        The step's.
    text : str
    options : {value: words}
    hide : function
        Hides the answer on this screen.
    revealed : bool
        Whether the answer is shown on this screen.
    """
    if (opened := server.room()) is None:
        return
    tally, now = opened.tally, opened.tally.now()
    mine = now is not None and (now.question, now.number) == (name, st.session_state.get(ROUND))
    if now is not None and mine and revealed:
        tally.reveal(now.number)

    def put() -> None:
        words = {value: spoken(word) for value, word in options.items()}
        begin = tally.ask_anew if mine else tally.ask
        st.session_state[ROUND] = begin(name, spoken(text), words)
        hide()

    with st.container(key="lesson-class"):
        _say_where(opened)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                said("Ask again") if mine else said("Ask the class"),
                icon=":material/groups:",
                key=f"lesson-{name}-class",
                on_click=put,
                help=said("Puts this question on the students’ devices, in place of any other; answers to the one "
                          "before are forgotten. The answer on this screen is hidden."),
            )  # fmt: skip
            st.fragment(_say_how_many, run_every=LOOK_EVERY)(tally, name)


def show_counts(name: str, right: str) -> None:
    """The answers of the class to a step's question, once it is revealed; nothing where it was not asked.

    Parameters
    ----------
    right : str
        The option that is right.
    """
    opened = server.room()
    now = None if opened is None else opened.tally.now()
    if now is None or now.question != name or not now.revealed or right not in now.options:
        return
    if not now.answers:
        st.caption(said("Nobody in the class answered."))
        return
    widgets.chart(vote_chart(now.options, now.counts, right), table=said("Answers of the class"))


def _say_where(opened: server.Room) -> None:
    """What students open, large enough to be read from the last row."""
    st.caption(said("Students open, in this room’s network:"))
    with st.container(key="lesson-class-address"):
        for address in opened.addresses:
            st.text(address)
        if not opened.addresses:
            st.text(said("http://ADDRESS:{port}", port=opened.port))
    if not opened.addresses:
        st.caption(
            said(
                "No address of this computer in a network was found. Its system’s settings show it; put it in place of "
                "ADDRESS."
            )
        )


def _say_how_many(tally: Tally, name: str) -> None:
    """Of the question that stands, also where another page or tab asked it."""
    now = tally.now()
    if now is None:
        st.text(said("Nothing is asked yet."))
    elif now.question != name:
        st.markdown(
            said("The class has another question, the last that was asked: “{question}” Answers: {n}.",
                 question=plain(now.text), n=now.answers)
        )  # fmt: skip
    else:
        st.text(_counted(now))


def _counted(now: Round) -> str:
    if now.revealed:
        return said("Answers of the class: {n}. It sees them now, and can change none.", n=now.answers)
    return said("Answers of the class so far: {n}", n=now.answers)
