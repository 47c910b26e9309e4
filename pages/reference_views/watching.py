"""How far the builds are, and what can be done with each."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from nero_core.jobs import builds
from nero_core.jobs.builds import BUILD, Build
from nero_core.jobs.job import CANCELLED, DONE, FAILED
from nero_core.reference.model_card import HOW_WELL, PROMISE, model_card
from nero_core.wording import counted, message, said
from pages.reference_views.inspecting import curves, show_card, use
from pages.shared import permission, resources, watching
from pages.shared.words import plain

PUBLISHED = "build-published"
MARKS = {
    "checking": message(":material/fact_check: Checking the images"),
    "training": message(":material/model_training: Training"),
    "fitting": message(":material/straighten: Fitting and calibrating"),
    "done": message(":material/check_circle: Ready to be looked at"),
    "failed": message(":material/error: Not built"),
    "cancelled": message(":material/cancel: Stopped before anything was done"),
    "stopped": message(":material/stop_circle: Stopped"),
}
EXPLAINED = {
    "waiting": message("Builds run one at a time. This one starts by itself when those before it are through."),
    watching.STOPPING: message("The step under way is finished first, and what is done is kept."),
    "stopped": message(
        "It goes on where it can: a training after its last whole epoch, what follows from the trained network."
    ),
    "interrupted": message("Its process ended before it was through. It goes on after its last whole epoch."),
}


@permission.needed
def under_way() -> bool:
    """Every build, looked at again while one runs; returns whether there is any."""
    found = watching.jobs_of(BUILD)
    if found:
        st.header(said("Builds"), anchor=False)
    watching.watch(BUILD, found, _show_all)
    return bool(found)


def _show_all(found: Sequence[Build]) -> None:
    if PUBLISHED in st.session_state:
        # Seen wherever on the page the reader is: its button may have been far down.
        st.toast(
            said("**{title}** is in use now.", title=plain(st.session_state.pop(PUBLISHED))), icon=":material/check:"
        )
    for build in reversed(found):
        _show(build)


def _show(build: Build) -> None:
    state = build.state
    with watching.card(build, build.request.title, MARKS, EXPLAINED, use=_publish):
        if state.stage == DONE:
            _show_result(build)
        if state.history and state.stage not in (FAILED, CANCELLED):
            curves([dict(epoch) for epoch in state.history], f"build-{build.folder.name}")
        if state.notes:
            with st.expander(counted(len(state.notes), "{n} note", "{n} notes"), type="compact"):
                st.markdown("\n".join(f"- {plain(note)}" for note in state.notes))


def _show_result(build: Build) -> None:
    st.markdown(said("**Look at it first.** It was measured on images that were set aside; nobody can use it yet."))
    card = model_card(build.result)
    first = [section for section in card.sections if section.heading in (said(HOW_WELL), said(PROMISE))]
    show_card(first)
    with st.expander(said("The rest of its model card"), type="compact"):
        show_card([section for section in card.sections if section not in first])


@permission.needed
def _publish(build: Build) -> None:
    use(builds.publish(build, resources.home()))
    st.session_state[PUBLISHED] = build.request.title
