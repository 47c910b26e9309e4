"""The network of three neurons: by hand, by a literal twin, and what must hold or break."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nero_core.errors import InputError
from nero_core.lesson.small_network import MOST, SmallNetwork, holds, work_out


def literally(network, epsilon):
    """NERO, equation 1, one number after another; r of three neurons and of the bias."""
    z = [sum(a * w for a, w in zip(network.activations, row, strict=True)) + b
         for row, b in zip(network.weights, network.biases, strict=True)]  # fmt: skip
    whole = sum(math.exp(value) for value in z)
    p = [math.exp(value) / whole for value in z]
    divided = [value + (epsilon if value >= 0 else -epsilon) for value in z]
    r = [sum(p[k] * network.activations[j] * network.weights[k][j] / divided[k] for k in range(2)) for j in range(3)]
    return r, sum(p[k] * network.biases[k] / divided[k] for k in range(2))


def networks(count=20):
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield SmallNetwork(
            tuple(rng.uniform(0, 3, 3)), tuple(map(tuple, rng.normal(0, 2, (2, 3)))), tuple(rng.normal(0, 1, 2))
        )


def test_an_example_that_a_person_can_check():
    # z = (1·1 + 1·1 + 0, 0 + 0 + 2) = (2, 2), so p = (½, ½): r1 = ½·1·1/2 = ¼, r2 = ¼, r3 = 0, and r_β = ½·2/2 = ½.
    found = work_out(SmallNetwork((1.0, 1.0, 0.0), ((1.0, 1.0, 5.0), (0.0, 0.0, 5.0)), (0.0, 2.0)))
    assert found.logits.tolist() == [2, 2]
    assert found.probabilities.tolist() == [0.5, 0.5]
    assert found.relevance.tolist() == [0.25, 0.25, 0]
    assert found.bias_relevance == 0.5
    assert found.total == 1


@pytest.mark.parametrize("epsilon", [0.0, 0.01, 0.7])
def test_the_literal_twin_agrees(epsilon):
    for network in networks():
        found, (r, r_bias) = work_out(network, epsilon), literally(network, epsilon)
        np.testing.assert_allclose(found.relevance, r, rtol=1e-10)
        assert found.bias_relevance == pytest.approx(r_bias, rel=1e-10)


def test_the_terms_add_up_to_the_relevance():
    for network in networks():
        found = work_out(network, 0.1)
        np.testing.assert_allclose(found.terms.sum(axis=0), found.relevance, rtol=1e-10)
        assert found.bias_terms.sum() == pytest.approx(found.bias_relevance, rel=1e-10)


def test_the_sum_holds_without_epsilon_and_breaks_with_it():
    for network in networks():
        assert holds(work_out(network).total)
        assert not holds(work_out(network, 0.1).total)


def test_numbers_of_ones_own_break_the_sum():
    found = work_out(SmallNetwork())
    assert holds(found.total_with(found.relevance.tolist()))
    assert not holds(found.total_with([0.1, 0.1, 0.1]))


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (SmallNetwork(activations=(1.0, 2.0)), "activations"),
        (SmallNetwork(activations=(1.0, -1.0, 0.0)), "activations"),
        (SmallNetwork(activations=(1.0, None, 0.0)), "activations"),
        (SmallNetwork(weights=((1.0, 2.0, float("nan")), (0.0, 1.0, 1.0))), "weights"),
        (SmallNetwork(biases=(MOST * 2, 0.0)), "biases"),
        (SmallNetwork((0.0, 0.0, 0.0), ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0)), (0.0, 1.0)), "logit of class 1 is 0"),
    ],
)
def test_what_cannot_be_is_refused(network, said):
    with pytest.raises(InputError, match=said):
        work_out(network)


def test_what_was_seen_is_said_without_its_type():
    with pytest.raises(
        InputError, match="The activations are –, 1, 3; wanted 3 numbers from 0 to 10, one in every cell"
    ):
        work_out(SmallNetwork(activations=(float("nan"), 1.0, 3.0)))


def test_no_zero_has_a_sign():
    found = work_out(SmallNetwork((0.0, 1.0, 1.0), ((-1.0, -1.0, 2.0), (-1.0, 0.0, 1.0)), (1.0, 1.0)))
    assert not np.signbit(found.terms[found.terms == 0]).any()
    assert not np.signbit(found.relevance[found.relevance == 0]).any()
