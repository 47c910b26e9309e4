"""Folders of the computer that runs this page, as somebody typed them."""

from __future__ import annotations

from pathlib import Path

from nero_core.errors import InputError
from nero_core.wording import said
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
        if not text.strip():
            seen = said("nothing was given")
        elif path.exists():
            seen = said("{path} is a file", path=path)
        else:
            seen = said("{path} is not there", path=path)
        raise InputError(
            said("{what}: {seen}; wanted a folder on the computer that runs this page.", what=what, seen=seen)
        )
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
            wrong.append(
                said(
                    "Line {number}, {line}: wanted NAME=FOLDER, such as polyp=/data/polyp.",
                    number=number,
                    line=f"{line.strip()!r}",
                )
            )
        elif name in found:
            wrong.append(
                said(
                    "Line {number}: there is a set {name} already; give each a name of its own.",
                    number=number,
                    name=f"{name!r}",
                )
            )
        else:
            try:
                found[name] = folder(said("Line {number}", number=number), place)
            except InputError as error:
                wrong.append(str(error))
    if wrong:
        raise InputError(" ".join(wrong))
    return found
