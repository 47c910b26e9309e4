"""One contract for every registered detector."""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nero_core.artefacts import read_arrays, write_arrays
from nero_core.detectors import DETECTORS, make_detector
from nero_core.errors import ArtefactError, InputError, NotFittedError, UnknownDetectorError
from nero_core.records import Activations, Head
from tests.activations import make_activations

NAMES = sorted(DETECTORS)


@pytest.fixture(scope="module")
def train():
    return make_activations(n=90, d=24, K=3, seed=0)


@pytest.fixture(scope="module")
def test():
    return make_activations(n=33, d=24, K=3, seed=1)[0]


@pytest.fixture(scope="module", params=NAMES)
def fitted(request, train):
    return make_detector(request.param).fit(*train, calibration=make_activations(n=40, d=24, K=3, seed=2)[0])


def test_the_record_describes_the_detector(fitted):
    info = fitted.info
    assert DETECTORS[info.name] is type(fitted)
    assert info.title
    assert info.paper
    assert 1900 < info.year < 2100


def test_parameters_are_stored_unchanged(fitted):
    for name, parameter in inspect.signature(type(fitted)).parameters.items():
        assert getattr(make_detector(fitted.info.name), name) == parameter.default


def test_fit_sets_only_attributes_with_an_underscore_at_the_end(fitted):
    fresh = make_detector(fitted.info.name)
    assert all(name.endswith("_") for name in set(vars(fitted)) - set(vars(fresh)))
    assert {name: vars(fitted)[name] for name in vars(fresh)} == vars(fresh)


def test_scores_are_finite_float64(fitted, test):
    scores = fitted.score(test)
    assert scores.shape == (len(test),)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()


def test_scoring_unfitted_raises(fitted, test):
    with pytest.raises(NotFittedError, match="fit"):
        make_detector(fitted.info.name).score(test)


def test_fit_returns_self_and_is_repeatable(fitted, train, test):
    again = make_detector(fitted.info.name)
    assert again.fit(*train, calibration=make_activations(n=40, d=24, K=3, seed=2)[0]) is again
    np.testing.assert_array_equal(again.score(test), fitted.score(test))


def test_inputs_are_left_alone(fitted, test):
    before = test.features.copy(), test.logits.copy()
    fitted.score(test)
    np.testing.assert_array_equal(before[0], test.features)
    np.testing.assert_array_equal(before[1], test.logits)


def test_splits_of_a_batch_agree(fitted, test):
    whole = fitted.score(test)
    parts = np.concatenate([fitted.score(test[:5]), fitted.score(test[5:6]), fitted.score(test[6:])])
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-9)


def test_threads_give_bit_equal_scores(fitted, test):
    whole = fitted.score(test)
    with ThreadPoolExecutor(4) as pool:
        for scores in pool.map(fitted.score, [test] * 8):
            np.testing.assert_array_equal(scores, whole)


def test_a_far_point_scores_higher_where_it_is_claimed(fitted, train, test):
    if not fitted.info.claims_far_point:
        pytest.skip(f"{fitted.info.title} does not claim it")
    _, head = train
    features = (test.features[:1] * 0 + 50.0 * (1 + np.arange(24) % 3)).astype(np.float32)
    far = Activations(
        features,
        features @ head.weight.T + head.bias,
        peaks=features * 9,
        stages={name: values[:1] * 0 + np.arange(8, dtype=np.float32) * 50 for name, values in test.stages.items()},
    )
    assert fitted.score(far)[0] > np.median(fitted.score(test))


def test_activations_of_another_network_are_refused(fitted):
    with pytest.raises(InputError, match="fitted on 24 features and 3 classes"):
        fitted.score(make_activations(n=4, d=10, K=3, seed=1)[0])


def test_it_survives_the_disk(fitted, test, train, tmp_path):
    write_arrays(tmp_path / "fitted.safetensors", fitted.fitted_arrays())
    arrays, _ = read_arrays(tmp_path / "fitted.safetensors")
    restored = make_detector(fitted.info.name, **fitted.parameters()).restore(arrays, train[1])
    np.testing.assert_array_equal(restored.score(test), fitted.score(test))
    with pytest.raises(ArtefactError, match="missing"):
        make_detector(fitted.info.name).restore({"nothing_": np.zeros(1)}, train[1])


def test_bad_training_sets_are_refused(fitted, train):
    activations, head = train
    empty = make_detector(fitted.info.name)
    with pytest.raises(InputError, match="no training images"):
        empty.fit(activations[:0], head)
    with pytest.raises(InputError, match="one network"):
        empty.fit(activations, Head(head.weight[:, :5], head.bias))
    if fitted.info.fits:
        with pytest.raises(InputError, match="labels"):
            empty.fit(
                Activations(activations.features, activations.logits, None, activations.peaks, activations.stages), head
            )
        with pytest.raises(InputError, match="No training image of class 2"):
            empty.fit(activations[activations.labels != 2], head)


def test_unknown_names_offer_near_ones():
    with pytest.raises(UnknownDetectorError, match="did you mean nero"):
        make_detector("nerro")
    with pytest.raises(InputError, match="no parameter delta; it has epsilon, k, m"):
        make_detector("nero", delta=1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_activations_that_are_not_finite_are_refused(bad):
    activations, _ = make_activations(n=5)
    features = activations.features.copy()
    features[3, 2] = bad
    with pytest.raises(InputError, match=r"`features` holds NaN or infinity in 1 of 5 rows \(first: row 3\)"):
        Activations(features, activations.logits)
