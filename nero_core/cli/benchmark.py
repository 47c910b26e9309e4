"""``nero benchmark``: any detectors on any images, as tables and figures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from nero_core.cli.calibrate import add_group
from nero_core.cli.console import (
    DONE,
    INTERRUPTED,
    NOTHING_DONE,
    SOME_FAILED,
    AddCommand,
    add_alpha,
    as_text,
    begin,
    close_bars,
    load,
    named_folder,
    say,
    settle_names,
)
from nero_core.errors import InputError
from nero_core.wording import COULD_NOT_RUN, NEVER_TRAINED_ON, said

if TYPE_CHECKING:
    from nero_core.benchmark.division import Division
    from nero_core.benchmark.plan import Plan
    from nero_core.benchmark.result import BenchmarkResult, DetectorResult


def add_benchmark(command: AddCommand) -> None:
    """Enter the command into the parser."""
    parser = command("benchmark", _benchmark, "Compare detectors on in-distribution and out-of-distribution images.")
    reference = parser.add_argument("reference", type=Path, metavar="REF", help="folder of the reference")
    reference.required = False  # it may have gone to --detectors, see `settle_names`
    parser.add_argument(
        "--id",
        type=Path,
        required=True,
        metavar="DIR",
        help="in-distribution images: the class folders that were trained on (images kept from training are scored, "
        "the others fit the detectors), or with --train any images the classifier has never seen",
    )
    parser.add_argument(
        "--ood", action="append", default=[], metavar="NAME=DIR", help="out-of-distribution images (repeatable)"
    )
    parser.add_argument("--train", type=Path, metavar="DIR", help="class folders that were trained on, if not in --id")
    parser.add_argument("--calibration", type=Path, metavar="DIR", help=said(NEVER_TRAINED_ON))
    parser.add_argument("--detectors", nargs="+", default=["all"], metavar="NAME", help="names (default: all)")
    parser.add_argument("--ablate", nargs="+", default=[], metavar="NAME", help="also take a detector apart: nero")
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        help="set the figures of a paper beside these (kvasir-v2, gastrovision, folders); with --id the folder that "
        "`arrange` wrote, nothing else is needed",
    )
    add_alpha(parser)
    parser.add_argument("--seed", type=int, default=0, help="seed of the intervals (default: %(default)s)")
    add_group(parser)
    parser.add_argument("--no-cache", action="store_true", help="keep no activations for the next benchmark")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for tables, figures and scores")


def _benchmark(options: argparse.Namespace) -> int:
    from nero_core.network.activation_cache import default_folder
    from nero_core.reports.benchmark import write_report

    settle_names(options, "reference", "the folder of the reference")
    asked = _asked(options)
    plan = asked.settled()  # a typo is found before anything is read
    reference = load(options)
    division = plan.divide(reference, begin("Looking through the folders"))
    _say_division(division)
    benchmark = plan.benchmark(reference, division, None if options.no_cache else default_folder())
    interrupted = False
    try:
        benchmark.run(begin, _say_refusal)
    except KeyboardInterrupt:
        close_bars()
        interrupted = True
        if not benchmark.finished:
            raise
    result = asked.completed(benchmark.result())
    written = write_report(result, options.out)
    for text in result.warnings:
        say(f"warning: {text}")
    print(json.dumps(result.to_json(), indent=1) if options.json else _table(result, written))
    if interrupted:
        say(
            f"nero: stopped; {benchmark.finished} of {len(benchmark.contenders)} detectors are finished and kept in "
            f"{options.out}. The same command goes on from there."
        )
        return INTERRUPTED
    if not result.scores:
        say(f"nero: no detector could run: {result.detectors[0].reason}")
        return NOTHING_DONE
    failed = any(row.status == "failed" for row in result.detectors) or any(each.unreadable for each in result.sets)
    return SOME_FAILED if failed else DONE


def _asked(options: argparse.Namespace) -> Plan:
    from nero_core.benchmark.plan import Plan

    ood: dict[str, Path] = {}
    for name, folder in map(named_folder, options.ood):
        if name in ood:
            raise InputError(f"Two OOD sets are named {name!r}; give each a name of its own.")
        ood[name] = folder
    return Plan(
        options.reference,
        options.id,
        ood,
        options.train,
        options.calibration,
        tuple(options.detectors),
        tuple(options.ablate),
        options.protocol,
        options.alpha,
        options.seed,
        options.group,
        options.out,
    )


def _say_division(division: Division) -> None:
    fit = len(division.fit) if division.fit is not None else 0
    held_out = len(division.calibration) if division.calibration is not None else 0
    ood = ", ".join(f"{name} {len(images)}" for name, images in division.ood.items())
    say(f"Images: {fit} fit the detectors, {held_out} calibrate, {len(division.id)} are scored as ID; OOD: {ood}.")


def _say_refusal(row: DetectorResult) -> None:
    if not row.done:
        say(f"{row.name} {said(COULD_NOT_RUN)}: {row.reason}")


def _table(result: BenchmarkResult, written: list[Path]) -> str:
    """What a person reads first; the report holds the rest."""
    from nero_core.benchmark.tables import (
        COMPARED,
        Table,
        comparable,
        decision_columns,
        metric_columns,
        published_columns,
    )

    lines = []
    if ranked := result.ranked():
        column = result.columns[-1]
        columns = [*metric_columns(ranked, column, COMPARED), decision_columns(ranked, column, result.alpha)[0]]
        lines += as_text(Table("", "Over all OOD images, %", [row.label for row in ranked], columns))
    if refused := sum(not row.done for row in result.detectors):
        lines.append(f"{refused} of {len(result.detectors)} detectors {said(COULD_NOT_RUN)}; the report says why.")
    if entries := result.published["rows"]:
        title = f"Published figures, protocol {result.published['protocol']}"
        lines += ["", *as_text(Table("", title, [entry["title"] for entry in entries], published_columns(result)))]
    lines += result.promises()
    lines.append(f"Published figures are {comparable(result)}: {result.published['reason']}")
    lines += [f"Wrote {path}" for path in written]
    return "\n".join(lines)
