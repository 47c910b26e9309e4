"""What the network and the detectors say of the lesson's frames, read live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nero_core.data.images import read_image
from nero_core.lesson.frames import BUNDLED_FRAMES, UNUSUAL, LessonFrame
from nero_core.records import Decision
from nero_core.reference.reference import Reference

FINDINGS = ("polyp", "ulcer", "blood")
"""Rendered kinds that stand for a finding; a dyed and lifted place and an instrument are no illness."""


@dataclass(frozen=True, eq=False)
class FrameReading:
    """One frame, as it is read.

    Attributes
    ----------
    frame : LessonFrame
    answer : str
        The class that the network reads.
    confidence : float
        How sure it says it is, in [0, 1].
    panel, nero : Decision
    """

    frame: LessonFrame
    answer: str
    confidence: float
    panel: Decision
    nero: Decision

    @property
    def right(self) -> bool:
        """Whether the answer is what is shown; never where the network does not know the kind."""
        return self.answer == self.frame.kind

    @property
    def finding(self) -> bool:
        """Whether a finding was rendered."""
        return self.frame.kind in FINDINGS

    @property
    def flagged(self) -> bool:
        """By the panel."""
        return self.panel.state == UNUSUAL

    @property
    def together(self) -> bool:
        """Whether a finding is flagged, or none is not."""
        return self.finding == self.flagged


def read_all(reference: Reference, frames: Sequence[LessonFrame], folder: Path = BUNDLED_FRAMES) -> list[FrameReading]:
    """Read frames in one pass.

    Raises
    ------
    InputError
        A picture cannot be read.
    """
    found = reference.activations_of([read_image((folder / frame.file).read_bytes()) for frame in frames])
    answers, confidence = found.logits.argmax(axis=1), found.probabilities.max(axis=1)
    panel, nero = reference.decide(found), reference.decide(found, "nero")
    return [
        FrameReading(frame, reference.classes[int(answers[i])], float(confidence[i]), panel[i], nero[i])
        for i, frame in enumerate(frames)
    ]
