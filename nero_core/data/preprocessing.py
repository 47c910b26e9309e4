"""How an RGB image becomes a network's input, as a record that is checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, Self

from nero_core.storage.typed import Range, check

INPUT_SIDES = Range(8, 2048)
"""Of a network's input, pixels. Networks in use take 28 to 1,024."""
COLOUR_MEANS, COLOUR_DEVIATIONS = Range(-255, 255), Range(0.001, 255)
"""Of a colour channel: shares of white, or grey levels for a network that was trained on these (1/255 = 0.004). What is
divided by less is no picture any more."""
CROP_SHARES = Range(0.5, 1.25)
"""Networks in use have 0.875 to 1, and VOLO 1.15, which lays the picture on black. A picture is resized by the inverse
before it is cropped: a share of 0.005 makes 44,800 × 44,800 pixels for an input of 224 × 224."""
ColourMean = Annotated[float, COLOUR_MEANS]
ColourDeviation = Annotated[float, COLOUR_DEVIATIONS]


@dataclass(frozen=True)
class Preprocessing:
    """How an RGB image becomes a network's input; stored with the classifier, never assumed.

    Attributes
    ----------
    height, width : int
        Size of the network's input, pixels.
    mean, std : three floats each
        Per-channel normalisation of values in [0, 1].
    interpolation : {"bilinear", "bicubic"}
        Resampling filter of the resize, antialiased.
    crop_share : float or None
        None stretches the whole image to the input size. A share resizes the shorter side to size / crop_share and
        takes the centre.
    """

    height: Annotated[int, INPUT_SIDES] = 224
    width: Annotated[int, INPUT_SIDES] = 224
    mean: tuple[ColourMean, ColourMean, ColourMean] = (0.485, 0.456, 0.406)
    std: tuple[ColourDeviation, ColourDeviation, ColourDeviation] = (0.229, 0.224, 0.225)
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    crop_share: Annotated[float, CROP_SHARES] | None = None

    def checked(self) -> Self:
        """The same, once it is known to be a network's: pages make other sizes of it, to show a picture.

        Raises
        ------
        InputError
            A field is of another type, or out of its range.
        """
        check(asdict(self), Preprocessing, "preprocessing")
        return self

    @classmethod
    def read(cls, described: Any) -> Self:
        """From a mapping of its fields, as a file holds it.

        Raises
        ------
        InputError
            A field is not known, of another type, or out of its range.
        """
        read: Self = check(described, cls, "preprocessing")
        return read
