"""The model card says what the manifest holds, with intervals, and shows untrusted text as text."""

from __future__ import annotations

import dataclasses
import math
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nero_core.errors import ArtefactError
from nero_core.metrics import bootstrap, interval, point_metrics
from nero_core.neurons.sample import SHEET_ROLE
from nero_core.reference.heatmap_truth import stored_heatmaps
from nero_core.reference.manifest import read_manifest, verify_file, write_manifest
from nero_core.reference.model_card import (
    SAMPLE_ROLE,
    Measured,
    ModelCard,
    Section,
    model_card,
    separation,
    share_of,
    training_history,
)
from nero_core.reports.model_card import page
from nero_core.storage.files import read_arrays

Z = 1.959963984540054


@pytest.fixture
def lines(tiny_reference):
    """Everything the card says, {name: text}."""
    return {name: text for section in model_card(tiny_reference).sections for name, text in section.lines}


def edited(source, target, **fields):
    """A copy whose manifest has other fields, sealed anew."""
    shutil.copytree(source, target)
    manifest = {key: value for key, value in read_manifest(target).items() if key != "sha256"}
    write_manifest(target, {**manifest, **fields})
    return target


def test_it_says_what_the_manifest_holds(lines, tiny_reference):
    manifest = read_manifest(tiny_reference)
    assert lines["amber"] == lines["moss"] == "12 images fitted on; 12 for calibration"
    assert lines["Known OOD images: strange"] == "5 images"
    assert lines["Source of the images"] == "made by the tests"
    assert lines["Licence of the images"] == "Apache-2.0"
    assert lines["Intended use"] == manifest["intended_use"]
    assert lines["Known failures"] == manifest["known_failures"]
    assert lines["Calibration images"].startswith("36 ")
    assert lines["Smallest share of false alarms that can be asked for"] == "2.71 %"  # 1 / 37, rounded up
    assert lines["Guarantee"].startswith("yes")
    pictures = lines["Pictures of training images"]
    assert pictures.startswith(f"yes, small crops for {manifest['crops']} neurons, and {manifest['sample']['images']}")
    assert SAMPLE_ROLE == SHEET_ROLE
    assert lines["SHA-256 of the classifier file"] == manifest["files"]["classifier"]["sha256"]
    assert f"torch {manifest['versions']['torch']}" in lines["Versions"]
    accuracy = manifest["metrics"]["calibration_accuracy"]
    said = lines["Accuracy on the calibration images, set aside before training"]
    assert said.startswith(f"{100 * accuracy:.1f} % (")
    assert said.endswith("; 36 images)")
    assert lines["Input of the network"] == "64 × 64 pixels (as it was trained)"


def test_an_older_reference_without_figures_or_origins_says_so(tiny_reference, tmp_path):
    manifest = read_manifest(tiny_reference)
    training = {**manifest["training"], "known": False}
    calibration = {"images": 36, "guaranteed": False, "origin": "not stated", "smallest_alpha": 1 / 37}
    folder = edited(
        tiny_reference,
        tmp_path / "x",
        schema=1,
        calibration=calibration,
        metrics={"auroc": {}},
        training=training,
        preprocessing_origins={},
    )
    lines = {name: text for section in model_card(folder).sections for name, text in section.lines}
    assert lines["Accuracy"].startswith("not measured")
    assert lines["Interpolation"] == "bilinear (not recorded)"
    assert lines["Guarantee"].startswith("no: an earlier version calibrated this reference")


@pytest.mark.parametrize("origins", [7, ["given"], "given"])
def test_origins_of_another_shape_are_refused(tiny_reference, tmp_path, origins):
    with pytest.raises(ArtefactError, match=r"field `preprocessing_origins` is .*; wanted names, each with text"):
        model_card(edited(tiny_reference, tmp_path / "x", preprocessing_origins=origins))


def test_it_says_how_true_the_heatmaps_are(lines, tiny_reference, tmp_path):
    assert lines["Heatmaps"] == "not measured when it was fitted"
    row = {"method": "CRP", "deletion": 0.5, "insertion": 0.9, "gain": 0.265, "gain_standard_error": 0.081}
    row |= {"better_than_random": 0.75, "stability": 0.991, "shuffled": -0.02, "by_chance": False}
    chance = {"method": "random order", "deletion": 0.7, "insertion": 0.8}
    folder = edited(tiny_reference, tmp_path / "x", heatmaps={"images": 60, "methods": [row, chance]})
    said = {name: text for section in model_card(folder).sections for name, text in section.lines}
    assert said["Heatmaps by CRP"].startswith(
        "gain 26.5 ± 8.1 points over a random order (mean and standard error of 60"
    )
    assert "better on 75 % of them; 0.99 alike under noise" in said["Heatmaps by CRP"]
    assert "Heatmaps by random order" not in said
    assert "d_z 0.422), better on" in said["Heatmaps by CRP"]
    assert said["Heatmaps by CRP"].endswith("(d_z 0.42, below 0.5) that it is not called better")
    assert said["Without the image"].startswith("How much of the answer does not need the image was not measured.")
    assert "at least 0.5 standard deviations" in said["Gain"]
    folder = edited(tiny_reference, tmp_path / "flat", heatmaps={"images": 60, "left": 0.86, "methods": [row, chance]})
    said = {name: text for section in model_card(folder).sections for name, text in section.lines}
    assert said["Without the image"].startswith("86\u00a0% of the answer does not need the image")
    row |= {"gain": -0.000164, "gain_standard_error": 0.0000859, "by_chance": True}
    folder = edited(tiny_reference, tmp_path / "small", heatmaps={"images": 4, "methods": [row, chance]})
    said = {name: text for section in model_card(folder).sections for name, text in section.lines}
    assert said["Heatmaps by CRP"].startswith("gain −0.0164 ± 0.0086 points over a random order")
    assert said["Heatmaps by CRP"].endswith("; chance can do as well"), "two standard errors of four images"
    broken = ({"gain": 1}, {**row, "gain": "much"}, {**row, "by_chance": 1}, {**row, "gain": float("inf")}, "row", None)
    for bad in broken:
        with pytest.raises(ArtefactError, match="field `heatmaps"):
            stored_heatmaps({"heatmaps": {"images": 60, "methods": [bad, chance]}})
    for number, kept in enumerate((7, {"images": 60}, {"images": 0, "methods": [row, chance]}, {"methods": [row]})):
        with pytest.raises(ArtefactError, match="field `heatmaps"):
            model_card(edited(tiny_reference, tmp_path / str(number), heatmaps=kept))


def test_no_guarantee_no_crops_no_unusual_images(tiny_reference, tmp_path):
    manifest = read_manifest(tiny_reference)
    files = {role: entry for role, entry in manifest["files"].items() if not role.startswith("concepts/")}
    reason = "nobody knows where the images come from"
    guarantee = {**manifest["calibration"]["guarantee"], "holds": False, "reason": reason}
    calibration = {**manifest["calibration"], "guarantee": guarantee}
    folder = edited(
        tiny_reference, tmp_path / "x", calibration=calibration, files=files, crops=0, ood={}, metrics={"auroc": {}}
    )
    lines = {name: text for section in model_card(folder).sections for name, text in section.lines}
    assert lines["Guarantee"] == f"no: {reason}"
    assert lines["Pictures of training images"] == "no"
    assert lines["Separation from OOD images"].startswith("not measured")


def test_metrics_have_intervals(tiny_reference, tmp_path):
    metrics = {
        "accuracy": 0.9,
        "test_images": 10,
        "accuracy_per_class": {"amber": 0.5, "moss": 1.0},
        "test_per_class": {"amber": 4},
        "alpha": 0.05,
        "false_alarms": {"nero": {"predicted": {"amber": [0, 4], "moss": [0, 6]}, "true": {"amber": [0, 10]}}},
        "auroc": {},
    }
    folder = edited(tiny_reference, tmp_path / "x", metrics=metrics)
    lines = {name: text for section in model_card(folder).sections for name, text in section.lines}
    assert lines["Accuracy on images set aside"] == "90.0 % (59.6 to 98.2 %; 10 images)"
    assert lines["Accuracy on amber"] == "50.0 % (15.0 to 85.0 %; 4 images)"
    assert lines["Accuracy on moss"] == "100.0 %"  # how many images is not known
    assert lines["False alarms of NERO, 5 % asked for"] == "0.0 % (0.0 to 27.8 %; 10 images)"
    assert lines["False alarms of NERO by the class that the network reads"] == "amber 0 of 4, moss 0 of 6"
    assert lines["False alarms of NERO by the class it is"] == "amber 0 of 10"
    folder = edited(tiny_reference, tmp_path / "few", metrics={**metrics, "alpha": 1 / 19})
    lines = {name: text for section in model_card(folder).sections for name, text in section.lines}
    assert lines["False alarms of NERO, 5.26 % asked for"] == "0.0 % (0.0 to 27.8 %; 10 images)"


def test_separation_is_the_bootstrap_of_the_stored_scores(tiny_reference):
    manifest = read_manifest(tiny_reference)
    arrays, _ = read_arrays(verify_file(tiny_reference, "fitted", manifest["files"]))
    found = separation(tiny_reference, manifest)
    assert set(found) == {(name, "strange") for name in manifest["detectors"]}
    for (detector, name), measured in found.items():
        usual, unusual = arrays[f"calibration/{detector}"], arrays[f"ood/{detector}/{name}"]
        wanted = interval(point_metrics(usual, unusual)["auroc"], bootstrap(usual, unusual)["auroc"])
        assert (measured.value, measured.low, measured.high, measured.images) == (*wanted, 41)
        assert measured.value == pytest.approx(manifest["metrics"]["auroc"][detector][name])


@given(right=st.integers(0, 60), n=st.integers(1, 60))
def test_wilson_ends_are_where_the_test_of_a_share_just_accepts(right, n):
    """The defining equation |p − p₀| = z √(p₀(1 − p₀)/n), solved by no formula of ours."""
    p = min(right, n) / n
    measured = share_of(p, n)
    assert 0 <= measured.low <= p + 1e-12
    assert p - 1e-12 <= measured.high <= 1
    for end in (measured.low, measured.high):
        assert abs(p - end) == pytest.approx(Z * math.sqrt(end * (1 - end) / n), abs=1e-7)


def test_wilson_by_hand():
    assert share_of(0.5, 4).low == pytest.approx(0.5 - 0.5 * Z / math.sqrt(4 + Z**2))


@pytest.mark.parametrize(("value", "n"), [(1.5, 10), (-0.1, 10), (float("nan"), 10), (0.5, 0)])
def test_a_share_that_is_none_is_refused(value, n):
    with pytest.raises(ArtefactError, match="share"):
        share_of(value, n)


@pytest.mark.parametrize(
    "fields",
    [
        {"training": {}},
        {"calibration": {"images": math.inf}},
        {"calibration": {}},
        {"ood": {"x": 3}},
        {"training": {"recipe": [], "per_class": 3}},
    ],
)
def test_a_manifest_of_another_shape_is_an_error_in_words(tiny_reference, tmp_path, fields):
    with pytest.raises(ArtefactError, match=r"manifest\.json, field `"):
        model_card(edited(tiny_reference, tmp_path / "x", **fields))


def test_untrusted_text_stays_text():
    nasty = "<script>x</script> [a](http://b) **c**\n# d | `e`"
    card = ModelCard(nasty, False, (Section("What it is for", ((nasty, nasty),)),))
    assert "<script>" not in page(card)
    assert "&lt;script&gt;" in page(card)
    shown = card.markdown()
    assert "<script>" not in shown
    assert "[a]" not in shown
    assert "http://" not in shown
    assert shown.count("\n# ") == 0
    assert "\\*\\*c\\*\\*" in shown


def test_a_card_is_frozen_and_the_same_each_time(tiny_reference):
    card = model_card(tiny_reference)
    assert card.markdown() == model_card(tiny_reference).markdown()
    with pytest.raises(dataclasses.FrozenInstanceError):
        card.title = "other"
    assert Measured(0.5).percent() == "50.0 %"


def test_a_file_that_is_not_listed_is_named(tiny_reference, tmp_path):
    folder = edited(tiny_reference, tmp_path / "x", files={})
    with pytest.raises(ArtefactError, match="no 'fitted' is listed"):
        separation(folder, read_manifest(folder))
    with pytest.raises(ArtefactError, match="no 'classifier' is listed"):
        training_history(folder)


def test_lines_that_two_cards_do_not_share_are_named():
    one = Section("a", (("x", "1"), ("y", "2"), ("only here", "3"), ("twice", "4"), ("twice", "5")))
    other = Section("a", (("x", "1"), ("y", "3"), ("only there", "3"), ("twice", "4")))
    assert one.unlike(other) == other.unlike(one) == {"y", "only here", "only there", "twice"}
    assert one.unlike(one) == frozenset()
