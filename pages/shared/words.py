"""What the screens say: plain sentences for people who do not speak machine learning."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

from nero_core.figures.palette import significant
from nero_core.wording import (
    CALIBRATION_IMAGES,
    HEATMAPS_BY,
    NO_VERDICT,
    STANDING_LINE,
    heatmap_method,
    label,
    message,
    said,
)

if TYPE_CHECKING:
    from nero_core.calibration import Calibration
    from nero_core.detectors import Detector
    from nero_core.explanation import Explanation, NeroExplanation
    from nero_core.records import Decision

WHAT_IF = message(
    "A what-if is a computation of its own and **need not fall**: the whole score is worked out again, "
    "and setting some neurons back can raise it."
)
TOGETHER = message(
    "Flagging each image by itself lets a share of the ordinary ones be flagged, however many images "
    "there are. Together (Benjamini–Hochberg) at most that share of the flagged ones are false alarms on "
    "average: then fewer are flagged where nothing is unusual. Both speak of independent images; frames "
    "of one patient or clip are not."
)
MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$&^=:])")
ESCAPED_OR_STRONG = re.compile(r"\\(.)|\*")
WOULD_BE_LINKED = re.compile(r"(?<=:)|(?<=@)|(?i:(?<=www))")


def plain(text: str) -> str:
    """Untrusted text as Markdown that shows exactly that text: no link, picture, colour, formula or symbol."""
    unlinked = WOULD_BE_LINKED.sub("\u2060", " ".join(text.split()))  # word joiner: no width, breaks ":icon:" and URLs
    return MARKUP.sub(r"\\\1", unlinked)


def spoken(text: str) -> str:
    """A sentence of this page without its Markdown, as it is read out: what :func:`plain` escaped is itself again."""
    return ESCAPED_OR_STRONG.sub(r"\1", text.replace("\u2060", ""))


def reference_line(manifest: Mapping[str, Any]) -> str:
    """What a reference holds as usual."""
    names = [f"*{plain(name)}*" for name in manifest["classes"]]
    listed = said(" and ").join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
    if images := manifest["calibration"].get("images"):
        return said("Usual here: images of {listed}; {images} of them make the scale.", listed=listed, images=images)
    return said("Usual here: images of {listed}.", listed=listed)


def about() -> str:
    """What this is, in the menu."""
    return said(
        "NERO Dashboard: how unusual an endoscopy image is for a network, and why. {standing_line}",
        standing_line=said(STANDING_LINE),
    )


def heatmaps_by(methods: Iterable[str], meaning: bool = True) -> str:
    """Which method the heatmaps in sight are by, and what it does where that is said nowhere else."""
    from nero_core.attribution import METHODS  # the first paint waits for no network

    each = [
        f"**{plain(heatmap_method(m))}**" + (f" ({plain(said(METHODS[m].meaning))})" if meaning else "")
        for m in dict.fromkeys(methods)
    ]
    return f"{said(HEATMAPS_BY)} {said('; by ').join(each)}."


def count(share: float) -> str:
    """A share as a count people can picture: 0.05 → "5 in 100", 0.002 → "2 in 1000"."""
    of = 100 if share >= 0.01 else 1000 if share >= 0.001 else 10_000
    return said("{n} in {of}", n=significant(share * of), of=of)


def of_so_many(alpha: float, images: int) -> str:
    """What flagging each of so many images at α means."""
    return said(
        "Each image is judged by itself: of {images} ordinary images about {n} would be flagged at "
        "this setting. Frames of one patient or clip are not independent, so that it may be none or many.",
        images=images,
        n=significant(alpha * images),
    )


def flagged_together(flagged: int, images: int, alpha: float) -> str:
    """What flagging them together bounds."""
    return said(
        "Together, {flagged} of {images} images are flagged: of those, at most {alpha} are false alarms on "
        "average, if the images are independent and come from the reference’s source.",
        flagged=flagged,
        images=images,
        alpha=count(alpha),
    )


def of_100(percentile: float) -> int:
    """Of 100 calibration images, how many a score surely lies above."""
    return math.floor(100 * percentile + 1e-9)


def standing(percentile: float, references: int, of_class: str | None = None) -> str:
    """Where a score stands among the calibration images, those of one class where it is read by class."""
    if percentile >= 1:
        text = said("More unusual than every one of {n} calibration images", n=references)
    elif percentile <= 0:
        text = said("No more unusual than any of {n} calibration images", n=references)
    else:
        text = said("More unusual than {share} calibration images", share=share_below(percentile, references))
    return text + _read_as(of_class)


def _read_as(of_class: str | None) -> str:
    return "" if of_class is None else said(" read as *{class_name}*", class_name=plain(of_class))


def share_below(percentile: float, references: int) -> str:
    """A percentile as counts that can be checked: "71 of 100", and with fewer images their own, "15 of 21"."""
    if references < 100:
        return said("{n} of {of}", n=round(percentile * references), of=references)
    return said("{n} of {of}", n=of_100(percentile), of=100) if of_100(percentile) else said("fewer than 1 of 100")


def guarantee(alpha: float, decision: Decision, calibration: Calibration) -> str:
    """What the flag promises at this setting, or why it promises nothing.

    Parameters
    ----------
    alpha : float
    decision : Decision
    calibration : Calibration
        What the image was read against; see :meth:`~nero_core.calibration.Calibration.of`.
    """
    if not decision.guaranteed:
        return said(
            "No guarantee: {reason}; more ordinary images may be flagged than set.",
            reason=plain(said(decision.no_guarantee_because)),
        )
    whose = said("ordinary images from the same source")
    if decision.calibration_class is not None:
        whose += said(" that are read as *{class_name}*", class_name=plain(decision.calibration_class))
    if calibration.confident(alpha):
        sure = significant(100 * (calibration.settings.confidence or 0))
        return said(
            "At this setting at most {alpha} {whose} are flagged; {sure} in 100 sets of calibration images hold "
            "to this.",
            alpha=count(alpha),
            whose=whose,
            sure=sure,
        )
    low, high = (round(100 * share) for share in calibration.band(alpha))
    by = (
        said("{n} patients or clips", n=calibration.group_count)
        if calibration.group_count is not None
        else said("{n} images", n=len(calibration))
    )
    return said(
        "At this setting {alpha} {whose} are flagged on average; with these {by} to judge by, between {low} "
        "and {high}.",
        alpha=count(alpha),
        whose=whose,
        by=by,
        low=low,
        high=high,
    )


def refusal(alpha: float, smallest: float, references: int, of_class: str | None = None) -> str:
    """Why no verdict can be given at this setting."""
    return said(
        "{no_verdict} at this setting: {references} {calibration_images} are too few to promise {alpha}. "
        "Choose {least} in 100 or more, or a reference with more images.",
        no_verdict=label(NO_VERDICT),
        references=references,
        calibration_images=said(CALIBRATION_IMAGES) + _read_as(of_class),
        alpha=count(alpha),
        least=significant(math.ceil(1000 * smallest) / 10),
    )


def is_nero(explanation: Explanation | None) -> TypeGuard[NeroExplanation]:
    """Whether this is NERO's account, which knows relevance beside contributions."""
    from nero_core.explanation import NeroExplanation  # the first paint waits for no numerics

    return isinstance(explanation, NeroExplanation)


def is_explained(detector: Detector) -> bool:
    """Whether there is an exact account of this detector's scores."""
    from nero_core.detectors import ExplainedDetector

    return isinstance(detector, ExplainedDetector)


def lead(e: Explanation) -> str:
    """The account of a score in words; it starts with whichever part leads."""
    if is_nero(e):
        return lead_of_nero(e.distance, e.bias_term, e.low_relevance_share, e.nearest_class)
    neurons = e.factor * float(e.contributions.sum())
    text = said(
        "Held against usual *{class_name}* images, the neurons add up to **{neurons}**: each bar is one "
        "neuron's exact share.",
        class_name=plain(e.nearest_class),
        neurons=significant(neurons),
    )
    terms = ", ".join(f"{name} **{significant(e.factor * term)}**" for name, term in e.terms.items())
    return text + (said(" What no single neuron stands for: {terms}.", terms=terms) if terms else "")


def lead_of_nero(distance: float, bias_term: float, share: float, nearest: str) -> str:
    """NERO's account in words."""
    apart = said("its neurons worked differently from those of usual *{nearest}* images", nearest=plain(nearest))
    d, b = (f"**{significant(x)}**" for x in (distance, bias_term))
    if distance >= bias_term:
        text = said("**The distance leads:** {apart} ({d}). The bias term adds {b}.", apart=apart, d=d, b=b)
    else:
        text = said(
            "**The bias term leads** ({b}): much of the answer rests on the network's built-in preference rather "
            "than on what it saw. The distance adds {d}: {apart}.",
            b=b,
            d=d,
            apart=apart,
        )
    total = significant((distance + bias_term) * share)
    return f"{text} " + said(
        "Both count times **f = {share}**, the share of this image's activity in neurons that hardly "
        "mattered for the answer: ({distance} + {bias_term}) × {share} = **{total}**.",
        share=significant(share),
        distance=significant(distance),
        bias_term=significant(bias_term),
        total=total,
    )
