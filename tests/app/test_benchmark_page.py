"""Benchmark, driven through the whole app: stored, opened and new results, empty, bad and hostile ones."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest

from nero_core.benchmark.conclusion import conclusion
from nero_core.benchmark.plan import Plan
from nero_core.benchmark.result import POOLED, RESULTS_NAME, SCORES_NAME
from nero_core.benchmark.tables import Column, judged, metric_columns
from nero_core.errors import InputError
from nero_core.jobs import benchmarks
from nero_core.jobs.benchmarks import BENCHMARK, RESULT, ROWS, submit
from nero_core.jobs.builds import BUILD
from nero_core.jobs.job import CANCEL, JOBS, State, cancel, list_jobs, read_job, write_record, write_state
from nero_core.jobs.queue import run_queue
from nero_core.storage.files import make_private_folder
from nero_core.storage.locks import is_locked, trying_lock
from pages.benchmark_views import leaving, tables
from pages.benchmark_views.charts import key_of
from pages.benchmark_views.folders import ood_folders
from pages.benchmark_views.results import stored_folder
from pages.shared import watching
from pages.shared.words import plain
from tests.app.conftest import PATIENCE, ROOT, words_of
from tests.benchmark_results import made_result
from tests.conftest import write_class_folders

DETECTORS = {"nero": 0.5, "energy": 1.5, "knn": -0.5}
BESIDE = 3  # charts of one detector: its scores, its ROC curve, every OOD set


@pytest.fixture
def home(tiny_reference, tmp_path, monkeypatch):
    """A folder of references of this test's own, so that results can be stored beside it."""
    folder = tmp_path / "references" / "coloured-noise"
    shutil.copytree(tiny_reference, folder)
    return folder


@pytest.fixture
def open_page(open_app, home, monkeypatch):
    """Call it for a session on the Benchmark page."""
    monkeypatch.setenv("NERO_REFERENCES", str(home.parent))

    def opened():
        session = open_app()
        session.switch_page("pages/benchmark.py")
        return session.run()

    return opened


def store(home, result):
    folder = stored_folder(home)
    folder.mkdir(parents=True)
    result.save(folder)
    return folder


def control(session, label):
    kinds = (session.segmented_control, session.selectbox, session.multiselect, session.text_input, session.text_area)
    return next(element for kind in kinds for element in kind if element.label == label)


def choose(session, label, value):
    control(session, label).set_value(value)
    return session.run()


def part(session, name):
    """Open one of the tabs under the table."""
    session.session_state[key_of("part", [each.label for each in session.tabs])] = name
    return session.run()


# A stored result -------------------------------------------------------------------------------------------------


def test_two_references_of_one_title_are_each_shown_their_own_result(open_page, home):
    """They are told apart by their folders; the stored result knows the title alone."""
    shutil.copytree(home, home.parent / "again")
    for folder in (home, home.parent / "again"):
        store(folder, made_result({"energy": 1.0}, title="Coloured noise"))
    page = open_page()
    assert page.dataframe
    assert page.session_state["entry"].title in ("Coloured noise (coloured-noise)", "Coloured noise (again)")
    assert not [said.value for said in page.info if "not of the reference in use" in said.value]


def test_a_stored_result_is_there_at_once(open_page, home):
    store(home, made_result(DETECTORS | {"nero[k=25]": 0.1}, title="Coloured noise", refused={"gram": "No wings."}))
    page = open_page()
    assert not page.exception
    assert page.dataframe[0].value["Detector"].tolist() == ["ENERGY", "NERO", "KNN"], "best first, none taken apart"
    headings = [each.value for each in page.header]
    assert headings == [
        "Detectors", "Use the best detectors", "The same again", "Take it with you", "What follows",
    ]  # fmt: skip
    assert [each.label for each in page.tabs] == [
        "ROC curves", "Each OOD set", "Agreement", "NERO taken apart", "Published figures",
    ]  # fmt: skip
    assert len(page.get("plotly_chart")) == BESIDE + 1, "only the open part is drawn"
    text = words_of(page)
    assert "Rendered images" in text, "a synthetic reference says so"
    assert "GRAM" in text
    assert "No wings" in text
    assert "nero benchmark REF" in text
    assert [each.label for each in page.get("download_button")] == [
        "Table (CSV)", "Report (HTML)", "Report (Markdown)", "Results (JSON)", "Scores (safetensors)",
    ]  # fmt: skip


def test_every_part_of_a_result(open_page, home):
    store(home, made_result(DETECTORS | {"nero[k=25]": 0.1}, title="Coloured noise"))
    page = open_page()
    for name, charts, words in (
        ("Each OOD set", 1, "Images per set: polyp 10, ulcer 15"),
        ("Agreement", 1, "Spearman"),
        ("NERO taken apart", 0, "One thing changed at a time"),
        ("Published figures", 0, "Not comparable"),
    ):
        page = part(page, name)
        assert not page.exception
        assert len(page.get("plotly_chart")) == BESIDE + charts
        assert words in words_of(page)


def test_the_detector_that_is_looked_at_stands_beside_the_table(open_page, home):
    result = made_result(DETECTORS, title="Coloured noise")
    store(home, result)
    page = open_page()
    assert control(page, "Detector to look at").value == "energy", "the best at first"

    def alts():
        return [chart.proto.alt for chart in page.get("plotly_chart")[:BESIDE]]

    def shown(label, value):
        scores, curve, each = alts()
        assert scores.startswith(f"Histograms of {label} scores")
        assert f"that of {label}" in curve
        assert each == "AUROC of 1 detectors on 3 sets."
        assert f"**{label}** on All OOD images together: AUROC ↑ **{value}" in words_of(page)
        assert f"{label} on each OOD set as a table" in [expander.label for expander in page.expander]

    areas = {row.label: f"{100 * row.metrics[POOLED]['auroc'].value:.1f}" for row in result.detectors}
    shown("ENERGY", areas["ENERGY"])
    choose(page, "Detector to look at", "knn")
    shown("KNN", areas["KNN"])
    page = choose(page, "OOD images", "ulcer")
    assert control(page, "Detector to look at").value == "knn", "it stays"
    assert "**KNN** on ulcer" in words_of(page)
    assert "% of ulcer" in alts()[0]


@pytest.mark.parametrize(("rows", "chosen"), [([1], "nero"), ([], "knn"), ([2], "knn")])
def test_a_row_of_the_table_chooses_its_detector(monkeypatch, rows, chosen):
    state = {
        tables.TABLE: SimpleNamespace(selection=SimpleNamespace(rows=rows)),
        tables.ROWS: ["energy", "nero"],
        "looked-at": "knn",
    }
    monkeypatch.setattr(tables, "st", SimpleNamespace(session_state=state))
    tables._take_row("looked-at")
    assert state["looked-at"] == chosen


def test_the_page_ends_in_what_follows_from_this_very_result(open_page, home):
    result = made_result(DETECTORS, ood=("po*lyp", "ulcer"), title="Coloured noise")
    store(home, result)
    page = open_page()
    assert page.markdown[-1].value.startswith("**" + plain(conclusion(result, POOLED)[0]) + "**")
    assert plain(conclusion(result, POOLED)[-1]) in page.markdown[-1].value
    choose(page, "OOD images", "po*lyp")
    assert page.markdown[-1].value.startswith(f"**{plain('On the images of po*lyp')}")


def test_warnings_come_before_any_figure(open_page, home):
    store(home, made_result(DETECTORS, title="Coloured noise", warnings=("All *images* are also in the ID folder.",)))
    page = open_page()
    assert r"\*images\*" in page.warning[0].value
    kinds = [type(element).__name__ for element in page.main]
    assert kinds.index("Alert" if "Alert" in kinds else "Warning") < kinds.index("Dataframe")


def test_another_set_and_other_columns(open_page, home):
    result = made_result(DETECTORS, title="Coloured noise")
    store(home, result)
    page = open_page()
    choose(page, "OOD images", "ulcer")
    energy = next(row for row in result.detectors if row.name == "energy")
    first = page.dataframe[0].value.set_index("Detector")
    assert first.loc["ENERGY", "AUROC ↑"] == pytest.approx(100 * energy.metrics["ulcer"]["auroc"].value)
    choose(page, "Columns", "difference")
    first = page.dataframe[0].value.set_index("Detector")
    assert first.loc["ENERGY", "Δ AUROC ↑"] == pytest.approx(100 * energy.differences["ulcer"]["auroc"].value)
    choose(page, "Columns", "decisions")
    assert page.dataframe[0].value.set_index("Detector").loc["ENERGY", "OOD flagged ↑"] == pytest.approx(50)
    choose(page, "Columns", "method")
    assert "k = 3" in page.dataframe[0].value["Parameters"].tolist()
    assert not page.exception


def test_one_set_and_one_detector_leave_out_what_compares(open_page, home):
    store(home, made_result({"energy": 1.0}, ood=("polyp",), title="Other"))
    page = open_page()
    assert not page.exception
    assert "OOD images" not in [each.label for each in page.selectbox]
    assert [each.label for each in page.tabs] == ["ROC curves", "NERO taken apart", "Published figures"]
    assert "not of the reference in use" in page.info[0].value


def test_no_curve_chosen_draws_none(open_page, home):
    store(home, made_result(DETECTORS))
    page = choose(open_page(), "Detectors drawn", [])
    assert not page.exception
    assert len(page.get("plotly_chart")) == BESIDE


def test_a_damaged_result_is_an_error_in_words(open_page, home):
    folder = store(home, made_result(DETECTORS))
    (folder / RESULTS_NAME).write_text("{")
    page = open_page()
    assert not page.exception
    assert "cannot be read" in page.error[0].value


def test_a_result_in_which_nothing_ran(open_page, home):
    store(home, made_result({}, refused={"nero": "No training images."}))
    page = open_page()
    assert not page.exception
    assert page.error[0].value == "No detector could run."
    assert "No training images" in words_of(page)


def test_no_result_yet_says_what_to_do(open_page):
    page = open_page()
    assert not page.exception
    assert [each.label for each in page.button if each.label == "Run"], "where nothing is stored, a run is offered"
    choose(page, "What to look at", "stored")
    assert "No result is stored" in page.header[0].value
    assert "nero_core benchmark" in page.code[0].value


def test_a_stored_result_is_shown_without_torch_and_scikit_learn(home, monkeypatch):
    store(home, made_result(DETECTORS))
    code = f"""
import sys, threading
importers = set()
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "sklearn", "matplotlib"):
            importers.add(threading.current_thread().name)
            raise ImportError(name + " is not for this test")
sys.meta_path.insert(0, Watch())
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from streamlit.testing.v1 import AppTest
from pages.shared import resources
resources.BUNDLED_REFERENCES = Path("none")
app = AppTest.from_file({str(ROOT / "app.py")!r}, default_timeout={PATIENCE}).run()
app.switch_page("pages/benchmark.py")
app.run()
assert not app.exception and app.dataframe, app.exception
resources.begin_loading(resources.entries()[0].path).exception()
assert all(name.startswith("reference-loader") for name in importers), importers
"""
    monkeypatch.setenv("NERO_REFERENCES", str(home.parent))
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=PATIENCE)


# An opened result ------------------------------------------------------------------------------------------------


def test_a_folder_on_this_computer(open_page, tmp_path):
    (tmp_path / "bench").mkdir()
    made_result(DETECTORS, title="Elsewhere").save(tmp_path / "bench")
    page = choose(open_page(), "What to look at", "opened")
    for given in (tmp_path / "bench", tmp_path / "bench" / RESULTS_NAME):
        choose(page, "Folder on this computer", str(given))
        assert "Elsewhere" in words_of(page)
        assert not page.error
    choose(page, "Folder on this computer", str(tmp_path))
    assert f"No {RESULTS_NAME}" in page.error[0].value.replace("\\", "")


def test_dropped_files(open_page, tmp_path):
    made_result(DETECTORS, title="Dropped").save(tmp_path)
    page = choose(open_page(), "What to look at", "opened")
    page.file_uploader[0].upload("../../x.json", (tmp_path / RESULTS_NAME).read_bytes())
    page.run()
    assert "both files" in page.error[0].value
    page.file_uploader[0].upload("../../x.json", (tmp_path / RESULTS_NAME).read_bytes())
    page.file_uploader[0].upload("scores.safetensors", (tmp_path / SCORES_NAME).read_bytes())
    page.run()
    assert not page.error
    assert "Dropped" in words_of(page)


@pytest.mark.parametrize("name", ["<b>x</b>", "[x](http://y.z)", ":red[x]", "$x$", "| a |"])
def test_names_of_sets_and_titles_are_text(open_page, home, name):
    store(home, made_result(DETECTORS, ood=(name, "b"), title=name, refused={"gram": name}, warnings=(name,)))
    page = open_page()
    assert not page.exception
    for element in [*page.markdown, *page.info, *page.warning, *page.caption]:
        assert name not in element.value


# A new run -------------------------------------------------------------------------------------------------------


def fill(page, class_folders, strange_folder, *names):
    choose(page, "Folder of in-distribution images", str(class_folders))
    choose(page, "Out-of-distribution folders, one NAME=FOLDER a line", f"strange={strange_folder}")
    choose(page, "Detectors", "some")
    return choose(page, "Which", list(names))


def press(page, label):
    next(button for button in page.button if button.label == label).click()
    return page.run()


def jobs(home):
    """The benchmarks that were asked for."""
    return list_jobs(home.parent, BENCHMARK)


def work(home, page):
    """Do in this process what the queue's own would do, and look at the page again."""
    run_queue(home.parent, BENCHMARK)
    return page.run()


@pytest.fixture
def no_process(monkeypatch):
    """The queue's process is never started: the test does its work."""
    monkeypatch.setattr("pages.shared.watching.start_queue", lambda home, kind: None)


@pytest.fixture
def own_cache(monkeypatch, tmp_path, no_process):
    """Activations are kept in a folder of this test's own, and no process is started."""
    monkeypatch.setenv("NERO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def unseen(tmp_path):
    """Pictures of one class that nothing was trained on."""
    return write_class_folders(tmp_path / "unseen", 24, seed=55) / "amber"


def test_a_run_from_its_questions_to_its_figures(
    open_page, own_cache, home, class_folders, strange_folder, unseen, tmp_path
):
    page = fill(open_page(), class_folders, strange_folder, "msp", "energy")
    assert "Understood: strange" in words_of(page)
    choose(page, "Training folder, if not the one above", str(class_folders))
    choose(page, "Folder of in-distribution images", str(unseen))
    choose(page, "Folder to write to", str(tmp_path / "out"))
    press(page, "Run")
    assert [job.state.stage for job in jobs(home)] == ["waiting"]
    assert "Waiting" in words_of(page)
    page = work(home, page)
    assert not page.exception
    assert not page.error
    assert sorted(page.dataframe[0].value["Detector"]) == ["Energy", "MSP"]
    command = page.code[-1].value
    assert f"--id {unseen} --ood strange={strange_folder} --train {class_folders}" in command
    assert "--detectors msp energy" in command
    assert (tmp_path / "out" / RESULTS_NAME).is_file()
    page.switch_page("pages/case_review.py")
    page.run()
    page.switch_page("pages/benchmark.py")
    page.run()
    assert len(page.dataframe[0].value) == 2, "it is still there after another page"
    another = open_page()
    assert len(another.dataframe[0].value) == 2, "and in another session"
    text = words_of(another)
    assert "until you **remove** it" in text
    assert "closing this window stops" not in text.lower()
    press(another, "Remove")
    assert jobs(home) == []
    assert not another.dataframe
    assert (tmp_path / "out" / RESULTS_NAME).is_file(), "what was written elsewhere stays"


def test_the_best_detectors_of_a_run_are_added_by_a_button(
    open_page, own_cache, home, class_folders, strange_folder, unseen, tmp_path
):
    page = fill(open_page(), class_folders, strange_folder, "msp", "energy")
    choose(page, "Training folder, if not the one above", str(class_folders))
    choose(page, "Folder of in-distribution images", str(unseen))
    page = work(home, press(page, "Run"))
    assert "reference has not: **Panel, Energy**" in words_of(page)
    assert "on them every figure of the new reference is too good" in words_of(page)
    assert f"fit {class_folders} --out {home} --add panel energy" in page.code[0].value
    choose(page, "Name of the reference with them", "Mine, more")
    press(page, "Add them")
    assert not page.exception
    assert not page.error
    assert page.success[0].value.startswith("In the queue.")
    [build] = list_jobs(home.parent, BUILD)
    asked = build.request
    assert (asked.title, asked.images, asked.add_to) == ("Mine, more", str(class_folders), str(home.resolve()))
    assert list(asked.add) == ["panel", "energy"]


def test_where_the_folders_are_not_known_the_command_says_how(open_page, home):
    store(home, made_result(DETECTORS, title="Coloured noise"))
    page = open_page()
    assert page.code[0].value == "python -m nero_core fit DATA --out REF --add panel energy knn"
    assert "Add them" not in [button.label for button in page.button]


def test_what_the_questions_were_answered_with_is_checked(open_page, no_process, home, tmp_path, class_folders):
    page = press(choose(open_page(), "Detectors", "some"), "Run")
    assert "nothing was given" in page.error[0].value
    choose(page, "Folder of in-distribution images", str(class_folders))
    assert "give at least one folder" in press(page, "Run").error[0].value
    choose(page, "Out-of-distribution folders, one NAME=FOLDER a line", f"a={tmp_path}\nb\na={tmp_path}\nc=/no/where")
    warning = page.warning[0].value.replace("\\", "")
    for text in (
        "Line 2, 'b': wanted NAME=FOLDER",
        "Line 3: there is a set 'a' already",
        "Line 4: /no/where is not there",
    ):
        assert text in warning.replace("\u2060", "")
    assert jobs(home) == []


def test_a_run_that_cannot_be_says_why(open_page, own_cache, home, class_folders, tmp_path):
    (tmp_path / "empty").mkdir()
    page = fill(open_page(), class_folders, tmp_path / "empty", "msp")
    page = work(home, press(page, "Run"))
    assert not page.exception
    assert "empty" in page.error[0].value
    assert {"Try again", "Remove"} <= {button.label for button in page.button}


# Runs that are under way, or were --------------------------------------------------------------------------------


@pytest.fixture
def asked(home, no_process, unseen, strange_folder):
    """Call it to put a benchmark of two detectors into the queue; returns its folder."""

    def submitted(**changes):
        plan = Plan(home, unseen, {"strange": strange_folder}, detectors=("energy", "msp"))
        return submit(home.parent, changes.pop("title", "Noise"), replace(plan, **changes))

    return submitted


def write_rows(folder, *names, planned=2):
    rows = [asdict(row) for row in made_result(dict.fromkeys(names, 1.0)).detectors]
    write_record(folder / ROWS, {"planned": planned, "rows": rows})


def labels(page):
    return [button.label for button in page.button]


def test_a_run_under_way_shows_what_is_done_and_can_be_stopped(open_page, home, asked):
    folder = asked()
    write_rows(folder, "energy")
    with trying_lock(home.parent / JOBS / BENCHMARK.lock):  # its process is at it
        state = State("comparing", "Reading strange", 40, 200, 20.0, step=2, steps=3, at=time.time())
        write_state(folder, state)
        page = open_page()
        assert not page.exception
        text = words_of(page)
        assert "Comparing" in text
        assert "close this window: the run goes on, and its result is kept" in text
        assert "Done so far: 1 of 2" in text
        assert page.dataframe[0].value["Detector"].tolist() == ["ENERGY"]
        (bar,) = page.get("progress")
        assert "Step 2 of 3 · Reading strange: 40 of 200" in bar.proto.text
        assert bar.proto.value == 40
        assert "Go on" not in labels(page)
        assert "Remove" not in labels(page)
        assert not (folder / CANCEL).exists()
        assert "**Stop this benchmark?** What was done so far is kept, and it can go on later" in text
        press(page, "Stop it")
        assert (folder / CANCEL).is_file()
        text = words_of(page)
        assert "Stopping" in text
        assert "what is done is kept" in text
        assert "Stop it" not in labels(page)


def test_a_stopped_run_shows_its_result_and_goes_on(open_page, home, own_cache, asked, monkeypatch):
    folder = asked()
    write = benchmarks.write_record

    def pressed(path, content):
        write(path, content)
        cancel(read_job(folder, BENCHMARK))

    with monkeypatch.context() as patch:
        patch.setattr(benchmarks, "write_record", pressed)
        run_queue(home.parent, BENCHMARK)
    page = open_page()
    assert not page.exception
    assert "Stopped: 1 of 2 detectors are done. Go on for the others." in [each.value for each in page.warning]
    assert page.dataframe[0].value["Detector"].tolist() == ["Energy"]
    press(page, "Go on")
    assert jobs(home)[0].state.stage == "waiting"
    page = work(home, page)
    assert sorted(page.dataframe[0].value["Detector"]) == ["Energy", "MSP"]
    assert not page.warning or "Stopped" not in page.warning[0].value


def test_an_interrupted_run_says_what_is_kept_and_goes_on(open_page, home, asked):
    folder = asked()
    write_rows(folder, "energy")
    write_state(folder, State("comparing", "Reading strange", 1, 2))
    page = open_page()
    text = words_of(page)
    assert "Interrupted" in text
    assert "goes on from the detectors that are finished" in text
    assert "until you **remove** it: what was asked, the detectors that are finished" in text
    press(page, "Go on")
    assert jobs(home)[0].state.stage == "waiting"


def test_a_waiting_run_that_is_stopped_never_ran(open_page, home, asked):
    asked()
    page = press(open_page(), "Stop it")
    assert jobs(home)[0].state.stage == "cancelled"
    assert "Stopped before any detector was done" in words_of(page)
    press(page, "Remove")
    assert jobs(home) == []


def test_stopped_before_its_first_result_it_shows_what_is_done(open_page, home, asked):
    """Killed, gone on with, and stopped while it waited."""
    folder = asked()
    write_rows(folder, "energy")
    (folder / CANCEL).touch()
    page = open_page()
    assert not page.exception
    assert "Stopped: 1 of 2 detectors are done" in page.warning[0].value
    assert page.dataframe[0].value["Detector"].tolist() == ["ENERGY"]
    assert "Results kept here" not in [each.label for each in page.selectbox]
    assert "Go on" in labels(page)


def test_a_result_that_was_taken_away_can_be_removed(open_page, home, asked):
    write_state(asked(), State("done"))
    page = open_page()
    assert not page.exception
    assert "There is no result in" in page.error[0].value
    press(page, "Remove")
    assert jobs(home) == []


def test_damaged_rows_hide_no_run(open_page, home, asked):
    (asked() / ROWS).write_text("{")
    page = open_page()
    assert not page.exception
    assert "is damaged" in page.error[0].value
    assert "Stop it" in labels(page)


def test_results_are_kept_side_by_side_the_newest_first(open_page, home, asked):
    for number, detectors in enumerate(({"energy": 1.0}, {"knn": 1.0, "nero": 0.5}), start=1):
        folder = asked(title=f"Run {number}")
        make_private_folder(folder / RESULT)
        made_result(detectors, title=f"Run {number}").save(folder / RESULT)
        write_state(folder, State("done", at=1e9 + number))
    page = open_page()
    kept = control(page, "Results kept here")
    assert [text.partition(",")[0] for text in kept.options] == ["Run 2: strange", "Run 1: strange"]
    assert len(page.dataframe[0].value) == 2
    choose(page, "Results kept here", "000001")
    assert page.dataframe[0].value["Detector"].tolist() == ["ENERGY"]
    press(page, "Remove")
    assert [job.request.title for job in jobs(home)] == ["Run 2"]
    assert len(page.dataframe[0].value) == 2


def test_a_run_that_somebody_else_removed_is_an_error_in_words(open_page, asked):
    folder = asked()
    page = open_page()
    shutil.rmtree(folder)
    press(page, "Stop it")
    assert not page.exception
    assert "The benchmark 000001 is gone" in page.error[0].value


@pytest.mark.parametrize("name", ["<b>x</b>", "[x](http://y.z)", ":red[x]", "$x$"])
def test_names_in_a_run_are_text(open_page, asked, strange_folder, name):
    asked(title=name, ood={name: strange_folder})
    page = open_page()
    assert not page.exception
    for element in [*page.markdown, *page.info, *page.warning, *page.caption]:
        assert name not in element.value


def test_without_permission_no_run_is_seen(open_page, asked, monkeypatch):
    asked(title="Ours alone")
    page = open_page()
    assert "Ours alone" in words_of(page)
    monkeypatch.setenv("NERO_ALLOW_BUILD", "0")
    page = open_page()
    assert not page.exception
    assert "Ours alone" not in words_of(page)
    assert "A run is not offered here" in page.info[0].value


def test_a_run_goes_on_when_its_window_is_closed(open_page, home, monkeypatch, tmp_path, unseen, strange_folder):
    """The real process, which nobody holds: started by one session, which is gone; found by another."""
    monkeypatch.setenv("NERO_CACHE", str(tmp_path / "cache"))
    press(fill(open_page(), unseen, strange_folder, "msp"), "Run")
    gc.collect()
    deadline = time.monotonic() + PATIENCE
    while any(job.live for job in jobs(home)) or is_locked(home.parent / JOBS / BENCHMARK.lock):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert [(job.state.stage, job.state.error) for job in jobs(home)] == [("done", None)]
    page = open_page()
    assert page.dataframe[0].value["Detector"].tolist() == ["MSP"]


# Words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (
            State("comparing", "Reading x", 10, 30, 20.0, step=2, steps=5, at=1000.0),
            "Step 2 of 5 · Reading x: 10 of 30, about 20 seconds left",
        ),
        (State("comparing", "Reading x", 10, 300, 290.0, step=1, steps=5, at=1000.0), "about 5 minutes left"),
        (State("comparing", "Loading"), "Loading"),
        (State("training", "Epoch 2/3", 15, 30, 1.2, at=1000.0), "Epoch 2 of 3, about 1 second left"),
    ],
)
def test_the_time_left_is_in_words(monkeypatch, state, words):
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    assert watching.how_far(state).endswith(words)


def test_the_best_is_marked_in_words_and_equals_keep_their_own_texts():
    rows = list(made_result({"nero": 9.0, "energy": 9.0, "knn": 0.0}).detectors)
    found = metric_columns(rows, POOLED)
    assert [text.endswith("★ best") for text in found[0].texts] == [True, True, False]
    column = Column("c", "", [1.0, 1.0, None], ["one", "two", "–"])
    html = tables.written(["a", "b", "c"], [column], "first").to_html()
    assert html.count(">one<") == html.count(">two<") == html.count(">–<") == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nero", "Whole: S = (D + B) · f"),
        ("nero[distance]", "Only D"),
        ("nero[k=25]", "k = 25"),
        ("nero[epsilon=0]", "ε = 0"),
        ("nero[new]", "new"),
    ],
)
def test_an_ablation_in_words(name, words):
    assert leaving.part_words(name) == words


def test_a_difference_says_whether_it_is_one():
    from nero_core.metrics import Interval

    assert judged(Interval(0.03, 0.01, 0.05), True) == "+3.0 (+1.0 to +5.0) better"
    assert judged(Interval(0.03, 0.01, 0.05), False).endswith("worse")
    assert judged(Interval(-0.03, -0.05, 0.01), True) == "−3.0 (−5.0 to +1.0) not told apart"


def test_the_command_quotes_what_needs_it(class_folders, tmp_path, monkeypatch):
    monkeypatch.setenv("NERO_ALLOW_BUILD", "1")
    spaced = tmp_path / "my images"
    spaced.mkdir()
    plan = Plan(tmp_path, class_folders, ood_folders(f"a b = {spaced}"))
    assert f"--ood 'a b={spaced}'" in plan.command()
    with pytest.raises(InputError, match="Line 1"):
        ood_folders(f"a/b={spaced}")


def test_a_run_of_a_protocol_says_so_in_its_command_and_shows_the_published_figures(
    open_page, own_cache, home, unseen, strange_folder
):
    page = fill(open_page(), unseen, strange_folder, "msp")
    choose(page, "Protocol of a paper", "kvasir-v2")
    text = words_of(page)
    assert "python -m nero_core download kvasir-v2" in text
    assert "cecum" in text, "its classes"
    page = work(home, press(page, "Run"))
    assert not page.error
    assert "--protocol kvasir-v2" in page.code[-1].value
    page = part(page, "Published figures")
    assert any("Not comparable" in each.value and "Kvasir v2" in each.value for each in page.info)


def test_an_arranged_folder_is_enough(open_page, no_process, home, tmp_path):
    for part_name in ("train", "test", "ood/polyp"):
        (tmp_path / part_name).mkdir(parents=True)
    (tmp_path / "split.json").write_text('{"protocol": "kvasir-v2"}', encoding="utf-8")
    page = open_page()
    choose(page, "Folder of in-distribution images", str(tmp_path))
    choose(page, "Protocol of a paper", "gastrovision")
    page = press(page, "Run")
    assert "was arranged for kvasir-v2, not for gastrovision" in page.error[0].value.replace("\\", "")
    choose(page, "Protocol of a paper", "kvasir-v2")
    choose(page, "Out-of-distribution folders, one NAME=FOLDER a line", f"a={tmp_path}")
    page = press(page, "Run")
    assert "leave out others" in page.error[0].value.replace("\\", "")
    choose(page, "Out-of-distribution folders, one NAME=FOLDER a line", "")
    page = press(page, "Run")
    (job,) = jobs(home)
    assert job.state.stage == "waiting", "no other folder is asked for"
    assert f"{tmp_path.name}" in words_of(page).replace("\\", "")


def test_published_figures_stand_beside_ours_where_they_may(open_page, home):
    published = {
        "protocol": "kvasir-v2", "comparable": True, "reason": "The same images.", "source": "A paper.",
        "rows": [
            {"detector": "nero", "title": "NERO", "auroc": 0.9076, "fpr_ood_at_95_id_tpr": 0.2884},
            {"detector": "odin", "title": "ODIN", "auroc": 0.9177, "fpr_ood_at_95_id_tpr": 0.3544},
        ],
    }  # fmt: skip
    folder = store(home, made_result(DETECTORS, published=published))
    page = part(open_page(), "Published figures")
    assert not page.exception
    table = next(each.value for each in page.dataframe if "AUROC ↑ published" in each.value)
    assert table["AUROC ↑ published"].tolist() == pytest.approx([90.76, 91.77])
    assert "The same images" in words_of(page)
    published["comparable"] = False
    made_result(DETECTORS, published=published | {"reason": "Other images."}).save(folder)
    page.run()
    assert any("Not comparable" in each.value and "Other images" in each.value for each in page.info)
