"""Step 3: a point to move between the centroids, and how its score adds up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from nero_core.data.images import read_image
from nero_core.figures.lesson import plane_chart
from nero_core.figures.palette import significant
from nero_core.lesson.plane import Plane, PlanePoint, equally_far, plane_of, read_point
from nero_core.records import Activations
from nero_core.reference.reference import Reference
from nero_core.wording import said, state_mark
from pages.lesson_views.frame import Answer, Lesson, Question
from pages.shared import controls, resources, widgets
from pages.shared.words import plain

X, Y, BIAS, FACTOR, EXAMPLE = (f"lesson-plane-{name}" for name in ("x", "y", "bias", "factor", "example"))
FREE = ""  # the point is of no picture


def before(lesson: Lesson) -> None:
    """What the axes are."""
    plane = _plane(lesson.reference)
    st.markdown(
        said(
            "The bundled reference keeps {components} principal components of relevance. Here are the first two, which "
            "show {share} % of the variance; a picture’s real score uses all of them.",
            components=plane.components,
            share=significant(100 * plane.share, 2),
        )
    )


def question(lesson: Lesson) -> Question:
    """Which of two points is farther."""
    return Question(
        {
            "axis": said("The one along the axis"),
            "diagonal": said("The one along the diagonal"),
            "same": said("Neither"),
        },
    )


def answer(lesson: Lesson) -> Answer:
    """Both distances, computed."""
    axis, diagonal = equally_far()
    right = "same" if np.isclose(axis, diagonal) else "axis" if axis > diagonal else "diagonal"
    return Answer(
        right,
        said(
            "Both are 1 away with a ruler. Along the axis NERO’s distance is {axis}, along the diagonal {diagonal}: it "
            "adds up the way along each axis.",
            axis=significant(axis),
            diagonal=significant(diagonal),
        ),
    )


def explore(lesson: Lesson) -> None:
    """The point, to be moved."""
    _moved(lesson.reference)


@controls.section
def _moved(reference: Reference) -> None:
    plane = _plane(reference)
    left, right = st.columns([3, 2], gap="medium")
    with right:
        terms = _start(reference, plane)
        (left_end, low_end), (right_end, high_end) = plane.low.tolist(), plane.high.tolist()
        x = controls.slider(said("First component"), left_end, right_end, X, format="%.3f")
        y = controls.slider(said("Second component"), low_end, high_end, Y, format="%.3f")
        bias = controls.slider(
            said("Bias term B"), 0.0, plane.highest_bias_term, BIAS, format="%.3f",
            help=said("How much the network’s built-in preference, and not what it saw, carried the answer."),
        )  # fmt: skip
        factor = controls.slider(
            said("Factor f"), 0.0, 1.0, FACTOR, format="%.3f",
            help=said("The share of the image’s activity in neurons that hardly mattered for the answer."),
        )  # fmt: skip
        found = read_point(plane.centroids, np.array([x, y]), bias, factor)
        _told(plane, found, bias, factor)
        if terms is not None:
            _all_components(reference, plane, terms, (x, y, bias, factor))
    with left:
        chart = plane_chart(
            plane.points, plane.groups, plane.classes, plane.centroids, found.path, (plane.low, plane.high)
        )
        widgets.chart(chart, table=said("Plane"))


def _told(plane: Plane, found: PlanePoint, bias: float, factor: float) -> None:
    """Nearest class, distance and score, in the formula."""
    a, b = (significant(float(value)) for value in found.along)
    st.markdown(
        said(
            "Nearest class: **{name}**. Along the axes it is {a} + {b} = **{distance}** away; with a ruler {straight}.",
            name=plain(plane.classes[found.nearest]), a=a, b=b, distance=significant(found.distance),
            straight=significant(found.straight),
        )
    )  # fmt: skip
    st.latex(
        rf"S=(D+B)\cdot f=({significant(found.distance)}+{significant(bias)})\cdot{significant(factor)}"
        rf"={significant(found.score)}"
    )


def _all_components(reference: Reference, plane: Plane, example: str, values: Sequence[float]) -> None:
    """What the score of the picture is in all components, while the point is still there."""
    if not np.allclose(values, _values(plane, example)):
        return
    seen = _activations(example)
    _, terms = plane.place(seen)
    [decision] = reference.decide(seen, "nero")
    st.caption(
        said(
            "In all {components} components this picture’s distance is {distance} and its score "
            "({distance} + {bias}) × {factor} = {score}; NERO says {state}.",
            components=plane.components, distance=significant(terms.distance[0]), bias=significant(terms.bias_term[0]),
            factor=significant(terms.low_share[0]), score=significant(terms.score[0]),
            state=state_mark(decision.state),
        )
    )  # fmt: skip
    st.caption(
        said(
            "B and f are the picture’s own: B says how much the network’s built-in preference carried the answer,"
            " f which share of its activity is in neurons that hardly mattered."
        )
    )


def _values(plane: Plane, example: str) -> tuple[float, float, float, float]:
    """Where the sliders stand for a picture; what lies beyond their ends stands at the end."""
    places, terms = plane.place(_activations(example))
    x, y = np.clip(places[0], plane.low, plane.high).tolist()
    return x, y, min(float(terms.bias_term[0]), plane.highest_bias_term), float(terms.low_share[0])


def _start(reference: Reference, plane: Plane) -> str | None:
    """A picture to put the point at; returns its file while the point is still there."""
    offered = resources.examples()
    titles = {path.name: path.stem for _, path in offered}

    def move() -> None:
        chosen = st.session_state.get(EXAMPLE)
        if chosen:
            st.session_state.update(zip((X, Y, BIAS, FACTOR), _values(plane, chosen), strict=True))

    if X not in st.session_state:
        st.session_state[EXAMPLE] = next((path.name for example, path in offered if not example.known), None)
        move()
        st.session_state.setdefault(X, 0.0)
        for key in (Y, BIAS, FACTOR):
            st.session_state.setdefault(key, 0.0)
    return controls.select_or_none(
        said("Put the point at a picture"), titles, EXAMPLE, placeholder=said("No picture"), on_change=move
    )


@st.cache_resource(max_entries=2, show_spinner=False, hash_funcs={Reference: id})
def _plane(reference: Reference) -> Plane:
    return plane_of(reference)


@st.cache_resource(max_entries=24, show_spinner=False)
def _activations(example: str) -> Activations:
    """Of a bundled picture, under the bundled reference: no patient's, so that sessions may share it."""
    from nero_core.demo.rendered import BUNDLED

    path = next(path for _, path in resources.examples() if path.name == example)
    return resources.reference(BUNDLED).activations_of([read_image(Path(path).read_bytes())])
