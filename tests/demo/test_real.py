"""The bundled reference of real frames: it says whose they are and what for, holds no picture, can be made again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nero_core import Reference
from nero_core.case import open_case
from nero_core.cli.main import main
from nero_core.data.class_folders import list_images
from nero_core.data.images import read_image
from nero_core.demo import real
from nero_core.errors import InputError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundled():
    return Reference.load(real.BUNDLED_REAL)


@pytest.fixture(scope="module")
def frames(class_folders, tmp_path_factory):
    """Folders of the two names, with noise in them: every third picture is to calibrate."""
    data = tmp_path_factory.mktemp("frames")
    for name, source in zip(real.CLASSES, ("amber", "moss"), strict=True):
        for number, path in enumerate(sorted((class_folders / source).iterdir())):
            folder = data / "id" / ("train" if number % 3 else "test") / name
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder)
    return data


def quiet(*_):
    return lambda done, total: None


def test_it_says_whose_frames_it_is_made_of_and_what_for(bundled):
    assert not bundled.synthetic
    assert sorted(bundled.classes) == sorted(real.CLASSES)
    card = bundled.manifest
    assert "Auto-WCEBleedGen" in card["image_source"]
    assert card["licence"].startswith("CC BY 4.0")
    assert "does not find bleeding" in card["known_failures"]
    assert "calibrate it" in card["intended_use"]
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    assert "Auto-WCEBleedGen" in notice
    assert "creativecommons.org/licenses/by/4.0" in notice


def test_it_holds_no_picture(bundled):
    assert bundled.manifest["crops"] == 0
    assert not bundled.manifest["sample"]["pictures"]
    assert {path.suffix for path in real.BUNDLED_REAL.rglob("*") if path.is_file()} == {".safetensors", ".json"}


def test_its_weights_are_of_half_precision_and_it_is_small(bundled):
    for tensor in bundled.classifier.network.state_dict().values():
        if tensor.is_floating_point():
            assert bool((tensor.half().float() == tensor).all())
    assert sum(path.stat().st_size for path in real.BUNDLED_REAL.rglob("*")) < 32 * 2**20


def test_its_guarantee_is_for_its_own_frames(bundled):
    guarantee = bundled.calibrations[bundled.deciding].guarantee
    assert guarantee.holds
    assert min(bundled.manifest["metrics"]["calibration_per_class"].values()) >= 50


def test_capsule_frames_are_usual_to_it_and_colonoscopy_is_not(bundled, gi_real):
    def flagged(name, count):
        paths = list_images(gi_real / "id" / "test" / name)[:count]
        states = [open_case(bundled, read_image(path)).decide(0.05).state for path in paths]
        return np.mean([state == "out-of-distribution" for state in states])

    assert flagged("colon-polyp", 12) >= 0.9


def test_it_is_made_again_by_one_command(frames, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(real, "FAITHFULNESS_IMAGES", 0)
    assert main(["demo", "--real", str(frames), "--out", str(tmp_path / "capsule"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == real.CARD.title
    rebuilt = Reference.load(tmp_path / "capsule")
    assert rebuilt.classifier.architecture == "tf_efficientnet_lite0"
    assert rebuilt.manifest["training"]["recipe"]["trained"] == "head"


def test_folders_that_are_not_there_are_named(tmp_path):
    with pytest.raises(InputError, match="capsule-bleeding and capsule-normal"):
        real.fit_real(tmp_path, quiet, quiet)


def test_rendered_scenes_are_no_part_of_it(tmp_path, capsys):
    assert main(["demo", "--real", str(tmp_path), "--scenes", str(tmp_path / "s"), "--out", str(tmp_path / "r")]) == 2
    assert "leave them out with --real" in capsys.readouterr().err
