"""What leaves the page: NERO taken apart, published figures, files, and the command that gives it all again."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from nero_core.benchmark.result import RESULTS_NAME, SCORES_NAME, BenchmarkResult
from nero_core.benchmark.tables import COMPARED, difference_columns, metric_columns, published_columns
from nero_core.wording import NOT_COMPARABLE, label, message, said
from pages.benchmark_views import tables
from pages.shared import controls, widgets
from pages.shared.words import plain

WITHOUT_PROTOCOL = message(
    "this run follows no published protocol, and figures on other images or splits say nothing here."
)
PARTS = {
    "": message("Whole: S = (D + B) · f"),
    "distance": message("Only D"),
    "distance + bias": message("Without f: D + B"),
}


def part_words(name: str) -> str:
    """What is changed in an ablation: ``nero[k=100]`` → "k = 100"."""
    change = name[name.index("[") + 1 : -1] if "[" in name else ""
    return said(PARTS[change]) if change in PARTS else change.replace("epsilon", "ε").replace("=", " = ")


def ablations(result: BenchmarkResult, ood_set: str) -> None:
    """NERO with one thing changed at a time."""
    rows = [row for row in result.detectors if row.done and row.detector == "nero"]
    if len(rows) < 2:
        st.caption(said("Not in this result. Switch on “Take NERO apart” in a new run, or give `--ablate nero`."))
        return
    whole = next((row for row in rows if not row.ablation), None)
    shown = metric_columns(rows, ood_set, COMPARED)
    if whole is not None and whole.name == result.baseline:
        shown += difference_columns(rows, ood_set, said("the whole"))[:1]
    tables.show(
        [part_words(row.name) for row in rows], shown, first=said("Variant"), alt=said("NERO with one thing changed")
    )
    st.caption(
        said(
            "One thing changed at a time, all else as in the reference: D the distance, B the bias term, f the "
            "factor; k low-relevance neurons, m principal components, ε the stabiliser. Do not choose a "
            "parameter by this table and then report its figures on the same images."
        )
    )


def published(result: BenchmarkResult) -> None:
    """Figures of the papers beside ours where the protocol is theirs."""
    given = result.published
    if not given or not given["comparable"]:
        st.info(f"**{label(NOT_COMPARABLE)}:** {plain(given['reason']) if given else said(WITHOUT_PROTOCOL)}")
        return
    names = [entry["title"] for entry in given["rows"]]
    tables.show(names, published_columns(result), alt=said("Published figures beside ours"))
    st.caption(
        said(
            "Protocol {protocol}. {reason} Source: {source}",
            protocol=plain(given["protocol"]),
            reason=plain(given["reason"]),
            source=plain(given["source"]),
        )
    )


def downloads(result: BenchmarkResult) -> None:
    """Everything as files, each made when it is asked for."""
    from nero_core.reports.benchmark import comma_separated, markdown, page

    stem = re.sub(r"[^a-z0-9]+", "-", result.title.lower()).strip("-")[:40] or "benchmark"
    files: dict[str, tuple[str, str, Callable[[], str | bytes]]] = {
        said("Table (CSV)"): (f"{stem}.csv", "text/csv", lambda: comma_separated(result)),
        said("Report (HTML)"): (f"{stem}.html", "text/html", lambda: page(result)),
        said("Report (Markdown)"): (f"{stem}.md", "text/markdown", lambda: markdown(result)),
        said("Results (JSON)"): (RESULTS_NAME, "application/json", lambda: json.dumps(result.to_json(), indent=1)),
        said("Scores (safetensors)"): (SCORES_NAME, "application/octet-stream", lambda: scores(result)),
    }
    with st.container(horizontal=True):
        for name, (file, kind, make) in files.items():
            controls.download(name, make, file, kind, f"benchmark-file-{file}")
    st.caption(
        said(
            "Results and scores together can be opened on this page again, here or on another computer. Scores "
            "name the image files."
        )
    )


def scores(result: BenchmarkResult) -> bytes:
    """The scores of every image as one safetensors file."""
    with tempfile.TemporaryDirectory(prefix="nero-results-") as folder:
        result.save(Path(folder))
        return (Path(folder) / SCORES_NAME).read_bytes()


def command(result: BenchmarkResult) -> None:
    """The line that gives the same figures, and with what."""
    st.header(said("The same again"), anchor=False)
    if line := result.provenance.get("command"):
        widgets.command(str(line))
    else:
        st.caption(said("This result does not say by which command it was made."))
    origin = result.provenance
    versions = ", ".join(f"{name} {number}" for name, number in origin["versions"].items())
    st.caption(
        said(
            "Intervals from {resamples} resamples, seed {seed}. Network {digest}; {versions}.",
            resamples=result.resamples,
            seed=result.seed,
            digest=plain(str(origin["classifier_digest"])[:16]),
            versions=plain(versions),
        )
    )
