"""How far the builds are, and what can be done with each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from nero_core.errors import NeroError
from nero_core.jobs import builds
from nero_core.jobs.builds import RUNNING, Build
from nero_core.jobs.queue import EPOCH, start_queue
from nero_core.reference.model_card import HOW_WELL, PROMISE, model_card
from pages.reference_views.inspecting import curves, show_card, use
from pages.shared import permission, resources
from pages.shared.words import plain

LOOK_EVERY = 2.0  # seconds between two looks at a build under way
REFUSED, PUBLISHED = "build-refused", "build-published"
MARKS = {
    "waiting": ":material/schedule: Waiting",
    "checking": ":material/fact_check: Checking the images",
    "training": ":material/model_training: Training",
    "fitting": ":material/straighten: Fitting and calibrating",
    "done": ":material/check_circle: Ready to be looked at",
    "failed": ":material/error: Not built",
    "cancelled": ":material/cancel: Cancelled",
    "interrupted": ":material/pause_circle: Interrupted",
}
EXPLAINED = {
    "waiting": "Builds run one at a time. This one starts by itself when those before it are through.",
    "cancelled": "Nothing of it was kept.",
    "interrupted": "Its process ended before it was through. It goes on after its last whole epoch.",
}
MEGABYTE = 2**20


@permission.needed
def under_way() -> bool:
    """Every build, looked at every two seconds while one runs; returns whether there is any."""
    start_queue(resources.home())  # wakes a queue whose process was killed
    found = builds.list_builds(resources.home())
    if not found:
        _say()
        return False
    live = any(build.state.stage in (*RUNNING, "waiting") for build in found)
    before = [build.state.stage for build in found]

    def look() -> None:
        now = builds.list_builds(resources.home())
        if [build.state.stage for build in now] != before:
            st.rerun()  # the whole page: what is ready is offered, and where nothing runs nobody looks again
        _say()
        for build in reversed(now):
            _show(build)

    st.subheader("Builds", anchor=False)
    st.fragment(look, run_every=LOOK_EVERY if live else None)()
    return True


def _show(build: Build) -> None:
    state = build.state
    with st.container(border=True):
        mark = ":material/cancel: Stopping…" if build.stopping else MARKS[state.stage]
        st.markdown(f"**{plain(build.request.title)}** · {mark}")
        if state.stage in EXPLAINED:
            st.caption(EXPLAINED[state.stage])
        if state.error:
            st.error(plain(state.error))
        if state.what:
            st.progress(state.done / state.total if state.total else 0.0, _how_far(build))
        if state.stage == "done":
            _show_result(build)
        if state.history and state.stage not in ("failed", "cancelled"):
            curves([dict(epoch) for epoch in state.history], f"build-{build.folder.name}")
        if state.notes:
            with st.expander(f"{len(state.notes)} {'note' if len(state.notes) == 1 else 'notes'}", type="compact"):
                st.markdown("\n".join(f"- {plain(note)}" for note in state.notes))
        if state.stage in ("failed", "interrupted"):
            _say_what_is_kept(build)
        with st.container(horizontal=True):
            _buttons(build)


def _say_what_is_kept(build: Build) -> None:
    sizes = [f"{what} ({size / MEGABYTE:.1f} MB)" for what, size in builds.kept(build).items()]
    left = ", ".join(["what was asked", *sizes])
    st.caption(
        f"Kept for another try, until you **remove** it: {left}. Only the account that this server runs under can read "
        "it, and the log of all builds, which goes with the last of them."
    )


def _show_result(build: Build) -> None:
    st.markdown("**Look at it first.** It was measured on images that were set aside; nobody can use it yet.")
    card = model_card(build.result)
    first = [section for section in card.sections if section.heading in (HOW_WELL, PROMISE)]
    show_card(first)
    with st.expander("The rest of its model card", type="compact"):
        show_card([section for section in card.sections if section not in first])


def _buttons(build: Build) -> None:
    stage = build.state.stage
    if stage == "done":
        _button("Use this reference", "publish", _publish, build, primary=True)
    if stage in ("interrupted", "failed"):
        _button("Go on" if stage == "interrupted" else "Try again", "resume", builds.resume, build)
    if stage not in (*RUNNING, "waiting"):
        _button("Remove", "remove", builds.remove, build)
    elif not build.stopping:
        _button("Cancel", "cancel", builds.cancel, build)


def _button(label: str, what: str, do: Callable[[Build], Any], build: Build, primary: bool = False) -> None:
    st.button(
        label,
        key=f"{what}-{build.folder.name}",
        on_click=_doing,
        args=(do, build),
        type="primary" if primary else "secondary",
    )


@permission.needed
def _doing(do: Callable[[Build], Any], build: Build) -> None:
    try:
        do(builds.read_build(build.folder))
    except NeroError as error:
        st.session_state[REFUSED] = str(error)


@permission.needed
def _publish(build: Build) -> None:
    use(builds.publish(build, resources.home()))
    st.session_state[PUBLISHED] = build.request.title


def _say() -> None:
    """Say once what the last button did, or why it did nothing."""
    if REFUSED in st.session_state:
        st.error(plain(st.session_state.pop(REFUSED)))
    if PUBLISHED in st.session_state:
        # Seen wherever on the page the reader is: its button may have been far down.
        st.toast(f"**{plain(st.session_state.pop(PUBLISHED))}** is in use now.", icon=":material/check:")


def _how_far(build: Build) -> str:
    state = build.state
    what = plain(state.what)
    if EPOCH.fullmatch(state.what):
        what = what.replace("/", " of ")
    elif state.total:
        what += f": {state.done} of {state.total}"
    return what if state.seconds_left is None else f"{what}, {duration(state.seconds_left)} left"


def duration(seconds: float) -> str:
    """A time in words: "about 40 seconds"."""
    minutes, hours = seconds / 60, seconds / 3600
    number, unit = (seconds, "second") if seconds < 90 else (minutes, "minute") if minutes < 90 else (hours, "hour")
    whole = max(1, round(number))
    return f"about {whole} {unit}{'' if whole == 1 else 's'}"
