"""Case review in a real browser: what one screen holds, how it is gone through by keys, and what leaving it costs."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest

from pages.case_views.parts import PARTS
from tests.e2e import test_accessibility, test_browser
from tests.e2e.screens import expect
from tests.e2e.test_accessibility import EXAMPLES, settle
from tests.e2e.test_browser import PATIENCE, open_part, overflows
from tests.scenes import scene

pytestmark = pytest.mark.browser

chromium, served = test_browser.chromium, test_accessibility.served
SCREEN = {"width": 1280, "height": 800}
FRAME = (1280, 1024)  # pixels, as endoscopes give
MANY = 12
STEPS = 80  # so many presses of Tab reach everything there is, before the page is through
SHIFT = 0.05  # of the window, in sum: what may move once the headline is there

WATCH = """
window.shifts = []; window.headline = Infinity;
new PerformanceObserver(list => list.getEntries().forEach(each => window.shifts.push([each.startTime, each.value])))
    .observe({type: 'layout-shift', buffered: true});
new MutationObserver(() => {
    const there = document.querySelector('.st-key-headline h2');
    if (there && window.headline === Infinity) window.headline = performance.now();
}).observe(document, {subtree: true, childList: true});
"""
"""Note what moves, and when the headline was there."""

FOCUS = """() => {
    let at = document.activeElement;
    while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
    return [at?.getAttribute('role') ?? at?.localName, at?.getAttribute('aria-label') ?? at?.innerText ?? ''];
}"""
"""Role and name of what has the focus, also in a component."""


def png(seed):
    """One rendered scene as a file."""
    buffer = io.BytesIO()
    scene(seed, FRAME).save(buffer, "PNG")
    return {"name": f"scene-{seed}.png", "mimeType": "image/png", "buffer": buffer.getvalue()}


def images(many):
    """Rendered frames of which some are flagged and some are not: the bundled examples, then scenes."""
    files = [
        {"name": path.name, "mimeType": "image/png", "buffer": path.read_bytes()}
        for path in sorted(EXAMPLES.glob("*.png"))
    ]
    return (files + [png(seed) for seed in range(many)])[:many]


@pytest.fixture
def page(chromium, served):
    """The app before a case is open, in a session of its own."""
    with chromium.new_context(viewport=SCREEN) as context:
        yield opened(context, served)


def opened(context, served):
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.add_init_script(WATCH)
    page.goto(served)
    page.get_by_role("group", name="Examples").wait_for()
    settle(page)
    return page


def drop(page, files):
    """Lay images on the table and wait until everything is drawn."""
    page.locator('input[type="file"]').first.set_input_files(files)
    headline(page).wait_for()
    settle(page)


def headline(page):
    return page.locator(".st-key-headline")


def sentence(page):
    """Wait until the sentence of why is there."""
    page.locator(".st-key-why").get_by_text("confirmed").wait_for()
    settle(page)


def announced(page):
    return page.locator("#nero-announced")


def option(page, place):
    return page.get_by_role("option").nth(place)


def name_of(page, place):
    """The file's name of a thumbnail."""
    return option(page, place).get_attribute("aria-label").rpartition(": ")[0]


def state_of(page, place):
    return option(page, place).get_attribute("aria-label").rpartition(": ")[2]


def tab_to(page, role, name, key="Tab"):
    """Press Tab until what has this role and begins with this name has the focus."""
    for _ in range(STEPS):
        page.keyboard.press(key)
        has, called = page.evaluate(FOCUS)
        if has == role and name in called:
            return
    pytest.fail(f"{STEPS} presses of {key} do not lead to {role} {name!r}; the last: {page.evaluate(FOCUS)}")


# What one screen holds -----------------------------------------------------------------------------------------------


def all_of_it(page):
    """What a verdict is read from, down to the names of the parts."""
    return {
        "headline": headline(page),
        "frame": page.locator(".viewer .stage"),
        "gauge": page.locator(".st-key-gauge .js-plotly-plot"),
        "histogram": page.locator(".st-key-histogram .js-plotly-plot"),
        "promises": page.locator(".st-key-promises"),
        "parts": page.get_by_role("tablist"),
    }


def bounds(page):
    """Upper and lower edge of each of these in the window."""
    found = {}
    for name, each in all_of_it(page).items():
        each.wait_for()
        box = each.bounding_box()
        found[name] = box["y"], box["y"] + box["height"]
    return found


POLYP = [{"name": "polyp.png", "mimeType": "image/png", "buffer": (EXAMPLES / "polyp.png").read_bytes()}]
"""About which two checks have something to say."""


@pytest.mark.parametrize(
    "files",
    [[png(0)], POLYP, [png(0), png(1), png(2)], images(40)],
    ids=["one unlike all others", "one with two remarks", "several, the first with two remarks", "forty"],
)
def test_all_that_matters_is_in_the_window_without_a_wheel_or_a_click(page, files):
    drop(page, files)
    if len(files) > 1:
        page.get_by_text(f"of {len(files)} flagged").wait_for()
        settle(page)
    sentence(page)
    header = page.locator('[data-testid="stHeader"]').bounding_box()
    outside = {
        name: edges
        for name, edges in bounds(page).items()
        if edges[0] < header["y"] + header["height"] or edges[1] > SCREEN["height"]
    }
    assert outside == {}
    assert page.locator('[data-testid="stMain"]').evaluate("main => main.scrollTop") == 0


@pytest.mark.parametrize(("widths", "height", "scale"), [((1280, 1920), 800, 1), ((640, 390), 844, 2)])
def test_nothing_is_wider_than_the_window(chromium, served, widths, height, scale):
    """A laptop's and a large one; the first at 200 %, and a telephone's."""
    viewport = {"width": widths[0], "height": height}
    with chromium.new_context(viewport=viewport, device_scale_factor=scale) as context:
        page = opened(context, served)
        assert not overflows(page), "without a case"
        drop(page, [png(0), png(1)])
        for part in PARTS:
            open_part(page, part)
            for width in widths:
                page.set_viewport_size({"width": width, "height": height})
                settle(page)
                assert not overflows(page), (part, width)


def test_nothing_moves_once_the_headline_is_there(page):
    drop(page, [png(0)])
    page.locator('.viewer .outline .edge[d*="M"]').wait_for(state="attached")
    moved = page.evaluate("window.shifts.filter(([time]) => time >= window.headline).map(([, value]) => value)")
    assert page.evaluate("window.headline") < float("inf")
    assert sum(moved) < SHIFT


# Many images ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def twelve(chromium, served):
    """A case of twelve images, some of them flagged."""
    with chromium.new_context(viewport=SCREEN) as context:
        page = opened(context, served)
        drop(page, images(MANY))
        page.get_by_text(f"of {MANY} flagged").wait_for()
        settle(page)
        yield page


@pytest.fixture
def many(twelve):
    """The same, the first image under review and its thumbnail with the focus."""
    option(twelve, 0).click()
    shown(twelve, 0)
    return twelve


def shown(page, place):
    """Wait until this image is under review: on the strip, as picture, in the headline and for those who listen."""
    expect(option(page, place)).to_have_attribute("aria-selected", "true")
    expect(page.locator(".viewer .note")).to_contain_text(name_of(page, place))
    expect(announced(page)).to_contain_text(f"{name_of(page, place)}: {state_of(page, place)}.")
    expect(headline(page)).to_contain_text(state_of(page, place))
    settle(page)


def test_arrow_keys_change_image_headline_and_what_is_announced(many):
    states = [state_of(many, place) for place in range(MANY)]
    assert len(set(states)) > 1, "else a headline that stays would not be noticed"
    for place in (1, 2, 3):
        many.keyboard.press("ArrowRight")
        shown(many, place)
        expect(option(many, place)).to_be_focused()
    many.keyboard.press("ArrowLeft")
    shown(many, 2)
    many.keyboard.press("End")
    shown(many, MANY - 1)
    expect(option(many, MANY - 1)).to_be_focused()


def test_next_flagged_goes_to_the_next_that_is(many):
    flagged = [place for place in range(MANY) if state_of(many, place) == "Unusual"]
    assert 1 <= len(flagged) < MANY
    expect(many.get_by_text(f"{len(flagged)} of {MANY} flagged")).to_be_visible()
    for place in [place for place in flagged if place > 0][:3]:
        many.get_by_role("button", name="Next flagged").click()
        shown(many, place)
    following = next(place for place in [*flagged, *flagged] if place != 0)
    option(many, 0).click()
    shown(many, 0)
    many.keyboard.press("n")
    shown(many, following)


def test_what_is_announced_is_the_headline(many):
    region = announced(many)
    assert region.get_attribute("aria-live") == "polite"
    said = region.inner_text().partition(": ")[2]
    state, standing = headline(many).get_by_role("heading").inner_text(), headline(many).locator("strong").inner_text()
    assert said == f"{state.partition(' ')[2]}. {standing}"


# By keys alone -------------------------------------------------------------------------------------------------------


def test_keys_alone_lead_from_the_first_screen_through_every_part_and_out(page):
    tab_to(page, "button", "Polyp")
    page.keyboard.press("Enter")
    headline(page).wait_for()
    expect(announced(page)).to_contain_text("polyp.png")
    settle(page)
    expect(headline(page)).to_be_focused()  # the picture that was pressed is gone
    tab_to(page, "tab", PARTS[0])
    for before, part in pairwise(PARTS):
        if page.evaluate(FOCUS) != ["tab", before]:
            tab_to(page, "tab", before)
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        expect(page.get_by_role("tab", name=part, exact=True)).to_have_attribute("aria-selected", "true")
        settle(page)
        assert page.get_by_role("tabpanel", name=part, exact=True).inner_text().strip()
    tab_to(page, "button", "Close case", key="Shift+Tab")
    page.keyboard.press("Enter")
    page.get_by_text("No case open").wait_for()
    page.get_by_role("group", name="Examples").wait_for()
    settle(page)
    assert headline(page).count() == 0


def test_the_focus_stays_on_the_part_that_was_opened(page):
    drop(page, POLYP)
    page.get_by_role("tab", name=PARTS[0], exact=True).focus()
    for part in PARTS[1:]:
        page.keyboard.press("ArrowRight")
        settle(page)
        page.wait_for_function(
            f"part => {{ const now = ({FOCUS})(); return now[0] === 'tab' && now[1] === part }}", arg=part
        )


def test_examples_are_reachable_while_a_case_is_open(page):
    drop(page, [png(0)])
    page.get_by_role("button", name="Open images").focus()
    page.keyboard.press("Enter")
    page.get_by_role("group", name="Examples").wait_for()
    settle(page)
    tab_to(page, "button", "Cecum")
    page.keyboard.press("Enter")
    expect(announced(page)).to_contain_text("cecum.png")
    expect(page.get_by_text("Case: 2 images")).to_be_visible()


# Leaving -------------------------------------------------------------------------------------------------------------


def reload(page, *, goes):
    """Reload as the browser's key does; whether the page goes, or whoever is asked stays."""
    asked = []

    def stay(dialog):
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.evaluate("window.here = true; void setTimeout(() => location.reload())")
    if goes:
        page.wait_for_function("!window.here")
        page.get_by_text("Not a medical device").wait_for()
        settle(page)
    else:
        for _ in range(PATIENCE // 100):
            if asked:
                break
            page.wait_for_timeout(100)
    page.remove_listener("dialog", stay)
    return asked


def navigate(page, title):
    page.get_by_role("link", name=title).first.click()
    page.get_by_role("heading", name=title, exact=True, level=1).wait_for()
    settle(page)


def test_the_browser_asks_while_a_case_is_open_and_only_then(page):
    page.keyboard.press("Tab")  # it asks nobody who has done nothing
    assert reload(page, goes=True) == []
    page.keyboard.press("Tab")
    drop(page, [png(0)])
    assert reload(page, goes=False) == ["beforeunload"]
    expect(page.get_by_text("Case: scene-0.png")).to_be_visible()
    navigate(page, "References")
    assert reload(page, goes=False) == ["beforeunload"], "on another page"
    navigate(page, "Case review")
    page.get_by_role("button", name="Close case").click()
    page.get_by_text("No case open").wait_for()
    settle(page)
    assert reload(page, goes=True) == []
    expect(page.get_by_text("No case open")).to_be_visible()


def test_back_goes_back_once(page, served):
    navigate(page, "References")
    navigate(page, "Case review")
    drop(page, [png(0), png(1)])
    option(page, 1).click()
    shown(page, 1)
    open_part(page, "Detectors")
    settle(page)
    page.go_back()
    page.get_by_role("heading", name="References", exact=True, level=1).wait_for()
    page.go_forward()
    page.get_by_role("heading", name="Case review", exact=True, level=1).wait_for()
    shown_again = page.locator(".viewer .note")
    expect(shown_again).to_contain_text("scene-1.png")


# Covers --------------------------------------------------------------------------------------------------------------


def test_a_cover_drawn_by_mouse_lies_on_the_frame_and_its_part_is_one_press_away(page):
    drop(page, [png(0)])
    page.get_by_role("button", name="Cover a part").click()
    stage = page.locator(".viewer .stage").bounding_box()
    page.mouse.move(stage["x"] + 0.25 * stage["width"], stage["y"] + 0.25 * stage["height"])
    page.mouse.down()
    page.mouse.move(stage["x"] + 0.5 * stage["width"], stage["y"] + 0.75 * stage["height"], steps=4)
    page.mouse.up()
    page.get_by_text("With 1 cover").wait_for()
    expect(page.get_by_role("tab", name="Why", exact=True)).to_have_attribute("aria-selected", "true")
    page.get_by_role("button", name="Before and after").click()
    expect(page.get_by_role("tab", name="Covers", exact=True)).to_have_attribute("aria-selected", "true")
    cover = page.locator(".viewer .cover")
    expect(cover).to_have_count(1)
    for side, share in {"Left": 25, "Top": 25, "Width": 25, "Height": 50}.items():
        field = page.get_by_label(f"{side} of cover 1 (%)")
        assert float(field.input_value()) == pytest.approx(share, abs=0.5)
    page.get_by_text("No guarantee for the covered image").wait_for()
    box, stage = cover.bounding_box(), page.locator(".viewer .stage").bounding_box()
    assert box["width"] / stage["width"] == pytest.approx(0.25, abs=0.01)
    assert box["height"] / stage["height"] == pytest.approx(0.5, abs=0.01)
