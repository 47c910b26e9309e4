"""Benchmark: which detector serves this reference, on whose images, and how surely."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from nero_core.benchmark.result import BenchmarkResult
from nero_core.jobs.benchmarks import BenchmarkJob
from nero_core.reference.manifest import ReferenceEntry
from nero_core.wording import ROC_CURVES, message, said
from pages.benchmark_views import about, asking, best, charts, concluding, detail, leaving, results, tables
from pages.shared import controls, door, permission, session, widgets

STORED, OPENED, NEW = "stored", "opened", "new"
SOURCES = {STORED: message("This reference’s own result"), OPENED: message("A results file"), NEW: message("Runs")}


@controls.section
def beside(result: BenchmarkResult, ood_set: str) -> None:
    """The table, and beside it the detector of the row that is chosen."""
    left, right = st.columns([7, 5], gap="medium")
    with left:
        tables.main_table(result, ood_set, detail.choice(result)[0])
    with right:
        detail.show(result, ood_set)


def show(result: BenchmarkResult, entry: ReferenceEntry | None, run: BenchmarkJob | None = None) -> None:
    """All of a result, the table first."""
    about.result(result, entry)
    if not any(row.done for row in result.detectors):
        st.error(said("No detector could run."))
        tables.refused(result.detectors)
        return
    ood_set = result.columns[-1]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.header(said("Detectors"), anchor=False, width="content")
        if len(result.columns) > 1:
            options = {name: tables.set_words(name) for name in [ood_set, *result.columns[:-1]]}
            ood_set = controls.select(said("OOD images"), options, charts.key_of("set", options), width=340)
    beside(result, ood_set)
    tables.refused(result.detectors)
    parts: dict[str, Callable[[], None]] = {said(ROC_CURVES): lambda: charts.curves(result, ood_set)}
    if len(result.ood_sets) > 1:
        parts[said("Each OOD set")] = lambda: charts.breakdown(result)
    if len(charts.whole(result)) > 1:
        parts[said("Agreement")] = lambda: charts.agreement(result)
    parts[said("NERO taken apart")] = lambda: leaving.ablations(result, ood_set)
    parts[said("Published figures")] = lambda: leaving.published(result)
    # Only the open one is drawn: all of them together hold up the table by seconds in the browser.
    tabs = st.tabs(list(parts), key=charts.key_of("part", parts), on_change="rerun")
    for tab, draw in zip(tabs, parts.values(), strict=True):
        if tab.open:
            with tab:
                draw()
    best.offer(result, about.reference_of(result, entry) if run is None else Path(run.request.reference), run)
    leaving.command(result)
    st.header(said("Take it with you"), anchor=False)
    leaving.downloads(result)
    concluding.show(result, ood_set)


door.enter()
entry = session.entry()
with controls.errors_said():
    if entry is None:
        widgets.how_to_get_a_reference(session.entries())
        found, run = results.opened(), None
    else:
        own = results.stored_folder(entry.path)
        source = controls.one_of(
            said("What to look at"),
            {source: said(text) for source, text in SOURCES.items()},
            "benchmark-source",
            default=STORED if own.is_dir() else NEW,
        )
        found = run = None
        if source == STORED:
            found = results.written(own)
            if found is None:
                about.nothing_stored(entry)
        elif source == OPENED:
            found = results.opened()
        elif permission.granted():
            if (kept := asking.new_result(entry)) is not None:
                found, run = kept
        else:
            st.info(permission.not_offered(said("A run")))
    if found is not None:
        show(found, entry, run)
