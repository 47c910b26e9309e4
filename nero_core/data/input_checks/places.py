"""What lies where in an endoscopic frame, as far as the checks notice it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from nero_core.data.input_checks import check_image
from nero_core.data.input_checks.check import BoolArray

BORDER = "black border"
LOOKED_FOR = ("position picture", "burnt-in text", "glare", BORDER)
"""The checks that say where: what is no tissue, or hides it."""


def find_places(image: Image.Image) -> dict[str, BoolArray]:
    """Where each of `LOOKED_FOR` lies, {name: (H, W) bool}; nowhere where the checks do not notice it.

    Parameters
    ----------
    image : RGB image
    """
    noticed = {check.name: check for check in check_image(image)}
    nowhere = np.zeros(image.size[::-1], bool)
    return {name: noticed[name].covered(*image.size) if name in noticed else nowhere for name in LOOKED_FOR}
