"""German in a real browser: chosen in the header or asked for by the browser, and nothing wider than a telephone."""

from __future__ import annotations

import pytest

from nero_core import wording
from pages.case_views.parts import PARTS
from tests.e2e import test_accessibility, test_browser
from tests.e2e.screens import expect
from tests.e2e.test_accessibility import settle, unfold
from tests.e2e.test_browser import PATIENCE, open_part, overflows
from tests.e2e.test_one_screen import drop, png

pytestmark = pytest.mark.browser

chromium, served = test_browser.chromium, test_accessibility.served
TELEPHONE = {"width": 390, "height": 844}


def opened(context, address):
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.get_by_text("Kein Medizinprodukt").or_(page.get_by_text("Not a medical device")).wait_for()
    settle(page)
    return page


@pytest.fixture
def telephone(chromium):
    with chromium.new_context(viewport=TELEPHONE, device_scale_factor=2, locale="de-DE") as context:
        yield context


def test_case_review_in_german_is_no_wider_than_a_telephone(telephone, served):
    page = opened(telephone, served)
    expect(page.get_by_role("heading", level=1)).to_have_text("Fallprüfung")
    assert not overflows(page), "without a case"
    drop(page, [png(0), png(1)])
    page.get_by_text("Die eigene Antwort des Netzes").wait_for()
    with wording.speaking("de"):
        parts = [wording.said(part) for part in PARTS]
    for part in parts:
        open_part(page, part)
        settle(page)
        assert not overflows(page), part


@pytest.mark.parametrize("name", ["benchmark", "neurons", "references"])
def test_every_page_in_german_is_no_wider_than_a_telephone(telephone, served, name):
    page = opened(telephone, f"{served}/{name}")
    assert not overflows(page)
    unfold(page)
    assert not overflows(page), "unfolded"


def test_every_step_of_the_lesson_in_german_is_no_wider_than_a_telephone(telephone, served):
    page = opened(telephone, f"{served}/lesson")
    for step in range(1, 9):
        page.goto(f"{served}/lesson?step={step}&answer=shown")
        page.get_by_text("Kein Medizinprodukt").wait_for()
        settle(page)
        assert not overflows(page), step


def test_two_browsers_at_once_and_whoever_chooses_by_keys(chromium, served):
    """One asks for German, the other for English; then the first chooses English, and has it on every page."""
    with chromium.new_context(locale="de-AT") as vienna, chromium.new_context(locale="en-GB") as london:
        page, other = opened(vienna, served), opened(london, served)
        title, others = (each.get_by_role("heading", level=1) for each in (page, other))
        expect(title).to_have_text("Fallprüfung")
        expect(others).to_have_text("Case review")
        page.locator(".st-key-language-menu button").first.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("menuitem", name="Deutsch")).to_be_visible()
        page.keyboard.press("ArrowDown")  # into the list: it opens with the focus on all of it
        page.keyboard.press("Home")
        expect(page.get_by_role("menuitem", name="English")).to_be_focused()
        page.keyboard.press("Enter")
        expect(title).to_have_text("Case review")
        settle(page)
        page.get_by_role("link", name="Neurons").click()
        expect(title).to_have_text("Neurons")
        expect(others).to_have_text("Case review")
