"""docs/extending.md: the package that it shows is built, installed into a folder, and used."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import write_class_folders

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```\w+\n# (\S+)\n(.*?)```", re.DOTALL)
MENUS = """
import sys
from streamlit.testing.v1 import AppTest
page = AppTest.from_file(sys.argv[1], default_timeout=120).run()
page.switch_page("pages/benchmark.py").run()
page.segmented_control(key="benchmark-source").set_value("new").run()
page.segmented_control(key="benchmark-choice").set_value("some").run()
assert not page.exception
print(page.multiselect(key="benchmark-detectors").options)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which pip has installed the package of the document."""
    source, site = tmp_path_factory.mktemp("darkness"), tmp_path_factory.mktemp("site")
    blocks = BLOCK.findall((ROOT / "docs" / "extending.md").read_text(encoding="utf-8"))
    assert [name for name, _ in blocks] == ["pyproject.toml", "darkness/quiet.py", "darkness/brightness.py"]
    for name, text in blocks:
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text(text, encoding="utf-8")
    (source / "darkness" / "__init__.py").touch()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(site), str(source)], check=True)
    return site


@pytest.fixture(scope="module")
def run(installed, tmp_path_factory):
    """A command in a process of its own, as somebody who has installed the package has it."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(installed)])}

    def run(*words, **more):
        done = subprocess.run(
            [sys.executable, *map(str, words)], env=environment | more, cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


def test_the_detector_is_listed_scored_and_compared(run, tiny_reference, class_folders, strange_folder, tmp_path):
    unseen = write_class_folders(tmp_path / "unseen", 8, seed=1)
    assert "| `quiet` | Quiet |" in run("-m", "nero_core", "detectors", "--markdown")
    run(
        "-m", "nero_core", "benchmark", tiny_reference, "--id", unseen, "--train", class_folders,
        "--ood", f"s={strange_folder}",
        "--detectors", "nero", "quiet", "--out", tmp_path / "out", "--no-cache",
    )  # fmt: skip
    rows = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["detectors"]
    assert [(row["name"], row["status"]) for row in rows] == [("nero", "done"), ("quiet", "done")]


def test_the_heatmap_is_drawn_and_compared(run, tiny_reference, class_folders, tmp_path):
    frame = next(class_folders.glob("*/*.png"))
    told = run(
        "-m", "nero_core", "explain", tiny_reference, frame, "--out", tmp_path / "case", "--method", "brightness"
    )
    assert "Heatmaps by brightness: how bright each pixel is" in told
    run(
        "-m", "nero_core", "faithfulness", tiny_reference, frame, "--out", tmp_path / "true",
        "--methods", "CRP", "brightness",
    )  # fmt: skip
    summary = json.loads((tmp_path / "true" / "faithfulness.json").read_text(encoding="utf-8"))["summary"]
    assert {"CRP", "brightness"} <= {row["method"] for row in summary}


def test_the_menu_offers_it(run, tiny_reference, tmp_path):
    options = run(
        "-c", MENUS, ROOT / "app.py", NERO_REFERENCES=str(tiny_reference.parent), NERO_ALLOW_BUILD="1",
        XDG_DATA_HOME=str(tmp_path),
    )  # fmt: skip
    assert "Quiet" in options


def test_the_document_is_short():
    blocks = BLOCK.findall((ROOT / "docs" / "extending.md").read_text(encoding="utf-8"))
    assert sum(len([line for line in text.splitlines() if line.strip()]) for _, text in blocks) <= 40
