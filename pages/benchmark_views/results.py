"""Where a result comes from: stored beside the reference, a folder on this computer, or files that somebody brings."""

from __future__ import annotations

import tempfile
from pathlib import Path

import streamlit as st

from nero_core.benchmark.reading import read_results
from nero_core.benchmark.result import RESULTS_NAME, SCORES_NAME, BenchmarkResult
from nero_core.errors import NeroError
from nero_core.wording import said
from pages.shared import permission, uploads
from pages.shared.words import plain

FOLDER = "benchmarks"
FILES, PLACE, OPENED = "benchmark-files", "benchmark-place", "benchmark-opened"
LARGEST = 200  # megabytes of one file: scores of a hundred detectors on a hundred thousand images
KEPT = 8  # stored results in memory at a time, a few MB each


def stored_folder(reference: Path) -> Path:
    """Where the result of a reference lies: ``references/demo`` has its own in ``benchmarks/demo`` beside."""
    return reference.parent.parent / FOLDER / reference.name


def written(folder: Path) -> BenchmarkResult | None:
    """The result that a benchmark wrote into a folder, read once; None where there is none.

    Raises
    ------
    ArtefactError
        It is damaged or newer.
    """
    path = folder / RESULTS_NAME
    return _read(str(folder), path.stat().st_mtime_ns) if path.is_file() else None


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _read(folder: str, changed: int) -> BenchmarkResult:
    """`changed` (the file's time stamp) makes a result that was written anew a new entry."""
    return read_results(Path(folder))


def opened() -> BenchmarkResult | None:
    """The result that somebody opened in this session, and the two ways to open one."""
    left, right = st.columns(2, gap="large")
    with left:
        if permission.granted():
            st.text_input(
                said("Folder on this computer"),
                key=PLACE,
                persist_state="session",
                on_change=_open_folder,
                placeholder="/data/benchmarks/mine",
                help=said("The folder that `benchmark --out` wrote, or its {results}.", results=RESULTS_NAME),
            )
        else:
            st.info(permission.not_offered(said("Opening a folder")))
    with right:
        uploads.uploader(
            said("Or drop {results} and {scores}", results=RESULTS_NAME, scores=SCORES_NAME)
            if permission.granted()
            else said("Drop {results} and {scores}", results=RESULTS_NAME, scores=SCORES_NAME),
            type=["json", "safetensors"],
            accept_multiple_files=True,
            key=FILES,
            on_change=_open_files,
            megabytes=LARGEST,
            help=said(
                "Both were written by `benchmark --out`, or downloaded from this page. They stay on this computer."
            ),
        )
    found: BenchmarkResult | NeroError | None = st.session_state.get(OPENED)
    if isinstance(found, NeroError):
        st.error(plain(str(found)))
    elif found is None:
        st.markdown(
            said("Open what `python -m nero_core benchmark … --out FOLDER` wrote, here or on another computer.")
        )
    else:
        return found
    return None


@permission.needed
def _open_folder() -> None:
    if text := st.session_state[PLACE].strip():
        path = Path(text).expanduser()
        _keep(path.parent if path.name == RESULTS_NAME else path)


def _open_files() -> None:
    """Copy what was uploaded: the uploader itself forgets its files on a page switch."""
    if not (files := uploads.within(st.session_state[FILES], LARGEST)):
        return
    with tempfile.TemporaryDirectory(prefix="nero-results-") as folder:
        for file in files:  # under our names: theirs are never used as paths
            name = RESULTS_NAME if file.name.lower().endswith(".json") else SCORES_NAME
            (Path(folder) / name).write_bytes(file.getvalue())
        if len(list(Path(folder).iterdir())) < 2:
            st.session_state[OPENED] = NeroError(
                said(
                    "Drop both files together: {results}, and {scores} that lies beside it.",
                    results=RESULTS_NAME,
                    scores=SCORES_NAME,
                )
            )
            return
        _keep(Path(folder))


def _keep(folder: Path) -> None:
    """Read it once, and keep the result, or why there is none."""
    try:
        st.session_state[OPENED] = read_results(folder)
    except NeroError as error:
        st.session_state[OPENED] = error
