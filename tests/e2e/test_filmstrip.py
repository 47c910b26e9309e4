"""The strip of a case's images, the examples, and the watch over a case, in a real browser by pointer and by keys."""

from __future__ import annotations

import re

import pytest

from pages.components.bundles import BUNDLES
from tests.e2e import test_browser
from tests.e2e.screens import (
    COUNT,
    FLAGGED,
    HOSTILE,
    UNREAD,
    WAITING,
    expect,
    opened,
    press,
    rested,
    serve_screen,
    tick,
)
from tests.e2e.test_browser import overflows

pytestmark = pytest.mark.browser

chromium = test_browser.chromium


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Address of the page with the strip."""
    with serve_screen("case", tmp_path_factory.mktemp("server") / "log.txt") as address:
        yield address


@pytest.fixture
def page(chromium, served):
    """The open page."""
    with opened(chromium, served) as page:
        expect(frame(page, 0)).to_be_visible()
        rested(page)
        yield page


def frame(page, place):
    return page.get_by_role("option").nth(place)


def chosen(page, place):
    """Wait until this image is chosen, and no other."""
    expect(frame(page, place)).to_have_attribute("aria-selected", "true")
    assert page.locator("[role=option][aria-selected=true]").count() == 1
    assert page.locator("[role=option][tabindex='0']").count() == 1
    assert frame(page, place).get_attribute("tabindex") == "0"


def python_says(page, text):
    """Wait until it does, and until it has said everything."""
    expect(page.get_by_text("told:")).to_contain_text(text)
    rested(page)


def next_flagged(page):
    return page.get_by_role("button", name=re.compile("flagged$"))


# The strip -----------------------------------------------------------------------------------------------------------


def test_arrow_keys_go_along_the_strip(page):
    assert page.get_by_role("listbox", name=re.compile("^Images of this case")).count() == 1
    frame(page, 0).focus()
    for key, place in [("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", COUNT - 1),
                       ("ArrowRight", COUNT - 1), ("Home", 0), ("ArrowLeft", 0), ("n", FLAGGED[0])]:  # fmt: skip
        page.keyboard.press(key)
        chosen(page, place)
        expect(frame(page, place)).to_be_focused()
    python_says(page, f"chosen: {FLAGGED[0]} ")


def test_a_click_chooses(page):
    frame(page, 5).click()
    chosen(page, 5)
    python_says(page, "chosen: 5 told: [5]")


def test_of_keys_that_come_fast_python_is_told_the_last(page):
    frame(page, 0).focus()
    page.evaluate("""() => {
        let active = document.activeElement;
        while (active.shadowRoot) active = active.shadowRoot.activeElement;
        const strip = active.parentElement;
        for (let i = 0; i < 7; i++)
            strip.getRootNode().activeElement
                .dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true, composed: true }));
    }""")
    chosen(page, 7)
    python_says(page, "chosen: 7 told: [7]")


def test_keys_work_while_nothing_has_the_focus(page):
    page.keyboard.press("ArrowRight")
    chosen(page, 1)
    page.mouse.click(1270, 700)  # beside everything: Streamlit's own frame of the page has the focus then
    page.keyboard.press("ArrowRight")
    chosen(page, 2)
    page.keyboard.press("n")
    chosen(page, 3)
    page.keyboard.press("ArrowLeft")
    chosen(page, 2)
    python_says(page, "chosen: 2 ")
    page.keyboard.press("End")
    page.keyboard.press("Control+ArrowRight")
    chosen(page, 2)


def test_keys_that_are_meant_for_something_else_do_nothing(page):
    field = page.get_by_label("a field")
    field.click()
    page.keyboard.type("nn")
    page.keyboard.press("ArrowLeft")
    page.keyboard.type("m")
    expect(field).to_have_value("nmn")
    chosen(page, 0)
    page.get_by_role("button", name="open a case").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("n")
    chosen(page, 0)
    python_says(page, "told: []")


def test_next_flagged_goes_on_from_the_beginning(page):
    for place in (*FLAGGED, FLAGGED[0]):
        next_flagged(page).click()
        chosen(page, place)
    assert next_flagged(page).inner_text() == "Next flagged"


def test_where_no_other_is_flagged_it_says_so(page):
    tick(page, "some flagged")
    expect(next_flagged(page)).to_have_text("No other is flagged")
    expect(next_flagged(page)).to_be_disabled()
    next_flagged(page).click(force=True)
    frame(page, 0).press("n")
    chosen(page, 0)


def test_python_chooses_another_and_the_same_is_chosen_again(page):
    for times in (1, 2):
        frame(page, 6).click()
        python_says(page, f"chosen: 6 told: {[6] * times}")
        press(page, "Python chooses the first")
        chosen(page, 0)
        python_says(page, f"chosen: 0 told: {[6] * times}")


def test_a_strip_that_is_mounted_anew_shows_what_python_says(page):
    frame(page, 6).click()
    python_says(page, "chosen: 6")
    tick(page, "strip")
    expect(page.get_by_role("listbox")).to_have_count(0)
    press(page, "Python chooses the first")
    tick(page, "strip")
    chosen(page, 0)
    frame(page, 2).click()
    python_says(page, "chosen: 2 told: [6, 2]")


def test_a_late_answer_takes_no_key_back(page):
    tick(page, "slow")
    page.evaluate("""() => {
        const strip = [...document.querySelectorAll(".stBidiComponent *")]
            .map((host) => host.shadowRoot?.querySelector(".strip")).find(Boolean);
        window.seen = [];
        new MutationObserver(() =>
            window.seen.push([...strip.children].findIndex((one) => one.ariaSelected === "true")),
        ).observe(strip, { subtree: true, attributeFilter: ["aria-selected"] });
    }""")
    frame(page, 0).focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(150)
    python_says(page, "chosen: 8")
    rested(page)
    chosen(page, 8)
    seen = page.evaluate("window.seen")
    assert seen == sorted(seen)
    assert set(seen) >= set(range(1, 9))


def test_every_image_says_its_state_in_words_and_by_its_sign(page):
    expect(frame(page, FLAGGED[0])).to_have_accessible_name(f"{FLAGGED[0]}.png: Unusual")
    assert frame(page, FLAGGED[0]).inner_text() == "▲"
    expect(frame(page, UNREAD)).to_have_accessible_name(f"{UNREAD}.png: could not be read")
    assert frame(page, UNREAD).inner_text() == "could not be read"
    expect(frame(page, WAITING)).to_have_accessible_name(f"{WAITING}.png: waits to be read")
    assert frame(page, WAITING).inner_text() == "waits to be read"
    expect(frame(page, HOSTILE)).to_have_accessible_name(re.compile(r"^<img src=x onerror=alert\(1\)>\.png: "))
    assert page.locator("img[src=x]").count() == 0
    assert page.get_by_text("3 of 30", exact=True).count() == 1


def test_what_is_chosen_is_not_taken_for_a_state(page):
    def edge(place):
        return frame(page, place).evaluate(
            "it => [getComputedStyle(it.firstChild).borderColor, getComputedStyle(it).outlineStyle]"
        )

    assert edge(0) == ["rgb(46, 126, 187)", "solid"]
    assert edge(1) == ["rgb(46, 126, 187)", "none"]
    assert edge(FLAGGED[0]) == ["rgb(213, 94, 0)", "none"]


def test_the_chosen_image_is_in_view_within_the_strip_and_the_page_stays(page):
    tick(page, "watched")  # else every image brings its headline into view
    page.evaluate("document.activeElement.blur()")
    page.set_viewport_size({"width": 390, "height": 400})
    page.mouse.wheel(0, 200)
    page.wait_for_function("document.querySelector('[data-testid=stMain]').scrollTop >= 200")
    before = page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop")
    strip = page.get_by_role("listbox")
    for key, place in [("n", 3), ("n", 9), ("n", 29), ("ArrowLeft", 28), ("n", 29), ("n", 3)]:
        page.keyboard.press(key)
        chosen(page, place)
        one, whole = frame(page, place).bounding_box(), strip.bounding_box()
        assert one["x"] >= whole["x"]
        assert one["x"] + one["width"] <= whole["x"] + whole["width"]
    rested(page)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == before
    assert not overflows(page)


def test_the_strip_is_low(page):
    assert page.get_by_role("listbox").bounding_box()["height"] <= 84


# The examples --------------------------------------------------------------------------------------------------------


def test_an_example_is_chosen_by_pointer_and_by_key_also_twice(page):
    tick(page, "grid")
    assert page.get_by_role("group", name="Examples").get_by_role("button").count() == 3
    for times, choose in enumerate(["click", "Enter", "Space"], start=1):
        example = page.get_by_role("button", name="Example b teaches <i>it</i>")
        example.click() if choose == "click" else example.press(choose)
        python_says(page, f"example: b × {times}")
        press(page, "close the case")
    assert page.locator(".grid i").count() == 0


def test_examples_fill_the_width(page):
    tick(page, "grid")
    for width, columns in ((1280, 3), (390, 2)):
        page.set_viewport_size({"width": width, "height": 800})
        rows = [button.bounding_box()["y"] for button in page.locator(".grid button").all()]
        assert rows.count(rows[0]) == columns
        assert not overflows(page)


# The watch over a case -----------------------------------------------------------------------------------------------


def announced(page):
    return page.locator("#nero-announced")


def headline(page):
    return page.locator(".st-key-headline")


def watch_announcements(page):
    page.evaluate("""() => {
        window.said = [];
        const region = document.getElementById("nero-announced");
        new MutationObserver(() => window.said.push(region.textContent)).observe(region, { childList: true });
    }""")


def test_a_case_is_announced_once_when_it_opens(page):
    watch_announcements(page)
    assert announced(page).get_attribute("aria-live") == "polite"
    press(page, "open a case")
    expect(announced(page)).to_have_text("Headline of 1")
    tick(page, "some flagged")  # the same case again
    press(page, "open a case")
    expect(announced(page)).to_have_text("Headline of 2")
    press(page, "close the case")
    tick(page, "some flagged")
    press(page, "open a case")
    page.wait_for_function("window.said.length === 3")
    assert page.evaluate("window.said") == ["Headline of 1", "Headline of 2", "Headline of 1"]
    assert page.locator("[id=nero-announced]").count() == 1
    assert announced(page).bounding_box()["width"] <= 1


def top_in_view(page):
    """To a pixel: a page scrolls by whole ones."""
    box, header = headline(page).bounding_box(), page.locator("[data-testid=stHeader]").bounding_box()
    return header["y"] + header["height"] - 1 <= box["y"] <= page.viewport_size["height"] - 64


def test_a_headline_out_of_sight_comes_into_view(page):
    tick(page, "headline far below")
    assert not top_in_view(page)
    press(page, "open a case")
    expect(headline(page)).to_contain_text("The headline of 1")
    page.wait_for_function("""() => {
        const [header, headline] = ["[data-testid=stHeader]", ".st-key-headline"]
            .map((name) => document.querySelector(name).getBoundingClientRect());
        return headline.top >= header.bottom - 1 && headline.top <= innerHeight - 64;
    }""")


def test_a_headline_above_the_window_comes_into_view(page):
    page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 300)")
    expect(page.get_by_role("button", name="open a case")).to_be_in_viewport()
    page.get_by_role("button", name="open a case").evaluate("button => button.focus({ preventScroll: true })")
    page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 700)")
    page.keyboard.press("Enter")
    expect(headline(page)).to_contain_text("The headline of 1")
    rested(page)
    page.wait_for_function("document.querySelector('.st-key-headline').getBoundingClientRect().top >= 0")
    assert top_in_view(page)


def test_a_headline_in_view_stays_where_it_is(page):
    assert top_in_view(page)
    press(page, "open a case")
    expect(announced(page)).to_have_text("Headline of 1")
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0


def test_the_focus_stays_where_it_is(page):
    press(page, "open a case")
    expect(announced(page)).to_have_text("Headline of 1")
    expect(page.get_by_role("button", name="open a case")).to_be_focused()
    frame(page, 4).click()
    expect(announced(page)).to_have_text("Headline of 4")
    expect(frame(page, 4)).to_be_focused()


def test_the_headline_gets_the_focus_when_what_had_it_is_gone(page):
    tick(page, "grid")
    page.get_by_role("button", name=re.compile("Example a")).press("Enter")
    expect(announced(page)).to_have_text("Headline of 100")
    expect(page.locator(".grid")).to_have_count(0)
    expect(headline(page)).to_be_focused()
    page.keyboard.press("ArrowRight")  # keys still go along the strip
    chosen(page, 1)


def test_the_browser_asks_before_an_open_case_is_lost(page):
    def asked():
        """Whether a page that is left is held up; what browsers do with that, they do by themselves."""
        return page.evaluate("!dispatchEvent(new Event('beforeunload', { cancelable: true }))")

    assert not asked()
    press(page, "open a case")
    assert asked()
    press(page, "open a case")
    assert asked()
    press(page, "close the case")
    assert not asked()


def test_an_open_case_is_kept_when_the_reload_is_called_off(page):
    press(page, "open a case")
    with page.expect_event("dialog") as waiting:
        page.on("dialog", lambda dialog: dialog.dismiss())
        page.evaluate("void setTimeout(() => location.reload())")
    assert waiting.value.type == "beforeunload"
    expect(headline(page)).to_contain_text("The headline of 1")
    press(page, "close the case")
    page.evaluate("window.here = true; void setTimeout(() => location.reload())")
    page.wait_for_function("!window.here")


# The strip without Python: what comes when is the test's to say ------------------------------------------------------

ALONE = """async (bundle) => {
    const strip = (await import(URL.createObjectURL(new Blob([bundle], { type: "text/javascript" })))).default;
    const parentElement = document.body.appendChild(document.createElement("div")).attachShadow({ mode: "open" });
    const frame = { picture: "", name: "", mark: "", word: "", colour: "", flagged: false };
    window.told = [];
    window.say = (chosen, heard) => strip({
        name: "", key: "", parentElement, setTriggerValue() {},
        setStateValue: (_, value) => window.told.push(value),
        data: { frames: Array(9).fill(frame), chosen, heard, counts: String(Math.random()), words: {} },
    });
    window.chosen = () => [...parentElement.querySelectorAll("[role=option]")].findIndex((one) => one.ariaSelected === "true");
    window.key = () => document.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", cancelable: true }));
}"""  # noqa: E501


@pytest.fixture
def alone(chromium):
    """A page with a strip that says what it is told in `told`, and hears what the test says by `say(chosen, heard)`."""
    page = chromium.new_page()
    page.evaluate(ALONE, (BUNDLES / "filmstrip.js").read_text(encoding="utf-8"))
    yield page
    page.close()


def test_what_python_says_before_it_has_heard_the_last_changes_nothing(alone):
    def then(what):
        return alone.evaluate(f"({what}, chosen())")

    assert then("say(0, 0)") == 0
    assert then("key()") == 1
    assert then("say(0, 0)") == 1, "the key is not even told yet"
    alone.wait_for_function("told.length === 1")
    assert then("say(0, 0)") == 1, "it was told, and is not heard yet"
    assert then("key(), say(1, 1)") == 2, "the answer to the first key, while the second waits to be told"
    alone.wait_for_function("told.length === 2")
    assert then("say(1, 1)") == 2
    assert then("say(5, 2)") == 5, "Python has heard everything and chooses another"
    assert alone.evaluate("told") == [[1, 1], [2, 2]]


def test_the_last_of_fast_keys_is_told_alone(alone):
    alone.evaluate("say(0, 4), key(), key(), key()")
    alone.wait_for_function("told.length > 0")
    alone.evaluate("key()")
    alone.wait_for_function("told.at(-1)[0] === 4")
    assert alone.evaluate("told") == [[3, 5], [4, 6]]


def test_the_clean_up_of_a_call_that_was_overtaken_removes_nothing(alone):
    alone.evaluate("window.ends = [say(0, 0), say(3, 0)]")
    assert alone.evaluate("(ends[0](), chosen())") == 3
    assert alone.evaluate("(ends[1](), chosen())") == -1
    alone.evaluate("key()")
    assert alone.evaluate("chosen()") == -1, "nobody listens to keys any more"
