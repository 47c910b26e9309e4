"""Bundled pictures to try, and their index; cheap to read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from nero_core.records import State

EXAMPLES_INDEX = "examples.json"


@dataclass(frozen=True)
class Example:
    """One bundled picture to try.

    Attributes
    ----------
    file : str
        Name in the folder of examples.
    kind : str
        What was rendered.
    known : bool
        Whether the demo reference's network was trained on that kind.
    score : float
        Under the bundled reference.
    state : State
        Its verdict on it at α = 0.05: of images unlike what it learned from, those not flagged are missed.
    """

    file: str
    kind: str
    known: bool
    score: float
    state: State


def read_examples(folder: Path) -> list[Example]:
    """The examples that a folder's index names, known kinds first; none where there is no index."""
    index = folder / EXAMPLES_INDEX
    if not index.is_file():
        return []
    examples = [Example(**entry) for entry in json.loads(index.read_bytes())["examples"]]
    return sorted(examples, key=lambda example: not example.known)
