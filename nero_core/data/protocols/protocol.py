"""A protocol as data, and its published figures beside ours."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nero_core.errors import ArtefactError, InputError
from nero_core.storage.json_files import checked, read_json

FOLDERS = "folders"
"""The protocol that any class folders follow; nothing is published for it."""


@dataclass(frozen=True)
class Protocol:
    """Which classes are in-distribution, which images test, and what was published.

    Attributes
    ----------
    name, title : str
    page, terms : str
        The data set's public page, and what its owners ask for.
    download : {"address", "sha256"}
        Of one zip; each None where it is not known.
    id, ood : class names
        As the data set's folders are called.
    test_per_class, test_share : int or None, float or None
        How many images, or which share, of each ID class test.
    note : str
        What the paper leaves open.
    images : {"id", "ood"}
        How many test and OOD images the published figures rest on; None where it is not known.
    published : {"source", "architectures": {architecture: rows}}
        Fractions.
    """

    name: str
    title: str
    page: str
    terms: str
    download: Mapping[str, str | None]
    id: tuple[str, ...]
    ood: tuple[str, ...]
    test_per_class: int | None = None
    test_share: float | None = None
    note: str = ""
    images: Mapping[str, int | None] = field(default_factory=dict)
    published: Mapping[str, Any] = field(default_factory=dict)


def protocol_names() -> list[str]:
    """Every protocol's name, that of any class folders last."""
    return [*sorted(path.stem for path in Path(__file__).parent.glob("*.json")), FOLDERS]


def named_protocol(name: str, source: Path | None = None) -> Protocol:
    """A protocol by name.

    Parameters
    ----------
    source : Path, optional
        A JSON file whose fields replace ours, such as ``{"download": {"address": …, "sha256": …}}``.

    Raises
    ------
    InputError
        No protocol has that name.
    ArtefactError
        `source` cannot be read, or holds a field that a protocol has not, or one of another type.
    """
    known = protocol_names()
    if name not in known or name == FOLDERS:
        near = difflib.get_close_matches(name, known[:-1], n=3) or known[:-1]
        raise InputError(f"No data set is named {name!r}; did you mean {', '.join(near)}?")
    advice = f"See the fields of {name}.json."
    try:
        given = {} if source is None else read_json(source, dict[str, Any], advice)
    except FileNotFoundError as error:
        raise ArtefactError(f"{source} does not exist; check the path.") from error
    content = read_json(Path(__file__).parent / f"{name}.json", dict[str, Any], "Install NERO Dashboard again.")
    protocol: Protocol = checked(content | given, Protocol, str(source), advice)
    return protocol


def plain(name: str) -> str:
    """A class name without case, spaces and signs: folders are spelt in several ways."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
