"""The frame with its layers and cards in a real browser, by pointer and by keys."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image

from nero_core.figures.palette import DIVERGING
from tests.e2e import test_browser
from tests.e2e.screens import RESERVED, expect, opened, press, serve_screen, tick
from tests.e2e.test_browser import overflows

pytestmark = pytest.mark.browser

chromium = test_browser.chromium
ALL, TWELVE, SEVEN = "M100 100L900 100L900 900Z", "M0 0L500 0L500 500Z", "M500 500L900 500L900 900Z"


def rgb(colour):
    """A colour as the browser writes it."""
    return f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Address of the page with the frame."""
    with serve_screen("frame", tmp_path_factory.mktemp("server") / "log.txt") as address:
        yield address


@pytest.fixture
def page(chromium, served):
    """The open page."""
    with opened(chromium, served) as page:
        shows(page, "all neurons together")
        yield page


def caption(page):
    return page.locator(".viewer .shown")


def shows(page, title):
    """Wait until the viewer names this layer."""
    expect(caption(page)).to_have_text(title)


def outline(page):
    return page.locator(".viewer .outline .edge").get_attribute("d")


def radio(page, name):
    return page.get_by_role("radio", name=name, exact=True)


def card(page, title):
    return page.get_by_role("group", name=title, exact=True)


def keep(page, title):
    return page.get_by_role("button", name=f"Show on the image: {title}", exact=True)


def boxes(page):
    return page.get_by_text("boxes:")


def shares(page, locator):
    """Where something lies on the picture: left, top, width, height in fractions of it."""
    whole, part = page.locator(".stage").bounding_box(), locator.bounding_box()
    return [
        (part["x"] - whole["x"]) / whole["width"],
        (part["y"] - whole["y"]) / whole["height"],
        part["width"] / whole["width"],
        part["height"] / whole["height"],
    ]


def at(page, x, y):
    """Coordinates of a place on the picture."""
    box = page.locator(".stage").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def drag(page, start, end):
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    page.mouse.move(*at(page, *end), steps=4)
    page.mouse.up()


# Ways to show a layer ------------------------------------------------------------------------------------------------


def test_the_outline_is_shown_first_where_the_network_saw(page):
    expect(radio(page, "Outline")).to_be_checked()
    assert page.get_by_role("img", name="Frame 1").count() == 1
    assert outline(page) == ALL
    assert shares(page, page.locator(".viewer .outline")) == pytest.approx([0.25, 0, 0.5, 1], abs=0.01)
    assert page.locator(".viewer .outline").get_attribute("viewBox") == "0 0 1000 1000"
    expect(page.locator(".veil")).to_be_hidden()
    expect(page.get_by_text("Speaks against")).to_be_hidden()


def test_arrow_keys_go_through_the_ways(page):
    radio(page, "Outline").focus()
    for key, name in [("ArrowRight", "Fade"), ("ArrowDown", "Wipe"), ("ArrowRight", "Off"), ("ArrowRight", "Outline"),
                      ("ArrowLeft", "Off"), ("ArrowUp", "Wipe")]:  # fmt: skip
        page.keyboard.press(key)
        expect(radio(page, name)).to_be_checked()
        expect(radio(page, name)).to_be_focused()
        assert page.get_by_role("radio", checked=True).count() == 1
    assert page.get_by_role("radiogroup", name="Show the heatmap as").count() == 1
    assert page.locator("[role=radio][tabindex='0']").count() == 1, "one stop for Tab"


def test_fading_has_a_strength_and_says_what_the_colours_mean(page):
    radio(page, "Fade").click()
    strength = page.get_by_role("slider", name="Strength of the heatmap")
    before = page.locator(".veil").evaluate("veil => veil.style.opacity")
    strength.press("ArrowRight")
    assert float(page.locator(".veil").evaluate("veil => veil.style.opacity")) == pytest.approx(float(before) + 0.01)
    expect(page.locator(".viewer .outline")).to_be_hidden()
    for word in ("Speaks against", "Nothing", "Speaks for"):
        expect(page.get_by_text(word)).to_be_visible()
    shown = page.locator(".scale").evaluate("bar => getComputedStyle(bar).backgroundImage")
    assert re.findall(r"rgb\([^)]*\)", shown)[::2] == [rgb(colour) for colour in DIVERGING[::2]]


def test_the_edge_is_moved_by_keys(page):
    radio(page, "Wipe").click()
    edge = page.get_by_role("slider", name="Edge of the heatmap")
    for key, value in [("ArrowRight", 52), ("ArrowDown", 50), ("PageUp", 60), ("End", 100), ("ArrowRight", 100),
                       ("Home", 0)]:  # fmt: skip
        edge.press(key)
        assert edge.get_attribute("aria-valuenow") == str(value)
        right = page.locator(".veil").evaluate("veil => getComputedStyle(veil).clipPath")
        assert right.startswith(f"inset(0px {100 - value}%")


def test_the_edge_is_dragged_on_the_picture(page):
    radio(page, "Wipe").click()
    drag(page, (0.5, 0.5), (0.8, 0.6))
    edge = page.get_by_role("slider", name="Edge of the heatmap")
    assert edge.get_attribute("aria-valuenow") == "80"
    left, _, width, _ = shares(page, edge)
    assert left + width / 2 == pytest.approx(0.8, abs=0.01)
    page.mouse.move(*at(page, 0.2, 0.5))
    assert edge.get_attribute("aria-valuenow") == "80", "the button was let go"


PAINTED = (0.1, 0.35, 0.65, 0.9)
"""Places on the picture: beside what the network saw, in it before and behind the edge, and beside it again."""


def assert_painted(png, places):
    """Wiped up to the middle: grey, the layer's orange, and the picture itself twice."""
    shown = Image.open(io.BytesIO(png)).convert("RGB")
    grey, orange, *maroon = [shown.getpixel((round(x), round(y))) for x, y in places]
    assert max(grey) - min(grey) <= 2
    assert orange[0] > 150 > orange[1] > orange[2]
    assert maroon == [(128, 0, 0)] * 2


def test_the_colours_are_painted_over_the_grey_picture_up_to_the_edge(page):
    radio(page, "Wipe").click()
    assert_painted(page.screenshot(), [at(page, x, 0.1) for x in PAINTED])


def test_off_shows_the_picture_alone(page):
    radio(page, "Off").click()
    expect(page.locator(".veil")).to_be_hidden()
    expect(page.locator(".viewer .outline")).to_be_hidden()
    expect(caption(page)).to_have_text("")


def test_what_was_chosen_stays_for_the_next_frame(page):
    radio(page, "Wipe").click()
    page.get_by_role("slider", name="Edge of the heatmap").press("End")
    press(page, "Another frame")
    page.get_by_role("img", name="Frame 2").wait_for()
    expect(radio(page, "Wipe")).to_be_checked()
    assert page.get_by_role("slider", name="Edge of the heatmap").get_attribute("aria-valuenow") == "100"


def test_no_way_moves_what_stands_below(page):
    below = page.get_by_text("below the viewer")
    there = below.bounding_box()
    for name in ("Fade", "Wipe", "Off", "Outline"):
        radio(page, name).click()
        assert below.bounding_box() == there
    page.get_by_role("button", name="Cover a part").click()
    assert below.bounding_box() == there
    tick(page, "with layers")
    shows(page, "Where the network looked…")
    assert below.bounding_box()["y"] == there["y"]


# Layers and cards ----------------------------------------------------------------------------------------------------


def test_the_viewer_shows_the_layer_of_the_card_under_the_pointer(page):
    card(page, "neuron 12").hover()
    shows(page, "neuron 12")
    assert outline(page) == TWELVE
    page.get_by_text("below the viewer").hover()
    shows(page, "all neurons together")
    assert outline(page) == ALL


def test_the_viewer_shows_the_layer_of_the_card_with_the_focus(page):
    keep(page, "neuron 12").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    shows(page, "neuron 12")
    page.keyboard.press("Tab")
    shows(page, "all neurons together")  # the next card's layer is not there


def test_a_pressed_card_stays_shown(page):
    keep(page, "neuron 12").click()
    page.get_by_text("below the viewer").hover()
    shows(page, "neuron 12")
    assert keep(page, "neuron 12").get_attribute("aria-pressed") == "true"
    tick(page, "complete")
    card(page, "neuron <b>7</b>").hover()
    shows(page, "neuron <b>7</b>")
    assert outline(page) == SEVEN
    page.get_by_text("below the viewer").hover()
    shows(page, "neuron 12")
    keep(page, "neuron 12").press("Enter")
    page.get_by_text("below the viewer").click()
    shows(page, "all neurons together")
    assert keep(page, "neuron 12").get_attribute("aria-pressed") == "false"


def test_a_card_waits_for_its_layer_at_its_full_size(page):
    waiting = card(page, "neuron <b>7</b>")
    expect(waiting.get_by_text("Its heatmap is being made…")).to_be_visible()
    expect(keep(page, "neuron <b>7</b>")).to_be_disabled()
    size = waiting.bounding_box()
    waiting.hover()
    shows(page, "all neurons together")
    tick(page, "complete")
    expect(waiting.get_by_role("img", name="neuron <b>7</b>: Where it looked on this image")).to_be_visible()
    expect(waiting.get_by_text("Its heatmap is being made…")).to_be_hidden()
    now = waiting.bounding_box()
    assert (now["width"], now["height"]) == (size["width"], size["height"])
    assert waiting.locator(".outline .edge").get_attribute("d") == SEVEN
    assert "<b>" in waiting.inner_text()
    assert page.locator(".card b, .card i, .viewer b").count() == 0, "names are text"


def test_crops_are_shown_where_there_are_any(page):
    expect(card(page, "neuron 12").get_by_role("img", name="Crops")).to_be_visible()
    expect(card(page, "neuron <b>7</b>").locator(".crops")).to_be_hidden()
    assert page.locator("img:not([alt])").count() == 0


def test_another_frame_never_shows_what_was_made_of_the_former(page):
    keep(page, "neuron 12").click()
    tick(page, "with layers")
    shows(page, "Where the network looked…")
    press(page, "Another frame")
    page.get_by_role("img", name="Frame 2").wait_for()
    tick(page, "late")  # the former frame's, made after the next has come
    card(page, "neuron 12").hover()
    shows(page, "Where the network looked…")
    assert outline(page) == ""
    assert page.locator(".viewer .colours img").count() == 0
    expect(card(page, "neuron 12").get_by_text("Its heatmap is being made…")).to_be_visible()
    tick(page, "with layers")
    shows(page, "all neurons together")
    assert keep(page, "neuron 12").get_attribute("aria-pressed") == "false", "it was kept on the former frame"


def test_between_two_frames_no_layer_lies_on_the_wrong_one(page):
    """The outline is gone in the very step in which the picture changes."""
    page.evaluate("""() => {
        const find = (name) => [...document.querySelectorAll(".stBidiComponent *")]
            .map((host) => host.shadowRoot?.querySelector(name)).find(Boolean);
        const [picture, edge] = [find(".picture"), find(".viewer .outline .edge")];
        const first = picture.src;
        window.seen = [];
        new MutationObserver(() => window.seen.push([picture.src === first, edge.getAttribute("d")]))
            .observe(picture.getRootNode(), { subtree: true, attributes: true, childList: true });
    }""")
    tick(page, "with layers")
    press(page, "Another frame")
    page.get_by_role("img", name="Frame 2").wait_for()
    seen = page.evaluate("window.seen")
    assert [False, ""] in seen
    assert [False, ALL] not in seen


def test_layers_may_come_before_their_viewer(page):
    tick(page, "layers first")
    press(page, "Another frame")
    page.get_by_role("img", name="Frame 2").wait_for()
    shows(page, "all neurons together")
    assert outline(page) == ALL


def test_layers_leave_no_gap(page):
    """A row of no height still has the gap between rows."""
    shown = page.locator(".stElementContainer").evaluate_all(
        "all => all.filter((one) => [...one.classList].some((name) => name.includes('-layer-')))"
        ".map((one) => getComputedStyle(one).display)"
    )
    assert shown == ["none", "none"]


# Covers --------------------------------------------------------------------------------------------------------------


def cover(page):
    return page.get_by_role("button", name="Cover a part")


def told(page):
    """The rectangles that Python was told."""
    text = boxes(page).inner_text()
    return [[float(number) for number in row.split(",")] for row in re.findall(r"\[([\d., e-]+)\]", text)]


def test_a_cover_is_drawn_by_pointer(page):
    cover(page).click()
    assert cover(page).get_attribute("aria-pressed") == "true"
    drag(page, (0.6, 0.7), (0.2, 0.3))
    expect(boxes(page)).not_to_have_text("boxes: []")
    [box] = told(page)
    assert box == pytest.approx([0.2, 0.3, 0.4, 0.4], abs=0.01)
    assert cover(page).get_attribute("aria-pressed") == "false"
    assert shares(page, page.locator(".cover")) == pytest.approx(box, abs=0.01)


def test_a_cover_never_reaches_beyond_the_picture(page):
    cover(page).click()
    drag(page, (0.7, 0.8), (1.4, 1.3))
    expect(boxes(page)).not_to_have_text("boxes: []")
    [(left, top, width, height)] = told(page)
    assert left + width <= 1
    assert top + height <= 1
    assert left + width == pytest.approx(1)
    assert page.locator('[data-testid="stException"]').count() == 0


def test_a_slip_of_the_hand_is_no_cover(page):
    cover(page).click()
    drag(page, (0.5, 0.5), (0.505, 0.505))
    assert cover(page).get_attribute("aria-pressed") == "true", "one goes on drawing"
    page.keyboard.press("Enter")
    tick(page, "complete")  # Python has run since
    expect(card(page, "neuron <b>7</b>").get_by_text("Its heatmap is being made…")).to_be_hidden()
    expect(boxes(page)).to_have_text("boxes: []")


def test_a_cover_is_drawn_by_keys_and_said(page):
    cover(page).focus()
    page.keyboard.press("Enter")
    said = page.locator(".viewer [role=status]")
    expect(said).to_have_text("38 % from the left, 38 % from the top, 25 % wide, 25 % high")
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowDown"):
        page.keyboard.press(key)
    expect(said).to_have_text("34 % from the left, 36 % from the top, 27 % wide, 29 % high")
    page.keyboard.press("Enter")
    expect(boxes(page)).to_have_text("boxes: [[0.335, 0.355, 0.27, 0.29]]")
    expect(cover(page)).to_be_focused()
    expect(page.locator(".cover")).to_have_count(1)


def test_escape_leaves_without_a_cover(page):
    cover(page).press("Enter")
    expect(page.locator(".hint")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".hint")).to_be_hidden()
    expect(cover(page)).to_be_focused()
    assert cover(page).get_attribute("aria-pressed") == "false"
    tick(page, "complete")
    expect(card(page, "neuron <b>7</b>").get_by_text("Its heatmap is being made…")).to_be_hidden()
    expect(boxes(page)).to_have_text("boxes: []")


def test_where_covers_cannot_be_drawn_nothing_offers_it(page):
    tick(page, "may draw")
    expect(cover(page)).to_have_count(0)


# Room ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [390, 640, 1280])  # 640: 1280 at 200 %
def test_it_fits(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    assert not overflows(page)
    assert page.locator(".stage").bounding_box()["height"] <= 800 - RESERVED + 1
    whole, picture = page.locator(".viewer").bounding_box(), page.locator(".stage").bounding_box()
    assert picture["width"] == pytest.approx(min(whole["width"], (800 - RESERVED) * 4 / 3), abs=1)
    assert picture["width"] / picture["height"] == pytest.approx(4 / 3, abs=0.01)


def test_targets_are_large_enough_and_the_focus_is_seen(page):
    for name in ("Wipe", "Fade"):
        radio(page, name).click()
        for each in page.locator(".nero :is(button, input, [role=slider])").all():
            if each.is_visible():
                box = each.bounding_box()
                assert min(box["width"], box["height"]) >= 24
    for each in (radio(page, "Fade"), page.get_by_role("slider"), cover(page), keep(page, "neuron 12")):
        each.focus()
        each.press("Shift")
        style, width = each.evaluate(
            "it => ((style) => [style.outlineStyle, parseFloat(style.outlineWidth)])(getComputedStyle(it))"
        )
        assert (style, width >= 2) == ("solid", True)
