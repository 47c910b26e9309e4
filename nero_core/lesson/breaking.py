"""A picture read before and after it was changed: score, verdict, and which neurons came to the fore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from nero_core.case import open_case
from nero_core.data.guarantee import DEFAULT_ALPHA
from nero_core.errors import InputError
from nero_core.lesson.changes import CHANGES, HALF, changed
from nero_core.records import Decision, Float64Array, Neuron
from nero_core.reference.reference import Reference

LEADING = 6
"""Neurons of an account that are looked at."""

FLAGGED = "out-of-distribution"

Goal = Literal["un-flag", "flag"]
"""What is asked of whoever plays: get a flagged picture un-flagged, or an ordinary one flagged."""


WORKED_PIXELS = 640
"""Longer side of the copy that is changed and read: a score has to follow a slider at once."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What a reference says of a picture; nothing of the picture itself.

    Attributes
    ----------
    decision : Decision
        With score, percentile and p-value.
    accounted : str
        Name of the detector whose account it is: the one that was asked or, of a panel, one of its members.
    neurons : c Neurons
        None at all where that detector's score is no sum over neurons.
    contributions : (c,)
        What each adds to the score.
    """

    decision: Decision
    accounted: str
    neurons: tuple[Neuron, ...]
    contributions: Float64Array

    @property
    def flagged(self) -> bool:
        """Whether it is flagged."""
        return self.decision.state == FLAGGED

    def leading(self, count: int) -> set[int]:
        """Places of the neurons that add most, by size."""
        order = np.argsort(-np.abs(self.contributions), kind="stable")
        return {int(place) for place in order[: max(0, count)]}


def working_copy(image: Image.Image) -> Image.Image:
    """A picture no longer than `WORKED_PIXELS` on either side: itself where it is small, else a smaller copy.

    Parameters
    ----------
    image : RGB picture
    """
    if max(image.size) <= WORKED_PIXELS:
        return image
    smaller = image.copy()
    smaller.thumbnail((WORKED_PIXELS, WORKED_PIXELS), Image.Resampling.BICUBIC)
    return smaller


def read(
    reference: Reference,
    image: Image.Image,
    detector: str | None = None,
    alpha: float = DEFAULT_ALPHA,
    accounted: str | None = None,
) -> Reading:
    """One picture through the network once, scored, judged and accounted for.

    Parameters
    ----------
    image : RGB picture
    detector : str, optional
        The deciding one of the reference where not given.
    accounted : str, optional
        Whose account is taken: that of an earlier reading, so that both can be compared. The case's own where not
        given.

    Raises
    ------
    UnknownDetectorError
        The reference does not have a detector.
    InputError
        The picture is smaller than 8 pixels, α is not in (0, 1), or there are too few calibration images for it.
    """
    case = open_case(reference, image, detector)
    name = accounted or case.explained
    account = case.under(name).explanation
    decision = case.decide(alpha)
    if account is None:
        return Reading(decision, name, (), np.zeros(0))
    return Reading(decision, name, account.neurons, account.factor * account.contributions)


# Neurons -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NeuronShift:
    """What one neuron adds to a score before and after.

    Attributes
    ----------
    neuron : Neuron
    before, after : float
        In units of the score.
    led, leads : bool
        Whether it is among those of largest size before, and after.
    """

    neuron: Neuron
    before: float
    after: float
    led: bool
    leads: bool


def neuron_shifts(before: Reading, after: Reading, count: int = LEADING) -> list[NeuronShift]:
    """The leading neurons of two readings, the one with most at either time first; none without an account.

    Parameters
    ----------
    count : int
        How many lead in each; those that lead in either are given.

    Raises
    ------
    InputError
        The accounts are of other neurons.
    """
    if before.neurons != after.neurons:
        raise InputError("The two accounts are of other neurons; read both pictures by the same detector.")
    led, leads = before.leading(count), after.leading(count)
    shifts = [
        NeuronShift(
            before.neurons[place],
            float(before.contributions[place]),
            float(after.contributions[place]),
            place in led,
            place in leads,
        )
        for place in sorted(led | leads)
    ]
    return sorted(shifts, key=lambda shift: -max(abs(shift.before), abs(shift.after)))


# All eight at half strength ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Movements:
    """The score of a picture as it is, and with each change alone.

    Attributes
    ----------
    before : float
    after : {name: float}
        In the order of :data:`~nero_core.lesson.changes.CHANGES`.
    """

    before: float
    after: Mapping[str, float]

    @property
    def moved(self) -> dict[str, float]:
        """By how much each change moves the score, with its sign."""
        return {name: score - self.before for name, score in self.after.items()}

    @property
    def most(self) -> str:
        """The change that moves it most, up or down; of equal ones the first."""
        return max(self.moved, key=lambda name: abs(self.moved[name]))


def movements(
    reference: Reference, image: Image.Image, detector: str | None = None, strength: float = HALF
) -> Movements:
    """The picture as it is and with each of the eight changes alone: nine pictures in one pass through the network.

    Parameters
    ----------
    image : RGB picture
    detector : str, optional
        The deciding one of the reference where not given.

    Raises
    ------
    InputError
        The picture is smaller than 8 pixels or not RGB, or the strength is not in [0, 1].
    """
    pictures = [image, *(changed(image, {name: strength}) for name in CHANGES)]
    scores = reference.score(reference.activations_of(pictures), detector)
    return Movements(float(scores[0]), dict(zip(CHANGES, scores[1:].tolist(), strict=True)))


# The challenge -----------------------------------------------------------------------------------------------------


def goal_of(before: Reading) -> Goal:
    """What is asked with this picture."""
    return "un-flag" if before.flagged else "flag"


def reached(before: Reading, after: Reading) -> bool:
    """Whether the verdict is the other one: flagged or not; borderline is not flagged."""
    return before.flagged != after.flagged
