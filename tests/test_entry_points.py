"""What other installed packages add, and what happens when one of them is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nero_core.entry_points import PlugInWarning, load_entry_points
from tests.plug_in import OCCLUSION, install

GROUP = "nero.heatmaps"


@pytest.fixture
def without_leavings():
    """The registry of heatmap methods, put back as it was."""
    from nero_core.attribution import METHODS

    methods = dict(METHODS)
    yield METHODS
    METHODS.clear()
    METHODS.update(methods)
    for name in [name for name in sys.modules if name.partition(".")[0] == "squares"]:
        del sys.modules[name]


def test_an_installed_package_adds_a_heatmap_method(tmp_path, monkeypatch, without_leavings):
    assert "occlusion" not in without_leavings
    monkeypatch.syspath_prepend(install(tmp_path, "squares", GROUP, {"occlusion": OCCLUSION}))
    assert load_entry_points(GROUP) == ["occlusion"]
    assert without_leavings["occlusion"].meaning.startswith("how far")
    assert load_entry_points("nero.detectors") == []


def test_a_broken_package_is_named_and_the_others_load(tmp_path, monkeypatch, without_leavings):
    broken = {"broken": "raise ZeroDivisionError('one over nought')", "occlusion": OCCLUSION}
    monkeypatch.syspath_prepend(install(tmp_path, "squares", GROUP, broken))
    with pytest.warns(PlugInWarning, match=r"'broken', which squares adds to nero\.heatmaps.*one over nought") as told:
        assert load_entry_points(GROUP) == ["occlusion"]
    assert len(told) == 1


def test_a_title_that_is_taken_is_named(tmp_path, monkeypatch, without_leavings):
    own = without_leavings["CRP"]
    other = OCCLUSION.replace('title = "occlusion"', 'title = "CRP"')
    monkeypatch.syspath_prepend(install(tmp_path, "squares", GROUP, {"crp": other}))
    with pytest.warns(PlugInWarning, match="There is a heatmap method 'CRP' already"):
        assert load_entry_points(GROUP) == []
    assert without_leavings["CRP"] is own


def test_the_command_line_and_the_comparison_know_an_added_method(tmp_path, tiny_reference, class_folders):
    """In a process of its own, as somebody who has installed the package has it."""
    install(tmp_path / "site", "squares", GROUP, {"occlusion": OCCLUSION, "broken": "raise ValueError('nothing')"})
    frame = next(class_folders.glob("*/*.png"))
    root = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(tmp_path / "site")])}

    def run(*words):
        arguments = [sys.executable, "-m", "nero_core", *map(str, words)]
        return subprocess.run(arguments, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = run("explain", tiny_reference, frame, "--out", tmp_path / "case", "--method", "occlusion")
    assert done.returncode == 0, done.stderr
    assert "Heatmaps by occlusion: how far the answer falls" in done.stdout
    assert "'broken', which squares adds to nero.heatmaps, was left out" in done.stderr
    assert json.loads((tmp_path / "case" / "case.json").read_text())["heatmap_method"] == "occlusion"

    done = run("faithfulness", tiny_reference, frame, "--out", tmp_path / "true", "--methods", "all")
    assert done.returncode == 0, done.stderr
    compared = [row["method"] for row in json.loads((tmp_path / "true" / "faithfulness.json").read_text())["summary"]]
    assert {"CRP", "EpsilonPlusFlat", "SmoothGrad", "occlusion"} < set(compared)
