"""The References page: list, inspect, choose, carry and build, as a person does."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from nero_core.jobs.builds import BUILD, BuildRequest, submit
from nero_core.jobs.job import JOBS, State, list_jobs, write_state
from nero_core.jobs.queue import run_queue
from nero_core.reference.export import export_reference
from nero_core.reference.manifest import list_references
from nero_core.reference.model_card import model_card
from nero_core.reference.reference import Reference
from nero_core.reports.model_card import table
from nero_core.storage.locks import trying_lock
from pages.benchmark_views import results
from pages.reference_views import asking, starting
from pages.shared import resources, session, watching
from pages.shared.words import plain
from tests.app.conftest import ROOT, words_of
from tests.conftest import write_class_folders

PAGE = "pages/references.py"
HISTORY = ({"epoch": 1.0, "loss": 1.2, "train_accuracy": 0.5, "test_accuracy": 0.4},)


@pytest.fixture
def home(tmp_path, tiny_reference, monkeypatch):
    """A folder of one reference that new ones are written to; the queue's process is never started."""
    folder = tmp_path / "references"
    folder.mkdir()
    shutil.copytree(tiny_reference, folder / "coloured-noise")
    never = SimpleNamespace(Popen=lambda *a, **k: pytest.fail("a queue was started"))
    monkeypatch.setattr("nero_core.jobs.queue.subprocess", never)
    monkeypatch.setattr("pages.shared.watching.start_queue", lambda home, kind: None)
    return folder


@pytest.fixture
def page(open_app, monkeypatch, home):
    """The References page of one session."""
    monkeypatch.setenv("NERO_REFERENCES", str(home))
    session = open_app()
    session.switch_page(PAGE)
    return session.run()


def tables_of(page):
    """The tables of a model card, as they stand on the page."""
    return [each.proto.body for each in page.get("html") if each.proto.body.startswith("<table")]


def open_view(page, view):
    page.segmented_control(key="view").set_value(view).run()
    assert not page.exception
    return page


@pytest.fixture
def asked(class_folders):
    return BuildRequest("Mine <b>", str(class_folders), "resnet18", epochs=1, alpha=0.1, side=32)


def test_the_card_of_the_reference_in_use_is_shown(page, home):
    assert not page.exception
    text = words_of(page)
    assert "Coloured noise" in text
    for heading in ("What it is for", "What a flag promises", "How well it does", "What is inside"):
        assert heading in text
    assert tables_of(page) == [table(section).strip() for section in model_card(home / "coloured-noise").sections]


def test_two_references_side_by_side_with_what_differs_marked(page, home, tiny_reference):
    other = Reference.load(tiny_reference)
    other.manifest["title"], other.manifest["licence"] = "Another", "CC0"
    other.save(home / "another")
    page.run()
    shown = next(box for box in page.selectbox if box.label == "Beside it")
    assert shown.value is None
    assert len(shown.options) == 1, "not itself"
    shown.set_value(str(home / "another" if shown.options == ["Another"] else home / "coloured-noise")).run()
    assert not page.exception
    tables = tables_of(page)
    assert len(tables) == 2 * len(model_card(home / "another").sections)
    marked = [each.split("</th>")[0] for each in "".join(tables).split("≠ ")[1:]]
    assert [name.partition(",")[0] for name in marked] == ["Licence of the images"] * 2 + [
        "SHA-256 of the manifest"
    ] * 2
    assert {each for each in ("CC0", "Apache-2.0") for part in tables[:2] if each in part} == {"CC0", "Apache-2.0"}
    assert re.search(r"\*\*2 of \d+ lines differ\*\*", words_of(page))
    assert "Another" in [caption.value for caption in page.caption]


def test_one_reference_has_none_to_stand_beside_it(page):
    assert "Beside it" not in [box.label for box in page.selectbox]
    assert "≠" not in "".join(tables_of(page))


def test_a_broken_one_is_listed_with_its_reason(page, home):
    (home / "broken").mkdir()
    (home / "broken" / "manifest.json").write_text("{}")
    page.run()
    assert not page.exception
    assert "Cannot be used" in words_of(page)


def test_choosing_another_one(page, home, tiny_reference):
    shutil.copytree(tiny_reference, home / "another")
    page.run()
    shown = words_of(page)
    assert "Coloured noise \\(another\\)" in shown, "those of one title are told apart"
    assert "Coloured noise \\(coloured\\-noise\\)" in shown
    before = page.session_state[session.ENTRY].path
    next(button for button in page.button if button.label == "Use").click().run()
    assert not page.exception
    assert page.session_state[session.ENTRY].path != before


def test_no_reference_at_all_says_what_to_do(page, home):
    shutil.rmtree(home / "coloured-noise")
    page.run()
    assert not page.exception
    assert "No reference on this computer yet" in words_of(page)


def test_a_file_is_verified_and_added(page, home):
    file = io.BytesIO()
    export_reference(home / "coloured-noise", file)
    open_view(page, "From a file")
    page.file_uploader(key="import-file").upload("Taken along.zip", file.getvalue()).run()
    page.button(key="import").click().run()
    assert not page.exception
    said = " ".join(s.value for s in page.success)
    assert "was added: unchanged since it was made; who made it is not checked" in said
    assert [e.path.name for e in list_references([home])] == ["coloured-noise", "taken-along"]
    page.button(key="use-added").click().run()
    assert page.session_state[session.ENTRY].path.name == "taken-along"


@pytest.mark.parametrize("data", [b"no zip", b"PK\x03\x04 half"])
def test_a_file_that_is_refused_says_why_and_leaves_nothing(page, home, data):
    open_view(page, "From a file")
    page.file_uploader(key="import-file").upload("x.zip", data).run()
    page.button(key="import").click().run()
    assert not page.exception
    assert len(page.error) == 1
    assert [path.name for path in home.iterdir()] == ["coloured-noise"]


def test_an_empty_form_says_what_is_missing(page, home):
    open_view(page, "Build one")
    page.button(key="build").click().run()
    assert not page.exception
    assert "No images yet" in page.error[0].value
    assert list_jobs(home, BUILD) == []


def test_the_form_becomes_a_job(page, home, class_folders):
    open_view(page, "Build one")
    page.text_input(key="build-title").set_value("Mine")
    page.text_input(key="build-images").set_value(str(class_folders))
    page.text_input(key="build-source").set_value("our clinic")
    page.select_slider(key="build-alpha").set_value(10)
    page.number_input(key="build-epochs").set_value(3)
    page.text_input(key="build-unusual").set_value(str(class_folders / "moss"))
    page.checkbox(key="build-faithfulness").uncheck()
    page.button(key="build").click().run()
    assert not page.exception
    (job,) = list_jobs(home, BUILD)
    assert job.request == BuildRequest(
        "Mine",
        str(class_folders),
        "resnet18",
        epochs=3,
        image_source="our clinic",
        alpha=0.1,
        unusual=str(class_folders / "moss"),
    )
    assert not job.request.crops, "consent is asked for, never assumed"
    assert "Waiting" in words_of(page)
    page.button(key="cancel-000001").click().run()
    assert "Stopped before anything was done" in words_of(page)
    assert [button.label for button in page.button if button.key == "resume-000001"] == ["Start"]
    page.button(key="remove-000001").click().run()
    assert list_jobs(home, BUILD) == []


def test_an_interrupted_build_shows_its_curves_and_goes_on(page, home, asked):
    folder = submit(home, asked)
    write_state(folder, State("training", history=HISTORY, notes=("a <b>note</b>",)))
    open_view(page, "Build one")
    assert "Interrupted" in words_of(page)
    page.button(key="resume-000001").click().run()
    assert not page.exception
    assert list_jobs(home, BUILD)[0].state.stage == "waiting"


def test_an_error_stands_at_its_button_and_hides_no_build(page, home, asked):
    submit(home, asked)
    open_view(page, "Build one")
    page.button(key="build").click().run()
    assert "No images yet" in page.error[0].value
    assert "Waiting" in words_of(page)


def test_a_build_that_was_asked_to_stop_says_so(page, home, asked):
    folder = submit(home, asked)
    with trying_lock(home / JOBS / BUILD.lock):
        state = State("training", what="Epoch 2/3", done=15, total=30, seconds_left=1.2, notes=("one",))
        write_state(folder, state)
        open_view(page, "Build one")
        assert "Training" in words_of(page)
        assert "**Stop this build?** What was done so far is kept, and it can go on later" in words_of(page)
        page.button(key="cancel-000001").click().run()
        assert not page.exception
        assert "Stopping" in words_of(page)
        assert not [button for button in page.button if button.label in ("Stop it", "Remove")]


def test_a_zip_and_a_checkpoint_are_uploaded(page, home, class_folders):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        for path in class_folders.rglob("*.png"):
            target.write(path, path.relative_to(class_folders).as_posix())
    open_view(page, "Build one")
    page.text_input(key="build-title").set_value("Mine")
    page.segmented_control(key="build-given").set_value(asking.ZIP)
    page.segmented_control(key="build-how").set_value(starting.FIT).run()
    page.file_uploader(key="build-zip").upload("all.zip", packed.getvalue())
    page.file_uploader(key="build-weights-file").upload("../w.pt", b"weights")
    page.checkbox(key="build-seen").check().run()
    page.button(key="build").click().run()
    assert not page.exception
    (job,) = list_jobs(home, BUILD)
    assert job.request == BuildRequest(
        "Mine", epochs=0, weights="weights.pt", calibration_seen=True, faithfulness=asking.HEATMAPS_MEASURED_ON
    )
    assert (job.folder / "images.zip").read_bytes() == packed.getvalue()
    assert (job.folder / "weights.pt").read_bytes() == b"weights"


def test_a_build_starts_from_the_weights_of_imagenet(page, home, class_folders):
    open_view(page, "Build one")
    page.text_input(key="build-title").set_value("Mine")
    page.text_input(key="build-images").set_value(str(class_folders))
    page.segmented_control(key="build-how").set_value(starting.PRETRAINED).run()
    assert not [each for each in page.text_input if each.key == "build-weights"], "one start, not two"
    assert "fetched from its makers" not in words_of(page)
    page.selectbox(key="build-pretrained-network").set_value("resnet18").run()
    assert "fetched from its makers" in words_of(page)
    page.selectbox(key="build-pretrained-network").set_value("tf_efficientnet_lite0").run()
    page.button(key="build").click().run()
    assert not page.exception
    (job,) = list_jobs(home, BUILD)
    asked = job.request
    assert (asked.architecture, asked.pretrained, asked.frozen) == ("tf_efficientnet_lite0", True, True)
    page.checkbox(key="build-frozen").uncheck().run()
    page.number_input(key="build-epochs").set_value(3).run()
    page.button(key="build").click().run()
    assert sorted((job.request.frozen, job.request.epochs) for job in list_jobs(home, BUILD)) == [(False, 3), (True, 1)]


def test_how_images_are_prepared_is_shown_and_set_for_a_checkpoint_that_is_brought(page, home, class_folders):
    open_view(page, "Build one")
    assert not [each for each in page.text_input if each.key == "build-mean"], "nothing is brought yet"
    page.text_input(key="build-title").set_value("Mine")
    page.text_input(key="build-images").set_value(str(class_folders))
    page.segmented_control(key="build-how").set_value(starting.FIT).run()
    page.file_uploader(key="build-weights-file").upload("w.pt", b"weights").run()
    assert not page.exception
    shown = words_of(page)
    assert plain("Input of the network: 224 × 224 pixels (assumed, as is usual with ImageNet)") in shown
    page.number_input(key="build-side").set_value(96)
    page.text_input(key="build-mean").set_value("0.5 0.5").run()
    assert "one number for each of three colour channels" in page.error[0].value
    page.text_input(key="build-mean").set_value("0.5, 0.4, 0.3")
    cfg = json.dumps({"pretrained_cfg": {"std": [0.2, 0.2, 0.2], "mean": [0, 0, 0], "crop_pct": 0.9}})
    page.file_uploader(key="build-pretrained-cfg").upload("config.json", cfg.encode()).run()
    shown = words_of(page)
    assert plain("Input of the network: 96 × 96 pixels (given)") in shown
    assert plain("Mean of the channels: 0.5, 0.4, 0.3 (given)") in shown
    assert plain("Crop: centre, 0.9 of the shorter side (given by its pretrained_cfg)") in shown
    page.button(key="build").click().run()
    assert not page.exception
    (job,) = list_jobs(home, BUILD)
    asked = (job.request.side, job.request.mean, job.request.std, job.request.crop, job.request.pretrained_cfg)
    assert asked == (96, "0.5, 0.4, 0.3", "", "", cfg)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "about 1 second"),
        (89, "about 89 seconds"),
        (91, "about 2 minutes"),
        (5300, "about 88 minutes"),
        (7300, "about 2 hours"),
    ],
)
def test_a_duration_in_words(seconds, said):
    assert watching.duration(seconds) == said


def test_a_failed_build_says_why(page, home, asked):
    folder = submit(home, asked)
    write_state(folder, State("failed", error="Too few *images*."))
    (folder / "classifier.resume.safetensors").write_bytes(bytes(3 * 2**20))
    open_view(page, "Build one")
    assert "Too few" in page.error[0].value
    assert "until you **remove** it: what was asked, what was learned so far (3.0 MB)" in words_of(page)
    page.button(key="remove-000001").click().run()
    assert list_jobs(home, BUILD) == []
    assert not folder.exists()


def test_metrics_are_seen_before_it_can_be_used(page, home, asked):
    submit(home, asked)
    run_queue(home, BUILD)
    open_view(page, "Build one")
    assert "Accuracy on images set aside" in tables_of(page)[1]
    page.button(key="publish-000001").click().run()
    assert not page.exception
    assert page.session_state[session.ENTRY].path == home / "mine-b"
    assert "is in use now" in page.toast[0].value
    assert list_jobs(home, BUILD) == []


def test_a_button_pressed_too_late_says_so(page, home, asked):
    folder = submit(home, asked)
    open_view(page, "Build one")
    shutil.rmtree(folder)
    page.button(key="cancel-000001").click().run()
    assert not page.exception
    assert "is gone" in " ".join(e.value for e in page.error)


def test_new_references_go_to_the_first_folder_that_can_be_written(monkeypatch, tmp_path):
    (tmp_path / "there").mkdir()
    monkeypatch.setattr(resources, "USER_REFERENCES", tmp_path / "own")
    monkeypatch.setenv(resources.FOLDERS_VARIABLE, f"{tmp_path / 'missing'}:{tmp_path / 'there'}")
    assert resources.home() == tmp_path / "there"
    monkeypatch.setenv(resources.FOLDERS_VARIABLE, str(tmp_path / "missing"))
    assert resources.home() == tmp_path / "own"


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of Linux")
@pytest.mark.parametrize("named", [True, False])
def test_the_users_own_references_are_where_earlier_versions_kept_them(tmp_path, named):
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment.pop("XDG_DATA_HOME", None)
    if named:
        environment["XDG_DATA_HOME"] = str(tmp_path / "own")
    line = "from pages.shared.resources import USER_REFERENCES; print(USER_REFERENCES)"
    told = subprocess.run([sys.executable, "-c", line], env=environment, cwd=ROOT, check=True, capture_output=True)
    base = tmp_path / "own" if named else tmp_path / ".local" / "share"
    assert told.stdout.decode().strip() == str(base / "nero-dashboard" / "references")


def test_the_server_takes_what_the_uploaders_offer():
    """It refuses more than its own limit, whatever a page says; uploaders that name none take what it takes."""
    limit = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["server"]["maxUploadSize"]
    assert max(session.LARGEST, results.LARGEST) <= limit


def test_a_title_is_shown_as_text(page, home, asked):
    submit(home, replace(asked, title="<img src=x> **b** $a$ [l](http://x)"))
    open_view(page, "Build one")
    shown = next(m.value for m in page.markdown if "Waiting" in m.value)
    assert "\\<img" in shown
    assert "\\*\\*b" in shown
    assert "http://" not in shown


# Calibrating -----------------------------------------------------------------------------------------------------


def test_a_calibration_is_a_job_that_ends_in_another_reference(page, home, tmp_path):
    own = write_class_folders(tmp_path / "own", 30, seed=77)
    open_view(page, "Calibrate")
    page.text_input(key="calibrate-images").set_value(str(own))
    page.text_input(key="calibrate-title").set_value("Our unit")
    page.button(key="calibrate").click().run()
    assert not page.exception
    (job,) = list_jobs(home, BUILD)
    assert job.request.calibrate == str((home / "coloured-noise").resolve())
    run_queue(home, BUILD)
    page.run()
    assert not page.exception
    assert "Calibration images read as" in "".join(tables_of(page))
    page.button(key="publish-000001").click().run()
    assert not page.exception
    made, was = Reference.load(home / "our-unit"), Reference.load(home / "coloured-noise")
    assert len(made.calibrations["nero"]) == 90
    assert made.calibrations["nero"].guarantee.holds
    for name, detector in made.detectors.items():
        for key, array in detector.fitted_arrays().items():
            np.testing.assert_array_equal(array, was.detectors[name].fitted_arrays()[key])


def test_images_that_were_trained_on_calibrate_nothing(page, home, class_folders):
    open_view(page, "Calibrate")
    page.text_input(key="calibrate-images").set_value(str(class_folders))
    page.button(key="calibrate").click().run()
    run_queue(home, BUILD)
    (job,) = list_jobs(home, BUILD)
    assert job.state.stage == "done"
    notes = " ".join(job.state.notes)
    assert "36 images that were to calibrate take no part" in notes
    assert "No guarantee: 36 of 72 calibration images (50%) were trained or fitted on" in notes
