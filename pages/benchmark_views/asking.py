"""A new run: what is asked for it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from nero_core.benchmark.plan import Plan
from nero_core.benchmark.result import BenchmarkResult
from nero_core.jobs import benchmarks
from nero_core.jobs.benchmarks import BenchmarkJob
from nero_core.reference.manifest import ReferenceEntry
from nero_core.wording import CHOOSE_DETECTORS, FALSE_ALARMS_ACCEPTED, NEVER_TRAINED_ON, message, said
from pages.benchmark_views import watching
from pages.benchmark_views.folders import folder, ood_folders
from pages.shared import controls, permission, resources, widgets
from pages.shared.words import plain

ASKED = "benchmarks-asked"
CHOICES = {"quick": message("One pass"), "all": message("All"), "some": message("Choose")}


@permission.needed
def new_result(entry: ReferenceEntry) -> tuple[BenchmarkResult, BenchmarkJob] | None:
    """Ask for a run, show how far those under way are; the result that is chosen among those kept, and its run."""
    found = watching.runs()
    asked: int = st.session_state.get(ASKED, 0)
    # A key of its own for each run asked for: the form folds again, and what was asked for is in sight.
    with st.expander(
        said("What to compare, on what"), expanded=not found, icon=":material/tune:", key=f"benchmark-form-{asked}"
    ):
        if ask(entry):
            st.session_state[ASKED] = asked + 1
            st.rerun()
    return watching.kept_result(found)


@permission.needed
def ask(entry: ReferenceEntry) -> bool:
    """The questions; whether Run was pressed and all were answered well: then a run waits in the queue."""
    st.markdown(
        said(
            "Folders are those of the computer that runs this page. Nothing is copied or sent; what the network "
            "makes of the images is kept in a cache on this computer, without pixels or names. The run goes on "
            "when this window is closed, and its result, with the names of the images’ files, is kept on this "
            "computer until you remove it."
        )
    )
    left, right = st.columns(2, gap="large")
    with left:
        id_text = controls.line(
            said("Folder of in-distribution images"),
            "benchmark-id",
            "/data/id",
            said(
                "The class folders that were trained on: images kept from training are scored, the others fit the "
                "detectors. Or any unseen ID images, if the training folder is given below. Or a folder that "
                "`arrange` wrote, which holds training, test and OOD images: then nothing else is needed."
            ),
        )
        ood_text = st.text_area(
            said("Out-of-distribution folders, one NAME=FOLDER a line"),
            key="benchmark-ood",
            persist_state="session",
            placeholder="polyp=/data/ood/polyp\nulcer=/data/ood/ulcer",
        )
        _check_at_once(ood_text)
    with right:
        detectors = _detectors()
        ablate = st.toggle(
            said("Take NERO apart"),
            key="benchmark-ablate",
            persist_state="session",
            help=said(
                "Also NERO with one thing changed at a time: without its bias term or factor f, other k, m and ε."
            ),
        )
        protocol = _protocol()
        with st.expander(said("More"), type="compact"):
            train_text = controls.line(
                said("Training folder, if not the one above"), "benchmark-train", "", said("Class folders trained on.")
            )
            held_out_text = controls.line(
                said("Calibration folder"), "benchmark-calibration", "", said(NEVER_TRAINED_ON)
            )
            alpha = controls.flagged_in_100(
                "benchmark-alpha", said("α: the {share}.", share=said(FALSE_ALARMS_ACCEPTED))
            )
            out_text = controls.line(
                said("Folder to write to"),
                "benchmark-out",
                "",
                said(
                    "The result as files, and every finished detector, so that a later run, also one of the "
                    "command line, goes on from there. Without one the result is kept on this computer all the same, "
                    "and listed here until you remove it."
                ),
            )
    if not st.button(said("Run"), type="primary", icon=":material/play_arrow:", key="benchmark-start"):
        return False
    with controls.errors_said():
        plan = Plan(
            reference=entry.path,
            id=folder(said("Folder of in-distribution images"), id_text),
            ood=ood_folders(ood_text),
            train=folder(said("Training folder"), train_text) if train_text else None,
            calibration=folder(said("Calibration folder"), held_out_text) if held_out_text else None,
            detectors=detectors,
            ablate=("nero",) if ablate else (),
            protocol=protocol,
            alpha=alpha / 100,
            out=Path(out_text).expanduser() if out_text else None,
        )
        benchmarks.submit(resources.home(), entry.title, plan)
        return True
    return False


def _check_at_once(text: str) -> None:
    """What is understood so far, before anybody presses Run."""
    if not text.strip():
        return
    with controls.errors_said(st.warning):
        st.caption(said("Understood: ") + ", ".join(plain(name) for name in ood_folders(text)))


def _detectors() -> tuple[str, ...]:
    with st.spinner(said("Looking which detectors there are…")):
        from nero_core.detectors import DETECTORS
    quick = [name for name, each in DETECTORS.items() if "source" not in each.info.needs]
    counts = {"quick": f" ({len(quick)})", "all": f" ({len(DETECTORS)})", "some": ""}
    choice = controls.one_of(
        said("Detectors"),
        {key: said(words) + counts[key] for key, words in CHOICES.items()},
        "benchmark-choice",
        help=said(
            "All share one pass over the images; a few others go through the network again and take much longer."
        ),
    )
    if choice != "some":
        return ("all",) if choice == "all" else tuple(quick)
    chosen = controls.several(
        said("Which"),
        DETECTORS,
        "benchmark-detectors",
        said(CHOOSE_DETECTORS),
        default=[name for name in ("nero", "stage_mahalanobis", "energy") if name in DETECTORS],
        format_func=lambda name: DETECTORS[name].info.title + ("" if name in quick else said(" (slow)")),
    )
    return tuple(chosen) or ("nero",)


def _protocol() -> str | None:
    """Which paper's figures to set beside these, and where its images are."""
    from nero_core.data.protocols.protocol import FOLDERS, named_protocol, protocol_names

    protocols = {name: named_protocol(name) for name in protocol_names() if name != FOLDERS}
    chosen = controls.select_or_none(
        said("Protocol of a paper"),
        {name: protocol.title for name, protocol in protocols.items()},
        "benchmark-protocol",
        placeholder=said("None: folders of your own"),
        help=said("Sets the paper’s published figures beside these, and says whether they may be compared."),
    )
    if chosen is not None:
        protocol = protocols[chosen]
        inside, outside = (", ".join(map(plain, names)) for names in (protocol.id, protocol.ood))
        about = said(
            "ID: {inside}. OOD: {outside}. {terms}", inside=inside, outside=outside, terms=plain(protocol.terms)
        )
        st.caption(f"{about} [{said('Its page')}]({protocol.page})")
        line = f"python -m nero_core arrange {chosen} IMAGES --to FOLDER"
        if protocol.download["address"]:
            line = f"python -m nero_core download {chosen} --to IMAGES\n{line}"
        widgets.command(line)
    return chosen
