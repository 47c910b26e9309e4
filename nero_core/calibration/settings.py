"""What is fixed when a reference is calibrated."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nero_core.errors import InputError
from nero_core.records import needed_images

DEFAULT_ALPHA = 0.05


@dataclass(frozen=True)
class CalibrationSettings:
    """What is fixed when a reference is calibrated, whatever α is on the screen later.

    Attributes
    ----------
    by_class : bool
        Whether an image is read against calibration images of its predicted class (Mondrian conformal prediction,
        Vovk et al., "Algorithmic Learning in a Random World", 2005), or against all of them.
    alpha : float
        Share of false alarms in (0, 1) that a class must support with images of its own. A class that does not is
        read against all images, without a guarantee.
    confidence : float or None
        1 − δ in (0, 1): at `alpha` the bound holds with this probability over the calibration images, instead of on
        average (Vovk, "Conditional validity of inductive conformal predictors", 2012).

    Raises
    ------
    InputError
        A share is not in (0, 1).
    """

    by_class: bool = True
    alpha: float = DEFAULT_ALPHA
    confidence: float | None = None

    def __post_init__(self) -> None:
        for name, share in (("alpha", self.alpha), ("confidence", self.confidence)):
            if share is not None and not is_share(share):
                raise InputError(f"`{name}` is {share}; wanted a number between 0 and 1.")

    @property
    def needed(self) -> int:
        """The fewest calibration images that support `alpha`, with `confidence` where it is asked for."""
        if self.confidence is None:
            return needed_images(self.alpha)
        # l = 1 is allowed once (1 − α)ⁿ ≤ δ.
        return max(needed_images(self.alpha), math.ceil(math.log1p(-self.confidence) / math.log1p(-self.alpha) - 1e-9))


def is_share(value: object) -> bool:
    """Whether a value is a number in (0, 1)."""
    return isinstance(value, (int, float, np.floating, np.integer)) and math.isfinite(value) and bool(0 < value < 1)


BY_CLASS = CalibrationSettings()
"""How references are calibrated where nothing else is asked for."""
