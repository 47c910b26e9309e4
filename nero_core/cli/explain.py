"""``nero explain``: why one image has its score."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nero_core.cli.console import DONE, AddCommand, add_alpha, load, say, tell
from nero_core.errors import InputError
from nero_core.wording import HEATMAPS_BY, heatmap_method, said

if TYPE_CHECKING:
    from nero_core.case import Case, Cover

CHECKS = "checks"
"""In place of a rectangle: cover what the input checks suggest."""


def add_explain(command: AddCommand) -> None:
    """Enter the command into the parser."""
    explain = command("explain", _explain, "Explain one image's score: heatmaps, figures and numbers.")
    explain.add_argument("reference", type=Path, metavar="REF")
    explain.add_argument("image", type=Path, metavar="IMAGE")
    explain.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the result")
    explain.add_argument("--detector", help="default: the panel; nero where a reference has none")
    explain.add_argument("--neurons", type=int, default=6, help="how many neurons (default: %(default)s)")
    add_alpha(explain)
    explain.add_argument(
        "--method",
        metavar="NAME",
        help="heatmap method, such as EpsilonPlusFlat or SmoothGrad (default: the best that the network has)",
    )
    explain.add_argument(
        "--cover",
        action="append",
        default=[],
        metavar="L,T,W,H",
        help="also score the image with this rectangle covered: left, top, width, height as fractions of the image or "
        "in percent, such as 10%%,20%%,30%%,25%%; or `checks` for what the input checks noticed (repeatable)",
    )
    explain.add_argument(
        "--fill",
        choices=("inpainted", "mean"),
        default="inpainted",
        help="what covers are filled with: smoothly from what surrounds them, or by the mean colour of the rest "
        "(default: %(default)s)",
    )
    explain.add_argument(
        "--seed", type=int, default=0, help="of the random places that the explanation is tested at (default: 0)"
    )


def _explain(options: argparse.Namespace) -> int:
    from nero_core.case import ALL, before_and_after, covered, group, leading_neurons, open_case, parse_cover, tell_why
    from nero_core.data.images import read_image
    from nero_core.data.input_checks import NOTHING_NOTICED
    from nero_core.reports.case import Tested, case_numbers, write_case

    if options.neurons < 1:
        raise InputError(f"--neurons is {options.neurons}; wanted at least 1.")
    if options.seed < 0:
        raise InputError(f"--seed is {options.seed}; wanted 0 or more.")
    covers = [parse_cover(text) for text in options.cover if text != CHECKS]
    reference, image = load(options), read_image(options.image)
    case = open_case(reference, image, options.detector)
    if case.nothing_to_judge:
        raise InputError(f"{case.checks[0].sentence} {case.checks[0].effect} Nothing was explained or written.")
    if CHECKS in options.cover:
        covers += _suggested(case, image.size)
    case.decide(options.alpha)  # a share that cannot be supported is refused before anything is written
    if case.explanation is None:
        reference.explain(case.activations, options.detector)  # says which detectors have an exact decomposition
    case.take(None if options.method is None else reference.attributions.by(options.method).method)
    leading = leading_neurons(case, image)
    assert leading is not None, "the account was asked for above"
    told, concepts = tell_why(case, image, seed=options.seed, leading=leading), group(leading)
    changed = covered(image, covers, options.fill) if covers else None
    after = case.cover(image, covers, options.fill) if covers else None
    tested = Tested(told, concepts, after, changed)
    written = write_case(case, image, options.out, options.alpha, options.neurons, tested)
    lines = [*(f"Wrote {path}" for path in written), _said_of_heatmaps(case.methods[ALL]), told.sentence, told.carries]
    lines.append(_said_of_similar(case))
    lines += [f"Noticed: {check.sentence} {check.effect}" for check in case.checks] or [NOTHING_NOTICED]
    if after is not None:
        lines.append(_said_of_covers(before_and_after(case, after, options.alpha)))
    tell(options, case_numbers(case, options.alpha, options.neurons, tested), "\n".join(lines))
    if case.caution:
        say(f"warning: {case.caution}")
    return DONE


def _suggested(case: Case, size: tuple[int, int]) -> tuple[Cover, ...]:
    from nero_core.case import suggested_covers

    if not (found := suggested_covers(case.checks, size)):
        noticed = ", ".join(check.name for check in case.checks) or "nothing"
        raise InputError(
            f"--cover {CHECKS}: the input checks noticed {noticed}, and wanted is something that has a place; leave it "
            "out, or give rectangles as --cover L,T,W,H."
        )
    return found


def _said_of_covers(numbers: Mapping[str, Any]) -> str:
    before, after = numbers["before"], numbers["after"]
    return (
        f"Covered ({numbers['fill']}): score {after['score']:.4g} instead of {before['score']:.4g}, {after['state']} "
        f"instead of {before['state']}. No guarantee: {after['no_guarantee_because']}."
    )


def _said_of_similar(case: Case) -> str:
    from nero_core.neurons.similar import MEANING, NO_FRAMES, lacking

    missing = lacking(case.reference.sample)
    if missing == NO_FRAMES:
        return missing
    nearest = case.similar("relevance")[0]
    text = f"Nearest by relevance: {nearest.kind} frame, {nearest.class_name} (similar.png, case.json). {MEANING}."
    return f"{text} {missing}".rstrip()


def _said_of_heatmaps(title: str) -> str:
    from nero_core.attribution import METHODS

    method = METHODS[title]
    only = "" if method.single_neurons else " It gives one map of the whole answer, overall.png, and none of neurons."
    return f"{said(HEATMAPS_BY)} {heatmap_method(method.title)}: {method.meaning}.{only}"
