"""`benchmark`, `arrange` and `download` as a user types them, and the files they leave."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from nero_core import Reference
from nero_core.benchmark.loop import Benchmark
from nero_core.benchmark.reading import read_results
from nero_core.benchmark.tables import difference, percent
from nero_core.cli.main import main
from nero_core.data.class_folders import read_class_folders
from nero_core.data.preprocessing import Preprocessing
from nero_core.data.splits import split_for_fit
from nero_core.detectors import DETECTORS, make_detector
from nero_core.metrics import Interval
from nero_core.network.classifier import Classifier, build_classifier
from nero_core.records import TrainingRecord
from nero_core.reference.description import Card
from nero_core.reference.fit import fit_reference
from nero_core.reports.benchmark import comma_separated, markdown, page, tables
from nero_core.storage.files import digest
from tests.conftest import COLOURS, coloured_noise

FEW = ["--detectors", "nero", "energy", "knn"]


@pytest.fixture(scope="module")
def reference(tmp_path_factory, class_folders):
    """A reference holding NERO alone; of 72 pictures half are trained on, a quarter each set aside."""
    images = read_class_folders(class_folders)
    record = TrainingRecord(
        frozenset(images.digests[::2]), frozenset(images.digests[1::4]), frozenset(images.digests[3::4])
    )
    preprocessing = Preprocessing(height=64, width=64)
    network = build_classifier("resnet18", images.classes, seed=0, preprocessing=preprocessing).network
    classifier = Classifier(network, "resnet18", images.classes, preprocessing, record)
    folder = tmp_path_factory.mktemp("references") / "noise | <b>"
    parts = split_for_fit(classifier.training, images)
    fit_reference(classifier, parts, Card("Noise | <b>"), detectors={"nero": {"k": 100}}, crops=False).save(folder)
    return folder


@pytest.fixture
def run(capsys, monkeypatch, tmp_path_factory):
    """Run a command; its exit code, output and error output. Extractions are shared by the tests of this file."""
    folder = tmp_path_factory.getbasetemp() / "benchmark-cache"
    monkeypatch.setenv("NERO_CACHE", str(folder))

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
def odd(tmp_path_factory):
    """Six pictures unlike the classes, one of them unreadable."""
    folder = tmp_path_factory.mktemp("odd")
    for i in range(5):
        coloured_noise((240, 20, 230), (9, i)).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def test_one_folder_of_classes_and_some_odd_ones_are_enough(
    run, reference, class_folders, strange_folder, odd, tmp_path
):
    out = tmp_path / "out"
    arguments = ["benchmark", reference, "--id", class_folders, "--ood", f"strange={strange_folder}"]
    arguments += ["--ood", f"odd | <i>={odd}", *FEW, "--out", out]
    code, printed, told = run(*arguments)
    assert code == 1, "one image could not be read"
    assert "36 fit the detectors, 18 calibrate, 18 are scored as ID; OOD: strange 5, odd | <i> 6" in told
    assert "1 of odd | <i> could not be read and was left out: broken.png" in told
    assert "NERO" in printed
    assert "not comparable" in printed
    for path in ("report.html", "report.md", "results.csv", "results.json", "scores.safetensors", "roc.png"):
        assert f"Wrote {out / path}" in printed
        assert (out / path).stat().st_size > 100

    result = read_results(out)
    assert [row.name for row in result.detectors] == ["nero", "energy", "knn"]
    assert result.detectors[0].fitted == "by the reference"
    assert result.detectors[0].parameters["k"] == 100, "as the reference holds it"
    ref = Reference.load(reference)
    np.testing.assert_array_equal(result.scores["nero"].calibration, ref.calibrations["nero"].scores)
    command = result.provenance["command"]
    assert shlex.split(command)[:5] == ["python", "-m", "nero_core", "benchmark", str(reference)]
    again = replace(result, provenance={})
    code, _, _ = run(*shlex.split(command)[3:])
    assert replace(read_results(out), provenance={}).to_json() == again.to_json(), "the command gives the same again"

    for name, least in (("roc.png", 600), ("histograms.png", 700)):
        with Image.open(out / name) as picture:
            assert picture.width > least
    text = (out / "report.html").read_text(encoding="utf-8")
    assert "<i>" not in text.replace("odd | &lt;i&gt;", "")
    assert "Noise | &lt;b&gt;" in text
    unscripted = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    unlinked = re.sub(r'<a href="https://[^"]+">', "", unscripted)  # of the papers: followed where somebody clicks
    assert not re.search(r"src=|href=|url\(|@import", unlinked), "it opens offline"
    assert not re.search(r"<script[^>]+src=", text)
    rows = list(csv.DictReader(io.StringIO((out / "results.csv").read_text(encoding="utf-8"))))
    assert len(rows) == 3 * 3
    for row in rows:
        interval = next(each for each in result.detectors if each.name == row["detector"]).metrics[row["set"]]["auroc"]
        assert (float(row["auroc"]), float(row["auroc_low"]), float(row["auroc_high"])) == interval
    report = (out / "report.md").read_text(encoding="utf-8")
    widths = {line.count("|") - line.count("\\|") for line in report.splitlines() if line.startswith("| NERO")}
    assert widths == {5, 10}, "a bar in a name is no column (per set and differences; main table)"
    assert "<i>" not in report.partition("```")[0], "the command stands between fences, as it is typed"


def test_json_holds_the_whole_result(run, reference, class_folders, strange_folder, tmp_path):
    code, printed, _ = run(
        "benchmark", reference, "--id", class_folders, "--ood", f"s={strange_folder}", *FEW, "--out", tmp_path, "--json"
    )
    assert code == 0
    assert json.loads(printed) == json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))


def test_every_registered_detector_is_scored_or_says_why_not(run, reference, class_folders, strange_folder, tmp_path):
    names = [name for name, detector in DETECTORS.items() if "source" not in detector.info.needs]
    code, _, told = run(
        "benchmark", reference, "--id", class_folders, "--ood", f"s={strange_folder}", "--out", tmp_path,
        "--detectors", *names, "--ablate", "nero", "--no-cache",
    )  # fmt: skip
    assert code == 0
    result = read_results(tmp_path)
    assert {row.detector for row in result.detectors} == set(names)
    assert "nero[distance]" in result.scores
    for row in result.detectors:
        assert row.done or (row.reason and row.reason in told)
        if row.done:
            assert set(row.metrics) == {"s"}


def test_without_training_images_only_what_is_held_is_scored(run, reference, odd, strange_folder, tmp_path):
    code, _, told = run(
        "benchmark", reference, "--id", odd, "--ood", f"s={strange_folder}", *FEW, "--out", tmp_path
    )  # fmt: skip
    assert code == 1
    assert "only the reference's own detectors are scored" in told
    result = read_results(tmp_path)
    assert [(row.name, row.status) for row in result.detectors] == [
        ("nero", "done"),
        ("energy", "done"),
        ("knn", "refused"),
    ]
    assert "knn could not run: KNN learns from training images" in told
    assert "KNN learns from training images" in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--detectors", "nerro"], "No detector is named 'nerro'; did you mean nero"),
        (["--ablate", "msp"], "--ablate 'msp' is not known"),
        (["--ood", "nothing"], "wanted NAME=DIR"),
        (["--ood", "s=nowhere"], "nowhere does not exist"),
        (["--ood", "strange=nowhere", "--ood", "strange=nowhere"], "Two OOD sets are named 'strange'"),
        (["--protocol", "kvasir"], "did you mean kvasir-v2"),
        (["--alpha", "2"], "`alpha` is 2.0"),
        (["--id", "nowhere"], "nowhere does not exist"),
        (["--train", "nowhere"], "nowhere does not exist"),
    ],
)
def test_mistakes_are_one_line(run, reference, class_folders, strange_folder, tmp_path, monkeypatch, changes, message):
    monkeypatch.chdir(tmp_path)
    arguments = ["benchmark", reference, "--id", class_folders, "--out", "out", *changes]
    code, printed, told = run(*arguments, *([] if "--ood" in changes else ["--ood", f"s={strange_folder}"]))
    assert (code, printed) == (2, "")
    assert message in told
    assert "nero: " in told.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_a_failing_detector_does_not_take_the_others_with_it(
    run, reference, class_folders, strange_folder, tmp_path, monkeypatch, caplog
):
    def clumsy(self, *given):
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(DETECTORS["knn"], "_fit", clumsy)
    code, printed, told = run(
        "benchmark", reference, "--id", class_folders, "--ood", f"s={strange_folder}", *FEW, "--out", tmp_path
    )
    assert code == 1
    assert "knn could not run: failed with LinAlgError: Singular matrix" in told
    assert "1 of 3 detectors could not run" in printed
    assert "Singular matrix" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Traceback" in caplog.text


def test_one_ood_image_and_the_id_folder_itself(run, reference, class_folders, strange_folder, tmp_path):
    (tmp_path / "one").mkdir()
    shutil.copy(strange_folder / "0.png", tmp_path / "one")
    code, _, told = run(
        "benchmark", reference, "--id", class_folders, "--ood", f"one={tmp_path / 'one'}",
        "--ood", f"same={class_folders}", *FEW, "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 0
    assert "warning: one is one image: its figures say nothing beyond it." in told
    assert "warning: 36 of 72 images of OOD set 'same' are also among the training images" in told
    result = read_results(tmp_path / "out")
    assert result.ood_sets == ("one", "same")
    for row in result.detectors:
        assert all(np.isfinite(interval).all() for figures in row.metrics.values() for interval in figures.values())
    code, printed, _ = run(
        "benchmark", reference, "--id", class_folders, "--ood", f"one={tmp_path / 'one'}", *FEW, "--out", tmp_path / "b"
    )
    assert code == 0
    assert "NERO" in printed


def test_no_ood_image_is_refused(run, reference, class_folders, tmp_path):
    code, _, told = run("benchmark", reference, "--id", class_folders, "--out", tmp_path / "out")
    assert code == 2
    assert "There is no OOD image" in told
    (tmp_path / "empty").mkdir()
    code, _, told = run(
        "benchmark", reference, "--id", class_folders, "--ood", f"e={tmp_path / 'empty'}", "--out", tmp_path / "out"
    )
    assert code == 2
    assert "holds no images" in told


def test_ctrl_c_keeps_what_is_finished(run, reference, class_folders, strange_folder, tmp_path, monkeypatch):
    arguments = ["benchmark", reference, "--id", class_folders, "--ood", f"s={strange_folder}", *FEW, "--out", tmp_path]
    fit_and_score = Benchmark._fit_and_score

    def impatient(self, contender):
        if contender.name == "energy":
            raise KeyboardInterrupt
        return fit_and_score(self, contender)

    monkeypatch.setattr(Benchmark, "_fit_and_score", impatient)
    code, printed, told = run(*arguments)
    assert code == 130
    assert "1 of 3 detectors are finished and kept" in told
    assert "NERO" in printed
    assert list(read_results(tmp_path).scores) == ["nero"]
    monkeypatch.setattr(Benchmark, "_fit_and_score", fit_and_score)
    code, _, _ = run(*arguments)
    assert code == 0
    assert list(read_results(tmp_path).scores) == ["nero", "energy", "knn"]


def test_arrange_then_benchmark(run, class_folders, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(class_folders, data)
    code, printed, _ = run("arrange", "folders", data, "--id-classes", "amber", "moss", "--to", tmp_path / "arranged")
    assert code == 0
    assert "38 images train, 10 test, 24 are OOD" in printed
    images = read_class_folders(tmp_path / "arranged" / "train")
    record = TrainingRecord(frozenset(images.digests[::2]), frozenset(images.digests[1::2]), frozenset())
    preprocessing = Preprocessing(height=64, width=64)
    network = build_classifier("resnet18", images.classes, seed=0, preprocessing=preprocessing).network
    classifier = Classifier(network, "resnet18", images.classes, preprocessing, record)
    parts = split_for_fit(classifier.training, images)
    fit_reference(classifier, parts, Card("Two"), detectors={"nero": {}}, crops=False).save(tmp_path / "ref")
    code, printed, told = run(
        "benchmark", tmp_path / "ref", "--id", tmp_path / "arranged", *FEW, "--out", tmp_path / "b"
    )
    assert code == 0, told
    result = read_results(tmp_path / "b")
    assert result.ood_sets == ("slate",)
    assert [each.images for each in result.sets] == [19, 19, 10, 24]
    assert result.published["protocol"] == "folders"
    for more, message in (
        (["--protocol", "kvasir-v2"], "was arranged for folders, not for kvasir-v2"),
        (["--train", data], "leave out others (--train, --ood)"),
    ):
        code, _, told = run(
            "benchmark", tmp_path / "ref", "--id", tmp_path / "arranged", "--out", tmp_path / "c", *more
        )
        assert code == 2
        assert message in told
    code, _, told = run("arrange", "kvasir-v2", data, "--to", tmp_path / "k")
    assert code == 2
    assert "lacks 8 of 8 class folders" in told


def test_published_figures_stand_beside_ours(run, reference, class_folders, strange_folder, tmp_path):
    code, printed, _ = run(
        "benchmark", reference, "--id", class_folders, "--ood", f"s={strange_folder}", *FEW, "--out", tmp_path,
        "--protocol", "kvasir-v2",
    )  # fmt: skip
    assert code == 0
    shown = next(line.split() for line in printed.splitlines() if line.startswith("NERO  ") and "90.76" in line)
    assert shown[1] == "90.76"
    assert "28.84" in shown
    assert "not comparable: the classifier's classes are not those of Kvasir v2" in printed
    (table,) = [each for each in tables(read_results(tmp_path)) if each.title.startswith("Published")]
    nero = next(row for row in table.rows if row[0] == "NERO")
    assert nero[1] == "90.76"
    assert nero[2] == percent(read_results(tmp_path).detectors[0].metrics["s"]["auroc"])
    assert table.note.startswith("Not comparable: ")


def test_download_says_page_and_terms_first(run, tmp_path):
    source = tmp_path / "source.json"
    source.write_text('{"download": {"address": "http://127.0.0.1:9/x.zip"}}', encoding="utf-8")
    code, printed, told = run("download", "kvasir-v2", "--to", tmp_path / "to", "--source", source)
    assert (code, printed) == (2, "")
    assert told.index("https://datasets.simula.no/kvasir/") < told.index("Terms: ") < told.index("cannot be reached")
    code, _, told = run("download", "gastrovision", "--to", tmp_path / "to")
    assert code == 2
    assert "has no address to download from" in told


def test_numbers_as_people_read_them():
    assert percent(Interval(0.958, 0.93249, 0.9789)) == "95.8 (93.2–97.9)"
    assert percent(Interval(1, 1, 1), best=True) == "100.0 (100.0–100.0) ★ best"
    assert difference(Interval(0.031, -0.004, 0.059)) == "+3.1 (−0.4 to +5.9)"


def test_a_result_with_nothing_done_is_still_a_report(run, reference, class_folders, strange_folder, tmp_path):
    arguments = ["benchmark", reference, "--id", strange_folder, "--ood", f"s={class_folders}", "--out", tmp_path]
    code, _, told = run(*arguments, "--detectors", "knn")
    assert code == 2
    assert "no detector could run: KNN learns from training images" in told
    result = read_results(tmp_path)
    assert "Could not run" in markdown(result)
    assert "Could not run" in page(result)
    assert comma_separated(result).count("\n") == 2
    assert not (tmp_path / "roc.png").exists()
    assert len(COLOURS) == len(result.classes)


def test_scores_can_be_paired_with_their_images(run, reference, class_folders, strange_folder, tmp_path):
    """By name and hash; the scores that a reference was calibrated on are sorted, and belong to no image."""
    code, _, _ = run(
        "benchmark", reference, "--id", class_folders, "--ood", f"s={strange_folder}", *FEW, "--out", tmp_path
    )  # fmt: skip
    assert code == 0
    result = read_results(tmp_path)
    assert set(result.images) == {"calibration", "id", "ood/s"}
    lines = list(csv.DictReader(io.StringIO((tmp_path / "scores.csv").read_text(encoding="utf-8"))))
    paths = {digest(path): path for path in [*class_folders.rglob("*.png"), *strange_folder.rglob("*.png")]}
    loaded = Reference.load(reference)
    for line in (each for each in lines if each["detector"] == "energy"):
        path = paths[line["sha256"]]
        assert line["image"] == f"{path.parent.name}/{path.name}"
        activations = loaded.classifier.extract([path])
        score = make_detector("energy").fit(activations, loaded.classifier.head).score(activations)[0]
        assert float(line["score"]) == pytest.approx(score, rel=1e-4)
        assert line["predicted"] == loaded.classes[int(activations.logits[0].argmax())]
        assert line["class"] in ("", path.parent.name)
    assert {line["set"] for line in lines if line["detector"] == "energy"} == {"calibration", "id", "ood/s"}
    assert {line["set"] for line in lines if line["detector"] == "nero"} == {"id", "ood/s"}
    assert result.scores["nero"].calibration_rows is None
    assert result.scores["energy"].calibration_rows.tolist() == list(range(len(result.images["calibration"].names)))


def test_a_file_that_is_twice_in_an_ood_set_counts_once(run, reference, class_folders, strange_folder, tmp_path):
    doubled = shutil.copytree(strange_folder, tmp_path / "doubled")
    first = sorted(doubled.rglob("*.png"))[0]
    shutil.copy(first, first.with_name("again.png"))
    run("benchmark", reference, "--id", class_folders, "--ood", f"s={doubled}", *FEW, "--out", tmp_path / "out")
    result = read_results(tmp_path / "out")
    assert len(result.scores["energy"].ood["s"]) == 5
    assert any(text.startswith("1 of 6 images of OOD set 's' are the same file as another") for text in result.warnings)
