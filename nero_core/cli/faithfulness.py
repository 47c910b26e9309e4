"""``nero faithfulness``: the faithfulness of heatmaps of a reference's network, per method."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nero_core.cli.console import DONE, SOME_FAILED, AddCommand, begin, given_images, load, say, tell
from nero_core.errors import InputError
from nero_core.storage.spreadsheets import comma_separated
from nero_core.wording import FAITHFULNESS, heatmap_method, said

if TYPE_CHECKING:
    from nero_core.attribution.faithfulness import Faithfulness
    from nero_core.records import Source


ALL = "all"
"""In place of names: every method that the network has."""
WIDEST = 40
"""Letters that the name of a method has room for."""


def add_faithfulness(command: AddCommand) -> None:
    """Enter the command into the parser."""
    parser = command("faithfulness", _faithfulness, f"Measure the {said(FAITHFULNESS)}: deletion, insertion, sanity.")
    parser.add_argument("reference", type=Path, metavar="REF", help="folder of the reference")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the result (JSON and CSV)")
    parser.add_argument(
        "--methods",
        nargs="+",
        metavar="NAME",
        help="names of methods, such as CRP or EpsilonPlusFlat; all for every one that the network has, the slow ones, "
        "too (default: the fast ones that it has)",
    )
    parser.add_argument("--detector", help="whose score is watched, too (default: the panel, or nero)")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of random orders, noise and shuffled weights (default: %(default)s)"
    )


def _faithfulness(options: argparse.Namespace) -> int:
    from nero_core.attribution import fitting
    from nero_core.attribution.faithfulness import measure_faithfulness
    from nero_core.storage.display_names import display_name
    from nero_core.storage.files import make_folder, write_bytes

    reference = load(options)
    reference.detector(options.detector)
    given = given_images(options)
    readable = _readable(given)
    make_folder(options.out)
    measured = measure_faithfulness(
        reference.classifier,
        partial(reference.score, detector=options.detector),
        readable,
        fitting(reference.classifier) if options.methods == [ALL] else options.methods,
        seed=options.seed,
        progress=begin("Measuring"),
    )
    names = [display_name(path, number) for number, path in enumerate(readable)]
    classes = [reference.classes[k] for k in measured.predicted]
    rows = [{**row, "image": names[row["image"]], "predicted": classes[row["image"]]} for row in measured.rows()]
    result = {
        "reference": reference.title,
        "architecture": reference.classifier.architecture,
        "detector": options.detector,
        "seed": options.seed,
        "images": len(readable),
        "best": measured.best,
        "left": measured.left,
        "score_left": measured.score_left,
        "summary": measured.summary(),
        "shares": measured.shares.tolist(),
        "curves": _mean_curves(measured),
    }
    write_bytes(options.out / "faithfulness.json", json.dumps(result | {"per_image": rows}, indent=1).encode())
    write_bytes(options.out / "faithfulness.csv", comma_separated(rows).encode())
    tell(options, result, _summary(measured, len(readable), options.out))
    return SOME_FAILED if len(readable) < len(given) else DONE


def _readable(paths: Sequence[Path]) -> list[Source]:
    """Those of the files that can be read; the others are named with the reason."""
    from nero_core.data.images import read_image

    kept: list[Source] = []
    last: InputError | None = None
    for path in paths:
        try:
            read_image(path)
        except InputError as error:
            last = error
            say(f"Left out: {error}")
        else:
            kept.append(path)
    if not kept:
        raise InputError("There is no readable image to measure with; give at least one.") from last
    return kept


def _mean_curves(measured: Faithfulness) -> dict[str, Any]:
    """Per method the mean of its curves over the images."""
    return {
        method: {
            **{f"probability_{kind}": c[place].mean(axis=0).tolist() for kind, c in measured.probability.items()},
            **{f"score_{kind}": c[place].mean(axis=0).tolist() for kind, c in measured.score.items()},
        }
        for place, method in enumerate(measured.methods)
    }


def _summary(measured: Faithfulness, images: int, out: Path) -> str:
    """A table for a person, and how to read it."""
    from nero_core.reference.heatmap_truth import LEFT_RULE, RULE, said_of_chance, said_of_left

    heads = f"{'deletion':>9}{'insertion':>10}{'gain ± s.e.':>18}{'beats random':>14}{'stable':>8}{'shuffled':>10}"
    lines = [" " * WIDEST + heads]
    for row in measured.summary():
        line = f"{heatmap_method(row['method']):<{WIDEST}}{row['deletion']:9.3f}{row['insertion']:10.3f}"
        if "gain" in row:
            line += f"{row['gain']:+10.3f} ± {row['gain_standard_error']:.3f}{row['better_than_random']:14.0%}"
            line += f"{row['stability']:8.2f}{row['shuffled']:10.2f}"
        lines.append(line)
    lines.append(
        f"Over {images} images, class probability: small deletion and large insertion are good, gain is above a random "
        f"order; stable 1 and shuffled 0 are best. Best: {heatmap_method(measured.best)}."
    )
    for method in measured.methods[:-1]:
        lines.append(f"{heatmap_method(method)}: {said_of_chance(measured.effect(method))}.")
    lines.append(f"{said_of_left(measured.left, images)}. {said_of_left(measured.score_left, images, 'score')}.")
    lines += [f"{RULE}. {LEFT_RULE}.", f"Wrote {out / 'faithfulness.json'} and .csv."]
    return "\n".join(lines)
