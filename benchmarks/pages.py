"""The Neurons page as a person waits for it: ``python -m benchmarks.pages``. Needs Chromium and Playwright."""

from __future__ import annotations

import statistics
import time

from playwright.sync_api import Page, sync_playwright

from benchmarks.app import CHROMIUM, PATIENCE, open_when_up, server
from benchmarks.measure import Row, table

STARTS = 3
ROUNDS = 7
SETTLED = 3
"""Seconds for a page to come to rest, reference loaded, before the next thing is timed."""
STEP = 37
"""From one chosen neuron to the next; prime to their number, so that none comes twice."""


def wait_for_content(page: Page) -> None:
    """The bars, one neuron with its training images, and the map."""
    page.locator('[class*="st-key-neurons-bars"] .barlayer .point').first.wait_for()
    page.locator('img[alt*="training images where neuron"]').nth(1).wait_for()
    page.locator(".scatterlayer .point").first.wait_for(state="attached")


def choose(page: Page, neuron: int) -> float:
    """Seconds from a number typed until the whole page is that neuron's, its training images decoded."""
    box = page.get_by_label("Neuron", exact=True)
    box.fill(str(neuron))
    start = time.perf_counter()
    box.press("Enter")
    page.wait_for_function(
        """neuron => document.body.innerText.includes(`Values of neuron ${neuron} as a table`)
            && !document.querySelector('[data-test-script-state="running"]')
            && [...document.querySelectorAll('img[alt*="training images where neuron"]')].every(
                image => image.alt.includes(`neuron ${neuron} was`) && image.complete && image.naturalWidth)""",
        arg=neuron,
        polling="raf",
    )
    return time.perf_counter() - start


def main() -> list[Row]:
    """Opening the page on a new server, in a new session and once more; choosing a neuron."""
    cold, first, again = [], [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )

        def new_page(address: str) -> Page:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(PATIENCE)
            open_when_up(page, address)
            return page

        def turn_to_neurons(page: Page) -> float:
            start = time.perf_counter()
            page.get_by_role("link", name="Neurons").first.click()
            wait_for_content(page)
            return time.perf_counter() - start

        with server() as (address, _):
            new_page(address).close()
        for _ in range(STARTS):
            with server() as (address, _):
                page = new_page(address)
                cold.append(turn_to_neurons(page))
        with server() as (address, _):
            for _ in range(ROUNDS):
                page = new_page(address)
                time.sleep(SETTLED)
                first.append(turn_to_neurons(page))
                page.get_by_role("link", name="Case review").first.click()
                page.locator('input[type="file"]').wait_for(state="attached")
                time.sleep(SETTLED)
                again.append(turn_to_neurons(page))
                if len(first) < ROUNDS:
                    page.close()
            chosen = [choose(page, 1 + STEP * place) for place in range(ROUNDS)]
        browser.close()

    def row(what: str, wanted: str, seconds: list[float]) -> Row:
        spread = f"{min(seconds):.2f} to {max(seconds):.2f} s"
        return Row(what, wanted, f"{statistics.median(seconds):.2f} s", f"median of {len(seconds)}: {spread}")

    return [
        row("Neurons page opened, first in a session → bars, neuron, map", "2 s", first),
        row("the same, second in a session", "2 s", again),
        row("the same, on a server that is still loading the reference", "", cold),
        row("a neuron chosen → its values and training images", "0.5 s", chosen),
    ]


if __name__ == "__main__":
    print(table(main()))
