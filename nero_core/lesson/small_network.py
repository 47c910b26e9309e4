"""A last layer of three neurons and two classes, small enough to be worked out by hand.

The numbers are :func:`nero_core.relevance.neuron_relevance`'s own; what is beside them are the terms of its sum, for
the formula that fills itself in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from nero_core.errors import InputError
from nero_core.records import Float64Array
from nero_core.relevance import neuron_relevance

NEURONS, CLASSES = 3, 2
MOST = 10.0
"""Largest size of a number that can be edited: beyond, the softmax is 0 or 1 and there is nothing to see."""
SUM = 1.0
"""What relevance and bias add up to where ε is 0 (conservation)."""
TOLERANCE = 1e-9
"""Of the check of that sum."""
TYPED = 5e-4
"""The same of numbers that are typed with three digits behind the point."""


@dataclass(frozen=True)
class SmallNetwork:
    """Activations and head of one image.

    Attributes
    ----------
    activations : 3 numbers
        Each in [0, 10], as after a ReLU.
    weights : 2 times 3 numbers
        Of each class, each in [−10, 10].
    biases : 2 numbers
    """

    activations: Sequence[float] = (2.0, 1.0, 3.0)
    weights: Sequence[Sequence[float]] = ((1.0, 2.0, -1.0), (0.0, 1.0, 1.0))
    biases: Sequence[float] = (2.0, 1.0)


@dataclass(frozen=True, eq=False)
class WorkedOut:
    """Everything between activations and relevance.

    Attributes
    ----------
    activations : (3,)
    weights : (2, 3)
    biases : (2,)
    logits : (2,)
        z = W a + b.
    probabilities : (2,)
        p = softmax(z).
    divided_by : (2,)
        z + ε·sign(z), which each term is divided by.
    terms : (2, 3)
        p_k · a_j W_kj / (z_k + ε·sign(z_k)), whose columns add up to r.
    bias_terms : (2,)
        The same of the biases, which add up to r_β.
    relevance : (3,)
        r, of each neuron.
    bias_relevance : float
        r_β.
    """

    activations: Float64Array
    weights: Float64Array
    biases: Float64Array
    logits: Float64Array
    probabilities: Float64Array
    divided_by: Float64Array
    terms: Float64Array
    bias_terms: Float64Array
    relevance: Float64Array
    bias_relevance: float

    @property
    def answer(self) -> int:
        """The class that the network reads."""
        return int(self.logits.argmax())

    @property
    def total(self) -> float:
        """Relevance of all neurons and of the bias."""
        return float(self.relevance.sum()) + self.bias_relevance

    def total_with(self, relevance: Sequence[float]) -> float:
        """The same where these three stand in place of the neurons' own relevance."""
        return float(np.sum(relevance)) + self.bias_relevance


def holds(total: float, tolerance: float = TOLERANCE) -> bool:
    """Whether a sum of relevance is what conservation asks for: 1."""
    return abs(total - SUM) <= tolerance


def work_out(network: SmallNetwork, epsilon: float = 0.0) -> WorkedOut:
    """Relevance of the three neurons and of the bias, with all that leads there.

    Raises
    ------
    InputError
        A number is missing, not finite or beyond its range, or a logit is exactly 0 where ε is 0.
    """
    a = _numbers("activations", network.activations, (NEURONS,), low=0.0)
    W = _numbers("weights", network.weights, (CLASSES, NEURONS))
    b = _numbers("biases", network.biases, (CLASSES,))
    z = W @ a + b + 0.0  # no −0
    if epsilon == 0 and (z == 0).any():
        raise InputError(
            f"The logit of class {int(np.flatnonzero(z == 0)[0]) + 1} is 0, and with ε = 0 nothing can be divided by "
            "it; change a number, or raise ε."
        )
    r, r_bias = neuron_relevance(a[None], z[None], W, b, epsilon)
    p = softmax(z)
    divided_by = z + epsilon * np.where(z < 0, -1.0, 1.0)
    terms = (p / divided_by)[:, None] * W * a + 0.0
    return WorkedOut(a, W, b, z, p, divided_by, terms, p / divided_by * b + 0.0, r[0] + 0.0, float(r_bias[0]) + 0.0)


def _numbers(name: str, values: object, shape: tuple[int, ...], low: float = -MOST) -> Float64Array:
    try:
        found = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        found = np.full(shape, np.nan)  # told below
    if found.shape != shape or not np.isfinite(found).all() or found.min() < low or found.max() > MOST:
        size, seen = " × ".join(map(str, shape)), ", ".join("–" if np.isnan(x) else f"{x:g}" for x in found.ravel())
        raise InputError(f"The {name} are {seen}; wanted {size} numbers from {low:g} to {MOST:g}, one in every cell.")
    return found
