"""A run under way: how far it is, a way to stop it, and what came of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import streamlit as st

from nero_core.benchmark.result import POOLED
from nero_core.benchmark.tables import metric_columns
from nero_core.errors import Cancelled, NeroError
from nero_core.jobs.benchmarks import Run, Standing
from pages.benchmarking import tables
from pages.shared.words import plain

if TYPE_CHECKING:
    from nero_core.benchmark.result import BenchmarkResult

LOOK_EVERY = 1.0  # seconds between two looks at a run under way


@st.fragment(run_every=LOOK_EVERY)
def under_way(run: Run) -> None:
    """How far it is, a way to stop it, and the detectors that are done so far."""
    if run.done:
        st.rerun()
    standing, rows = run.standing, run.rows
    st.progress(standing.share, text=plain(progress_words(standing)))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Stop", on_click=run.stop, disabled=run.stopping, key="benchmark-stop", icon=":material/stop:")
        if run.stopping:
            st.caption("Stopping: the step under way is finished first, and what is done is kept.")
        else:
            st.caption("You can go to other pages meanwhile. Closing this window stops the run after a few minutes.")
    if any(row.done for row in rows):
        names = list(next(row for row in rows if row.done).metrics)
        ood_set = POOLED if POOLED in names else names[0]
        done = tables.by_auroc(rows, ood_set)
        st.markdown(f"**Done so far: {len(rows)} of {run.planned}** · {plain(tables.set_words(ood_set))}")
        tables.show(
            [row.label for row in done],
            metric_columns(done, ood_set),
            first="Detector",
            alt="The detectors that are done so far",
        )


def progress_words(standing: Standing) -> str:
    """What it does, how far, and the time left: "Step 2 of 5 · Reading polyp · 40 of 200 · about 20 s left"."""
    parts = [f"Step {standing.step} of {standing.steps}"] if standing.step else []
    parts.append(standing.what)
    if standing.total:
        parts.append(f"{standing.done} of {standing.total}")
    if (left := standing.seconds_left()) is not None:
        parts.append("about " + (f"{math.ceil(left)} s" if left < 90 else f"{math.ceil(left / 60)} min") + " left")
    return " · ".join(parts)


def ended(run: Run) -> BenchmarkResult | None:
    """The result of a run that has come to an end; else why there is none."""
    try:
        result = run.result()
    except Cancelled as error:
        st.info(plain(str(error)))
        return None
    except NeroError as error:
        st.error(plain(str(error)))
        return None
    if len(result.detectors) < run.planned:
        st.warning(f"Stopped: {len(result.detectors)} of {run.planned} detectors are done. Run again for the others.")
    if run.plan.out is not None:
        st.caption(f"Written to {plain(str(run.plan.out))}.")
    return result
