"""Builds in the background: refused early, queued, cancelled, killed, taken up again, and used."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nero_core.calibration import Calibration
from nero_core.data.class_folders import read_class_folders
from nero_core.data.guarantee import Guarantee, needed_images
from nero_core.errors import InputError
from nero_core.jobs.build_steps import MIN_CLASS_IMAGES, build, check_calibration, check_class_count, known_unusual
from nero_core.jobs.builds import BUILD, BuildRequest, folder_name, publish, submit
from nero_core.jobs.job import (
    CANCEL,
    JOBS,
    STATE,
    State,
    cancel,
    kept,
    list_jobs,
    read_job,
    remove,
    resume,
    write_state,
)
from nero_core.jobs.queue import Reporter, run_queue
from nero_core.jobs.uploaded_images import MAX_CLASSES, check_upload, unpack_class_folders
from nero_core.reference.manifest import list_references
from nero_core.reference.model_card import model_card
from nero_core.reference.reference import Reference
from nero_core.storage.locks import is_locked, trying_lock
from tests.conftest import coloured_noise, write_class_folders
from tests.scenes import save_again

ROOT = Path(__file__).parents[2]
PICTURE = io.BytesIO()
coloured_noise((100, 90, 80), 0).save(PICTURE, "PNG")


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def request_(class_folders):
    """A request that is quick to build: one epoch at 32 pixels."""
    return BuildRequest("My frames", str(class_folders), "resnet18", epochs=1, alpha=0.1, side=32)


def zipped(*names, data=None):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name in names:
            target.writestr(name, PICTURE.getvalue() if data is None else data)
    buffer.seek(0)
    return buffer


def only(home):
    (found,) = list_jobs(home, BUILD)
    return found


# The queue, with work that takes no time ---------------------------------------------------------------------------


def test_jobs_run_one_at_a_time_in_the_order_they_came(home, request_):
    for number in range(3):
        submit(home, replace(request_, title=f"job {number}"))
    seen = []

    def work(job, report):
        assert is_locked(home / JOBS / BUILD.lock)
        seen.append(job.request.title)
        report.stage("training")
        assert [b.state.stage for b in list_jobs(home, BUILD)].count("training") == 1

    run_queue(home, BUILD, work)
    assert seen == ["job 0", "job 1", "job 2"]
    assert {b.state.stage for b in list_jobs(home, BUILD)} == {"done"}
    assert not is_locked(home / JOBS / BUILD.lock)


def test_a_job_submitted_while_another_runs_is_built_too(home, request_):
    submit(home, request_)

    def work(job, report):
        if len(list_jobs(home, BUILD)) == 1:
            submit(home, replace(request_, title="late"))

    run_queue(home, BUILD, work)
    assert [b.state.stage for b in list_jobs(home, BUILD)] == ["done", "done"]


def test_a_second_process_leaves_the_queue_alone(home, request_):
    submit(home, request_)
    with trying_lock(home / JOBS / BUILD.lock) as held:
        assert held
        run_queue(home, BUILD, lambda job, report: pytest.fail("somebody else is at it"))
    assert only(home).state.stage == "waiting"


def test_a_lock_is_let_go(tmp_path):
    with trying_lock(tmp_path / "lock") as first, trying_lock(tmp_path / "lock") as second:
        assert (first, second) == (True, False)
    assert not is_locked(tmp_path / "lock")
    assert not is_locked(tmp_path / "none")


@pytest.mark.parametrize("error", [InputError("a sentence"), OSError(28, "No space left on device"), KeyError("x")])
def test_a_failing_job_says_why_and_the_queue_goes_on(home, request_, error, capsys):
    for title in ("bad", "good"):
        submit(home, replace(request_, title=title))

    def work(job, report):
        if job.request.title == "bad":
            raise error

    run_queue(home, BUILD, work)
    bad, good = list_jobs(home, BUILD)
    assert (bad.state.stage, good.state.stage) == ("failed", "done")
    assert any(part in bad.state.error for part in ("a sentence", "No space left", "KeyError"))


def test_stopping(home, request_):
    for title in ("first", "second"):
        submit(home, replace(request_, title=title))

    def work(job, report):
        (job.folder / "half").write_bytes(b"x")
        cancel(read_job(job.folder, BUILD))
        report.begin("Epoch 1/2")(1, 1)
        pytest.fail("the build went on")

    cancel(list_jobs(home, BUILD)[1])
    assert list_jobs(home, BUILD)[1].state.stage == "cancelled", "a waiting job is stopped at once"
    run_queue(home, BUILD, work)
    first, second = list_jobs(home, BUILD)
    assert (first.state.stage, second.state.stage) == ("stopped", "cancelled")
    assert (first.folder / "half").exists(), "what was done is kept"
    resume(second)
    assert list_jobs(home, BUILD)[1].state.stage == "waiting", "nothing was done, and it starts from its request"
    remove(first)
    assert [b.request.title for b in list_jobs(home, BUILD)] == ["second"]


def test_a_build_that_was_stopped_goes_on_after_its_last_whole_epoch_and_gives_the_same(home, request_, monkeypatch):
    """The real work, once in one go and once stopped in the middle of its second epoch."""
    for title in ("whole", "stopped"):
        submit(home, replace(request_, title=title, epochs=3))
    begin, begun = Reporter.begin, []

    def watched(report, what):
        progress = begin(report, what)
        stopped = list_jobs(home, BUILD)[1]
        if stopped.running and what.startswith("Epoch"):
            begun.append(what)
            if begun == ["Epoch 1/3", "Epoch 2/3"]:
                cancel(stopped)
        return progress

    monkeypatch.setattr(Reporter, "begin", watched)
    run_queue(home, BUILD)
    whole, stopped = list_jobs(home, BUILD)
    assert (whole.state.stage, stopped.state.stage) == ("done", "stopped")
    assert [epoch["epoch"] for epoch in stopped.state.history] == [1]
    assert list(kept(stopped)) == ["what was learned so far"]

    resume(stopped)
    run_queue(home, BUILD)
    again = list_jobs(home, BUILD)[1]
    assert again.state.stage == "done"
    assert begun == ["Epoch 1/3", "Epoch 2/3", "Epoch 2/3", "Epoch 3/3"], "the first epoch is not trained again"
    assert again.state.history == whole.state.history
    one, other = (Reference.load(job.result) for job in (whole, again))
    for name, weights in one.classifier.network.state_dict().items():
        np.testing.assert_array_equal(weights, other.classifier.network.state_dict()[name])


def test_a_job_whose_process_is_gone_is_interrupted_and_can_go_on(home, request_):
    folder = submit(home, request_)
    write_state(folder, State("training", history=({"epoch": 1.0},)))
    left = only(home)
    assert left.state.stage == "interrupted"
    resume(left)
    assert only(home).state.stage == "waiting"
    run_queue(home, BUILD, lambda job, report: None)
    assert only(home).state.stage == "done"
    with pytest.raises(InputError, match="only one that"):
        resume(only(home))


def test_a_killed_jobs_record_is_set_right_before_the_next_runs(home, request_):
    killed = submit(home, request_)
    write_state(killed, State("fitting"))
    seen = []
    submit(home, request_)
    run_queue(home, BUILD, lambda job, report: seen.append(read_job(killed, BUILD).state.stage))
    assert seen == ["interrupted"]
    assert [b.state.stage for b in list_jobs(home, BUILD)] == ["interrupted", "done"]
    cancel(list_jobs(home, BUILD)[0])
    assert list_jobs(home, BUILD)[0].state.stage == "cancelled"


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"stage": "dancing"}'])
def test_a_damaged_record_is_a_failed_job_not_a_crash(home, request_, text):
    folder = submit(home, request_)
    (folder / STATE).write_bytes(text)
    assert only(home).state.stage == "failed"
    remove(only(home))
    assert list_jobs(home, BUILD) == []


def test_time_left_is_that_of_all_epochs(home, request_, monkeypatch):
    submit(home, request_)
    clock = iter(np.arange(0.0, 1000.0, 10.0))
    monkeypatch.setattr("nero_core.jobs.queue.time.monotonic", lambda: float(next(clock)))
    report = Reporter(only(home))
    progress = report.begin("Epoch 3/4")
    progress(5, 10)
    state = json.loads((only(home).folder / STATE).read_bytes())
    assert (state["done"], state["total"]) == (25, 40), "of all epochs"
    # A quarter of the two epochs to come has passed: what is left takes three times as long.
    elapsed = state["seconds_left"] / 3
    assert elapsed % 10 == 0
    assert elapsed > 0
    report.begin("Epoch 4/4")
    following = json.loads((only(home).folder / STATE).read_bytes())
    assert following == {**state, "what": "Epoch 4/4"}, "the bar does not start again with each epoch"
    report.begin("Fitting")
    assert json.loads((only(home).folder / STATE).read_bytes())["seconds_left"] is None


def test_what_a_killed_submission_left_is_removed_after_a_day(home, request_):
    for name, age in ((".old.new", 25 * 3600), (".young.new", 3600)):
        (home / JOBS / name).mkdir(parents=True)
        then = time.time() - age
        os.utime(home / JOBS / name, (then, then))
    assert list_jobs(home, BUILD) == []
    submit(home, request_)
    assert sorted(path.name for path in (home / JOBS).iterdir()) == [".young.new", "000001"]


def test_only_a_finished_one_can_be_used(home, request_):
    submit(home, request_)
    with pytest.raises(InputError, match="waiting"):
        publish(only(home), home)


def test_a_running_one_is_not_removed(home, request_):
    submit(home, request_)

    def work(job, report):
        report.stage("fitting")
        with pytest.raises(InputError, match="cancel"):
            remove(read_job(job.folder, BUILD))

    run_queue(home, BUILD, work)
    assert only(home).state.stage == "done"


# Requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"title": "  "}, "is empty"),
        ({"title": "two\nlines"}, "control characters"),
        ({"title": "x" * 201}, "at most 200"),
        ({"images": ""}, "either"),
        ({"images": "/nowhere"}, "not there"),
        ({"images": "relative"}, "not there"),
        ({"calibration": "/nowhere"}, "not there"),
        ({"epochs": -1}, "epochs"),
        ({"epochs": 0}, "checkpoint"),
        ({"weights": "/nowhere.pt"}, "not there"),
        ({"weights": "/etc/passwd"}, "should end"),
        ({"alpha": 0.0}, "between 0 and 1"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_at_once(home, request_, changes, why):
    with pytest.raises(InputError, match=why):
        submit(home, replace(request_, **changes))
    assert list_jobs(home, BUILD) == []


@pytest.mark.parametrize(
    ("title", "name"),
    [("My Frames!", "my-frames"), ("../../etc", "etc"), ("内視鏡", "reference"), ("x" * 99, "x" * 40)],
)
def test_a_title_becomes_a_folder_name(title, name):
    assert folder_name(title) == name


def test_calibration_needed_is_what_calibration_accepts():
    for alpha in (0.5, 0.1, 0.05, 0.01, 0.3):
        needed = needed_images(alpha)
        Calibration(np.arange(needed), Guarantee(True)).check_alpha(alpha)
        check_calibration(needed, alpha)
        with pytest.raises(InputError):
            check_calibration(needed - 1, alpha)
        if needed > 1:
            with pytest.raises(InputError):
                Calibration(np.arange(needed - 1), Guarantee(True)).check_alpha(alpha)


# Uploaded images ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("top", ["", "all/", "deep/er/"])
def test_an_uploaded_zip_becomes_class_folders(tmp_path, top):
    names = [f"{top}{c}/{i}.png" for c in ("a", "b") for i in range(2)]
    extra = [f"{top}notes.txt", f"__MACOSX/{top}a/._0.png", f"{top}a/.hidden.png", f"{top}a/run.exe"]
    file = tmp_path / "x.zip"
    file.write_bytes(zipped(*names, *extra).getvalue())
    assert check_upload(file) == 4
    unpack_class_folders(file, tmp_path / "out", lambda done, total: None)
    found = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert found == ["a/0.png", "a/1.png", "b/0.png", "b/1.png"]


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (zipped("../a/x.png"), "lead out"),
        (zipped("a/x.txt"), "no images"),
        (zipped("x.png", "y.png"), "no images"),
        (io.BytesIO(b"no zip"), "not a zip"),
    ],
    ids=["slip", "no images", "no folders", "no zip"],
)
def test_an_uploaded_zip_that_is_refused(file, why):
    with pytest.raises(InputError, match=why):
        check_upload(file)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ([*(f"all/{c}/{i}.png" for c in "ab" for i in range(2)), "all/empty/"], "'empty'"),
        ([*(f"{c}/{i}.png" for c in "ab" for i in range(2)), "words/notes.txt"], "'words'"),
        ([f"{i}/0.png" for i in range(1001)], "1001 class folders"),
    ],
    ids=["an empty class", "a class without images", "too many classes"],
)
def test_class_folders_in_a_zip_that_are_refused(names, why):
    with pytest.raises(InputError, match=why):
        check_upload(zipped(*names, data=b"x"))


def test_a_hundred_thousand_class_folders_in_a_zip_are_refused():
    with pytest.raises(InputError, match="table of contents is longer"):
        check_upload(zipped(*(f"{i}/0.png" for i in range(100_000)), data=b""))


# Refused before anything is trained --------------------------------------------------------------------------------


def refused(home, request, why):
    """Build, and see that it failed in words before training."""
    submit(home, request)
    stages = []

    class Watching(Reporter):
        def stage(self, stage):
            stages.append(stage)
            super().stage(stage)

    run_queue(home, BUILD, lambda job, report: build(job, Watching(job)))
    found = only(home)
    assert found.state.stage == "failed"
    assert why in found.state.error
    assert stages == ["checking"], "nothing was trained"
    assert list_references([home]) == []


def test_too_few_images_for_the_share_of_false_alarms(home, request_):
    refused(
        home,
        replace(request_, alpha=0.02),
        "72 images leave 30 for calibration; to flag at most 2 in 100 ordinary images needs 49 of every class",
    )


def test_too_few_images_in_a_class(home, request_, tmp_path):
    folder = write_class_folders(tmp_path / "few", MIN_CLASS_IMAGES - 1)
    refused(home, replace(request_, images=str(folder)), "'amber' has 9")


def test_one_class_only(home, request_, tmp_path):
    folder = write_class_folders(tmp_path / "one", 10)
    for name in ("moss", "slate"):
        shutil.rmtree(folder / name)
    refused(home, replace(request_, images=str(folder)), "one class")


def test_the_same_file_in_two_classes(home, request_, tmp_path):
    folder = write_class_folders(tmp_path / "twice", 10)
    shutil.copy(folder / "moss" / "000.png", folder / "amber" / "copy.png")
    refused(home, replace(request_, images=str(folder)), "lie in two classes")


def test_too_many_unreadable_files(home, request_, tmp_path):
    folder = write_class_folders(tmp_path / "bad", 12)
    for number in range(5):
        (folder / "moss" / f"bad{number}.png").write_bytes(b"not an image %d" % number)
    refused(home, replace(request_, images=str(folder)), "5 of 41 images cannot be read")


def test_an_unknown_architecture_offers_near_names(home, request_):
    refused(home, replace(request_, architecture="resnet81"), "did you mean")


def test_a_folder_of_too_many_folders(home, request_, tmp_path, monkeypatch):
    monkeypatch.setattr("nero_core.jobs.build_steps.MAX_CLASSES", 2)
    refused(home, request_, "more than 2 sub-folders")


def test_a_folder_that_disappears(home, request_, tmp_path):
    folder = shutil.copytree(request_.images, tmp_path / "gone")
    submit(home, replace(request_, images=str(folder)))
    shutil.rmtree(folder)
    run_queue(home, BUILD)
    assert "not there any more" in only(home).state.error


def test_weights_that_do_not_fit(home, request_, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"nonsense")
    refused(home, replace(request_, epochs=0, weights=str(tmp_path / "w.safetensors")), "cannot be used")


def test_a_hundred_thousand_class_folders_on_disk_are_not_listed(tmp_path, monkeypatch):
    seen = []

    class Entry:
        def is_dir(self):
            seen.append(self)
            return True

    @contextmanager
    def scandir(path):
        yield (Entry() for _ in range(100_000))

    monkeypatch.setattr("nero_core.jobs.build_steps.os.scandir", scandir)
    with pytest.raises(InputError, match="more than 1000"):
        check_class_count(tmp_path)
    assert len(seen) == MAX_CLASSES + 1


def test_an_empty_class(home, request_, tmp_path):
    folder = write_class_folders(tmp_path / "id", 10)
    (folder / "void").mkdir()
    refused(home, replace(request_, images=str(folder)), "void")


@pytest.mark.parametrize("copied", [0, 12])
def test_too_few_calibration_images_of_ones_own_are_refused_before_training(home, request_, tmp_path, copied):
    """Too few, or those that are among the images: hours of training would be for nothing."""
    folder = write_class_folders(tmp_path / "apart", 3, seed=7)
    for number in range(copied):
        shutil.copy(Path(request_.images) / "moss" / f"{number:03d}.png", folder / "moss" / f"copy{number}.png")
    refused(home, replace(request_, calibration=str(folder), alpha=0.05), "There are 9 calibration images")


@pytest.mark.parametrize("when", ["training", "fitting"])
def test_a_folder_that_disappears_during_a_build(home, request_, tmp_path, when):
    folder = shutil.copytree(request_.images, tmp_path / "images")
    submit(home, replace(request_, images=str(folder), architecture="test_resnet"))

    class Removing(Reporter):
        def stage(self, stage):
            super().stage(stage)
            if stage == when:
                shutil.rmtree(folder)

    run_queue(home, BUILD, lambda job, report: build(job, Removing(job)))
    found = only(home)
    assert found.state.stage == "failed"
    assert str(folder) in found.state.error
    assert "unexpected" not in found.state.error
    assert not found.result.exists()
    assert list_references([home]) == []


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is POSIX")
def test_a_full_disk(home, request_):
    """No file may grow beyond 200 kB, as on a disk that is full: said in words, and nothing half-built is listed."""
    import resource

    submit(home, replace(request_, architecture="test_resnet"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        run_queue(home, BUILD)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    found = only(home)
    assert found.state.stage == "failed"
    assert "cannot be written" in found.state.error
    assert list_references([home]) == []
    assert not found.result.exists()
    resume(found)
    run_queue(home, BUILD)
    assert only(home).state.stage == "done", "once there is room it is built"


def test_a_disk_too_full_message_so(home, request_, monkeypatch):
    submit(home, request_)

    def full(*asked):
        raise OSError(28, "No space left on device")

    def work(job, report):
        report.stage("training")
        monkeypatch.setattr("nero_core.jobs.queue.write_state", full)
        full()

    with pytest.raises(OSError, match="No space"):
        run_queue(home, BUILD, work)
    assert only(home).state.stage == "interrupted", "and can go on when there is room"
    assert not is_locked(home / JOBS / BUILD.lock)


# The real thing ----------------------------------------------------------------------------------------------------


def test_trained_fitted_measured_and_used(home, request_):
    upload = io.BytesIO()
    folder = Path(request_.images)
    with zipfile.ZipFile(upload, "w") as target:
        for path in folder.rglob("*.png"):
            target.write(path, f"mine/{path.relative_to(folder).as_posix()}")
    submit(home, replace(request_, images=""), upload)
    run_queue(home, BUILD)
    found = only(home)
    assert (found.state.stage, found.state.error) == ("done", None)
    assert [sorted(epoch) for epoch in found.state.history] == [["epoch", "loss", "test_accuracy", "train_accuracy"]]
    assert any("principal components" in note for note in found.state.notes)
    assert list_references([home]) == [], "not offered before somebody has seen how well it does"
    left = {path.name for path in found.folder.iterdir()}
    assert left == {"request.json", "state.json", "reference"}, "the uploaded images are gone"

    path = publish(found, home)
    assert path == home / "my-frames"
    assert list_jobs(home, BUILD) == []
    (entry,) = list_references([home])
    assert (entry.path, entry.error) == (path, None)
    reference = Reference.load(path)
    assert reference.manifest["calibration"]["guarantee"]["holds"]
    assert reference.manifest["metrics"]["test_images"] > 0
    assert reference.manifest["metrics"]["alpha"] == 0.1, "false alarms are counted at the share asked for"
    assert reference.concepts is None, "no consent, no crops"
    assert not any(role.startswith("concepts/") for role in reference.manifest["files"])


def test_known_unusual_images_are_compared_and_heatmaps_measured(home, request_, tmp_path):
    unusual = tmp_path / "unusual"
    for kind in ("blurred", "tinted"):
        (unusual / kind).mkdir(parents=True)
        for number in range(3):
            (unusual / kind / f"{number}.png").write_bytes(PICTURE.getvalue())
    assert {kind: len(images) for kind, images in known_unusual(unusual).items()} == {"blurred": 3, "tinted": 3}
    assert list(known_unusual(unusual / "tinted")) == ["tinted"], "a folder of images is one kind"
    submit(home, replace(request_, architecture="test_resnet", unusual=str(unusual), faithfulness=1))
    run_queue(home, BUILD)
    manifest = Reference.load(only(home).result).manifest
    assert manifest["ood"] == {"blurred": 3, "tinted": 3}
    assert manifest["heatmaps"]["images"] == 1
    with pytest.raises(InputError, match="The folder of known OOD images, /nowhere, is not there"):
        submit(home, replace(request_, unusual="/nowhere"))
    (unusual / "empty").mkdir()
    submit(home, replace(request_, unusual=str(unusual)))
    run_queue(home, BUILD)
    assert list_jobs(home, BUILD)[-1].state.stage == "failed", "said before anything is trained"


def test_pictures_are_kept_only_with_consent(home, request_):
    for crops in (True, False):
        submit(home, replace(request_, architecture="test_resnet", crops=crops))
    run_queue(home, BUILD)
    kept, none = (
        {name: text for section in model_card(found.result).sections for name, text in section.lines}
        for found in list_jobs(home, BUILD)
    )
    assert kept["Pictures of training images"].startswith("yes, small crops for ")
    assert none["Pictures of training images"] == "no"
    assert not list(list_jobs(home, BUILD)[1].result.rglob("*.webp"))


def test_only_fitted_on_images_it_may_have_seen_gives_no_guarantee(home, request_, tiny_reference, tmp_path):
    """Weights whose training is not known: refused without a word on calibration, and without guarantee with it."""
    from safetensors.torch import save_file

    network = Reference.load(tiny_reference).classifier.network
    weights = tmp_path / "foreign.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, weights)
    fit_only = replace(request_, epochs=0, weights=str(weights), side=64)
    submit(home, fit_only)
    with weights.open("rb") as file:
        submit(home, replace(fit_only, weights="", calibration_seen=True), weights=("foreign.safetensors", file))
    run_queue(home, BUILD)
    unknown, seen = list_jobs(home, BUILD)
    assert "not known what this classifier was trained on" in unknown.state.error
    assert (seen.state.stage, seen.state.error) == ("done", None)
    assert not Reference.load(seen.result).manifest["calibration"]["guarantee"]["holds"]


@pytest.mark.parametrize(("copied", "holds"), [(0, True), (2, True), (9, False)])
def test_copies_among_calibration_images_are_told_and_left_out(home, request_, class_folders, tmp_path, copied, holds):
    """Frames that train, saved again: their bytes are new, and their looks are not."""
    own = write_class_folders(tmp_path / "own", 15, seed=31)
    asked = replace(request_, architecture="test_resnet", calibration=str(own))
    submit(home, asked)
    run_queue(home, BUILD)
    trained = Reference.load(only(home).result).classifier.training.train
    images = read_class_folders(class_folders)
    paths = [path for path, key in zip(images.paths, images.digests, strict=True) if key in trained]
    for path in paths[:copied]:
        save_again(path, own / path.parent.name, "jpeg 95")
    submit(home, asked)
    run_queue(home, BUILD)
    found = list_jobs(home, BUILD)[1]
    assert (found.state.stage, found.state.error) == ("done", None)
    guarantee = Reference.load(found.result).manifest["calibration"]["guarantee"]
    assert (guarantee["dropped"], guarantee["holds"]) == (copied, holds)
    said = [note for note in found.state.notes if note.startswith(f"{copied} images that were to calibrate take no")]
    assert len(said) == bool(copied)
    assert any(note.startswith("No guarantee: ") for note in found.state.notes) != holds


def test_a_reference_is_calibrated_anew_in_the_background(home, request_, class_folders, tiny_reference, tmp_path):
    own = write_class_folders(tmp_path / "own", 15, seed=31)
    for path in sorted(class_folders.glob("amber/*.png"))[:8:2]:
        save_again(path, own / "amber", "jpeg 95")
    asked = BuildRequest("Ours", str(own), "resnet18", epochs=0, alpha=0.1, calibrate=str(tiny_reference))
    submit(home, asked)
    run_queue(home, BUILD)
    found = only(home)
    assert (found.state.stage, found.state.error) == ("done", None)
    new = Reference.load(found.result)
    assert new.title == "Ours"
    assert (len(new.calibrations["nero"]), new.calibrations["nero"].guarantee.dropped) == (45, 4)
    assert not new.calibrations["nero"].guarantee.holds
    assert any(note.startswith("4 images that were to calibrate take no part") for note in found.state.notes)


def test_detectors_are_added_in_the_background(home, class_folders, tiny_reference, strange_folder):
    """The best of a benchmark, say: the reference stays, and a copy has them, a panel and its members."""
    asked = BuildRequest("More", str(class_folders), add_to=str(tiny_reference), add=("panel", "vim"))
    submit(home, asked)
    run_queue(home, BUILD)
    found = only(home)
    assert (found.state.stage, found.state.error) == ("done", None)
    old, new = Reference.load(tiny_reference), Reference.load(found.result)
    assert {*old.detectors, "panel", "energy", "knn", "mahalanobis_pp", "stage_knn", "vim"} == set(new.detectors)
    assert (new.title, new.deciding, new.manifest["panel"]["added"]) == ("More", "panel", ["vim"])
    assert any("known OOD images strange" in note for note in found.state.notes)
    remove(found)
    submit(home, replace(asked, unusual=str(strange_folder)))
    run_queue(home, BUILD)
    assert list(Reference.load(only(home).result).manifest["ood"]) == [strange_folder.name]


def test_what_cannot_be_added_is_said(home, class_folders, tiny_reference, tmp_path):
    asked = BuildRequest("More", str(class_folders), add_to=str(tiny_reference), add=("nero",))
    with pytest.raises(InputError, match="No detector was named"):
        submit(home, replace(asked, add=()))
    with pytest.raises(InputError, match="There is no reference in"):
        submit(home, replace(asked, add_to=str(tmp_path)))
    submit(home, asked)
    run_queue(home, BUILD)
    assert "has nero already" in only(home).state.error


def test_weights_that_are_brought_are_fed_as_was_asked_and_the_notes_say_so(home, request_, tiny_reference, tmp_path):
    from safetensors.torch import save_file

    network = Reference.load(tiny_reference).classifier.network
    weights = tmp_path / "foreign.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, weights)
    cfg = json.dumps({"std": [0.25, 0.25, 0.25], "input_size": [3, 32, 32]})
    brought = replace(request_, epochs=0, weights=str(weights), calibration_seen=True, side=48, mean="0.5", crop="0.9")
    submit(home, replace(brought, pretrained_cfg=cfg))
    run_queue(home, BUILD)
    (job,) = list_jobs(home, BUILD)
    assert (job.state.stage, job.state.error) == ("done", None)
    assert "Input of the network: 48 × 48 pixels (given)." in job.state.notes
    manifest = Reference.load(job.result).manifest
    assert manifest["preprocessing"] == {
        "height": 48,
        "width": 48,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
        "interpolation": "bilinear",
        "crop_share": 0.9,
    }
    assert manifest["preprocessing_origins"]["std"] == "given by its pretrained_cfg"
    assert manifest["preprocessing_origins"]["interpolation"] == "assumed, as is usual with ImageNet"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": "0.5"}, "asked for weights that you bring"),
        ({"pretrained_cfg": '{"crop_pct": 0.9}'}, "asked for weights that you bring"),
        ({"epochs": 0, "weights": "w.pt", "std": "1 2"}, "one number for each of three colour channels"),
        ({"epochs": 0, "weights": "w.pt", "pretrained_cfg": "[]"}, "The configuration says nothing of preprocessing"),
    ],
)
def test_settings_of_images_are_checked_before_anything_is_queued(home, request_, tmp_path, changes, message):
    (tmp_path / "w.pt").write_bytes(b"weights")
    changes |= {"weights": str(tmp_path / "w.pt")} if "weights" in changes else {}
    with pytest.raises(InputError, match=message):
        submit(home, replace(request_, **changes))
    assert list_jobs(home, BUILD) == []


def test_settings_for_what_train_wrote_are_refused(home, request_, tiny_reference, tmp_path):
    Reference.load(tiny_reference).classifier.save(tmp_path / "ours.safetensors")
    ours = replace(request_, epochs=0, weights=str(tmp_path / "ours.safetensors"), side=0, mean="0.5")
    refused(home, ours, "says itself how its images are prepared")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_killed_while_training_it_goes_on_to_the_same_weights(home, request_):
    wanted = replace(request_, epochs=2)
    submit(home, wanted)
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.build_until_killed", str(home)], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert worker.stdout.readline() == b"1\n"
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
    killed = only(home)
    assert killed.state.stage == "interrupted"
    assert list_references([home]) == []
    resume(killed)
    submit(home, wanted)
    run_queue(home, BUILD)
    resumed, whole = list_jobs(home, BUILD)
    assert (resumed.state.stage, whole.state.stage) == ("done", "done")
    one, other = (Reference.load(b.result).classifier.network.state_dict() for b in (resumed, whole))
    assert all(one[name].equal(other[name]) for name in one), "bit for bit"
    assert resumed.state.history == whole.state.history


def test_the_command_runs_the_queue(home, request_, monkeypatch):
    from nero_core.cli.main import main

    monkeypatch.setattr("os.nice", lambda by: None)
    monkeypatch.setattr("nero_core.jobs.build_steps.build", lambda job, report: report.note("built"))
    submit(home, request_)
    assert main(["run-builds", str(home)]) == 0
    assert only(home).state.notes == ("built",)
    assert not (only(home).folder / CANCEL).exists()
