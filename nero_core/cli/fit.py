"""``nero fit``: a classifier and class folders → a reference."""

from __future__ import annotations

import argparse
from pathlib import Path

from nero_core import wording
from nero_core.cli.calibrate import add_calibration, add_group, calibration_settings, say_guarantee, summary
from nero_core.cli.console import DONE, SOME_FAILED, AddCommand, begin, device, named_folder, say, settle_names, tell
from nero_core.cli.preprocessing import add_preprocessing, given_settings
from nero_core.errors import InputError
from nero_core.wording import said


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
    fit.add_argument("--image-source", default="not stated", metavar="TEXT", help=said(wording.WHERE_IMAGES_COME_FROM))
    fit.add_argument("--licence", default="not stated", metavar="TEXT", help="licence of the images")
    add_preprocessing(fit)


def _fit(options: argparse.Namespace) -> int:
    from nero_core.data.class_folders import list_images
    from nero_core.data.listing import read_images
    from nero_core.data.splits import said_of_split, split_for_fit
    from nero_core.network.given import given_classifier, is_ours
    from nero_core.reference.description import Card
    from nero_core.reference.fit import Unreadable, fit_reference, unfitted_detectors

    settle_names(options, "data", "the class folders that the classifier was trained on")
    settings = calibration_settings(options)
    ours = is_ours(options.classifier)
    if ours and options.arch:
        raise InputError(f"{options.classifier} says itself what network it is; leave out --arch.")
    given, from_file = given_settings(options)
    classes = () if ours else read_images(options.data, group=options.group).classes
    classifier = given_classifier(options.classifier, options.arch, classes, given, from_file, device=device(options))
    detectors = options.detectors and {name: {} for name in options.detectors}
    unfitted_detectors(classifier, detectors)  # a refusal before minutes are spent on the images
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
        detectors=detectors,
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
    tell(options, reference.manifest, summary(reference, options.out))
    return SOME_FAILED if unreadable.reasons else DONE
