"""One real browser: folders of images → a reference that is built while the page is reloaded, looked at, and used."""

from __future__ import annotations

import re
import time

import pytest

from nero_core.jobs.builds import BUILD
from nero_core.jobs.job import CANCEL, JOBS, cancel, list_jobs
from nero_core.reference.manifest import list_references
from nero_core.storage.locks import is_locked
from pages.shared.watching import LOOK_EVERY
from tests.e2e import test_browser
from tests.e2e.test_browser import PATIENCE, overflows, serve

pytestmark = pytest.mark.browser

chromium, page = test_browser.chromium, test_browser.page
TITLE = "Noise <b>of mine</b>"
STAGE = re.compile("Waiting|Checking the images|Training|Fitting and calibrating|Ready to be looked at")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """An empty folder that references are written to; no build outlives the test."""
    folder = tmp_path_factory.mktemp("home")
    yield folder
    for build in list_jobs(folder, BUILD):
        cancel(build)
    end = time.monotonic() + PATIENCE / 1000
    while is_locked(folder / JOBS / BUILD.lock) and time.monotonic() < end:
        time.sleep(0.2)


@pytest.fixture(scope="module")
def served(tmp_path_factory, home):
    """Address of the app, which may build."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        with serve(tmp_path_factory.mktemp("server") / "log.txt", home / "none", NERO_ALLOW_BUILD="1") as address:
            yield address


def choose(page, label, text):
    """Type a new option into a list."""
    page.get_by_role("combobox", name=label).fill(text)
    page.get_by_role("option", name=text).first.click()


def fill(page, label, text):
    field = page.get_by_label(label, exact=True)
    field.fill(text)
    field.press("Tab")


def ask_for_a_build(page, served, folder, title, epochs):
    page.goto(f"{served}/references?view=Build+one")
    fill(page, "Folder of class folders", str(folder))
    fill(page, "Name of the reference", title)
    choose(page, "Architecture", "test_resnet")
    fill(page, "Passes over the images (epochs)", epochs)
    page.get_by_role("slider").press("ArrowRight")
    page.get_by_text("Needs 9 calibration images of every class").wait_for()
    page.get_by_text("A checkpoint, and more").click()
    fill(page, "Side of the network’s input in pixels (0: its own)", "32")
    page.get_by_text("Measure the faithfulness of the heatmaps").click()  # on at first; here it would take seconds
    page.get_by_role("button", name="Build", exact=True).click()


def test_stopping_asks_first_and_the_build_goes_on_later(page, served, home, class_folders):
    ask_for_a_build(page, served, class_folders, "Long", "500")
    epoch = page.get_by_text(re.compile(r"Epoch \d+ of 500"))
    epoch.wait_for()
    stop = page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True)  # the header has Streamlit's
    stop.click()
    question = page.get_by_text("Stop this build?")
    question.wait_for()
    page.wait_for_timeout(2.5 * 1000 * LOOK_EVERY)
    assert question.is_visible(), "the card was drawn anew meanwhile"
    (build,) = list_jobs(home, BUILD)
    assert build.state.stage == "training", "nothing is stopped by asking"
    page.keyboard.press("Escape")
    question.wait_for(state="hidden")
    assert not (build.folder / CANCEL).exists()

    stop.click()
    page.get_by_role("button", name="Stop it", exact=True).click()
    page.get_by_text("Kept for another try").wait_for()
    (build,) = list_jobs(home, BUILD)
    assert build.state.stage == "stopped"
    done = len(build.state.history)
    assert done >= 1
    page.get_by_role("button", name="Go on", exact=True).click()
    epoch.wait_for()
    assert int(re.search(r"Epoch (\d+)", epoch.inner_text())[1]) > done, "not from the beginning"
    stop.click()
    page.get_by_role("button", name="Stop it", exact=True).click()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_role("button", name="Remove", exact=True).wait_for(state="detached")
    assert list_jobs(home, BUILD) == []


def test_a_reference_is_built_looked_at_and_used(page, served, home, class_folders):
    ask_for_a_build(page, served, class_folders, TITLE, "2")
    page.get_by_text(STAGE).wait_for()

    page.reload()  # the build goes on in a process of its own, and the address knows the view
    page.get_by_text(STAGE).wait_for()
    assert list_references([home]) == [], "nobody can use it yet"

    page.get_by_text("Look at it first").wait_for()
    page.get_by_role("rowheader", name="Accuracy on images set aside").wait_for()
    page.get_by_role("rowheader", name="False alarms of NERO, 10 % asked for").wait_for()
    page.locator(".js-plotly-plot").nth(1).wait_for()
    assert list_references([home]) == [], "metrics are shown before it can be used"

    page.get_by_role("button", name="Use this reference").click()
    page.get_by_role("button", name=TITLE).wait_for()  # the header says which one is in use, as text
    assert [entry.error for entry in list_references([home])] == [None]
    assert list_jobs(home, BUILD) == []
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("radio", name="On this computer", exact=True).click()
    page.get_by_role("rowheader", name="SHA-256 of the classifier file").wait_for()
    assert not overflows(page)
    assert page.locator('[data-testid="stException"]').count() == 0
    # Streamlit's client first seeks its server below the page's own address, and finds it one level up.
    assert [problem for problem in page.problems if "404 (Not Found)" not in problem] == []
    assert page.abroad == []
