"""How many of each kind do the input checks find, and how often without cause? ``python -m benchmarks.input_checks``.

Every change is made to test frames that the thresholds were not chosen on, and to the bundled examples; each changed
image has its unchanged twin, so that precision is that of as many images with as without. Letters and position pictures
are drawn by the renderer: over capsule frames, which have none, over the middle of colonoscopy frames, where processors
draw none, and over examples. Rendered scenes know what is drawn on them by themselves.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.cbook
import numpy as np
from PIL import Image, ImageFilter, ImageOps
from scipy.stats import binomtest
from sklearn.datasets import load_sample_images

from benchmarks.measure import Row, machine, side_by_side, table
from nero_core.data.class_folders import list_images
from nero_core.data.images import read_image
from nero_core.data.input_checks import NAMES, NOTHING_TO_JUDGE, Check, check_image
from nero_core.data.scenes import CLASSES, OOD_KINDS, frame, nuisances, render

EXAMPLES = Path(__file__).parents[1] / "assets" / "examples"
FRAMES = 60
"""Frames of a class at most."""
SCENES = 8
"""Rendered scenes of a kind."""
FIRST_SEED = 30_000
"""Of scenes that no threshold was chosen on."""
MIDDLE = (0.28, 0.12, 0.92, 0.8)
"""Left, top, right and bottom of the part of a colonoscopy frame on which processors write nothing."""
BESIDE_PICTURE = (0.45, 0.12, 0.92, 0.8)
"""The same, where they draw no position picture either."""
LEAST_SIDE = 300
"""Shorter side in pixels of what is drawn over, so that letters have the size they have in whole frames."""
TEXT, PICTURE = "burnt-in text", "position picture"
HEADER = "| check: change | images | found of the changed | spoke of the unchanged; precision with as many of either |"
Change = Callable[[Image.Image, np.random.Generator], Image.Image]


@dataclass(frozen=True)
class Kind:
    """A change to images, and the check that has to notice it."""

    name: str
    what: str
    change: Change


def write(image: Image.Image, rng: np.random.Generator, zoom: int = 1) -> Image.Image:
    """Two to five lines somewhere, more or less white."""
    at = (int(rng.integers(5, 240)), int(rng.integers(20, 300)))
    lines = frame.caption(rng, int(rng.integers(2, 6)))
    return frame.write(image, lines, at, int(rng.choice([190, 255])), zoom=zoom)


def tint(gains: tuple[float, float, float]) -> Change:
    """Each channel times its gain."""

    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        return Image.fromarray(np.clip(np.asarray(image) * np.array(gains), 0, 255).astype(np.uint8))

    return change


def soften(part: float) -> Change:
    """A blur with σ as a part of the longer side."""
    return lambda image, rng: image.filter(ImageFilter.GaussianBlur(part * max(image.size)))


def edge(part: float) -> Change:
    """Black on each side, as a part of it."""
    return lambda image, rng: ImageOps.expand(image.crop(), round(part * min(image.size)))


DRAWN = (
    Kind(TEXT, "2 to 5 lines of small print", write),
    Kind(TEXT, "the same, twice the size", lambda image, rng: write(image, rng, 2)),
    Kind(PICTURE, "vivid green", lambda image, rng: frame.inset(image, rng, rng.uniform(0.16, 0.4), vivid=True)),
    Kind(PICTURE, "dark green", lambda image, rng: frame.inset(image, rng, rng.uniform(0.16, 0.4), vivid=False)),
    Kind("black border", "4 % of the side all round", edge(0.04)),
)
DEGRADED = (
    *(Kind("blurred", f"σ = {100 * part:g} % of the longer side", soften(part)) for part in (0.01, 0.02, 0.03)),
    Kind("too dark", "a quarter of the light", tint((0.25, 0.25, 0.25))),
    Kind("too bright", "three times the light", tint((3, 3, 3))),
    Kind("colour cast", "green light", tint((0.5, 1.2, 0.9))),
    Kind("colour cast", "blue light", tint((0.55, 0.9, 1.6))),
    Kind("colour cast", "yellow light", tint((0.75, 1.25, 0.35))),
    Kind("colour cast", "no colour", lambda image, rng: image.convert("L").convert("RGB")),
    Kind("too small", "halved to less than 224 pixels", lambda image, rng: image.resize((200, 160))),
    Kind("odd shape", "the upper third", lambda image, rng: image.crop((0, 0, image.width, image.height // 3))),
    Kind(NOTHING_TO_JUDGE, "a hundredth of the light", tint((0.01, 0.01, 0.01))),
    Kind(
        NOTHING_TO_JUDGE,
        "its mean colour",
        lambda image, rng: image.resize((1, 1), Image.Resampling.BOX).resize(image.size),
    ),
)


def noticed(checks: Sequence[Check], name: str) -> bool:
    """Whether a check of this name speaks."""
    return any(check.name == name for check in checks)


def share(found: int, of: int) -> str:
    """A count with its 95 % interval (Wilson)."""
    if not of:
        return "–"
    low, high = binomtest(found, of).proportion_ci(method="wilson")
    return f"{found} of {of} ({100 * low:.0f}–{100 * high:.0f} %)"


def row(kind: Kind, where: str, changed: Sequence[bool], twins: Sequence[bool]) -> Row:
    """Recall on changed images, and precision with as many unchanged."""
    found, false = sum(changed), sum(twins)
    what, recall = f"{kind.name}: {kind.what}", share(found, len(changed))
    if not (twins and found):
        return Row(what, where, recall, share(false, len(twins)))
    rates = found / len(changed), false / len(twins)
    return Row(what, where, recall, f"{share(false, len(twins))}; {100 * rates[0] / sum(rates):.0f} %")


def tried(kinds: Sequence[Kind], images: Sequence[Image.Image], where: str, known: bool = True) -> list[Row]:
    """Each kind of change over all images; of twins that may have it by themselves only what changed counts."""
    before = [check_image(image) for image in images]
    rows = []
    for kind in kinds:
        rng = np.random.default_rng(0)
        after = [check_image(kind.change(image, rng)) for image in images]
        rest = [known or not noticed(checks, kind.name) for checks in before]
        changed = [noticed(checks, kind.name) for checks, counts in zip(after, rest, strict=True) if counts]
        rows.append(row(kind, where, changed, [noticed(checks, kind.name) for checks in before] if known else []))
    return rows


def frames_of(data: Path) -> dict[str, list[Image.Image]]:
    """Test frames by class, at most `FRAMES` of each, evenly taken."""
    folders = sorted(folder for folder in (data / "id" / "test").iterdir() if folder.is_dir())
    found = {}
    for folder in folders:
        paths = list_images(folder)
        found[folder.name] = [read_image(path) for path in paths[:: -(-len(paths) // FRAMES)]]
    return found


def without_drawing(name: str, image: Image.Image, middle: tuple[float, float, float, float]) -> Image.Image:
    """A capsule frame as it is, of another the middle; large enough to draw on."""
    if not name.startswith("capsule"):
        left, top, right, bottom = middle
        image = image.crop(
            (int(left * image.width), int(top * image.height), int(right * image.width), int(bottom * image.height))
        )
    scale = max(1, LEAST_SIDE / min(image.size))
    return image.resize((round(scale * image.width), round(scale * image.height)))


def of_scenes() -> list[Row]:
    """Rendered scenes: what is drawn on them by chance, and those that are no endoscopy."""
    kinds = [kind for kind in (*CLASSES, *OOD_KINDS) if kind not in ("not-endoscopy", "overlay-text", "inset-picture")]
    seen = [
        (nuisances(kind, seed), check_image(render(kind, seed)))
        for kind in kinds
        for seed in range(FIRST_SEED, FIRST_SEED + SCENES)
    ]
    foreign = [check_image(render("not-endoscopy", seed)) for seed in range(FIRST_SEED, FIRST_SEED + 5 * SCENES)]
    rows = []
    for name, has in ((TEXT, [bool(n.text) for n, _ in seen]), (PICTURE, [n.inset for n, _ in seen])):
        said = [noticed(checks, name) for _, checks in seen]
        positive = [s for s, h in zip(said, has, strict=True) if h]
        negative = [s for s, h in zip(said, has, strict=True) if not h]
        rows.append(row(Kind(name, "the renderer's own", write), "rendered scenes", positive, negative))
    rows.append(
        row(
            Kind("not like endoscopy", "landscapes, pages, houses, test cards", write),
            "rendered",
            [noticed(checks, "not like endoscopy") for checks in foreign],
            [noticed(checks, "not like endoscopy") for _, checks in seen],
        )
    )
    return rows


def of_photographs() -> Row:
    """The few photographs that installed packages bring."""
    pictures = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    pictures.append(read_image(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
    said = [noticed(check_image(picture), "not like endoscopy") for picture in pictures]
    return Row("not like endoscopy: a temple, a flower, a portrait", "scikit-learn, matplotlib", share(sum(said), 3))


def as_they_are(where: str, images: Sequence[Image.Image]) -> Row:
    """What speaks on frames that nobody changed."""
    said = Counter(check.name for image in images for check in check_image(image))
    told = ", ".join(f"{name} {said[name]}" for name in NAMES if said[name])
    return Row(f"{len(images)} frames as they are", where, told)


def speed() -> Row:
    """One check of a large frame."""
    image = render("cecum", FIRST_SEED).resize((1280, 1024))
    start, rounds = time.process_time(), 15
    wall = side_by_side({"check": lambda: check_image(image)}, rounds=rounds)["check"]
    busy = (time.process_time() - start) / (rounds + 1)
    reached = f"{1000 * busy:.0f} ms of processor time, {1000 * wall:.0f} ms by the clock"
    return Row("one image of 1280 × 1024", "wanted: ≤ 50 ms", reached, machine())


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    """All rows; those of real frames for each folder with ``id/test``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", default=[], metavar="DIR", help="repeatable")
    options = parser.parse_args(arguments)
    examples = [read_image(path) for path in list_images(EXAMPLES)]
    rows = [*tried(DRAWN[:4], examples, "examples without it before", known=False), *of_scenes(), of_photographs()]
    for data in options.data:
        frames = frames_of(data)
        plain, beside = (
            [without_drawing(name, image, middle) for name, images in frames.items() for image in images]
            for middle in (MIDDLE, BESIDE_PICTURE)
        )
        whole = [image for images in frames.values() for image in images]
        rows += [*tried(DRAWN[:2], plain, data.name), *tried(DRAWN[2:4], beside, data.name)]
        rows += tried(DRAWN[4:], plain, data.name, known=False)
        rows += tried(DEGRADED, whole, data.name)
        rows += [as_they_are(f"{data.name}, {name}", images) for name, images in frames.items()]
    rows.append(speed())
    print(table(rows).replace("| what | wanted | reached | detail |", HEADER))
    return rows


if __name__ == "__main__":
    main()
