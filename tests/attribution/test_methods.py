"""The registry of heatmap methods: what it holds, what it refuses, and that the documents say the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nero_core.attribution import (
    EXACT,
    METHODS,
    PREFERRED,
    Attribution,
    Attributions,
    HeatmapMethod,
    OverallMap,
    attribution,
    describe_methods,
    fits_of,
    fitting,
    register_method,
)
from nero_core.data.preprocessing import Preprocessing
from nero_core.errors import InputError
from nero_core.network.classifier import build_classifier
from tests.attribution.test_families import image_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def classifier():
    return build_classifier("resnet18", ["a", "b"], preprocessing=Preprocessing(height=64, width=64))


def test_names_that_people_have_written_down_are_still_there():
    assert PREFERRED == ("CRP", "conservative propagation", "instant map", "gradient × input")
    assert PREFERRED[:2] == EXACT
    assert list(METHODS)[:9] == [
        *PREFERRED,
        *("EpsilonPlusFlat", "EpsilonAlpha2Beta1Flat", "EpsilonGammaBox", "SmoothGrad", "integrated gradients"),
    ]


def test_every_method_has_a_file_of_its_own():
    files = {method.__module__ for method in METHODS.values()}
    assert len(files) == len(METHODS)
    assert all(file.startswith("nero_core.attribution.methods.") for file in files)


@pytest.mark.parametrize("title", METHODS)
def test_every_method_keeps_the_contract(classifier, title):
    """Every one that fits gives a map of the input's size, the same each time, and single neurons or a refusal."""
    method = METHODS[title]
    fit = method.fits(classifier)
    if not fit:
        assert "resnet18" in fit.reason
        with pytest.raises(InputError, match="resnet18"):
            method(classifier)
        return
    prepared, image = method(classifier), image_of(0, 64)
    opened = prepared.open(image)
    assert opened.method == title
    assert opened.single_neurons == method.single_neurons
    overall = opened.overall()
    assert overall.dtype == np.float32
    assert overall.shape == (64, 64)
    assert np.isfinite(overall).all()
    assert np.abs(overall).max() > 0
    np.testing.assert_array_equal(prepared.open(image).overall(), overall)
    if method.single_neurons:
        assert opened.neurons([3, 1]).shape == (2, 64, 64)
        assert opened.neurons([2], "layer2").shape == (1, 64, 64)
        assert opened.relevance([3]).shape == (1,)
    with pytest.raises(InputError, match=r"\(3, 8, 8\); wanted \(3, 64, 64\)"):
        prepared.open(image_of(0, 8))


def test_the_best_is_what_it_was_whatever_else_there_is(classifier):
    assert Attribution(classifier).method == "CRP"
    assert Attribution(build_classifier("deit_tiny_patch16_224", ["a", "b"])).method == "conservative propagation"


def test_what_fits_is_told_for_every_method(classifier):
    fits = fits_of(classifier)
    assert list(fits) == list(METHODS)
    assert fitting(classifier) == [title for title in METHODS if title != "conservative propagation"]
    assert "nothing that conservative propagation holds constant" in fits["conservative propagation"].reason
    assert all(fit.reason == "" for fit in fits.values() if fit)


def test_a_method_of_others_that_breaks_is_named_and_one_of_ours_is_a_defect(classifier, monkeypatch):
    class Broken(HeatmapMethod):
        title, meaning = "broken", "nothing"

        def __init__(self, classifier):
            raise ZeroDivisionError("one over nought")

        def _open(self, image):
            raise AssertionError

    monkeypatch.setitem(METHODS, "broken", Broken)
    reason = fits_of(classifier)["broken"].reason
    assert "broken, which tests.attribution.test_methods adds, failed on this network: ZeroDivisionError" in reason
    monkeypatch.setattr(Broken, "__module__", "nero_core.attribution.methods.broken")
    with pytest.raises(ZeroDivisionError):
        fits_of(classifier)


def test_a_title_is_taken_once():
    class Other(HeatmapMethod):
        title, meaning = "CRP", "another"

        def _open(self, image):
            raise AssertionError

    own = METHODS["CRP"]
    with pytest.raises(InputError, match=r"'CRP' already, in nero_core\.attribution\.methods\.crp; choose another"):
        register_method(Other)
    assert METHODS["CRP"] is own
    assert register_method(own) is own, "a module that is imported again registers again"


def test_methods_are_prepared_once_and_few_are_kept(classifier, monkeypatch):
    made = []

    class Counted(Attribution):
        def __init__(self, classifier, method=None):
            made.append(method)
            super().__init__(classifier, method)

    monkeypatch.setattr(attribution, "Attribution", Counted)
    methods = Attributions(classifier)
    best = methods.by()
    assert methods.by("CRP").prepared is best.prepared
    assert made == [None]
    one = methods.by("SmoothGrad")
    assert methods.by("SmoothGrad") is one
    methods.by("instant map")
    methods.by("gradient × input")
    assert made == [None, "SmoothGrad", "instant map", "gradient × input"]
    assert methods.by() is best
    assert methods.by("SmoothGrad") is not one, "each holds a copy of the network, so the oldest went"
    with pytest.raises(InputError, match="no method 'LRP'"):
        methods.by("LRP")
    assert methods.fits is methods.fits


def test_one_map_is_computed_when_it_is_asked_for_and_once():
    asked = []
    opened = OverallMap("m", (2, 3), lambda: asked.append(1) or np.ones((2, 3), np.float32))
    assert not asked
    assert opened.overall() is opened.overall()
    assert len(asked) == 1
    assert opened.caution == ""
    with pytest.raises(InputError, match="m gives one map of the whole answer and none of single neurons"):
        opened.neurons([0])


def test_the_table_of_the_readme_is_that_of_the_registry():
    assert describe_methods() in (ROOT / "README.md").read_text(encoding="utf-8")
