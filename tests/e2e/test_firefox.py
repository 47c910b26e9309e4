"""The components in Firefox, driven by WebDriver BiDi: the main things, by pointer and by keys."""

from __future__ import annotations

import json
import re

import pytest

from tests.e2e.bidi import firefox
from tests.e2e.screens import COUNT, FLAGGED, serve_screen
from tests.e2e.test_frame_viewer import ALL, PAINTED, TWELVE, assert_painted

pytestmark = pytest.mark.browser

FIND = """((name, at = 0) => [...document.querySelectorAll("*"),
    ...[...document.querySelectorAll("*")].flatMap((host) => [...(host.shadowRoot?.querySelectorAll("*") ?? [])])]
    .filter((one) => one.matches(name))[at])"""
"""The element of a selector in the document or in a component, as JavaScript."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless Firefox; skips where there is none."""
    with firefox(tmp_path_factory.mktemp("firefox")) as browser:
        browser.size(1280, 800)
        yield browser


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    """Addresses of the pages with the components."""
    folder = tmp_path_factory.mktemp("servers")
    with serve_screen("frame", folder / "frame.txt") as frame, serve_screen("case", folder / "case.txt") as case:
        yield {"frame": frame, "case": case}


@pytest.fixture
def frame(browser, addresses):
    browser.open(addresses["frame"])
    browser.wait(f"{text('.viewer .shown')} === 'all neurons together'")
    return browser


@pytest.fixture
def case(browser, addresses):
    browser.open(addresses["case"])
    browser.wait(f"{find('[role=option]', COUNT - 1)} !== undefined")
    browser.wait("document.querySelector('[data-test-script-state=notRunning]') !== null")
    return browser


def find(selector, at=0):
    return f"{FIND}({json.dumps(selector)}, {at})"


def text(selector, at=0):
    return f"{find(selector, at)}?.textContent"


def box(browser, selector, at=0):
    """Left, top, width and height of an element in the window."""
    return browser.run(f"(({{ x, y, width, height }}) => [x, y, width, height])({find(selector, at)}"
                       ".getBoundingClientRect())")  # fmt: skip


def middle(browser, selector, at=0):
    left, top, width, height = box(browser, selector, at)
    return left + width / 2, top + height / 2


def on_picture(browser, x, y):
    left, top, width, height = box(browser, ".stage")
    return left + x * width, top + y * height


def click(browser, selector, at=0):
    browser.click(*middle(browser, selector, at))


def way(name):
    return f"[role=radio]:nth-child({['outline', 'fade', 'wipe', 'off'].index(name) + 1})"


def checked(name):
    return f"{find(way(name))}.ariaChecked === 'true'"


def page_says(browser, said):
    browser.wait(f"document.body.innerText.includes({json.dumps(said)})")


def test_arrow_keys_go_through_the_ways(frame):
    click(frame, way("outline"))
    frame.press("ArrowRight")
    frame.wait(checked("fade"))
    assert frame.run(f"getComputedStyle({find('.veil')}).display") != "none"
    frame.press("ArrowRight")
    frame.wait(checked("wipe"))
    frame.press("ArrowLeft", "ArrowLeft")
    frame.wait(checked("outline"))
    assert frame.run(f"{find('.viewer .edge')}.getAttribute('d')") == ALL


def test_the_edge_is_moved_by_pointer_and_by_keys(frame):
    click(frame, way("wipe"))
    frame.drag(on_picture(frame, 0.5, 0.5), on_picture(frame, 0.75, 0.5))
    frame.wait(f"{find('[role=slider]')}.ariaValueNow === '75'")
    frame.press("ArrowLeft")
    frame.wait(f"{find('[role=slider]')}.ariaValueNow === '73'")
    assert frame.run(f"getComputedStyle({find('.veil')}).clipPath").startswith("inset(0px 27%")
    click(frame, way("outline"))


def test_the_viewer_shows_the_layer_of_the_card_under_the_pointer(frame):
    frame.move(*middle(frame, ".card"))
    frame.wait(f"{text('.viewer .shown')} === 'neuron 12'")
    assert frame.run(f"{find('.viewer .edge')}.getAttribute('d')") == TWELVE
    frame.move(*middle(frame, ".viewer .shown"))
    frame.wait(f"{text('.viewer .shown')} === 'all neurons together'")


def test_a_pressed_card_stays_shown(frame):
    frame.wait(f"{find('.card button')}.ariaDisabled === 'false'")
    frame.run(f"{find('.card button')}.focus()")
    frame.press("Enter")
    frame.wait(f"{find('.card button')}.ariaPressed === 'true'")
    frame.move(*middle(frame, ".viewer .shown"))
    frame.wait(f"{text('.viewer .shown')} === 'neuron 12'")


def test_covers_are_drawn_by_pointer_and_by_keys(frame):
    click(frame, ".tools > button")
    frame.drag(on_picture(frame, 0.2, 0.3), on_picture(frame, 0.6, 0.7))
    frame.wait("document.body.innerText.includes('boxes: [[')")
    said = frame.run("document.body.innerText.match(/boxes: .*/)[0]")
    assert [float(each) for each in re.findall(r"[\d.]+", said)] == pytest.approx([0.2, 0.3, 0.4, 0.4], abs=0.01)
    frame.run(f"{find('.tools > button')}.focus()")
    frame.press("Enter", "ArrowLeft")
    frame.press("ArrowDown", held=["Shift"])
    frame.press("Enter")
    page_says(frame, "[0.355, 0.375, 0.25, 0.27]")
    frame.wait(f"{find('.cover', 1)} !== undefined")


def chosen(browser, place):
    browser.wait(f"{find('[role=option]', place)}.ariaSelected === 'true'")


def test_keys_go_along_the_strip(case):
    case.press("ArrowRight")  # nothing has the focus
    chosen(case, 1)
    case.press("n")
    chosen(case, FLAGGED[0])
    click(case, "[role=option]", 2)
    chosen(case, 2)
    case.press("ArrowRight", "ArrowRight", "ArrowLeft")
    chosen(case, 3)
    case.press("End")
    chosen(case, COUNT - 1)
    left, _, width, _ = box(case, "[role=option]", COUNT - 1)
    assert left >= 0
    assert left + width <= 1280
    page_says(case, f"chosen: {COUNT - 1} told:")
    click(case, "input[type=text]")
    case.press("n", "Home")
    assert case.run(f"{find('input[type=text]')}.value") == "n"
    chosen(case, COUNT - 1)


def test_a_case_is_announced_and_guarded(case):
    def asked():
        return case.run("!dispatchEvent(new Event('beforeunload', { cancelable: true }))")

    assert not asked()
    click(case, "[role=option]", 5)
    case.wait("document.getElementById('nero-announced').textContent === 'Headline of 5'")
    assert asked()
    case.run("[...document.querySelectorAll('button')].find((one) => one.innerText === 'close the case').click()")
    page_says(case, "The headline of None")
    case.wait("dispatchEvent(new Event('beforeunload', { cancelable: true }))")


def test_an_example_is_chosen(case):
    case.wait("[...document.querySelectorAll('label p')].some((p) => p.innerText === 'grid')")
    click(case, "label p", case.run("[...document.querySelectorAll('label p')].map((p) => p.innerText)").index("grid"))
    case.wait(f"{find('.grid button', 1)} !== undefined")
    click(case, ".grid button", 1)
    page_says(case, "example: b × 1")


def test_the_colours_are_painted_over_the_grey_picture_up_to_the_edge(frame):
    click(frame, way("wipe"))
    frame.wait(checked("wipe"))
    click(frame, ".stage")  # the edge is in the middle
    frame.wait(f"{find('[role=slider]')}.ariaValueNow === '50'")
    places = [on_picture(frame, x, 0.1) for x in PAINTED]
    assert_painted(frame.picture(), places)
    click(frame, way("outline"))
