"""``nero handout``: the lesson on two pages, as an HTML file or a PDF."""

from __future__ import annotations

import argparse
from pathlib import Path

from nero_core.cli.console import DONE, AddCommand, device, tell
from nero_core.errors import InputError

ENDINGS = (".html", ".pdf")


def add_handout(command: AddCommand) -> None:
    """Enter the command into the parser."""
    handout = command(
        "handout", _handout, "Write the lesson's handout: two pages with the seven steps, computed on bundled pictures."
    )
    handout.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="handout.html or handout.pdf: its ending says which"
    )
    handout.add_argument("--paper", choices=("a4", "letter"), default="a4", help="paper size (default: %(default)s)")


def _handout(options: argparse.Namespace) -> int:
    from nero_core.demo.rendered import BUNDLED
    from nero_core.lesson.frames import read_frames
    from nero_core.reference.reference import Reference
    from nero_core.reports.handout import page, pdf, why_no_pdf
    from nero_core.storage.files import write_bytes

    ending = options.out.suffix.lower()
    if ending not in ENDINGS:
        raise InputError(f"--out is {str(options.out)!r}; wanted a name that ends in {' or '.join(ENDINGS)}.")
    if ending == ".pdf" and (missing := why_no_pdf()):
        raise InputError(missing)  # before the minute that the pictures take
    html = page(Reference.load(BUNDLED, device(options)), read_frames(), options.paper)
    write_bytes(options.out, pdf(html) if ending == ".pdf" else html.encode())
    tell(options, {"written": str(options.out), "paper": options.paper}, f"Wrote {options.out}")
    return DONE
