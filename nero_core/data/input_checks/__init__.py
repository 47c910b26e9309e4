"""Plain image analysis that speaks before a score does: what about an image may move its score for the wrong reason.

What is not noticed may be there all the same: how many of which kind are found, and how often without cause, stands in
benchmarks/RESULTS.md. Thresholds were chosen on training frames and rendered scenes.
"""

from __future__ import annotations

from PIL import Image

from nero_core.data.input_checks import light, overlays, subject
from nero_core.data.input_checks.check import BoolArray, Check, Rectangle
from nero_core.data.input_checks.view import View

__all__ = ["NAMES", "NOTHING_NOTICED", "NOTHING_TO_JUDGE", "Check", "Rectangle", "check_image"]

NOTHING_TO_JUDGE = "nothing to judge"
NAMES = (
    NOTHING_TO_JUDGE,
    "not like endoscopy",
    "position picture",
    "burnt-in text",
    "blurred",
    "too dark",
    "too bright",
    "colour cast",
    "glare",
    "too small",
    "odd shape",
    "black border",
)
"""Every check by its name, what speaks first before the rest."""
NOTHING_NOTICED = (
    "The checks noticed nothing about this image: that is no proof that nothing is wrong with it. They look for "
    + ", ".join(NAMES[1:-1])
    + f" and {NAMES[-1]}, miss some, and look for nothing else."
)
"""What is said where no check speaks."""

SMALLEST = 224
"""Shorter side in pixels below which an image is enlarged for most networks, those of torchvision among them."""
LONGEST = 1.9
"""Longer over shorter side: endoscopes record 1 to 1.8."""
MOST_BORDER = 0.05
"""Share of the image that is black border, from which it is told: nearly every whole frame has more."""


def check_image(image: Image.Image) -> tuple[Check, ...]:
    """What is noticed about an image, in the order of :data:`NAMES`; empty where nothing is.

    Parameters
    ----------
    image : PIL image
        Of any size and mode; turned into RGB.
    """
    view = View.of(image)
    letters, pictures = overlays.text(view), overlays.position_pictures(view)
    tissue = view.tissue((*letters, *pictures))
    written = _of_letters(letters)
    if subject.contrast(view, tissue) < subject.LEAST_CONTRAST:
        nothing = Check(
            NOTHING_TO_JUDGE,
            "There is nothing to judge: the image is black, of one colour, or nearly so.",
            "A score of it says nothing about tissue; heatmaps would explain an answer about nothing.",
        )
        return (nothing, *_of_pictures(pictures), *written, *_of_size(image))
    unlike = subject.foreign(view, tissue)
    foreign = Check(
        "not like endoscopy",
        f"This does not look like endoscopy: {unlike}.",
        "A network answers for any picture; neither its answer nor the score is about tissue then.",
    )
    first = [foreign] if unlike else _of_pictures(pictures)
    return (*first, *written, *_of_light(view, tissue, bool(unlike)), *_of_size(image), *_of_border(view))


def _of_pictures(found: tuple[Rectangle, ...]) -> list[Check]:
    """Position pictures."""
    effect = (
        "A network can learn which kinds of frames carry it, so the score may answer to it instead of to tissue; cover "
        "it and compare."
    )
    return [Check("position picture", "A green position picture lies over the frame.", effect, found)] if found else []


def _of_letters(found: tuple[Rectangle, ...]) -> list[Check]:
    """Burnt-in text."""
    if not found:
        return []
    lines = "1 line of burnt-in text was" if len(found) == 1 else f"{len(found)} lines of burnt-in text were"
    effect = (
        "Text differs between hospitals and devices, so the score may answer to it; and it may tell who the patient "
        "is. Cover it and compare."
    )
    return [Check("burnt-in text", f"{lines} found, and there may be more.", effect, found)]


def _of_light(view: View, tissue: BoolArray, foreign: bool) -> list[Check]:
    """Sharpness, exposure, colours and glare."""
    luma, colours = view.luma[tissue], view.colours(tissue)
    found = []
    if light.blur(view, tissue) >= light.BLURRED:
        found.append(
            Check(
                "blurred",
                "The image is blurred: a further blur takes away hardly any edge.",
                "Fine patterns are missing that the network knows; a blurred ordinary image may look unusual, and a "
                "finding may be lost.",
            )
        )
    if light.too_dark(luma):
        dark = "Nine tenths of the tissue are nearly black."
        found.append(Check("too dark", dark, "What is in the dark does not reach the score, and noise may raise it."))
    if light.too_bright(luma):
        bright = "Large parts of the tissue are white or nearly so."
        found.append(
            Check("too bright", bright, "What is in the white does not reach the score; the light may move it.")
        )
    if not foreign and (cast := light.colour_cast(colours)):
        found.append(
            Check(
                "colour cast",
                f"The colours are not those of tissue under white light: {cast}.",
                "Another light (such as narrow-band imaging), dye or white balance may raise the score by itself.",
            )
        )
    white = light.glare(view, tissue)
    if white.sum() >= light.GLARE_SHARE * tissue.sum():
        share = f"Glare covers {100 * white.sum() / tissue.sum():.0f} % of the tissue."
        found.append(
            Check("glare", share, "White spots hide tissue and bring sharp edges that may move the score.", white)
        )
    return found


def _of_size(image: Image.Image) -> list[Check]:
    """Size and shape."""
    shorter, longer = sorted(image.size)
    seen = f"The image has {image.width} × {image.height} pixels"
    found = []
    if shorter < SMALLEST:
        small = f"{seen}; its shorter side is below {SMALLEST}."
        found.append(Check("too small", small, "Networks mostly enlarge it, and detail that they know is not there."))
    if longer > LONGEST * shorter:
        strip = f"{seen}, a longer strip than endoscopes record."
        found.append(
            Check("odd shape", strip, "It is squeezed or cut for the network, and either may raise the score.")
        )
    return found


def _of_border(view: View) -> list[Check]:
    """Black around the tissue."""
    if view.border.mean() < MOST_BORDER:
        return []
    seen = f"{100 * view.border.mean():.0f} % of the image are black border."
    effect = "The shape of the border tells the device, and the score may answer to it."
    return [Check("black border", seen, effect, view.border)]
