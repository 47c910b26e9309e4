"""Check by covering: score, state and heatmap with rectangles over the image, which are drawn on the frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, replace
from typing import TYPE_CHECKING

import streamlit as st

from nero_core.case import ALL, Case, Cover, covered, drawn_cover, suggested_covers
from nero_core.data.images import displayed
from nero_core.figures.overlays import overlay
from nero_core.figures.palette import significant
from nero_core.wording import VIEWER, counted, label, message, said
from pages.case_views import verdict
from pages.case_views.top_neurons import METHOD
from pages.case_views.viewer import CHANNEL
from pages.components import frame_viewer
from pages.shared import controls, heatmaps, session, words
from pages.shared.session import Frame
from pages.shared.words import plain

if TYPE_CHECKING:
    from PIL import Image

    from nero_core.case import Fill

FILL = "cover-fill"
PART = message("Covers")  # of the page
PICTURE_PIXELS = 448  # longer side of an overlay
FILLS: dict[Fill, str] = {"inpainted": message("What surrounds them"), "mean": message("Mean colour of the rest")}
SIDES = (message("Left"), message("Top"), message("Width"), message("Height"))
FIRST = Cover(0.375, 0.375, 0.25, 0.25)  # what a new cover is: a quarter of each side, in the middle
STEP = 1.0  # percent of a side by which an arrow key moves a cover
ABOUT = message(
    "Cover a part of the image, such as text, a border or a finding, and see what the score does without "
    "it. A covered image is no ordinary image: its verdict carries **no guarantee**, and any cover may "
    "change the score a little."
)

SUGGESTED = message(
    "The checks suggest what they noticed, such as text, a position picture, glare or a black border. "
    "What they did not notice stays uncovered, and so do the corners of a round picture and small spots "
    "of glare."
)


def check_by_covering(frame: Frame, reading: Case) -> None:
    """Rectangles over the image under review, and what it scores with them."""
    left, right = st.columns([5, 7], gap="medium")
    with left:
        st.markdown(said(ABOUT))
        fill: Fill = controls.one_of(said("Fill covers with"), {kind: said(text) for kind, text in FILLS.items()}, FILL)
        with st.container(horizontal=True):
            st.button(said("Add a cover"), key="cover-add", on_click=frame.covers.append, args=(FIRST,))
            suggested = suggested_covers(reading.checks, frame.decoded().size)
            if suggested:
                asked = said("Cover what the checks suggest")
                st.button(asked, key="cover-checks", on_click=cover_all, args=(frame, suggested))
            why = frame.reasons_of(reading).why
            if why is not None and why.region is not None and why.region not in frame.covers:
                asked = said("Cover where the score comes from")
                st.button(asked, key="why-cover", on_click=cover_all, args=(frame, [why.region]))
            if frame.covers:
                st.button(said("Remove all covers"), key="cover-none", on_click=frame.covers.clear)
        if suggested:
            st.caption(said(SUGGESTED))
    with right, controls.errors_said():
        for place in range(len(frame.covers)):
            cover_fields(frame, place)
        if frame.covers:
            before_and_after(frame, reading, fill)


def in_short(frame: Frame, reading: Case) -> None:
    """What the covers do, below the frame: all of it is in their own part of the page."""
    if not frame.covers:
        return
    with st.container(horizontal=True, vertical_alignment="center"), controls.errors_said():
        after = read_covered(frame, reading, fill_in_use())
        decision = verdict.decide(after, verdict.current_alpha())
        told = counted(
            len(frame.covers),
            "**With 1 cover: {verdict}**, score {score} instead of {before}.",
            "**With {n} covers: {verdict}**, score {score} instead of {before}.",
            verdict=verdict.marked(decision),
            score=significant(after.score),
            before=significant(reading.score),
        )
        st.markdown(f":small[{told}]")
        st.button(said("Before and after"), key="covers-shown", type="tertiary", on_click=show_part)


def show_part() -> None:
    """Have the part of the covers in sight."""
    st.session_state[session.PART] = said(PART)


def fill_in_use() -> Fill:
    """What covers are filled with, also while their part is not in sight."""
    fill: Fill = st.session_state.get(FILL, next(iter(FILLS)))
    return fill


def take_drawn() -> None:
    """Take in what was just drawn on the frame under review."""
    box = frame_viewer.drawn(CHANNEL)
    if box is not None and (cover := drawn_cover(box)) is not None:
        cover_all(session.under_review(), [cover])


def cover_all(frame: Frame, covers: Sequence[Cover]) -> None:
    """Take these covers in, each once."""
    frame.covers.extend(cover for cover in covers if cover not in frame.covers)


def seen_picture(picture: Image.Image, reading: Case) -> Image.Image:
    """What the network saw, large enough to look at, and not stretched where the network saw it stretched."""
    size = reading.reference.classifier.preprocessing
    wide, high = (size.width, size.height) if size.crop_share else picture.size
    scale = PICTURE_PIXELS / max(wide, high)
    return displayed(picture, replace(size, width=max(1, round(wide * scale)), height=max(1, round(high * scale))))


def cover_fields(frame: Frame, place: int) -> None:
    """One rectangle in numbers, which arrow keys move; it is taken once it lies within the image."""
    values = []
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for side, value in zip(SIDES, astuple(frame.covers[place]), strict=True):
            asked = said("{side} of cover {place} (%)", side=said(side), place=place + 1)
            key = f"cover-{frame.number}-{place}-{side}"
            values.append(st.number_input(asked, 0.0, 100.0, round(100 * value, 2), STEP, "%.4g", key, width=150))
        st.button(
            said("Remove cover {place}", place=place + 1),
            key=f"cover-remove-{place}",
            on_click=remove,
            args=(frame, place),
        )
    if values != [round(100 * value, 2) for value in astuple(frame.covers[place])]:
        frame.covers[place] = Cover(*(value / 100 for value in values))
        st.rerun()  # the frame above shows it where it was


def remove(frame: Frame, place: int) -> None:
    """Take one cover away; those after it move up, and so do their fields."""
    del frame.covers[place]
    for key in [key for key in st.session_state if str(key).startswith(f"cover-{frame.number}-")]:
        del st.session_state[key]


def before_and_after(frame: Frame, reading: Case, fill: Fill) -> None:
    """Both verdicts and heatmaps, side by side."""
    picture = frame.decoded()
    changed = covered(picture, frame.covers, fill)
    after = read_covered(frame, reading, fill)
    before, beside = st.columns(2, gap="large")
    for column, title, case, shown in (
        (before, said("As it is"), reading, picture),
        (beside, said("Covered"), after, changed),
    ):
        with column:
            one_side(title, case, shown)
    st.caption(
        said("No guarantee for the covered image: it was changed by covering, and no ordinary image is like it.")
    )


def read_covered(frame: Frame, reading: Case, fill: Fill) -> Case:
    """The covered image under the detector in use: read again only where covers, filling or reference changed."""
    known = frame.covered
    if known is None or (known.covers, known.fill) != (tuple(frame.covers), fill):
        known = None
    if known is None or known.reference is not reading.reference:
        known = reading.cover(frame.decoded(), frame.covers, fill)
    if known.detector != reading.detector:
        known = known.under(reading.detector)
    known.take(heatmaps.chosen(reading.reference, METHOD))
    frame.covered = known
    return known


def one_side(title: str, case: Case, picture: Image.Image) -> None:
    """State, score and heatmap of the image, as it is or covered."""
    alpha = verdict.current_alpha()
    decision = verdict.decide(case, alpha)
    st.markdown(f"**{title}:** {verdict.marked(decision)}")
    st.markdown(
        said(
            "Score **{score}**. {standing}. The network’s own answer: {answer}, {sure} % sure.",
            score=significant(case.score),
            standing=words.standing(case.percentile, len(case.calibration), case.calibration.of_class),
            answer=plain(case.predicted_class),
            sure=f"{100 * case.probability:.0f}",
        )
    )
    if ALL not in case.maps:
        with st.spinner(label(VIEWER["waiting"])):
            list(case.draw(picture, [ALL]))
    alt = said("Heatmap of all neurons together, image {title}", title=title.lower())
    st.image(overlay(seen_picture(picture, case), case.maps[ALL]), width="stretch", alt=alt)
