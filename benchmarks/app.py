"""The app as a person waits for it: ``python -m benchmarks.app``. Needs Chromium ($CHROMIUM) and Playwright."""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

from benchmarks.measure import Row, table
from nero_core.data import scenes

ROOT = Path(__file__).parents[1]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PATIENCE = 120_000
"""Milliseconds until a benchmark gives up."""
ROUNDS = 7
UPLOADS = 100
FRAME = (1280, 1024)
MANY = 40
HEADLINE, OUTLINE, NOTE = ".st-key-headline", 'path.edge[d^="M"]', ".note"
SETTLE = 1500
"""Milliseconds in which a closed case is cleared away: what is timed begins on a page at rest."""
SHIFTS_FOR = 6000
"""Milliseconds in which everything about a frame has come."""
WATCH_SHIFTS = """() => {
  window.shifted = 0;
  new PerformanceObserver(list => {
    for (const shift of list.getEntries()) if (!shift.hadRecentInput) window.shifted += shift.value;
  }).observe({type: "layout-shift"});
}"""


def frame(folder: Path, seed: int) -> Path:
    """A rendered scene at an endoscope's own size, as a file: bytes would first travel to the browser."""
    path = folder / f"frame-{seed}.jpg"
    if not path.exists():
        kind = scenes.CLASSES[seed % len(scenes.CLASSES)]
        scenes.render(kind, 5_000_000 + seed, 320).resize(FRAME).save(path, quality=92)
    return path


@contextlib.contextmanager
def server() -> Iterator[tuple[str, psutil.Process]]:
    """The app on a free port, on the bundled reference."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    process = subprocess.Popen(
        [*command, "--server.headless", "true"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def open_when_up(page: Page, address: str) -> None:
    """Load the page as soon as the server takes connections, and wait for the uploader."""
    while True:
        try:
            with socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1])), timeout=1):
                break
        except OSError:
            time.sleep(0.02)
    page.goto(address)
    page.locator('input[type="file"]').wait_for(state="attached")


def upload(page: Page, pictures: list[Path]) -> float:
    """Drop images on an empty page; when that was. The headline must come into view with nothing else done."""
    if page.get_by_role("button", name="Close case").count():
        page.get_by_role("button", name="Close case").click()
        page.locator(HEADLINE).wait_for(state="detached")
        page.locator('input[type="file"]').wait_for(state="attached")
        page.wait_for_timeout(SETTLE)
    start = time.perf_counter()
    page.locator('input[type="file"]').set_input_files(pictures)
    return start


def headline(page: Page, start: float) -> float:
    """Seconds until the headline is in view, untouched by wheel or click."""
    page.locator(f"{HEADLINE} h2").wait_for()
    seconds = time.perf_counter() - start
    box = page.locator(f"{HEADLINE} h2").bounding_box()
    assert box is not None, "the headline has no place on the page"
    assert 0 <= box["y"] < page.viewport_size["height"], "the headline is out of view"  # type: ignore[index]
    return seconds


def overlay(page: Page, start: float) -> float:
    """Seconds until the outline of the heatmap lies on the frame."""
    page.locator(OUTLINE).first.wait_for(state="attached")
    return time.perf_counter() - start


def next_frame(page: Page) -> float:
    """Seconds from an arrow key to the headline of the next image."""
    before = page.locator(NOTE).first.inner_text()
    start = time.perf_counter()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "([selector, before]) => [...document.querySelectorAll('*')].some(each => "
        "each.shadowRoot?.querySelector(selector)?.innerText.length && "
        "each.shadowRoot.querySelector(selector).innerText !== before)",
        arg=[".note", before],
        polling=10,
    )
    return time.perf_counter() - start


def on_one_screen(page: Page, process: psutil.Process, folder: Path) -> list[Row]:
    """What a person waits for once the server is warm."""
    drops, heatmaps, shifts = [], [], []
    for seed in range(1, ROUNDS + 1):
        start = upload(page, [frame(folder, seed)])
        drops.append(headline(page, start))
        page.evaluate(WATCH_SHIFTS)
        heatmaps.append(overlay(page, start))
        page.wait_for_timeout(SHIFTS_FOR)
        shifts.append(float(page.evaluate("window.shifted")))
    start = upload(page, [frame(folder, seed) for seed in range(MANY)])
    first = headline(page, start)
    page.get_by_text(f"of {MANY} flagged").wait_for()
    everything = time.perf_counter() - start
    page.wait_for_timeout(SHIFTS_FOR)
    keys = []
    for pause in (0, 200, 1000, 3000) * 3:
        keys.append(next_frame(page))
        page.wait_for_timeout(pause)
    memory = process.memory_info().rss / 2**30

    def row(what: str, most: str, values: list[float], unit: str = " s") -> Row:
        spread = f"{min(values):.2g} to {max(values):.2g}{unit}, {len(values)} times"
        return Row(what, most, f"{statistics.median(values):.2g}{unit}", spread)

    return [
        row("1280×1024 JPEG dropped → headline in view, warm", "0.4 s", drops),
        row("dropped → heatmap on the frame", "0.8 s", heatmaps),
        row("layout shift after the headline (CLS)", "0.05", shifts, ""),
        row("next frame by key, while the last is still explained", "0.3 s", keys),
        Row(f"{MANY} images dropped → all read", "4 s", f"{everything:.1f} s", f"the first after {first:.1f} s"),
        Row(f"app process with a case of {MANY} images", "1.5 GB", f"{memory:.2f} GB", "resident"),
    ]


def main() -> list[Row]:
    """Start, headline, heatmap, next frame, many frames, memory."""
    starts, cold = [], []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )

        def new_page() -> Page:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(PATIENCE)
            return page

        new_page().close()
        for seed in range(3):
            began = time.perf_counter()
            with server() as (address, _):
                page = new_page()
                open_when_up(page, address)
                starts.append(time.perf_counter() - began)
                cold.append(headline(page, upload(page, [frame(folder, seed)])))
                page.close()
        with server() as (address, process):
            page = new_page()
            open_when_up(page, address)
            headline(page, upload(page, [frame(folder, 0)]))
            page.wait_for_timeout(SHIFTS_FOR)
            rows = on_one_screen(page, process, folder)
            for seed in range(UPLOADS):
                headline(page, upload(page, [frame(folder, seed)]))
            memory = process.memory_info().rss / 2**30
        browser.close()
    return [
        Row("process start → first screen usable", "3 s", f"{statistics.median(starts):.1f} s", "median of 3"),
        Row("dropped at once on that screen → headline", "4 s", f"{statistics.median(cold):.1f} s", "median of 3"),
        *rows,
        Row(f"app process after {UPLOADS} uploads by one user", "1.5 GB", f"{memory:.2f} GB", "resident"),
    ]


if __name__ == "__main__":
    print(table(main()))
