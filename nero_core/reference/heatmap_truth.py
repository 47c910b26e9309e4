"""Whether heatmaps are true, in the words of the model card, of the command line and of the pages; loads no torch.

What was measured on calibration images lies in the manifest; what is measured on demand is a
:class:`~nero_core.attribution.faithfulness.Faithfulness`. Both are judged by one rule,
:attr:`~nero_core.metrics.Effect.better`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nero_core.errors import ArtefactError
from nero_core.metrics import MEDIUM_EFFECT, Effect, effect
from nero_core.reference.manifest import ADVICE, MANIFEST_NAME
from nero_core.reference.manifest_fields import HeatmapFields, MethodFields
from nero_core.storage.json_files import checked
from nero_core.wording import CHANCE_DOES_AS_WELL, label, message, said

FLAT_FROM = 0.75
"""Share of an answer that is left without the image: from here on its curve is called flat. Our choice: whatever order
of places a heatmap gives, it can then move the answer by a quarter at most."""
RULE = message(
    "Better than chance is said where the 95 % interval of the gain lies above 0 and the gain is at least "
    "{effect} standard deviations of the single gains (Cohen’s d_z, 1988: a medium effect)",
    effect=f"{MEDIUM_EFFECT:g}",
)
"""When a heatmap is called better than chance; no full stop."""
LEFT_RULE = message(
    "The share that does not need the image is the last point of the deletion curve over its first: the whole image "
    "blurred, of which coarse colours stay. From {share} % on the curve is called flat",
    share=f"{100 * FLAT_FROM:.0f}",
)
"""What the share is; no full stop."""
Of = Literal["answer", "score"]
THIS: Mapping[Of, str] = {"answer": message("this answer"), "score": message("this score")}
THE: Mapping[Of, str] = {"answer": message("the answer"), "score": message("the score")}
NOT_KNOWN: Mapping[Of, tuple[str, str]] = {
    "answer": (
        message("How much of the answer does not need the image was not measured"),
        message("How much of this answer does not need the image was not measured"),
    ),
    "score": (
        message(
            "How much of the score does not need the image cannot be told, as scores of this detector can be 0 or less"
        ),
        message(
            "How much of this score does not need the image cannot be told, as scores of this detector can be 0 or less"
        ),
    ),
}
"""Of several images, and of one."""
LEFT: Mapping[Of, tuple[str, str, str, str]] = {
    "answer": (
        message("{share} of {whose} does not need the image: so much of its probability is left {when}"),
        message("None of {whose} needs the image: its probability is {share} of itself {when}"),
        message("{whose} rises to {share} of itself {when}: blurring does not tell how much of it needs the image"),
        message("{share} of {whose} is left {when}"),
    ),
    "score": (
        message("{share} of {whose} does not need the image: so much of it is left {when}"),
        message("None of {whose} needs the image: it is {share} of itself {when}"),
        message("{whose} rises to {share} of itself {when}: blurring does not tell how much of it needs the image"),
        message("{share} of {whose} is left {when}"),
    ),
}
"""What a flat curve comes to where it falls and where it rises, and any other where it rises and where it falls."""


@dataclass(frozen=True)
class StoredHeatmaps:
    """How true the heatmaps of each method were when a reference was fitted.

    Attributes
    ----------
    images : int
        On how many calibration images.
    methods : list of rows
        One per method, that by which heatmaps are made first, as
        :func:`~nero_core.attribution.faithfulness.heatmap_summary` gives them.
    random : row
        That of the random orders.
    left : float or None
        Share of the answer that is left without the image; None where an earlier version did not measure it.
    """

    images: int
    methods: list[dict[str, Any]]
    random: dict[str, Any]
    left: float | None

    def effect(self, row: Mapping[str, Any]) -> Effect:
        """How much more than chance a method's maps gain; rows of earlier versions are judged by the same rule."""
        return effect(row["gain"], row["gain_standard_error"], self.images)


def stored_heatmaps(manifest: Mapping[str, Any]) -> StoredHeatmaps | None:
    """How true the heatmaps of each method were at the fit; None where it was not measured.

    Raises
    ------
    ArtefactError
        A field is missing or of another type.
    """
    if (kept := manifest.get("heatmaps")) is None:
        return None
    checked(kept, HeatmapFields, MANIFEST_NAME, ADVICE, "heatmaps")
    *methods, random = kept["methods"] or [None]
    checked(methods, list[MethodFields], MANIFEST_NAME, ADVICE, "heatmaps.methods")
    if not methods:
        raise ArtefactError(
            f"{MANIFEST_NAME}, field `heatmaps.methods` has no method beside the random order. {ADVICE}"
        )
    return StoredHeatmaps(kept["images"], methods, random, kept.get("left"))


def said_of_chance(found: Effect) -> str:
    """Whether a heatmap is better than chance, as a clause."""
    if found.low is None:
        return said("one image alone does not tell whether chance can do as well")
    if found.better:
        return said("better than chance")
    if found.certain:
        if found.standardized is None:
            return said("more than chance by so little that it is not called better")
        return said(
            "more than chance by so little (d_z {size}, below {least}) that it is not called better",
            size=f"{found.standardized:.2f}",
            least=f"{MEDIUM_EFFECT:g}",
        )
    if found.high is not None and found.high < 0:
        return said("worse than chance")
    return said(CHANCE_DOES_AS_WELL)


def is_flat(left: float | None, of: Of = "answer") -> bool:
    """Whether so much is left without the image that the order of places means little.

    A score may rise instead, as a blurred image is unusual itself: by more than it may fall, and its curve is not flat.
    """
    return left is not None and left >= FLAT_FROM and (of == "answer" or left <= 1 / FLAT_FROM)


def said_of_left(left: float | None, images: int = 1, of: Of = "answer") -> str:
    """How much of an answer, or of a score, does not need the image; no full stop.

    Parameters
    ----------
    left : float or None
        Share that is left; None where it is not known.
    images : int
        Over how many it is the mean.
    """
    if left is None:
        return said(NOT_KNOWN[of][images == 1])
    told = LEFT[of][0 if is_flat(left, of) and left <= 1 else 1 if is_flat(left, of) else 2 if left > 1 else 3]
    when = (
        said("when the whole image is blurred away")
        if images == 1
        else said("when the whole image is blurred away, on average over {n} images", n=images)
    )
    whose = said((THIS if images == 1 else THE)[of])
    return label(told, share=f"{100 * left:.0f}\u00a0%", whose=whose, when=when)
