"""Names of files as they may be shown: file names are untrusted."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from nero_core.records import Source

MAX_NAME = 80
"""Characters of a displayed file name."""


def display_name(source: Source, index: int) -> str:
    """A short name that is safe to print: no path, no control, direction or zero-width characters.

    Parameters
    ----------
    source : str, Path, bytes or PIL image
    index : int
        Position among the sources, from 0; names what has no file name, "image 1" and so on.

    Returns
    -------
    str
        At most 80 characters; a longer name keeps its suffix. It is text, not HTML: escape it where that matters.
    """
    if not isinstance(source, str | Path):
        return f"image {index + 1}"
    base = re.split(r"[\\/]", str(source))[-1]
    # Categories C*: control, format (bidirectional and zero-width marks), surrogates, unassigned; Zl, Zp: line breaks.
    name = "".join("_" if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" else c for c in base).strip()
    if name in ("", ".", ".."):
        return f"image {index + 1}"
    if len(name) > MAX_NAME:
        suffix = Path(name).suffix
        suffix = suffix if len(suffix) <= MAX_NAME // 4 else ""
        name = name[: MAX_NAME - 1 - len(suffix)] + "…" + suffix
    return name
