"""``nero calibrate``, and what `fit` shares with it: how images are calibrated, and what that promises."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nero_core.cli.console import DONE, SOME_FAILED, AddCommand, begin, load, say, tell
from nero_core.cli.preprocessing import agreement_lines, preprocessing_lines
from nero_core.wording import heatmap_method

if TYPE_CHECKING:
    from nero_core.data.guarantee import CalibrationSettings, Guarantee
    from nero_core.reference.reference import Reference


def add_group(parser: argparse.ArgumentParser) -> None:
    """Enter the option that keeps patients or clips together."""
    parser.add_argument(
        "--group",
        metavar="LEVEL|COLUMN",
        help="keep together what belongs together, such as the images of a patient: 1 for the first folder below the "
        "class, or a column of DATA where that is a CSV with path,label,group,split",
    )


def add_calibration(parser: argparse.ArgumentParser) -> None:
    """Enter the options that are fixed when a reference is calibrated."""
    parser.add_argument(
        "--alpha",
        type=float,
        default=0.05,
        help="share of false alarms that every class must support with calibration images of its own "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--marginal",
        action="store_true",
        help="read all classes together: the bound then holds for all of them in all, and one may carry most alarms",
    )
    parser.add_argument(
        "--confidence",
        type=float,
        metavar="SHARE",
        help="let the bound at --alpha hold with this probability over sets of calibration images, such as 0.9, not on "
        "average",
    )


def calibration_settings(options: argparse.Namespace) -> CalibrationSettings:
    """What the options fix."""
    from nero_core.data.guarantee import CalibrationSettings

    return CalibrationSettings(not options.marginal, options.alpha, options.confidence)


def add_calibrate(command: AddCommand) -> None:
    """Enter the command into the parser."""
    parser = command(
        "calibrate",
        _calibrate,
        "Calibrate a reference on images of your own, without training or fitting anything: the way to a bound that "
        "holds for your endoscopes.",
    )
    parser.add_argument("reference", type=Path, metavar="REF")
    parser.add_argument(
        "data", type=Path, metavar="DATA", help="ordinary images: a folder, class folders, or a CSV manifest"
    )
    parser.add_argument("--out", type=Path, metavar="REF2", help="write a new reference (default: replace REF)")
    parser.add_argument("--title", help="as shown to people (default: as it was)")
    parser.add_argument("--image-source", default="images given", metavar="TEXT", help="where these images come from")
    add_calibration(parser)
    add_group(parser)


def _calibrate(options: argparse.Namespace) -> int:
    from nero_core.calibration import of_most_images
    from nero_core.data.listing import read_in_distribution
    from nero_core.reference.fit import Unreadable
    from nero_core.reference.recalibration import recalibrate

    settings = calibration_settings(options)
    reference = load(options)
    images = read_in_distribution(options.data, reference.classes, options.group, begin("Reading files"))
    unreadable = Unreadable()
    calibrated = recalibrate(
        reference, images, settings, options.image_source, options.title, begin=begin, unreadable=unreadable
    )
    calibration = of_most_images(calibrated.calibrations)
    say_guarantee(calibration.guarantee)
    folder = options.out or options.reference
    calibrated.save(folder)
    for reason in unreadable.reasons.values():
        say(f"left out: {reason}")
    told = calibration.described()
    lines = [
        f"Wrote {folder}: {calibrated.title}, calibrated on {len(calibration)} images ({options.image_source})",
        *(f"  {line}" for line in said_per_class(told)),
        f"  false-alarm guarantee: {_guaranteed(told)}",
        *(f"  warning: {warning}" for warning in calibrated.manifest["metrics"].get("warnings", ())),
    ]
    tell(options, told, "\n".join(lines))
    return SOME_FAILED if unreadable.reasons else DONE


def say_guarantee(guarantee: Guarantee) -> None:
    """One line where there is none, and one where images took no part."""
    for note in guarantee.left_out:
        say(f"note: {note}.")
    if not guarantee.holds:
        say(
            f"No guarantee: {guarantee.reason}. The share of false alarms on new images is not bounded, and every "
            "verdict will say so."
        )


def said_per_class(calibration: Mapping[str, Any]) -> list[str]:
    """For each class how many images calibrate it, and whether that is enough."""
    from nero_core.calibration import rounded_up

    alpha = calibration["settings"]["alpha"]
    return [
        f"{name}: {each['predicted']} calibration images are read as this class, which support α ≥ "
        f"{rounded_up(1 / (each['predicted'] + 1))}"
        + ("" if each["guaranteed"] else f"; no guarantee at α = {alpha:g}")
        for name, each in calibration["per_class"].items()
    ]


def _guaranteed(calibration: Mapping[str, Any]) -> str:
    if not calibration["guarantee"]["holds"]:
        return "no"
    without = [name for name, each in calibration["per_class"].items() if not each["guaranteed"]]
    return f"yes, but not for images read as {', '.join(without)}" if without else "yes"


def _said_of_heatmaps(card: Mapping[str, Any]) -> list[str]:
    """How faithful the heatmaps of each method were at the fit; nothing where it was not measured."""
    from nero_core.reference.heatmap_truth import said_of_chance, said_of_left, stored_heatmaps

    if (kept := stored_heatmaps(card)) is None:
        return []
    lines = [f"  heatmaps, tested on {kept.images} calibration image{'s' if kept.images > 1 else ''}:"]
    for row in kept.methods:
        line = f"    {heatmap_method(row['method'])}: gain {100 * row['gain']:+.1f} points over a random order"
        if kept.images > 1:
            line += f" ± {100 * row['gain_standard_error']:.1f}"
        lines.append(f"{line}; {said_of_chance(kept.effect(row))}")
    return [*lines, f"    {said_of_left(kept.left, kept.images)}"]


def summary(reference: Reference, folder: Path) -> str:
    """What `fit` wrote, in lines for a person."""
    from nero_core.calibration import rounded_up
    from nero_core.data.guarantee import DEFAULT_ALPHA
    from nero_core.reference.panel_card import NO_PANEL, PANEL, weights_in_words

    card = reference.manifest
    calibration, metrics = card["calibration"], card["metrics"]
    lines = [
        f"Wrote {folder}: {card['title']}, {card['architecture']}, classes {', '.join(card['classes'])}",
        f"  fitted on {card['training']['images']} images, calibrated on {calibration['images']} "
        f"({calibration['guarantee']['origin']}; α of at least {rounded_up(calibration['smallest_alpha'])})",
        f"  false-alarm guarantee: {_guaranteed(calibration)}; "
        f"pictures of training images inside: {'yes' if card['crops'] else 'no'}",
    ]
    lines += [f"  {line}" for line in said_per_class(calibration)]
    lines += preprocessing_lines(card)
    if "accuracy" in metrics:
        lines.append(f"  accuracy {metrics['accuracy']:.3f} on {metrics['test_images']} images set aside")
    else:
        lines += agreement_lines(card)
    lines += [f"  warning: {warning}" for warning in metrics["warnings"]]
    if "panel" in card:
        lines.append(f"  panel, by weight: {weights_in_words(card['panel'])}")
    elif PANEL not in reference.detectors:
        lines.append(f"  {NO_PANEL}")
    if calibration["smallest_alpha"] > DEFAULT_ALPHA:
        lines.append(
            f"  too few calibration images for α = {DEFAULT_ALPHA}: give --alpha "
            f"{rounded_up(calibration['smallest_alpha'])} to score and explain, or fit with more images"
        )
    for detector, sets in metrics["auroc"].items():
        title = reference.detectors[detector].info.title
        lines += [
            f"  {title}: AUROC {value:.3f}, calibration images against {name} (n = {card['ood'][name]})"
            for name, value in sets.items()
        ]
    lines += _said_of_heatmaps(card)
    lines.append(f"Open it: NERO_REFERENCES={folder.resolve().parent} nero app")
    return "\n".join(lines)
