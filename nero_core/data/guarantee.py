"""What images that calibrate promise, and how many of them that takes: settings, and a record that is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from nero_core.errors import InputError
from nero_core.storage.typed import Count
from nero_core.wording import Message, message

DEFAULT_ALPHA = 0.05


def needed_images(alpha: float) -> int:
    """The fewest calibration images that support a share α of false alarms: ⌈1/α⌉ − 1, as 1/(n + 1) ≤ α."""
    return math.ceil(1 / alpha - 1e-9) - 1


@dataclass(frozen=True)
class CalibrationSettings:
    """What is fixed when a reference is calibrated, whatever α is on the screen later.

    Attributes
    ----------
    by_class : bool
        Whether an image is read against calibration images of its predicted class (Mondrian conformal prediction,
        Vovk et al., "Algorithmic Learning in a Random World", 2005), or against all of them.
    alpha : float
        Share of false alarms in (0, 1) that a class must support with images of its own. A class that does not is
        read against all images, without a guarantee.
    confidence : float or None
        1 − δ in (0, 1): at `alpha` the bound holds with this probability over the calibration images, instead of on
        average (Vovk, "Conditional validity of inductive conformal predictors", 2012).

    Raises
    ------
    InputError
        A share is not in (0, 1).
    """

    by_class: bool = True
    alpha: float = DEFAULT_ALPHA
    confidence: float | None = None

    def __post_init__(self) -> None:
        for name, share in (("alpha", self.alpha), ("confidence", self.confidence)):
            if share is not None and not is_share(share):
                raise InputError(f"`{name}` is {share}; wanted a number between 0 and 1.")

    @property
    def needed(self) -> int:
        """The fewest calibration images that support `alpha`, with `confidence` where it is asked for."""
        if self.confidence is None:
            return needed_images(self.alpha)
        # l = 1 is allowed once (1 − α)ⁿ ≤ δ.
        return max(needed_images(self.alpha), math.ceil(math.log1p(-self.confidence) / math.log1p(-self.alpha) - 1e-9))


def is_share(value: object) -> bool:
    """Whether a value is a number in (0, 1)."""
    return isinstance(value, (int, float, np.floating, np.integer)) and math.isfinite(value) and bool(0 < value < 1)


NOT_STATED = message("not stated")

BY_CLASS = CalibrationSettings()
"""How references are calibrated where nothing else is asked for."""


@dataclass(frozen=True)
class Guarantee:
    """Whether flagging at p ≤ α bounds the share of false alarms, and why not; made with a calibration, kept with it.

    Attributes
    ----------
    holds : bool
        Whether the calibration images are known to be unseen by classifier, fit and choice of detector: then at most
        a share α of new images from the same source is flagged, on average over calibration sets.
    reason : str
        Why it does not hold, as the part of a sentence that follows "no guarantee:"; empty where it holds.
    origin : str
        Where the calibration images come from, in words.
    dropped : int
        Images that were to calibrate, but are trained or fitted on, nearly the same as one that is, or of the same
        group; they take no part.
    """

    holds: bool
    reason: str = ""
    origin: str = NOT_STATED
    dropped: Count = 0

    def __post_init__(self) -> None:
        if self.holds == bool(self.reason):
            raise InputError(
                f"A guarantee that {'holds' if self.holds else 'does not hold'} has the reason {self.reason!r}."
            )

    def withdrawn(self, reason: str) -> Guarantee:
        """The same without its promise, for this reason; an earlier reason stays."""
        return self if self.reason else replace(self, holds=False, reason=reason)

    @property
    def left_out(self) -> list[str]:
        """That images were to calibrate and take no part: a sentence without its full stop, or none."""
        if not self.dropped:
            return []
        return [
            message(
                "{n} images that were to calibrate take no part: they were trained or fitted on, look nearly like "
                "images that were, or are of the same group",
                n=self.dropped,
            )
        ]


def too_few_of_class(images: int, name: str, settings: CalibrationSettings) -> Message:
    """Why a predicted class with so many calibration images promises nothing, as the part of a sentence."""
    return message(
        "{n} calibration images are predicted as {class_name}, and α = {alpha} needs {needed}, so that images of all "
        "classes stand in",
        n=images,
        class_name=name,
        alpha=f"{settings.alpha:g}",
        needed=settings.needed,
    )


def too_alike(
    images: int, independent: int, settings: CalibrationSettings, of_class: str | None, groups: int | None
) -> Message:
    """Why images of few patients, or of few views, promise nothing, as the part of a sentence.

    Parameters
    ----------
    images, independent : int
        How many there are, and as how many they count.
    settings : CalibrationSettings
    of_class : str or None
        That they are all predicted as.
    groups : int or None
        Of how many patients or clips they are; None where that is not known.
    """
    which = Message.of("", {})
    if of_class is not None:
        which = message(" that are predicted as {class_name}", class_name=of_class)
    why = message("look nearly the same") if groups is None else message("are of {n} patients or clips", n=groups)
    return message(
        "{n} calibration images{which} {why} and count as {independent} independent ones, and α = {alpha} needs "
        "{needed}",
        n=images,
        which=which,
        why=why,
        independent=independent,
        alpha=f"{settings.alpha:g}",
        needed=settings.needed,
    )
