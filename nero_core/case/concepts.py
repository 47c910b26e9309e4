"""Leading neurons whose maps are nearly the same, grouped into a few concepts by non-negative matrix factorisation.

Source: Lee and Seung, "Learning the parts of objects by non-negative matrix factorization", Nature 1999; of relevance
maps as in Fel et al., "CRAFT", CVPR 2023, but here of one image, so that what is shown is computed on it alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from nero_core.case.leading import Leading, cell_sums, shares_of
from nero_core.neurons import crops
from nero_core.records import Float32Array, Float64Array, FloatArray, IntArray, Neuron

MOST = 4
"""Concepts at most, so that they can be held beside each other."""

EXPLAINED = 0.9
"""Share of the maps' squares that the concepts explain together; the fewest that reach it are taken, else `MOST`."""

CELLS = 28
"""Maps are compared as sums over so many cells along each side: what lies closer together is one place."""

ITERATIONS, TOLERANCE = 2000, 1e-4
"""Of the factorisation by coordinate descent, which takes some hundred."""

SHOWN_CROPS = 8
"""Reference crops by which a concept goes."""


@dataclass(frozen=True, eq=False)
class Concept:
    """Neurons that looked at the same place of one image.

    Attributes
    ----------
    neurons : tuple of Neuron
        The one of largest contribution first.
    share : float
        Of the account's score, that these neurons carry together; negative where they lower it.
    heatmap : (H, W) float32
        Where they looked: the mean of their maps, each by size and as shares of its sum, weighted by the size of
        their contributions.
    """

    neurons: tuple[Neuron, ...]
    share: float
    heatmap: Float32Array

    def crops(self, reference_crops: crops.Concepts | None, count: int = SHOWN_CROPS) -> list[Image.Image]:
        """Training images that its neurons stand for, cropped: the strongest of each neuron in turn, then the next.

        Empty where the reference carries none for them.

        Raises
        ------
        ArtefactError
            A sheet of crops cannot be read.
        """
        if reference_crops is None:
            return []
        rows = [found for neuron in self.neurons[:count] if (found := reference_crops.crops(neuron))]
        longest = max((len(row) for row in rows), default=0)
        return [row[place] for place in range(longest) for row in rows if place < len(row)][:count]

    def numbers(self) -> dict[str, Any]:
        """Everything but pictures, as plain JSON values."""
        neurons = [{"neuron": n.channel} | ({} if n.stage is None else {"stage": n.stage}) for n in self.neurons]
        return {"neurons": neurons, "share": self.share}


def group(leading: Leading) -> list[Concept]:
    """A case's leading neurons as concepts, the one that carries most by size first.

    A neuron belongs to the concept that has the largest part in its map; one whose map is empty belongs to none.

    Parameters
    ----------
    leading : Leading
        See :func:`~nero_core.case.leading.leading_neurons`.
    """
    shares = shares_of(leading.maps)
    seen = np.flatnonzero(shares.any(axis=(1, 2)))
    if not len(seen):
        return []
    cells = np.stack([cell_sums(each, CELLS).ravel() for each in shares[seen]])
    weights, parts = factorised(cells)
    belongs = owners(weights, parts)
    found = [concept_of(leading, shares, seen[belongs == number]) for number in np.unique(belongs)]
    return sorted(found, key=lambda concept: -abs(concept.share))


def concept_of(leading: Leading, shares: FloatArray, rows: IntArray) -> Concept:
    """The concept of some of the leading neurons.

    Parameters
    ----------
    shares : (k, H, W)
        Maps of all the leading neurons, as shares of their sums.
    rows : (m,) int64
        Which of them.
    """
    sizes = np.abs(leading.contributions[rows])
    weights = sizes / sizes.sum() if sizes.any() else np.full(len(rows), 1 / len(rows))
    heatmap = np.tensordot(weights, shares[rows], axes=1).astype(np.float32)
    carried = float(leading.contributions[rows].sum()) / leading.score
    return Concept(tuple(leading.neurons[row] for row in rows), carried, heatmap)


def factorised(maps: FloatArray, most: int = MOST) -> tuple[Float64Array, Float64Array]:
    """W (k, c) and H (c, p) with maps ≈ W H, none negative, of the fewest parts c that explain enough of them.

    Starts from the singular vectors (NNDSVD with zeros filled by the mean: Boutsidis and Gallopoulos, 2008), so that
    the same maps give the same parts.

    Parameters
    ----------
    maps : (k, p)
        Not negative, not all zero.
    """
    from sklearn.decomposition import NMF  # takes a second, which the first paint has not

    weights, parts = np.empty((len(maps), 0)), np.empty((0, maps.shape[1]))
    for count in range(1, min(most, *maps.shape) + 1):
        if count == 1:  # the leading singular pair, whose signs agree, since no map is negative (Perron, Frobenius)
            left, sizes, right = np.linalg.svd(maps, full_matrices=False)
            weights, parts = np.abs(left[:, :1]) * sizes[0], np.abs(right[:1])
        else:
            model = NMF(count, init="nndsvda", random_state=0, max_iter=ITERATIONS, tol=TOLERANCE)
            weights, parts = model.fit_transform(maps), model.components_
        if explained(maps, weights, parts) >= EXPLAINED:
            break
    return weights, parts


def explained(maps: FloatArray, weights: FloatArray, parts: FloatArray) -> float:
    """Share of the maps' squares that a factorisation explains: 1 − ‖V − W H‖² / ‖V‖².

    Parameters
    ----------
    maps, weights, parts : (k, p), (k, c), (c, p)
    """
    return 1 - float(((maps - weights @ parts) ** 2).sum()) / float((maps**2).sum())


def owners(weights: FloatArray, parts: FloatArray) -> IntArray:
    """Which part has the largest sum in each map, (k,).

    Parameters
    ----------
    weights, parts : (k, c), (c, p)
    """
    found: IntArray = (weights * parts.sum(axis=1)).argmax(axis=1)
    return found


def concepts_as_numbers(concepts: Sequence[Concept]) -> list[dict[str, Any]]:
    """Concepts without their pictures, as plain JSON values."""
    return [concept.numbers() for concept in concepts]
