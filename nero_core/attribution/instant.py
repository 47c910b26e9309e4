"""Maps at the resolution of the last feature map, without any way down through the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from nero_core.errors import InputError
from nero_core.records import Float64Array, FloatArray


def instant_maps(relevance: FloatArray, activation_map: FloatArray, neurons: Sequence[int]) -> Float64Array:
    """Where some neurons looked, at the resolution of the last feature map: r_j · A_j(u, v) / Σ A_j.

    Exact for a network with global average pooling, whose feature a_j is the mean of A_j.

    Parameters
    ----------
    relevance : (d,)
        Relevance r of one image's neurons.
    activation_map : (d, h, w)
        That image's feature map A before pooling.
    neurons : k ints
        Which neurons, each in 0 … d−1.

    Returns
    -------
    (k, h, w) float64
        Each map sums to its r_j. Where Σ A_j = 0 the feature is 0 and so is its relevance; one that was handed in from
        elsewhere is spread evenly.

    Raises
    ------
    InputError
        Shapes disagree, a value is NaN or infinite, or there is no such neuron.
    """
    r, activation = np.asarray(relevance, np.float64), np.asarray(activation_map, np.float64)
    if activation.ndim != 3 or r.shape != activation.shape[:1]:
        raise InputError(
            f"`relevance` has shape {r.shape} and `activation_map` {activation.shape}; "
            "wanted (d,) and (d, h, w) of one image."
        )
    if not (np.isfinite(r).all() and np.isfinite(activation).all()):
        raise InputError("`relevance` or `activation_map` holds NaN or infinity; check the image and the network.")
    chosen = indices(neurons, len(r), "the features")
    maps = activation[chosen]
    total = maps.sum(axis=(1, 2), keepdims=True)
    flat = np.full_like(maps, 1 / np.prod(activation.shape[1:]))
    share = np.divide(maps, total, out=flat, where=total != 0)
    return cast(Float64Array, r[chosen, None, None] * share)


def indices(neurons: Sequence[int], width: int, where: str) -> npt.NDArray[np.int64]:
    """The chosen neurons as an array.

    Raises
    ------
    InputError
        A number is no whole number in 0 … width − 1.
    """
    chosen = np.asarray(neurons)
    if chosen.shape == (0,):
        return chosen.astype(np.int64)
    if chosen.ndim != 1 or not np.issubdtype(chosen.dtype, np.integer):
        raise InputError(f"`neurons` is {neurons!r}; wanted a list of whole numbers.")
    outside = chosen[(chosen < 0) | (chosen >= width)]
    if outside.size:
        raise InputError(f"There is no neuron {outside[0]}: {where} are numbered 0 to {width - 1}.")
    return chosen.astype(np.int64)
