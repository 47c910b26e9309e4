"""What can be compared: images of a reference, of another one, and of the open case, each under a short key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from nero_core.errors import InputError
from nero_core.neurons.sample import NeuronSample
from nero_core.neurons.statistics import Group, Moments
from nero_core.records import Source
from nero_core.reference.manifest import MANIFEST_NAME, ReferenceEntry, read_manifest
from nero_core.reference.reference import Reference
from nero_core.wording import CALIBRATION_IMAGES, KNOWN_OOD_IMAGES, label, said
from pages.shared import reading, resources, session

ORDINARY, KNOWN, CASE = "id", "ood", "case"
KEPT = 3


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _stored(path: str, changed: int) -> Reference:
    return Reference.open(Path(path)).read_without_network()


def stored(path: Path) -> Reference:
    """What a reference keeps of its neurons; read once, and again when the reference was written anew.

    Raises
    ------
    ArtefactError
        A file of it is missing, damaged or newer.
    """
    return _stored(str(path), (path / MANIFEST_NAME).stat().st_mtime_ns)


def token(path: Path) -> str:
    """A reference in a link: the start of its manifest's own digest, which tells nothing of its place or name."""
    return str(read_manifest(path)["sha256"])[:12]


@dataclass(frozen=True)
class Choices:
    """The groups on offer, as {key: words}, with what is needed to make them."""

    entry: ReferenceEntry
    sample: NeuronSample
    others: dict[str, ReferenceEntry]
    frames: Sequence[session.Frame]

    @property
    def words(self) -> dict[str, str]:
        """Keys of the groups, and what they are called."""
        K, names = self.sample.classes, self.sample.names
        offered = {ORDINARY: said("{images}, all classes", images=label(CALIBRATION_IMAGES))}
        offered |= {f"{ORDINARY}-{i}": said("Class {name}", name=name) for i, name in enumerate(names[:K])}
        if len(names) > K:
            offered[KNOWN] = said("{images}, all sets", images=label(KNOWN_OOD_IMAGES))
            offered |= {f"{KNOWN}-{i}": f"{label(KNOWN_OOD_IMAGES)}: {name}" for i, name in enumerate(names[K:])}
        if self.frames:
            offered[CASE] = (
                said("The open case")
                if len(self.frames) == 1
                else said("The open case, {n} images", n=len(self.frames))
            )
        if len(self.frames) > 1:
            offered |= {f"{CASE}-{i}": said("Case, image {n}", n=i + 1) for i in range(len(self.frames))}
        return offered | {
            f"ref-{key}": said(
                "Reference {title}, {images}",
                title=entry.title,
                images=said(CALIBRATION_IMAGES),
            )
            for key, entry in self.others.items()
        }

    @property
    def pictures(self) -> dict[str, Source]:
        """Images that a heatmap can be drawn on: those of the case, and examples that are rendered as the reference."""
        found: dict[str, Source] = {said("Case, image {n}", n=i + 1): frame.data for i, frame in enumerate(self.frames)}
        if self.entry.synthetic:
            found |= {
                said("Example: {name}", name=path.stem.replace("-", " ")): path for _, path in resources.examples()
            }
        return found

    def default(self) -> tuple[str, str]:
        """What is compared first."""
        keys = list(self.words)
        if KNOWN in keys:
            return ORDINARY, KNOWN
        return (f"{ORDINARY}-0", f"{ORDINARY}-1") if self.sample.classes > 1 else (ORDINARY, ORDINARY)

    def group(self, key: str) -> Group:
        """The images of one key.

        Raises
        ------
        NeroError
            Another reference or an image of the case cannot be read.
        """
        kind, _, number = key.partition("-")
        K, M = self.sample.classes, len(self.sample.names)
        if kind == ORDINARY:
            return self.sample.group(self.words[key], [int(number)] if number else range(K))
        if kind == KNOWN:
            return self.sample.group(self.words[key], [K + int(number)] if number else range(K, M))
        if kind == CASE:
            frames = [self.frames[int(number)]] if number else self.frames
            return self._case(self.words[key], frames)
        other = stored(self.others[number].path).sample
        if other is None:
            raise InputError(
                said("{title} keeps no sample of its neurons; fit it again.", title=self.others[number].title)
            )
        return other.group(self.words[key], range(other.classes))

    def _case(self, name: str, frames: Sequence[session.Frame]) -> Group:
        from nero_core.relevance import relevance_of

        reference = resources.reference(self.entry.path)
        read = reading.read_case(frames, reference, session.detector(reference))
        if not read:
            raise InputError(said("No image of the case could be read; Case review says why."))
        passed = [frame.reading.activations for frame in read if frame.reading is not None]
        relevance = np.concatenate([relevance_of(a, self.sample.head, self.sample.epsilon).neurons for a in passed])
        features = np.concatenate([a.features for a in passed])
        return Group(name, Moments.of(relevance), relevance, features)

    def case_points(self) -> dict[str, Group]:
        """Images of the case that this reference has read already, by name; nothing is computed."""
        path = str(self.entry.path)
        read = {
            said("image {n}", n=i + 1): [frame]
            for i, frame in enumerate(self.frames)
            if frame.reading is not None and str(frame.reading.reference.path) == path
        }
        return {name: self._case(name, frames) for name, frames in read.items()}


def choices(entry: ReferenceEntry, sample: NeuronSample) -> Choices:
    """What can be compared now."""
    usable = [other for other in session.entries() if other.error is None and other.path != entry.path]
    others = {token(other.path): other for other in usable}
    return Choices(entry, sample, others, [frame for frame in session.case() if frame.error is None])
