"""What one session holds: its images and what was read from them. Never in a shared cache, never on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, cast

import streamlit as st
from PIL import Image

from nero_core.case import Case, Concept, Cover, Why
from nero_core.data.images import read_image
from nero_core.reference.manifest import ReferenceEntry
from nero_core.reference.reference import Reference
from nero_core.storage.display_names import display_name
from nero_core.wording import counted
from pages.shared import uploads

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

DETECTOR = "detector"
CASE = "case"
UPLOADS = "uploads"  # how many uploaders there were: a case that is closed leaves its files in none
CHOSEN = "chosen"
TOOLS = "tools"
ADDED = "added"  # how many images came to an open case, until that is said
OPEN_IMAGES = "open-images"  # whether the place is open where more are added
PART = "part"  # of Case review, below the frame, that is in sight
ALPHA = "alpha_percent"
REFERENCE = "reference"
IN_USE = "reference-in-use"  # as the last run had it, whoever chose it
FALLEN = "reference-fallen"  # what was in use before that
ENTRY = "entry"
ENTRIES = "entries"
LARGEST = 20  # megabytes of one image
ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif")  # of files that look like images


@dataclass
class Reasons:
    """What was found behind one score of one image: kept once it is computed, None until then."""

    concepts: list[Concept] | None = None
    why: Why | None = None  # the tested sentence
    failed: str = ""  # why there is none


@dataclass(eq=False)
class Frame:
    """One image of the case: its file as it came, decoded once, and what was read from it."""

    name: str
    data: bytes
    picture: Image.Image | None = None
    thumbnail: str = ""  # as a data: address; empty until it is read, or where it cannot be
    error: str | None = None
    reading: Case | None = None
    uploaded: bool = True  # else it is an example
    stopped: bool = False  # its heatmaps are abandoned
    covers: list[Cover] = field(default_factory=list)
    covered: Case | None = None  # as it was read with covers last
    reasons: dict[tuple[Reference, str, str | None], Reasons] = field(default_factory=dict)
    number: int = field(default_factory=count().__next__, compare=False)  # by which its controls are told apart

    def decoded(self) -> Image.Image:
        """The upright RGB picture.

        Raises
        ------
        InputError
            The file is not a readable image.
        """
        if self.picture is None:
            self.picture = read_image(self.data)
        return self.picture

    def forget(self) -> None:
        """Let go of the image and of all that was read from it: controls that are gone may still know this frame."""
        self.data, self.picture, self.thumbnail, self.reading, self.covered = b"", None, "", None, None
        self.covers.clear()
        self.reasons.clear()

    def reasons_of(self, reading: Case) -> Reasons:
        """Those of this reading's reference, detector and heatmap method; of other references none are kept."""
        self.reasons = {key: found for key, found in self.reasons.items() if key[0] is reading.reference}
        return self.reasons.setdefault((reading.reference, reading.detector, reading.method), Reasons())


def entry() -> ReferenceEntry | None:
    """The reference in use; None where there is none."""
    return cast("ReferenceEntry | None", st.session_state[ENTRY])


def entries() -> list[ReferenceEntry]:
    """Every reference found, also those that cannot be used."""
    return cast("list[ReferenceEntry]", st.session_state[ENTRIES])


def detector(reference: Reference) -> str:
    """The detector in use: the one chosen, where this reference has it, else its first."""
    chosen = st.session_state.get(DETECTOR)
    return chosen if chosen in reference.detectors else next(iter(reference.detectors))


def case() -> list[Frame]:
    """The images of this session; empty before the first upload."""
    return cast("list[Frame]", st.session_state.get(CASE, []))


def tools() -> DeltaGenerator:
    """The right end of the header, where a page puts what it offers of the case."""
    return cast("DeltaGenerator", st.session_state[TOOLS])


def under_review() -> Frame:
    """The image that was chosen, of a case that is open."""
    frames = case()
    place: int = st.session_state.get(CHOSEN, 0)
    return frames[min(place, len(frames) - 1)]


def choose(place: int) -> None:
    """Put the image at this place under review."""
    st.session_state[CHOSEN] = place


def upload_key() -> str:
    """The key of the uploader in use."""
    return f"upload-{st.session_state.get(UPLOADS, 0)}"


def open_case(files: Sequence[tuple[str, bytes]], uploaded: bool = True) -> list[Frame]:
    """Put these images on the table, beside those that came another way; returns those that are new.

    What was already read of the same files is kept. Of uploads these are all: one that is not among them any more goes.
    Uploads leave the image that is under review there; else the first that is new comes under review, and before a file
    of another kind one that looks like an image. An example that is asked for comes under review.
    """
    reviewed = under_review() if case() else None
    known = {(frame.name, frame.data): frame for frame in case()}
    named = [(display_name(name, i), data) for i, (name, data) in enumerate(files)]
    given = [known.get((name, data)) or Frame(name, data, uploaded=uploaded) for name, data in named]
    there = [frame for frame in case() if frame not in given and not (uploaded and frame.uploaded)]
    fresh = [frame for frame in given if frame not in known.values()]
    now = [*there, *given]
    st.session_state[CASE] = now
    if uploaded and reviewed in now:
        first = [reviewed]
    elif uploaded:
        first = sorted(fresh, key=lambda frame: not frame.name.lower().endswith(ENDINGS))
    else:
        first = fresh or given
    st.session_state[CHOSEN] = now.index(first[0]) if first else 0
    return fresh


def take_upload() -> None:
    """Copy what was uploaded: the uploader itself forgets its files on a page switch."""
    adding = bool(case())
    new = open_case([(file.name, file.getvalue()) for file in uploads.within(st.session_state[upload_key()], LARGEST)])
    if adding:
        st.session_state[ADDED] = len(new)
    st.session_state[OPEN_IMAGES] = False


def tell_added() -> None:
    """Say once how many images were added to an open case: in a run that no other follows, which would take it away."""
    if added := st.session_state.pop(ADDED, 0):
        st.toast(counted(added, "1 image added", "{n} images added"))


def take_examples(paths: Sequence[Path]) -> None:
    """Put bundled examples on the table, beside what lies there."""
    open_case([(path.name, path.read_bytes()) for path in paths], uploaded=False)
    st.session_state[OPEN_IMAGES] = False


def close_case() -> None:
    """Forget every image and all that was read from it; the next uploader is empty."""
    for frame in case():
        frame.forget()
    st.session_state.pop(CASE, None)
    st.session_state.pop(CHOSEN, None)
    st.session_state.pop(upload_key(), None)  # Streamlit keeps what it held where a run does not come to its end
    st.session_state[UPLOADS] = st.session_state.get(UPLOADS, 0) + 1
