"""Twenty patients through every command: each ends on one side, and what straddles takes no part."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nero_core import Reference
from nero_core.benchmark.reading import read_results
from nero_core.cli.main import main
from nero_core.data.listing import read_images
from nero_core.jobs.builds import BUILD, BuildRequest, submit
from nero_core.jobs.job import list_jobs
from nero_core.jobs.queue import run_queue
from nero_core.network.classifier import Classifier
from nero_core.storage.files import digest
from tests.conftest import COLOURS, coloured_noise

PATIENTS, EACH, ALPHA = 20, 6, 0.3
"""α = 0.3 needs three independent images of a class."""


def write_patients(folder, first=0, patients=PATIENTS):
    """Class folders with a folder per patient; every fifth patient has images of both classes."""
    names = list(COLOURS)[:2]
    for number in range(first, first + patients):
        for image in range(EACH):
            name = names[image % 2 if number % 5 == 0 else number % 2]
            place = folder / name / f"p{number}"
            place.mkdir(parents=True, exist_ok=True)
            coloured_noise(COLOURS[name], (number, image)).save(place / f"{image}.png")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_patients(tmp_path_factory.mktemp("patients") / "id")


@pytest.fixture(scope="module")
def classifier_file(data, tmp_path_factory):
    """Trained by the command with --group."""
    file = tmp_path_factory.mktemp("trained") / "c.safetensors"
    options = ["--out", str(file), "--arch", "test_resnet", "--epochs", "1", "--alpha", str(ALPHA), "--group", "1"]
    assert main(["train", str(data), *options]) == 0
    return file


@pytest.fixture
def run(capsys, monkeypatch, tmp_path_factory):
    """Run a command; its exit code, output and error output."""
    monkeypatch.setenv("NERO_CACHE", str(tmp_path_factory.getbasetemp() / "patients-cache"))

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return run


def patient_of(data):
    images = read_images(data, group="1")
    return dict(zip(images.digests, images.groups, strict=True))


def sides_of(record, data):
    """The patients of each part of a training record."""
    of = patient_of(data)
    return [{of[key] for key in part} for part in (record.train, record.calibration, record.test)]


def on_one_side_each(sides):
    return sum(map(len, sides)) == len(set.union(*sides))


def test_train_keeps_patients_together(data, classifier_file):
    record = Classifier.load(classifier_file).training
    sides = sides_of(record, data)
    assert on_one_side_each(sides)
    assert len(set.union(*sides)) == PATIENTS
    assert all(sides)
    assert record.groups == {key: digest(name.encode()) for key, name in patient_of(data).items()}
    assert "p1" not in json.dumps(dict(record.groups)), "names of patients are not kept"
    assert record.recipe["group"] == "1"


def test_without_groups_patients_straddle(run, data, tmp_path):
    """What --group is for: 20 of 20 patients end on more than one side. Given later, most images take no part."""
    file = tmp_path / "c.safetensors"
    code, out, _ = run("train", data, "--out", file, "--arch", "test_resnet", "--epochs", 1, "--alpha", ALPHA, "--json")
    assert code == 0
    assert set(json.loads(out)["per_class"]) == {"amber", "moss"}
    sides = sides_of(Classifier.load(file).training, data)
    assert not on_one_side_each(sides)
    options = ["fit", data, "--classifier", file, "--no-crops", "--detectors", "energy", "--alpha", ALPHA]
    code, out, err = run(*options, "--out", tmp_path / "ref", "--json")
    assert json.loads(out)["calibration"]["guarantee"]["holds"], "nobody said which images are of one patient"
    code, out, err = run(*options, "--out", tmp_path / "grouped", "--group", 1, "--json")
    if code == 2:
        assert "All " in err
        assert "or are of the same group" in err
    else:
        guarantee = json.loads(out)["calibration"]["guarantee"]
        assert not guarantee["holds"]
        assert guarantee["dropped"] > 5
        assert f"{guarantee['dropped']} images that were to calibrate take no part" in err


@pytest.fixture(scope="module")
def reference(data, classifier_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("references") / "patients"
    options = ["--classifier", str(classifier_file), "--out", str(folder), "--no-crops", "--alpha", str(ALPHA)]
    assert main(["fit", str(data), *options, "--detectors", "energy", "nero", "--group", "1"]) == 0
    return folder


def test_fit_calibrates_on_patients_that_did_not_train(data, reference, classifier_file):
    loaded = Reference.load(reference)
    record = loaded.classifier.training
    train, aside, _ = sides_of(record, data)
    assert not train & aside
    calibration = loaded.calibrations["nero"]
    assert calibration.guarantee.dropped == 0
    assert len(calibration) == len(record.calibration)
    assert calibration.group_count == len(aside) == loaded.manifest["calibration"]["groups"]
    assert loaded.manifest["split"]["grouped"]
    assert loaded.manifest["training"]["groups"] == sorted(digest(name.encode()) for name in train)


def test_what_the_record_knows_of_patients_need_not_be_said_again(run, data, classifier_file, reference, tmp_path):
    """Fitted without --group: the images set aside are of few patients all the same."""
    options = ["--classifier", classifier_file, "--out", tmp_path / "ref", "--no-crops", "--alpha", ALPHA, "--json"]
    code, out, err = run("fit", data, *options, "--detectors", "energy")
    assert code == 0, err
    assert json.loads(out)["calibration"] == Reference.load(reference).manifest["calibration"]
    assert json.loads(out)["split"]["grouped"]


def test_a_benchmark_resamples_patients(run, data, reference, strange_folder, tmp_path):
    arguments = ["benchmark", reference, "--id", data, "--ood", f"odd={strange_folder}", "--detectors", "nero"]
    arguments += ["--alpha", ALPHA]
    untold = Reference.load(reference)
    old = untold.classifier
    bare = replace(old.training, groups={})
    untold.classifier = Classifier(old.network, old.architecture, old.classes, old.preprocessing, bare)
    untold.save(tmp_path / "untold")
    code, _, err = run("benchmark", tmp_path / "untold", *arguments[2:], "--out", tmp_path / "plain")
    assert code == 0, err
    plain = read_results(tmp_path / "plain")
    assert not plain.grouped
    assert any("--group" in text for text in plain.warnings)
    for number, picture in enumerate(sorted(strange_folder.glob("*.png"))):
        place = tmp_path / "odd" / f"q{number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        (place / picture.name).write_bytes(picture.read_bytes())
    grouped_arguments = [f"odd={tmp_path / 'odd'}" if str(each).startswith("odd=") else each for each in arguments]
    code, _, err = run(*grouped_arguments, "--group", 1, "--out", tmp_path / "grouped")
    assert code == 0, err
    grouped = read_results(tmp_path / "grouped")
    assert grouped.grouped
    assert "--group 1" in grouped.provenance["command"]
    one, other = (each.detectors[0].metrics["odd"]["auroc"] for each in (plain, grouped))
    assert one.value == other.value
    assert (one.low, one.high) != (other.low, other.high)


def test_calibrate_leaves_out_patients_that_trained(run, data, reference, tmp_path):
    """Other images of five patients who trained, and of fifteen new ones: more than a twentieth, so no promise."""
    train, _, _ = sides_of(Reference.load(reference).classifier.training, data)
    numbers = sorted(int(name[1:]) for name in train)[:5]
    own = write_patients(tmp_path / "own", first=100, patients=15)
    options = ["--alpha", ALPHA, "--group", 1, "--json"]
    code, out, err = run("calibrate", reference, own, "--out", tmp_path / "new", *options)
    assert code == 0, err
    assert json.loads(out)["guarantee"]["holds"]
    assert json.loads(out)["groups"] == 15
    for number in numbers:
        place = own / "amber" / f"p{number}"
        place.mkdir(parents=True)
        for image in range(2):
            coloured_noise(COLOURS["amber"], (500, number, image)).save(place / f"{image}.png")
    code, out, err = run("calibrate", reference, own, "--out", tmp_path / "mixed", *options)
    assert code == 0, err
    guarantee = json.loads(out)["guarantee"]
    assert (guarantee["dropped"], guarantee["holds"]) == (10, False)
    code, out, _ = run("calibrate", reference, own, "--out", tmp_path / "untold", "--alpha", ALPHA, "--json")
    assert json.loads(out)["guarantee"]["holds"], "without --group nobody can tell"


def test_the_app_builds_by_patients(data, tmp_path):
    request = BuildRequest("Patients", str(data), "test_resnet", epochs=1, alpha=ALPHA, side=32, group="1")
    submit(tmp_path, request)
    run_queue(tmp_path, BUILD)
    (job,) = list_jobs(tmp_path, BUILD)
    assert (job.state.stage, job.state.error) == ("done", None)
    loaded = Reference.load(job.result)
    assert on_one_side_each(sides_of(loaded.classifier.training, data))
    assert loaded.manifest["split"]["grouped"]
    assert loaded.calibrations["nero"].group_count == loaded.manifest["calibration"]["groups"]


def test_a_manifest_says_it_all(run, data, tmp_path):
    """The same images by a CSV: its column keeps patients together, and its parts are kept to."""
    images = read_images(data, group="1")
    lines = ["path,label,group,split"]
    for path, label, patient in zip(images.paths, images.labels, images.groups, strict=True):
        part = {0: "calibration", 1: "test"}.get(int(patient[1:]) % 4, "")
        lines.append(f"{path.relative_to(data).as_posix()},{images.classes[label]},{patient},{part}")
    file = data / "images.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    checkpoint = tmp_path / "c.safetensors"
    code, _, err = run("train", file, "--out", checkpoint, "--arch", "test_resnet", "--epochs", 1, "--alpha", ALPHA)
    assert code == 0, err
    train, aside, tested = sides_of(Classifier.load(checkpoint).training, data)
    assert on_one_side_each([train, aside, tested])
    assert {name for name in images.groups if int(name[1:]) % 4 == 0} <= aside
    assert {name for name in images.groups if int(name[1:]) % 4 == 1} <= tested
    code, out, err = run(
        "fit", file, "--classifier", checkpoint, "--out", tmp_path / "ref", "--no-crops", "--alpha", ALPHA,
        "--detectors", "energy", "--json",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["calibration"]["groups"] == len(aside)
    assert json.loads(out)["calibration"]["guarantee"]["dropped"] == 0
