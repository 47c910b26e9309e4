"""docs/lesson.ipynb: it runs from top to bottom, and what it prints is what the core says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from ipykernel.kernelspec import write_kernel_spec

from nero_core.attribution import Attribution
from nero_core.attribution.faithfulness import CELLS, with_shuffled_weights
from nero_core.attribution.regions import cell_means, rank_correlation
from nero_core.data.images import read_image
from nero_core.demo.rendered import BUNDLED
from nero_core.lesson.frames import BUNDLED_FRAMES, read_frames
from nero_core.lesson.plane import plane_of
from nero_core.lesson.readings import read_all
from nero_core.lesson.small_network import SmallNetwork, work_out
from nero_core.lesson.steps import STEPS
from nero_core.lesson.threshold import bundled_scores
from nero_core.reference.reference import Reference

NOTEBOOK = Path(__file__).parents[1] / "docs" / "lesson.ipynb"
PATIENCE = 900  # seconds on a busy machine; nothing is asserted about time
EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=None, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The notebook after it ran in the interpreter of the tests; apart from them, since its sockets end with it."""
    folder = tmp_path_factory.mktemp("notebook")
    write_kernel_spec(folder / "kernels" / "python3")
    places = dict.fromkeys(("JUPYTER_PATH", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR"), str(folder))
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, NOTEBOOK, folder / "ran.ipynb"],
        cwd=NOTEBOOK.parent,
        env=os.environ | places,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return nbformat.read(folder / "ran.ipynb", as_version=4)


@pytest.fixture(scope="module")
def printed(ran):
    """All that it prints, in one string."""
    outputs = [output for cell in ran.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error"] == []
    return "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")


@pytest.fixture(scope="module")
def bundled():
    return Reference.load(BUNDLED)


@pytest.fixture(scope="module")
def frames():
    return read_frames()


def caught(frames):
    frame = next(frame for frame in frames.predict if frame.role == "caught")
    return read_image((BUNDLED_FRAMES / frame.file).read_bytes())


def test_no_outputs_are_kept_in_git():
    code = [cell for cell in notebook().cells if cell.cell_type == "code"]
    assert code
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []


def test_it_is_a_valid_notebook_without_a_path():
    nbformat.validate(notebook())
    assert not re.search(r"/(home|root|Users|work|tmp)/", NOTEBOOK.read_text(encoding="utf-8"))


def test_it_has_every_step_with_an_exercise_that_asks():
    texts = [cell.source for cell in notebook().cells if cell.cell_type == "markdown"]
    for number, step in enumerate(STEPS, start=1):
        assert any(text.startswith(f"## {number}. {step.title}") for text in texts)
    exercises = [text for text in texts if text.startswith("**Exercise.**")]
    assert len(exercises) == len(STEPS)
    assert all(re.search(r"\*[^*]+\?\*$", text, re.DOTALL) for text in exercises)


def test_it_needs_no_streamlit():
    assert "streamlit" not in NOTEBOOK.read_text(encoding="utf-8").lower()


def test_every_step_but_the_words_shows_a_picture(ran):
    shown = [
        output for cell in ran.cells for output in cell.get("outputs", ()) if "image/png" in output.get("data", {})
    ]
    assert len(shown) == len(STEPS)


def test_steps_1_and_6_are_the_core_s(printed, bundled, frames):
    first, sixth = read_all(bundled, frames.sure_and_wrong), read_all(bundled, frames.predict)
    sure = [reading for reading in first if reading.confidence >= 0.95]
    assert f"{len(sure)} of {len(first)} answers are at least 95 % sure." in printed
    assert f"{sum(not reading.frame.known for reading in sure)} of these show" in printed
    assert f"go together in {sum(reading.together for reading in sixth)} of {len(sixth)}." in printed


def test_step_2_is_the_core_s(printed):
    found = work_out(SmallNetwork())
    by_hand, by_core = re.findall(r"by (?:hand|the core): +(\[[^]]+\] \S+)", printed)
    assert by_hand == by_core == f"{found.relevance.round(4)} {round(found.bias_relevance, 4)}"
    assert f"The sum is {found.total:.6f}." in printed


def test_step_3_is_the_core_s(printed, bundled, frames):
    plane = plane_of(bundled)
    _, terms = plane.place(bundled.classifier.extract([caught(frames)]))
    assert f"{plane.share:.0%} of the variance; there are {plane.components}." in printed
    said = float(re.search(r"In all of them: score (\S+)", printed)[1])
    assert said == pytest.approx(terms.score[0], abs=2e-4)


@pytest.mark.parametrize("name", ["nero", "panel"])
def test_step_4_is_the_core_s(printed, bundled, name):
    scored = bundled_scores(bundled, name)
    counts = scored.counts(0.05)
    assert (
        f"{scored.title}: {counts.false_alarms} of {counts.ordinary} ordinary images flagged, "
        f"{counts.missed_in_all} of {counts.unusual} unusual ones missed."
    ) in printed


def test_step_5_is_the_core_s(printed, bundled, frames):
    frame = next(frame for frame in frames.predict if frame.role == "ordinary")
    picture = read_image((BUNDLED_FRAMES / frame.file).read_bytes())
    [score] = bundled.score(bundled.classifier.extract([picture]), "nero")
    before, after = map(float, re.search(r"most blur: (\S+) (\S+)", printed).groups())
    assert before == pytest.approx(score, abs=2e-4)
    assert after != before


def test_step_7_is_the_core_s(printed, bundled, frames):
    image, own = bundled.classifier.prepare(caught(frames)), bundled.attribution
    other = Attribution(with_shuffled_weights(bundled.classifier, 0), own.method)
    maps = [cell_means(method.open(image).overall(), CELLS) for method in (own, other)]
    said = float(re.search(r"rank correlation of the two maps (\S+)", printed)[1])
    assert said == pytest.approx(rank_correlation(*maps), abs=0.01)


def test_it_ends_with_what_to_take_home(printed):
    assert printed.endswith("\n".join(f"{i}. {step.take_home}" for i, step in enumerate(STEPS, start=1)) + "\n")
