"""What is seen is seen by everybody: contrasts of both themes, and states in colours of their own."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path

import numpy as np
import plotly.colors
import pytest

from nero_core.figures import palette

ROOT = Path(__file__).parents[2]
THEME = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
STYLE = (ROOT / "assets" / "style.css").read_text()
THEMES = ("light", "dark")
STATE_NAMES = ("blue", "orange", "red")  # what Streamlit calls the colours that the theme gives to states
TEXT, MARK = 4.5, 3  # WCAG 2.2, success criteria 1.4.3 and 1.4.11
FADED = {"caption": 0.6, "placeholder": 0.7}  # opacities at which Streamlit writes in the text's colour
TINTS = (0.1, 0.2)  # of the accent, behind what is chosen, and under a pointer
TOLD_APART = 0.09  # distance in Oklab; neighbours of a palette of ten have about as much

painted = [palette.ACCENT, palette.NEUTRAL, palette.UNUSUAL, palette.RAISES, palette.LOWERS, *palette.SERIES]


def channels(colour):
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def linear(colour):
    share = channels(colour)
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def contrast(first, second):
    """WCAG 2.2 contrast ratio of two colours."""
    low, high = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


def over(colour, page, opacity):
    """What is seen of a colour of so much opacity over a page."""
    mixed = opacity * channels(colour) + (1 - opacity) * channels(page)
    return "#" + "".join(f"{round(255 * share):02X}" for share in mixed)


def oklab(colour):
    """Ottosson, "A perceptual color space for image processing" (2020)."""
    cones = np.array([
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ])  # fmt: skip
    opponents = np.array([
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ])  # fmt: skip
    return opponents @ np.cbrt(cones @ linear(colour))


def pages(theme):
    return THEME[theme]["backgroundColor"], THEME[theme]["secondaryBackgroundColor"]


def from_style(rule, name):
    """The light and the dark theme's colour of a property in `assets/style.css`."""
    found = re.search(rf"{re.escape(rule)}[^{{]*{{[^}}]*?\b{name}: light-dark\((#\w+), (#\w+)\)", STYLE)
    return dict(zip(THEMES, found.groups(), strict=True))


def test_the_formula_is_wcags():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)
    assert over("#000000", "#FFFFFF", 0.6) == "#666666"


@pytest.mark.parametrize("theme", THEMES)
def test_everything_written_has_a_contrast_of_four_and_a_half(theme):
    own = THEME[theme]
    for page in pages(theme):
        for name in ("textColor", "linkColor", "primaryColor", "grayTextColor"):
            assert contrast(own[name], page) >= TEXT, (name, page)
        for name, opacity in FADED.items():
            assert contrast(over(own["textColor"], page, opacity), page) >= TEXT, (name, page)
    for colour in ("blue", "orange", "red", "gray", "yellow", "green"):
        for behind in (own["backgroundColor"], own[f"{colour}BackgroundColor"]):
            assert contrast(own[f"{colour}TextColor"], behind) >= TEXT, (colour, behind)


@pytest.mark.parametrize("theme", THEMES)
def test_what_is_chosen_or_pressed_can_be_read(theme):
    own = THEME[theme]
    accent, page = own["primaryColor"], own["backgroundColor"]
    for tint in TINTS:
        assert contrast(accent, over(accent, page, tint)) >= TEXT
    written = from_style('[data-testid^="stBaseButton-primary"]', "color")[theme]
    assert written == page
    assert contrast(written, accent) >= TEXT
    pointed = from_style('[data-testid^="stBaseButton-primary"]:not(:disabled):is(:hover', "background-color")[theme]
    assert contrast(written, pointed) >= TEXT
    assert contrast("#FFFFFF", accent) >= MARK, "Streamlit's ticks are white"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    "rule",
    [
        '[data-testid="stTab"][aria-selected="true"]',
        'button[data-variant][aria-checked="true"]',
        'button[kind="tertiary"]:is(:hover, :focus-visible, :active, [aria-expanded="true"])',
    ],
)
def test_what_is_chosen_or_open_is_no_fainter_than_the_rest(rule, theme):
    """It is written in the text's own colour, not in the accent, over whatever is tinted behind it; so is its line."""
    selectors, declared = next(part for part in re.findall(r"([^{}]+){([^}]*)}", STYLE) if rule in part[0])
    assert "color: inherit !important" in declared, selectors
    assert re.search(r"SelectionIndicator {[^}]*background-color: currentColor !important", STYLE)
    own = THEME[theme]
    for page in pages(theme):
        for tint in (0, *TINTS):
            assert contrast(own["textColor"], over(own["primaryColor"], page, tint)) >= TEXT


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("file", ["logo", "mark"])
def test_the_logo_is_seen_in_both_themes(file, theme):
    drawn = (ROOT / "assets" / f"{file}.svg").read_text()
    fills = [dict(re.findall(r"\.(\w+) { fill: (#\w+) }", part)) for part in drawn.split("@media")]
    own = fills[THEMES.index(theme)]
    assert own.keys() == set(re.findall(r'class="(\w+)"', drawn))
    faintest = min([1.0, *map(float, re.findall(r'opacity="(\S+?)"', drawn))])
    for page in pages(theme):
        assert contrast(over(own["usual"], page, faintest), page) >= MARK, page
        assert contrast(own["unusual"], page) >= MARK, page


@pytest.mark.parametrize("theme", THEMES)
def test_every_mark_has_a_contrast_of_three(theme):
    own, page = THEME[theme], THEME[theme]["backgroundColor"]
    for colour in [*painted, *palette.STATE_COLOURS.values(), *own["chartCategoricalColors"]]:
        assert contrast(colour, page) >= MARK, colour
    for name in STATE_NAMES:
        assert contrast(own[f"{name}Color"], page) >= MARK, name
    assert max(contrast(palette.OWN["color"], page), contrast(palette.OWN["line"]["color"], page)) >= TEXT


def test_what_is_written_on_magnitudes_changes_colour_where_both_are_read_equally_well():
    for share in np.linspace(0, 1, 101):
        ground = plotly.colors.sample_colorscale(palette.MAGNITUDES, [share], colortype="tuple")[0]
        below = "#" + "".join(f"{round(255 * part):02X}" for part in ground)
        assert contrast("#000000" if share >= palette.BRIGHT_FROM else "#FFFFFF", below) >= TEXT, share


def test_signs_run_from_teal_over_white_to_purple_without_turning_back():
    red, green, _ = np.transpose([channels(colour) for colour in palette.DIVERGING])
    assert palette.DIVERGING[2] == "#FFFFFF"
    assert all(a < b for a, b in pairwise(red - green))
    light = [contrast(colour, "#000000") for colour in palette.DIVERGING]
    assert light[0] < light[1] < light[2] > light[3] > light[4]
    for end, bar in ((palette.DIVERGING[-1], palette.RAISES), (palette.DIVERGING[0], palette.LOWERS)):
        assert np.sign(np.diff(channels(end)[:2])) == np.sign(np.diff(channels(bar)[:2])), "bars are of the map's hue"


def test_a_theme_and_its_charts_count_in_the_same_colours():
    assert all(THEME[theme]["chartCategoricalColors"] == list(palette.SERIES) for theme in THEMES)


def test_no_other_colour_can_be_taken_for_a_state():
    accents = [THEME[theme]["primaryColor"] for theme in THEMES]
    for state in palette.STATE_COLOURS.values():
        for colour in [*painted, *palette.DIVERGING, *accents]:
            assert np.linalg.norm(oklab(colour) - oklab(state)) >= TOLD_APART, (colour, state)


def test_colours_of_states_are_written_nowhere_else():
    states = {colour.upper() for colour in palette.STATE_COLOURS.values()}
    states |= {THEME[theme][key].upper() for theme in THEMES for key in THEME[theme] if key.startswith(STATE_NAMES)}
    places = ("app.py", "pages", "nero_core", "assets/*.svg", "assets/*.css", ".streamlit")
    files = subprocess.run(["git", "ls-files", *places], cwd=ROOT, capture_output=True, text=True, check=True)
    found = set()
    for name in files.stdout.split():
        if name.endswith((".py", ".css", ".svg", ".html", ".toml", ".ts", ".js")):
            written = {colour.upper() for colour in re.findall(r"#[0-9a-fA-F]{6}\b", (ROOT / name).read_text())}
            found |= {name} if written & states else set()
    assert found == {"nero_core/figures/palette.py", ".streamlit/config.toml"}


def assigned(node):
    """The name that a line of a file gives to something, None where it gives none."""
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    return target.id if isinstance(target, ast.Name) and hasattr(node, "lineno") else None


def test_pages_paint_nothing_but_states_in_their_colours():
    """By the names that Streamlit has for them; `PAINT` says which state has which."""
    paints, others = [], []
    names = re.compile(rf"^(?:{'|'.join(STATE_NAMES)})$|:(?:{'|'.join(STATE_NAMES)})(?:-background|-badge)?\[")
    for file in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py")]:
        tree = ast.parse(file.read_text())
        maps = [node for node in ast.walk(tree) if assigned(node) == "PAINT"]
        paints += [ast.literal_eval(node.value) for node in maps]
        allowed = {id(node) for each in maps for node in ast.walk(each)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in allowed:
                others += [(file.name, node.lineno)] if names.search(node.value) else []
    assert others == []
    assert [dict(zip(palette.STATE_COLOURS, STATE_NAMES, strict=True))] == paints
