"""What a reader must know before any figure: what was compared on what, or how to get a result."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from nero_core.benchmark.result import BenchmarkResult
from nero_core.reference.manifest import ReferenceEntry
from pages.benchmark_views import results
from pages.shared import permission, resources, widgets
from pages.shared.words import plain


def nothing_stored(entry: ReferenceEntry) -> None:
    """The empty state."""
    st.header("No result is stored for this reference yet", anchor=False)
    reference, out = "REFERENCE", "FOLDER"
    if permission.granted():
        reference, out = str(entry.path), str(results.stored_folder(entry.path))
        st.markdown("Choose **Runs** above, or type this line with folders of your own, and reload the page:")
    else:
        st.markdown("Type this line with folders of your own, and drop what it writes under **A results file**:")
    widgets.command(
        f"python -m nero_core benchmark {reference} --id IMAGES --ood NAME=FOLDER --ood NAME=FOLDER --out {out}"
    )


def reference_of(result: BenchmarkResult, entry: ReferenceEntry | None) -> Path | None:
    """Where the reference in use lies if the result is of it, by its title; else None."""
    if entry is None or entry.title not in (result.title, resources.told_apart(result.title, entry.path)):
        return None
    return entry.path


def result(result: BenchmarkResult, entry: ReferenceEntry | None) -> None:
    """What was compared on what, and what a reader must know before any figure."""
    images = {each.role: each.images for each in result.sets}
    ood = ", ".join(f"*{plain(each.name)}* {each.images}" for each in result.sets if each.role == "ood")
    accuracy = ""
    if result.accuracy is not None:
        accuracy = f" The network names the class of {100 * result.accuracy:.1f} % of them rightly."
    usual = ", ".join(f"*{plain(name)}*" for name in result.classes)
    left, right = st.columns([6, 5], gap="medium") if result.warnings else (st.container(), st.container())
    if result.warnings:
        right.warning("\n".join(f"- {plain(text)}" for text in result.warnings))
    with left:
        st.markdown(
            f"**{plain(result.title)}** ({plain(result.architecture)}): {images['id']} in-distribution (ID) images of "
            f"{usual} against out-of-distribution (OOD) images: {ood}.{accuracy}"
        )
        if entry is not None and reference_of(result, entry) is None:
            st.info(
                f"These are figures of *{plain(result.title)}*, not of the reference in use, *{plain(entry.title)}*."
            )
        elif entry is not None and entry.synthetic:
            st.info("Rendered images: these figures show what the page does, and say nothing about real endoscopy.")
