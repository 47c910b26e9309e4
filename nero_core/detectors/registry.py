"""Every detector by name: what menus, command line, README, benchmark and tests read."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from nero_core.detectors.base import NEEDS_IN_WORDS, Detector, ExplainedDetector, Paper
from nero_core.detectors.places.base import OnPlaces
from nero_core.errors import InputError, UnknownDetectorError

DETECTORS: dict[str, type[Detector]] = {}
"""Every detector by registry name."""

AnyDetector = TypeVar("AnyDetector", bound=type[Detector])


def register(detector: AnyDetector) -> AnyDetector:
    """Class decorator: enter a detector into the registry under ``info.name``.

    Raises
    ------
    InputError
        Another detector has that name: what a plug-in adds never stands in for a detector that is there.
    """
    name = detector.info.name
    own, taken = (f"{each.__module__}.{each.__qualname__}" for each in (detector, DETECTORS.get(name, detector)))
    if own != taken:  # the same class again is its module read anew, as after an edit while the app runs
        raise InputError(f"{own} is named {name!r}, as is {taken}; give it another `info.name`.")
    DETECTORS[name] = detector
    return detector


def make_detector(name: str, **parameters: Any) -> Detector:
    """An unfitted detector by registry name.

    Raises
    ------
    UnknownDetectorError
        No detector has that name; the nearest names are offered.
    InputError
        A parameter is not one of the detector's.
    """
    if name not in DETECTORS:
        near = difflib.get_close_matches(name, DETECTORS, n=3) or sorted(DETECTORS)
        raise UnknownDetectorError(f"No detector is named {name!r}; did you mean {', '.join(near)}?")
    known = list(inspect.signature(DETECTORS[name]).parameters)
    if unknown := sorted(set(parameters) - set(known)):
        raise InputError(
            f"Detector {name!r} has no parameter {', '.join(unknown)}; it has {', '.join(known) or 'none'}."
        )
    return cast(Callable[..., Detector], DETECTORS[name])(**parameters)


def paper_of(name: str) -> Paper | None:
    """The paper of a detector; None where no detector of that name is installed here."""
    return DETECTORS[name].info.paper if name in DETECTORS else None


def describe_detectors() -> str:
    """The registry as a table in Markdown, as the README has it."""
    lines = [
        "| name | method | paper | reads beside features and logits | exact score decomposition |",
        "|---|---|---|---|---|",
    ]
    for name, detector in sorted(DETECTORS.items()):
        info = detector.info
        needs = ", ".join(NEEDS_IN_WORDS[need] for need in sorted(info.needs)) or "–"
        over_places = "over places" if issubclass(detector, OnPlaces) else "–"
        account = "yes" if issubclass(detector, ExplainedDetector) else over_places
        lines.append(f"| `{name}` | {info.title} | {info.paper.markdown} | {needs} | {account} |")
    return "\n".join(lines)
