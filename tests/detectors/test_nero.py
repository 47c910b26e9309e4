"""The NERO detector against section 2 of the method, written out with loops and scikit-learn's full PCA."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from nero_core.detectors import make_detector
from nero_core.detectors import nero as nero_module
from nero_core.errors import InputError
from nero_core.explanation import explain
from nero_core.records import Activations, Head
from tests.activations import make_activations
from tests.test_relevance import literal_relevance


class LiteralNero:
    """Slow twin: every sum is a loop over images, neurons or classes."""

    def __init__(self, train, head, epsilon, k, m):
        W, b = head.weight.astype(float), head.bias.astype(float)
        self.W, self.b, self.epsilon, self.k = W, b, epsilon, k
        pairs = [literal_relevance(a, W, b, epsilon) for a in train.features.astype(float)]
        r = np.array([pair[0] for pair in pairs])
        joined = np.array([[*pair[0], pair[1]] for pair in pairs])
        self.pca = PCA(n_components=m, svd_solver="full").fit(r)
        K = len(W)
        self.class_means = [np.mean([r[i] for i in range(len(r)) if train.labels[i] == c], axis=0) for c in range(K)]
        self.mu = [
            np.mean([self.pca.transform(r[i : i + 1])[0] for i in range(len(r)) if train.labels[i] == c], axis=0)
            for c in range(K)
        ]
        rho = [np.mean([joined[i] for i in range(len(r)) if train.labels[i] == c], axis=0) for c in range(K)]
        nearest = [min(np.abs(row - rho[c]).sum() for c in range(K)) for row in joined]
        self.bias_scale = np.mean(nearest) / np.mean([abs(row[-1]) for row in joined])

    def terms(self, a, r=None):
        r_own, r_bias = literal_relevance(a, self.W, self.b, self.epsilon)
        r = np.array(r_own if r is None else r)
        projected = self.pca.transform(r[None])[0]
        distances = [np.abs(projected - mu).sum() for mu in self.mu]
        c = int(np.argmin(distances))
        low = sorted(range(len(a)), key=lambda j: r[j])[: self.k]
        f = sum(abs(a[j]) for j in low) / sum(abs(v) for v in a)
        D, B = distances[c], self.bias_scale * abs(r_bias)
        return c, D, B, f, (D + B) * f

    def what_if(self, a, neurons):
        r = np.array(literal_relevance(a, self.W, self.b, self.epsilon)[0])
        c = self.terms(a)[0]
        for j in neurons:
            r[j] = self.class_means[c][j]
        return self.terms(a, r)[4]


@pytest.fixture(scope="module")
def data():
    return make_activations(n=60, d=12, K=3, seed=0), make_activations(n=20, d=12, K=3, seed=1, far=2.0)


@pytest.mark.parametrize("epsilon", [0.01, 0.0])
def test_equals_the_definition(data, epsilon):
    (train, head), (test, _) = data
    detector = make_detector("nero", epsilon=epsilon, k=5).fit(train, head)
    literal = LiteralNero(train, head, epsilon, k=5, m=8)
    terms = detector.terms(test)
    for i, a in enumerate(test.features.astype(float)):
        c, D, B, f, S = literal.terms(a)
        assert terms.nearest[i] == c
        np.testing.assert_allclose(
            [terms.distance[i], terms.bias_term[i], terms.low_share[i], terms.score[i]], [D, B, f, S], rtol=1e-8
        )
    np.testing.assert_array_equal(detector.score(test), terms.score)


def test_chunks_do_not_change_the_fit(data, monkeypatch):
    (train, head), (test, _) = data
    whole = make_detector("nero", k=5).fit(train, head).score(test)
    monkeypatch.setattr(nero_module, "CHUNK_ROWS", 7)
    np.testing.assert_allclose(make_detector("nero", k=5).fit(train, head).score(test), whole, rtol=1e-9)


def test_contributions_add_up_to_the_distance(data):
    (train, head), (test, _) = data
    detector = make_detector("nero", k=5).fit(train, head)
    contributions = detector.account(test).contributions
    assert contributions.shape == test.features.shape
    np.testing.assert_allclose(contributions.sum(axis=1), detector.terms(test).distance, rtol=1e-9)
    assert (contributions < 0).any()
    assert (contributions > 0).any()


def test_the_account_adds_up_to_the_score(data):
    (train, head), (test, _) = data
    detector = make_detector("nero", k=5).fit(train, head)
    for e, score in zip(explain(detector, test, ["a", "b", "c"]), detector.score(test), strict=True):
        f = e.low_relevance_share
        assert f * e.contributions.sum() + f * e.bias_term == pytest.approx(score, rel=1e-9)
        assert e.score == score
        assert e.nearest_class in "abc"


def test_what_if_is_a_full_rescore(data):
    (train, head), (test, _) = data
    detector = make_detector("nero", k=5).fit(train, head)
    literal = LiteralNero(train, head, 0.01, k=5, m=8)
    naive = []
    for e, a in zip(explain(detector, test, ["a", "b", "c"]), test.features.astype(float), strict=True):
        chosen = [neuron for neuron, _ in e.top(3)]
        assert e.what_if(chosen) == pytest.approx(literal.what_if(a, chosen), rel=1e-8)
        assert e.what_if([]) == pytest.approx(e.score, rel=1e-12)
        left = e.distance - e.contributions[chosen].sum()
        naive.append((left + e.bias_term) * e.low_relevance_share == pytest.approx(e.what_if(chosen), rel=1e-3))
    assert not all(naive), "taking contributions away from D is not a what-if"


def test_top_neurons_and_bad_what_ifs(data):
    (train, head), (test, _) = data
    e = explain(make_detector("nero", k=5).fit(train, head), test, ["a", "b", "c"])[0]
    sizes = [abs(value) for _, value in e.top(12)]
    assert sizes == sorted(sizes, reverse=True)
    assert [neuron for neuron, _ in e.top(3, by="relevance")] == list(np.argsort(-np.abs(e.relevance))[:3])
    with pytest.raises(InputError, match="Neuron 12 does not exist"):
        e.what_if([12])
    with pytest.raises(InputError, match="Neuron -1"):
        e.what_if([-1])


def test_paper_mode_conserves_relevance(data):
    (train, head), (test, _) = data
    for e in explain(make_detector("nero", epsilon=0.0, k=5).fit(train, head), test, ["a", "b", "c"]):
        assert e.conservation_error < 1e-9


def test_order_of_training_images_and_split_of_batches_do_not_matter(data):
    (train, head), (test, _) = data
    scores = make_detector("nero", k=5).fit(train, head).score(test)
    shuffled = np.random.default_rng(0).permutation(len(train))
    other = make_detector("nero", k=5).fit(train[shuffled], head)
    np.testing.assert_allclose(other.score(test), scores, rtol=1e-7)
    one_by_one = [other.score(test[[i]])[0] for i in range(len(test))]
    np.testing.assert_allclose(one_by_one, other.score(test), rtol=1e-9)


def test_k_as_a_share_of_neurons(data):
    (train, head), (test, _) = data
    np.testing.assert_array_equal(
        make_detector("nero", k=0.5).fit(train, head).score(test),
        make_detector("nero", k=6).fit(train, head).score(test),
    )


@pytest.mark.parametrize("k", [0, -1, np.nan, 1.5, True])
def test_a_bad_k_is_refused(data, k):
    (train, head), _ = data
    with pytest.raises(InputError, match="`k`"):
        make_detector("nero", k=k).fit(train, head)


@pytest.mark.parametrize("m", [0, -3, 2.5])
def test_a_bad_m_is_refused(data, m):
    (train, head), _ = data
    with pytest.raises(InputError, match="`m`"):
        make_detector("nero", m=m).fit(train, head)


@pytest.mark.parametrize(
    ("n", "d", "K"), [(2, 12, 2), (3, 12, 3), (1, 6, 1), (9, 6, 1), (5, 40, 2)], ids=lambda v: str(v)
)
def test_small_sets_give_defined_scores(n, d, K):
    train, head = make_activations(n=n, d=d, K=K, seed=2)
    test, _ = make_activations(n=8, d=d, K=K, seed=3)
    detector = make_detector("nero", k=3).fit(train, head)
    assert len(detector.components_) == min(int(d * 2 / 3), n, d)
    assert np.isfinite(detector.score(test)).all()
    np.testing.assert_allclose(
        detector.account(test).contributions.sum(axis=1), detector.terms(test).distance, rtol=1e-9
    )


def test_constant_neurons_and_zero_features_give_defined_scores():
    train, head = make_activations(n=30, d=8, K=2, seed=4)
    features = train.features.copy()
    features[:, [1, 5]] = 0.0
    weight, bias = head.weight, np.array([0.5, -0.25], np.float32)
    train = Activations(features, features @ weight.T + bias, labels=train.labels)
    zeros = np.zeros((2, 8), np.float32)
    scores = (
        make_detector("nero", k=3).fit(train, Head(weight, bias)).score(Activations(zeros, zeros @ weight.T + bias))
    )
    assert np.isfinite(scores).all()


def test_a_head_without_bias_has_no_bias_term():
    train, head = make_activations(n=30, d=8, K=2, seed=4)
    head = Head(head.weight, np.zeros(2, np.float32))
    train = Activations(train.features, train.features @ head.weight.T, labels=train.labels)
    terms = make_detector("nero", k=3).fit(train, head).terms(train)
    np.testing.assert_array_equal(terms.bias_term, 0.0)
    assert np.isfinite(terms.score).all()
