"""Our own detectors against their formulas, written out with loops, one image at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nero_core.detectors import ExplainedDetector, make_detector
from nero_core.records import Activations, Head
from tests.activations import make_activations


def percentile(values, p):
    ordered = sorted(values)
    place = (len(ordered) - 1) * p / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values):
    return percentile(values, 50)


def logsumexp(z):
    return max(z) + math.log(sum(math.exp(value - max(z)) for value in z))


def argmax(values):
    return max(range(len(values)), key=lambda i: values[i])


def argmin(values):
    return min(range(len(values)), key=lambda i: values[i])


def mean(rows):
    return np.array([sum(column) / len(rows) for column in zip(*rows, strict=True)])


def l1(values):
    return sum(abs(value) for value in values)


def l2(values):
    return math.sqrt(sum(value * value for value in values))


def unit(values):
    return np.array([value / l2(values) for value in values])


def rows_of(batch):
    """One small batch per image."""
    return [batch[i : i + 1] for i in range(len(batch))]


class Literal:
    """Slow twin: subclasses say `fit`, `score` and, where explained, `nearest` and `usual`."""

    def __init__(self, train, head, **parameters):
        self.W, self.b = head.weight.astype(float), head.bias.astype(float)
        self.K, self.d = self.W.shape
        self.a, self.labels = train.features.astype(float), train.labels
        self.z = train.logits.astype(float)
        self.of_class = [[i for i in range(len(train)) if train.labels[i] == c] for c in range(self.K)]
        self.usual = [mean([self.a[i] for i in rows]) for rows in self.of_class]
        self.fit(train, **parameters)

    def logits(self, a):
        return [sum(self.W[k, j] * a[j] for j in range(self.d)) + self.b[k] for k in range(self.K)]

    def of(self, image):
        return self.score(image.features[0].astype(float), image.logits[0].astype(float))

    def what_if(self, image, neurons):
        a, z = image.features[0].astype(float).copy(), image.logits[0].astype(float)
        c = self.nearest(a, z)
        for j in neurons:
            a[j] = self.usual[c][j]
        return self.score(a, self.logits(a))


class LiteralLine(Literal):
    def fit(self, train, clip=None, activation_percentile=10, weight_percentile=10):
        values = self.a.ravel().tolist()
        self.low, self.high = -math.inf, clip
        if clip is None:
            self.high = percentile(values, 90)
            if min(values) < 0:
                self.low, self.high = percentile(values, 5), percentile(values, 95)
        self.C = [[self.W[c, j] * self.usual[c][j] for j in range(self.d)] for c in range(self.K)]
        self.p_a, self.p_w = activation_percentile, weight_percentile

    def score(self, a, z):
        a = [min(max(value, self.low), self.high) for value in a]
        C = self.C[argmax(self.logits(a))]
        bound = percentile(C, self.p_a)
        product = [[abs(C[j]) * self.W[k, j] for j in range(self.d)] for k in range(self.K)]
        weight_bound = percentile([value for row in product for value in row], self.p_w)
        return -logsumexp(
            [
                sum(a[j] * self.W[k, j] for j in range(self.d) if C[j] > bound and product[k][j] > weight_bound)
                + self.b[k]
                for k in range(self.K)
            ]
        )


class LiteralNeco(Literal):
    def fit(self, train, components=100):
        self.g = mean(self.a)
        self.s = [math.sqrt(sum((row[j] - self.g[j]) ** 2 for row in self.a) / len(self.a)) for j in range(self.d)]
        _, _, axes = np.linalg.svd([self.standard(row) for row in self.a])
        self.axes = axes[:components]
        self.by_logit = train.peaks is None

    def standard(self, a):
        return [(a[j] - self.g[j]) / self.s[j] for j in range(self.d)]

    def inside(self, a):
        return [sum(axis[j] * self.standard(a)[j] for j in range(self.d)) for axis in self.axes]

    def score(self, a, z):
        return -l2(self.inside(a)) / l2(self.standard(a)) * (max(z) if self.by_logit else 1)

    def nearest(self, a, z):
        own = np.array(self.inside(a))
        return argmin([l2(own - np.array(self.inside(usual))) for usual in self.usual])


def covariance(rows, labels, means):
    width = len(rows[0])
    total = np.zeros((width, width))
    for row, label in zip(rows, labels, strict=True):
        total += np.outer(row - means[label], row - means[label])
    return total / len(rows)


class LiteralMahalanobisPP(Literal):
    def fit(self, train):
        self.mu = [mean([unit(self.a[i]) for i in rows]) for rows in self.of_class]
        self.inverse = np.linalg.inv(covariance([unit(a) for a in self.a], self.labels, self.mu))

    def distances(self, a):
        return [float((unit(a) - mu) @ self.inverse @ (unit(a) - mu)) for mu in self.mu]

    def score(self, a, z):
        return min(self.distances(a))

    def nearest(self, a, z):
        return argmin(self.distances(a))


class LiteralStageMahalanobis(Literal):
    def fit(self, train, stages=None):
        self.stages = list(train.stages)[:3] if stages is None else list(stages)
        u = [self.u(image) for image in rows_of(train)]
        w, n = len(u[0]), len(u)
        self.mu = [mean([u[i] for i in rows]) for rows in self.of_class]
        centre = mean(u)
        scale = np.array([math.sqrt(sum((row[i] - centre[i]) ** 2 for row in u) / n) for i in range(w)])
        x = [(row - self.mu[label]) / scale for row, label in zip(u, self.labels, strict=True)]
        # Ledoit and Wolf (2004), lemma 3.2–3.4: m, d², b̄².
        S = sum(np.outer(row, row) for row in x) / n
        m = np.trace(S) / w
        d2 = ((S - m * np.eye(w)) ** 2).sum() / w
        b2 = min(d2, sum(((np.outer(row, row) - S) ** 2).sum() for row in x) / n**2 / w)
        shrunk = b2 / d2 * m * np.eye(w) + (1 - b2 / d2) * S
        self.inverse = np.linalg.inv(np.outer(scale, scale) * shrunk)

    def u(self, image):
        return np.concatenate([unit(image.stages[name][0].astype(float)) for name in self.stages])

    def distances(self, u):
        return [float((u - mu) @ self.inverse @ (u - mu)) for mu in self.mu]

    def of(self, image):
        return min(self.distances(self.u(image)))

    def shares(self, image):
        """{(stage, channel): share}."""
        u = self.u(image)
        v = u - self.mu[argmin(self.distances(u))]
        shares, offset = {}, 0
        for name in self.stages:
            channels = image.stages[name].shape[1] // 2
            for channel in range(channels):
                both = [offset + channel, offset + channels + channel]
                shares[name, channel] = sum(v[i] * sum(self.inverse[i, j] * v[j] for j in range(len(v))) for i in both)
            offset += 2 * channels
        return shares

    def class_of(self, u):
        return argmin(self.distances(u))

    def what_if(self, image, neurons):
        u = self.u(image)
        usual = self.mu[self.class_of(u)]
        channels = image.stages[self.stages[0]].shape[1] // 2  # all stages of the made-up network are as wide
        for column in neurons:
            stage, channel = divmod(column, channels)
            for i in (2 * channels * stage + channel, 2 * channels * stage + channels + channel):
                u[i] = usual[i]
        return self.distance(u)

    def distance(self, u):
        return min(self.distances(u))


class LiteralStageKNN(LiteralStageMahalanobis):
    def fit(self, train, stages=None, k=1):
        self.stages, self.k = list(train.stages)[1:-1] if stages is None else list(stages), k
        u = [self.u(image) for image in rows_of(train)]
        self.mu = [mean([u[i] for i in rows]) for rows in self.of_class]
        self.bank = [each.astype(np.float32).astype(float) for each in u]

    def neighbour(self, u):
        """The k-th nearest training image: (distance, its position)."""
        u = u.astype(np.float32).astype(float)
        lengths = [math.sqrt(sum((a - b) ** 2 for a, b in zip(u, other, strict=True))) for other in self.bank]
        return sorted(zip(lengths, range(len(lengths)), strict=True))[self.k - 1]

    def class_of(self, u):
        return self.labels[self.neighbour(u)[1]]

    def distance(self, u):
        return self.neighbour(u)[0]

    def of(self, image):
        return self.distance(self.u(image))


class LiteralCARef(Literal):
    def fit(self, train):
        predicted = [argmax(z) for z in self.z]
        for c in range(self.K):
            if c in predicted:
                self.usual[c] = mean([a for a, p in zip(self.a, predicted, strict=True) if p == c])
        self.least = 0.01 * median([l1(a) for a in self.a])

    def nearest(self, a, z):
        return argmax(z)

    def score(self, a, z):
        return l1(a - self.usual[argmax(z)]) / max(l1(a), self.least)


class LiteralCADRef(LiteralCARef):
    def fit(self, train):
        super().fit(train)
        energies = [logsumexp(z) for z in self.z]
        self.least_energy = 0.01 * median([abs(e) for e in energies])
        self.mean_energy = mean([[max(e, self.least_energy)] for e in energies])[0]

    def score(self, a, z):
        c = argmax(z)
        e = [(a[j] - self.usual[c][j]) * np.sign(self.W[c, j]) for j in range(self.d)]
        size = max(l1(a), self.least)
        along, against = sum(max(v, 0) for v in e) / size, sum(max(-v, 0) for v in e) / size
        return along / max(logsumexp(z), self.least_energy) + against / self.mean_energy


class LiteralNcdd(Literal):
    def fit(self, train):
        self.g = mean(self.a)
        self.m = [unit(mean([self.a[i] - self.g for i in rows])) for rows in self.of_class]
        self.least = 0.01 * median([l1(a - self.g) for a in self.a])

    def distances(self, a):
        h = unit(a - self.g)
        return [sum((h[j] - m[j]) ** 2 for j in range(self.d)) for m in self.m]

    def nearest(self, a, z):
        return argmin(self.distances(a))

    def score(self, a, z):
        s = max(l1(a - self.g), self.least)
        d = sorted(self.distances(a))
        return -(math.log(s / 1e4) * sum(d[1:]) - math.log(s / 10) * d[0])


class LiteralItp(Literal):
    def fit(self, train, weight_percentile=30, deviations=1.5):
        cells = [(c, j) for c in range(self.K) for j in range(self.d)]
        C = {(c, j): [self.W[c, j] * self.a[i, j] for i in self.of_class[c]] for c, j in cells}
        self.mean = {cell: sum(C[cell]) / len(C[cell]) for cell in cells}
        self.std = {cell: math.sqrt(sum((v - self.mean[cell]) ** 2 for v in C[cell]) / len(C[cell])) for cell in cells}
        self.bound, self.deviations = percentile(list(self.mean.values()), weight_percentile), deviations

    def score(self, a, z):
        c = argmax(z)
        kept = [
            self.std[c, j] == 0 or (self.W[c, j] * a[j] - self.mean[c, j]) / self.std[c, j] <= self.deviations
            for j in range(self.d)
        ]
        return -logsumexp(
            [
                sum(self.W[k, j] * a[j] for j in range(self.d) if kept[j] and self.mean[k, j] > self.bound) + self.b[k]
                for k in range(self.K)
            ]
        )


class LiteralNap(Literal):
    def fit(self, train, weight=0.5, epsilon=1e-3):
        self.w, self.epsilon = weight, epsilon
        self.prior = median([self.N(image) for image in rows_of(train)])
        self.energy = median([logsumexp(z) for z in self.z])

    def N(self, image):
        a, peaks = image.features[0].astype(float), image.peaks[0].astype(float)
        return sum(peaks[j] / (a[j] + self.epsilon) for j in range(self.d))

    def of(self, image):
        E = max(logsumexp(image.logits[0].astype(float)), 1e-3 * self.energy) / self.energy
        return -(E**self.w * (self.N(image) / self.prior) ** (1 - self.w))


LITERAL = {
    "line": LiteralLine,
    "neco": LiteralNeco,
    "mahalanobis_pp": LiteralMahalanobisPP,
    "stage_knn": LiteralStageKNN,
    "stage_mahalanobis": LiteralStageMahalanobis,
    "caref": LiteralCARef,
    "cadref": LiteralCADRef,
    "ncdd": LiteralNcdd,
    "itp": LiteralItp,
    "nap": LiteralNap,
}
CASES = [(name, {}) for name in LITERAL] + [
    ("line", {"clip": 0.8, "activation_percentile": 50, "weight_percentile": 90}),
    ("neco", {"components": 4}),
    ("stage_knn", {"stages": ("layer3", "layer2"), "k": 4}),
    ("stage_mahalanobis", {"stages": ("layer3", "layer2")}),
    ("itp", {"weight_percentile": 60, "deviations": 0.5}),
    ("nap", {"weight": 0.2, "epsilon": 0.1}),
]
EXPLAINED = [(name, p) for name, p in CASES if issubclass(type(make_detector(name)), ExplainedDetector)]


@pytest.fixture(scope="module")
def data():
    """A training set whose classes the head tells apart, usual images and far ones; stages all of one's own."""
    _, trained = make_activations(n=60, d=12, K=3, seed=0, trained=True)
    # What all classes have in common is taken from the head, so that it has weights of both signs.
    head = Head(trained.weight - trained.weight.mean(axis=0), trained.bias - trained.bias.mean())
    rng = np.random.default_rng(7)

    def images(n, seed, far=0):
        batch, _ = make_activations(n=n, d=12, K=3, seed=seed, far=far)
        logits = (batch.features.astype(np.float64) @ head.weight.T + head.bias).astype(np.float32)
        stages = {
            f"layer{s}": np.abs(rng.normal(1 + batch.labels[:, None], 0.3, size=(n, 8))).astype(np.float32)
            for s in (1, 2, 3, 4)
        }
        return Activations(batch.features, logits, batch.labels, batch.peaks, stages)

    return images(60, 0), head, [images(9, 1 + far, far) for far in (0, 1, 3)]


@pytest.mark.parametrize(("name", "parameters"), CASES, ids=str)
def test_scores_equal_the_formula(data, name, parameters):
    train, head, tests = data
    fitted, literal = make_detector(name, **parameters).fit(train, head), LITERAL[name](train, head, **parameters)
    for batch in tests:
        np.testing.assert_allclose(fitted.score(batch), [literal.of(i) for i in rows_of(batch)], rtol=1e-8)


@pytest.mark.parametrize(("name", "parameters"), [("line", {}), ("neco", {"components": 4})], ids=str)
def test_networks_without_a_pooled_map(data, name, parameters):
    """Features of both signs are clipped from both sides; NECO multiplies by the largest logit."""
    train, head, tests = data

    def bare(batch):
        a = batch.features - 1
        return Activations(a, a.astype(float) @ head.weight.T + head.bias, batch.labels)

    fitted = make_detector(name, **parameters).fit(bare(train), head)
    literal = LITERAL[name](bare(train), head, **parameters)
    for batch in map(bare, tests):
        np.testing.assert_allclose(fitted.score(batch), [literal.of(i) for i in rows_of(batch)], rtol=1e-8)


@pytest.mark.parametrize(("name", "parameters"), EXPLAINED, ids=str)
def test_the_account_adds_up(data, name, parameters):
    train, head, tests = data
    fitted = make_detector(name, **parameters).fit(train, head)
    for batch in tests:
        np.testing.assert_allclose(fitted.account(batch).score, fitted.score(batch), rtol=1e-9)


@pytest.mark.parametrize(("name", "parameters"), EXPLAINED, ids=str)
def test_the_nearest_class_is_that_of_the_formula(data, name, parameters):
    train, head, tests = data
    fitted, literal = make_detector(name, **parameters).fit(train, head), LITERAL[name](train, head, **parameters)
    for batch in tests:
        if hasattr(literal, "class_of"):
            wanted = [literal.class_of(literal.u(i)) for i in rows_of(batch)]
        else:
            wanted = [literal.nearest(i.features[0].astype(float), i.logits[0].astype(float)) for i in rows_of(batch)]
        np.testing.assert_array_equal(fitted.account(batch).nearest, wanted)


@pytest.mark.parametrize(("name", "parameters"), EXPLAINED, ids=str)
@pytest.mark.parametrize("neurons", [[0], [7, 2, 5], []], ids=str)
def test_what_if_equals_the_formula(data, name, parameters, neurons):
    train, head, tests = data
    fitted, literal = make_detector(name, **parameters).fit(train, head), LITERAL[name](train, head, **parameters)
    for batch in tests:
        wanted = [literal.what_if(image, neurons) for image in rows_of(batch)]
        # Nothing chosen leaves the logits as the float32 network gave them or as float64 recomputes them.
        np.testing.assert_allclose(fitted.what_if(batch, neurons), wanted, rtol=1e-8)


def test_a_channel_of_a_stage_has_the_share_of_its_mean_and_its_deviation(data):
    train, head, tests = data
    fitted, literal = make_detector("stage_mahalanobis").fit(train, head), LiteralStageMahalanobis(train, head)
    account = fitted.account(tests[1])
    assert [str(neuron) for neuron in account.neurons[3:5]] == ["layer1 · 3", "layer2 · 0"]
    for row, image in zip(account.contributions, rows_of(tests[1]), strict=True):
        shares = literal.shares(image)
        assert list(shares) == [tuple(neuron) for neuron in account.neurons]
        np.testing.assert_allclose(row, list(shares.values()), rtol=1e-7, atol=1e-9)


def test_the_nearest_stages_by_hand():
    """One stage of one channel: u = [mean, deviation] / length. (3, 4) → (0.6, 0.8) lies 0.2 √2 from (0.8, 0.6)."""
    head = Head(np.eye(2, dtype=np.float32), np.zeros(2, np.float32))

    def activations(*statistics):
        n = len(statistics)
        stages = {"layer1": np.array(statistics, np.float32)}
        return Activations(
            np.eye(2, dtype=np.float32)[:n], np.eye(2, dtype=np.float32)[:n], np.arange(n), stages=stages
        )

    fitted = make_detector("stage_knn").fit(activations([8.0, 6.0], [0.0, 1.0]), head)
    batch = activations([3.0, 4.0])
    np.testing.assert_allclose(fitted.score(batch), [0.2 * math.sqrt(2)], rtol=1e-6)
    np.testing.assert_allclose(fitted.account(batch).contributions, [[0.2 * math.sqrt(2)]], rtol=1e-6)
    assert fitted.account(batch).nearest == [0]
    np.testing.assert_array_equal(fitted.score(activations([8.0, 6.0], [0.0, 1.0])), [0, 0])
