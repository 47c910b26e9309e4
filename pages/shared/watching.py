"""Jobs in the background as pages show them: looked at again while one runs, with buttons that ask for permission."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import streamlit as st

from nero_core.errors import NeroError
from nero_core.jobs import job as jobs
from nero_core.jobs.job import (
    CAN_GO_ON,
    CANCELLED,
    DONE,
    FAILED,
    INTERRUPTED,
    STOPPED,
    WAITING,
    Job,
    Kind,
    Request,
    State,
)
from nero_core.jobs.queue import EPOCH, start_queue
from nero_core.wording import counted, message, said
from pages.shared import permission, resources
from pages.shared.words import plain

LOOK_EVERY = 2.0  # seconds between two looks at a job under way
REFUSED = "job-refused"
STOPPING = "stopping"
MARKS = {
    STOPPING: message(":material/cancel: Stopping…"),
    WAITING: message(":material/schedule: Waiting"),
    INTERRUPTED: message(":material/pause_circle: Interrupted"),
}
GO_ON = message("Go on")
AGAIN = {FAILED: message("Try again"), CANCELLED: message("Start")}
KINDS = (message("benchmark"), message("benchmarks"), message("build"), message("builds"))
"""What :class:`~nero_core.jobs.job.Kind` calls them, and several of them."""
MEGABYTE = 2**20


@permission.needed
def jobs_of(kind: Kind[Request]) -> list[Job[Request]]:
    """Every job of a kind; a queue whose process was killed is woken."""
    start_queue(resources.home(), kind)
    return jobs.list_jobs(resources.home(), kind)


@permission.needed
def watch(kind: Kind[Request], found: Sequence[Job[Request]], show: Callable[[list[Job[Request]]], None]) -> None:
    """Show jobs, those that live again every two seconds; where one changes its stage, the whole page runs again."""

    def stages(jobs: Sequence[Job[Request]]) -> list[tuple[str, str]]:
        return [(job.folder.name, job.state.stage) for job in jobs]

    def look() -> None:
        now = jobs.list_jobs(resources.home(), kind)
        if stages(now) != stages(found):
            st.rerun()  # what is ready is offered, and where nothing runs nobody looks again
        if REFUSED in st.session_state:
            st.error(plain(st.session_state.pop(REFUSED)))
        show(now)

    st.fragment(look, run_every=LOOK_EVERY if any(job.live for job in found) else None)()


def button(label: str, what: str, do: Callable[[Job[Any]], Any], job: Job[Any], primary: bool = False) -> None:
    """One that does something with a job, as it is when the button is pressed."""
    st.button(
        label,
        key=f"{what}-{job.folder.name}",
        on_click=_doing,
        args=(do, job),
        type="primary" if primary else "secondary",
    )


@permission.needed
def _doing(do: Callable[[Job[Any]], Any], job: Job[Any]) -> None:
    try:
        do(jobs.read_job(job.folder, job.kind))
    except NeroError as error:
        st.session_state[REFUSED] = str(error)


@permission.needed
@contextmanager
def card(
    job: Job[Any],
    title: str,
    marks: Mapping[str, str],
    explained: Mapping[str, str],
    use: Callable[[Job[Any]], None] | None = None,
) -> Iterator[None]:
    """One job: its stage and how far it is, then what is shown within, and last what can be done with it.

    Parameters
    ----------
    marks, explained : {stage: words}
        Every stage with its symbol, and what some of them mean; :data:`STOPPING` counts as one.
    use : function of the job, optional
        What the first button does once it is done.
    """
    state, stage = job.state, STOPPING if job.stopping else job.state.stage
    with st.container(border=True):
        st.markdown(f"**{plain(title)}** · {said(marks.get(stage) or MARKS[stage])}")
        if stage in explained:
            st.caption(said(explained[stage]))
        if state.error:
            st.error(plain(state.error))
        if state.what:
            st.progress(state.share, how_far(state))
        yield
        if state.stage in (FAILED, INTERRUPTED, STOPPED):
            _say_what_is_kept(job)
        with st.container(horizontal=True):
            if state.stage == DONE and use is not None:
                button(said("Use this reference"), "publish", use, job, primary=True)
            if state.stage in CAN_GO_ON:
                button(said(AGAIN.get(state.stage, GO_ON)), "resume", jobs.resume, job)
            if not job.live:
                button(said("Remove"), "remove", jobs.remove, job)
            elif not job.stopping:
                _ask_to_stop(job)


def _ask_to_stop(job: Job[Any]) -> None:
    """Ask first: whoever presses Stop learns what becomes of it."""
    with st.popover(said("Stop"), icon=":material/stop_circle:", key=f"stop-{job.folder.name}"):
        st.markdown(
            said(
                "**Stop this {name}?** What was done so far is kept, and it can go on later from there.",
                name=said(job.kind.name),
            )
        )
        button(said("Stop it"), "cancel", jobs.cancel, job, primary=True)


def _say_what_is_kept(job: Job[Any]) -> None:
    """What another try starts from, how much it is, and who can read it."""
    sizes = [f"{said(what)} ({size / MEGABYTE:.1f} MB)" for what, size in jobs.kept(job).items()]
    left = ", ".join([said("what was asked"), *sizes])
    st.caption(
        said(
            "Kept for another try, until you **remove** it: {left}. Only the account that this server runs under can "
            "read it, and the log of all {kinds}, which goes with the last of them.",
            left=left,
            kinds=said(f"{job.kind.name}s"),
        )
    )


def how_far(state: State) -> str:
    """What is done, how far, and the time left: "Step 2 of 5 · Reading x: 10 of 30, about 20 seconds left"."""
    if epoch := EPOCH.fullmatch(state.what):
        what = said("Epoch {step} of {steps}", step=plain(epoch[1]), steps=plain(epoch[2]))
    else:
        what = plain(said(state.what))
        if state.total:
            what = said("{what}: {done} of {total}", what=what, done=state.done, total=state.total)
    if state.steps:
        what = said("Step {step} of {steps} · {what}", step=state.step, steps=state.steps, what=what)
    left = state.left(time.time())
    return what if left is None else said("{what}, {time} left", what=what, time=duration(left))


def duration(seconds: float) -> str:
    """A time in words: "about 40 seconds"."""
    minutes, hours = seconds / 60, seconds / 3600
    if seconds < 90:
        return counted(max(1, round(seconds)), "about {n} second", "about {n} seconds")
    if minutes < 90:
        return counted(max(1, round(minutes)), "about {n} minute", "about {n} minutes")
    return counted(max(1, round(hours)), "about {n} hour", "about {n} hours")
