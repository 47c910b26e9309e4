"""One real browser: every page in both themes, as axe-core sees it, and as a keyboard and a finger meet it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
FEWEST = 10  # so many things to press has every view: a look that found less has seen no page
TALL = 5000  # pixels: more than any page has
CALM = 2  # so many looks in a row at which nothing moves

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
}
"""Address and examples that are opened."""

LOOK = Path(__file__).with_name("accessibility.js").read_text()
"""Every target with its size; everything that takes the focus, with the colour of its outline and what is behind."""


@dataclass
class Seen:
    """What one view shows.

    Attributes
    ----------
    violations : {theme: list of (rule, impact, address of the element, its markup)}
    targets : list of (where, width, height)
    rings : {theme: list of (where, colour or None, colour behind)}
    """

    violations: dict = field(default_factory=dict)
    targets: list = field(default_factory=list)
    rings: dict = field(default_factory=dict)


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
    for _ in range(PATIENCE // 500):
        busy = page.locator('[data-testid="stSkeleton"], [data-testid="stSpinner"], [data-stale="true"]').count()
        calm = 0 if busy or not page.locator('[data-test-script-state="notRunning"]').count() else calm + 1
        if calm > CALM:
            return
        page.wait_for_timeout(500)
    pytest.fail("the page never came to rest")


@pytest.fixture(scope="module")
def everything(chromium, served):
    """Every view, looked at in both themes."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install -r requirements-dev.txt"
    ).Axe()
    found = {}
    for name, (address, examples) in VIEWS.items():
        page = chromium.new_page(viewport={"width": 1280, "height": 900}, color_scheme=THEMES[0])
        page.set_default_timeout(PATIENCE)
        page.goto(f"{served}/{address}")
        page.get_by_text("Not a medical device").wait_for()
        settle(page)
        if examples:
            page.locator('input[type="file"]').first.set_input_files([EXAMPLES / f"{each}.png" for each in examples])
            page.get_by_text("The network’s own answer").first.wait_for(state="attached")
            settle(page)
        assert page.locator('[data-testid="stException"]').count() == 0, name
        page.set_viewport_size({"width": 1280, "height": TALL})  # axe passes over what is scrolled out of sight
        found[name] = seen = Seen()
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            settle(page)
            page.keyboard.press("Tab")  # as who has no mouse: only then is a focus to be seen
            looked = page.evaluate(LOOK)
            seen.targets, seen.rings[theme] = looked["targets"], looked["rings"]
            seen.violations[theme] = [
                (rule["id"], rule["impact"], " ".join(map(str, node["target"])), node["html"])
                for rule in axe.run(page, options=RULES).response["violations"]
                for node in rule["nodes"]
            ]
        page.close()
    return found


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", VIEWS)
def test_axe_finds_nothing_serious(everything, name, theme):
    """Neither in our parts nor in Streamlit's: there is no list of exceptions, and none is needed."""
    assert [each for each in everything[name].violations[theme] if each[1] in GRAVE] == []


@pytest.mark.parametrize("name", VIEWS)
def test_everything_to_press_is_large_enough(everything, name):
    targets = everything[name].targets
    assert len(targets) > FEWEST
    assert [each for each in targets if min(each[1:]) < TARGET] == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", VIEWS)
def test_where_the_keyboard_is_can_be_seen(everything, name, theme):
    rings = everything[name].rings[theme]
    assert len(rings) > FEWEST
    assert [each for each in rings if each[1] is None or contrast(each[1], each[2]) < MARK] == []
