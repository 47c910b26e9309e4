"""Benchmarks in the background: how far each is, a way to stop it, and the results that are kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from nero_core.benchmark.result import POOLED, BenchmarkResult
from nero_core.benchmark.tables import metric_columns
from nero_core.jobs import job as jobs
from nero_core.jobs.benchmarks import BENCHMARK, BenchmarkJob, rows_so_far
from nero_core.jobs.job import DONE, STOPPED
from nero_core.wording import message, said
from pages.benchmark_views import results, tables
from pages.benchmark_views.charts import key_of
from pages.shared import controls, permission, watching
from pages.shared.words import plain

MARKS = {
    "comparing": message(":material/monitoring: Comparing"),
    "done": message(":material/check_circle: Done"),
    "failed": message(":material/error: Failed"),
    "cancelled": message(":material/cancel: Stopped before any detector was done"),
    "stopped": message(":material/stop_circle: Stopped"),
}
EXPLAINED = {
    watching.STOPPING: message("The step under way is finished first, and what is done is kept."),
    "waiting": message("Benchmarks run one at a time. This one starts by itself when those before it are through."),
    "comparing": message("You can leave this page or close this window: the run goes on, and its result is kept."),
    "interrupted": message("Its process ended before it was through. It goes on from the detectors that are finished."),
}


@permission.needed
def runs() -> list[BenchmarkJob]:
    """Every benchmark that was asked for here and not removed since; those that are not through are shown."""
    found = watching.jobs_of(BENCHMARK)
    watching.watch(BENCHMARK, found, _show_all)
    return found


def _show_all(found: Sequence[BenchmarkJob]) -> None:
    for job in reversed(found):
        if job.state.stage != DONE:
            with watching.card(job, compared(job), MARKS, EXPLAINED), controls.errors_said():
                _show_rows(job)


@permission.needed
def _show_rows(job: BenchmarkJob) -> None:
    rows, planned = rows_so_far(job)
    if job.state.stage == STOPPED:
        st.warning(
            said(
                "Stopped: {rows} of {planned} detectors are done. Go on for the others.",
                rows=len(rows),
                planned=planned,
            )
        )
    done = [row for row in rows if row.done]
    if not done or (job.state.stage == STOPPED and job.result.is_dir()):  # its result says more
        return
    ood_set = POOLED if POOLED in done[0].metrics else next(iter(done[0].metrics))
    ranked = tables.by_auroc(rows, ood_set)
    st.markdown(
        said(
            "**Done so far: {rows} of {planned}** · {images}",
            rows=len(rows),
            planned=planned,
            images=plain(tables.set_words(ood_set)),
        )
    )
    tables.show(
        [row.label for row in ranked], metric_columns(ranked, ood_set), alt=said("The detectors that are done so far")
    )


@permission.needed
def kept_result(found: Sequence[BenchmarkJob]) -> tuple[BenchmarkResult, BenchmarkJob] | None:
    """The result that is chosen among those that are kept, the newest at first, and its run; None without any."""
    kept = {
        job.folder.name: job
        for job in reversed(found)
        if job.state.stage == DONE or (job.state.stage == STOPPED and job.result.is_dir())
    }
    if not kept:
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        named = {name: _kept_words(job) for name, job in kept.items()}
        job = kept[controls.select(said("Results kept here"), named, key_of("kept", kept))]
        if job.state.stage == DONE:  # else it has its buttons above
            watching.button(said("Remove"), "remove", jobs.remove, job)
    out = job.request.out
    text = said(
        "A result is kept on this computer until you **remove** it; only the account that this server runs under can "
        "read it."
    )
    st.caption(text + (said(" This one was also written to {folder}.", folder=plain(out)) if out is not None else ""))
    result = results.written(job.result)
    if result is None:
        st.error(
            said("There is no result in {result} any more; remove it, and run it again.", result=plain(str(job.result)))
        )
        return None
    return result, job


def _kept_words(job: BenchmarkJob) -> str:
    at = job.state.at
    return compared(job) + ("" if at is None else time.strftime(", %Y-%m-%d %H:%M", time.localtime(at)))


def compared(job: BenchmarkJob) -> str:
    """What a benchmark is of: its reference, and the OOD sets or the folder that holds them."""
    request = job.request
    return f"{request.title}: {', '.join(request.ood) or Path(request.id).name}"
