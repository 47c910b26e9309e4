"""Terms in the text of a page, in a real browser: which are marked, and what a pointer is told that rests on one."""

from __future__ import annotations

import pytest

from nero_core.wording.glossary import explained
from tests.e2e import test_browser
from tests.e2e.screens import expect, opened, rested, serve_screen, tick
from tests.e2e.test_accessibility import GRAVE, RULES, THEMES
from tests.figures.test_palette import MARK, contrast

pytestmark = pytest.mark.browser

chromium = test_browser.chromium
MEANINGS = {term.name: term.meaning for term in explained()}
MARKED = ["threshold", "detector", "reference", "ID", "ε", "α", "calibration images", "Percentile"]
"""Of the screen, in the order of its text: each once in its block, none in what is typed, named or pressed."""

READ = """() => [...(CSS.highlights.get("nero-term") ?? [])]
    .map(({ startContainer, startOffset, endOffset }) => startContainer.data.slice(startOffset, endOffset))"""
WHERE = """word => {
    for (const { startContainer, startOffset, endOffset } of CSS.highlights.get("nero-term")) {
        if (startContainer.data.slice(startOffset, endOffset) !== word) continue;
        const range = document.createRange();
        range.setStart(startContainer, startOffset);
        range.setEnd(startContainer, endOffset);
        const box = range.getBoundingClientRect();
        return [box.left + box.width / 2, box.top + box.height / 2];
    }
}"""
PAGE = "() => document.querySelector('[data-testid=stMain]').innerHTML"
COLOURS = """() => {
    const [canvas, found] = [document.createElement("canvas").getContext("2d", { willReadFrequently: true }), []];
    for (const { startContainer } of CSS.highlights.get("nero-term")) {
        const behind = getComputedStyle(document.querySelector("[data-testid=stApp]")).backgroundColor;
        const pair = [];
        for (const colour of [null, getComputedStyle(startContainer.parentElement).color]) {
            if (colour === null) canvas.clearRect(0, 0, 1, 1);
            for (const paint of [behind, colour ?? behind]) { canvas.fillStyle = paint; canvas.fillRect(0, 0, 1, 1); }
            const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
            pair.push("#" + [r, g, b].map(each => each.toString(16).padStart(2, "0")).join(""));
        }
        found.push(pair);
    }
    return found;
}"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Address of the page that says terms."""
    with serve_screen("glossary", tmp_path_factory.mktemp("server") / "log.txt") as address:
        yield address


@pytest.fixture
def page(chromium, served):
    """The open page, once its terms are marked."""
    with opened(chromium, served) as page:
        expect(page.get_by_text("runs: 1")).to_be_visible()
        rested(page)
        marked(page, len(MARKED))
        yield page


def marked(page, count):
    """Wait until so many terms are marked; all of them."""
    page.wait_for_function(f"CSS.highlights.get('nero-term')?.size === {count}")
    return page.evaluate(READ)


def point_at(page, word):
    page.mouse.move(*page.evaluate(WHERE, word))


def tooltip(page):
    return page.get_by_role("tooltip")


def test_each_term_is_marked_once_in_its_block(page):
    assert marked(page, len(MARKED)) == MARKED


@pytest.mark.parametrize(("word", "name"), [("detector", "detector"), ("ID", "ID"), ("ε", "ε"),
                                            ("calibration images", "calibration image")])  # fmt: skip
def test_a_pointer_that_rests_on_a_term_is_told_what_it_means(page, word, name):
    assert tooltip(page).count() == 0
    point_at(page, word)
    expect(tooltip(page)).to_have_text(f"{name}{MEANINGS[name]}")
    expect(tooltip(page)).to_be_in_viewport(ratio=1)


def test_the_page_itself_is_not_changed(page):
    before = page.evaluate(PAGE)
    point_at(page, "detector")
    expect(tooltip(page)).to_be_visible()
    assert page.evaluate(PAGE) == before


def test_a_pointer_may_go_to_what_it_is_told_and_away(page):
    point_at(page, "α")
    expect(tooltip(page)).to_be_visible()
    box = tooltip(page).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=5)
    page.wait_for_timeout(600)
    expect(tooltip(page)).to_be_visible()
    page.mouse.move(1200, 700)
    expect(tooltip(page)).to_have_count(0)


def test_escape_closes_it_until_the_pointer_comes_again(page):
    point_at(page, "detector")
    expect(tooltip(page)).to_be_visible()
    page.keyboard.press("Escape")
    expect(tooltip(page)).to_have_count(0)
    x, y = page.evaluate(WHERE, "detector")
    page.mouse.move(x + 2, y)
    page.wait_for_timeout(600)
    expect(tooltip(page)).to_have_count(0)
    page.mouse.move(1200, 700)
    page.wait_for_timeout(100)
    point_at(page, "detector")
    expect(tooltip(page)).to_be_visible()


def test_it_closes_where_the_page_is_scrolled(page):
    point_at(page, "detector")
    expect(tooltip(page)).to_be_visible()
    page.mouse.wheel(0, 200)
    expect(tooltip(page)).to_have_count(0)


def test_typing_is_undisturbed(page):
    field = page.get_by_label("a threshold")
    field.click()
    page.keyboard.type("a detec")
    point_at(page, "detector")
    expect(tooltip(page)).to_be_visible()
    page.keyboard.type("tor")
    expect(field).to_have_value("a detector")
    expect(field).to_be_focused()
    assert page.evaluate(READ) == MARKED


def test_what_comes_and_goes_with_a_rerun_is_marked_and_not(page):
    tick(page, "more")
    assert marked(page, len(MARKED) + 1)[-1] == "centroid"
    point_at(page, "centroid")
    expect(tooltip(page)).to_have_text(f"centroid{MEANINGS['centroid']}")
    tick(page, "more")
    assert marked(page, len(MARKED)) == MARKED
    point_at(page, "reference")
    expect(tooltip(page)).to_contain_text("reference")


def test_a_browser_without_highlights_shows_the_page_as_it_is(chromium, served):
    page = chromium.new_page()
    page.add_init_script("delete CSS.highlights; delete window.Highlight")
    page.goto(served)
    expect(page.get_by_text("runs: 1")).to_be_visible()
    rested(page)
    assert page.locator("#nero-explained").count() == 0
    assert page.locator('[data-testid="stException"]').count() == 0
    page.close()


@pytest.mark.parametrize("theme", THEMES)
def test_marks_and_explanations_can_be_seen(page, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.emulate_media(color_scheme=theme)
    rested(page)
    point_at(page, "detector")
    expect(tooltip(page)).to_be_visible()
    assert [each["id"] for each in axe.run(page, options=RULES).response["violations"] if each["impact"] in GRAVE] == []
    colours = page.evaluate(COLOURS)
    assert len(colours) == len(MARKED)
    assert [each for each in colours if contrast(*each) < MARK] == []
