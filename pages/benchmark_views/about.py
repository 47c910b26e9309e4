"""What a reader must know before any figure: what was compared on what, or how to get a result."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from nero_core.benchmark.result import BenchmarkResult
from nero_core.reference.manifest import ReferenceEntry
from nero_core.wording import said
from pages.benchmark_views import results
from pages.shared import permission, resources, widgets
from pages.shared.words import plain


def nothing_stored(entry: ReferenceEntry) -> None:
    """The empty state."""
    st.header(said("No result is stored for this reference yet"), anchor=False)
    reference, out = "REFERENCE", "FOLDER"
    if permission.granted():
        reference, out = str(entry.path), str(results.stored_folder(entry.path))
        st.markdown(said("Choose **Runs** above, or type this line with folders of your own, and reload the page:"))
    else:
        st.markdown(said("Type this line with folders of your own, and drop what it writes under **A results file**:"))
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
        accuracy = said(
            " The network names the class of {share} % of them rightly.", share=f"{100 * result.accuracy:.1f}"
        )
    usual = ", ".join(f"*{plain(name)}*" for name in result.classes)
    left, right = st.columns([6, 5], gap="medium") if result.warnings else (st.container(), st.container())
    if result.warnings:
        right.warning("\n".join(f"- {plain(said(text))}" for text in result.warnings))
    with left:
        st.markdown(
            said(
                "**{title}** ({architecture}): {images} in-distribution (ID) images of {usual} against "
                "out-of-distribution (OOD) images: {ood}.",
                title=plain(result.title),
                architecture=plain(result.architecture),
                images=images["id"],
                usual=usual,
                ood=ood,
            )
            + accuracy
        )
        if entry is not None and reference_of(result, entry) is None:
            st.info(
                said(
                    "These are figures of *{title}*, not of the reference in use, *{own}*.",
                    title=plain(result.title),
                    own=plain(entry.title),
                )
            )
        elif entry is not None and entry.synthetic:
            st.info(
                said("Rendered images: these figures show what the page does, and say nothing about real endoscopy.")
            )
