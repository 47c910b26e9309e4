"""The best detectors of a result, for the reference: asked for here, or typed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from nero_core.benchmark.best import adding_command, best_to_add
from nero_core.benchmark.result import BenchmarkResult
from nero_core.jobs import builds
from nero_core.jobs.benchmarks import BenchmarkJob
from nero_core.jobs.builds import BUILD, BuildRequest
from nero_core.reference.manifest import MANIFEST_NAME, read_manifest
from nero_core.reference.panel_card import PANEL
from nero_core.wording import CHOOSE_DETECTORS, KNOWN_OOD_IMAGES, message, said
from pages.shared import controls, permission, resources, watching, widgets
from pages.shared.words import plain

ADDED = "benchmark-added"
ABOUT = message(
    "They are fitted beside the detectors that it has, which all stay, and those that can be join its "
    "panel. How much each counts is chosen anew on training images, not by these figures. But these "
    "unusual images have chosen: on them every figure of the new reference is too good. Measure it on "
    "others."
)


def offer(result: BenchmarkResult, reference: Path | None, job: BenchmarkJob | None) -> None:
    """What to add, by a button where the server knows the folders of this run, and as a command.

    Parameters
    ----------
    reference : Path or None
        Which the result is of; None where it is not here.
    job : BenchmarkJob or None
        The run that the result is of; None where it was made elsewhere.
    """
    if reference is None or not (reference / MANIFEST_NAME).is_file():
        return
    has = read_manifest(reference)["detectors"]
    titles = {row.detector: row.title for row in result.detectors} | {PANEL: said("Panel")}
    names = {name: titles[name] for name in [*([] if PANEL in has else [PANEL]), *best_to_add(result, has)]}
    st.header(said("Use the best detectors"), anchor=False)
    if not names:
        st.caption(said("The reference has the best of these already."))
        return
    st.markdown(
        said("Of the best here the reference has not: **{names}**.", names=plain(", ".join(names.values())))
        + f" {said(ABOUT)}"
        if list(names) != [PANEL]
        else said("The reference has the best of these already, but no panel, in which several decide together.")
    )
    if job is not None and permission.granted():
        _ask(reference, job, names)
        return
    widgets.command(adding_command(names))
    st.caption(said("REF is the folder of the reference, DATA the class folders that it was fitted to."))


@permission.needed
def _ask(reference: Path, job: BenchmarkJob, names: Mapping[str, str]) -> None:
    asked, number = job.request, st.session_state.get(ADDED, 0)
    chosen = controls.several(
        said("Add"),
        names,
        f"benchmark-add-{job.folder.name}",
        said(CHOOSE_DETECTORS),
        default=list(names),
        format_func=lambda name: plain(names[name]),
    )
    named = said("{title}, more detectors", title=asked.title)
    title = controls.line(said("Name of the reference with them"), "benchmark-add-title", named) or named
    unusual = controls.line(
        said(
            "Folder of other {images}, to measure it (may be left out)",
            images=said(KNOWN_OOD_IMAGES),
        ),
        "benchmark-add-unusual",
        "/data/others",
    )
    images = asked.train or asked.id
    if st.button(said("Add them"), icon=":material/add:", key="benchmark-add"):
        with controls.errors_said():
            request = BuildRequest(
                title,
                images=images,
                unusual=unusual,
                calibration=asked.calibration or "",
                group=asked.group or "",
                add_to=str(reference.resolve()),
                add=tuple(chosen),
            )
            builds.submit(resources.home(), request)
            watching.jobs_of(BUILD)  # sets the queue going
            st.session_state[ADDED] = number = number + 1
    if number:
        st.success(said("In the queue. **References**, under *Build one*, shows how far it is, and offers the result."))
    st.caption(said("The same in a terminal, into the reference itself:"))
    widgets.command(adding_command(chosen or names, reference, images))
