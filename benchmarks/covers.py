"""Is the sentence of why confirmed by covering? ``python -m benchmarks.covers REF --frames DIR --frames DIR``.

Of each folder some frames, evenly spaced by name: the sentence, and what covering its place came to. ``--known DIR``
adds what is known: ordinary frames of that folder with a strange square pasted into them, and as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measure import Row, table
from nero_core.case import Why, open_case, tell_why
from nero_core.data.class_folders import list_images
from nero_core.data.images import read_image
from nero_core.reference.reference import Reference

FRAMES = 5
KNOWN = 20
SQUARE = 0.2
"""Side of the pasted square, as a share of the image's shorter side."""
HIT = 0.5
"""Share of the square that the region covers for it to be found."""


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    """A row per frame and, where truth is known, two that sum up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path, metavar="REF")
    parser.add_argument("--frames", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--known", type=Path, metavar="DIR", help="ordinary frames that get a square")
    parser.add_argument("--alpha", type=float, default=0.05)
    options = parser.parse_args(arguments)
    reference = Reference.load(options.reference)
    rows = [row for folder in options.frames for row in of_folder(reference, folder, options.alpha)]
    if options.known is not None:
        rows += where_known(reference, options.known)
    print(table(rows))
    return rows


def spaced(paths: Sequence[Path], count: int) -> list[Path]:
    """Of a list some, evenly spaced, the first of all first."""
    return [paths[place * len(paths) // count] for place in range(min(count, len(paths)))]


def of_folder(reference: Reference, folder: Path, alpha: float) -> list[Row]:
    """Some frames of a folder: state, the sentence, and what covering came to."""
    rows = []
    for number, path in enumerate(spaced(list_images(folder), FRAMES), start=1):
        image = read_image(path)
        case = open_case(reference, image)
        told = tell_why(case, image)
        name = f"{path.parent.name}, frame {number}: {case.decide(alpha).state}"
        rows.append(Row(name, "", f"**{told.outcome}**{ranked(told)}", f"{told.sentence} {told.carries}"))
    return rows


def ranked(told: Why) -> str:
    """How far the region is in front of the random places."""
    return "" if told.test is None else f", {told.test.rank} of {len(told.test.others) + 1}"


def where_known(reference: Reference, folder: Path) -> list[Row]:
    """Ordinary frames with a strange square, and the same as they are."""
    found = confirmed = both = ordinary = 0
    paths = spaced(list_images(folder), KNOWN)
    for seed, path in enumerate(paths):
        image = read_image(path)
        ordinary += tell_why(open_case(reference, image), image).outcome == "confirmed"
        strange, box = with_square(image, seed)
        told = tell_why(open_case(reference, strange), strange)
        hit = told.region is not None and overlap(told.region.box(image.size), box) >= HIT
        right = told.outcome == "confirmed"
        found, confirmed, both = found + hit, confirmed + right, both + (hit and right)
    of = f"of {len(paths)}"
    square = f"a square of {SQUARE:.0%} of the shorter side"
    return [
        Row(
            f"{folder.name}, {square}: confirmed",
            "",
            f"{confirmed} {of}",
            f"region on the square: {found}; both: {both}",
        ),
        Row(f"{folder.name}, as they are: confirmed", "", f"{ordinary} {of}", "by chance at most 1 of 9"),
    ]


def with_square(image: Image.Image, seed: int) -> tuple[Image.Image, tuple[int, int, int, int]]:
    """The image with a square of exchanged and inverted colours, at a random place of its middle half."""
    side, rng = round(SQUARE * min(image.size)), np.random.default_rng(seed)
    left, top = (int(rng.integers(length // 4, 3 * length // 4 - side)) for length in image.size)
    box = (left, top, left + side, top + side)
    pixels = np.array(image)
    inside = pixels[top : top + side, left : left + side]
    pixels[top : top + side, left : left + side] = 255 - inside[..., ::-1]
    return Image.fromarray(pixels), box


def overlap(region: tuple[int, int, int, int], box: tuple[int, int, int, int]) -> float:
    """Share of a box that a region covers."""
    wide, high = (max(0, min(region[i + 2], box[i + 2]) - max(region[i], box[i])) for i in (0, 1))
    return wide * high / ((box[2] - box[0]) * (box[3] - box[1]))


if __name__ == "__main__":
    main()
