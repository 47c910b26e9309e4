"""Folders of the computer that runs this page, as somebody typed them."""

from __future__ import annotations

from pathlib import Path

from nero_core.errors import InputError
from pages.shared import permission


@permission.needed
def folder(what: str, text: str) -> Path:
    """An existing folder on this computer.

    Raises
    ------
    NotAllowed
        The session may not know.
    InputError
        There is none.
    """
    path = Path(text.strip()).expanduser()
    if not text.strip() or not path.is_dir():
        seen = f"{path} is {'a file' if path.exists() else 'not there'}" if text.strip() else "nothing was given"
        raise InputError(f"{what}: {seen}; wanted a folder on the computer that runs this page.")
    return path


def ood_folders(text: str) -> dict[str, Path]:
    """One NAME=DIR a line as {name: folder}.

    Raises
    ------
    InputError
        A line was not understood, two have one name, or a folder is not there; all of it is said.
    """
    found: dict[str, Path] = {}
    wrong = []
    for number, line in enumerate(text.splitlines(), start=1):
        name, equals, place = (part.strip() for part in line.partition("="))
        if not line.strip():
            continue
        if not (name and equals and place) or "/" in name:
            wrong.append(f"Line {number}, {line.strip()!r}: wanted NAME=FOLDER, such as polyp=/data/polyp.")
        elif name in found:
            wrong.append(f"Line {number}: there is a set {name!r} already; give each a name of its own.")
        else:
            try:
                found[name] = folder(f"Line {number}", place)
            except InputError as error:
                wrong.append(str(error))
    if wrong:
        raise InputError(" ".join(wrong))
    return found
