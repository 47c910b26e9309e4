"""Pages that hold the components and nothing else, run by Streamlit; what happens on them stands on them as text."""

import re
import sys
from contextlib import contextmanager
from pathlib import Path

from tests.server.serving import PATIENCE, ROOT, serve

COUNT, FLAGGED, UNREAD, WAITING, HOSTILE = 30, (3, 9, 29), 4, 5, 2
"""Images of the strip in `case.py`; the places of those that are flagged, unreadable, waiting, and named as markup."""
RESERVED = 350
"""Pixels of the window's height that the frame of `frame.py` leaves for all else."""


def serve_screen(name, log):
    """Address of a new server of one of these pages."""
    page = str(Path(__file__).parent / f"{name}.py")
    return serve(log, command=[sys.executable, "-m", "streamlit", "run", page], PYTHONPATH=str(ROOT))


@contextmanager
def opened(chromium, address):
    """A page of such a server, without an error on its console until it is closed."""
    page, problems = chromium.new_page(viewport={"width": 1280, "height": 800}), []
    page.set_default_timeout(1000 * PATIENCE)
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(address)
    yield page
    assert problems == []
    page.close()


def expect(locator):
    """What a page comes to show sooner or later."""
    from playwright.sync_api import expect

    expect.set_options(timeout=1000 * PATIENCE)
    return expect(locator)


def click(page, locator):
    """Click, and wait until Python has run once more, to its end."""
    runs = page.get_by_text(re.compile(r"^runs: \d+$"))
    before = runs.inner_text()
    locator.click()
    expect(runs).not_to_have_text(before)
    rested(page)


def rested(page):
    """Wait until Python runs no more."""
    page.locator('[data-test-script-state="notRunning"]').wait_for()


def tick(page, label):
    """Click a box, and wait for what comes of it."""
    click(page, page.get_by_text(label, exact=True))


def press(page, button):
    """Click a button, and wait for what comes of it."""
    click(page, page.get_by_role("button", name=button, exact=True))
