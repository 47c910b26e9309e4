"""One real browser: every page in both themes, as axe-core sees it, and as a keyboard and a finger meet it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e import test_browser
from tests.e2e.test_browser import PATIENCE
from tests.figures.test_palette import MARK, contrast
from tests.server import serving

pytestmark = pytest.mark.browser

chromium = test_browser.chromium
EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
THEMES = ("light", "dark")
GRAVE = ("serious", "critical")
RULES = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
TARGET = 24  # CSS pixels: WCAG 2.2, success criterion 2.5.8
TALL = 5000  # pixels: more than any page has
WIDE, NARROW = 1280, 390  # pixels: a laptop's window, and a telephone's
FEWEST = {WIDE: 10, NARROW: 5}  # so many things to press has every view: a look that found less has seen no page
LOOK_EVERY = 200  # milliseconds
CALM = 3  # so many looks in a row at which nothing moves

VIEWS: Mapping[str, tuple[str, Sequence[str]]] = {
    "no case": ("", ()),
    "one image": ("", ("polyp",)),
    "several images": ("", ("polyp", "cecum", "z-line")),
    "neurons": ("neurons", ()),
    "a chosen neuron": ("neurons?neuron=3", ()),
    "benchmark": ("benchmark", ()),
    "references": ("references", ()),
    "a reference from a file": ("references?view=From+a+file", ()),
    "calibrating": ("references?view=Calibrate", ()),
    "building": ("references?view=Build+one", ()),
    "the quiz": ("lesson?step=8", ()),
    **{f"step {n} of the lesson": (f"lesson?step={n}&answer=shown", ()) for n in range(1, 8)},
}
"""Address and examples that are opened."""
IN_LONG_RUNS = {f"step {n} of the lesson" for n in (1, 3, 4, 6, 7)}
"""Views that `make soak` looks at: those of one page whose parts the others have, too."""
NAMES = [pytest.param(name, marks=pytest.mark.soak) if name in IN_LONG_RUNS else name for name in VIEWS]

LOOK = Path(__file__).with_name("accessibility.js").read_text()
"""Every target with its size; every heading with its level; where asked for, everything that takes the focus, with the
colour of its outline and what is behind."""

WIDTHS = """() => [document.documentElement, document.querySelector('[data-testid="stMain"]')]
    .map(each => [each.scrollWidth, each.clientWidth])"""
"""What the window and the page in it hold, and how wide they are."""

FOLDED = "details:not([open]) > summary:visible"
POPOVERS = '[data-testid="stPopoverButton"]:visible'
"""What is opened by a press."""


@dataclass
class Seen:
    """What one view shows.

    Attributes
    ----------
    violations : {theme: list of (part, rule, impact, address of the element, its markup)}
    targets : {pixels that the window is wide: list of (part, where, width, height)}
    headings : {part: list of (words, level)}
    rings : {theme: list of (where, colour or None, colour behind)}
    widths : list of (pixels that are held, pixels that there are), of the narrow window
    """

    violations: dict = field(default_factory=lambda: {theme: [] for theme in THEMES})
    targets: dict = field(default_factory=lambda: {wide: [] for wide in (WIDE, NARROW)})
    headings: dict = field(default_factory=dict)
    rings: dict = field(default_factory=dict)
    widths: list = field(default_factory=list)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Address of the app on what is bundled, which may build."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        patch.setenv("NERO_CACHE", str(tmp_path_factory.mktemp("cache")))
        with serving.serve(tmp_path_factory.mktemp("server") / "log.txt", NERO_ALLOW_BUILD="1") as address:
            yield address


def settle(page):
    """Until no script runs and nothing is announced that is not there."""
    calm = 0
    for _ in range(PATIENCE // LOOK_EVERY):
        busy = page.locator('[data-testid="stSkeleton"], [data-testid="stSpinner"], [data-stale="true"]').count()
        calm = 0 if busy or not page.locator('[data-test-script-state="notRunning"]').count() else calm + 1
        if calm > CALM:
            return
        page.wait_for_timeout(LOOK_EVERY)
    pytest.fail("the page never came to rest")


def unfold(page):
    """Open whatever is folded, and what is folded in that."""
    while page.locator(FOLDED).count():
        page.locator(FOLDED).first.click()
        settle(page)


def parts(page, every):
    """The page as it comes and unfolded; with `every` also each of its tabs and popovers open in turn: what is open."""
    yield "as it comes"
    unfold(page)
    yield "unfolded"
    if not every:
        return
    for name in page.get_by_role("tab", selected=False).all_inner_texts():
        page.get_by_role("tab", name=name.strip(), exact=True).click()
        settle(page)
        unfold(page)
        yield name.strip()
    for popover in page.locator(POPOVERS).all():
        popover.click()
        page.locator('[data-testid="stPopoverBody"]:visible').wait_for()
        settle(page)
        yield popover.inner_text()
        page.keyboard.press("Escape")
        page.locator('[data-testid="stPopoverBody"]:visible').wait_for(state="detached")


def open_view(page, address, examples):
    """A page as it is once it has come to rest, with these examples open."""
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.get_by_text("Not a medical device").wait_for()
    settle(page)
    if examples:
        page.locator('input[type="file"]').first.set_input_files([EXAMPLES / f"{each}.png" for each in examples])
        page.get_by_text("The network’s own answer").first.wait_for(state="attached")
        settle(page)
    assert page.locator('[data-testid="stException"]').count() == 0, address


def look(page, axe, every):
    """What one view shows, part by part."""
    seen = Seen()
    page.set_viewport_size({"width": WIDE, "height": TALL})  # axe passes over what is scrolled out of sight
    for number, part in enumerate(parts(page, every)):
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            settle(page)
            if number == 0:
                page.keyboard.press("Tab")  # as who has no mouse: only then is a focus to be seen
                seen.rings[theme] = page.evaluate(LOOK, True)["rings"]
            seen.violations[theme] += [
                (part, rule["id"], rule["impact"], " ".join(map(str, node["target"])), node["html"])
                for rule in axe.run(page, options=RULES).response["violations"]
                for node in rule["nodes"]
            ]
        looked = page.evaluate(LOOK, False)
        seen.headings[part] = looked["headings"]
        seen.targets[WIDE] += [(part, *each) for each in looked["targets"]]
    page.set_viewport_size({"width": NARROW, "height": TALL})
    settle(page)
    seen.targets[NARROW] = [("unfolded", *each) for each in page.evaluate(LOOK, False)["targets"]]
    seen.widths = page.evaluate(WIDTHS)
    return seen


@pytest.fixture(
    scope="module", params=[False, pytest.param(True, marks=pytest.mark.soak)], ids=["as it comes", "every part"]
)
def everything(request, chromium, served):
    """Every view, looked at when it is first asked for; each tab and popover takes minutes, and is for long runs."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install -r requirements-dev.txt"
    ).Axe()

    @cache
    def seen(name):
        address, examples = VIEWS[name]
        page = chromium.new_page(viewport={"width": WIDE, "height": 900}, color_scheme=THEMES[0])
        open_view(page, f"{served}/{address}", examples)
        found = look(page, axe, request.param)
        page.close()
        return found

    return seen


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing_serious(everything, name, theme):
    """Neither in our parts nor in Streamlit's: there is no list of exceptions, and none is needed."""
    assert [each for each in everything(name).violations[theme] if each[2] in GRAVE] == []


@pytest.mark.parametrize("wide", [WIDE, NARROW])
@pytest.mark.parametrize("name", NAMES)
def test_everything_to_press_is_large_enough(everything, name, wide):
    targets = everything(name).targets[wide]
    assert len(targets) > FEWEST[wide]
    assert [each for each in targets if min(each[2:]) < TARGET] == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", NAMES)
def test_where_the_keyboard_is_can_be_seen(everything, name, theme):
    rings = everything(name).rings[theme]
    assert len(rings) > FEWEST[WIDE]
    assert [each for each in rings if each[1] is None or contrast(each[1], each[2]) < MARK] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_level_of_headings_is_skipped(everything, name):
    """Who listens goes from heading to heading, and takes one that is missing for a part that was missed."""
    for part, headings in everything(name).headings.items():
        levels = [0, *(level for _, level in headings)]
        assert levels[1:2] == [1], (part, headings)
        assert [each for each, (above, own) in zip(headings, pairwise(levels), strict=True) if own > above + 1] == [], (
            part
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_telephone_has_nothing_to_scroll_to_the_side(everything, name):
    assert [(held, wide) for held, wide in everything(name).widths if held > wide] == []
