"""The command line as a user types it: what it prints, what it returns, and what it leaves behind."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from nero_core import Reference
from nero_core.cli.main import main
from nero_core.network.classifier import Classifier
from nero_core.reference.model_card import model_card
from nero_core.wording import heatmap_method


@pytest.fixture
def run(capsys):
    """Run a command; its exit code, output and error output."""

    def run(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse's own way out
            code = stop.code
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return run


def test_score_as_json_equals_the_python_api(run, tiny_reference, class_folders):
    code, out, _ = run("score", tiny_reference, class_folders, "--json")
    rows = json.loads(out)
    assert code == 0
    assert len(rows) == 72
    wanted = "path detector score percentile p_value state predicted_class probability nearest_class"
    assert set(wanted.split()) <= set(rows[0])
    ref = Reference.load(tiny_reference)
    acts = ref.classifier.extract([row["path"] for row in rows])
    np.testing.assert_allclose([row["score"] for row in rows], ref.score(acts), rtol=1e-9)
    for row, decision, e in zip(rows, ref.decide(acts), ref.explain(acts), strict=True):
        assert (row["state"], row["p_value"], row["percentile"]) == (
            decision.state,
            decision.p_value,
            decision.percentile,
        )
        assert row["nearest_class"] == e.nearest_class
        assert row["detector"] == "nero"


def test_an_unreadable_file_gets_an_error_and_the_others_a_score(run, tiny_reference, class_folders, tmp_path):
    good = next(class_folders.glob("*/*.png"))
    bad = tmp_path / "notes\n<script>.jpg"
    bad.write_text("not a picture")
    code, out, _ = run("score", tiny_reference, bad, good, tmp_path / "none.png", "--json")
    rows = json.loads(out)
    assert code == 1
    assert [row["path"] for row in rows] == [str(bad), str(good), str(tmp_path / "none.png")]
    assert ["error" in row for row in rows] == [True, False, True]
    code, out, _ = run("score", tiny_reference, bad, good)
    assert code == 1
    assert "\n<script>" not in out, "a file name must not break the table"


def test_csv_holds_the_same_rows(run, tiny_reference, class_folders, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"")
    code, out, _ = run("score", tiny_reference, tmp_path / "bad.png", next(class_folders.glob("*/*.png")), "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 1
    assert rows[0]["error"]
    assert float(rows[1]["score"]) > 0


def test_nothing_scored_is_exit_code_2_with_one_line(run, tiny_reference, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"")
    code, out, err = run("score", tiny_reference, tmp_path / "bad.png", "--json")
    assert code == 2
    assert "error" in json.loads(out)[0]
    assert err.count("\n") == 1


@pytest.mark.parametrize("alpha", ["0", "1", "-1", "nan", "0.001"])
def test_a_bad_alpha_is_one_line(run, tiny_reference, class_folders, alpha):
    code, out, err = run("score", tiny_reference, class_folders, f"--alpha={alpha}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "alpha" in err or "α" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "REF", "nowhere.png"], "none of 1 files"),
        (["score", "nowhere", "x.png"], r"No manifest.json in nowhere"),
        (["score", "REF", "x.png", "--detector", "nerro"], "no detector 'nerro'; it has nero"),
        (["explain", "REF", "nowhere.png", "--out", "o"], "nowhere.png"),
        (["fit", "nowhere", "--classifier", "none.safetensors", "--out", "o"], "none.safetensors"),
        (["train", "nowhere", "--out", "c.safetensors"], "nowhere"),
        (["explain", "REF", "x.png", "--out", "o", "--neurons", "0"], "at least 1"),
    ],
)
def test_mistakes_are_one_line(run, tiny_reference, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*[tiny_reference if argument == "REF" else argument for argument in arguments])
    assert code == 2
    assert message in err
    assert err.strip().count("\n") == 0
    assert not list(tmp_path.iterdir())


def test_explain_writes_numbers_figures_and_heatmaps(run, tiny_reference, class_folders, tmp_path):
    frame = next(class_folders.glob("*/*.png"))
    code, _, _ = run("explain", tiny_reference, frame, "--out", tmp_path / "case", "--neurons", "2")
    assert code == 0
    case = json.loads((tmp_path / "case" / "case.json").read_text())
    ref = Reference.load(tiny_reference)
    acts = ref.classifier.extract([frame])
    assert case["score"] == pytest.approx(ref.score(acts)[0], rel=1e-9)
    assert sum(case["contributions"]) == pytest.approx(case["distance"], rel=1e-9)
    assert len(case["top_neurons"]) == 2
    for name in [f"neuron-{entry['neuron']}.png" for entry in case["top_neurons"]] + ["overall.png", "image.png"]:
        with Image.open(tmp_path / "case" / name) as image:
            assert image.size == (64, 64)
    for name in ("histogram", "account", "relevance"):
        assert "https://cdn" not in (tmp_path / "case" / f"{name}.html").read_text(encoding="utf-8")[:5000]


def test_explain_writes_similar_frames(run, tiny_reference, class_folders, tmp_path):
    frame = sorted(class_folders.glob("*/*.png"))[0]  # a training image
    code, out, _ = run("explain", tiny_reference, frame, "--out", tmp_path / "case", "--neurons", "1")
    assert code == 0
    assert "Nearest by relevance: training frame, amber (similar.png, case.json)." in out
    assert "does not mean the same finding" in out
    case = json.loads((tmp_path / "case" / "case.json").read_text())
    ref = Reference.load(tiny_reference)
    activations = ref.classifier.extract([frame])
    assert set(case["similar"]) == {"relevance", "features"}
    for by, rows in case["similar"].items():
        found = ref.similar_frames(activations, by=by)
        assert [(row["kind"], row["class"]) for row in rows] == [(f.kind, f.class_name) for f in found]
        assert [row["distance"] for row in rows] == pytest.approx([f.distance for f in found], abs=1e-6)
        assert [row["percentile"] for row in rows] == [f.percentile for f in found]
    assert "similar_lacks" not in case
    with Image.open(tmp_path / "case" / "similar.png") as image:
        assert image.height > 2 * 48
        assert image.width > 8 * 48


def test_explain_says_how_a_reference_gets_similar_frames(run, tiny_reference, class_folders, tmp_path):
    bare = Reference.load(tiny_reference)
    bare.sample, bare.concepts = replace(bare.sample, read_sheet=None, trained=None), None
    bare.manifest |= {"crops": 0, "sample": {**bare.manifest["sample"], "pictures": False, "trained": 0}}
    bare.save(tmp_path / "bare")
    frame = next(class_folders.glob("*/*.png"))
    code, out, _ = run("explain", tmp_path / "bare", frame, "--out", tmp_path / "case", "--neurons", "1")
    assert code == 0
    assert "run `fit` again, without --no-crops" in out
    case = json.loads((tmp_path / "case" / "case.json").read_text())
    assert "keeps no frames" in case["similar_lacks"]
    assert "similar" not in case
    assert not (tmp_path / "case" / "similar.png").exists()


def test_every_command_has_help(run):
    for command in ("train", "fit", "score", "explain"):
        code, out, _ = run(command, "--help")
        assert code == 0
        assert "usage: nero" in out


def test_help_does_not_wait_for_torch():
    check = (
        "import sys, nero_core.cli.main as commands\n"
        "try: commands.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True)


def test_explain_by_a_chosen_method(run, tiny_reference, class_folders, tmp_path):
    frame = next(class_folders.glob("*/*.png"))
    written = {}
    for method in (None, "CRP", "EpsilonPlusFlat"):
        chosen = [] if method is None else ["--method", method]
        code, out, _ = run("explain", tiny_reference, frame, "--out", tmp_path / str(method), *chosen)
        assert code == 0
        assert f"Heatmaps by {method or 'CRP'}: " in out
        numbers = json.loads((tmp_path / str(method) / "case.json").read_text())
        assert numbers.pop("heatmap_method") == (method or "CRP")
        written[method] = numbers
        with Image.open(tmp_path / str(method) / "overall.png") as picture:
            assert picture.text["Heatmap by"] == (method or "CRP")
    assert written[None] == written["CRP"]
    for own, other in zip(
        written["CRP"].pop("top_neurons"), written["EpsilonPlusFlat"].pop("top_neurons"), strict=True
    ):
        assert own.pop("heatmap_sum") == pytest.approx(other.pop("heatmap_sum"), rel=1e-3)
        assert own == other
    for numbers in (written["CRP"], written["EpsilonPlusFlat"]):
        assert numbers.pop("why")["cover_test"]["before"] == numbers["score"]
        assert numbers.pop("concepts"), "these and why are of the maps"
    assert written["CRP"] == written["EpsilonPlusFlat"], "the verdict is the detector's, whatever shows where"


def test_explain_by_a_method_of_one_map(run, tiny_reference, class_folders, tmp_path):
    frame = next(class_folders.glob("*/*.png"))
    code, out, _ = run(
        "explain", tiny_reference, frame, "--out", tmp_path / "x", "--method", "SmoothGrad", "--neurons", 2
    )
    assert code == 0
    assert "one map of the whole answer, overall.png, and none of neurons" in out
    assert not list((tmp_path / "x").glob("neuron-*.png"))
    numbers = json.loads((tmp_path / "x" / "case.json").read_text())
    assert len(numbers["top_neurons"]) == 2
    assert "heatmap_sum" not in numbers["top_neurons"][0]


def test_explain_warns_of_maps_not_to_be_leant_on(run, tiny_reference, class_folders, tmp_path, monkeypatch):
    from nero_core.attribution.zennit_crp import CompositePass

    monkeypatch.setattr(CompositePass, "caution", property(lambda self: "Relevance grew."))
    frame = next(class_folders.glob("*/*.png"))
    code, _, err = run("explain", tiny_reference, frame, "--out", tmp_path / "x", "--method", "EpsilonGammaBox")
    assert code == 0
    assert "warning: Relevance grew." in err
    assert json.loads((tmp_path / "x" / "case.json").read_text())["heatmap_caution"] == "Relevance grew."


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("LRP", "no method 'LRP'; choose one of CRP"),
        ("conservative propagation", "nothing that conservative propagation"),
    ],
)
def test_explain_by_a_method_that_is_not_there(run, tiny_reference, class_folders, tmp_path, method, said):
    frame = next(class_folders.glob("*/*.png"))
    code, _, err = run("explain", tiny_reference, frame, "--out", tmp_path / "x", "--method", method)
    assert code == 2
    assert said in err


def test_train_fit_score(run, class_folders, strange_folder, tmp_path):
    checkpoint, reference = tmp_path / "c.safetensors", tmp_path / "ref"
    code, out, err = run("train", class_folders, "--out", checkpoint, "--epochs", 1, "--json")
    assert code == 0, err
    counts, per_class = json.loads(out)["images"], json.loads(out)["per_class"]
    # α = 0.05 needs 19 of each class, of which half of 24 less the test images can be had.
    assert per_class == {key: {"train": 12, "calibration": 10, "test": 2} for key in ("amber", "moss", "slate")}
    assert counts == {"train": 36, "calibration": 30, "test": 6}
    code, out, err = run(
        "fit",
        class_folders,
        "--classifier",
        checkpoint,
        "--out",
        reference,
        "--no-crops",
        "--ood",
        f"odd={strange_folder}",
        "--faithfulness",
        1,
    )
    assert code == 0, err
    assert "pictures of training images inside: no" in out
    for name in per_class:
        assert f"{name}: 12 train, 10 calibration, 2 test" in err
        assert f"note: {name} has 10 calibration images, and α = 0.05 needs 19" in err
    ref = Reference.load(reference)
    assert ref.concepts is None
    assert not (reference / "concepts").exists()
    assert len(ref.calibrations["nero"]) == counts["calibration"]
    assert len(ref.ood_scores["nero"]["odd"]) == 5
    assert ref.manifest["training"]["images"] == counts["train"]
    assert ref.manifest["heatmaps"]["images"] == 1
    *methods, random = ref.manifest["heatmaps"]["methods"]
    assert random["method"] == "random order"
    assert "heatmaps, tested on 1 calibration image" in out
    for row in methods:
        assert f"{heatmap_method(row['method'])}: gain {100 * row['gain']:+.1f} points over a random order" in out
    assert ref.manifest["split"]["per_class"] == per_class
    assert ref.calibrations["nero"].guarantee.holds
    code, out, _ = run("score", reference, strange_folder, "--json", "--alpha", "0.3")
    assert code == 0
    for row in json.loads(out):
        of_class = ref.calibrations["nero"].of(ref.classes.index(row["predicted_class"]))
        assert row["guaranteed"] == of_class.guarantee.holds
        assert row["no_guarantee_because"] == of_class.guarantee.reason


def test_a_network_is_trained_at_the_size_and_crop_that_are_asked_for(run, class_folders, tmp_path):
    checkpoint = tmp_path / "c.safetensors"
    code, _, err = run("train", class_folders, "--out", checkpoint, "--epochs", 1, "--size", "48x64", "--crop", "none")
    assert code == 0, err
    preprocessing = Classifier.load(checkpoint).preprocessing
    assert (preprocessing.height, preprocessing.width, preprocessing.crop_share) == (48, 64, None)
    code, _, err = run("train", class_folders, "--out", tmp_path / "d.safetensors", "--crop", "most")
    assert code == 2
    assert "crop is 'most'; wanted a number" in err


def test_calibrating_on_seen_images_is_said_aloud(run, class_folders, tmp_path, tiny_reference):
    ref = Reference.load(tiny_reference)
    ref.classifier.training = None
    ref.classifier.save(tmp_path / "foreign.safetensors")
    options = [
        "fit",
        class_folders,
        "--classifier",
        tmp_path / "foreign.safetensors",
        "--out",
        tmp_path / "ref",
        "--no-crops",
    ]
    code, _, err = run(*options)
    assert code == 2
    assert "--calibration-seen" in err
    code, out, err = run(*options, "--calibration-seen")
    assert code == 0
    assert "No guarantee" in err
    assert "false-alarm guarantee: no" in out
    code, out, _ = run("score", tmp_path / "ref", class_folders / "moss")
    assert code == 0
    assert "No guarantee" in out


def test_weights_of_ones_own_are_fitted_as_they_are(run, class_folders, tmp_path):
    """A state dict from elsewhere, wrapped for several devices, whose last layer has one output per class folder."""
    from nero_core.network.classifier import build_classifier

    names = sorted(folder.name for folder in class_folders.iterdir())
    own = build_classifier("resnet10t", names, seed=3).network.state_dict()
    torch.save({f"module.{name}": tensor for name, tensor in own.items()}, tmp_path / "own.pth")
    options = ["fit", class_folders, "--classifier", tmp_path / "own.pth", "--out", tmp_path / "ref", "--no-crops"]
    code, _, err = run(*options, "--calibration-seen")
    assert code == 2
    assert "own.pth was not written by `train`; say whose weights it holds, such as --arch resnet18." in err
    code, _, err = run(*options, "--arch", "resnet10t")
    assert code == 2
    assert "--calibration-seen" in err
    code, _, err = run(*options, "--calibration-seen", "--arch", "resnet18")
    assert code == 2
    assert "own.pth does not fit this network" in err
    code, _, err = run(*options, "--calibration-seen", "--arch", "resnet10t")
    assert (code, "No guarantee" in err) == (0, True)
    fitted = Reference.load(tmp_path / "ref").classifier
    assert list(fitted.classes) == names
    assert all(torch.equal(tensor, own[name]) for name, tensor in fitted.network.state_dict().items())


@pytest.fixture
def own(class_folders, tmp_path):
    """Weights from elsewhere that tell the classes apart, and the options to fit them."""
    from nero_core.data.class_folders import read_class_folders
    from nero_core.network.classifier import build_classifier

    images = read_class_folders(class_folders)
    trained = build_classifier("resnet10t", images.classes, seed=3)
    features = trained.extract(images.paths).features
    weight, *_ = np.linalg.lstsq(np.c_[features, np.ones(len(features))], np.eye(len(images.classes))[images.labels])
    weights = trained.network.state_dict()
    weights |= {"fc.weight": torch.from_numpy(weight[:-1].T).float(), "fc.bias": torch.from_numpy(weight[-1]).float()}
    torch.save(weights, tmp_path / "own.pth")
    options = ["fit", class_folders, "--classifier", tmp_path / "own.pth", "--arch", "resnet10t", "--calibration-seen"]
    return [*options, "--no-crops", "--detectors", "nero", "--out", tmp_path / "ref"]


def test_how_images_are_prepared_for_weights_of_ones_own_is_shown_and_set(run, own, tmp_path):
    code, out, _ = run(*own)
    assert code == 0
    assert "how images are prepared:" in out
    assert "input of the network: 176 × 176 pixels (guessed from the architecture, as timm has it)" in out
    assert "nobody gave size, mean, std, interpolation, crop: if it was trained otherwise" in out
    cfg = {"pretrained_cfg": {"input_size": [3, 40, 48], "mean": [0.5, 0.5, 0.5], "crop_pct": 0.9}}
    (tmp_path / "config.json").write_text(json.dumps(cfg))
    given = ["--pretrained-cfg", tmp_path / "config.json", "--size", "32x40", "--std", "0.25", "0.2", "0.1"]
    code, out, _ = run(*own, *given, "--json")
    assert code == 0
    manifest = json.loads(out)
    assert manifest["preprocessing"] == {
        "height": 32,
        "width": 40,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.2, 0.1],
        "interpolation": "bicubic",
        "crop_share": 0.9,
    }
    assert manifest["preprocessing_origins"] == {
        "size": "given",
        "mean": "given by its pretrained_cfg",
        "std": "given",
        "interpolation": "guessed from the architecture, as timm has it",
        "crop": "given by its pretrained_cfg",
    }
    fitted = Reference.load(tmp_path / "ref").classifier.preprocessing
    assert (fitted.height, fitted.width, fitted.mean, fitted.crop_share) == (32, 40, (0.5, 0.5, 0.5), 0.9)
    lines = {name: text for section in model_card(tmp_path / "ref").sections for name, text in section.lines}
    assert lines["Input of the network"] == "32 × 40 pixels (given)"
    assert lines["Interpolation"] == "bicubic (guessed from the architecture, as timm has it)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "big"], "The size is 'big'"),
        (["--mean", "0.5", "0.5"], "one number for each of three colour channels"),
        (["--crop", "middle"], "crop is 'middle'"),
        (["--interpolation", "lanczos"], "wanted 'bilinear' or 'bicubic'"),
        (["--pretrained-cfg", "none.json"], "check the path"),
    ],
)
def test_settings_that_are_not_understood_are_refused(run, own, options, message):
    code, _, err = run(*own, *options)
    assert code == 2
    assert message in err


def test_accuracy_per_class_is_said_for_weights_of_ones_own(run, own, tmp_path):
    code, out, _ = run(*own)
    assert code == 0
    metrics = Reference.load(tmp_path / "ref").manifest["metrics"]
    whole = f"accuracy {metrics['calibration_accuracy']:.3f} on the calibration images, the images of the fit (seen):"
    assert whole in out
    assert metrics["calibration_accuracy"] > 0.9
    for name, value in metrics["calibration_accuracy_per_class"].items():
        assert f"{name}: {value:.3f} of {metrics['calibration_per_class'][name]}" in out
    assert metrics["warnings"] == []
    assert "warning:" not in out
    lines = dict(line for section in model_card(tmp_path / "ref").sections for line in section.lines)
    assert lines["Accuracy on the calibration images, the images of the fit (seen)"].endswith("72 images)")
    assert lines["Accuracy on moss"].endswith("24 images)")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[[1, 2, 0]], "outputs 0, 1, 2, taken for amber, moss, slate, seem to be moss, slate, amber."),
        (lambda rows: rows * 0, "not better than chance"),
    ],
)
def test_outputs_that_are_other_classes_or_none_are_warned_of(run, own, tmp_path, change, message):
    weights = torch.load(tmp_path / "own.pth", weights_only=True)
    weights |= {key: change(weights[key]) for key in ("fc.weight", "fc.bias")}
    torch.save(weights, tmp_path / "own.pth")
    code, out, _ = run(*own)
    assert code == 0
    (warning,) = Reference.load(tmp_path / "ref").manifest["metrics"]["warnings"]
    assert message in warning
    assert f"warning: {warning}" in out
    assert ("Warning", warning) in [line for s in model_card(tmp_path / "ref").sections for line in s.lines]


def test_settings_for_a_file_that_records_its_own_are_refused(run, class_folders, tmp_path, tiny_reference):
    Reference.load(tiny_reference).classifier.save(tmp_path / "ours.safetensors")
    options = ["--classifier", tmp_path / "ours.safetensors", "--size", "32", "--out", tmp_path / "ref"]
    code, _, err = run("fit", class_folders, *options)
    assert code == 2
    assert "says itself how its images are prepared" in err


def test_an_architecture_for_a_file_that_names_its_own_is_refused(run, class_folders, tmp_path, tiny_reference):
    Reference.load(tiny_reference).classifier.save(tmp_path / "ours.safetensors")
    options = ["--classifier", tmp_path / "ours.safetensors", "--arch", "resnet18", "--out", tmp_path / "ref"]
    code, _, err = run("fit", class_folders, *options)
    assert code == 2
    assert "leave out --arch" in err


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_one_line(run, tiny_reference, strange_folder, monkeypatch, name):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    code, out, err = run("score", tiny_reference, strange_folder, "--device", name)
    assert (code, out) == (2, "")
    assert f"This machine has no device '{name}' that PyTorch can use; choose cpu." in err
