"""Filling a gap smoothly from what surrounds it: the discrete Laplace equation, solved directly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nero_core.records import Float64Array

Mask = npt.NDArray[np.bool_]


def harmonic(values: Float64Array, known: Mask) -> Float64Array:
    """Values where they are known and, elsewhere, the mean of their neighbours to four sides: Laplace's equation.

    At the image's edge only the neighbours that there are count, so that nothing flows across it. The filling lies
    between the smallest and the largest known value.

    Parameters
    ----------
    values : (h, w)
    known : (h, w) bool
        At least one.

    Returns
    -------
    (h, w) float64
    """
    from scipy import sparse  # the first paint waits for none of it
    from scipy.sparse.linalg import splu

    filled = np.array(values, np.float64)
    if known.all():
        return filled
    number = np.full(known.shape, -1)
    number[~known] = np.arange(int((~known).sum()))
    rows, columns, right = [], [], np.zeros(int((~known).sum()))
    degree = np.zeros_like(right)
    for here, there in _neighbours():
        own, other = number[here], number[there]
        unknown = own >= 0
        np.add.at(degree, own[unknown], 1)
        both = unknown & (other >= 0)
        rows.append(own[both])
        columns.append(other[both])
        edge = unknown & (other < 0)
        np.add.at(right, own[edge], filled[there][edge])
    links = (np.concatenate(rows), np.concatenate(columns))
    adjacent = sparse.coo_array((np.ones(len(links[0])), links), shape=(len(right), len(right)))
    filled[~known] = splu(sparse.csc_array(sparse.diags_array(degree) - adjacent)).solve(right)
    low, high = filled[known].min(), filled[known].max()
    filled[~known] = filled[~known].clip(low, high)  # rounding of the solver
    return filled


def _neighbours() -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Cells, and their neighbours on one side, for each of four sides."""
    every, first, last = slice(None), slice(None, -1), slice(1, None)
    across, down = ((every, first), (every, last)), ((first, every), (last, every))
    return [across, across[::-1], down, down[::-1]]
