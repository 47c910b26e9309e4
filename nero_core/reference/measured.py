"""Figures of a model card with their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from nero_core.errors import ArtefactError
from nero_core.reference.manifest import MANIFEST_NAME
from nero_core.wording import said

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Measured:
    """A figure in [0, 1] and its 95 % interval, on so many images; without an interval where their number is unknown.

    Attributes
    ----------
    value : float
    low, high : float or None
    images : int or None
    """

    value: float
    low: float | None = None
    high: float | None = None
    images: int | None = None

    def percent(self) -> str:
        """As a share: "94.8 % (89.7 to 97.5 %; 135 images)"."""
        return self._written(100, 1, " %")

    def score(self) -> str:
        """As a figure in [0, 1]: "0.759 (0.591 to 0.899; 212 images)"."""
        return self._written(1, 3, "")

    def _written(self, times: int, places: int, unit: str) -> str:
        inside = [] if self.images is None else [said("{n} images", n=self.images)]
        if self.low is not None and self.high is not None:
            ends = (f"{times * end:.{places}f}" for end in (self.low, self.high))
            inside.insert(0, said("{low} to {high}", **dict(zip(("low", "high"), ends, strict=True))) + unit)
        return f"{times * self.value:.{places}f}{unit}" + (f" ({'; '.join(inside)})" if inside else "")


def share_of(value: float, images: int | None) -> Measured:
    """A share of n images with its Wilson score interval; without one where n is not known.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927: the shares p₀ with
    ``|p − p₀| ≤ z √(p₀(1 − p₀)/n)``.

    Parameters
    ----------
    value : float
        p, in [0, 1].
    images : int or None
        n, at least 1.

    Raises
    ------
    ArtefactError
        The share is not in [0, 1], or of no image.
    """
    p, n = float(value), images
    if not 0 <= p <= 1 or (n is not None and n < 1):
        raise ArtefactError(f"{MANIFEST_NAME} holds the share {p} of {n} images; wanted one in [0, 1] of at least one.")
    if n is None:
        return Measured(p)
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return Measured(p, max(0.0, middle - half), min(1.0, middle + half), n)
