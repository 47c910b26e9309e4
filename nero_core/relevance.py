"""How relevant each neuron of the last feature layer was for a prediction: pure functions of arrays.

Source: Chhetri, Korhonen, Gyawali, Bhattarai, "NERO", MICCAI 2025 (arXiv 2506.15404): one layer-wise relevance
propagation step through the head, started from the whole softmax vector.
"""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from nero_core.errors import InputError
from nero_core.records import Activations, Float64Array, FloatArray, Head, IntArray, Relevance

DEFAULT_EPSILON = 0.01
"""Keeps r finite where a logit is near zero; the paper's own mode is 0, where the largest norms explode."""

LOGIT_TOLERANCE = 1e-4
"""Largest difference, relative above 1, between the logits handed in and W a + b recomputed in float64."""


def neuron_relevance(
    features: FloatArray,
    logits: FloatArray,
    weight: FloatArray,
    bias: FloatArray,
    epsilon: float = DEFAULT_EPSILON,
) -> tuple[Float64Array, Float64Array]:
    """Relevance of each feature and of the bias for the softmax output.

    With z = W a + b and p = softmax(z) (NERO, eq. 1; sign(0) = +1)::

        r_j = Σ_k p_k · a_j W_kj / (z_k + ε·sign(z_k))
        r_β = Σ_k p_k · b_k      / (z_k + ε·sign(z_k))

    For ε = 0 the sum of r and r_β is 1 for every image (conservation).

    Parameters
    ----------
    features : (n, d)
    logits : (n, K)
        Must agree with the features and the head; z itself is recomputed in float64.
    weight : (K, d)
    bias : (K,)
    epsilon : float
        At least 0.

    Returns
    -------
    r : (n, d) float64
    r_bias : (n,) float64

    Raises
    ------
    InputError
        Shapes disagree, the logits belong to another head, ε is negative, or ε = 0 and a logit is exactly 0.
    """
    a = np.asarray(features, np.float64)
    W, b = np.asarray(weight, np.float64), np.asarray(bias, np.float64)
    if a.ndim != 2 or W.ndim != 2 or a.shape[1] != W.shape[1] or b.shape != (len(W),):
        raise InputError(
            f"`features` {a.shape}, `weight` {W.shape} and `bias` {b.shape} do not fit; wanted (n, d), (K, d), (K,)."
        )
    if not (np.isfinite(epsilon) and epsilon >= 0):
        raise InputError(f"`epsilon` is {epsilon}; wanted a finite number of at least 0 (0.01 by default).")
    z = a @ W.T + b
    handed_in = np.asarray(logits)
    if handed_in.shape != z.shape or not np.isfinite(handed_in).all():
        raise InputError(f"`logits` has shape {handed_in.shape}; wanted {z.shape}, all finite.")
    difference = np.abs(handed_in - z) / np.maximum(1.0, np.abs(z))
    if difference.size and difference.max() > LOGIT_TOLERANCE:
        raise InputError(
            f"`logits` differ from W·features + b by up to {difference.max():.2g} (tolerance {LOGIT_TOLERANCE:g}); "
            "give the logits, features and head of one and the same network."
        )
    z_epsilon = z + epsilon * np.where(z < 0, -1.0, 1.0)
    if (z_epsilon == 0).any():
        row = int(np.flatnonzero((z_epsilon == 0).any(axis=1))[0])
        raise InputError(f"A logit of image {row + 1} is exactly 0, where ε = 0 divides by it; use epsilon=0.01.")
    quotient = softmax(z, axis=1) / z_epsilon
    return a * (quotient @ W), quotient @ b


def relevance_of(batch: Activations, head: Head, epsilon: float = DEFAULT_EPSILON) -> Relevance:
    """`neuron_relevance` from records to a record."""
    return Relevance(*neuron_relevance(batch.features, batch.logits, head.weight, head.bias, epsilon))


def low_relevance_share(features: FloatArray, relevance: FloatArray, k: int) -> Float64Array:
    """Share of activation carried by the k neurons of smallest signed relevance, f(x), (n,), in [0, 1].

    ``f = Σ_{j∈L} |a_j| / Σ_j |a_j|``; 1 for a feature vector of zeros and for k ≥ d.

    Parameters
    ----------
    features, relevance : (n, d)
    """
    a = np.abs(np.asarray(features, np.float64))
    if k >= a.shape[1]:
        return np.ones(len(a))
    lowest: IntArray = np.argsort(relevance, axis=1, kind="stable")[:, :k]
    total = a.sum(axis=1)
    share: Float64Array = np.divide(
        np.take_along_axis(a, lowest, axis=1).sum(axis=1), total, out=np.ones(len(a)), where=total > 0
    )
    return share
