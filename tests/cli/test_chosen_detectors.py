"""Detectors on the command line: which network can have them is known at once, and names swallow no folder."""

from __future__ import annotations

import json

import pytest

from nero_core.cli.main import main
from nero_core.data.class_folders import read_class_folders
from nero_core.data.preprocessing import Preprocessing
from nero_core.network.classifier import build_classifier
from tests.conftest import write_class_folders


@pytest.fixture
def run(capsys):
    """Runs one command; gives exit code and both streams."""

    def command(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return command


@pytest.fixture(scope="module")
def checkpoint(class_folders, tmp_path_factory):
    """A small network of one kind, with random weights."""

    def written(architecture, side):
        path = tmp_path_factory.mktemp("network") / f"{architecture}.safetensors"
        classes = read_class_folders(class_folders).classes
        preprocessing = Preprocessing(height=side, width=side)
        build_classifier(architecture, classes, seed=0, preprocessing=preprocessing).save(path)
        return path

    return written


@pytest.fixture(scope="module")
def residual(checkpoint):
    return checkpoint("test_resnet", 32)


@pytest.fixture
def nothing_is_read(monkeypatch):
    """Fails where a command begins to look at images."""

    def looked(*arguments, **named):
        raise AssertionError("images were looked at before the detectors were refused")

    monkeypatch.setattr("nero_core.data.splits.split_for_fit", looked)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rankfeat", "RankFeat reads the map before global pooling, and this network has none"),
        ("nap", "NAP reads `peaks`, which this network does not give"),
        ("nerro", "No detector is named 'nerro'; did you mean nero"),
    ],
)
@pytest.mark.usefixtures("nothing_is_read")
def test_what_a_network_cannot_have_is_refused_at_once(run, checkpoint, class_folders, tmp_path, name, said):
    network = checkpoint("test_vit", 160)
    code, _, told = run(
        "fit", class_folders, "--classifier", network, "--calibration-seen", "--out", tmp_path / "ref", "--detectors",
        "nero", name,
    )  # fmt: skip
    assert code == 2
    assert said in told
    assert not (tmp_path / "ref").exists()


def fitted(run, network, out, *arguments):
    """The detectors of the reference that a command line fits."""
    code, _, error = run(
        "fit", "--classifier", network, "--calibration-seen", "--no-crops", "--out", out, "--json", *arguments
    )
    assert code == 0, error
    return sorted(json.loads((out / "manifest.json").read_text())["detectors"])


@pytest.mark.parametrize(
    "written",
    [
        ["--detectors", "msp", "knn", "DATA"],
        ["DATA", "--detectors", "msp", "knn"],
        ["--detectors", "msp,knn", "DATA"],
        ["DATA", "--detectors", "msp,", "knn"],
        ["--detectors", "msp", "knn", "--marginal", "DATA"],
    ],
    ids=" ".join,
)
def test_names_of_detectors_swallow_no_folder(run, residual, class_folders, tmp_path, written):
    arguments = [class_folders if word == "DATA" else word for word in written]
    assert fitted(run, residual, tmp_path / "ref", *arguments) == ["knn", "msp"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (["--detectors", "msp", "knn"], "DATA is missing"),
        (["--detectors", "DATA"], "--detectors names none"),
        ([], "DATA is missing"),
        (["DATA", "--detectors", "msp", "DATA"], "No detector is named"),
    ],
)
@pytest.mark.usefixtures("nothing_is_read")
def test_a_folder_that_is_missing_is_asked_for(run, residual, class_folders, tmp_path, written, said):
    arguments = [class_folders if word == "DATA" else word for word in written]
    code, _, told = run("fit", "--classifier", residual, "--out", tmp_path / "ref", *arguments)
    assert code == 2
    assert said in told
    assert told.strip().count("\n") == 0


def test_a_benchmark_finds_its_reference_behind_the_names(run, tiny_reference, class_folders, strange_folder, tmp_path):
    unseen = write_class_folders(tmp_path / "unseen", 4, seed=7)
    options = ["--id", unseen, "--train", class_folders, "--ood", f"strange={strange_folder}", "--no-cache"]
    options += ["--out", tmp_path / "out"]
    code, _, told = run("benchmark", *options, "--detectors", "msp,energy", tiny_reference)
    assert code == 0, told
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["detectors"]
    assert [row["name"] for row in rows] == ["msp", "energy"]
    code, _, told = run("benchmark", *options, "--detectors", "msp", "energy")
    assert code == 2
    assert "REF is missing" in told
