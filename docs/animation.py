"""The README's picture and animation: ``python docs/animation.py``. Needs Chromium ($CHROMIUM) and Playwright.

A rendered scene with an instrument goes from the drop to the headline and to why, in a real browser. It takes 30 s,
however long this machine takes: each picture stands for its own time.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.app import CHROMIUM, PATIENCE, open_when_up, server  # noqa: E402  # found below the repository's top

IMAGES = ROOT / "docs/images"
SCENE = ROOT / "assets/examples/instrument.png"
SIZE = {"width": 1280, "height": 800}
ANIMATION_WIDTH = 960
QUALITY = 70
DRAG_STEPS = 12


@dataclass
class Film:
    """Pictures of a page, each with the milliseconds it stands for."""

    page: Page
    pictures: list[Image.Image] = field(default_factory=list)
    stand: list[int] = field(default_factory=list)

    def take(self, milliseconds: int) -> Image.Image:
        """The page as it is now."""
        picture = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        height = round(picture.height * ANIMATION_WIDTH / picture.width)
        self.pictures.append(picture.resize((ANIMATION_WIDTH, height), Image.Resampling.LANCZOS))
        self.stand.append(milliseconds)
        return picture

    def save(self, path: Path) -> None:
        """All of them as one animated WebP."""
        first, *rest = self.pictures
        first.save(path, save_all=True, append_images=rest, duration=self.stand, loop=0, quality=QUALITY, method=6)


def at_rest(page: Page) -> None:
    """Wait until the app works no more, and what moves has come to an end."""
    page.wait_for_timeout(500)
    page.locator('[data-testid="stStatusWidget"]').wait_for(state="detached")
    page.wait_for_timeout(700)


def part(page: Page, film: Film, name: str, milliseconds: int) -> None:
    """Open one of the parts below the frame."""
    page.get_by_role("tab", name=name, exact=True).click()
    at_rest(page)
    film.take(milliseconds)


def main() -> None:
    """Both pictures."""
    with sync_playwright() as playwright, server() as (address, _):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SIZE, device_scale_factor=1)  # type: ignore[arg-type]
        page.set_default_timeout(PATIENCE)
        open_when_up(page, address)
        at_rest(page)
        film = Film(page)
        film.take(2500)
        page.locator('input[type="file"]').set_input_files(str(SCENE))
        page.locator(".st-key-headline h2").wait_for()
        film.take(1500)
        at_rest(page)
        film.take(4500).save(IMAGES / "case-review.png", optimize=True)
        page.get_by_role("radio", name="Fade").click()
        film.take(1800)
        page.get_by_role("radio", name="Wipe").click()
        edge = page.locator(".handle").first
        for step in range(DRAG_STEPS):
            edge.press("ArrowRight" if step < DRAG_STEPS / 2 else "ArrowLeft")
            film.take(180)
        page.get_by_role("radio", name="Outline").click()
        part(page, film, "Why", 3500)
        part(page, film, "Top neurons", 2500)
        card = page.get_by_role("button", name="Show on the image").nth(1)
        card.hover()
        page.wait_for_timeout(300)
        film.take(3000)
        part(page, film, "Concepts", 3000)
        part(page, film, "All neurons", 2500)
        page.get_by_role("button", name="Close case").click()
        at_rest(page)
        film.take(30_000 - sum(film.stand))
        film.save(IMAGES / "case-review.webp")
        browser.close()


if __name__ == "__main__":
    main()
