"""Which languages there are, and what each says: one catalogue of gettext (PO) for each, ``locale/<language>.po``.

A catalogue is read as it is written: nothing is compiled, and another language is one more file. Babel, which reads
them, is loaded once a language other than English is asked for by name or by use.
"""

from __future__ import annotations

import gettext
import io
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

LOCALES = Path(__file__).parents[1] / "locale"
ENGLISH = "en"
"""The language of the sources, which needs no catalogue."""
VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
"""Of the environment; the first that is set says which languages are wanted, best first between colons."""


def offered() -> dict[str, str]:
    """Every language by its code, ``de``, with its own name for itself; English, then by name."""
    codes = sorted(path.stem for path in LOCALES.glob("*.po"))
    others = {code: _own_name(code) for code in codes if code != ENGLISH}
    return {ENGLISH: "English", **dict(sorted(others.items(), key=lambda each: each[1].casefold()))}


def best(wanted: Iterable[str]) -> str | None:
    """The first of the languages that is offered, as ``de_AT``, ``de-AT.UTF-8`` or ``de``; None where none is."""
    codes = {code.casefold(): code for code in [ENGLISH, *(path.stem for path in LOCALES.glob("*.po"))]}
    for each in wanted:
        name = each.partition(".")[0].partition("@")[0].replace("-", "_").casefold()
        for code in (name, name.partition("_")[0]):
            if code in codes:
                return codes[code]
    return None


def of_environment() -> str:
    """The language that the environment asks for; English where it asks for none, or for none that is offered."""
    wanted = next((text for name in VARIABLES if (text := os.environ.get(name))), "")
    return best(wanted.split(":")) or ENGLISH


def catalogue(language: str) -> gettext.NullTranslations:
    """What a language says; where it says nothing, English stands."""
    path = LOCALES / f"{language}.po"
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return _ENGLISH
    return _read(path, changed)


_ENGLISH = gettext.NullTranslations()


@cache
def _own_name(code: str) -> str:
    from babel import Locale, UnknownLocaleError

    try:
        name = Locale.parse(code).get_display_name()
    except (UnknownLocaleError, ValueError):  # a language that Unicode does not list is called by its code
        return code
    return name[:1].upper() + name[1:] if name else code


@cache
def _read(path: Path, changed: int) -> gettext.NullTranslations:
    """`changed` (the file's time stamp) makes a catalogue that was written anew a new entry."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    compiled = io.BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file))  # without what is empty or marked as fuzzy
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
