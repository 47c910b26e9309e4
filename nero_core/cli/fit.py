"""``nero fit``: a classifier and class folders → a reference."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nero_core import wording
from nero_core.cli.calibrate import add_calibration, add_group, calibration_settings, say_guarantee, summary
from nero_core.cli.console import DONE, SOME_FAILED, AddCommand, begin, device, named_folder, say, settle_names, tell
from nero_core.cli.preprocessing import add_preprocessing, given_settings
from nero_core.data.guarantee import DEFAULT_ALPHA
from nero_core.errors import InputError
from nero_core.wording import said

if TYPE_CHECKING:
    from nero_core.data.guarantee import CalibrationSettings
    from nero_core.data.splits import Split
    from nero_core.network.classifier import Classifier
    from nero_core.records import Source
    from nero_core.reference.fit import Unreadable
    from nero_core.reference.reference import Reference

    Known = Mapping[str, Sequence[Source]]

NOT_STATED = "not stated"
KEPT = {
    "title": None,
    "image_source": NOT_STATED,
    "licence": NOT_STATED,
    "no_crops": False,
    "faithfulness": 0,
    "alpha": DEFAULT_ALPHA,
    "marginal": False,
    "confidence": None,
}
"""What is no business of `--add`, as it is where nobody asks for it."""


def add_fit(command: AddCommand) -> None:
    """Enter the command into the parser."""
    fit = command("fit", _fit, "Fit detectors to a classifier, calibrate them, and write a reference.")
    data = fit.add_argument(
        "data", type=Path, metavar="DATA", help="the class folders that the classifier was trained on"
    )
    data.required = False  # it may have gone to --detectors, see `settle_names`
    fit.add_argument(
        "--classifier",
        type=Path,
        metavar="CKPT",
        help="what `train` wrote, or with --arch weights of your own; with --add it may be left out",
    )
    fit.add_argument(
        "--arch", metavar="ARCH", help="of weights of your own (.safetensors, .pt, .pth), which are used as they are"
    )
    fit.add_argument("--out", type=Path, required=True, metavar="REF", help="folder of the reference")
    detectors = fit.add_mutually_exclusive_group()
    detectors.add_argument(
        "--detectors", nargs="+", metavar="NAME", help="detectors (default: a panel and what is in it)"
    )
    detectors.add_argument(
        "--add",
        nargs="+",
        metavar="NAME",
        help="add detectors to the reference in --out, which keeps its own: give the images that it was fitted to. Its "
        "panel is chosen anew with them; `--add panel` gives one to a reference without",
    )
    held_out = fit.add_mutually_exclusive_group()
    held_out.add_argument("--calibration", type=Path, metavar="DATA2", help="class folders never trained on")
    held_out.add_argument(
        "--calibration-seen", action="store_true", help="calibrate on the images of the fit: gives up the guarantee"
    )
    add_calibration(fit)
    add_group(fit)
    fit.add_argument("--no-crops", action="store_true", help="keep no pictures of training images in the reference")
    fit.add_argument(
        "--ood",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help=f"{said(wording.KNOWN_OOD_IMAGES)} for the plots (repeatable)",
    )
    fit.add_argument(
        "--faithfulness",
        type=int,
        default=0,
        metavar="N",
        help=f"measure the {said(wording.FAITHFULNESS)} on N {said(wording.CALIBRATION_IMAGES)}, and keep the result "
        "(seconds for each)",
    )
    fit.add_argument("--title", help="as shown to people (default: the name of the folder)")
    fit.add_argument("--image-source", default=NOT_STATED, metavar="TEXT", help=said(wording.WHERE_IMAGES_COME_FROM))
    fit.add_argument("--licence", default=NOT_STATED, metavar="TEXT", help="licence of the images")
    add_preprocessing(fit)


def _fit(options: argparse.Namespace) -> int:
    from nero_core.data.class_folders import list_images
    from nero_core.reference.fit import Unreadable

    names = "add" if options.add else "detectors"
    settle_names(options, "data", "the class folders that the classifier was trained on", names)
    ood = {name: list_images(folder) for name, folder in map(named_folder, options.ood)}
    unreadable = Unreadable()
    reference = (_added if options.add else _fitted)(options, ood, unreadable)
    reference.save(options.out)
    for reason in unreadable.reasons.values():
        say(f"left out: {reason}")
    tell(options, reference.manifest, summary(reference, options.out))
    return SOME_FAILED if unreadable.reasons else DONE


def _fitted(options: argparse.Namespace, ood: Known, unreadable: Unreadable) -> Reference:
    """A new reference."""
    from nero_core.reference.description import Card
    from nero_core.reference.fit import fit_reference, unfitted_detectors

    settings = calibration_settings(options)
    if options.classifier is None:
        raise InputError("--classifier is missing; give what `train` wrote, or with --arch weights of your own.")
    classifier = _classifier(options, options.classifier)
    detectors = options.detectors and {name: {} for name in options.detectors}
    unfitted_detectors(classifier, detectors)  # a refusal before minutes are spent on the images
    return fit_reference(
        classifier,
        _split(options, classifier, settings),
        Card(options.title or options.out.resolve().name, options.image_source, options.licence),
        detectors=detectors,
        ood=ood,
        crops=not options.no_crops,
        faithfulness=options.faithfulness,
        begin=begin,
        unreadable=unreadable,
        settings=settings,
    )


def _added(options: argparse.Namespace, ood: Known, unreadable: Unreadable) -> Reference:
    """The reference that is there, with more detectors."""
    from nero_core.reference.adding import add_detectors, check_same_images, check_same_network, with_added
    from nero_core.reference.reference import Reference

    for name, unchanged in KEPT.items():
        if getattr(options, name) != unchanged:
            raise InputError(f"With --add the reference keeps what it says; leave out --{name.replace('_', '-')}.")
    reference = Reference.load(options.out, device(options))
    with_added(reference, options.add)  # a refusal before minutes are spent on the images
    if options.classifier is not None:
        check_same_network(reference, _classifier(options, options.classifier))
    split = _split(options, reference.classifier, reference.calibration_settings)
    check_same_images(reference, split)
    if lost := sorted(reference.manifest["ood"].keys() - ood.keys()):
        say(
            f"note: {said(wording.KNOWN_OOD_IMAGES)} that are not given again with --ood are left out of the "
            f"reference, with their scores: {', '.join(lost)}."
        )
    return add_detectors(reference, split, options.add, ood, begin, unreadable)


def _classifier(options: argparse.Namespace, checkpoint: Path) -> Classifier:
    """The network in a file."""
    from nero_core.data.listing import read_images
    from nero_core.network.given import given_classifier, is_ours

    given, from_file = given_settings(options)
    if (ours := is_ours(checkpoint)) and options.arch:
        raise InputError(f"{checkpoint} says itself what network it is; leave out --arch.")
    classes = () if ours else read_images(options.data, group=options.group).classes
    return given_classifier(checkpoint, options.arch, classes, given, from_file, device=device(options))


def _split(options: argparse.Namespace, classifier: Classifier, settings: CalibrationSettings) -> Split:
    """Which image fits, calibrates and tests; it is said to whoever waits."""
    from nero_core.data.listing import read_images
    from nero_core.data.splits import said_of_split, split_for_fit

    images = read_images(options.data, classifier.classes, options.group)
    calibration = None
    if options.calibration:
        calibration = read_images(options.calibration, classifier.classes, options.group)
    split = split_for_fit(
        classifier.training, images, calibration, options.calibration_seen, begin("Looking at every image")
    )
    for line in said_of_split(split.per_class(), settings.alpha, settings.needed):
        say(line)
    say_guarantee(split.guarantee)
    return split
