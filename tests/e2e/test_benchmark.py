"""One real browser: a benchmark is asked for, its window is closed, and another window finds its result."""

from __future__ import annotations

import shutil
import time

import pytest

from nero_core.jobs.benchmarks import BENCHMARK
from nero_core.jobs.job import JOBS, cancel, list_jobs
from nero_core.storage.locks import is_locked
from tests.conftest import write_class_folders
from tests.e2e import test_browser
from tests.e2e.test_browser import PATIENCE, overflows, serve

pytestmark = pytest.mark.browser

chromium, page = test_browser.chromium, test_browser.page


@pytest.fixture(scope="module")
def home(tmp_path_factory, tiny_reference):
    """A folder of one reference; no benchmark outlives the test."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copytree(tiny_reference, folder / "coloured-noise")
    yield folder
    for job in list_jobs(folder, BENCHMARK):
        cancel(job)
    end = time.monotonic() + PATIENCE / 1000
    while is_locked(folder / JOBS / BENCHMARK.lock) and time.monotonic() < end:
        time.sleep(0.2)


@pytest.fixture(scope="module")
def served(tmp_path_factory, home):
    """Address of the app, which may read folders of this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        patch.setenv("NERO_CACHE", str(tmp_path_factory.mktemp("cache")))
        with serve(tmp_path_factory.mktemp("server") / "log.txt", home / "none", NERO_ALLOW_BUILD="1") as address:
            yield address


def fill(page, label, text):
    field = page.get_by_label(label, exact=True)
    field.fill(text)
    field.press("Tab")


def test_a_benchmark_outlives_its_window(page, chromium, served, home, strange_folder, tmp_path):
    unseen = write_class_folders(tmp_path / "unseen", 24, seed=55) / "amber"
    page.goto(f"{served}/benchmark")
    fill(page, "Folder of in-distribution images", str(unseen))
    fill(page, "Out-of-distribution folders, one NAME=FOLDER a line", f"<b>strange={strange_folder}")
    page.get_by_text("Understood: <b>strange").wait_for()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True).wait_for()
    assert len(list_jobs(home, BENCHMARK)) == 1
    page.close()

    another = chromium.new_page(viewport={"width": 1280, "height": 900})
    another.set_default_timeout(PATIENCE)
    try:
        another.goto(f"{served}/benchmark")
        another.get_by_role("heading", name="Detectors", exact=True).wait_for()  # by itself, when it is done
        another.get_by_text("until you remove it; only the account").wait_for()
        assert [job.state.stage for job in list_jobs(home, BENCHMARK)] == ["done"]
        another.set_viewport_size({"width": 390, "height": 844})
        assert not overflows(another)
        assert another.locator('[data-testid="stException"]').count() == 0
        another.get_by_role("button", name="Remove", exact=True).click()
        another.get_by_role("heading", name="Detectors", exact=True).wait_for(state="detached")
        assert list_jobs(home, BENCHMARK) == []
    finally:
        another.close()
