"""Plain image analysis that speaks before a score does: what about an image may move its score for the wrong reason.

What is not noticed may be there all the same: how many of which kind are found, and how often without cause, stands in
benchmarks/RESULTS.md. Thresholds were chosen on training frames and rendered scenes.
"""

from __future__ import annotations

from PIL import Image

from nero_core.data.input_checks import light, overlays, subject
from nero_core.data.input_checks.check import BoolArray, Check, Rectangle
from nero_core.data.input_checks.view import View
from nero_core.wording import AND, listed, message

__all__ = ["NAMES", "NOTHING_NOTICED", "NOTHING_TO_JUDGE", "Check", "Rectangle", "check_image"]

NOTHING_TO_JUDGE = message("nothing to judge")
NAMES = (
    NOTHING_TO_JUDGE,
    message("not like endoscopy"),
    message("position picture"),
    message("burnt-in text"),
    message("blurred"),
    message("too dark"),
    message("too bright"),
    message("colour cast"),
    message("glare"),
    message("too small"),
    message("odd shape"),
    message("black border"),
)
"""Every check by its name, what speaks first before the rest."""
NOTHING_NOTICED = message(
    "The checks noticed nothing about this image: that is no proof that nothing is wrong with it. They look for "
    "{names}, miss some, and look for nothing else.",
    names=listed(NAMES[1:], AND),
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
            message("There is nothing to judge: the image is black, of one colour, or nearly so."),
            message("A score of it says nothing about tissue; heatmaps would explain an answer about nothing."),
        )
        return (nothing, *_of_pictures(pictures), *written, *_of_size(image))
    unlike = subject.foreign(view, tissue)
    foreign = Check(
        "not like endoscopy",
        message("This does not look like endoscopy: {unlike}.", unlike=unlike),
        message("A network answers for any picture; neither its answer nor the score is about tissue then."),
    )
    first = [foreign] if unlike else _of_pictures(pictures)
    return (*first, *written, *_of_light(view, tissue, bool(unlike)), *_of_size(image), *_of_border(view))


def _of_pictures(found: tuple[Rectangle, ...]) -> list[Check]:
    """Position pictures."""
    effect = message(
        "A network can learn which kinds of frames carry it, so the score may answer to it instead of to tissue; cover "
        "it and compare."
    )
    return (
        [Check("position picture", message("A green position picture lies over the frame."), effect, found)]
        if found
        else []
    )


def _of_letters(found: tuple[Rectangle, ...]) -> list[Check]:
    """Burnt-in text."""
    if not found:
        return []
    seen = (
        message("1 line of burnt-in text was found, and there may be more.")
        if len(found) == 1
        else message("{n} lines of burnt-in text were found, and there may be more.", n=len(found))
    )
    effect = message(
        "Text differs between hospitals and devices, so the score may answer to it; and it may tell who the patient "
        "is. Cover it and compare."
    )
    return [Check("burnt-in text", seen, effect, found)]


def _of_light(view: View, tissue: BoolArray, foreign: bool) -> list[Check]:
    """Sharpness, exposure, colours and glare."""
    luma, colours = view.luma[tissue], view.colours(tissue)
    found = []
    if light.blur(view, tissue) >= light.BLURRED:
        found.append(
            Check(
                "blurred",
                message("The image is blurred: a further blur takes away hardly any edge."),
                message(
                    "Fine patterns are missing that the network knows; a blurred ordinary image may look unusual, and "
                    "a finding may be lost."
                ),
            )
        )
    if light.too_dark(luma):
        dark = message("Nine tenths of the tissue are nearly black.")
        found.append(
            Check("too dark", dark, message("What is in the dark does not reach the score, and noise may raise it."))
        )
    if light.too_bright(luma):
        bright = message("Large parts of the tissue are white or nearly so.")
        found.append(
            Check(
                "too bright", bright, message("What is in the white does not reach the score; the light may move it.")
            )
        )
    if not foreign and (cast := light.colour_cast(colours)):
        found.append(
            Check(
                "colour cast",
                message("The colours are not those of tissue under white light: {cast}.", cast=cast),
                message(
                    "Another light (such as narrow-band imaging), dye or white balance may raise the score by itself."
                ),
            )
        )
    white = light.glare(view, tissue)
    if white.sum() >= light.GLARE_SHARE * tissue.sum():
        covered = f"{100 * white.sum() / tissue.sum():.0f}"
        share = message("Glare covers {share} % of the tissue.", share=covered)
        found.append(
            Check(
                "glare", share, message("White spots hide tissue and bring sharp edges that may move the score."), white
            )
        )
    return found


def _of_size(image: Image.Image) -> list[Check]:
    """Size and shape."""
    shorter, longer = sorted(image.size)
    size = {"width": image.width, "height": image.height}
    found = []
    if shorter < SMALLEST:
        small = message(
            "The image has {width} × {height} pixels; its shorter side is below {least}.", **size, least=SMALLEST
        )
        found.append(
            Check("too small", small, message("Networks mostly enlarge it, and detail that they know is not there."))
        )
    if longer > LONGEST * shorter:
        strip = message("The image has {width} × {height} pixels, a longer strip than endoscopes record.", **size)
        found.append(
            Check("odd shape", strip, message("It is squeezed or cut for the network, and either may raise the score."))
        )
    return found


def _of_border(view: View) -> list[Check]:
    """Black around the tissue."""
    if view.border.mean() < MOST_BORDER:
        return []
    seen = message("{share} % of the image are black border.", share=f"{100 * view.border.mean():.0f}")
    effect = message("The shape of the border tells the device, and the score may answer to it.")
    return [Check("black border", seen, effect, view.border)]
