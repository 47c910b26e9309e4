"""What all commands share: exit codes, progress with the time left, one line to a person, and named folders."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tqdm import tqdm

from nero_core.errors import InputError
from nero_core.wording import FALSE_ALARMS_ACCEPTED, said

if TYPE_CHECKING:
    from nero_core.benchmark.tables import Table
    from nero_core.records import Progress
    from nero_core.reference.reference import Reference

AddCommand = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]
"""``command(name, run, text)`` enters a command into the parser, and gives its own."""

DONE, SOME_FAILED, NOTHING_DONE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""

_bars: list[tqdm[NoReturn]] = []
"""Progress bars begun and not yet full: an error closes them, so that its sentence starts a line."""


def add_alpha(parser: argparse.ArgumentParser) -> None:
    """Enter the option of the share of ordinary images that may be flagged."""
    text = f"{said(FALSE_ALARMS_ACCEPTED)} (default: %(default)s)"
    parser.add_argument("--alpha", type=float, default=0.05, help=text)


def begin(what: str) -> Progress:
    """A progress bar with the time left, on the error stream so that results can be piped."""

    def progress(done: int, total: int) -> None:
        if not _bars:
            _bars.append(tqdm(desc=what, total=total, unit="", file=sys.stderr, mininterval=0.5))
        _bars[0].update(done - _bars[0].n)
        if done >= total:
            close_bars()

    return progress


def close_bars() -> None:
    """End every progress bar where it stands."""
    while _bars:
        _bars.pop().close()


def say(text: str) -> None:
    """One line to the person who waits, on the error stream."""
    tqdm.write(text, file=sys.stderr)


def tell(options: argparse.Namespace, told: object, text: str, indent: int | None = 1) -> None:
    """What came of a command, on the output stream: as JSON where that was asked for, else in words."""
    print(json.dumps(told, indent=indent) if options.json else text)


def given_images(options: argparse.Namespace) -> list[Path]:
    """The images that a command was given, those of a folder in its place.

    Raises
    ------
    InputError
        A folder holds none.
    """
    from nero_core.data.class_folders import list_images

    return [image for path in options.images for image in (list_images(path) if path.is_dir() else [path])]


def device(options: argparse.Namespace) -> str:
    """Where to compute: what was asked for, else the best there is.

    Raises
    ------
    InputError
        This machine does not have what was asked for.
    """
    from nero_core.network.architectures import check_device, devices

    return check_device(options.device) if options.device else devices()[0]


def load(options: argparse.Namespace) -> Reference:
    """The reference that a command was given."""
    from nero_core.reference.reference import Reference

    reference = Reference.load(options.reference, device(options))
    if reference.missing:
        say(f"warning: not installed here, and left out: {', '.join(reference.missing)}.")
    return reference


def as_text(table: Table) -> list[str]:
    """A table as lines of text, names on the left and everything else on the right of its column."""
    cells = [table.header, *table.rows]
    widths = [max(len(row[place]) for row in cells) for place in range(len(table.header))]

    def line(row: tuple[str, ...]) -> str:
        name, *texts = row
        return "  ".join([name.ljust(widths[0]), *map(str.rjust, texts, widths[1:])])

    return [line(row) for row in cells]


def named_folder(text: str) -> tuple[str, Path]:
    """NAME=DIR as its two parts.

    Raises
    ------
    InputError
        It is not of that form.
    """
    name, equals, folder = text.partition("=")
    if not (name and equals and folder) or "/" in name:
        raise InputError(f"--ood {text!r} was not understood; wanted NAME=DIR, such as polyp=images/polyp.")
    return name, Path(folder)


def settle_names(options: argparse.Namespace, place: str, what: str, option: str = "detectors") -> None:
    """Names of `--detectors`, with spaces or commas between them; a folder after them is no name.

    ``fit --detectors nero vim DATA`` gives the parser three names and no DATA.

    Parameters
    ----------
    options : Namespace
        What the option was given becomes names.
    place : str
        What the folder is called there; it is set where it went to the names.
    what : str
        The folder for people.
    option : str
        Whose names, without its hyphens.

    Raises
    ------
    InputError
        There is no such folder, or no name.
    """
    given = list(getattr(options, option) or ())
    if getattr(options, place) is None:
        metavar = {"reference": "REF"}.get(place, place.upper())
        if not given or not Path(given[-1]).exists():
            raise InputError(f"{metavar} is missing: {what}; give it before --{option} and its names.")
        setattr(options, place, Path(given.pop()))
    names = [name for text in given for name in text.split(",") if name]
    if getattr(options, option) and not names:
        raise InputError(f"--{option} names none; give registry names, which `detectors` lists.")
    setattr(options, option, names or None)
