"""The lesson on two printed pages: seven steps, each with a picture and numbers that were computed for it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from types import ModuleType
from typing import Any, Literal

import nero_core
from nero_core import wording
from nero_core.errors import InputError
from nero_core.lesson.frames import LessonFrames
from nero_core.reference.reference import Reference
from nero_core.reports.handout_steps import HandoutStep, handout_steps
from nero_core.reports.templates import render
from nero_core.wording import STANDING_LINE, said

FIRST_SHEET = 4
"""Steps on the first of the two pages."""
PaperSize = Literal["a4", "letter"]


@dataclass(frozen=True)
class Paper:
    """A paper size, and what is fitted to it.

    Attributes
    ----------
    size : str
        As CSS names it.
    gap : float
        Millimetres between two steps.
    pair, frame : float
        Width of each of two pictures side by side, and of each of six, in millimetres.
    lines : int
        Ruled lines for questions.
    letters : int
        So many of them on a page have room at `POINTS`; where a language has more, the type is smaller.
    """

    size: str
    gap: float
    pair: float
    frame: float
    lines: int
    letters: int


PAPERS: Mapping[PaperSize, Paper] = {
    "a4": Paper("A4", 4.5, 36.0, 29.0, 6, 2650),
    "letter": Paper("letter", 3.0, 32.0, 26.5, 4, 2650),
}
"""Margins and all, A4 is 297 mm high and US Letter 279.4: on both pages some of it is left for longer words."""
POINTS, LEAST_POINTS = 8.6, 7.0
"""Size of the type, and what it never goes below."""


def page(reference: Reference, frames: LessonFrames, paper: PaperSize = "a4") -> str:
    """The handout as one HTML file that loads nothing and prints on two pages.

    Raises
    ------
    InputError
        The reference has no sample for the plane, or a picture cannot be read.
    ArtefactError
        Bundled scores are missing, or are another reference's.
    """
    steps = handout_steps(reference, frames)
    source = type(reference.detector("nero")).info.paper
    return render(
        "handout.html",
        language=wording.language(),
        title=said("How unusual is this image? A lesson in seven steps"),
        paper=PAPERS[paper],
        points=_points(steps[:FIRST_SHEET], PAPERS[paper]),
        sheets=[steps[:FIRST_SHEET], steps[FIRST_SHEET:]],
        rendered=said("All pictures are rendered by a program, and show no patient."),
        standing_line=said(STANDING_LINE),
        versions=said(
            "Every number was computed by NERO Dashboard {version} with the reference “{title}” ({digest}).",
            version=nero_core.__version__,
            title=reference.title,
            digest=str(reference.manifest["sha256"])[:12],
        ),
        paper_cited=said(
            "NERO: {authors}: “{title}”, {venue} {year}.", authors=", ".join(source.authors), title=source.title,
            venue=source.venue, year=source.year,
        ),
        link=source.url,
        said_home=said("To take home:"),
        said_notes=said("Notes"),
        said_name=said("Name"),
        said_date=said("Date"),
        said_questions=said("My questions"),
    )  # fmt: skip


def pdf(html: str) -> bytes:
    """The handout's page as a PDF for print and for screen readers (PDF/UA-1).

    Parameters
    ----------
    html : str
        Of :func:`page`.

    Raises
    ------
    InputError
        WeasyPrint or one of its libraries is not installed; the message says which, and how to get it.
    """
    written: bytes = _document(html).write_pdf(pdf_variant="pdf/ua-1")
    return written


def _points(fullest: Sequence[HandoutStep], paper: Paper) -> float:
    """Size of the type for the fuller of the pages: letters take room by the square of it."""
    texts = [
        text
        for step in fullest
        for text in (step.title, step.idea, step.take_home, *step.drawn.facts, *_captions(step))
    ]
    letters = sum(map(len, texts))
    return round(max(LEAST_POINTS, POINTS * min(1.0, sqrt(paper.letters / letters))), 2)


def _captions(step: HandoutStep) -> list[str]:
    return [line for picture in step.drawn.pictures for line in picture.lines]


def why_no_pdf() -> str:
    """What is missing for :func:`pdf` and how to get it; empty where nothing is."""
    try:
        _weasyprint()
    except InputError as error:
        return str(error)
    return ""


def _document(html: str) -> Any:
    """Laid out on pages; nothing is fetched from anywhere."""
    weasyprint = _weasyprint()
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols=("data",))
    return weasyprint.HTML(string=html, url_fetcher=fetcher).render(pdf_variant="pdf/ua-1")


def _weasyprint() -> ModuleType:
    """The library, or which part of it is missing: it loads Pango, which no package of Python's brings."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints advice of its own
            import weasyprint
    except ImportError as error:
        raise InputError(
            said(
                "A PDF needs WeasyPrint, which is not installed ({reason}). Install it with: python -m pip install "
                "'nero-dashboard[reports]'. The HTML needs nothing, and prints on the same two pages.",
                reason=error,
            )
        ) from error
    except OSError as error:
        raise InputError(
            said(
                "A PDF needs Pango, which lays out text and could not be loaded ({reason}). Debian and Ubuntu: apt "
                "install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0; macOS: brew install pango; Windows: "
                "pacman -S mingw-w64-ucrt-x86_64-pango in MSYS2. The HTML needs nothing, and prints on the same two "
                "pages.",
                reason=str(error).partition("\n")[0],
            )
        ) from error
    module: ModuleType = weasyprint
    return module
