"""Weights of one's own: options that say how images are prepared, and lines that show it and what it came to."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nero_core.network.given_preprocessing import Settings


def add_preprocessing(parser: argparse.ArgumentParser) -> None:
    """Options for what weights of one's own do not say themselves."""
    group = parser.add_argument_group(
        "how images are prepared for weights of your own",
        "What is not given is guessed from the architecture, and said to be. A network fed in another way than it was "
        "trained answers all the same, only worse.",
    )
    group.add_argument("--size", metavar="PIXELS", help="of the network's input: 224, or height and width as 224x320")
    group.add_argument("--mean", nargs="+", metavar="X", help="of the colour channels in [0, 1]: three numbers, or one")
    group.add_argument("--std", nargs="+", metavar="X", help="their standard deviations: three numbers, or one")
    group.add_argument(
        "--crop", metavar="SHARE", help="of the shorter side, in the centre; none: stretch the whole image"
    )
    group.add_argument("--interpolation", metavar="FILTER", help="bilinear or bicubic")
    group.add_argument(
        "--pretrained-cfg",
        type=Path,
        metavar="FILE",
        help="all of them from timm's config.json, or the pretrained_cfg in it; the options above win over it",
    )


def given_settings(options: argparse.Namespace) -> tuple[Settings, Settings]:
    """What the options say, and what the file says of the rest.

    Raises
    ------
    InputError
        An option or the file was not understood, or the file cannot be read.
    """
    from nero_core.network.given_preprocessing import Settings, read_pretrained_cfg

    explicit = Settings.parsed(options.size, options.mean, options.std, options.interpolation, options.crop)
    file: Path | None = options.pretrained_cfg
    return explicit, Settings() if file is None else read_pretrained_cfg(file, explicit)


def preprocessing_lines(card: Mapping[str, Any]) -> list[str]:
    """How a reference prepares images, and who says so: lines of `fit`'s summary."""
    from nero_core.network.given_preprocessing import described, guessed

    rows = described(card["preprocessing"], card["preprocessing_origins"])
    lines = ["  how images are prepared:", *(f"    {name.lower()}: {text}" for name, text in rows)]
    if names := guessed(card["preprocessing_origins"]):
        lines.append(f"    nobody gave {', '.join(names)}: if it was trained otherwise, fit again with the true ones")
    return lines


def agreement_lines(card: Mapping[str, Any]) -> list[str]:
    """How right a reference's network is on its calibration images: lines of `fit`'s summary."""
    metrics, origin = card["metrics"], card["calibration"]["guarantee"]["origin"]
    rows = metrics["calibration_accuracy_per_class"].items()
    return [
        f"  accuracy {metrics['calibration_accuracy']:.3f} on the calibration images, {origin}:",
        *(f"    {name}: {value:.3f} of {metrics['calibration_per_class'][name]}" for name, value in rows),
    ]
