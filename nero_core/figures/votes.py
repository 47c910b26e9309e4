"""How a class answered."""

from __future__ import annotations

from collections.abc import Mapping

from nero_core.errors import InputError
from nero_core.figures.neurons import as_written
from nero_core.figures.palette import ACCENT, NEUTRAL, Cell, Chart, add_rows, blank_figure, table
from nero_core.wording import said

ROW, REST = 44, 50
"""Pixels of one bar, and of what is around them."""
LETTERS = 18
"""Pixels; it is read from the last row."""


def vote_chart(options: Mapping[str, str], counts: Mapping[str, int], right: str, *, dark: bool = False) -> Chart:
    """A bar for each answer, and a tick before the right one.

    Parameters
    ----------
    options : {value: words}
    counts : {value: how many gave it}
    right : str
        The value of the right one.
    dark : bool

    Raises
    ------
    InputError
        There is no answer, one is not counted, or the right one is none of them.
    """
    total = sum(counts.values())
    if not total or set(counts) != set(options) or right not in options:
        raise InputError(
            f"{total} answers to the options {sorted(options)} were given, counted for {sorted(counts)}, with "
            f"{right!r} as the right one; wanted at least one answer, a count of each option, and a right one of them."
        )
    labels = [as_written(f"✓ {text}" if value == right else text) for value, text in options.items()]
    numbers = [counts[value] for value in options]
    shares = [f"{100 * n / total:.0f} %" for n in numbers]
    figure = blank_figure(dark, REST + ROW * len(options))
    colours = [ACCENT if value == right else NEUTRAL for value in options]
    add_rows(figure, labels, numbers, [f"{n} ({share})" for n, share in zip(numbers, shares, strict=True)], colours)
    figure.update_layout(font={"size": LETTERS})
    figure.update_yaxes(type="category", tickfont={"size": LETTERS})
    figure.update_xaxes(visible=False, range=[0, 1.2 * max(numbers)])
    each = "; ".join(f"{text}: {n}" for text, n in zip(options.values(), numbers, strict=True))
    alt = said("{n} answers. {each}. Right: {right}.", n=total, each=each, right=options[right])
    columns: dict[str, list[Cell]] = {
        said("Answer"): list(options.values()),
        said("How many"): list(numbers),
        said("Share"): list(shares),
        said("Right"): [said("yes") if value == right else said("no") for value in options],
    }
    return Chart(figure, table(columns), alt)
