"""Whether a network's outputs are the classes they are taken for: accuracy per class, chance, and the order of classes.

What cannot be seen in the weights of somebody else's network shows on labelled images: whether it tells these classes
apart at all (Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 1960),
and whether its outputs come in another order than the classes (the assignment problem; Kuhn, Naval Research Logistics
1955), held against chance by the exact sign test (McNemar, Psychometrika 1947).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nero_core.errors import InputError
from nero_core.records import IntArray

LEVEL = 0.05
"""So often at most does a network that answers at random pass for a better one, or a right order for a wrong one."""
NAMED_CLASSES = 8
"""A sentence names the order of so many outputs before it leaves the others out."""


@dataclass(frozen=True, eq=False)
class ClassAgreement:
    """How a network's answers agree with the classes of n labelled images.

    Attributes
    ----------
    classes : K names
        In the order of the network's outputs, as they are taken to be.
    confusion : (K, K) int64
        Images by their class (row) and the network's answer (column).
    """

    classes: tuple[str, ...]
    confusion: IntArray

    def __post_init__(self) -> None:
        table, K = np.asarray(self.confusion), len(self.classes)
        if table.shape != (K, K) or not np.issubdtype(table.dtype, np.integer) or (table < 0).any() or not table.sum():
            raise InputError(f"`confusion` has shape {table.shape}; wanted counts of images, {K} × {K}, not all 0.")
        object.__setattr__(self, "confusion", table.astype(np.int64))

    @classmethod
    def of(cls, classes: Sequence[str], labels: npt.ArrayLike, predicted: npt.ArrayLike) -> ClassAgreement:
        """Count labels against answers.

        Parameters
        ----------
        labels, predicted : (n,) int64
            In [0, K).

        Raises
        ------
        InputError
            They are not as many as each other, none, or out of range.
        """
        truth, answer, K = np.asarray(labels), np.asarray(predicted), len(classes)
        if truth.shape != answer.shape or truth.ndim != 1 or not len(truth):
            raise InputError(
                f"There are {truth.shape} labels and {answer.shape} answers; wanted one of each per image."
            )
        if min(truth.min(), answer.min()) < 0 or max(truth.max(), answer.max()) >= K:
            raise InputError(f"A label or an answer is not in 0 to {K - 1}; there are {K} classes.")
        return cls(tuple(classes), np.bincount(K * truth + answer, minlength=K * K).reshape(K, K))

    @property
    def images(self) -> int:
        """n."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of images whose class is the answer."""
        return self._right(np.arange(len(self.classes))) / self.images

    @property
    def per_class(self) -> dict[str, float]:
        """The same for each class that has images."""
        right, counts = np.diag(self.confusion), self.confusion.sum(axis=1)
        return {name: float(r / n) for name, r, n in zip(self.classes, right, counts, strict=True) if n}

    @property
    def counts(self) -> dict[str, int]:
        """Images of each class."""
        return {name: int(n) for name, n in zip(self.classes, self.confusion.sum(axis=1), strict=True)}

    def _right(self, order: IntArray) -> int:
        return int(self.confusion[order, np.arange(len(order))].sum())

    def chance(self, order: IntArray | None = None) -> float:
        """What a network's answers agree by chance: Σ_k (share of images of class k)·(share of answers k), in [0, 1].

        Parameters
        ----------
        order : (K,) int64, optional
            Which class each output is taken for, where not the one of its number.
        """
        rows, columns = self.confusion.sum(axis=1), self.confusion.sum(axis=0)
        return float(rows[slice(None) if order is None else order] @ columns / self.images**2)

    def chance_p_value(self, order: IntArray | None = None) -> float:
        """P(at least so many right by chance): the one-sided binomial test against :meth:`chance`; small = better.

        A network that always gives the largest class has that class's share right, and p is about one half: it is
        held against its own answers, not against 1/K.

        Parameters
        ----------
        order : (K,) int64, optional
            As of :meth:`chance`.
        """
        from scipy.stats import binom

        given = np.arange(len(self.classes)) if order is None else order
        return float(binom.sf(self._right(given) - 1, self.images, min(self.chance(order), 1.0)))

    def best_order(self) -> IntArray:
        """The class that each output would have to stand for so that most images are right, (K,) int64.

        Of orders that are equally good, one that leaves most outputs where they are.
        """
        from scipy.optimize import linear_sum_assignment

        K = len(self.classes)
        # Whole images first; the ones on the diagonal only decide between equals.
        outputs, order = linear_sum_assignment((K + 1) * self.confusion.T + np.eye(K, dtype=np.int64), maximize=True)
        assert (outputs == np.arange(K)).all()
        return cast(IntArray, order.astype(np.int64))

    def likely_order(self) -> IntArray | None:
        """The order that the outputs seem to come in, where that is beyond chance; None where it is not.

        The best order is taken apart into its cycles, m outputs that change places among themselves. A cycle counts
        where the exact sign test, on the images of which just one of the two orders is right, gives a p-value of at
        most LEVEL, divided by how many such cycles there are among K classes and by K − 1, the lengths a cycle can
        have (Bonferroni): whichever order is right, another one is named with a probability of at most LEVEL. And the
        answers must then be better than chance, which those of a network that always gives one class never are.
        """
        K = len(self.classes)
        best, order = self.best_order(), np.arange(K)
        for cycle in _cycles(best):
            answers = np.asarray(cycle)
            meant = best[answers]
            gained, lost = (int(self.confusion[rows, answers].sum()) for rows in (meant, answers))
            if _log_sign_test(gained, lost) <= math.log(LEVEL / (K - 1)) - _log_cycles(K, len(cycle)):
                order[answers] = meant
        moved = (order != np.arange(K)).any()
        return order if moved and self.chance_p_value(order) <= LEVEL else None

    def warnings(self) -> tuple[str, ...]:
        """What somebody who fits this network should know: its order of classes seems wrong, or it knows none."""
        if len(self.classes) == 1:
            return ()  # there is nothing to tell apart
        order = self.likely_order()
        if order is not None:
            return (self._other_order(order),)
        if (p := self.chance_p_value()) <= LEVEL:
            return ()
        return (
            f"The network is right on {self.accuracy:.1%} of {self.images} labelled images, which is not better than "
            f"chance ({self.chance():.1%} for its answers, p = {p:.2g}): its outputs may be other classes, its images "
            "may have been prepared in another way, or it may not be trained.",
        )

    def _other_order(self, order: IntArray) -> str:
        moved = np.flatnonzero(order != np.arange(len(order)))
        shown = moved[:NAMED_CLASSES]
        left = len(moved) - len(shown)
        return (
            "The classes seem to be in another order than the network's outputs: "
            f"{'outputs' if len(shown) > 1 else 'output'} {', '.join(str(k) for k in shown)}, taken for "
            f"{', '.join(self.classes[k] for k in shown)}, seem to be "
            f"{', '.join(self.classes[order[k]] for k in shown)}{f' ({left} more change places)' if left else ''}. "
            f"That would make {self._right(order) / self.images:.1%} of {self.images} labelled images right instead of "
            f"{self.accuracy:.1%}. Name the folders so that, sorted, they come in the order of the outputs."
        )

    def metrics(self) -> dict[str, Any]:
        """For a manifest's `metrics`: figures on the calibration images."""
        return {
            "calibration_accuracy": self.accuracy,
            "calibration_accuracy_per_class": self.per_class,
            "calibration_per_class": self.counts,
            "warnings": list(self.warnings()),
        }


def _cycles(order: IntArray) -> list[list[int]]:
    """The cycles of a permutation that move something, each from its smallest member on."""
    cycles, seen = [], set()
    for first in range(len(order)):
        cycle, k = [], first
        while k not in seen:
            seen.add(k)
            cycle.append(k)
            k = int(order[k])
        if len(cycle) > 1:
            cycles.append(cycle)
    return cycles


def _log_cycles(classes: int, length: int) -> float:
    """log of how many cycles of m among K classes there are: K!/((K − m)!·m)."""
    return math.lgamma(classes + 1) - math.lgamma(classes - length + 1) - math.log(length)


def _log_sign_test(gained: int, lost: int) -> float:
    """log P(X ≥ gained) for X from Binomial(gained + lost, ½)."""
    from scipy.stats import binom

    return float(binom.logsf(gained - 1, gained + lost, 0.5))
