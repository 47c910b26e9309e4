"""One contract for every registered detector."""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest

from nero_core.detectors import DETECTORS, ExplainedDetector, make_detector
from nero_core.errors import ArtefactError, InputError, NotFittedError, UnknownDetectorError
from nero_core.records import Activations, Head, Layout
from nero_core.storage.files import read_arrays, write_arrays
from tests.activations import image_activations, make_activations

NAMES = sorted(DETECTORS)
EXPLAINED = sorted(name for name, detector in DETECTORS.items() if issubclass(detector, ExplainedDetector))


@dataclass(frozen=True)
class Material:
    """Activations of one network: made-up ones, or of real pictures for detectors that see them again."""

    train: Activations
    head: Head
    calibration: Activations
    test: Activations

    @classmethod
    @cache
    def of(cls, pictures):
        if pictures:
            (train, head), test = image_activations(36, seed=0), image_activations(12, seed=1)[0]
            return cls(train, head, image_activations(24, seed=2)[0], test)
        train, head = make_activations(n=90, d=24, K=3, seed=0, trained=True)
        calibration = make_activations(n=40, d=24, K=3, seed=2, trained=True)[0]
        return cls(train, head, calibration, make_activations(n=33, d=24, K=3, seed=1, trained=True)[0])

    def fit(self, detector):
        return detector.fit(self.train, self.head, calibration=self.calibration)


@cache
def material_of(name):
    return Material.of(bool({"source", "outliers"} & DETECTORS[name].info.needs))


@cache
def fitted_of(name):
    return material_of(name).fit(make_detector(name))


@pytest.fixture(scope="module", params=NAMES)
def fitted(request):
    return fitted_of(request.param)


@pytest.fixture(scope="module", params=EXPLAINED)
def explained(request):
    return fitted_of(request.param)


@pytest.fixture
def material(request):
    name = "fitted" if "fitted" in request.fixturenames else "explained"
    return material_of(request.getfixturevalue(name).info.name)


@pytest.fixture
def test(material):
    return material.test


def test_the_record_describes_the_detector(fitted):
    info = fitted.info
    assert DETECTORS[info.name] is type(fitted)
    assert info.title
    assert info.paper.citation
    assert 1900 < info.paper.year < 2100


def test_the_signature_is_that_of_its_init(fitted):
    kind = type(fitted)
    assert not any("__signature__" in vars(each) for each in kind.__mro__)
    parameters = inspect.signature(kind).parameters
    if parameters:
        assert parameters == dict(list(inspect.signature(kind.__init__).parameters.items())[1:])
    for parameter in parameters.values():
        assert parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        assert parameter.annotation is not parameter.empty
        assert parameter.default is not parameter.empty
        assert parameter.name in inspect.getdoc(kind), f"{parameter.name} is not in the docstring"


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


def test_fit_returns_self_and_is_repeatable(fitted, material, test):
    again = make_detector(fitted.info.name)
    assert material.fit(again) is again
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


@pytest.mark.parametrize("name", [name for name in NAMES if DETECTORS[name].info.claims_far_point])
def test_a_far_point_scores_higher_where_it_is_claimed(name):
    fitted, test, head = fitted_of(name), material_of(name).test, material_of(name).head
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


def test_it_survives_the_disk(fitted, test, material, tmp_path):
    write_arrays(tmp_path / "fitted.safetensors", fitted.fitted_arrays())
    arrays, _ = read_arrays(tmp_path / "fitted.safetensors")
    restored = make_detector(fitted.info.name, **fitted.parameters()).restore(arrays, material.head)
    np.testing.assert_array_equal(restored.score(test), fitted.score(test))
    with pytest.raises(ArtefactError, match="missing"):
        make_detector(fitted.info.name).restore({"nothing_": np.zeros(1)}, material.head)


def test_bad_training_sets_are_refused(fitted, material):
    train, head, calibration = material.train, material.head, material.calibration
    empty = make_detector(fitted.info.name)
    with pytest.raises(InputError, match="no training images"):
        empty.fit(train[:0], head, calibration)
    with pytest.raises(InputError, match="one network"):
        empty.fit(train, Head(head.weight[:, :5], head.bias), calibration)
    if fitted.info.fits:
        with pytest.raises(InputError, match="labels"):
            empty.fit(replace(train, labels=None), head, calibration)
        with pytest.raises(InputError, match="No training image of class 2"):
            empty.fit(train[train.labels != 2], head, calibration)


@pytest.mark.parametrize("name", [name for name in NAMES if DETECTORS[name].info.needs - {"pool", "outliers"}])
def test_activations_without_what_a_detector_needs_are_refused(name):
    material = material_of(name)
    bare = Activations(material.train.features, material.train.logits, material.train.labels)
    with pytest.raises(InputError, match=DETECTORS[name].info.title):
        make_detector(name).fit(bare, material.head, material.calibration)
    with pytest.raises(InputError, match=DETECTORS[name].info.title):
        fitted_of(name).score(bare)


READ_PLACES = {
    "panel",
    "gram",
    "nac",
    "nap",
    "patch_gaussian",
    "patch_knn",
    "pseudo_lesion",
    "rankfeat",
    "stage_knn",
    "stage_mahalanobis",
}
"""Detectors that read the last map or the stages."""


@pytest.mark.parametrize("name", NAMES)
def test_what_a_network_lacks_is_known_before_an_image_is_read(name):
    head = material_of(name).head
    make_detector(name).check_network(Layout("5", "2", ("0", "1", "2")), head)
    bare = Layout("5", None, ())
    if name not in READ_PLACES:
        make_detector(name).check_network(bare, head)
        return
    with pytest.raises(InputError, match=DETECTORS[name].info.title):
        make_detector(name).check_network(bare, head)


def test_a_head_or_a_parameter_that_cannot_be_used_is_known_at_once():
    head, layout = Head(np.ones((1, 5)), np.zeros(1)), Layout("5", "2", ("0",))
    for name, said in (("ncdd", "at least 2 classes"), ("fdbd", "this head has one")):
        with pytest.raises(InputError, match=said):
            make_detector(name).check_network(layout, head)
    with pytest.raises(InputError, match="`k` of KNN is 0"):
        make_detector("knn", k=0).check_network(layout, head)
    with pytest.raises(InputError, match="keeps none of 5 features"):
        make_detector("ash", percentile=0.95).check_network(layout, head)


def test_an_account_adds_up_to_the_score(explained, test):
    scores = explained.score(test)
    np.testing.assert_allclose(explained.account(test).score, scores, rtol=1e-9, atol=1e-9 * np.abs(scores).max())


def test_an_account_has_a_column_per_neuron_and_a_class_per_image(explained, test, material):
    account = explained.account(test)
    assert account.contributions.shape == (len(test), len(account.neurons))
    assert len(set(account.neurons)) == len(account.neurons)
    assert account.nearest.shape == account.factor.shape == (len(test),)
    assert set(account.nearest) <= set(range(material.head.classes))


def test_without_a_chosen_neuron_nothing_changes(explained, test):
    np.testing.assert_allclose(explained.what_if(test, []), explained.score(test), rtol=1e-5, atol=1e-7)


def test_restoring_neurons_gives_scores_and_leaves_the_batch_alone(explained, test):
    before = test.features.copy()
    for chosen in ([0, 2, 3], range(len(explained.account(test).neurons))):
        restored = explained.what_if(test, chosen)
        assert restored.shape == (len(test),)
        assert np.isfinite(restored).all()
    np.testing.assert_array_equal(test.features, before)


def test_an_unfitted_detector_has_no_account(explained, test):
    with pytest.raises(NotFittedError, match="fit"):
        make_detector(explained.info.name).account(test)


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
