"""The command line: ``python -m nero_core <command>``, installed as ``nero``. Only it and ``command_line`` print."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nero_core
from nero_core.cli.benchmark import add_benchmark
from nero_core.cli.calibrate import (
    add_calibrate,
    add_calibration,
    add_group,
    calibration_settings,
    say_guarantee,
    summary,
)
from nero_core.cli.console import (
    DONE,
    INTERRUPTED,
    NOTHING_DONE,
    SOME_FAILED,
    begin,
    close_bars,
    device,
    load,
    named_folder,
    say,
)
from nero_core.cli.faithfulness import add_faithfulness
from nero_core.cli.preprocessing import (
    add_preprocessing,
    given_settings,
)
from nero_core.cli.protocols import add_protocols
from nero_core.cli.references import add_references
from nero_core.errors import InputError, NeroError

if TYPE_CHECKING:
    from nero_core.reference.reference import Reference

# Before torch is imported: threads that wait for each other sleep instead of spinning, so that a command and whatever
# else the machine does hold each other up less.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a user's mistake gives one line and an exit code, never a traceback."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except NeroError as error:
        close_bars()
        print(f"nero: {error}", file=sys.stderr)
        return NOTHING_DONE
    except KeyboardInterrupt:
        close_bars()
        print("nero: stopped; nothing was left half-written.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return SOME_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nero",
        description="Out-of-distribution scores for endoscopy networks, explained neuron by neuron. "
        "Research use; not a medical device.",
        epilog="Exit codes: 0 all done; 1 done, but some files failed; 2 nothing could be done; 130 stopped by Ctrl-C.",
    )
    parser.add_argument("--version", action="version", version=f"NERO Dashboard {nero_core.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        sub.add_argument(
            "--device", choices=["cpu", "cuda", "mps"], help="where to compute (default: the best there is)"
        )
        sub.add_argument("--json", action="store_true", help="print the result as JSON")
        return sub

    train = command("train", _train, "Train a classifier on class folders.")
    train.add_argument("data", type=Path, metavar="DATA", help="a folder with one sub-folder of images per class")
    train.add_argument("--arch", default="resnet18", help="architecture (default: %(default)s)")
    train.add_argument("--out", type=Path, required=True, metavar="CKPT", help="where to write it (.safetensors)")
    train.add_argument("--epochs", type=int, default=12, help="passes over the images (default: %(default)s)")
    train.add_argument("--seed", type=int, default=0, help="seed of weights, split and order (default: %(default)s)")
    train.add_argument("--init", type=Path, metavar="FILE", help="start from these weights (.safetensors, .pt, .pth)")
    train.add_argument(
        "--alpha",
        type=float,
        default=0.05,
        help="share of false alarms that the images set aside must support in every class (default: %(default)s)",
    )
    add_group(train)
    train.add_argument(
        "--init-unseen",
        action="store_true",
        help="the weights of --init have seen none of DATA, such as ImageNet's; otherwise there is no guarantee where "
        "it is not known what trained them",
    )

    fit = command("fit", _fit, "Fit detectors to a classifier, calibrate them, and write a reference.")
    fit.add_argument("data", type=Path, metavar="DATA", help="the class folders that the classifier was trained on")
    fit.add_argument(
        "--classifier",
        type=Path,
        required=True,
        metavar="CKPT",
        help="what `train` wrote, or with --arch weights of your own",
    )
    fit.add_argument(
        "--arch", metavar="ARCH", help="of weights of your own (.safetensors, .pt, .pth), which are used as they are"
    )
    fit.add_argument("--out", type=Path, required=True, metavar="REF", help="folder of the reference")
    fit.add_argument("--detectors", nargs="+", metavar="NAME", help="detectors (default: nero, stage_mahalanobis)")
    held_out = fit.add_mutually_exclusive_group()
    held_out.add_argument("--calibration", type=Path, metavar="DATA2", help="class folders never trained on")
    held_out.add_argument(
        "--calibration-seen", action="store_true", help="calibrate on the images of the fit: gives up the guarantee"
    )
    add_calibration(fit)
    add_group(fit)
    fit.add_argument("--no-crops", action="store_true", help="keep no pictures of training images in the reference")
    fit.add_argument(
        "--ood", action="append", default=[], metavar="NAME=DIR", help="known unusual images for the plots (repeatable)"
    )
    fit.add_argument(
        "--faithfulness",
        type=int,
        default=0,
        metavar="N",
        help="measure on N calibration images whether heatmaps are true, and keep the result (seconds for each)",
    )
    fit.add_argument("--title", help="as shown to people (default: the name of the folder)")
    fit.add_argument("--image-source", default="not stated", metavar="TEXT", help="where the images come from")
    fit.add_argument("--licence", default="not stated", metavar="TEXT", help="licence of the images")
    add_preprocessing(fit)

    score = command("score", _score, "Score images against a reference.")
    score.add_argument("reference", type=Path, metavar="REF")
    score.add_argument("images", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER")
    score.add_argument("--detector", default="nero", help="default: %(default)s")
    score.add_argument(
        "--alpha", type=float, default=0.05, help="accepted share of false alarms (default: %(default)s)"
    )
    score.add_argument("--csv", action="store_true", help="print the result as CSV")

    explain = command("explain", _explain, "Explain one image's score: heatmaps, figures and numbers.")
    explain.add_argument("reference", type=Path, metavar="REF")
    explain.add_argument("image", type=Path, metavar="IMAGE")
    explain.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the result")
    explain.add_argument("--detector", default="nero", help="default: %(default)s")
    explain.add_argument("--neurons", type=int, default=6, help="how many neurons (default: %(default)s)")
    explain.add_argument(
        "--alpha", type=float, default=0.05, help="accepted share of false alarms (default: %(default)s)"
    )

    add_calibrate(command)
    add_benchmark(command)
    add_protocols(command)
    add_faithfulness(command)
    add_references(command)

    demo = command("demo", _demo, "Rebuild the bundled synthetic reference from its seeds.")
    demo.add_argument("--out", type=Path, required=True, metavar="REF", help="folder of the reference")
    demo.add_argument("--retrain", action="store_true", help="train the network anew instead of using the bundled one")
    demo.add_argument("--examples", type=Path, metavar="DIR", help="also write the example pictures, with their scores")
    demo.add_argument("--scenes", type=Path, metavar="DIR", help="also keep the scenes, as folders to benchmark with")
    return parser


# train -----------------------------------------------------------------------------------------------------------


def _train(options: argparse.Namespace) -> int:
    from nero_core.network.training import train

    result = train(
        options.data,
        options.arch,
        options.out,
        epochs=options.epochs,
        seed=options.seed,
        init=options.init,
        alpha=options.alpha,
        group=options.group,
        init_unseen=options.init_unseen,
        device=device(options),
        begin=begin,
        say=say,
    )
    record = result.classifier.training
    assert record is not None
    if options.json:
        counts = {"train": len(record.train), "calibration": len(record.calibration), "test": len(record.test)}
        told = {"classifier": str(options.out), "images": counts, "per_class": dict(result.per_class)}
        print(json.dumps(told | {"history": list(record.history)}, indent=1))
    else:
        print(f"Wrote {options.out}. Next: python -m nero_core fit {options.data} --classifier {options.out} --out REF")
    return SOME_FAILED if result.unreadable else DONE


# fit -------------------------------------------------------------------------------------------------------------


def _fit(options: argparse.Namespace) -> int:
    from nero_core.data.class_folders import list_images
    from nero_core.data.listing import read_images
    from nero_core.data.splits import said_of_split, split_for_fit
    from nero_core.network.given import given_classifier, is_ours
    from nero_core.reference.description import Card
    from nero_core.reference.fit import Unreadable, fit_reference

    settings = calibration_settings(options)
    ours = is_ours(options.classifier)
    if ours and options.arch:
        raise InputError(f"{options.classifier} says itself what network it is; leave out --arch.")
    given, from_file = given_settings(options)
    classes = () if ours else read_images(options.data, group=options.group).classes
    classifier = given_classifier(options.classifier, options.arch, classes, given, from_file, device=device(options))
    images = read_images(options.data, classifier.classes, options.group)
    calibration = None
    if options.calibration:
        calibration = read_images(options.calibration, classifier.classes, options.group)
    ood = {name: list_images(folder) for name, folder in map(named_folder, options.ood)}
    split = split_for_fit(
        classifier.training, images, calibration, options.calibration_seen, begin("Looking at every image")
    )
    for line in said_of_split(split.per_class(), settings.alpha, settings.needed):
        say(line)
    say_guarantee(split.guarantee)
    unreadable = Unreadable()
    reference = fit_reference(
        classifier,
        split,
        Card(options.title or options.out.resolve().name, options.image_source, options.licence),
        detectors=options.detectors and {name: {} for name in options.detectors},
        ood=ood,
        crops=not options.no_crops,
        faithfulness=options.faithfulness,
        begin=begin,
        unreadable=unreadable,
        settings=settings,
    )
    reference.save(options.out)
    for reason in unreadable.reasons.values():
        say(f"left out: {reason}")
    if options.json:
        print(json.dumps(reference.manifest, indent=1))
    else:
        print(summary(reference, options.out))
    return SOME_FAILED if unreadable.reasons else DONE


# score -----------------------------------------------------------------------------------------------------------


def _score(options: argparse.Namespace) -> int:
    from nero_core.data.class_folders import list_images
    from nero_core.data.guarantee import CalibrationSettings
    from nero_core.storage.spreadsheets import comma_separated

    reference = load(options)
    reference.detector(options.detector)
    CalibrationSettings(alpha=options.alpha)  # refuses one that is no share, before anything is read
    paths: list[Path] = []
    for given in options.images:
        paths += list_images(given) if given.is_dir() else [given]
    rows = _scored_rows(reference, paths, options.detector, options.alpha)
    failed = sum("error" in row for row in rows)
    if options.json:
        print(json.dumps(rows, indent=1))
    elif options.csv:
        fields = list(dict.fromkeys(key for row in sorted(rows, key=lambda row: "error" in row) for key in row))
        print(comma_separated(rows, fields), end="")
    else:
        _print_scores(rows)
    if failed == len(rows):
        print(f"nero: none of {failed} files could be scored: {rows[0]['error']}", file=sys.stderr)
        return NOTHING_DONE
    return SOME_FAILED if failed else DONE


def _scored_rows(reference: Reference, paths: Sequence[Path], detector: str, alpha: float) -> list[dict[str, Any]]:
    """One row per path, in the order given: numbers where it could be read, else the reason."""
    from nero_core.detectors import ExplainedDetector

    errors: dict[int, str] = {}
    rows: list[dict[str, Any]] = [{"path": str(path)} for path in paths]
    stream = reference.classifier.stream(
        paths,
        on_unreadable=lambda position, error: errors.__setitem__(position, str(error)),
        progress=begin("Scoring") if len(paths) > 1 else None,
        keep_source="source" in reference.detector(detector).info.needs,
        hashed=True,
    )
    for batch in stream:
        activations = batch.activations
        decisions = reference.decide(activations, detector, alpha, hashes=batch.hashes)
        probabilities = activations.probabilities
        explained = isinstance(reference.detector(detector), ExplainedDetector)
        nearest = [e.nearest_class for e in reference.explain(activations, detector)] if explained else None
        for place, (row, decision) in enumerate(zip(batch.rows, decisions, strict=True)):
            predicted = int(probabilities[place].argmax())
            rows[row] |= {"detector": detector, **asdict(decision)}
            rows[row] |= {
                "predicted_class": reference.classes[predicted],
                "probability": float(probabilities[place, predicted]),
                "nearest_class": nearest[place] if nearest else None,
            }
    for position, error in errors.items():
        rows[position]["error"] = error
    return rows


def _print_scores(rows: Sequence[Mapping[str, Any]]) -> None:
    from nero_core.storage.display_names import display_name

    print(f"{'score':>9}  {'above':>6}  {'p':>6}  {'state':<19}  {'bound':<5}  {'predicted':<24}  file")
    for number, row in enumerate(rows):
        name = display_name(Path(row["path"]), number)
        if "error" in row:
            print(f"{'–':>9}  {'–':>6}  {'–':>6}  {'not scored':<19}  {'':<5}  {'':<24}  {name}: {row['error']}")
            continue
        predicted = f"{row['predicted_class']} ({row['probability']:.0%})"
        print(
            f"{row['score']:9.4g}  {row['percentile']:6.1%}  {row['p_value']:6.3f}  {row['state']:<19}  "
            f"{'yes' if row['guaranteed'] else 'no':<5}  {predicted:<24}  {name}"
        )
    for reason, count in Counter(row["no_guarantee_because"] for row in rows if row.get("guaranteed") is False).items():
        print(f"No guarantee for {count} of {len(rows)}: {reason}.")
    print('"Unusual" does not mean diseased, and "usual" does not mean healthy.')


# explain ---------------------------------------------------------------------------------------------------------


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


# demo ------------------------------------------------------------------------------------------------------------


def _demo(options: argparse.Namespace) -> int:
    from nero_core.demo import rendered

    counts = rendered.SceneCounts()
    if options.retrain:
        checkpoint = options.out.with_suffix(".safetensors")
        classifier = rendered.train_demo(checkpoint, counts, begin, say, device(options))
    else:
        classifier = rendered.bundled_classifier()
    reference = rendered.fit_demo(classifier, counts, begin, keep=options.scenes)
    reference.save(options.out)
    if options.examples:
        rendered.write_examples(reference, options.examples)
    print(json.dumps(reference.manifest, indent=1) if options.json else summary(reference, options.out))
    return DONE


if __name__ == "__main__":
    sys.exit(main())
