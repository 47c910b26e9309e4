"""One real browser: a high window, the place that the sentence of why speaks of, and images that are added."""

from __future__ import annotations

import pytest

from tests.e2e import test_one_screen
from tests.e2e.screens import expect
from tests.e2e.test_accessibility import settle
from tests.e2e.test_one_screen import POLYP, bounds, drop, opened, option, png, sentence, shown, tab_to

pytestmark = pytest.mark.browser

chromium, served, page = test_one_screen.chromium, test_one_screen.served, test_one_screen.page
UNUSED = 0.15  # of the height of what stands beside the frame: what may stay blank below it
LOW_HISTOGRAM = 160  # pixels: in a window of 800


def test_a_high_window_is_used_by_frame_and_histogram(chromium, served):
    with chromium.new_context(viewport={"width": 1920, "height": 1080}) as context:
        page = opened(context, served)
        drop(page, POLYP)
        sentence(page)
        seen = bounds(page)
        card, frame = page.locator(".st-key-card").bounding_box(), page.locator(".st-key-below-frame").bounding_box()
        blank = frame["y"] + frame["height"] - card["y"] - card["height"]
        assert blank < UNUSED * card["height"], "below the sentence"
        assert seen["histogram"][1] - seen["histogram"][0] > 2 * LOW_HISTOGRAM
        assert seen["parts"][1] <= 1080


# The place that the sentence speaks of -------------------------------------------------------------------------------


def test_the_place_of_the_sentence_is_drawn_named_and_reached_by_keys(page):
    drop(page, POLYP)
    expect(page.locator(".viewer .legend")).to_have_text("Outline: where the whole network looked")
    sentence(page)
    region, named = page.locator(".viewer .region"), page.get_by_role("button", name="Tested place: ")
    expect(named).to_have_text("Tested place")
    expect(named).to_have_attribute("aria-pressed", "true")
    stage, box = page.locator(".viewer .stage").bounding_box(), region.bounding_box()
    left = 100 * (box["x"] - stage["x"]) / stage["width"]
    told = int(named.get_attribute("aria-label").removeprefix("Tested place: ").partition(" % from the left, ")[0])
    assert told == pytest.approx(left, abs=1)  # of a line some pixels wide
    assert stage["y"] <= box["y"]
    assert box["y"] + box["height"] <= stage["y"] + stage["height"] + 1
    tab_to(page, "button", "Tested place")
    page.keyboard.press("Enter")
    expect(region).to_be_hidden()
    expect(named).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Enter")
    expect(region).to_be_visible()


# Adding to a case ----------------------------------------------------------------------------------------------------


def test_files_of_a_wrong_kind_are_named_with_the_reason_beside_those_that_are_read(page):
    notes = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"not an image"}
    drop(page, [notes, png(0)])
    expect(page.locator(".viewer .note")).to_contain_text("scene-0.png")
    page.get_by_text("1 of 2 could not be read").click()
    expect(page.get_by_text("notes.txt: ")).to_contain_text("is not an image")


def test_images_that_are_added_are_said_and_the_one_under_review_stays(page):
    drop(page, [png(0), png(1)])
    option(page, 1).click()
    shown(page, 1)
    page.get_by_role("button", name="Open images").click()
    page.locator('[data-testid="stPopoverBody"] input[type="file"]').set_input_files([png(2), png(3), png(4)])
    page.get_by_test_id("stToast").get_by_text("3 images added").wait_for()
    page.get_by_text("of 5 flagged").wait_for()
    settle(page)
    shown(page, 1)
    expect(page.locator(".viewer .note")).to_contain_text("scene-1.png")
