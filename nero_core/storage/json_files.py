"""JSON from outside, read against what is declared for it: one reader for every file, and one kind of error."""

from __future__ import annotations

import json
import reprlib
from pathlib import Path
from typing import Any, TypedDict

from nero_core.errors import ArtefactError, InputError
from nero_core.storage.typed import check

MOST_BYTES = 256 * 2**20
"""Of a file; the split of a million images has less, and so has every other one of ours."""


class Versioned(TypedDict):
    """What says which version of us wrote a file; the rest of it is looked at after that."""

    schema: int


def parsed(data: bytes | str, name: str) -> Any:
    """What some JSON says.

    Raises
    ------
    InputError
        It is no JSON, nested too deeply, or holds half a character, which JSON can spell and which is no text.
    """
    try:
        content = json.loads(data)
        json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} cannot be read as JSON ({error}).") from error
    return content


def checked(content: object, wanted: Any, name: str, advice: str, field: str = "") -> Any:
    """What a file of ours holds, as its declaration has it; see :func:`~nero_core.storage.typed.check`.

    Raises
    ------
    ArtefactError
        A field is missing, or not as it is declared: file and field are named, with what was seen and wanted.
    """
    try:
        return check(content, wanted, field)
    except InputError as error:
        raise ArtefactError(f"{name}, field {error} {advice}") from error


def read_json(path: Path, wanted: Any, advice: str, name: str = "", most: int = MOST_BYTES) -> Any:
    """A file that holds one JSON object, read and checked.

    Parameters
    ----------
    path : Path
    wanted : annotation
        A dataclass, a ``TypedDict`` or a mapping.
    advice : str
        What to do about a file that cannot be used, as a sentence.
    name : str, optional
        Of the file, for messages; else its whole path.
    most : int
        Bytes that are read.

    Returns
    -------
    content
        As :func:`~nero_core.storage.typed.check` gives it: a dataclass's record, else a mapping.

    Raises
    ------
    FileNotFoundError
        There is none.
    ArtefactError
        It cannot be read, is too large or no JSON object; or as :func:`checked`.
    """
    name = name or str(path)
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
            if len(data) > most:
                size = path.stat().st_size
                raise ArtefactError(f"{name} has {size} bytes; at most {most} are read. {advice}")
        content = parsed(data, name)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ArtefactError(f"{name} cannot be read ({error}). {advice}") from error
    except InputError as error:
        raise ArtefactError(f"{error} {advice}") from error
    if not isinstance(content, dict):
        raise ArtefactError(f"{name} holds {reprlib.repr(content)}; wanted an object. {advice}")
    return checked(content, wanted, name, advice)
