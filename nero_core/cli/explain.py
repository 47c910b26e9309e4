"""``nero explain``: why one image has its score."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from nero_core.cli.console import DONE, AddCommand, load, say
from nero_core.errors import InputError


def add_explain(command: AddCommand) -> None:
    """Enter the command into the parser."""
    explain = command("explain", _explain, "Explain one image's score: heatmaps, figures and numbers.")
    explain.add_argument("reference", type=Path, metavar="REF")
    explain.add_argument("image", type=Path, metavar="IMAGE")
    explain.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the result")
    explain.add_argument("--detector", help="default: the panel; nero where a reference has none")
    explain.add_argument("--neurons", type=int, default=6, help="how many neurons (default: %(default)s)")
    explain.add_argument(
        "--alpha", type=float, default=0.05, help="accepted share of false alarms (default: %(default)s)"
    )
    explain.add_argument(
        "--method",
        metavar="NAME",
        help="heatmap method, such as EpsilonPlusFlat or SmoothGrad (default: the best that the network has)",
    )


def _explain(options: argparse.Namespace) -> int:
    from nero_core.case import ALL, open_case
    from nero_core.data.images import read_image
    from nero_core.data.input_checks import NOTHING_NOTICED
    from nero_core.reports.case import write_case

    if options.neurons < 1:
        raise InputError(f"--neurons is {options.neurons}; wanted at least 1.")
    reference, image = load(options), read_image(options.image)
    case = open_case(reference, image, options.detector)
    if case.nothing_to_judge:
        raise InputError(f"{case.checks[0].sentence} {case.checks[0].effect} Nothing was explained or written.")
    case.decide(options.alpha)  # a share that cannot be supported is refused before anything is written
    if case.explanation is None:
        reference.explain(case.activations, options.detector)  # says which detectors have an exact account
    case.take(None if options.method is None else reference.attributions.by(options.method).method)
    written = write_case(case, image, options.out, options.alpha, options.neurons)
    if options.json:
        print(json.dumps(case.numbers(options.alpha, options.neurons), indent=1))
    else:
        print("\n".join(f"Wrote {path}" for path in written))
        print(_said_of_heatmaps(case.methods[ALL]))
        print("\n".join([f"Noticed: {check.sentence} {check.effect}" for check in case.checks] or [NOTHING_NOTICED]))
    if case.caution:
        say(f"warning: {case.caution}")
    return DONE


def _said_of_heatmaps(title: str) -> str:
    from nero_core.attribution import METHODS

    method = METHODS[title]
    only = "" if method.single_neurons else " It gives one map of the whole answer, overall.png, and none of neurons."
    return f"Heatmaps by {method.title}: {method.meaning}.{only}"
