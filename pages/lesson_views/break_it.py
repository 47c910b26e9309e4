"""Break it: what eight changes of a picture do to its score, and two challenges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import streamlit as st

from nero_core.data.images import read_image
from nero_core.errors import InputError
from nero_core.figures.before_after import neurons_before_after
from nero_core.figures.data_urls import fitted
from nero_core.figures.palette import significant
from nero_core.lesson import breaking, changes
from nero_core.wording import said, state_mark
from pages.case_views.verdict import PAINT
from pages.lesson_views.frame import Answer, Lesson, Question, ask_again
from pages.shared import controls, resources, session, widgets, words
from pages.shared.words import plain

if TYPE_CHECKING:
    from PIL import Image

    from nero_core.lesson.breaking import Goal, Movements, Reading
    from nero_core.reference.reference import Reference

STEP = "break_it"
PICTURE, BEST, KEPT = "lesson-break-picture", "lesson-break-best", "lesson-break-kept"
OWN = "own-"  # keys of images of the open case
ALPHA = controls.DEFAULT_ALPHA_PERCENT / 100
PICTURE_PIXELS, THUMBNAIL_PIXELS = 320, 200  # longer side, as sent to the browser
SLIDER_STEP = 5  # percent of the full strength


@dataclass(frozen=True, eq=False)
class Chosen:
    """The picture that is looked at, and what it is held against."""

    key: str
    title: str
    picture: Image.Image
    reference: Reference
    detector: str
    smaller: bool = False  # whether it is a smaller copy

    @property
    def known_by(self) -> tuple[str, int, str]:
        """What readings of it are kept under."""
        return self.key, id(self.reference), self.detector


@dataclass(eq=False)
class Kept:
    """What was read of one picture: numbers, nothing of the picture."""

    of: tuple[str, int, str]
    before: Reading
    moved: Movements | None = None


# The picture -------------------------------------------------------------------------------------------------------


def _offered() -> dict[str, str]:
    """What can be chosen: the examples, first the one that is flagged most weakly, and the images of the open case."""
    examples = [example for example, _ in resources.examples()]
    order = sorted(examples, key=lambda each: (each.state != breaking.FLAGGED, each.score))
    offered = {each.file: f"{each.kind} · {state_mark(each.state)}" for each in order}
    if session.entry() is not None:
        offered |= {f"{OWN}{frame.number}": said("Own: {name}", name=frame.name) for frame in session.case()}
    return offered


def _chosen(lesson: Lesson, key: str) -> Chosen:
    """The picture of a key, read."""
    entry = session.entry()
    for frame in session.case():
        if entry is not None and key == f"{OWN}{frame.number}":
            reference = resources.reference(entry.path)
            whole = frame.decoded()
            copy = breaking.working_copy(whole)
            return Chosen(key, frame.name, copy, reference, session.detector(reference), copy is not whole)
    example, path = next((each, path) for each, path in resources.examples() if each.file == key)
    reference = lesson.reference
    return Chosen(key, example.kind, breaking.working_copy(read_image(path)), reference, reference.deciding)


def _begin() -> None:
    """Another picture: nothing is changed yet, and the question is asked anew."""
    set_back()
    ask_again(STEP)


def set_back() -> None:
    """All changes to nothing."""
    for name in changes.CHANGES:
        st.session_state[_slider(name)] = 0


def _slider(name: str) -> str:
    return f"lesson-break-{name}"


def _kept(chosen: Chosen) -> Kept:
    """What was read of the picture as it is; read now where it is another than last."""
    kept = cast("Kept | None", st.session_state.get(KEPT))
    if kept is None or kept.of != chosen.known_by:
        before = breaking.read(chosen.reference, chosen.picture, chosen.detector, ALPHA)
        st.session_state[KEPT] = kept = Kept(chosen.known_by, before)
    return kept


# The step ----------------------------------------------------------------------------------------------------------


def before(lesson: Lesson) -> None:
    """Which picture, what is said of it, and the eight changes at half strength, without their scores."""
    offered = _offered()
    if not offered:
        raise InputError(
            said("This installation carries no examples: open an image on Case review, and it is offered here.")
        )
    if st.session_state.get(PICTURE) not in offered:
        st.session_state.pop(PICTURE, None)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        key = controls.select(said("Picture"), offered, PICTURE, width=320, on_change=_begin)
        st.caption(said("Pictures of your own: open them on Case review, and they are offered here, too."))
    chosen = _chosen(lesson, key)
    if chosen.smaller:
        st.caption(
            said(
                "Read as a copy of at most {pixels} pixels a side, so that sliders answer at once: its score may "
                "differ a little from that on Case review.",
                pixels=breaking.WORKED_PIXELS,
            )
        )
    reading = _kept(chosen).before
    left, right = st.columns([4, 9], gap="medium")
    with left:
        _side(said("As it is"), chosen, chosen.picture, reading)
    with right:
        st.markdown(f"**{said('The eight changes at half strength')}**")
        with st.grid(4, min_column_width=130):
            for name, change in changes.CHANGES.items():
                half = changes.changed(chosen.picture, {name: changes.HALF})
                words_of = f"{said(change.title)}: {change.in_units(changes.HALF)}"
                alt = said("The picture with one change: {change}", change=words_of)
                st.image(fitted(half, THUMBNAIL_PIXELS), width="stretch", alt=alt, caption=words_of)


def question(lesson: Lesson) -> Question:
    """Which of the eight moves the score most."""
    return Question({name: said(change.title) for name, change in changes.CHANGES.items()})


def answer(lesson: Lesson) -> Answer:
    """All eight, read in one pass through the network."""
    chosen = _chosen(lesson, st.session_state[PICTURE])
    kept = _kept(chosen)
    if kept.moved is None:
        with st.spinner(said("Reading all eight…")):
            kept.moved = breaking.movements(chosen.reference, chosen.picture, chosen.detector)
    moved = kept.moved
    each = ", ".join(
        f"{said(changes.CHANGES[name].title)} **{significant(score)}** ({_signed(moved.moved[name])})"
        for name, score in sorted(moved.after.items(), key=lambda item: -abs(moved.moved[item[0]]))
    )
    because = said(
        "At half strength it takes the score from {before} to **{after}**. All eight, the strongest first: {each}.",
        before=significant(moved.before),
        after=significant(moved.after[moved.most]),
        each=each,
    )
    return Answer(moved.most, because)


def explore(lesson: Lesson) -> None:
    """The changes as sliders, the challenge, and the neurons that came and went."""
    chosen = _chosen(lesson, st.session_state[PICTURE])
    _play(chosen, _kept(chosen).before)


def _signed(value: float) -> str:
    return f"+{significant(value)}" if value > 0 else significant(value)


# Playing -----------------------------------------------------------------------------------------------------------


@controls.section
def _play(chosen: Chosen, reading: Reading) -> None:
    """Runs by itself when a slider is moved."""
    st.subheader(said("Change it yourself"), anchor=False)
    pictures, sliders = st.columns(2, gap="large")
    with sliders:
        strengths = _sliders()
    picture = changes.changed(chosen.picture, strengths)
    after = breaking.read(chosen.reference, picture, chosen.detector, ALPHA, reading.accounted)
    with pictures:
        with st.grid(2, min_column_width=150, gap="medium") as grid:
            with grid.cell():
                _side(said("Before"), chosen, chosen.picture, reading)
            with grid.cell():
                _side(said("After"), chosen, picture, after)
        _challenge(chosen, reading, after, changes.total(strengths))
    _neurons(chosen, reading, after)


def _sliders() -> dict[str, float]:
    """The eight changes, and the button that sets them back; {name: strength}."""
    strengths = {}
    with st.grid(2, min_column_width=150, gap="medium") as grid:
        for name, change in changes.CHANGES.items():
            with grid.cell():
                percent = st.slider(
                    said(change.title),
                    0,
                    100,
                    0,
                    SLIDER_STEP,
                    "%d %%",
                    key=_slider(name),
                    persist_state="session",
                )
                strengths[name] = percent / 100
                st.caption(change.in_units(strengths[name]) if percent else said("as it is"))
    names = " → ".join(said(change.title) for change in changes.CHANGES.values())
    st.caption(said("Several are applied in this order: {names}.", names=names))
    st.button(said("Set all back"), icon=":material/undo:", key="lesson-break-back", on_click=set_back)
    return strengths


def _side(title: str, chosen: Chosen, picture: Image.Image, reading: Reading) -> None:
    """One picture with its state, score, percentile and p-value."""
    decision = reading.decision
    st.markdown(f"**{title}** :{PAINT[decision.state]}[{state_mark(decision.state)}]")
    alt = said("{title}: {name}", title=title, name=chosen.title)
    st.image(fitted(picture, PICTURE_PIXELS), width="stretch", alt=alt)
    values = {
        "detector": plain(chosen.reference.detector(chosen.detector).info.title),
        "score": significant(decision.score),
        "percentile": words.of_100(decision.percentile),
        "images": decision.calibration_images,
        "p": significant(decision.p_value, 2),
    }
    if (read_as := decision.calibration_class) is None:
        st.markdown(
            said("{detector}: score **{score}**, above {percentile} in 100 of {images} calibration images; p = {p}",
                 **values)
        )  # fmt: skip
        return
    st.markdown(
        said("{detector}: score **{score}**, above {percentile} in 100 of the {images} calibration images read as "
             "{answer}; p = {p}", answer=plain(read_as), **values)
    )  # fmt: skip


def _challenge(chosen: Chosen, reading: Reading, after: Reading, total: float) -> None:
    """What is to be reached with this picture, whether it is, and the best of this visit."""
    goal = breaking.goal_of(reading)
    best: dict[Goal, tuple[float, str]] = st.session_state.setdefault(BEST, {})
    strength = significant(total)
    if breaking.reached(reading, after):
        if goal not in best or total < best[goal][0]:
            best[goal] = total, chosen.title
        told = said(
            "**Reached**, with a total strength of {strength} of {all}.", strength=strength, all=len(changes.CHANGES)
        )
    else:
        told = said("Not yet; the total strength is {strength} of {all}.", strength=strength, all=len(changes.CHANGES))
    with st.container(border=True):
        st.markdown(said("Challenge: **{goal}**. {told}", goal=_goal(goal), told=told))
        for reached, (least, title) in best.items():
            st.markdown(
                said(
                    "Best of this visit, “{goal}”: {strength}, with {picture}.",
                    goal=_goal(reached),
                    strength=significant(least),
                    picture=plain(title),
                )
            )


def _goal(goal: Goal) -> str:
    return said("Get it un-flagged") if goal == "un-flag" else said("Flag an ordinary one with the weakest change")


def _neurons(chosen: Chosen, reading: Reading, after: Reading) -> None:
    """Which neurons lead, before and after."""
    shifts = breaking.neuron_shifts(reading, after)
    if not shifts:
        st.caption(said("The score of this detector is no sum over neurons, so that none can be said to lead."))
        return
    came = [str(shift.neuron) for shift in shifts if not shift.led]
    went = [str(shift.neuron) for shift in shifts if not shift.leads]
    st.markdown(
        said(
            "The leading neurons. The score is decomposed by {detector}, whose own score has another scale. Came in: "
            "{came}. Went: {went}.",
            detector=plain(chosen.reference.detectors[reading.accounted].info.title),
            came=plain(", ".join(came)) or said("none"),
            went=plain(", ".join(went)) or said("none"),
        )
    )
    widgets.chart(neurons_before_after(shifts), table=said("Leading neurons"))
