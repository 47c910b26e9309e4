"""NAP: how sharply each channel of the last map peaks over its own mean, combined with energy.

Source: Wan, Zhang, Jin, "Out-of-Distribution Detection using Neural Activation Prior", 2024 (arXiv 2402.18162).
It reads what global pooling throws away.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from nero_core.detectors.base import Detector, DetectorInfo, Paper
from nero_core.detectors.linear_algebra import logsumexp_of
from nero_core.detectors.registry import register
from nero_core.errors import InputError
from nero_core.records import Activations, Float64Array, Head
from nero_core.storage.typed import ABOVE_ZERO, AboveZero, Shape, Share

PAPER_EPSILON = 1e-3
"""ε beside the mean of a channel."""

ENERGY_FLOOR = 1e-3
"""The energy is at least this share of its training median, so that its power exists."""


@register
class Nap(Detector):
    """Score by peaks and energy.

    With A the map before pooling, E = logsumexp(z), and both E and N divided by their training medians::

        N = Σ_j max A_j / (mean A_j + ε)
        S = −E^w · N^(1−w)

    Needs a map that is never negative, and an energy that usually is positive.

    Parameters
    ----------
    weight : float
        w in [0, 1].
    epsilon : float
        ε.
    """

    # Far point: not claimed, a ratio within each channel, and an energy that falls with large logits.
    info = DetectorInfo("nap", "NAP", Paper(
        "Out-of-Distribution Detection using Neural Activation Prior",
        ("Weilin Wan", "Weizhong Zhang", "Quan Zhou", "Fan Yi", "Cheng Jin"),
        "arXiv", 2024, "https://arxiv.org/abs/2402.18162",
    ), needs=frozenset({"peaks"}))  # fmt: skip
    median_prior_: Annotated[Float64Array, Shape(values=ABOVE_ZERO)]
    """Of N over the training images."""
    median_energy_: Annotated[Float64Array, Shape(values=ABOVE_ZERO)]
    """Of E over the training images."""

    def __init__(self, weight: Share = 0.5, epsilon: AboveZero = PAPER_EPSILON) -> None:
        self.weight = weight
        self.epsilon = epsilon

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        self.median_prior_ = np.asarray(np.median(self._prior(train)))
        self.median_energy_ = np.asarray(np.median(logsumexp_of(train.logits)))
        for what, median in (("peaks over means", self.median_prior_), ("energy", self.median_energy_)):
            if median <= 0:
                raise InputError(
                    f"The median of the {what} is {median:.3g} on the {len(train)} training images; NAP divides by it "
                    "and wants it above 0: choose another detector for this network."
                )

    def _prior(self, batch: Activations) -> Float64Array:
        """N, (n,)."""
        assert batch.peaks is not None
        mean, peak = batch.features.astype(np.float64), batch.peaks.astype(np.float64)
        if (mean < 0).any() or (peak < 0).any():
            raise InputError(
                f"NAP divides the peak of a channel by its mean, and means go down to {mean.min():.3g} and peaks to "
                f"{peak.min():.3g}; wanted a map that is never negative, as after a ReLU."
            )
        prior: Float64Array = (peak / (mean + self.epsilon)).sum(axis=1)
        return prior

    def _score(self, batch: Activations) -> Float64Array:
        energy = logsumexp_of(batch.logits) / self.median_energy_
        prior = self._prior(batch) / self.median_prior_
        return -(np.maximum(energy, ENERGY_FLOOR) ** self.weight) * prior ** (1 - self.weight)
