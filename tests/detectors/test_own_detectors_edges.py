"""Our own detectors where formulas end: one class, no spread, zeros, bad parameters; and what must not matter."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from nero_core.detectors import ExplainedDetector, make_detector
from nero_core.errors import InputError
from nero_core.records import Activations, Head, Neuron
from nero_core.storage.files import read_arrays, write_arrays
from tests.activations import make_activations

NAMES = ("line", "neco", "mahalanobis_pp", "stage_mahalanobis", "caref", "cadref", "ncdd", "itp", "nap")


def with_features(batch, head, features, stages=None):
    features = np.asarray(features, np.float32)
    logits = (features.astype(float) @ head.weight.T.astype(float) + head.bias).astype(np.float32)
    return Activations(features, logits, batch.labels, features * 2, batch.stages if stages is None else stages)


def made(**options):
    """Activations whose stages have nothing to do with one another, as `make_activations` gives them otherwise."""
    batch, head = make_activations(trained=True, **options)
    rng = np.random.default_rng(options.get("seed", 0) + 100)
    stages = {
        f"layer{s}": np.abs(rng.normal(1 + batch.labels[:, None], 0.3, (len(batch), 8))).astype(np.float32)
        for s in (1, 2, 3)
    }
    return Activations(batch.features, batch.logits, batch.labels, batch.peaks, stages), head


def one_class():
    return made(n=20, d=6, K=1, seed=0), made(n=8, d=6, K=1, seed=1)[0]


def two_classes():
    return made(n=20, d=6, K=2, seed=0), made(n=8, d=6, K=2, seed=1)[0]


def zeros_to_score():
    (train, head), test = made(n=30, d=6, seed=0), made(n=4, d=6, seed=1)[0]
    stages = {name: values * 0 for name, values in test.stages.items()}
    return (train, head), with_features(test, head, test.features * 0, stages)


def zeros_to_learn():
    (train, head), test = made(n=30, d=6, seed=0), made(n=4, d=6, seed=1)[0]
    stages = {name: values * 0 for name, values in train.stages.items()}
    return (with_features(train, head, train.features * 0, stages), head), test


def constant_neuron():
    (train, head), test = made(n=30, d=6, seed=0), made(n=8, d=6, seed=1)[0]
    fixed = train.features.copy()
    fixed[:, 2] = 0.1
    stages = {name: values.copy() for name, values in train.stages.items()}
    stages["layer2"][:, [1, 5]] = 0
    return (with_features(train, head, fixed, stages), head), test


def singular():
    """Three neurons that say the same."""
    (train, head), test = made(n=30, d=6, seed=0), made(n=8, d=6, seed=1)[0]
    same = train.features.copy()
    same[:, 1] = same[:, 0]
    same[:, 2] = 2 * same[:, 0]
    stages = dict(train.stages) | {"layer2": train.stages["layer1"], "layer3": train.stages["layer1"] * 4}
    return (with_features(train, head, same, stages), head), test


def fewer_images_than_neurons():
    return made(n=9, d=40, seed=0), made(n=8, d=40, seed=1)[0]


def one_image_in_a_class():
    train, head = made(n=30, d=6, seed=0)
    return (train[(train.labels != 2) | (np.arange(30) == 2)], head), made(n=8, d=6, seed=1)[0]


def one_image_per_class():
    train, head = made(n=3, d=6, seed=0)
    return (train, head), made(n=8, d=6, seed=1)[0]


def one_neuron():
    return made(n=30, d=1, seed=0), made(n=8, d=1, seed=1)[0]


EDGES = (
    one_class,
    two_classes,
    zeros_to_score,
    zeros_to_learn,
    constant_neuron,
    singular,
    fewer_images_than_neurons,
    one_image_in_a_class,
    one_image_per_class,
    one_neuron,
)
NO_SPREAD = "in units of the spread inside the classes"
REFUSALS = {
    ("ncdd", "one_class"): "wanted at least 2 classes, got 1",
    ("mahalanobis_pp", "zeros_to_learn"): NO_SPREAD,
    ("stage_mahalanobis", "zeros_to_learn"): NO_SPREAD,
    ("caref", "zeros_to_learn"): "size of the feature vector, which is 0",
    ("cadref", "zeros_to_learn"): "size of the feature vector, which is 0",
    ("ncdd", "zeros_to_learn"): "distance from the mean, which is 0",
    ("nap", "zeros_to_learn"): r"peaks over means is 0 on the 30 training images",
    ("mahalanobis_pp", "one_image_per_class"): NO_SPREAD,
    ("stage_mahalanobis", "one_image_per_class"): NO_SPREAD,
    ("mahalanobis_pp", "one_neuron"): NO_SPREAD,  # every positive number is 1 on the unit sphere
}


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_every_edge_is_scored_or_refused_in_words(name, edge, tmp_path):
    (train, head), test = edge()
    detector = make_detector(name)
    if (name, edge.__name__) in REFUSALS:
        with pytest.raises(InputError, match=REFUSALS[name, edge.__name__]):
            detector.fit(train, head)
        return
    scores = detector.fit(train, head).score(test)  # `score` itself refuses what is not finite
    arrays = detector.fitted_arrays()
    assert not any(np.isnan(array).any() for array in arrays.values())
    write_arrays(tmp_path / "fitted.safetensors", arrays)
    restored = make_detector(name).restore(read_arrays(tmp_path / "fitted.safetensors")[0], head)
    np.testing.assert_array_equal(restored.score(test), scores)
    if isinstance(detector, ExplainedDetector):
        account = detector.account(test)
        np.testing.assert_allclose(account.score, scores, rtol=1e-9, atol=1e-12)
        assert np.isfinite(account.contributions).all()
        assert np.isfinite(detector.what_if(test, range(account.contributions.shape[1]))).all()


@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_double_precision_give_the_same_scores(name):
    (train, head), test = made(n=60, d=12, seed=0), made(n=20, d=12, seed=1)[0]

    def double(batch):
        stages = {key: values.astype(np.float64) for key, values in batch.stages.items()}
        return Activations(*(x.astype(np.float64) for x in (batch.features, batch.logits)), batch.labels,
                           batch.peaks.astype(np.float64), stages)  # fmt: skip

    again = make_detector(name).fit(double(train), Head(head.weight.astype(float), head.bias.astype(float)))
    np.testing.assert_array_equal(again.score(double(test)), make_detector(name).fit(train, head).score(test))


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_training_images_does_not_matter(name):
    (train, head), test = made(n=60, d=12, seed=0), made(n=20, d=12, seed=1)[0]
    shuffled = train[np.random.default_rng(3).permutation(60)]
    np.testing.assert_allclose(
        make_detector(name).fit(shuffled, head).score(test), make_detector(name).fit(train, head).score(test), rtol=1e-9
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_neurons_and_classes_does_not_matter(name):
    (train, head), test = made(n=60, d=12, seed=0), made(n=20, d=12, seed=1)[0]
    rng = np.random.default_rng(4)
    neurons, classes, channels = rng.permutation(12), rng.permutation(3), rng.permutation(4)
    columns = np.r_[channels, channels + 4]

    def turned(batch):
        stages = {key: values[:, columns] for key, values in batch.stages.items()}
        labels = np.argsort(classes)[batch.labels]
        return Activations(
            batch.features[:, neurons], batch.logits[:, classes], labels, batch.peaks[:, neurons], stages
        )

    plain = make_detector(name).fit(train, head)
    other = make_detector(name).fit(turned(train), Head(head.weight[classes][:, neurons], head.bias[classes]))
    np.testing.assert_allclose(other.score(turned(test)), plain.score(test), rtol=1e-8)
    if isinstance(plain, ExplainedDetector):
        order = np.r_[channels, channels + 4, channels + 8] if name == "stage_mahalanobis" else neurons
        np.testing.assert_allclose(
            other.account(turned(test)).contributions, plain.account(test).contributions[:, order], rtol=1e-6, atol=1e-9
        )
        np.testing.assert_array_equal(classes[other.account(turned(test)).nearest], plain.account(test).nearest)


@pytest.mark.parametrize("name", ["neco", "mahalanobis_pp", "stage_mahalanobis"])
def test_the_unit_of_the_activations_does_not_matter(name):
    (train, head), test = made(n=60, d=12, seed=0), made(n=20, d=12, seed=1)[0]

    def scaled(batch):
        return with_features(batch, head, batch.features * 8, {k: v * 8 for k, v in batch.stages.items()})

    again = make_detector(name).fit(scaled(train), head).score(scaled(test))
    np.testing.assert_allclose(again, make_detector(name).fit(train, head).score(test), rtol=1e-9)


@pytest.mark.parametrize("name", ["caref", "cadref", "stage_mahalanobis"])
def test_with_every_neuron_as_usual_no_distance_is_left(name):
    (train, head), test = made(n=60, d=12, seed=0), made(n=20, d=12, seed=1)[0]
    detector = make_detector(name).fit(train, head)
    count = detector.account(test).contributions.shape[1]
    np.testing.assert_allclose(detector.what_if(test, range(count)), 0, atol=1e-12)


def test_zeros_have_the_scores_that_are_promised():
    (train, head), test = zeros_to_score()
    plus = make_detector("mahalanobis_pp").fit(train, head)
    W, mu = plus.whitening_, plus.class_means_
    np.testing.assert_allclose(plus.score(test), ((mu @ W) ** 2).sum(axis=1).min())
    caref = make_detector("caref").fit(train, head)
    floor = np.median(np.abs(train.features.astype(float)).sum(axis=1)) / 100
    predicted = head.bias.argmax()
    np.testing.assert_allclose(caref.score(test), np.abs(caref.class_means_[predicted]).sum() / floor)
    neco = make_detector("neco", components=2).fit(train, head)
    at_the_mean = Activations(neco.mean_[None], test.logits[:1], peaks=test.peaks[:1])
    np.testing.assert_array_equal(neco.score(at_the_mean), [-1])
    np.testing.assert_allclose(neco.account(at_the_mean).contributions, -1 / 6)
    np.testing.assert_array_equal(make_detector("nap").fit(train, head).score(test), [0] * 4)


def test_a_class_whose_mean_is_the_overall_mean_has_no_direction():
    head = Head(np.eye(3, 2), np.zeros(3))
    features = np.array([[1.0, 3], [3, 1], [2, 2], [2, 2]])
    train = Activations(features, features @ head.weight.T, np.array([0, 1, 2, 2]))
    ncdd = make_detector("ncdd").fit(train, head)
    np.testing.assert_array_equal(ncdd.centroids_[2], [0, 0])
    assert np.isfinite(ncdd.score(train)).all()


def test_a_channel_that_was_silent_in_training_counts_when_it_speaks():
    (train, head), test = constant_neuron()
    detector = make_detector("stage_mahalanobis").fit(train, head)
    silent = {name: values.copy() for name, values in test.stages.items()}
    silent["layer2"][:, [1, 5]] = 0
    quiet = Activations(test.features, test.logits, stages=silent)
    of_channel = detector.account(test).neurons.index(Neuron("layer2", 1))
    assert (detector.account(test).contributions[:, of_channel] > 0).all()
    np.testing.assert_array_equal(detector.account(quiet).contributions[:, of_channel], 0)


def test_directions_without_variance_do_not_count_for_neco():
    """Five images vary in at most four directions; the hundred asked for would be chance."""
    (train, head), _ = fewer_images_than_neurons()
    assert make_detector("neco").fit(train[:5], head).components_.shape == (4, 40)


@pytest.mark.parametrize("name", ["line", "itp"])
def test_many_classes_need_little_memory(name):
    """All masks at once would be K·K·d numbers: 160 MB in double precision."""
    K, d = 400, 128
    rng = np.random.default_rng(0)
    head = Head(rng.normal(size=(K, d)).astype(np.float32), np.zeros(K, np.float32))
    features = np.abs(rng.normal(size=(K, d))).astype(np.float32)
    train = Activations(features, features @ head.weight.T, np.arange(K))
    tracemalloc.start()
    try:
        assert np.isfinite(make_detector(name).fit(train, head).score(train)).all()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30e6


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("line", {"clip": np.nan}, "`clip` of LINe is nan; wanted a finite number"),
        ("line", {"activation_percentile": 100}, r"`activation_percentile` of LINe is 100; wanted .* in \[0, 100\)"),
        ("line", {"weight_percentile": -1}, "`weight_percentile` of LINe is -1"),
        ("neco", {"components": 0}, "`components` of NECO is 0; wanted a whole number"),
        ("neco", {"components": 2.5}, "`components` of NECO is 2.5"),
        ("neco", {"components": True}, "`components` of NECO is True"),
        ("itp", {"weight_percentile": 100}, "`weight_percentile` of ITP is 100"),
        ("itp", {"deviations": np.nan}, "`deviations` of ITP is nan"),
        ("nap", {"weight": 1.5}, "`weight` of NAP is 1.5"),
        ("nap", {"epsilon": 0}, "`epsilon` of NAP is 0"),
        ("stage_mahalanobis", {"stages": ["layer9"]}, "asked for stage 'layer9'; this network has layer1, layer2"),
        ("stage_mahalanobis", {"stages": []}, r"`stages` of Stage Mahalanobis is \[\]; wanted names"),
        ("stage_mahalanobis", {"stages": "layer1"}, "`stages` of Stage Mahalanobis is 'layer1'; wanted a list"),
        ("stage_mahalanobis", {"stages": ["layer1", "layer1"]}, "each once"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(name, parameters, message):
    with pytest.raises(InputError, match=message):
        make_detector(name, **parameters).fit(*made(n=12, d=6))


def test_the_stages_are_found_again_by_name():
    """Another order of the stages, and other stages beside them, change nothing; one stage is enough."""
    (train, head), test = made(n=30, d=6, seed=0), made(n=8, d=6, seed=1)[0]
    fitted = make_detector("stage_mahalanobis").fit(train, head)
    turned = {"more": test.stages["layer1"] * 0} | {name: test.stages[name] for name in reversed(test.stages)}
    again = Activations(test.features, test.logits, stages=turned)
    np.testing.assert_array_equal(fitted.score(again), fitted.score(test))
    only = Activations(train.features, train.logits, train.labels, stages={"layer1": train.stages["layer1"]})
    account = make_detector("stage_mahalanobis").fit(only, head).account(only)
    assert [str(neuron) for neuron in account.neurons] == [f"layer1 · {channel}" for channel in range(4)]


def test_stages_of_another_network_are_refused():
    train, head = made(n=30, d=6)
    detector = make_detector("stage_mahalanobis").fit(train, head)
    for stages, seen in (
        ({"layer1": train.stages["layer1"]}, "'layer2' is missing"),
        (dict(train.stages) | {"layer2": train.stages["layer2"][:, :6]}, "'layer2' has 6 columns.*on 4 channels"),
    ):
        with pytest.raises(InputError, match=seen):
            detector.score(Activations(train.features, train.logits, stages=stages))
    odd = Activations(train.features, train.logits, train.labels, stages={"a": train.stages["layer1"][:, :3]})
    with pytest.raises(InputError, match=r"'a' has 3 columns; .* wants the channels' means followed by"):
        make_detector("stage_mahalanobis").fit(odd, head)


def test_nap_refuses_a_map_of_both_signs():
    train, head = made(n=30, d=6)
    nap = make_detector("nap").fit(train, head)
    signed = Activations(train.features - 1, train.logits, train.labels, train.peaks)
    for refuse in (lambda: make_detector("nap").fit(signed, head), lambda: nap.score(signed)):
        with pytest.raises(InputError, match=r"means go down to -.*never negative, as after a ReLU"):
            refuse()


def test_nap_refuses_a_network_whose_energy_is_usually_negative():
    train, head = made(n=30, d=6)
    low = Activations(train.features, train.logits * 0 - 50, train.labels, train.peaks)
    with pytest.raises(InputError, match=r"median of the energy is -48\.9 on the 30 training images"):
        make_detector("nap").fit(low, head)


def test_an_energy_below_its_floor_counts_as_the_floor():
    train, head = made(n=30, d=6)
    cadref, nap = make_detector("cadref").fit(train, head), make_detector("nap").fit(train, head)
    for detector, floor in ((cadref, cadref.energy_floor_), (nap, nap.median_energy_ / 1000)):
        low = Activations(train.features, train.logits * 0 - 50, peaks=train.peaks)
        # logsumexp of three equal logits z is z + ln 3.
        at_floor = Activations(train.features, (train.logits * 0).astype(float) + floor - np.log(3), peaks=train.peaks)
        np.testing.assert_allclose(detector.score(low), detector.score(at_floor))
