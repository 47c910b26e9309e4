"""One guarantee, worked out once: the same words in every verdict, row, report, card and file."""

from __future__ import annotations

import csv
import io
import json
import shutil

import numpy as np
import pytest

from nero_core import Reference
from nero_core.benchmark.reading import read_results
from nero_core.cli.main import main
from nero_core.data.class_folders import read_class_folders
from nero_core.data.images import read_image
from nero_core.data.near_duplicates import difference_hash
from nero_core.data.seen import CALIBRATED_ON, TRAINED_ON
from nero_core.data.splits import CALIBRATED_ON_SEEN
from nero_core.reference.manifest import read_manifest
from nero_core.reference.model_card import model_card
from tests.conftest import write_class_folders
from tests.references import ALPHA, fitted, halves_record, telling_classifier
from tests.scenes import save_again

UNSEEN_WORDS = "known to be unseen"


@pytest.fixture(scope="module")
def images(class_folders):
    return read_class_folders(class_folders)


@pytest.fixture(scope="module")
def checkpoint(images, tmp_path_factory):
    """A classifier that was trained on half of the pictures; the others are set aside."""
    file = tmp_path_factory.mktemp("classifier") / "c.safetensors"
    telling_classifier(images, halves_record(images)).save(file)
    return file


@pytest.fixture(scope="module")
def new_folder(tmp_path_factory):
    """Pictures that nothing has seen, eight of each class."""
    return write_class_folders(tmp_path_factory.mktemp("new") / "id", 8, seed=41)


@pytest.fixture
def run(capsys, monkeypatch, tmp_path_factory):
    """Run a command; its exit code, output and error output."""
    monkeypatch.setenv("NERO_CACHE", str(tmp_path_factory.getbasetemp() / "promises-cache"))

    def run(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def seen_reference(images, tmp_path_factory):
    """Path of a reference that was calibrated on the images of its fit."""
    folder = tmp_path_factory.mktemp("references") / "seen"
    fitted(telling_classifier(images, halves_record(images)), images, calibration_seen=True).save(folder)
    return folder


@pytest.fixture(scope="module")
def unseen_reference(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("references") / "unseen"
    fitted(telling_classifier(images, halves_record(images)), images).save(folder)
    return folder


# A benchmark ------------------------------------------------------------------------------------------------------


def benchmark(run, reference, class_folders, strange_folder, new_folder, out, *detectors):
    """What was printed, and everything written that can be read as text."""
    arguments = ["benchmark", reference, "--id", new_folder, "--train", class_folders, "--ood", f"odd={strange_folder}"]
    arguments += ["--detectors", *detectors, "--alpha", ALPHA, "--out", out]
    code, printed, told = run(*arguments)
    assert code == 0, told
    texts = {path.name: path.read_text(encoding="utf-8") for path in out.iterdir() if path.suffix in {".md", ".html"}}
    return printed, texts, read_results(out)


def test_a_reference_calibrated_on_seen_images_is_never_called_unseen(
    run, seen_reference, class_folders, strange_folder, new_folder, tmp_path
):
    printed, texts, result = benchmark(
        run, seen_reference, class_folders, strange_folder, new_folder, tmp_path / "out", "nero", "energy"
    )
    assert all(row.fitted == "by the reference" for row in result.detectors)
    for row in result.detectors:
        assert (row.calibration.guaranteed, row.calibration.no_guarantee_because) == (False, CALIBRATED_ON_SEEN)
    for text in (printed, *texts.values(), *result.warnings):
        assert UNSEEN_WORDS not in text
    for text in (printed, texts["report.md"], texts["report.html"]):
        assert CALIBRATED_ON_SEEN in text
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "results.csv").read_text(encoding="utf-8"))))
    assert {(row["guaranteed"], row["no_guarantee_because"]) for row in rows} == {("False", CALIBRATED_ON_SEEN)}


def test_each_row_carries_its_own_calibration(run, seen_reference, class_folders, strange_folder, new_folder, tmp_path):
    """What the reference holds keeps the reference's; what is fitted here is calibrated on the images set aside."""
    printed, texts, result = benchmark(
        run, seen_reference, class_folders, strange_folder, new_folder, tmp_path / "out", "nero", "knn"
    )
    nero, knn = result.detectors
    assert (nero.calibration.guaranteed, nero.calibration.images) == (False, 36)
    assert (knn.calibration.guaranteed, knn.calibration.images, knn.calibration.no_guarantee_because) == (True, 36, "")
    assert knn.calibration.by_class
    assert result.promises() == [
        f"The calibration images are {UNSEEN_WORDS} by the classifier ({knn.title}): the bound on false alarms holds "
        "on average over sets of calibration images.",
        f"No guarantee ({nero.title}): {CALIBRATED_ON_SEEN}.",
    ]
    for sentence in result.promises():
        assert sentence in printed
        assert sentence in texts["report.md"].replace("\\", "")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "results.csv").read_text(encoding="utf-8"))))
    told = {(row["detector"], row["guaranteed"], row["no_guarantee_because"]) for row in rows}
    assert told == {("nero", "False", CALIBRATED_ON_SEEN), ("knn", "True", "")}


def test_false_alarms_are_counted_by_predicted_and_by_true_class(
    run, unseen_reference, class_folders, strange_folder, new_folder, tmp_path
):
    """A slow twin: every new image against the calibration images of its predicted class."""
    _, _, result = benchmark(
        run, unseen_reference, class_folders, strange_folder, new_folder, tmp_path / "out", "nero", "knn"
    )
    reference = Reference.load(unseen_reference)
    new = read_class_folders(new_folder)
    predicted = reference.classifier.extract(new.paths).logits.argmax(axis=1)
    calibration = reference.calibrations["nero"]
    flags = []
    for score, label in zip(result.scores["nero"].id, predicted, strict=True):
        own = calibration.scores[calibration.predicted == label]
        assert len(own) >= 9
        flags.append((1 + (own >= score - 1e-4 * abs(score)).sum()) / (len(own) + 1) <= ALPHA)
    flags = np.array(flags)
    nero = result.detectors[0]
    for kind, labels in (("predicted", predicted), ("true", new.labels)):
        wanted = {
            name: (int(flags[labels == place].sum()), int((labels == place).sum()))
            for place, name in enumerate(new.classes)
        }
        assert {name: tuple(counts) for name, counts in nero.false_alarms[kind].items()} == wanted
    assert nero.flagged["id"] == flags.mean()


def test_copies_among_calibration_images_of_a_benchmark(
    run, unseen_reference, images, class_folders, strange_folder, new_folder, tmp_path
):
    """--calibration with training frames saved again: left out, counted, and no row promises anything by them."""
    own = write_class_folders(tmp_path / "own", 15, seed=51)
    for path in images.paths[::2][:12]:
        save_again(path, own / path.parent.name, "jpeg 95")
    arguments = ["benchmark", unseen_reference, "--id", new_folder, "--train", class_folders, "--calibration", own]
    arguments += ["--ood", f"odd={strange_folder}", "--detectors", "nero", "knn", "--alpha", ALPHA]
    code, printed, told = run(*arguments, "--out", tmp_path / "out")
    assert code == 0, told
    nero, knn = read_results(tmp_path / "out").detectors
    assert nero.calibration.guaranteed, "its own images set aside"
    assert not knn.calibration.guaranteed
    assert "12 of 57 calibration images (21%)" in knn.calibration.no_guarantee_because
    assert "12 images that were to calibrate take no part" in told
    assert f"No guarantee ({knn.title}): 12 of 57 calibration images" in printed
    assert knn.calibration.images == 45


def test_what_calibrates_a_reference_is_not_scored_as_ordinary(run, images, strange_folder, new_folder, tmp_path):
    """Calibrated on a folder of one's own, which then is given as ID: its false alarms were α by construction."""
    own = write_class_folders(tmp_path / "own", 12, seed=61)
    reference = fitted(telling_classifier(images, halves_record(images)), images, calibration=read_class_folders(own))
    reference.save(tmp_path / "ref")
    for path in new_folder.rglob("*.png"):
        shutil.copy(path, own / path.parent.name / f"new-{path.name}")
    save_again(own / "amber" / "000.png", own / "amber", "jpeg 95")
    arguments = ["benchmark", tmp_path / "ref", "--id", own, "--ood", f"odd={strange_folder}", "--detectors", "nero"]
    code, _, told = run(*arguments, "--alpha", ALPHA, "--out", tmp_path / "out")
    assert code == 0, told
    assert next(each.images for each in read_results(tmp_path / "out").sets if each.role == "id") == 24
    assert "37 of 61 ID images left look nearly like images that train or calibrate" in told
    code, _, told = run(*arguments[:3], write_class_folders(tmp_path / "again", 12, seed=61), *arguments[4:],
                        "--alpha", ALPHA, "--out", tmp_path / "none")  # fmt: skip
    assert code == 2
    assert "All 36 ID images were used to train or to calibrate, or look nearly like those that were" in told


# Every place says the same ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["set aside", "seen", "unknown", "copies"])
def test_every_place_says_the_same(run, images, checkpoint, class_folders, new_folder, tmp_path, kind):
    options = ["--alpha", ALPHA, "--no-crops", "--detectors", "nero"]
    file = checkpoint
    if kind == "seen":
        options += ["--calibration-seen"]
    elif kind == "unknown":
        file = tmp_path / "foreign.safetensors"
        telling_classifier(images).save(file)
        options += ["--calibration", write_class_folders(tmp_path / "own", 15, seed=51)]
    elif kind == "copies":
        own = write_class_folders(tmp_path / "own", 12, seed=51)
        for path in images.paths[::2][:6]:
            save_again(path, own / path.parent.name, "jpeg 95")
        options += ["--calibration", own]
    folder = tmp_path / "ref"
    code, out, err = run("fit", class_folders, "--classifier", file, "--out", folder, *options, "--json")
    assert code == 0, err
    guarantee = json.loads(out)["calibration"]["guarantee"]
    holds, reason = guarantee["holds"], guarantee["reason"]
    assert holds == (kind == "set aside")
    assert bool(reason) != holds
    assert ("No guarantee" in err) != holds
    assert not reason or reason in err

    assert read_manifest(folder)["calibration"]["guarantee"] == guarantee
    reference = Reference.load(folder)
    assert all(each.guarantee.reason == reason for each in reference.calibrations.values())
    card = {name: text for section in model_card(folder).sections for name, text in section.lines}
    assert card["Guarantee"].startswith("yes: ") if holds else card["Guarantee"] == f"no: {reason}"

    frame = new_folder / "amber" / "000.png"
    (decision,) = reference.decide(reference.classifier.extract([frame]), alpha=ALPHA)
    assert (decision.guaranteed, decision.no_guarantee_because) == (holds, reason)
    _, out, _ = run("score", folder, frame, "--alpha", ALPHA, "--json")
    (row,) = json.loads(out)
    assert (row["guaranteed"], row["no_guarantee_because"]) == (holds, reason)
    _, out, _ = run("score", folder, frame, "--alpha", ALPHA, "--csv")
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["guaranteed"], row["no_guarantee_because"]) == (str(holds), reason)
    _, out, _ = run("score", folder, frame, "--alpha", ALPHA)
    assert ("No guarantee" in out) != holds
    assert not reason or f"No guarantee for 1 of 1: {reason}." in out
    run("explain", folder, frame, "--alpha", ALPHA, "--out", tmp_path / "case", "--neurons", 1)
    case = json.loads((tmp_path / "case" / "case.json").read_text(encoding="utf-8"))
    assert (case["guaranteed"], case["no_guarantee_because"]) == (holds, reason)


# An image that was seen -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["same file", "jpeg 75", "jpeg 95", "resized"])
def test_a_scored_image_that_was_trained_on_says_so(run, unseen_reference, images, new_folder, tmp_path, how):
    trained, aside, new = images.paths[0], images.paths[1], new_folder / "amber" / "000.png"
    files = [path if how == "same file" else save_again(path, tmp_path / "copies", how) for path in (trained, aside)]
    _, out, _ = run("score", unseen_reference, *files, new, "--alpha", ALPHA, "--json")
    rows = json.loads(out)
    assert [(row["guaranteed"], row["no_guarantee_because"]) for row in rows] == [
        (False, TRAINED_ON), (False, CALIBRATED_ON), (True, "")
    ]  # fmt: skip
    _, out, _ = run("score", unseen_reference, *files, new, "--alpha", ALPHA)
    assert f"No guarantee for 1 of 3: {TRAINED_ON}." in out
    run("explain", unseen_reference, files[0], "--alpha", ALPHA, "--out", tmp_path / "case", "--neurons", 1)
    case = json.loads((tmp_path / "case" / "case.json").read_text(encoding="utf-8"))
    assert case["no_guarantee_because"] == TRAINED_ON
    reference = Reference.load(unseen_reference)
    hashes = np.array([difference_hash(read_image(file)) for file in (*files, new)], dtype=np.uint64)
    decisions = reference.decide(reference.classifier.extract([*files, new]), alpha=ALPHA, hashes=hashes)
    assert [each.guaranteed for each in decisions] == [False, False, True]


def test_a_classifier_of_an_earlier_version_knows_no_looks(run, images, class_folders, tmp_path, new_folder):
    """Its record holds no hashes. They are computed from its folder; without it nothing is promised."""
    file = tmp_path / "earlier.safetensors"
    telling_classifier(images, halves_record(images, hashed=False)).save(file)
    own = write_class_folders(tmp_path / "own", 12, seed=51)
    options = ["--classifier", file, "--alpha", ALPHA, "--no-crops", "--detectors", "nero", "--json"]
    code, out, err = run("fit", class_folders, *options, "--out", tmp_path / "whole")
    assert code == 0, err
    assert json.loads(out)["calibration"]["guarantee"]["holds"]
    _, out, _ = run("score", tmp_path / "whole", images.paths[0], "--alpha", ALPHA, "--json")
    assert json.loads(out)[0]["no_guarantee_because"] == TRAINED_ON
    code, out, _ = run("fit", new_folder, *options, "--calibration", own, "--out", tmp_path / "elsewhere")
    assert code == 0
    described = json.loads(out)
    assert not described["calibration"]["guarantee"]["holds"]
    assert (
        "not known how the images that the network was trained on look"
        in (described["calibration"]["guarantee"]["reason"])
    )
    assert not described["training"]["looks_known"]
