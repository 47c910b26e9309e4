"""One real browser: what is chosen is shown beside what it was chosen from, and Back leads back at once."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import expect

from tests.e2e import test_browser
from tests.e2e.test_browser import overflows

pytestmark = pytest.mark.browser

chromium, served, page = test_browser.chromium, test_browser.served, test_browser.page


def go_to(page, name):
    """Another page by its name above; waits until it is there."""
    page.get_by_test_id("stTopNavLink").filter(has_text=name).click()
    page.get_by_role("heading", name=name, exact=True).wait_for()


def view(page):
    """What the address says of the view."""
    return dict(parse_qsl(urlsplit(page.url).query))


def wait_for_view(page, **wanted):
    page.wait_for_function(
        "wanted => { const now = new URLSearchParams(location.search);"
        " return Object.entries(wanted).every(([name, value]) => now.get(name) === value) }",
        arg=wanted,
    )


def box(locator):
    found = locator.bounding_box()
    assert found is not None
    return found


def number(page, label="Neuron"):
    return page.get_by_role("spinbutton", name=label, exact=True)


def bars(page):
    """Those of the first group of images; Case review has a chart that nobody sees."""
    return page.locator(".st-key-neurons-bars .barlayer .trace").first.locator(".point path")


def neurons_open(page, width, height):
    page.set_viewport_size({"width": width, "height": height})
    bars(page).first.wait_for(state="attached")
    page.locator('[data-test-script-state="notRunning"]').wait_for()
    page.wait_for_function(  # the box is empty for a moment
        "document.querySelector('input[aria-label=\"Neuron\"]')?.value"
        " === new URLSearchParams(location.search).get('neuron')"
    )


def shown(page, neuron):
    return page.get_by_text(f"Mean relevance of neuron {neuron}:")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1920, 1080)])
def test_a_bar_and_a_row_show_their_neuron_beside_them_without_scrolling(page, width, height):
    go_to(page, "Neurons")
    neurons_open(page, width, height)
    chart = page.locator('.st-key-neurons-bars[data-stale="false"]')
    before = number(page).input_value()
    bars(page).nth(5).click(force=True)
    page.wait_for_function(
        "before => document.querySelector('input[aria-label=\"Neuron\"]').value !== before", arg=before
    )
    chosen = number(page).input_value()
    shown(page, chosen).wait_for()
    crops = page.locator(f'img[alt*="where neuron {chosen} was most relevant"]')
    crops.wait_for()
    for element in (shown(page, chosen), crops, number(page)):
        place = box(element)
        assert place["x"] > box(chart)["x"] + box(chart)["width"], "beside it"
        assert place["y"] >= 0, "nobody scrolls"
        assert place["y"] + place["height"] <= height
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0
    wait_for_view(page, neuron=chosen)
    assert not overflows(page)


def test_below_each_other_on_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{page.url.rstrip('/')}/neurons?neuron=7&beside=9")
    shown(page, 9).wait_for()
    chart = page.locator('.st-key-neurons-bars[data-stale="false"]')
    assert box(shown(page, 7))["y"] > box(chart)["y"] + box(chart)["height"]
    assert box(shown(page, 9))["y"] > box(shown(page, 7))["y"]
    assert not overflows(page)


def test_back_leads_from_a_changed_view_to_the_page_before(page):
    page.get_by_text("Not a medical device").wait_for()
    before = page.evaluate("history.length")
    go_to(page, "Neurons")
    neurons_open(page, 1280, 800)
    for neuron in ("3", "4", "5"):
        number(page).fill(neuron)
        number(page).press("Enter")
        shown(page, neuron).wait_for()
        wait_for_view(page, neuron=neuron)
    assert page.evaluate("history.length") == before + 1
    page.go_back()
    page.get_by_role("heading", name="Case review", exact=True).wait_for()
    assert view(page) == {}
    page.go_forward()
    shown(page, "5").wait_for()
    assert re.search(r"/neurons\?", page.url)
    go_to(page, "Benchmark")
    page.get_by_text("What to look at").wait_for()
    page.get_by_role("radio", name="A results file").click()
    page.get_by_text("Open what").wait_for()
    page.go_back()
    shown(page, "5").wait_for()


def test_a_reload_and_a_link_restore_the_view(page):
    go_to(page, "Neurons")
    neurons_open(page, 1280, 800)
    number(page, "Beside it, another").fill("9")
    number(page, "Beside it, another").press("Enter")
    wait_for_view(page, beside="9")
    page.reload()
    shown(page, 9).wait_for()
    expect(number(page, "Beside it, another")).to_have_value("9")
