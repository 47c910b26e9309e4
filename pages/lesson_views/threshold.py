"""Step 4: a threshold to move, what it misses and what it flags for nothing; and a second camera."""

from __future__ import annotations

import streamlit as st
from PIL import Image

from nero_core.figures.lesson import threshold_chart
from nero_core.figures.palette import significant
from nero_core.lesson.threshold import Counts, Scored, bundled_scores, flagged_of, second_camera_scenes
from nero_core.records import Activations, Float64Array
from nero_core.reference.reference import Reference
from nero_core.wording import said
from pages.lesson_views.frame import Answer, Lesson, Question
from pages.shared import controls, widgets
from pages.shared.words import plain

ALPHA = 0.05
SMALLEST, LARGEST, STEP = 1.0, 50.0, 0.5  # percent
DETECTOR, PERCENT, SHOW_CAMERA = "lesson-threshold-detector", "lesson-threshold-alpha", "lesson-threshold-camera"
BANDS = {"few": 0.1, "some": 0.4, "many": 0.7, "most": 1.0}
"""Of the answers: up to which share each goes."""
SHOWN_SCENES, SCENE_PIXELS = 6, 150


def before(lesson: Lesson) -> None:
    """What is counted."""
    counts = _scored(lesson.reference, "nero").counts(ALPHA)
    st.markdown(
        said(
            "{ordinary} ordinary test scenes, which neither the network nor the threshold has seen, and {unusual}"
            " unusual ones of {kinds} kinds. All are rendered.",
            ordinary=counts.ordinary, unusual=counts.unusual, kinds=len(counts.missed),
        )
    )  # fmt: skip


def question(lesson: Lesson) -> Question:
    """How many NERO misses."""
    counts = _scored(lesson.reference, "nero").counts(ALPHA)
    ends = [int(share * counts.unusual) for share in BANDS.values()]
    places = {"percent": significant(100 * ALPHA), "images": counts.unusual, "detector": "NERO"}
    return Question(
        {
            "few": said("Up to {most}", most=ends[0]),
            "some": said("{least} to {most}", least=ends[0] + 1, most=ends[1]),
            "many": said("{least} to {most}", least=ends[1] + 1, most=ends[2]),
            "most": said("More than {most}", most=ends[2]),
        },
        places,
    )


def answer(lesson: Lesson) -> Answer:
    """Counted."""
    nero, panel = (_scored(lesson.reference, name).counts(ALPHA) for name in ("nero", "panel"))
    missed = nero.missed_in_all
    right = next(name for name, share in BANDS.items() if missed <= int(share * nero.unusual))
    return Answer(
        right,
        said(
            "NERO misses {missed} of {unusual}, and flags {alarms} of {ordinary} ordinary ones. The panel of several "
            "detectors misses {panel}, at {panel_alarms} false alarms.",
            missed=missed, unusual=nero.unusual, alarms=nero.false_alarms, ordinary=nero.ordinary,
            panel=panel.missed_in_all, panel_alarms=panel.false_alarms,
        ),
    )  # fmt: skip


def explore(lesson: Lesson) -> None:
    """The slider, and the second camera."""
    _played(lesson.reference)


@controls.section
def _played(reference: Reference) -> None:
    """One part of the page: the second camera is counted at the slider's α, too."""
    alpha = _slider(reference)
    _second_camera(reference, alpha)


def _slider(reference: Reference) -> float:
    """Detector and α, and what they miss and flag for nothing; returns α."""
    left, right = st.columns([2, 3], gap="medium")
    with left:
        titles = {name: fitted.info.title for name, fitted in reference.detectors.items()}
        first = [name for name in ("nero", "panel") if name in titles]
        ordered = {name: titles[name] for name in [*first, *titles]}
        name = controls.select(said("Detector"), ordered, DETECTOR)
        alpha = _alpha()
        scored = _scored(reference, name)
        counts = scored.counts(alpha)
        _told(counts, alpha, scored.title)
        st.dataframe(
            [{said("unusual set"): name, said("missed"): missed, said("images"): images}
             for name, (missed, images) in counts.missed.items()],
            hide_index=True, alt=said("Missed images of each unusual set"),
        )  # fmt: skip
    with right:
        widgets.chart(threshold_chart(_curve(reference, name), counts.point, alpha), table=said("Threshold"))
    return alpha


def _alpha() -> float:
    percent: float = st.slider(
        said("Ordinary images that may be flagged, in 100 (α)"), SMALLEST, LARGEST, 100 * ALPHA, STEP,
        key=PERCENT, persist_state="session", format="%.1f",
    )  # fmt: skip
    return percent / 100


def _told(counts: Counts, alpha: float, title: str) -> None:
    """What was promised, and what it costs."""
    with st.container(horizontal=True):
        st.metric(said("Ordinary, flagged for nothing"), f"{counts.false_alarms} / {counts.ordinary}", border=True)
        st.metric(said("Unusual, missed"), f"{counts.missed_in_all} / {counts.unusual}", border=True)
    expected = significant(alpha * counts.ordinary)
    st.markdown(
        said(
            "Promised: on average at most {alpha} in 100 ordinary images are flagged, here {expected} of {ordinary}. "
            "Nothing is promised about what {detector} misses.",
            alpha=significant(100 * alpha), expected=expected, ordinary=counts.ordinary, detector=plain(title),
        )
    )  # fmt: skip


def _second_camera(reference: Reference, alpha: float) -> None:
    st.subheader(said("The same places by another camera"), anchor=False)
    st.markdown(
        said(
            "An older processor: cooler, paler, softer, noisier. The scenes are as ordinary as before; only the "
            "equipment differs. The promise was made about the first camera."
        )
    )
    if not st.session_state.get(SHOW_CAMERA):

        def show() -> None:
            st.session_state[SHOW_CAMERA] = True

        st.button(said("Render them, and count"), key="lesson-threshold-render", on_click=show, type="primary")
        return
    pictures = _pictures()
    with st.container(horizontal=True, gap="small"):
        for picture in pictures[:SHOWN_SCENES]:
            st.image(picture, width=SCENE_PIXELS, alt=said("An ordinary scene by the second camera"))
    shown = min(SHOWN_SCENES, len(pictures))
    st.caption(said("{shown} of the {images} scenes.", shown=shown, images=len(pictures)))
    seen = _seen(reference)
    for name in ("nero", "panel"):
        if name in reference.detectors:
            count = int(flagged_of(reference, name, alpha, seen).sum())
            st.markdown(
                said(
                    "**{detector}** flags {count} of these {images} ordinary scenes; promised were at most "
                    "{expected} on average, at α = {alpha} in 100.",
                    detector=plain(reference.detector(name).info.title), count=count, images=len(pictures),
                    expected=significant(alpha * len(pictures)), alpha=significant(100 * alpha),
                )
            )  # fmt: skip


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs={Reference: id})
def _scored(reference: Reference, detector: str) -> Scored:
    return bundled_scores(reference, detector)


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs={Reference: id})
def _curve(reference: Reference, detector: str) -> tuple[Float64Array, Float64Array]:
    return _scored(reference, detector).roc()


@st.cache_resource(max_entries=1, show_spinner=False)
def _pictures() -> list[Image.Image]:
    """Rendered once for everybody: they are no patient's."""
    shown = st.progress(0.0, said("Rendering scenes…"))

    def tell(done: int, of: int) -> None:
        shown.progress(done / of, said("Rendering scenes…"))

    found = second_camera_scenes(progress=tell)
    shown.empty()
    return found


@st.cache_resource(max_entries=2, show_spinner=False, hash_funcs={Reference: id})
def _seen(reference: Reference) -> Activations:
    """What the network makes of them, so that the slider waits for no pass."""
    return reference.activations_of(_pictures())
