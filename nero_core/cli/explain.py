"""``nero explain``: why one image has its score."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from nero_core.cli.console import DONE, AddCommand, load
from nero_core.errors import InputError


def add_explain(command: AddCommand) -> None:
    """Enter the command into the parser."""
    explain = command("explain", _explain, "Explain one image's score: heatmaps, figures and numbers.")
    explain.add_argument("reference", type=Path, metavar="REF")
    explain.add_argument("image", type=Path, metavar="IMAGE")
    explain.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the result")
    explain.add_argument("--detector", default="nero", help="default: %(default)s")
    explain.add_argument("--neurons", type=int, default=6, help="how many neurons (default: %(default)s)")
    explain.add_argument(
        "--alpha", type=float, default=0.05, help="accepted share of false alarms (default: %(default)s)"
    )


def _explain(options: argparse.Namespace) -> int:
    from nero_core.case import explain_case
    from nero_core.reports.case import write_case

    if options.neurons < 1:
        raise InputError(f"--neurons is {options.neurons}; wanted at least 1.")
    case = explain_case(load(options), options.image, options.neurons, options.alpha, options.detector)
    written = write_case(case, options.out)
    if options.json:
        print(json.dumps(case.numbers(), indent=1))
    else:
        print("\n".join(f"Wrote {path}" for path in written))
    return DONE
