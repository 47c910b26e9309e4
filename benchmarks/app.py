"""The app as a person waits for it: ``python -m benchmarks.app``. Needs Chromium ($CHROMIUM) and Playwright."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import statistics
import subprocess
import sys
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
VERDICT = "More unusual than"


def frame(seed: int) -> dict[str, object]:
    """A rendered scene at an endoscope's own size, as an upload."""
    buffer = io.BytesIO()
    kind = scenes.CLASSES[seed % len(scenes.CLASSES)]
    scenes.render(kind, 5_000_000 + seed, 320).resize(FRAME).save(buffer, "JPEG", quality=92)
    return {"name": f"frame-{seed}.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()}


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


def upload(page: Page, seed: int) -> tuple[float, float]:
    """Seconds from the drop to the verdict, and on to the sixth heatmap."""
    picture = frame(seed)
    if page.get_by_label("Remove").count():
        page.get_by_label("Remove").first.click()
        page.get_by_text(VERDICT).wait_for(state="detached")
    start = time.perf_counter()
    page.locator('input[type="file"]').set_input_files([picture])  # type: ignore[list-item]
    page.get_by_text(str(picture["name"])).first.wait_for()
    page.get_by_text(VERDICT).wait_for()
    verdict = time.perf_counter()
    page.locator('img[alt^="Where neuron"]').nth(5).wait_for()
    return verdict - start, time.perf_counter() - verdict


def main() -> list[Row]:
    """Start, verdict, heatmaps and memory."""
    starts = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )

        def new_page() -> Page:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(PATIENCE)
            return page

        new_page().close()
        for _ in range(3):
            began = time.perf_counter()
            with server() as (address, _):
                page = new_page()
                open_when_up(page, address)
                starts.append(time.perf_counter() - began)
                page.close()
        with server() as (address, process):
            page = new_page()
            open_when_up(page, address)
            upload(page, 0)
            verdicts, heatmaps = zip(*(upload(page, seed) for seed in range(1, ROUNDS + 1)), strict=True)
            for seed in range(ROUNDS + 1, UPLOADS):
                upload(page, seed)
            memory = process.memory_info().rss / 2**30
        browser.close()
    spread = f"{min(verdicts):.2f} to {max(verdicts):.2f} s"
    return [
        Row("process start → first screen usable", "3 s", f"{statistics.median(starts):.1f} s", "median of 3"),
        Row("1280×1024 JPEG dropped → verdict, warm", "1 s", f"{statistics.median(verdicts):.2f} s", spread),
        Row("verdict → six heatmaps", "1 s", f"{statistics.median(heatmaps):.2f} s", f"median of {ROUNDS}"),
        Row(f"app process after {UPLOADS} uploads by one user", "1.5 GB", f"{memory:.2f} GB", "resident"),
    ]


if __name__ == "__main__":
    print(table(main()))
