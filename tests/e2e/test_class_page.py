"""One real browser: a student's telephone, in both themes, by keyboard, and without JavaScript."""

from __future__ import annotations

import pytest

from tests.e2e import test_browser
from tests.e2e.test_browser import PATIENCE, overflows
from tests.server import test_classroom

pytestmark = pytest.mark.browser

chromium, room = test_browser.chromium, test_classroom.room
TELEPHONE = {"width": 390, "height": 844}
QUESTION = "Two points lie equally far from the centroid. Which is farther for NERO?"
OPTIONS = {"axis": "The one along the axis", "diagonal": "The one along the diagonal", "both": "Both are equally far"}


@pytest.fixture(params=["light", "dark"])
def page(request, chromium, room):
    """The page on a telephone, with what goes wrong on it."""
    context = chromium.new_context(viewport=TELEPHONE, color_scheme=request.param)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.goto(room.addresses[0])
    yield page
    context.close()


def assert_sound(page):
    """Nothing is found against it, and nothing went wrong: the policy stops none of its own parts."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    assert [found["id"] for found in axe.run(page).response["violations"]] == []
    assert not overflows(page)
    assert page.problems == []


def test_a_student_answers_by_keyboard_and_sees_the_counts(page, room):
    page.get_by_role("heading", name="No question yet").wait_for()
    assert_sound(page)
    number = room.tally.ask("centroids", QUESTION, OPTIONS)
    page.get_by_role("heading", name=QUESTION).wait_for()
    for words in OPTIONS.values():
        box = page.get_by_role("button", name=words).bounding_box()
        assert box["height"] >= 48
        assert box["width"] >= 300
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("Your answer is counted").wait_for()
    assert page.locator('[aria-pressed="true"]').inner_text() == OPTIONS["diagonal"]
    assert room.tally.now().counts == {"axis": 0, "diagonal": 1, "both": 0}
    assert_sound(page)
    room.tally.reveal(number)
    page.get_by_text("Answers counted: 1.").wait_for()
    assert [each.inner_text() for each in page.locator("li b").all()] == ["0", "1", "0"]
    bars = [each.bounding_box()["width"] for each in page.locator("rect").all()]
    assert bars[0] == bars[2] == 0 < bars[1]
    assert_sound(page)


def test_it_needs_no_script(chromium, room):
    context = chromium.new_context(viewport=TELEPHONE, java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(room.addresses[0])
    room.tally.ask("centroids", QUESTION, OPTIONS)
    page.get_by_role("button", name=OPTIONS["axis"]).click()
    page.get_by_text("Your answer is counted").wait_for()
    assert room.tally.now().counts["axis"] == 1
    context.close()
