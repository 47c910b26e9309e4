"""What a build leaves behind: nothing that another user of the machine can read, and no image once it has ended."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nero_core
from nero_core.errors import InputError
from nero_core.jobs import queue
from nero_core.jobs.build_steps import build
from nero_core.jobs.builds import BUILD, IMAGES, UPLOAD, BuildRequest, publish, submit
from nero_core.jobs.job import (
    CANCEL,
    JOBS,
    REQUEST,
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
from nero_core.jobs.queue import run_queue, start_queue
from nero_core.network.activation_cache import CachedExtractor, ImageSet
from nero_core.reference.reference import Reference
from nero_core.storage.locks import trying_lock

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")


@pytest.fixture(autouse=True)
def usual_umask():
    """As most systems have it: what is made may be read by everybody."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def zipped(class_folders):
    """The class folders as an upload."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for path in sorted(class_folders.rglob("*.png")):
            target.write(path, path.relative_to(class_folders).as_posix())
    return buffer


@pytest.fixture
def asked():
    return BuildRequest("Mine", "", "test_resnet", epochs=1, alpha=0.1, side=32)


def only(home):
    (found,) = list_jobs(home, BUILD)
    return found


def open_to_others(folder):
    """What another user of this machine could list or read, below a folder that he can enter."""
    found = []
    for path in sorted(folder.iterdir()):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            found.append(f"{path.name} {mode:o}")
            if path.is_dir() and mode & 0o001:
                found += [f"{path.name}/{each}" for each in open_to_others(path)]
    return found


def pictures(folder):
    return sorted(path.name for path in folder.rglob("*.png"))


# Who can read -----------------------------------------------------------------------------------------------------


@posix
def test_nobody_else_reads_a_build_at_any_time(home, zipped, asked):
    submit(home, asked, zipped)
    seen = []

    def work(job, report):
        begin = report.begin

        def watched(what):
            seen.append((what, open_to_others(home), len(pictures(job.folder / IMAGES))))
            return begin(what)

        report.begin = watched
        build(job, report)

    run_queue(home, BUILD, work)
    assert only(home).state.stage == "done"
    assert max(images for _, _, images in seen) == 72, "they were unpacked"
    assert [each for each in seen if each[1]] == []
    publish(only(home), home)
    assert open_to_others(home) == [], (
        "the reference holds activations of the images, and pictures where it was allowed"
    )


@posix
def test_what_an_earlier_version_left_open_is_closed(home, zipped, asked):
    (home / JOBS).mkdir(parents=True, mode=0o755)
    assert open_to_others(home) == [".builds 755"]
    submit(home, asked, zipped)
    assert open_to_others(home) == []
    (home / JOBS).chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue.subprocess, "Popen", lambda *a, **k: pytest.fail("started"))
        cancel(only(home))
        start_queue(home, BUILD)
    assert open_to_others(home) == []


@posix
def test_nobody_else_reads_kept_activations(tiny_reference, class_folders, tmp_path):
    classifier = Reference.load(tiny_reference).classifier
    few = ImageSet.of_files(sorted((class_folders / "amber").iterdir())[:3])
    CachedExtractor(classifier, tmp_path / "new" / "cache").extract(few)
    assert stat.S_IMODE((tmp_path / "new" / "cache").stat().st_mode) == 0o700
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    CachedExtractor(classifier, shared).extract(few)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755, "a folder that somebody else made stays as it is"
    assert open_to_others(shared) == []
    for path in shared.iterdir():  # as an earlier version wrote them
        path.chmod(0o644)
    CachedExtractor(classifier, shared).extract(few.select(np.arange(3) < 2))
    assert open_to_others(shared) == []


# What is left -----------------------------------------------------------------------------------------------------


def unpacked(job, report, then=None):
    """Work that unpacks images, and then ends in some way."""
    report.stage("checking")
    (job.folder / IMAGES).mkdir()
    (job.folder / IMAGES / "a.png").write_bytes(b"pixels")
    if then is not None:
        then()


def raises(error):
    def do():
        raise error

    return do


ENDS = {
    "refused": (raises(InputError("Too few images.")), "failed"),
    "full disk": (raises(OSError(28, "No space left on device")), "failed"),
    "unexpected": (raises(ZeroDivisionError()), "failed"),
    "done": (lambda: None, "done"),
}


@pytest.mark.parametrize("how", ENDS)
def test_unpacked_images_are_gone_when_it_ends(home, zipped, asked, how, capfd):
    submit(home, asked, zipped)
    then, stage = ENDS[how]
    run_queue(home, BUILD, lambda job, report: unpacked(job, report, then))
    assert only(home).state.stage == stage
    assert pictures(home) == []
    assert (only(home).folder / UPLOAD).is_file(), "what another try starts from"


def test_a_build_that_is_refused_leaves_no_image(home, asked):
    """The real work: two images are too few."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name in ("a/1.png", "b/2.png"):
            target.writestr(name, b"no picture")
    submit(home, asked, buffer)
    run_queue(home, BUILD)
    assert only(home).state.stage == "failed"
    assert pictures(home) == []


def test_stopped_while_it_runs_what_another_try_starts_from_is_kept(home, zipped, asked):
    submit(home, asked, zipped)

    def work(job, report):
        unpacked(job, report)
        cancel(read_job(job.folder, BUILD))
        report.stage("training")

    run_queue(home, BUILD, work)
    assert only(home).state.stage == "stopped"
    assert sorted(path.name for path in only(home).folder.iterdir()) == sorted([REQUEST, STATE, CANCEL, UPLOAD])
    assert pictures(home) == [], "what was unpacked is unpacked again"


def test_stopped_while_it_waits_its_upload_is_kept(home, zipped, asked):
    submit(home, asked, zipped)
    with trying_lock(home / JOBS / BUILD.lock):  # another is being built meanwhile
        cancel(only(home))
        assert only(home).state.stage == "stopped"
        assert sorted(path.name for path in only(home).folder.iterdir()) == sorted([REQUEST, STATE, CANCEL, UPLOAD])
    resume(only(home))
    run_queue(home, BUILD, lambda job, report: None)
    assert only(home).state.stage == "done"


def test_stopped_at_the_moment_it_begins_it_is_stopped_and_not_failed(home, zipped, asked):
    """Whoever cancels has seen it wait; the queue has just passed the place where it looks for that."""
    submit(home, asked, zipped)
    waiting = only(home)

    def work(job, report):
        report.stage("checking")
        cancel(waiting)
        build(job, report)

    run_queue(home, BUILD, work)
    assert (only(home).state.stage, only(home).state.error) == ("stopped", None)
    assert sorted(path.name for path in only(home).folder.iterdir()) == sorted([REQUEST, STATE, CANCEL, UPLOAD])


@posix
def test_killed_its_images_are_gone_at_the_next_start_of_the_queue(home, zipped, asked, monkeypatch):
    submit(home, replace(asked, epochs=2), zipped)
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.build_until_killed", str(home)], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert worker.stdout.readline() == b"1\n"
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
    assert len(pictures(home)) == 72, "a process that is killed cleans nothing"
    (home / JOBS / BUILD.spool / "nero-fit-killed").mkdir(parents=True)
    monkeypatch.setattr(queue.subprocess, "Popen", lambda *a, **k: pytest.fail("nothing waits"))
    start_queue(home, BUILD)
    assert pictures(home) == []
    assert list((home / JOBS / BUILD.spool).iterdir()) == [], "activations that were spilled to disk"
    assert only(home).state.stage == "interrupted"
    assert set(kept(only(home))) == {"the uploaded images", "what was learned so far"}
    resume(only(home))
    run_queue(home, BUILD)
    assert only(home).state.stage == "done", "it unpacks what was uploaded once more"
    assert pictures(home) == []


def test_images_of_a_build_under_way_are_let_be(home, zipped, asked, monkeypatch):
    submit(home, asked, zipped)
    monkeypatch.setattr(queue.subprocess, "Popen", lambda *a, **k: pytest.fail("one is at it"))

    def work(job, report):
        unpacked(job, report)
        start_queue(home, BUILD)  # as every look at the page does
        assert pictures(home) == ["a.png"]

    run_queue(home, BUILD, work)
    assert only(home).state.stage == "done"


def test_the_queues_process_spills_where_the_next_one_cleans_up(home, zipped, asked, monkeypatch):
    started = []
    monkeypatch.setattr(queue.threading, "Thread", lambda **k: type("T", (), {"start": lambda self: None})())
    monkeypatch.setattr(
        queue.subprocess, "Popen", lambda *a, **k: started.append(k["env"]) or type("P", (), {"wait": None})()
    )
    submit(home, asked, zipped)
    start_queue(home, BUILD)
    assert {started[0][name] for name in ("TMPDIR", "TEMP", "TMP")} == {str(home / JOBS / BUILD.spool)}
    assert (home / JOBS / BUILD.spool).is_dir()
    monkeypatch.undo()
    there = subprocess.run(
        [sys.executable, "-c", "import nero_core; print(nero_core.__file__)"],
        cwd=home,
        env=started[0],
        capture_output=True,
        text=True,
    )
    assert there.stdout.strip() == nero_core.__file__, "it finds the core from any folder"


# What is said of it -----------------------------------------------------------------------------------------------


def test_what_is_kept_is_named_with_its_size(home, zipped, asked):
    folder = submit(home, replace(asked, epochs=0), zipped, ("own.pt", io.BytesIO(b"weights")))
    (folder / "classifier.resume.safetensors").write_bytes(b"12345")
    write_state(folder, State("failed", error="No."))
    assert kept(only(home)) == {
        "the uploaded images": len(zipped.getvalue()),
        "the uploaded checkpoint": 7,
        "what was learned so far": 5,
    }
    (folder / IMAGES).mkdir()
    (folder / IMAGES / "a.png").write_bytes(b"123")
    assert kept(only(home))["unpacked images"] == 3, "should they resist, that is said"


def test_nothing_is_left_of_a_build_that_was_removed(home, zipped, asked):
    for _ in range(2):
        submit(home, asked, zipped)
    (home / JOBS / BUILD.log).write_text("what went wrong")
    first, second = list_jobs(home, BUILD)
    cancel(first)
    remove(read_job(first.folder, BUILD))
    assert (home / JOBS / BUILD.log).is_file()
    cancel(second)
    remove(read_job(second.folder, BUILD))
    assert [path.name for path in (home / JOBS).iterdir() if path.name != BUILD.lock] == [], (
        "the log goes with the last"
    )
