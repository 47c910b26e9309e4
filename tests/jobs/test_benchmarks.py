"""Benchmarks in the background: the same figures as anywhere, stopped, killed, gone on with, and kept."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nero_core.benchmark.loop import Benchmark
from nero_core.benchmark.plan import Plan
from nero_core.benchmark.reading import read_results
from nero_core.benchmark.result import RESULTS_NAME
from nero_core.cli.main import main
from nero_core.errors import ArtefactError, InputError, UnknownDetectorError
from nero_core.jobs.benchmarks import BENCHMARK, ROWS, BenchmarkRequest, rows_so_far, submit
from nero_core.jobs.builds import BUILD, BuildRequest
from nero_core.jobs.builds import submit as submit_build
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
    write_record,
    write_state,
)
from nero_core.jobs.queue import Reporter, run_queue, start_queue
from nero_core.reference.reference import Reference
from nero_core.storage.locks import is_locked, trying_lock
from tests.conftest import write_class_folders

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and modes are POSIX")
DETECTORS = ("nero", "msp", "energy")


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """Activations are kept in a folder of this test's own."""
    monkeypatch.setenv("NERO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def plan(tiny_reference, strange_folder, tmp_path):
    """Three detectors on pictures of one class that nothing was trained on."""
    unseen = write_class_folders(tmp_path / "unseen", 24, seed=55) / "amber"
    return Plan(tiny_reference, unseen, {"strange": strange_folder}, detectors=DETECTORS)


def only(home):
    (found,) = list_jobs(home, BENCHMARK)
    return found


def names(job):
    return [row.name for row in read_results(job.result).detectors]


def stop_after_the_first(monkeypatch):
    """Somebody presses Stop when one detector is done."""
    write = write_record

    def pressed(path, content):
        write(path, content)
        if len(content["rows"]) == 1:
            cancel(read_job(path.parent, BENCHMARK))

    monkeypatch.setattr("nero_core.jobs.benchmarks.write_record", pressed)
    return lambda: monkeypatch.setattr("nero_core.jobs.benchmarks.write_record", write)


# What is asked ---------------------------------------------------------------------------------------------------


def test_a_plan_is_kept_as_json_and_comes_back(tmp_path):
    here = Path.cwd()
    given = Plan(Path("ref"), tmp_path, {"a b": Path("x")}, Path("t"), None, ("msp",), ("nero",), "kvasir-v2", 0.1)
    given = replace(given, seed=3, group="1", out=Path("o"))
    request = BenchmarkRequest.of("Ours", given)
    read = BenchmarkRequest(**json.loads(json.dumps(asdict(request))))
    whole = replace(given, reference=here / "ref", ood={"a b": here / "x"}, train=here / "t", out=here / "o")
    assert read.plan() == whole, "a folder named from here is named from the top"
    assert BenchmarkRequest.of("Ours", whole) == request


def test_every_field_of_a_plan_is_kept():
    fields = {field for field in BenchmarkRequest.__dataclass_fields__ if field != "title"}
    assert fields == set(Plan.__dataclass_fields__)


@pytest.mark.parametrize(
    ("changes", "error"), [({"detectors": ("nore",)}, UnknownDetectorError), ({"ood": {}}, InputError)]
)
def test_what_cannot_be_is_refused_before_it_is_queued(home, plan, changes, error):
    with pytest.raises(error):
        submit(home, "Noise", replace(plan, **changes))
    assert list_jobs(home, BENCHMARK) == []


# What it gives ---------------------------------------------------------------------------------------------------


def test_the_same_figures_from_python_command_line_and_job(home, plan, tmp_path, capsys):
    out = tmp_path / "written"
    submit(home, "Noise", replace(plan, out=out))
    assert main(["run-jobs", str(home), "--kind", "benchmark"]) == 0
    job = only(home)
    assert (job.state.stage, job.state.error) == ("done", None)

    reference = Reference.load(plan.reference)
    here = plan.benchmark(reference, plan.settled().divide(reference), None).run()
    line = ["benchmark", plan.reference, "--id", plan.id, "--ood", f"strange={plan.ood['strange']}"]
    assert main([*map(str, line), "--detectors", *DETECTORS, "--no-cache", "--out", str(tmp_path / "typed")]) == 0
    results = [read_results(folder) for folder in (job.result, out, tmp_path / "typed")]
    for result in results:
        assert names(job) == list(DETECTORS)
        for name in DETECTORS:
            assert np.array_equal(result.scores[name].id, here.scores[name].id)
            assert np.array_equal(result.scores[name].ood["strange"], here.scores[name].ood["strange"])
        for found, wanted in zip(result.detectors, here.detectors, strict=True):
            assert found.metrics == wanted.metrics
            assert found.differences == wanted.differences
            assert found.flagged == wanted.flagged
    assert "--detectors nero msp energy" in results[0].provenance["command"]
    assert str(out) in results[0].provenance["command"]
    rows, planned = rows_so_far(job)
    assert ([row.name for row in rows], planned) == (list(DETECTORS), 3)
    assert [row.metrics for row in rows] == [row.metrics for row in here.detectors]
    remove(job)
    assert list_jobs(home, BENCHMARK) == []
    assert (out / RESULTS_NAME).is_file(), "what was written elsewhere stays"


def test_how_far_it_is_can_be_read_at_every_step(home, plan, monkeypatch):
    submit(home, "Noise", plan)
    seen = []
    begin = Reporter.begin

    def watched(report, what):
        progress = begin(report, what)
        state = only(home).state
        seen.append((state.stage, state.what, state.step, state.steps))
        return progress

    monkeypatch.setattr(Reporter, "begin", watched)
    run_queue(home, BENCHMARK)
    assert only(home).state.stage == "done"
    assert [each[1:] for each in seen] == [
        ("Loading the reference", 0, 0),
        ("Looking through the folders", 0, 0),
        ("Reading ID test images", 1, 3),
        ("Reading strange", 2, 3),
        ("Fitting and scoring", 3, 3),
    ]
    assert {stage for stage, *_ in seen} == {"comparing"}


def test_after_each_detector_its_state_says_so(home, plan, monkeypatch):
    """However quick they are: the next one may take minutes."""
    submit(home, "Noise", plan)
    seen = []
    begin = Reporter.begin

    def watched(report, what):
        progress = begin(report, what)

        def told(done, total):
            progress(done, total)
            state = only(home).state
            seen.append((what, state.done, state.total))

        return told

    monkeypatch.setattr(Reporter, "begin", watched)
    run_queue(home, BENCHMARK)
    assert [each[1:] for each in seen if each[0] == "Fitting and scoring"] == [(1, 3), (2, 3), (3, 3)]


@posix
def test_nobody_else_reads_it(home, plan):
    before = os.umask(0o022)
    try:
        submit(home, "Noise", plan)
        run_queue(home, BENCHMARK)
    finally:
        os.umask(before)
    job = only(home)
    for folder in (home / JOBS, job.folder, job.result):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_reference_that_is_gone_is_a_failed_run_in_words(home, plan, tiny_reference, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(tiny_reference, moved)
    submit(home, "Noise", replace(plan, reference=moved))
    shutil.rmtree(moved)
    run_queue(home, BENCHMARK)
    job = only(home)
    assert job.state.stage == "failed"
    assert str(moved) in job.state.error
    shutil.copytree(tiny_reference, moved)
    resume(job)
    run_queue(home, BENCHMARK)
    assert only(home).state.stage == "done"


def test_a_folder_that_cannot_be_written_costs_no_figure(home, plan, tmp_path):
    """The report is in the job's folder, the detectors are kept, and another try writes it where it was wanted."""
    (tmp_path / "file").write_text("in the way")
    submit(home, "Noise", replace(plan, detectors=("msp",), out=tmp_path / "file"))
    run_queue(home, BENCHMARK)
    job = only(home)
    assert job.state.stage == "failed"
    assert names(job) == ["msp"]
    (tmp_path / "file").unlink()
    resume(job)
    run_queue(home, BENCHMARK)
    assert only(home).state.stage == "done"
    assert (tmp_path / "file" / RESULTS_NAME).is_file()


# Stopped and killed ----------------------------------------------------------------------------------------------


def test_stopped_it_keeps_what_is_finished_and_goes_on_from_there(home, plan, monkeypatch):
    nobody_presses = stop_after_the_first(monkeypatch)
    submit(home, "Noise", plan)
    run_queue(home, BENCHMARK)
    stopped = only(home)
    assert (stopped.state.stage, stopped.state.error) == ("stopped", None)
    assert names(stopped) == ["nero"]
    assert rows_so_far(stopped)[1] == 3

    nobody_presses()
    fitted = []
    fit = Benchmark._fit_and_score
    monkeypatch.setattr(Benchmark, "_fit_and_score", lambda run, each: fitted.append(each.name) or fit(run, each))
    resume(stopped)
    cancel(only(home))
    assert only(home).state.stage == "stopped", "also while it waits to go on"
    assert names(only(home)) == ["nero"]
    resume(only(home))
    run_queue(home, BENCHMARK)
    assert only(home).state.stage == "done"
    assert names(only(home)) == list(DETECTORS)
    assert fitted == ["msp", "energy"], "what was finished is not computed again"


def test_stopped_after_the_last_detector_it_is_done(home, plan, monkeypatch):
    stop_after_the_first(monkeypatch)
    submit(home, "Noise", replace(plan, detectors=("msp",)))
    run_queue(home, BENCHMARK)
    assert only(home).state.stage == "done"
    assert names(only(home)) == ["msp"]


def test_stopped_before_any_detector_nothing_is_left(home, plan, monkeypatch):
    submit(home, "Noise", plan)
    begin = Reporter.begin

    def watched(report, what):
        if what.startswith("Reading"):
            cancel(only(home))
        return begin(report, what)

    monkeypatch.setattr(Reporter, "begin", watched)
    run_queue(home, BENCHMARK)
    job = only(home)
    assert job.state.stage == "cancelled"
    assert sorted(path.name for path in job.folder.iterdir()) == sorted([REQUEST, STATE, CANCEL])


def test_stopped_while_it_waits_it_never_runs(home, plan):
    submit(home, "Noise", plan)
    cancel(only(home))
    run_queue(home, BENCHMARK, lambda job, report: pytest.fail("it was stopped"))
    assert only(home).state.stage == "cancelled"


@posix
def test_killed_it_goes_on_from_the_finished_detectors(home, plan, monkeypatch):
    submit(home, "Noise", plan)
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.benchmark_until_killed", str(home)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert worker.stdout.readline() == b"1\n"
        assert only(home).state.stage == "comparing"
        assert is_locked(home / JOBS / BENCHMARK.lock)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdin.close()
        worker.stdout.close()
    killed = only(home)
    assert killed.state.stage == "interrupted"
    assert [row.name for row in rows_so_far(killed)[0]] == ["nero"]
    assert set(kept(killed)) == {"the detectors that are finished"}
    fitted = []
    fit = Benchmark._fit_and_score
    monkeypatch.setattr(Benchmark, "_fit_and_score", lambda run, each: fitted.append(each.name) or fit(run, each))
    resume(killed)
    submit(home, "Noise", plan)
    run_queue(home, BENCHMARK)
    resumed, whole = list_jobs(home, BENCHMARK)
    assert (resumed.state.stage, whole.state.stage) == ("done", "done")
    assert fitted == ["msp", "energy", *DETECTORS]
    one, other = read_results(resumed.result), read_results(whole.result)
    assert [row.metrics for row in one.detectors] == [row.metrics for row in other.detectors]
    assert all(np.array_equal(one.scores[name].id, other.scores[name].id) for name in DETECTORS)


@pytest.mark.parametrize("text", ["{", "[]", '{"rows": [{}], "planned": 3}', '{"rows": 1}'])
def test_damaged_rows_are_an_error_in_words(home, plan, text):
    folder = submit(home, "Noise", plan)
    (folder / ROWS).write_text(text)
    with pytest.raises(ArtefactError, match="is damaged"):
        rows_so_far(only(home))


# Kinds -----------------------------------------------------------------------------------------------------------


def test_kinds_share_a_place_and_do_not_wait_for_each_other(home, plan, class_folders):
    submit_build(home, BuildRequest("Mine", str(class_folders)))
    submit(home, "Noise", plan)
    assert [path.name for path in sorted((home / JOBS).iterdir())] == ["000001", "000002"]
    assert [job.request.title for job in list_jobs(home, BUILD)] == ["Mine"]
    assert [job.request.title for job in list_jobs(home, BENCHMARK)] == ["Noise"]
    with trying_lock(home / JOBS / BUILD.lock):  # an hour-long training
        write_state(list_jobs(home, BUILD)[0].folder, State("training"))
        run_queue(home, BENCHMARK, lambda job, report: None)
        assert only(home).state.stage == "done"
        assert list_jobs(home, BUILD)[0].state.stage == "training", "neither cleaned up nor run by the other queue"


def test_a_record_of_an_earlier_version_is_a_build(home, class_folders):
    """As version 0.1.0 wrote it: no kind, and no steps."""
    folder = home / JOBS / "000007"
    folder.mkdir(parents=True)
    asked = {"title": "Old", "images": str(class_folders), "architecture": "resnet18", "epochs": 12, "seed": 0}
    (folder / REQUEST).write_text(json.dumps(asked | {"weights": "", "alpha": 0.05, "crops": False, "side": 0}))
    seen = {"stage": "training", "what": "Epoch 2/12", "done": 3, "total": 120, "seconds_left": 9.5}
    (folder / STATE).write_text(json.dumps(seen | {"history": [{"epoch": 1}], "notes": ["n"], "error": None}))
    (job,) = list_jobs(home, BUILD)
    assert (job.request.title, job.request.epochs, job.state.stage) == ("Old", 12, "interrupted")
    assert job.state.history == ({"epoch": 1},)
    assert list_jobs(home, BENCHMARK) == []
    with trying_lock(home / JOBS / "lock") as held:  # that version's own queue
        assert held
        state = list_jobs(home, BUILD)[0].state
        assert (state.stage, state.left(1e9), state.share) == ("training", 9.5, 3 / 120)


def test_a_record_that_cannot_be_read_is_a_failed_build(home, plan):
    folder = submit(home, "Noise", plan)
    (folder / REQUEST).write_text("{")
    assert list_jobs(home, BENCHMARK) == []
    (job,) = list_jobs(home, BUILD)
    assert job.state.stage == "failed"
    assert "damaged" in job.state.error


def test_a_request_with_a_field_of_another_type_is_refused(home, plan):
    folder = submit(home, "Noise", plan)
    asked = json.loads((folder / REQUEST).read_text())
    (folder / REQUEST).write_text(json.dumps(asked | {"alpha": "0.05"}))
    assert "request.json, field `alpha` is '0.05'; wanted a finite number" in only(home).state.error


def test_whoever_only_looks_keeps_no_queue_from_starting(home, plan):
    """Looking whether a lock is held takes it for a moment; the queue's process waits that long."""
    submit(home, "Noise", plan)
    looking, let_go = threading.Event(), threading.Event()

    def look():
        with trying_lock(home / JOBS / BENCHMARK.lock) as held:
            assert held
            looking.set()
            let_go.wait(0.2)

    glance = threading.Thread(target=look)
    glance.start()
    looking.wait()
    run_queue(home, BENCHMARK, lambda job, report: None)
    glance.join()
    assert only(home).state.stage == "done"


def test_each_kind_has_a_process_of_its_own(home, plan, monkeypatch):
    started = []

    def begin(command, **settings):
        started.append(command)
        return SimpleNamespace(wait=lambda: 0)

    monkeypatch.setattr("nero_core.jobs.queue.subprocess.Popen", begin)
    submit(home, "Noise", plan)
    start_queue(home, BUILD)
    assert started == [], "no build waits"
    start_queue(home, BENCHMARK)
    assert started == [[sys.executable, "-m", "nero_core", "run-jobs", str(home), "--kind", "benchmark"]]
    assert (home / JOBS / BENCHMARK.spool).is_dir()


def test_a_kind_that_is_not_known(home, capsys):
    assert main(["run-jobs", str(home), "--kind", "dance"]) == 2
    assert "wanted build or benchmark" in capsys.readouterr().err


# States ----------------------------------------------------------------------------------------------------------


def test_the_time_left_falls_between_two_reports_and_never_rises():
    state = State("comparing", "Reading x", 10, 30, 20.0, at=1000.0)
    assert [state.left(now) for now in (990.0, 1000.0, 1004.0, 1100.0)] == [20.0, 20.0, 16.0, 0.0]
    assert State("comparing").left(0.0) is None


def test_the_share_counts_steps_as_equally_long():
    assert State("comparing", done=1, total=2, step=2, steps=4).share == pytest.approx(0.375)
    assert State("comparing", done=1, total=2).share == 0.5
    assert State("comparing").share == 0.0
    assert State("comparing", done=5, total=5, step=4, steps=4).share == 1.0
