"""Our own detectors on integers small enough to check by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nero_core.detectors import make_detector
from nero_core.records import Activations, Head


def head_of(*weight, bias=None):
    return Head(np.array(weight, float), np.zeros(len(weight)) if bias is None else np.array(bias, float))


def images(head, features, labels=None, **rest):
    a = np.array(features, float)
    return Activations(a, a @ head.weight.T + head.bias, None if labels is None else np.array(labels), **rest)


def test_line():
    # C = [[4, 0], [0, 8]]: class 0 keeps neuron 0 and the weight from it to class 0; δ = 3 turns 5 into 3.
    head = head_of([1, 0], [0, 2])
    line = make_detector("line", clip=3).fit(images(head, [[4, 0], [0, 4]], [0, 1]), head)
    np.testing.assert_allclose(line.score(images(head, [[5, 1]])), -math.log(math.exp(3) + 1))


@pytest.mark.parametrize("pooled", [True, False])
def test_neco(pooled):
    # Both neurons always agree: one component, (1, 1)/√2. ã = (3, 4): P ã = (3.5, 3.5), of length 3.5·√2; ‖ã‖ = 5.
    head = head_of([1, 1], [0, 2])
    peaks = {"peaks": np.ones((4, 2))} if pooled else {}
    train = images(head, [[1, 1], [-1, -1], [1, 1], [-1, -1]], [0, 1, 0, 1], **peaks)
    neco = make_detector("neco").fit(train, head)
    at = images(head, [[3, 4]])  # logits 7 and 8
    np.testing.assert_allclose(neco.score(at), -0.7 * math.sqrt(2) * (1 if pooled else 8))
    account = neco.account(at)
    np.testing.assert_allclose(
        account.contributions, [[-3 * 3.5 / 17.5 / math.sqrt(2), -4 * 3.5 / 17.5 / math.sqrt(2)]]
    )
    np.testing.assert_allclose(account.factor, 1 if pooled else 8)
    assert account.nearest == [0]


def test_mahalanobis_pp():
    # On the unit circle: mean 0 and Σ = I/2, so every direction is √2 away; (3, 4) is (0.6, 0.8).
    head = head_of([1, 0])
    train = images(head, [[2, 0], [0, 5], [-1, 0], [0, -9]], [0, 0, 0, 0])
    plus = make_detector("mahalanobis_pp").fit(train, head)
    at = images(head, [[3, 4], [0, 0]])
    np.testing.assert_allclose(plus.score(at), [2, 0], atol=1e-15)
    np.testing.assert_allclose(plus.account(at).contributions, [[0.72, 1.28], [0, 0]], atol=1e-15)
    # (0, 4) is (0, 1).
    np.testing.assert_allclose(plus.what_if(at[:1], [0]), [2])


def test_stage_mahalanobis():
    # One channel, u = [mean, deviation] of (1, 0) and (0, 1): σ = ½, standardised ±(1, −1), Σ = [[1, −1], [−1, 1]].
    # Both images say the same of it, so nothing is shrunk, and Σ⁺ = Σ/4: (x₁ − x₂)²/4 of the standardised departure.
    head = head_of([1])
    stages = {"stage": np.array([[3.0, 0], [0, 2]])}
    stage = make_detector("stage_mahalanobis").fit(images(head, [[1], [2]], [0, 0], stages=stages), head)
    at = images(head, [[1], [2], [3]], stages={"stage": np.array([[5.0, 0], [3, 4], [0, 0]])})
    np.testing.assert_allclose(stage.score(at), [1, 0.04, 0], atol=1e-15)
    assert stage.account(at).contributions.shape == (3, 1)
    np.testing.assert_allclose(stage.what_if(at, [0]), [0, 0, 0], atol=1e-15)


def test_caref_and_cadref():
    # One class: μ = (3, 3). At (1, 5): errors 2 and 2 of 6; both against the weights' signs, mean logit 10.
    # At (5, 1): errors 2 and 2 of 6, both along the weights' signs, logit 14.
    head = head_of([1, -1], bias=[10])
    train = images(head, [[2, 2], [4, 4]], [0, 0])
    at = images(head, [[1, 5], [5, 1]])
    np.testing.assert_allclose(make_detector("caref").fit(train, head).score(at), [4 / 6, 4 / 6])
    np.testing.assert_allclose(make_detector("cadref").fit(train, head).score(at), [4 / 6 / 10, 4 / 6 / 14])
    np.testing.assert_allclose(make_detector("caref").fit(train, head).what_if(at, [0]), [2 / 8, 2 / 4])


def test_caref_takes_the_mean_of_what_was_predicted():
    # (9, 0) of class 1 is predicted 0: μ_0 = mean of (1, 0) and (9, 0). Nothing is predicted 2: its mean is by label.
    head = head_of([1, 0], [0, 1], [0, 0], bias=[0, 0, -1])
    train = images(head, [[1, 0], [9, 0], [0, 6], [0, 2]], [0, 1, 1, 2])
    caref = make_detector("caref").fit(train, head)
    np.testing.assert_allclose(caref.class_means_, [[5, 0], [0, 4], [0, 2]])


def test_ncdd():
    # g = (2, 2), m = ±(1, −1)/√2; (12, −8) lies in the direction of class 0 with s = 20: distances 0 and 4.
    head = head_of([1, 0], [0, 1])
    ncdd = make_detector("ncdd").fit(images(head, [[3, 1], [1, 3]], [0, 1]), head)
    np.testing.assert_allclose(ncdd.score(images(head, [[12, -8]])), 4 * math.log(500))


def test_itp():
    # mean C = [[2, 0], [0, 3]], 30th percentile 0: the two weights of 1 are kept. At 3, neuron 0 is one deviation
    # above its mean in class 0 and kept; at 4 it is two above, and dropped.
    head = head_of([1, 0], [0, 1])
    itp = make_detector("itp").fit(images(head, [[1, 0], [3, 0], [0, 2], [0, 4]], [0, 0, 1, 1]), head)
    np.testing.assert_allclose(itp.score(images(head, [[3, 0], [4, 0]])), [-math.log(math.exp(3) + 1), -math.log(2)])


def test_itp_keeps_a_neuron_that_is_constant_in_its_class():
    head = head_of([1, 1], [0, 1])
    itp = make_detector("itp").fit(images(head, [[1, 5], [3, 5], [0, 2], [0, 4]], [0, 0, 1, 1]), head)
    np.testing.assert_allclose(itp.score(images(head, [[3, 9]])), -math.log(math.exp(12) + math.exp(9)))


def test_nap():
    # N = 4/2 + 8/4 = 4 and E = 4 in training; (1, 0) with peaks (2, 0) has N = 1 and E = 1.
    head = head_of([1, 1])
    nap = make_detector("nap", epsilon=1).fit(images(head, [[1, 3]], [0], peaks=np.array([[4.0, 8]])), head)
    at = images(head, [[3, 1], [1, 0]], peaks=np.array([[8.0, 4], [2, 0]]))
    np.testing.assert_allclose(nap.score(at), [-1, -1 / 4])
