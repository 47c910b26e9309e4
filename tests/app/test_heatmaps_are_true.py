"""Which method heatmaps are by, on both pages that show them, and the test of whether they are true."""

from __future__ import annotations

import shutil
from functools import partial

import numpy as np
import pytest

from nero_core.attribution import faithfulness, fitting
from nero_core.attribution.faithfulness import RANDOM, measure_faithfulness
from nero_core.metrics import Effect
from nero_core.reference import heatmap_truth
from nero_core.reference.heatmap_truth import said_of_chance, said_of_left
from nero_core.reference.manifest import read_manifest, write_manifest
from nero_core.wording import heatmap_method
from pages.neuron_views import truth
from pages.shared import words
from tests.app.conftest import picture_bytes, show_part, upload, words_of

PAGE = "pages/neurons.py"


@pytest.fixture
def app_without_exact_rules(open_app, monkeypatch, tmp_path, tiny_reference):
    """A session on a network that is taken for one without CRP and without conservative propagation."""
    from nero_core.attribution import EXACT, METHODS
    from nero_core.errors import InputError

    def refuse(self, classifier):
        raise InputError(f"no rule for <b>{self.title}</b>")

    for title in EXACT:
        monkeypatch.setattr(METHODS[title], "__init__", refuse)
    shutil.copytree(tiny_reference, tmp_path / "r")
    monkeypatch.setenv("NERO_REFERENCES", str(tmp_path))
    return open_app()


def with_case(session, images=1):
    upload(session, *[(f"{i}.png", picture_bytes(i)) for i in range(images)])
    session.switch_page(PAGE)
    return session.run()


def put_to_the_test(page, *images, every=False):
    page.multiselect(key=truth.IMAGES).set_value(list(images))
    page.toggle(key=truth.EVERY).set_value(every).run()
    page.button(key="neurons-truth-test").click().run()
    assert not page.exception
    return page


def curve_alts(page):
    return [c.proto.alt for c in page.get("plotly_chart") if c.proto.alt.startswith(("Deletion", "Insertion"))]


# The method's name ---------------------------------------------------------------------------------------------------


def test_every_method_has_its_words():
    from nero_core.attribution import METHODS

    for method in METHODS.values():
        assert method.meaning
        assert not method.meaning.endswith(".")
    said = words.heatmaps_by(["CRP", "CRP", "gradient × input"])
    assert said.count("**CRP**") == 1
    assert "**gradient × input**" in said


def test_case_review_names_the_method(app):
    upload(app, ("a.png", picture_bytes()))
    assert words_of(app).count("Heatmaps by **CRP**") == 1


def test_case_review_names_the_method_where_only_one_map_is_shown(app):
    upload(app, ("a.png", picture_bytes()))
    app.selectbox(key="detector").set_value("msp").run()
    assert not app.exception
    assert "Heatmaps by **CRP**" in words_of(app)


def test_case_review_names_both_methods_of_features_and_stages(app_without_exact_rules):
    app = upload(app_without_exact_rules, ("a.png", picture_bytes()))
    assert "Heatmaps by **relevance\\-weighted feature map**" in words_of(app)
    assert "gradient × input" not in words_of(app)
    show_part(app, "Top neurons")
    app.selectbox(key="detector").set_value("stage_mahalanobis").run()
    assert not app.exception
    assert "by **gradient × input**" in words_of(app)
    assert "by **relevance\\-weighted feature map**" in words_of(app), "the map of all neurons together"


@pytest.mark.parametrize(
    ("session", "method"), [("app", "CRP"), ("app_without_exact_rules", "relevance\\-weighted feature map")]
)
def test_the_neurons_page_names_the_method(request, session, method):
    page = with_case(request.getfixturevalue(session))
    assert "Heatmaps by" not in words_of(page)
    page.multiselect(key="neurons-images").set_value(["Case, image 1"]).run()
    assert f"Heatmaps by **{method}**" in words_of(page)


# Faithfulness ---------------------------------------------------------------------------------------------------------


def test_nothing_is_measured_before_it_is_asked_for(app, monkeypatch):
    monkeypatch.setattr(
        "nero_core.attribution.faithfulness.measure_faithfulness", lambda *a, **k: pytest.fail("measured")
    )
    page = with_case(app)
    assert page.button(key="neurons-truth-test").disabled
    page.multiselect(key=truth.IMAGES).set_value(["Case, image 1"]).run()
    assert not page.exception
    assert not curve_alts(page)
    text = words_of(page)
    assert "grey band of random orders" in text, "how to read it"
    assert truth.COMMAND in page.code[-1].value
    assert "keeps no whole images" in text


def test_without_an_image_there_is_only_the_command(app):
    app.switch_page(PAGE).run()
    assert not any(button.key == "neurons-truth-test" for button in app.button)
    assert "to test the heatmaps on it" in words_of(app)
    assert "nero_core faithfulness" in app.code[-1].value


def test_one_image_says_what_the_measurement_says(app, reference):
    page = put_to_the_test(with_case(app), "Case, image 1")
    measured = measure_faithfulness(
        reference.classifier,
        partial(reference.score, detector="nero"),
        [picture_bytes(0)],
        ["CRP"],
        random_orders=truth.ORDERS_FOR_ONE,
    )
    beaten = int((measured.gain[0] > measured.random_gain[:, 0]).sum())
    text = words_of(page)
    assert f"**{beaten} of {truth.ORDERS_FOR_ONE}** random orders" in text
    assert said_of_chance(measured.effect("CRP")) in text
    assert said_of_left(measured.left) in text
    assert said_of_left(measured.score_left, of="score") in text
    assert f"*{reference.classes[measured.predicted[0]]}*" in text
    assert "Heatmaps by **CRP**" in text
    assert "No better one" not in text
    assert len(curve_alts(page)) == 2
    table = next(t.value for t in page.dataframe if "method" in t.value and "deletion, % ↓" in t.value)
    assert table["method"].tolist() == ["CRP", RANDOM]
    np.testing.assert_allclose(table["deletion, % ↓"], 100 * measured.areas("deletion").mean(axis=1), rtol=6e-3)
    assert table["under noise (best 1)"].iloc[0] == pytest.approx(measured.stability[0, 0], abs=6e-3)
    assert table["shuffled weights (best 0)"].iloc[0] == pytest.approx(measured.shuffled[0, 0], abs=6e-3)
    curves = next(t.value for t in page.dataframe if "blurred (%)" in t.value)
    assert len(curves) == 11


def test_several_images_make_a_summary_and_every_method_can_be_compared(app, reference):
    page = put_to_the_test(with_case(app, 2), "Case, image 1", "Case, image 2", every=True)
    text = words_of(page)
    assert "Over 2 images the heatmaps by CRP gain" in text
    assert "Most is gained by **" in text
    tables = [table.value for table in page.dataframe]
    methods = next(t for t in tables if "deletion, % ↓" in t)["method"].tolist()
    assert methods == [*map(heatmap_method, fitting(reference.classifier)), RANDOM]
    assert {"CRP", "EpsilonPlusFlat", "SmoothGrad"} < set(methods)
    every = next(t for t in tables if "image" in t and "gain" in t)
    assert every["image"].tolist()[:: len(methods) - 1] == ["Case, image 1", "Case, image 2"]


def test_a_result_stays_until_other_images_are_chosen(app, monkeypatch):
    page = put_to_the_test(with_case(app, 2), "Case, image 1")
    monkeypatch.setattr(
        "nero_core.attribution.faithfulness.measure_faithfulness", lambda *a, **k: pytest.fail("measured again")
    )
    page.number_input(key="neurons-chosen").set_value(3).run()
    assert len(curve_alts(page)) == 2
    page.multiselect(key=truth.IMAGES).set_value(["Case, image 2"]).run()
    assert not page.exception
    assert not curve_alts(page), "the curves of another image are not shown for this one"


def test_a_fallback_is_named_with_its_reason(app_without_exact_rules):
    page = put_to_the_test(with_case(app_without_exact_rules), "Case, image 1")
    text = words_of(page)
    assert "Heatmaps by **relevance\\-weighted feature map**" in text
    assert "No better one fits this network" in text
    assert "<b>" not in text.replace("\\<b\\>", "")


def test_an_image_that_cannot_be_measured_says_why(app, monkeypatch):
    from nero_core.errors import InputError

    def refuse(*args, **named):
        raise InputError("The file *vanished*.")

    monkeypatch.setattr("nero_core.attribution.faithfulness.measure_faithfulness", refuse)
    page = put_to_the_test(with_case(app), "Case, image 1")
    assert "Not measured: The file \\*vanished\\*" in page.warning[-1].value


def test_the_network_is_as_it_was(app, reference):
    before = reference.classifier.extract([picture_bytes(5)]).logits
    from pages.shared import resources

    page = put_to_the_test(with_case(app), "Case, image 1")
    shared = resources.reference(page.session_state["entry"].path)
    np.testing.assert_array_equal(shared.classifier.extract([picture_bytes(5)]).logits, before)


@pytest.mark.parametrize(("wanted", "taken"), [("msp", "msp"), ("again", "nero")])
def test_the_score_is_of_a_detector_that_does_not_run_the_network_again(monkeypatch, wanted, taken):
    from types import SimpleNamespace

    detectors = {
        name: SimpleNamespace(info=SimpleNamespace(needs=needs))
        for name, needs in (("nero", ()), ("again", ("source",)), ("msp", ()))
    }
    reference = SimpleNamespace(detectors=detectors, score=lambda activations, detector: detector)
    monkeypatch.setattr(truth.session, "detector", lambda reference: wanted)
    assert truth._score(reference)(None) == taken


def test_what_was_measured_at_the_fit_is_shown(open_app, tiny_reference, tmp_path, monkeypatch):
    """The summary over calibration images that a reference keeps, the best method named."""
    without = open_app().switch_page(PAGE).run()
    assert "calibration images**, measured" not in words_of(without)
    shutil.copytree(tiny_reference, tmp_path / "r")
    manifest = {key: value for key, value in read_manifest(tmp_path / "r").items() if key != "sha256"}
    rows = [
        {"method": method, "deletion": 0.5, "insertion": 0.9, "gain": gain, "gain_standard_error": 0.051,
         "better_than_random": 0.75, "stability": 0.99, "shuffled": 0.1, "by_chance": False}
        for method, gain in (("CRP", 0.265), ("gradient × input", 0.334))
    ]  # fmt: skip
    rows.append({"method": RANDOM, "deletion": 0.7, "insertion": 0.8})
    write_manifest(tmp_path / "r", {**manifest, "heatmaps": {"images": 60, "methods": rows}})
    monkeypatch.setenv("NERO_REFERENCES", str(tmp_path))
    page = open_app().switch_page(PAGE).run()
    assert not page.exception
    said = words_of(page)
    assert "**Over 60 calibration images**, measured when this reference was fitted" in said
    assert "CRP gains **26.5 points**" in said
    assert "How much of the answer does not need the image was not measured." in said
    assert "Most is gained by gradient × input." in said
    assert "Do not lean on" not in said
    manifest = {key: value for key, value in read_manifest(tmp_path / "r").items() if key != "sha256"}
    rows[0]["gain_standard_error"] = 0.2  # the heatmaps shown are the first's
    write_manifest(tmp_path / "r", {**manifest, "heatmaps": {"images": 60, "left": 0.86, "methods": rows}})
    said = words_of(open_app().switch_page(PAGE).run())
    assert "**Of the heatmaps shown here, by CRP: chance can do as well. Do not lean on them.**" in said
    assert "**86\u00a0% of the answer does not need the image" in said


@pytest.mark.parametrize(("left", "flat"), [(1e-9, True), (9.0, False)])
def test_an_answer_that_does_not_need_the_image_is_said_to_be_so(app, monkeypatch, left, flat):
    page = put_to_the_test(with_case(app), "Case, image 1")
    monkeypatch.setattr(heatmap_truth, "FLAT_FROM", left)
    text = words_of(page.run())
    said = ("of this answer does not need the image", "None of this answer needs the image")  # less, or more, is left
    assert any(words in text for words in said) == flat


@pytest.mark.parametrize("images", [1, 2])
def test_heatmaps_that_chance_does_as_well_as_are_not_to_be_leant_on(app, monkeypatch, images):
    names = [f"Case, image {number + 1}" for number in range(images)]
    page = put_to_the_test(with_case(app, images), *names)
    for low, better in ((0.1, True), (-0.1, False)):
        monkeypatch.setattr(
            faithfulness.Faithfulness, "effect", lambda self, method, low=low: Effect(0.2, low, 1.0, 1.0)
        )
        text = words_of(page.run())
        assert ("Do not lean on them" in text) != better
        assert ("better than chance" in text) == better
