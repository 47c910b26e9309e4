"""One real browser: upload → verdict → heatmaps, as a person sees it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.app.conftest import picture_bytes
from tests.server import serving

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
PATIENCE = 120_000  # milliseconds until a test gives up; nothing is asserted about time

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium():
    """A headless browser; skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -r requirements-dev.txt")
    if not CHROMIUM.is_file():
        pytest.skip(f"no Chromium at {CHROMIUM}: install it, or set CHROMIUM to where it is")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


def serve(log, reference, **settings):
    """Address of a new server with this reference."""
    return serving.serve(log, reference.parent, **settings)


@pytest.fixture(scope="module")
def served(tmp_path_factory, tiny_reference):
    """Address of the app on the tiny reference."""
    with serve(tmp_path_factory.mktemp("server") / "log.txt", tiny_reference) as address:
        yield address


@pytest.fixture
def page(chromium, served):
    """An open page that notes what goes wrong and every request that leaves this machine."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE)
    page.problems, page.abroad = [], []
    page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda request: page.abroad.append(request.url) if is_abroad(request.url, served) else None)
    page.goto(served)
    yield page
    page.close()


def is_abroad(url, served):
    return not url.startswith((served, served.replace("http", "ws"), "data:", "blob:"))


def upload(page, *files):
    page.locator('input[type="file"]').set_input_files(
        [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files]
    )


def heatmaps(page):
    """The maps of single neurons, each on its card, once they are made."""
    return page.get_by_role("img", name=re.compile(r"^Neuron .*: Where it looked on this image$"))


def open_part(page, title):
    """One of the parts below the frame."""
    page.get_by_role("tab", name=title, exact=True).click()


def outline(page):
    """That of all neurons together, over the frame, once it is made."""
    return page.locator('.viewer .outline .edge[d*="M"]')


def overflows(page):
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth + 1")


def test_upload_verdict_heatmaps(page):
    page.get_by_text("Not a medical device").wait_for()
    upload(page, ("a.png", picture_bytes(size=(320, 240))))
    page.get_by_text("The network’s own answer").wait_for()
    page.get_by_role("img", name="The image under review").wait_for()
    outline(page).wait_for(state="attached")
    open_part(page, "Top neurons")
    heatmaps(page).nth(5).wait_for()
    assert heatmaps(page).count() == 6
    open_part(page, "Detectors")
    page.locator(".js-plotly-plot").nth(4).wait_for()  # gauge and histogram, and one of each detector
    page.locator('[data-test-script-state="notRunning"]').wait_for()
    assert page.locator(".js-plotly-plot").count() == 5
    assert page.locator("img:not([alt])").count() == 0
    assert page.locator('[data-testid="stException"]').count() == 0
    assert not overflows(page)
    assert page.problems == []
    assert page.abroad == [], "nothing leaves the machine"


def test_a_camera_saves_its_chart(page):
    upload(page, ("a.png", picture_bytes(size=(320, 240))))
    page.locator(".st-key-histogram .modebar-btn").first.wait_for(state="attached")
    page.locator('[data-test-script-state="notRunning"]').wait_for()
    with page.expect_download() as waiting:  # the button is there, also where no pointer is over the chart
        page.locator(".st-key-histogram .modebar-btn").first.evaluate("button => button.click()")
    assert waiting.value.suggested_filename == "nero histogram.svg"
    assert Path(waiting.value.path()).read_bytes().startswith(b"<svg")
    assert page.problems == []
    assert page.abroad == []


def test_a_name_with_markup_is_shown_and_never_run(page):
    upload(page, ("<img src=x onerror=alert(1)>.png", b"not an image"), ("b.png", picture_bytes()))
    page.locator('[data-testid="stAlert"]').get_by_text("could not be read").wait_for()
    page.get_by_text("1 of 1 flagged, 1 could not be read").or_(
        page.get_by_text("0 of 1 flagged, 1 could not")
    ).wait_for()
    shown = page.locator('[data-testid="stAlert"]').inner_text()
    assert "<img src=x onerror=alert(1)>.png" in shown.replace("\u2060", "")
    assert (
        page.get_by_role("option", name="<img src=x onerror=alert(1)>.png: could not be read", exact=True).count() == 1
    )
    page.get_by_role("option", name="b.png").click()
    page.get_by_text("The network’s own answer").wait_for()
    assert page.locator('img[src="x"]').count() == 0
    assert page.problems == []


def test_usable_on_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    upload(page, ("a.png", picture_bytes(size=(320, 240))))
    page.get_by_text("The network’s own answer").wait_for()
    open_part(page, "Top neurons")
    heatmaps(page).nth(5).wait_for()
    assert not overflows(page)


def test_a_page_may_be_opened_by_its_address_before_any_other(chromium, tmp_path, tiny_reference):
    with serve(tmp_path / "log.txt", tiny_reference) as address:
        page = chromium.new_page()
        page.goto(f"{address}/benchmark")
        page.get_by_role("heading", name="Benchmark", exact=True).wait_for(timeout=PATIENCE)
        page.get_by_text("In-distribution").or_(page.get_by_text("What to look at")).first.wait_for(timeout=PATIENCE)
        assert page.get_by_role("dialog").count() == 0, "no “Page not found”"
        assert page.locator('[data-testid="stException"]').count() == 0
        page.close()


def test_the_printed_address_gives_a_permission_that_outlives_a_reload(chromium, tmp_path, tiny_reference):
    log, command = tmp_path / "log.txt", [sys.executable, "-m", "pages.shared.start"]
    with serve(log, tiny_reference, command=command) as address:
        printed = re.search(r"http://\S+token=\S+", log.read_text())[0]
        for window, offered in ((chromium.new_context(), True), (chromium.new_context(), False)):
            page = window.new_page()
            page.set_default_timeout(PATIENCE)
            page.goto(printed)  # the second time it is spent
            page.get_by_text("Not a medical device").wait_for()
            assert page.url == f"{address}/", "the token does not stay in the address"
            page.goto(f"{address}/references?view=Build+one")
            for _ in range(2):
                shown = (
                    page.get_by_label("Folder of class folders") if offered else page.get_by_text("is not offered here")
                )
                shown.wait_for()
                page.reload()
            window.close()
