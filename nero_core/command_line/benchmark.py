"""``nero benchmark``: any detectors on any images, as tables and figures."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nero_core.command_line.console import (
    DONE,
    INTERRUPTED,
    NOTHING_DONE,
    SOME_FAILED,
    begin,
    close_bars,
    load,
    named_folder,
    say,
)
from nero_core.errors import InputError

if TYPE_CHECKING:
    from nero_core.evaluation.division import Division
    from nero_core.evaluation.result import BenchmarkResult, DetectorResult
    from nero_core.extraction_cache import ImageSet
    from nero_core.reference import Reference

AddCommand = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]


def add_benchmark(command: AddCommand) -> None:
    """Enter the command into the parser."""
    parser = command("benchmark", _benchmark, "Compare detectors on in-distribution and out-of-distribution images.")
    parser.add_argument("reference", type=Path, metavar="REF", help="folder of the reference")
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
    parser.add_argument("--calibration", type=Path, metavar="DIR", help="ID images never trained on, for decisions")
    parser.add_argument("--detectors", nargs="+", default=["all"], metavar="NAME", help="names (default: all)")
    parser.add_argument("--ablate", nargs="+", default=[], metavar="NAME", help="also take a detector apart: nero")
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        help="set the figures of a paper beside these (kvasir-v2, gastrovision, folders); with --id the folder that "
        "`arrange` wrote, nothing else is needed",
    )
    parser.add_argument(
        "--alpha", type=float, default=0.05, help="accepted share of false alarms (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the intervals (default: %(default)s)")
    parser.add_argument("--no-cache", action="store_true", help="keep no activations for the next benchmark")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for tables, figures and scores")


def _benchmark(options: argparse.Namespace) -> int:
    from nero_core.benchmark_report import write_report
    from nero_core.detectors import make_detector
    from nero_core.evaluation.line_up import contenders
    from nero_core.evaluation.loop import Benchmark
    from nero_core.extraction_cache import default_folder
    from nero_core.protocols.protocol import published_beside

    command = _command(options)
    for name in options.detectors:  # a typo is found before anything is read
        if name != "all":
            make_detector(name)
    _follow_protocol(options)
    reference = load(options)
    division = _divided(options, reference)
    _say_division(division)
    trained_on = None if division.fit is None else division.fit.digest
    rows = contenders(options.detectors, reference, trained_on, reference.classifier.head.width, options.ablate)
    benchmark = Benchmark(
        reference.title,
        reference.classifier,
        division,
        rows,
        folder=options.out,
        cache_folder=None if options.no_cache else default_folder(),
        alpha=options.alpha,
        seed=options.seed,
    )
    interrupted = False
    try:
        benchmark.run(begin, _say_refusal)
    except KeyboardInterrupt:
        close_bars()
        interrupted = True
        if not benchmark.finished:
            raise
    result = benchmark.result()
    result = replace(
        result,
        provenance={**result.provenance, "command": command},
        published=published_beside(options.protocol, result),
    )
    written = write_report(result, options.out)
    for text in result.warnings:
        say(f"warning: {text}")
    print(json.dumps(result.to_json(), indent=1) if options.json else _table(result, written))
    if interrupted:
        say(
            f"nero: stopped; {benchmark.finished} of {len(rows)} detectors are finished and kept in {options.out}. "
            "The same command goes on from there."
        )
        return INTERRUPTED
    if not result.scores:
        say(f"nero: no detector could run: {result.detectors[0].reason}")
        return NOTHING_DONE
    failed = any(row.status == "failed" for row in result.detectors) or any(each.unreadable for each in result.sets)
    return SOME_FAILED if failed else DONE


def _follow_protocol(options: argparse.Namespace) -> None:
    """Where --id is a folder that `arrange` wrote, take training, test and OOD images from it."""
    from nero_core.protocols.arrange import OOD, TEST, TRAIN, arranged_protocol
    from nero_core.protocols.protocol import FOLDERS, named_protocol

    arranged = arranged_protocol(options.id)
    if options.protocol is None:
        if arranged is None:
            return
        options.protocol = arranged
    if options.protocol != FOLDERS:
        named_protocol(options.protocol)
    if arranged is None:
        return
    if arranged != options.protocol:
        raise InputError(f"{options.id} was arranged for {arranged}, not for {options.protocol}; name that one.")
    if options.ood or options.train:
        raise InputError(f"{options.id} holds its training and OOD images; leave out --train and --ood.")
    folder = options.id
    options.id, options.train = folder / TEST, folder / TRAIN
    options.ood = [f"{path.name}={path}" for path in sorted((folder / OOD).iterdir()) if path.is_dir()]


def _divided(options: argparse.Namespace, reference: Reference) -> Division:
    from nero_core.datasets import list_images, read_class_folders
    from nero_core.evaluation.division import divide, read_id_folder
    from nero_core.extraction_cache import ImageSet

    classifier = reference.classifier
    if not options.ood:
        raise InputError("There is no OOD image; give at least one folder of them, such as --ood polyp=images/polyp.")
    ood: dict[str, ImageSet] = {}
    for name, folder in map(named_folder, options.ood):
        if name in ood:
            raise InputError(f"Two OOD sets are named {name!r}; give each a name of its own.")
        ood[name] = ImageSet.of_files(list_images(folder))
    train = options.train and ImageSet.of(read_class_folders(options.train, classifier.classes))
    calibration = options.calibration and ImageSet.of_files(list_images(options.calibration))
    return divide(classifier, read_id_folder(options.id, classifier.classes), ood, train, calibration)


def _say_division(division: Division) -> None:
    fit = len(division.fit) if division.fit is not None else 0
    held_out = len(division.calibration) if division.calibration is not None else 0
    ood = ", ".join(f"{name} {len(images)}" for name, images in division.ood.items())
    say(f"Images: {fit} fit the detectors, {held_out} calibrate, {len(division.id)} are scored as ID; OOD: {ood}.")


def _say_refusal(row: DetectorResult) -> None:
    if not row.done:
        say(f"{row.name} could not run: {row.reason}")


def _command(options: argparse.Namespace) -> str:
    """The line that gives the same figures."""
    words = ["nero", "benchmark", str(options.reference), "--id", str(options.id)]
    for given in options.ood:
        words += ["--ood", given]
    for flag in ("train", "calibration", "protocol"):
        if (value := getattr(options, flag)) is not None:
            words += [f"--{flag}", str(value)]
    words += ["--detectors", *options.detectors]
    if options.ablate:
        words += ["--ablate", *options.ablate]
    words += ["--alpha", f"{options.alpha:g}", "--seed", str(options.seed), "--out", str(options.out)]
    return shlex.join(words)


def _table(result: BenchmarkResult, written: list[Path]) -> str:
    """What a person reads first; the report holds the rest."""
    from nero_core.benchmark_report import percent
    from nero_core.evaluation.result import ID
    from nero_core.figures.benchmark import label

    column = result.columns[-1]
    ranked = result.ranked()
    lines = []
    if ranked:
        width = max(len(label(row)) for row in ranked)
        lines.append(
            f"{'over all OOD images, %':<{width}}  {'AUROC (95 % interval)':>21}  {'OOD passing at 95 % ID':>22}  "
            f"{'ID flagged at 95 % OOD':>22}  {f'ID flagged, α = {result.alpha:g}':>20}"
        )
    for row in ranked:
        figures = [
            percent(row.metrics[column][name]) for name in ("auroc", "fpr_ood_at_95_id_tpr", "fpr_id_at_95_ood_tpr")
        ]
        flagged = f"{100 * row.flagged[ID]:.1f}" if ID in row.flagged else "–"
        lines.append(f"{label(row):<{width}}  {figures[0]:>21}  {figures[1]:>22}  {figures[2]:>22}  {flagged:>20}")
    if refused := sum(not row.done for row in result.detectors):
        lines.append(f"{refused} of {len(result.detectors)} detectors could not run; the report says why.")
    if result.published["rows"]:
        lines += ["", f"Published figures, protocol {result.published['protocol']}:"]
        for entry in result.published["rows"]:
            lines.append(
                f"  {entry['title']:<16} AUROC {100 * entry['auroc']:.2f}, "
                f"OOD passing at 95 % ID {100 * entry['fpr_ood_at_95_id_tpr']:.2f}"
            )
    verdict = "comparable" if result.published["comparable"] else "not comparable"
    lines.append(f"With published figures: {verdict}: {result.published['reason']}")
    lines += [f"Wrote {path}" for path in written]
    return "\n".join(lines)
