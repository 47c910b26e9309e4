"""Why this score: nearest class, exact neuron contributions, the terms, and the separate what-if."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nero_core.detectors import ExplainedDetector, Nero
from nero_core.errors import InputError
from nero_core.records import Activations, Float64Array, Neuron

Ranking = Literal["contribution", "relevance"]


@dataclass(frozen=True, eq=False)
class Explanation:
    """A complete account of one score: score = factor·(Σ_j contribution_j + Σ terms).

    Attributes
    ----------
    score : float
        Larger = more out-of-distribution.
    nearest_class : str
        The class that the image is held against.
    contributions : (c,)
        Exact share of each neuron; both signs may occur.
    neurons : c Neurons
        What the contributions belong to: features, or channels of stages.
    terms : {name: float}
        What no single neuron stands for; may be empty.
    factor : float
        1 where the score has none.
    """

    score: float
    nearest_class: str
    contributions: Float64Array
    neurons: tuple[Neuron, ...]
    terms: Mapping[str, float]
    factor: float
    _detector: ExplainedDetector
    _activations: Activations

    def ranked(self, by: Ranking) -> Float64Array:
        """The values (c,) by whose size neurons are ranked.

        Raises
        ------
        InputError
            The account has no such values.
        """
        if by != "contribution":
            raise InputError(f"{self._detector.info.title} ranks neurons by contribution, not by {by!r}.")
        return self.contributions

    def top(self, k: int, by: Ranking = "contribution") -> list[tuple[int, float]]:
        """The k neurons (positions in `neurons`) of largest absolute contribution (or relevance), with it."""
        values = self.ranked(by)
        order = np.argsort(-np.abs(values), kind="stable")[: max(0, k)]
        return [(int(neuron), float(values[neuron])) for neuron in order]

    def what_if(self, neurons: Sequence[int]) -> float:
        """The score recomputed with these neurons as usual for the nearest class. It may rise.

        Raises
        ------
        InputError
            A neuron is not one of the account's.
        """
        count = len(self.contributions)
        if outside := [neuron for neuron in neurons if not 0 <= neuron < count]:
            raise InputError(f"Neuron {outside[0]} does not exist; this network has neurons 0 to {count - 1}.")
        return float(self._detector.what_if(self._activations, neurons)[0])


@dataclass(frozen=True, eq=False)
class NeroExplanation(Explanation):
    """The account of a NERO score: S = f·(Σ_j contribution_j + B), with Σ_j contribution_j = D.

    Attributes
    ----------
    relevance : (d,)
        r, the neurons' relevance to the prediction.
    class_relevance : (d,)
        r̄_c, the mean relevance of the nearest class.
    bias_relevance : float
        r_β.
    distance : float
        D.
    conservation_error : float
        ``|Σ_j r_j + r_β − 1|``; 0 up to rounding where ε = 0.
    """

    relevance: Float64Array
    class_relevance: Float64Array
    bias_relevance: float
    distance: float
    conservation_error: float

    @property
    def bias_term(self) -> float:
        """B."""
        return self.terms["bias term"]

    @property
    def low_relevance_share(self) -> float:
        """f, in [0, 1]."""
        return self.factor

    def ranked(self, by: Ranking) -> Float64Array:
        """Contributions or relevance, (d,)."""
        return {"contribution": self.contributions, "relevance": self.relevance}[by]


def explain(detector: ExplainedDetector, batch: Activations, classes: Sequence[str]) -> list[Explanation]:
    """One explanation per image of a batch; a :class:`NeroExplanation` each where the detector is NERO."""
    account = detector.account(batch)
    score = detector.score(batch)
    common = [
        {
            "score": float(score[row]),
            "nearest_class": classes[account.nearest[row]],
            "contributions": account.contributions[row],
            "neurons": account.neurons,
            "terms": {name: float(term[row]) for name, term in account.terms.items()},
            "factor": float(account.factor[row]),
            "_detector": detector,
            "_activations": batch[row : row + 1],
        }
        for row in range(len(batch))
    ]
    if not isinstance(detector, Nero):
        return [Explanation(**parts) for parts in common]
    relevance, terms = detector.relevance(batch), detector.terms(batch)
    return [
        NeroExplanation(
            **parts,
            relevance=relevance.neurons[row],
            class_relevance=detector.class_means_[account.nearest[row]],
            bias_relevance=float(relevance.bias[row]),
            distance=float(terms.distance[row]),
            conservation_error=float(abs(relevance.total[row] - 1)),
        )
        for row, parts in enumerate(common)
    ]
