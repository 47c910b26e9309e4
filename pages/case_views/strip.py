"""Several images: the strip of their thumbnails, the table of their verdicts, and flagging them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from nero_core.data.input_checks import NOTHING_TO_JUDGE
from nero_core.figures.palette import NEUTRAL, STATE_COLOURS, Cell, rounded
from nero_core.records import Decision
from nero_core.storage.spreadsheets import inert
from nero_core.wording import FILMSTRIP, said
from pages.case_views.verdict import decide, marked
from pages.components.filmstrip import Thumbnail, chosen_in, filmstrip
from pages.shared import session, words
from pages.shared.session import Frame
from pages.shared.words import plain

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

STRIP, TABLE = "filmstrip", "frames"
NO_STATE = "○"
"""Before the word of an image without a verdict."""


def show(frames: Sequence[Frame], chosen: Frame, alpha: float) -> DeltaGenerator:
    """The strip with its counts, and beside it the table; of images that wait to be read both say so.

    Returns the place where it is told how far reading them is.
    """
    decisions = [decision_of(frame, alpha) for frame in frames]
    strip, beside = st.columns([10, 1], gap="small", vertical_alignment="center")
    with strip:
        thumbnails = [thumbnail(frame, decision) for frame, decision in zip(frames, decisions, strict=True)]
        filmstrip(STRIP, thumbnails, frames.index(chosen), counted(frames, decisions), _take)
    with beside:
        opened = st.popover(
            said("Table"), icon=":material/table_rows:", type="tertiary", key="case-table", on_change="rerun"
        )
        if opened.open:
            with opened:
                table(frames, decisions, alpha)
    return beside.empty()


def refused(frames: Sequence[Frame]) -> None:
    """Which files could not be read, and why; one line until it is opened, however many they are."""
    unread = [frame for frame in frames if frame.error is not None]
    if unread:
        with st.expander(
            said("{n} of {images} could not be read", n=len(unread), images=len(frames)), icon=":material/error:"
        ):
            for frame in unread:
                st.markdown(f"**{plain(frame.name)}**: {plain(frame.error or '')}")


def decision_of(frame: Frame, alpha: float) -> Decision | None:
    """The decision on an image; None where it is not read, cannot be, or has no verdict."""
    reading = frame.reading
    return None if reading is None or reading.nothing_to_judge else decide(reading, alpha)


def counted(frames: Sequence[Frame], decisions: Sequence[Decision | None]) -> str:
    """How many of the images that were read are flagged, and how many wait or cannot be read."""
    read = sum(frame.reading is not None for frame in frames)
    judged = sum(frame.reading is not None and not frame.reading.nothing_to_judge for frame in frames)
    flagged = sum(decision is not None and decision.state == "out-of-distribution" for decision in decisions)
    unread = sum(frame.error is not None for frame in frames)
    text = said("{flagged} of {judged} flagged", flagged=flagged, judged=judged)
    if judged < read:
        text += said(", {n} with nothing to judge", n=read - judged)
    if unread:
        text += said(", {n} could not be read", n=unread)
    if left := len(frames) - read - unread:
        text += said(", {n} to be read", n=left)
    return text


def thumbnail(frame: Frame, decision: Decision | None) -> Thumbnail:
    """One image of the strip, with the sign, word and colour of its state."""
    if decision is not None:
        mark, word = marked(decision).split(" ", 1)
        colour, flagged = STATE_COLOURS[decision.state], decision.state == "out-of-distribution"
    else:
        mark, colour, flagged = NO_STATE, NEUTRAL, False
        word = verdict_of(frame, None)
    return Thumbnail(frame.thumbnail, frame.name, mark, word, colour, flagged)


def verdict_of(frame: Frame, decision: Decision | None) -> str:
    """What the table says of an image."""
    if frame.error is not None:
        return said(FILMSTRIP["unread"])
    if frame.reading is None:
        return said("waits to be read")
    return said(NOTHING_TO_JUDGE) if frame.reading.nothing_to_judge else marked(decision)


def table(frames: Sequence[Frame], decisions: Sequence[Decision | None], alpha: float) -> None:
    """All images of the case, sortable; choosing a row puts it under review."""
    together = batch_control(decisions, alpha)
    rows: list[dict[str, Cell]] = []
    for place, (frame, decision) in enumerate(zip(frames, decisions, strict=True)):
        named = f"{place + 1} · {frame.name}"  # two folders may hold files of one name
        row: dict[str, Cell] = {
            said("image"): inert(named),
            said("verdict"): verdict_of(frame, decision),
        }  # saved as CSV
        if (reading := frame.reading) is not None:
            judged = not reading.nothing_to_judge
            standing = words.share_below(reading.percentile, len(reading.calibration))
            row |= {
                said("checks"): ", ".join(said(check.name) for check in reading.checks) or None,
                said("more unusual than"): standing if judged else None,
                **({} if together is None else {said("flagged together"): together.get(place)}),
                said("bound holds"): None if decision is None else said("yes") if decision.guaranteed else said("no"),
                said("score"): rounded(reading.score),
                said("closest to"): reading.explanation.nearest_class if reading.explanation else None,
                said("network’s answer"): reading.predicted_class if judged else None,
                said("sure (%)"): round(100 * reading.probability) if judged else None,
            }
        rows.append(row)
    st.dataframe(
        rows,
        hide_index=True,
        placeholder="–",
        key=TABLE,
        on_select=_choose_row,
        selection_mode="single-row",
        alt=said("All images of the case with their verdicts; select a row to review that image"),
    )


def batch_control(decisions: Sequence[Decision | None], alpha: float) -> dict[int, str] | None:
    """What flagging each image at α means for so many, and flagging them together: {place: "yes" or "no"} where asked.

    Benjamini–Hochberg bounds the share of false alarms among the flagged instead of among the ordinary images.
    """
    from nero_core.calibration import flag_batch

    decided = [place for place, decision in enumerate(decisions) if decision is not None]
    if not decided:
        return None
    st.caption(words.of_so_many(alpha, len(decided)))
    if not st.toggle(said("Flag together"), key="flag-together", persist_state="session", help=said(words.TOGETHER)):
        return None
    flags = flag_batch([decision.p_value for decision in decisions if decision is not None], alpha)
    st.caption(words.flagged_together(int(flags.sum()), len(decided), alpha))
    return {place: said("yes") if flag else said("no") for place, flag in zip(decided, flags, strict=True)}


def _take() -> None:
    if (place := chosen_in(STRIP)) is not None:
        session.choose(place)


def _choose_row() -> None:
    if rows := st.session_state[TABLE].selection.rows:
        session.choose(rows[0])
