"""What the handout has of each of the seven steps: its words, its picture, and its numbers, all of them computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from nero_core.attribution.faithfulness import CELLS
from nero_core.data.images import read_image
from nero_core.figures.data_urls import fitted, jpeg_url
from nero_core.figures.overlays import overlay
from nero_core.figures.palette import STATE_COLOURS, significant
from nero_core.lesson import changes
from nero_core.lesson.frames import BUNDLED_FRAMES, SURE, LessonFrame, LessonFrames, Role
from nero_core.lesson.heatmap_trial import HeatmapTrial, TwoMaps
from nero_core.lesson.plane import plane_of, read_point
from nero_core.lesson.readings import FrameReading, read_all
from nero_core.lesson.small_network import NEURONS, SmallNetwork, WorkedOut, holds, work_out
from nero_core.lesson.steps import STEPS
from nero_core.lesson.threshold import Scored, bundled_scores
from nero_core.reference.reference import Reference
from nero_core.reports.handout_pictures import Curve, network_drawing, plane_drawing, roc_drawing
from nero_core.wording import heatmap_method, said, state_mark

ALPHA = 0.05
DETECTORS = ("nero", "panel")
PIXELS = 360
"""Longest side of a printed frame: 300 to the inch at three centimetres."""


@dataclass(frozen=True)
class Printed:
    """One picture as it is printed.

    Attributes
    ----------
    url : str
        A ``data:`` address.
    alt : str
    lines : texts
        Written below it.
    colour : str
        Of a verdict's state, as a bar under the picture; empty where there is none.
    """

    url: str
    alt: str
    lines: tuple[str, ...] = ()
    colour: str = ""


@dataclass(frozen=True)
class Drawn:
    """Pictures and numbers of one step.

    Attributes
    ----------
    pictures : sequence of Printed
    facts : texts
        Sentences with the numbers.
    strip : bool
        Whether the pictures go across the page.
    """

    pictures: Sequence[Printed]
    facts: Sequence[str]
    strip: bool = False


@dataclass(frozen=True)
class HandoutStep:
    """One step on the handout: its words in the language in use, and what was drawn and computed for it."""

    number: int
    title: str
    idea: str
    take_home: str
    drawn: Drawn


def handout_steps(reference: Reference, frames: LessonFrames) -> list[HandoutStep]:
    """The seven steps, computed.

    Raises
    ------
    InputError
        The reference has no sample for the plane, or a picture cannot be read.
    ArtefactError
        Bundled scores are missing, or are another reference's.
    """
    drawn = {
        "sure_and_wrong": sure_and_wrong(reference, frames),
        "feature_to_relevance": feature_to_relevance(),
        "centroids": centroids(reference, frames),
        "threshold": threshold(reference),
        "break_it": break_it(reference, frames),
        "predict": predict(reference, frames),
        "heatmaps_can_lie": heatmaps_can_lie(reference, frames),
    }
    return [
        HandoutStep(number, said(step.title), said(step.idea), said(step.take_home), drawn[step.name])
        for number, step in enumerate(STEPS, start=1)
    ]


# Steps 1 and 6: six frames and what is said of them --------------------------------------------------------------


def sure_and_wrong(reference: Reference, frames: LessonFrames) -> Drawn:
    """Six frames with the network's answer, and whether it is what is shown."""
    found = read_all(reference, frames.sure_and_wrong)
    sure = [reading for reading in found if reading.confidence >= SURE]
    counted = said(
        "At least {percent} % sure: {sure} of {count}. {strange} of these show something that it was never trained on.",
        count=len(found), percent=significant(100 * SURE), sure=len(sure),
        strange=sum(not reading.frame.known for reading in sure),
    )  # fmt: skip
    knows = said("It knows {classes}, and nothing else.", classes=", ".join(reference.classes))
    searched = said(
        "Searched for as surely answered: {pictures}. In brackets: how many rendered scenes of that kind are.",
        pictures=_searched(frames.sure_and_wrong, without="learnt"),
    )
    return Drawn([_answered(number, reading) for number, reading in enumerate(found, 1)], [counted, knows, searched],
                 strip=True)  # fmt: skip


def _answered(number: int, reading: FrameReading) -> Printed:
    answer = said(
        "“{answer}”, {confidence} % sure", answer=reading.answer, confidence=significant(100 * reading.confidence)
    )
    shown = f"{'✓' if reading.right else '✕'} {said('It shows: {kind}', kind=reading.frame.kind)}"
    return Printed(_frame_url(reading.frame), _alt(number, reading), (answer, shown))


def predict(reference: Reference, frames: LessonFrames) -> Drawn:
    """Six frames with the verdict of the panel and of NERO."""
    found = read_all(reference, frames.predict)
    counted = said(
        "Finding and verdict go together: {together} of {count}. Flagged without a finding: {alarms}. Not flagged with "
        "one: {missed}.",
        together=sum(reading.together for reading in found), count=len(found),
        alarms=sum(reading.flagged and not reading.finding for reading in found),
        missed=sum(reading.finding and not reading.flagged for reading in found),
    )  # fmt: skip
    searched = said(
        "Searched for by their verdict: {pictures}. In brackets: how many rendered scenes of that kind have the same.",
        pictures=_searched(frames.predict, without="learnt"),
    )
    return Drawn([_judged(number, reading) for number, reading in enumerate(found, 1)], [counted, searched], strip=True)


def _judged(number: int, reading: FrameReading) -> Printed:
    shows = (
        said("Finding: {kind}", kind=reading.frame.kind)
        if reading.finding
        else said("No finding: {kind}", kind=reading.frame.kind)
    )
    panel = said("Panel: {state}", state=_state(reading.panel.state))
    share = said("Panel’s p = {p}", p=significant(reading.panel.p_value, 2))
    nero = said("NERO: {state}", state=_state(reading.nero.state))
    colour = STATE_COLOURS[reading.panel.state]
    return Printed(_frame_url(reading.frame), _alt(number, reading), (shows, panel, share, nero), colour)


def _searched(frames: Sequence[LessonFrame], without: Role) -> str:
    """The numbers of the pictures that are no sample, and among how many scenes each was found."""
    return ", ".join(
        said("{number} ({found} of {searched})", number=number, found=frame.found, searched=frame.searched)
        for number, frame in enumerate(frames, start=1)
        if frame.role != without
    )


# Step 2: the worked example ---------------------------------------------------------------------------------------


def feature_to_relevance() -> Drawn:
    """The small network, one relevance worked out, and the sum."""
    found = work_out(SmallNetwork())
    terms = " + ".join(_bracketed(value) for value in (*found.relevance.tolist(), found.bias_relevance))
    written = f"{terms} = {significant(found.total, 6)}"
    total = (
        said("All neurons and the bias: {sum}. The sum holds.", sum=written)
        if holds(found.total)
        else said("All neurons and the bias: {sum}. The sum does not hold.", sum=written)
    )
    alt = said(
        "A network of {neurons} neurons and {classes} classes with its activations, weights and biases; the relevance "
        "of the neurons is {relevance}, that of the bias {bias}.",
        neurons=NEURONS, classes=len(found.logits), relevance=", ".join(map(significant, found.relevance.tolist())),
        bias=significant(found.bias_relevance),
    )  # fmt: skip
    facts = [
        said("a: activation, W: weight (beside each line), b: bias, z = W a + b, p: softmax of z."),
        said("Relevance of a neuron j: {formula}", formula="rⱼ = Σₖ pₖ · aⱼ Wₖⱼ / zₖ"),
        said("Of neuron {number}: {worked}", number=1, worked=_worked(found, 0)),
        total,
    ]
    return Drawn([Printed(network_drawing(found), alt)], facts)


def _worked(found: WorkedOut, j: int) -> str:
    """The formula of one neuron with its numbers in it."""
    a = significant(float(found.activations[j]))
    parts = [
        f"{significant(p)} · {a} · {_bracketed(weight)} / {_bracketed(z)}"
        for p, weight, z in zip(found.probabilities, found.weights[:, j], found.divided_by, strict=True)
    ]
    return f"{' + '.join(parts)} = {significant(float(found.relevance[j]))}"


def _bracketed(value: float) -> str:
    return f"({significant(value)})" if value < 0 else significant(value)


# Steps 3 and 4: the plane and the threshold -----------------------------------------------------------------------


def centroids(reference: Reference, frames: LessonFrames) -> Drawn:
    """The plane with one frame's way to the nearest centroid."""
    plane = plane_of(reference)
    frame, number = _with_role(frames, "caught")
    places, terms = plane.place(reference.activations_of([_picture(frame)]))
    found = read_point(plane.centroids, places[0], float(terms.bias_term[0]), float(terms.low_share[0]))
    nearest = plane.classes[found.nearest]
    a, b = (significant(float(value)) for value in found.along)
    alt = said(
        "Pictures and the centroids of {count} classes; the way from one picture to the nearest, {name}, leads over "
        "{a} along the first axis and {b} along the second.",
        count=len(plane.classes), name=nearest, a=a, b=b,
    )  # fmt: skip
    facts = [
        said("★: picture {number} of step 6. Nearest centroid here: {name}.", number=number, name=nearest),
        said("Along the axes {a} + {b} = {distance}; with a ruler it would be {straight}.", a=a, b=b,
             distance=significant(found.distance), straight=significant(found.straight)),
        said("These two axes show {share} % of the variance. In all {components} components its score is S = (D + B) · "
             "f = ({distance} + {bias}) · {factor} = {score}.", share=significant(100 * plane.share, 2),
             components=plane.components, distance=significant(float(terms.distance[0])),
             bias=significant(float(terms.bias_term[0])), factor=significant(float(terms.low_share[0])),
             score=significant(float(terms.score[0]))),
    ]  # fmt: skip
    return Drawn([Printed(plane_drawing(plane, found.path), alt)], facts)


def threshold(reference: Reference) -> Drawn:
    """ROC curves of NERO and of the panel, with the points at α and what they cost."""
    scored = [bundled_scores(reference, name) for name in DETECTORS if name in reference.detectors]
    counted = [each.counts(ALPHA) for each in scored]
    percent = significant(100 * ALPHA)
    facts = [
        said("Promised at α = {percent} %: on average at most {percent} in 100 ordinary images are flagged.",
             percent=percent)
    ]  # fmt: skip
    facts += [
        said("{detector}: {alarms} of {ordinary} ordinary images flagged, {missed} of {unusual} unusual ones missed.",
             detector=each.title, alarms=counts.false_alarms, ordinary=counts.ordinary, missed=counts.missed_in_all,
             unusual=counts.unusual)
        for each, counts in zip(scored, counted, strict=True)
    ]  # fmt: skip
    facts.append(said("All of these images are rendered."))
    points = "; ".join(
        said("{detector} flags {ordinary} % of the ordinary and {unusual} % of the unusual images",
             detector=each.title, ordinary=significant(100 * counts.point[0]),
             unusual=significant(100 * counts.point[1]))
        for each, counts in zip(scored, counted, strict=True)
    )  # fmt: skip
    alt = said("ROC curves; at α = {percent} %, {points}.", percent=percent, points=points)
    curves = [_curve(each, counts.point) for each, counts in zip(scored, counted, strict=True)]
    return Drawn([Printed(roc_drawing(curves, ALPHA), alt)], facts)


def _curve(scored: Scored, point: tuple[float, float]) -> Curve:
    ordinary, unusual = scored.roc()
    return Curve(scored.title, ordinary, unusual, point)


# Steps 5 and 7: a changed picture, and a map of a network that knows nothing --------------------------------------


def changed(picture: Image.Image) -> tuple[Image.Image, str]:
    """The picture after one change that no eye takes for a disease, and what was done."""
    blur = changes.CHANGES["blur"]
    return changes.changed(picture, {"blur": changes.HALF}), f"{said(blur.title)}: {blur.in_units(changes.HALF)}"


def break_it(reference: Reference, frames: LessonFrames) -> Drawn:
    """An ordinary frame before and after a change, with both scores."""
    frame, number = _with_role(frames, "ordinary")
    before = _picture(frame)
    after, what = changed(before)
    seen = reference.activations_of([before, after])
    panel, nero = reference.decide(seen, alpha=ALPHA), reference.decide(seen, "nero", ALPHA)
    titles = (said("As it is"), what)
    pictures = [
        Printed(
            _url(picture),
            said("Picture {number} of step 6, {title}: {state}", number=number, title=title,
                 state=_state(panel[i].state)),
            (
                said("{title}; the panel: {state}", title=title, state=_state(panel[i].state)),
                said("NERO’s score: {score}", score=significant(nero[i].score)),
            ),
            STATE_COLOURS[panel[i].state],
        )
        for i, (picture, title) in enumerate(zip((before, after), titles, strict=True))
    ]  # fmt: skip
    facts = [
        said("Picture {number} of step 6 ({kind}). The place is the same, and so is what is ill or well in it.",
             number=number, kind=frame.kind),
        said("NERO’s score goes from {before} to {after}.", before=significant(nero[0].score),
             after=significant(nero[1].score)),
        said("The panel: p = {before} becomes p = {after}; {old} becomes {new}.",
             before=significant(panel[0].p_value, 2), after=significant(panel[1].p_value, 2),
             old=_state(panel[0].state), new=_state(panel[1].state))
        if panel[0].state != panel[1].state
        else said("The panel: p = {before} becomes p = {after}, and it stays with {state}.",
                  before=significant(panel[0].p_value, 2), after=significant(panel[1].p_value, 2),
                  state=_state(panel[0].state)),
    ]  # fmt: skip
    return Drawn(pictures, facts)


def two_maps(reference: Reference, picture: Image.Image) -> tuple[HeatmapTrial, TwoMaps]:
    """The trial of both networks, and the maps of one picture by the best method that the network has."""
    trial = HeatmapTrial(reference)
    return trial, trial.maps(picture, trial.best)


def heatmaps_can_lie(reference: Reference, frames: LessonFrames) -> Drawn:
    """A frame, and two maps of it: one of the network, one of the same with shuffled weights."""
    frame, number = _with_role(frames, "caught")
    picture = _picture(frame)
    trial, maps = two_maps(reference, picture)
    seen = trial.shown(picture)
    titles = (said("Picture {number} of step 6", number=number), said("A: trained network"),
              said("B: shuffled weights"))  # fmt: skip
    shown = (seen, overlay(seen, maps.trained, outline=True), overlay(seen, maps.shuffled, outline=True))
    facts = [
        said("Both maps by {method}; white outline: the strongest region.", method=heatmap_method(trial.best)),
        said("The network of B knows nothing: its weights are those of A in another order."),
        said("Rank correlation of the two maps over {cells} × {cells} cells: {alike} (1: the same order, 0: no more "
             "alike than by chance).", cells=CELLS, alike=significant(maps.agreement, 2)),
    ]  # fmt: skip
    return Drawn([Printed(_url(each), title, (title,)) for each, title in zip(shown, titles, strict=True)], facts)


# Frames -----------------------------------------------------------------------------------------------------------


def _with_role(frames: LessonFrames, role: Role) -> tuple[LessonFrame, int]:
    """The first frame of step 6 with a role, and its number there; the first of all where none has it."""
    numbered = [(frame, number) for number, frame in enumerate(frames.predict, start=1)]
    return next(((frame, number) for frame, number in numbered if frame.role == role), numbered[0])


def _picture(frame: LessonFrame) -> Image.Image:
    return read_image((BUNDLED_FRAMES / frame.file).read_bytes())


def _frame_url(frame: LessonFrame) -> str:
    return _url(_picture(frame))


def _url(picture: Image.Image) -> str:
    return jpeg_url(fitted(picture.convert("RGB"), PIXELS))


def _alt(number: int, reading: FrameReading) -> str:
    return said("Picture {number}, rendered: {kind}", number=number, kind=reading.frame.kind)


def _state(state: str) -> str:
    """Its sign and its word, which no line's end comes between."""
    return state_mark(state).replace(" ", "\u00a0")
