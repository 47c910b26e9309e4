"""Case review: drop images, read how unusual each of them is, and see why; all on one screen."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from nero_core.case import ALL, Case
from nero_core.wording import said
from pages.case_views import checks, covers, evidence, opening, parts, reasons, strip, top_neurons, verdict, viewer
from pages.components.case_watch import case_watch
from pages.shared import controls, door, heatmaps, reading, resources, session, widgets
from pages.shared.words import plain

if TYPE_CHECKING:
    from nero_core.reference.reference import Reference


def one_screen(frame: session.Frame, read: Case) -> Callable[[], None]:
    """The frame, its verdict, and below them all that explains it, one press away each; returns what makes the rest."""
    if checks.nothing_to_judge(frame, read):
        case_watch(frame.number, f"{frame.name}: {said(checks.NOTHING)}", verdict.HEADLINE)
        return lambda: None
    top_neurons.take_method(frame, read)
    left, right = st.columns([5, 6], gap="medium")
    with right, st.container(key="card", gap="xsmall"):
        tables = verdict.headline(read)
        below = st.container(gap="xsmall")
    told = f"{frame.name}: {verdict.announced(read)}"
    case_watch(frame.number, told, verdict.HEADLINE, session.PART, parts.opened())
    with left:
        viewer.show(frame, read, len(session.case()) > 1, covers.take_drawn)
        with st.container(key="below-frame", gap="xxsmall"):
            noticed = st.container(gap="xxsmall")
            with st.container(horizontal=True, vertical_alignment="center"):
                about, effects = st.container(), st.container(width="content")
        layers = st.container(key="layers")
        with layers:
            place = st.empty()
            laid = reasons.lay_place(frame, read, place)
            viewer.make(frame, read, [ALL], about)
        with noticed:  # once the frame has its height: else it would stand in its place first, and move
            checks.noticed(read)
            covers.in_short(frame, read)
        with effects:
            checks.effects(read)
    with below:
        why = evidence.show(read, tables)
        reasons.show_sentence(frame, read, why)
    verdict.promises(read)
    waiting = parts.in_sight(frame, read)

    def rest() -> None:
        with layers:
            viewer.make(frame, read, waiting.maps, about)
            viewer.tell(frame, read, [ALL, *waiting.maps], about)
            if waiting.method is not None:
                with waiting.method:
                    heatmaps.method_control(read.reference, top_neurons.METHOD)
            reasons.tell(frame, read, why, waiting.concepts)
            if not laid:
                reasons.lay_place(frame, read, place)
        if waiting.carried is not None:
            reasons.show_carried(frame, read, waiting.carried)

    return rest


def review(frames: Sequence[session.Frame], reference: "Reference") -> None:
    """The image under review first, then the others, so that nobody waits for the last of many."""
    detector, frame = session.detector(reference), session.under_review()
    reading.read(frame, reference, detector)
    waiting = reading.waiting(frames, reference)
    for other in frames:
        if other not in waiting:
            reading.read(other, reference, detector)
        if other is not frame:
            other.picture = None  # only the image under review is kept decoded
    progress = strip.show(frames, frame, verdict.current_alpha()) if len(frames) > 1 else None
    if len(frames) > 1:
        strip.refused(frames)
    if frame.error is not None:
        st.error(said("**{name}** could not be read. {error}", name=plain(frame.name), error=plain(frame.error)))
    rest = one_screen(frame, frame.reading) if frame.reading is not None and frame.error is None else None
    if waiting and progress is not None:

        def tell(done: int, of: int) -> None:
            progress.progress(done / of, text=said("Read {done} of {of} more images", done=done, of=of))

        reading.read_case(waiting, reference, detector, tell)
        st.rerun()
    session.tell_added()
    if rest is not None:
        rest()


door.enter()
entry = widgets.needed_reference()
first = st.empty()  # so that it is gone as soon as a case is open, and not only once the page is through
if frames := session.case():
    opening.in_header(entry)
    with controls.errors_said():
        review(frames, resources.reference(entry.path))
else:
    case_watch(None)
    with first.container():
        opening.first_screen(entry)
    widgets.make_charts_ready()
