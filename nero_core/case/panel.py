"""What each member of a panel says of an image, and whose account explains the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nero_core.calibration import state_of
from nero_core.records import Activations, State
from nero_core.reference.reference import DEFAULT_DETECTOR, Reference
from nero_core.wording import AND, counted, listed, said

DIGITS = 9
"""Behind the point: what is the same in so many is the same but for rounding."""


@dataclass(frozen=True)
class MemberReading:
    """What one member of a panel says of one image.

    Attributes
    ----------
    name : str
    weight : float
        In [0, 1]; 0 where it takes no part in the verdict.
    surprise : float
        −log of the share of calibration images that are as unusual to it.
    share : float
        Of the panel's value, in [0, 1].
    p_value : float
        Its own, against its own calibration scores.
    """

    name: str
    weight: float
    surprise: float
    share: float
    p_value: float

    def state(self, alpha: float) -> State:
        """What it would say alone."""
        return state_of(self.p_value, alpha)


def read_members(
    reference: Reference, batch: Activations, detector: str | None = None
) -> list[tuple[MemberReading, ...]]:
    """What each member of the panel says of each image, the one that adds most first.

    Parameters
    ----------
    batch : Activations
        n images.
    detector : str, optional
        The deciding one where not given; for a single detector each tuple is empty.
    """
    from nero_core.detectors import Panel

    panel = reference.detector(detector)
    found: list[tuple[MemberReading, ...]] = [()] * len(batch)
    if not isinstance(panel, Panel):
        return found
    for rows, reading in panel.readings(batch):
        for place, row in enumerate(rows):
            value, surprises = reading.value[place], reading.surprises[:, place]
            parts = panel.weights_ * surprises / value if value > 0 else np.zeros(len(surprises))
            members = [
                MemberReading(name, *map(float, figures))
                for name, *figures in zip(
                    panel.members_, panel.weights_, surprises, parts, reading.alone[:, place], strict=True
                )
            ]
            found[row] = tuple(sorted(members, key=_most_first))
    return found


def _most_first(member: MemberReading) -> tuple[float, float]:
    """Whoever adds most stands first; who adds the same but for rounding, as the panel has them."""
    return -round(member.share, DIGITS), -round(member.surprise, DIGITS)


def explained_by(reference: Reference, detector: str, members: Sequence[MemberReading]) -> str:
    """The detector whose account explains a score: itself or, of a panel, the first member in sight that has one."""
    from nero_core.detectors import ExplainedDetector

    names = [each.name for each in members if each.weight > 0]
    exact = [name for name in names if isinstance(reference.detectors.get(name), ExplainedDetector)]
    return exact[0] if exact else detector


def members_in_words(members: Sequence[MemberReading], alpha: float, flagged: bool = False) -> str:
    """Which members see something, what the leading one looks for, and which see nothing; empty for a single detector.

    The member that adds most to the panel's value is said to have led where it finds the image unusual, or borderline,
    by itself.

    Parameters
    ----------
    members : sequence of MemberReading
        Of one image, as :func:`read_members` orders them.
    alpha : float
        The accepted share of false alarms.
    flagged : bool
        Whether the panel as a whole flags the image.
    """
    from nero_core.detectors import DETECTORS
    from nero_core.detectors.panel import LOOKS_FOR

    shown = [each for each in members if each.weight > 0 or each.name == DEFAULT_DETECTOR]
    if not shown:
        return ""
    titles: dict[State, list[str]] = {"out-of-distribution": [], "borderline": [], "in-distribution": []}
    for each in shown:
        titles[each.state(alpha)].append(DETECTORS[each.name].info.title)
    unusual, borderline, quiet = titles.values()
    nothing = (
        [
            counted(
                len(quiet),
                "{names} sees nothing unusual",
                "{names} see nothing unusual",
                names=said(listed(quiet, AND)),
            )
        ]
        if quiet
        else []
    )
    leader = shown[0]
    if not unusual and not borderline:
        if flagged:
            return said("None of the panel’s detectors alone finds this image unusual; together they do.")
        return said("None of the panel’s detectors finds this image unusual.")
    if leader.state(alpha) == "in-distribution":
        seen = []
        if unusual:
            names = said(listed(unusual, AND))
            seen.append(
                counted(
                    len(unusual), "{names} finds this image unusual", "{names} find this image unusual", names=names
                )
            )
        if borderline:
            names = said(listed(borderline, AND))
            seen.append(
                counted(
                    len(borderline),
                    "{names} finds this image borderline",
                    "{names} find this image borderline",
                    names=names,
                )
            )
        return "; ".join([*seen, *nothing]) + "."
    title = DETECTORS[leader.name].info.title
    led = said("{title} led", title=title)
    if leader.name in LOOKS_FOR:
        led = said("{title} led: {looks_for}", title=title, looks_for=said(LOOKS_FOR[leader.name]))
    also = [name for name in unusual if name != title]
    agree = [counted(len(also), "{names} agrees", "{names} agree", names=said(listed(also, AND)))] if also else []
    return "; ".join([led, *agree, *nothing]) + "."
