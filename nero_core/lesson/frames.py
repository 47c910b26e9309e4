"""The lesson's frames: rendered scenes, most of them searched for, each with what it was searched for and how often.

A lesson about what a method misses needs a frame that it misses. Such a frame is no sample: the index says how many
scenes were rendered, and how many of them are of that sort, so that the page can say so beside the picture.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from joblib import Parallel, delayed
from PIL import Image

from nero_core.data import scenes
from nero_core.demo.rendered import CARD, FIRST_SEEDS, FRAME_PIXELS
from nero_core.errors import ArtefactError
from nero_core.records import Activations, Begin, Decision, Float64Array
from nero_core.reference.reference import Reference
from nero_core.storage.dashboard import dashboard_folder
from nero_core.storage.files import write_bytes
from nero_core.storage.json_files import read_json

BUNDLED_FRAMES = dashboard_folder() / "assets" / "lesson"
INDEX = "frames.json"
SCENES = 120
"""Of each kind, searched through."""
SURE = 0.95
"""How sure the network says it is, at least, of a frame that is searched for as one that it is sure of."""
UNUSUAL = "out-of-distribution"
ADVICE = "The lesson's frames come with the dashboard; `demo --lesson` makes them anew."

Role = Literal["learnt", "sure", "ordinary", "flagged-ordinary", "caught", "missed", "missed-by-nero"]
"""What a frame was searched for: of a kind that the network learnt (the first scene, not searched for); of another, and
answered surely; ordinary, and flagged or not; a finding that is flagged; a finding that the panel does not
flag; a finding that the panel flags, and NERO does not."""


@dataclass(frozen=True)
class LessonFrame:
    """One picture of the lesson.

    Attributes
    ----------
    file : str
        Name in the lesson's folder.
    kind : str
        What was rendered.
    known : bool
        Whether the network was trained on that kind.
    role : Role
    searched, found : int
        How many scenes of its kind were rendered, and how many of them are as it was searched for.
    """

    file: str
    kind: str
    known: bool
    role: Role
    searched: int
    found: int


@dataclass(frozen=True)
class LessonFrames:
    """The frames of two steps, in the order in which they are shown.

    Attributes
    ----------
    origin, licence : str
    sure_and_wrong, predict : list of LessonFrame
        Six each.
    """

    origin: str
    licence: str
    sure_and_wrong: list[LessonFrame]
    predict: list[LessonFrame]


def read_frames(folder: Path = BUNDLED_FRAMES) -> LessonFrames:
    """The frames that a folder's index names.

    Raises
    ------
    ArtefactError
        There is no index, it is damaged, or a picture is missing.
    """
    try:
        frames: LessonFrames = read_json(folder / INDEX, LessonFrames, ADVICE)
    except FileNotFoundError:
        raise ArtefactError(f"{folder / INDEX} is not there. {ADVICE}") from None
    for frame in (*frames.sure_and_wrong, *frames.predict):
        if Path(frame.file).name != frame.file or not (folder / frame.file).is_file():
            raise ArtefactError(f"{folder / INDEX} names {frame.file!r}, which is not beside it. {ADVICE}")
    return frames


# The search --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Searched:
    """The scenes of one kind, with what the network and two detectors say of them; n = `SCENES`.

    Attributes
    ----------
    kind : str
    confidence : (n,)
        Of the network's answer, in [0, 1].
    panel, nero : n decisions
    """

    kind: str
    confidence: Float64Array
    panel: Sequence[Decision]
    nero: Sequence[Decision]

    def which(self, holds: Callable[[Searched, int], bool]) -> list[int]:
        """The scenes of which something holds."""
        return [i for i in range(len(self.confidence)) if holds(self, i)]


def _flagged(decision: Decision) -> bool:
    return decision.state == UNUSUAL


HOLDS: Mapping[Role, Callable[[Searched, int], bool]] = {
    "learnt": lambda found, i: True,
    "sure": lambda found, i: bool(found.confidence[i] >= SURE),
    "ordinary": lambda found, i: not _flagged(found.panel[i]),
    "flagged-ordinary": lambda found, i: _flagged(found.panel[i]),
    "caught": lambda found, i: _flagged(found.panel[i]) and _flagged(found.nero[i]),
    "missed": lambda found, i: not _flagged(found.panel[i]),
    "missed-by-nero": lambda found, i: _flagged(found.panel[i]) and not _flagged(found.nero[i]),
}
"""What has to hold of a scene for each role."""

WANTED: Mapping[str, Sequence[tuple[Role, Sequence[str], int]]] = {
    "sure_and_wrong": (
        ("learnt", ("cecum", "pylorus", "z-line"), 3),
        ("sure", ("instrument", "not-endoscopy", "polyp", "blood", "ulcer", "inset-picture"), 3),
    ),
    "predict": (
        ("missed", ("polyp", "ulcer", "blood"), 1),
        ("ordinary", ("pylorus", "z-line", "cecum"), 1),
        ("flagged-ordinary", ("z-line", "cecum", "pylorus"), 2),
        ("caught", ("blood", "ulcer", "polyp"), 1),
        ("missed-by-nero", ("ulcer", "polyp", "blood"), 1),
    ),
}
"""Of each step: a role, the kinds in which frames are looked for in this order, one of each kind, and how many."""
ORDER: Mapping[str, Sequence[int]] = {"sure_and_wrong": (3, 0, 4, 1, 2, 5), "predict": (2, 4, 1, 0, 3, 5)}
"""In which order they are shown: whatever it is, it must not give the answer away."""


def write_frames(reference: Reference, folder: Path, begin: Begin, count: int = SCENES) -> LessonFrames:
    """Render scenes, search them for the lesson's frames, and write these with an index.

    A role for which no scene is found is left out; with the bundled reference there is one for each.
    """
    kinds = sorted({kind for wanted in WANTED.values() for _, listed, _ in wanted for kind in listed})
    progress = begin("Searching scenes for the lesson's frames")
    searched = {}
    for done, kind in enumerate(kinds):
        searched[kind] = _searched(reference, kind, count)
        progress(done + 1, len(kinds))
    folder.mkdir(parents=True, exist_ok=True)
    taken: set[tuple[str, int]] = set()
    steps = {step: _chosen(step, searched, taken, folder, reference) for step in WANTED}
    frames = LessonFrames(CARD.image_source, CARD.licence, **steps)
    write_bytes(folder / INDEX, json.dumps(asdict(frames), indent=1).encode())
    return frames


def scene(kind: str, number: int, part: str = "lesson") -> Image.Image:
    """A scene of the lesson's own seeds."""
    return scenes.render(kind, FIRST_SEEDS[part] + number, FRAME_PIXELS)


def _searched(reference: Reference, kind: str, count: int) -> Searched:
    pictures = Parallel(n_jobs=-1)(delayed(scene)(kind, number) for number in range(count))
    found: Activations = reference.activations_of(pictures)
    return Searched(
        kind,
        found.probabilities.max(axis=1).astype(np.float64),
        reference.decide(found),
        reference.decide(found, "nero"),
    )


def _chosen(
    step: str, searched: Mapping[str, Searched], taken: set[tuple[str, int]], folder: Path, reference: Reference
) -> list[LessonFrame]:
    """The frames of one step, written; none is taken twice."""
    chosen: list[LessonFrame] = []
    for role, kinds, count in WANTED[step]:
        left = count
        for kind in kinds:
            fitting = searched[kind].which(HOLDS[role])
            new = next((number for number in fitting if (kind, number) not in taken), None)
            if not left or new is None:
                continue
            taken.add((kind, new))
            left -= 1
            file = f"{step.replace('_', '-')}-{len(chosen) + 1}.png"
            scene(kind, new).save(folder / file, optimize=True)
            known = kind in reference.classes
            chosen.append(LessonFrame(file, kind, known, role, len(searched[kind].confidence), len(fitting)))
    order = ORDER[step] if len(chosen) == len(ORDER[step]) else range(len(chosen))
    return [chosen[i] for i in order]
