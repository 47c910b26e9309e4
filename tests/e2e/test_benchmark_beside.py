"""One real browser: a row of the benchmark's table shows its detector beside it."""

from __future__ import annotations

import shutil

import pytest

from pages.benchmark_views.results import stored_folder
from tests.benchmark_results import made_result
from tests.e2e import test_browser
from tests.e2e.test_beside import box
from tests.e2e.test_browser import overflows, serve

pytestmark = pytest.mark.browser

chromium, page = test_browser.chromium, test_browser.page
HEADER, ROW = 35, 35  # pixels of the table


@pytest.fixture(scope="module")
def served(tmp_path_factory, tiny_reference):
    """Address of the app on a reference with a result of its own."""
    reference = tmp_path_factory.mktemp("own") / "references" / "coloured-noise"
    shutil.copytree(tiny_reference, reference)
    folder = stored_folder(reference)
    folder.mkdir(parents=True)
    made_result({"nero": 0.5, "energy": 1.5, "knn": -0.5}, title="Coloured noise").save(folder)
    with serve(tmp_path_factory.mktemp("server") / "log.txt", reference) as address:
        yield address


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1920, 1080)])
def test_a_row_shows_its_detector_beside_the_table(page, width, height):
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{page.url.rstrip('/')}/benchmark")
    page.get_by_text("ENERGY on All OOD images together").wait_for()
    page.locator('[data-test-script-state="notRunning"]').wait_for()
    table = page.locator(".st-key-benchmark-table")
    table.scroll_into_view_if_needed()
    table.click(position={"x": 20, "y": HEADER + 2.5 * ROW})  # the box before the third row
    detail = page.get_by_text("KNN on All OOD images together")
    detail.wait_for()
    assert box(detail)["x"] > box(table)["x"] + box(table)["width"], "beside it"
    assert 0 <= box(detail)["y"] < height, "nobody scrolls"
    assert page.get_by_text("On these images ENERGY is ahead of all others").count() == 1
    assert not overflows(page)


def test_below_the_table_on_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{page.url.rstrip('/')}/benchmark")
    detail = page.get_by_text("ENERGY on All OOD images together")
    detail.wait_for()
    table = page.locator(".st-key-benchmark-table")
    assert box(detail)["y"] > box(table)["y"] + box(table)["height"]
    assert not overflows(page)
