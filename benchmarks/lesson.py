"""The lesson as a class waits for it: ``python -m benchmarks.lesson``. Needs Chromium and Playwright."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from playwright.sync_api import Page, sync_playwright

from benchmarks.app import CHROMIUM, PATIENCE, open_when_up, server
from benchmarks.measure import Row, table

ROUNDS = 9
SETTLED = """() => document.querySelector('[data-test-script-state="notRunning"]')
    && !document.querySelector('[data-stale="true"], [data-testid="stSpinner"], [data-testid="stSkeleton"]')"""
SLIDERS = (
    ("sum of the small network", 2, "ε", "The sum", "0.3 s"),
    ("point and score in the plane", 3, "First component", "Nearest class", "0.3 s"),
    ("missed and falsely flagged", 4, "Ordinary images that may be flagged", "Promised", "0.3 s"),
    ("score of a changed picture", 5, "Tint", "Challenge", "0.5 s"),
)
"""What answers, in which step, the slider, a text that is drawn anew, and what is wanted."""


def seconds_until_new(page: Page, do: Callable[[], None], text: str) -> float:
    """From an act until what holds this text is another than before, and nothing runs any more."""
    before = page.get_by_text(text).last.locator("xpath=..").inner_text()
    start = time.perf_counter()
    do()
    page.wait_for_function(
        """([text, before]) => [...document.querySelectorAll('[data-testid="stMarkdownContainer"]')]
            .filter(each => each.innerText.includes(text)).some(each => each.innerText !== before)""",
        arg=[text, before],
        polling="raf",
    )
    seconds = time.perf_counter() - start
    page.wait_for_function(SETTLED)
    return seconds


def opened(page: Page, address: str, step: int) -> None:
    """A step with its answer, at rest."""
    page.goto(f"{address}/lesson?step={step}&answer=shown")
    page.get_by_text("To take home").wait_for()
    page.wait_for_function(SETTLED)
    page.wait_for_timeout(500)


def slid(page: Page, address: str, step: int, slider: str, text: str) -> list[float]:
    """Seconds of each key on a slider until the page says something new."""
    opened(page, address, step)
    thumb = page.get_by_role("slider", name=slider).last
    thumb.focus()
    found = [seconds_until_new(page, lambda: page.keyboard.press("ArrowRight"), text) for _ in range(ROUNDS + 1)]
    return found[1:]  # the first one warms up


def maps(page: Page, address: str) -> list[float]:
    """Seconds from choosing a picture that was not shown yet until both of its maps are there."""
    opened(page, address, 7)
    found = []
    for _ in range(ROUNDS):
        box = page.get_by_role("combobox", name="Picture").first
        shown = page.locator("[data-testid=stImage] img").nth(1).get_attribute("src")
        box.click()
        page.keyboard.press("ArrowDown")
        start = time.perf_counter()
        page.keyboard.press("Enter")
        page.wait_for_function(
            """before => { const images = document.querySelectorAll("[data-testid=stImage] img");
                return images.length > 2 && images[1].src !== before && images[1].complete && images[2].complete; }""",
            arg=shown,
            polling="raf",
        )
        found.append(time.perf_counter() - start)
        page.wait_for_function(SETTLED)
    return found


def main() -> list[Row]:
    """Every slider, and the maps."""
    rows = []
    with sync_playwright() as playwright, server() as (address, _):
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE)
        open_when_up(page, address)
        timed = [
            (what, wanted, slid(page, address, step, slider, text)) for what, step, slider, text, wanted in SLIDERS
        ]
        timed.append(("two maps of another picture", "1.5 s", maps(page, address)))
        for what, wanted, found in timed:
            detail = f"{min(found):.2f} to {max(found):.2f}, {len(found)} rounds"
            rows.append(Row(f"lesson: {what}", f"≤ {wanted}", f"{statistics.median(found):.2f} s", detail))
        browser.close()
    return rows


if __name__ == "__main__":
    print(table(main()))
