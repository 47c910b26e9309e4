"""One real browser: a file that is refused says why in the page, and not on hover."""

from __future__ import annotations

import pytest

from tests.e2e import test_browser
from tests.e2e.test_browser import overflows, serve

pytestmark = pytest.mark.browser

chromium, page = test_browser.chromium, test_browser.page


@pytest.fixture(scope="module")
def served(tmp_path_factory, tiny_reference):
    """Address of the app, which may import."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with serve(log, tiny_reference, NERO_ALLOW_BUILD="1", STREAMLIT_SERVER_MAX_UPLOAD_SIZE="1") as address:
        yield address


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    ("name", "kind", "size", "why"),
    [("notes.txt", "text/plain", 5, "not allowed"), ("a.zip", "application/zip", 2**20 + 1, "1.0MB or smaller")],
)
def test_why_a_file_is_refused_is_in_sight(page, served, width, name, kind, size, why):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{served}/references?view=From+a+file")
    page.get_by_text("Reference file").wait_for()
    page.locator('input[type="file"]').set_input_files([{"name": name, "mimeType": kind, "buffer": bytes(size)}])
    said = page.get_by_test_id("stFileChip").get_by_role("alert")
    said.wait_for()
    assert why in said.inner_text()
    place = said.bounding_box()
    assert place["width"] > 100, "not for screen readers alone"
    assert place["height"] > 10
    wanted = said.evaluate("element => getComputedStyle(element, '::after').content")
    assert wanted == '" Taken here: .zip, at most 1 MB a file."'
    assert not overflows(page)
