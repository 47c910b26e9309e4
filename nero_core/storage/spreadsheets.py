"""Tables as comma-separated values that a spreadsheet cannot take for formulas.

File names, class names and titles are untrusted: a cell that begins with =, +, -, @, a tab or a carriage return is a
formula to most spreadsheets, and may run commands (OWASP, "CSV Injection").
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TypeVar

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")

Cell = TypeVar("Cell")


def inert(cell: Cell) -> Cell | str:
    """A text that begins like a formula with an apostrophe before it; anything else, numbers too, as it is."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell


def comma_separated(rows: Sequence[Mapping[str, object]], header: Sequence[str] | None = None) -> str:
    """Rows as CSV with a header line, every cell inert.

    Parameters
    ----------
    rows : mappings of column to value
        A column that a row lacks stays empty.
    header : names, optional
        The columns in their order; by default those of all rows as they first appear.
    """
    columns = list(header if header is not None else dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([inert(name) for name in columns])
    writer.writerows([inert(row.get(name, "")) for name in columns] for row in rows)
    return text.getvalue()
