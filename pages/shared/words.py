"""What the screens say: plain sentences for people who do not speak machine learning."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

from nero_core.figures.palette import significant
from nero_core.wording import CALIBRATION_IMAGES, HEATMAPS_BY, NO_VERDICT, STANDING_LINE, heatmap_method, label, said

if TYPE_CHECKING:
    from nero_core.calibration import Calibration
    from nero_core.detectors import Detector
    from nero_core.explanation import Explanation, NeroExplanation
    from nero_core.records import Decision

WHAT_IF = (
    "A what-if is a computation of its own and **need not fall**: the whole score is worked out again, and setting "
    "some neurons back can raise it."
)
TOGETHER = (
    "Flagging each image by itself lets a share of the ordinary ones be flagged, however many images there are. "
    "Together (Benjamini–Hochberg) at most that share of the flagged ones are false alarms on average: then fewer are "
    "flagged where nothing is unusual. Both speak of independent images; frames of one patient or clip are not."
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
    listed = " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
    images = manifest["calibration"].get("images")
    return f"Usual here: images of {listed}" + (f"; {images} of them make the scale." if images else ".")


def about() -> str:
    """What this is, in the menu."""
    return f"NERO Dashboard: how unusual an endoscopy image is for a network, and why. {said(STANDING_LINE)}"


def heatmaps_by(methods: Iterable[str], meaning: bool = True) -> str:
    """Which method the heatmaps in sight are by, and what it does where that is said nowhere else."""
    from nero_core.attribution import METHODS  # the first paint waits for no network

    each = [
        f"**{plain(heatmap_method(m))}**" + (f" ({plain(METHODS[m].meaning)})" if meaning else "")
        for m in dict.fromkeys(methods)
    ]
    return f"{said(HEATMAPS_BY)} {'; by '.join(each)}."


def count(share: float) -> str:
    """A share as a count people can picture: 0.05 → "5 in 100", 0.002 → "2 in 1000"."""
    of = 100 if share >= 0.01 else 1000 if share >= 0.001 else 10_000
    return f"{significant(share * of)} in {of}"


def of_so_many(alpha: float, images: int) -> str:
    """What flagging each of so many images at α means."""
    return (
        f"Each image is judged by itself: of {images} ordinary images about {significant(alpha * images)} would be "
        "flagged at this setting. Frames of one patient or clip are not independent, so that it may be none or many."
    )


def flagged_together(flagged: int, images: int, alpha: float) -> str:
    """What flagging them together bounds."""
    return (
        f"Together, {flagged} of {images} images are flagged: of those, at most {count(alpha)} are false alarms on "
        "average, if the images are independent and come from the reference’s source."
    )


def of_100(percentile: float) -> int:
    """Of 100 calibration images, how many a score surely lies above."""
    return math.floor(100 * percentile + 1e-9)


def standing(percentile: float, references: int, of_class: str | None = None) -> str:
    """Where a score stands among the calibration images, those of one class where it is read by class."""
    images = _calibration_images(of_class)
    if percentile >= 1:
        return f"More unusual than every one of {references} {images}"
    if percentile <= 0:
        return f"No more unusual than any of {references} {images}"
    return f"More unusual than {share_below(percentile, references)} {images}"


def _calibration_images(of_class: str | None) -> str:
    return said(CALIBRATION_IMAGES) + (f" read as *{plain(of_class)}*" if of_class is not None else "")


def share_below(percentile: float, references: int) -> str:
    """A percentile as counts that can be checked: "71 of 100", and with fewer images their own, "15 of 21"."""
    if references < 100:
        return f"{round(percentile * references)} of {references}"
    return f"{of_100(percentile)} of 100" if of_100(percentile) else "fewer than 1 of 100"


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
        return f"No guarantee: {plain(decision.no_guarantee_because)}; more ordinary images may be flagged than set."
    whose = "ordinary images from the same source"
    if decision.calibration_class is not None:
        whose += f" that are read as *{plain(decision.calibration_class)}*"
    if calibration.confident(alpha):
        sure = significant(100 * (calibration.settings.confidence or 0))
        return (
            f"At this setting at most {count(alpha)} {whose} are flagged; {sure} in 100 sets of calibration images "
            "hold to this."
        )
    low, high = (round(100 * share) for share in calibration.band(alpha))
    by = (
        f"{calibration.group_count} patients or clips"
        if calibration.group_count is not None
        else f"{len(calibration)} images"
    )
    return (
        f"At this setting {count(alpha)} {whose} are flagged on average; with these {by} to judge by, "
        f"between {low} and {high}."
    )


def refusal(alpha: float, smallest: float, references: int, of_class: str | None = None) -> str:
    """Why no verdict can be given at this setting."""
    return (
        f"{label(NO_VERDICT)} at this setting: {references} {_calibration_images(of_class)} are too few to "
        f"promise {count(alpha)}. Choose {significant(math.ceil(1000 * smallest) / 10)} in 100 or more, or a reference "
        "with more images."
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
    text = (
        f"Held against usual *{plain(e.nearest_class)}* images, the neurons add up to **{significant(neurons)}**: each "
        "bar is one neuron's exact share."
    )
    terms = ", ".join(f"{name} **{significant(e.factor * term)}**" for name, term in e.terms.items())
    return text + (f" What no single neuron stands for: {terms}." if terms else "")


def lead_of_nero(distance: float, bias_term: float, share: float, nearest: str) -> str:
    """NERO's account in words."""
    apart = f"its neurons worked differently from those of usual *{plain(nearest)}* images"
    d, b = (f"**{significant(x)}**" for x in (distance, bias_term))
    if distance >= bias_term:
        text = f"**The distance leads:** {apart} ({d}). The bias term adds {b}."
    else:
        text = (
            f"**The bias term leads** ({b}): much of the answer rests on the network's built-in preference rather than "
            f"on what it saw. The distance adds {d}: {apart}."
        )
    total = significant((distance + bias_term) * share)
    return (
        f"{text} Both count times **f = {significant(share)}**, the share of this image's activity in neurons that "
        f"hardly mattered for the answer: ({significant(distance)} + {significant(bias_term)}) × {significant(share)} "
        f"= **{total}**."
    )
