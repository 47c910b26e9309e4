"""Several people at once: every number as if each were alone, nobody sees another's case, and memory comes back."""

from __future__ import annotations

import asyncio
import io
import re
import sys
import time
from dataclasses import dataclass

import psutil
import pytest

from nero_core import Reference
from nero_core.data.scenes import render
from nero_core.figures.palette import significant
from nero_core.wording import CARDS, STATES, said
from pages.shared import words
from tests.e2e import test_browser
from tests.e2e.test_browser import CHROMIUM, PATIENCE

served = test_browser.served  # a server of this module's own
pytestmark = [pytest.mark.browser, pytest.mark.soak]  # minutes of a real browser on every core: not for each run

SIZE = (1280, 1024)  # pixels, as endoscopes give
KINDS = ("polyp", "cecum", "z-line", "pylorus", "ulcer")  # of rendered scenes: of plain noise there is nothing to judge
MAPS = 6  # neurons with a card
CHARTS = {"Why": 3, "Top neurons": 2}  # gauge and histogram, and those of the parts that are looked at
MEMORY_SHARE = 0.2  # of the server's resident memory after a warm-up
SETTLING = 150  # seconds until the server may have forgotten sessions that are gone

SCREEN = """() => {
    const all = root => [...root.querySelectorAll('*')].flatMap(e => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
    const there = all(document.body), found = selector => there.filter(element => element.matches(selector));
    const words = ['stMarkdownContainer', 'stCaptionContainer', 'stText'].map(name => `[data-testid="${name}"]`);
    return {
        words: found([...words, '.nero'].join()).map(element => element.innerText),
        pictures: [
            ...found('img').map(image => [image.alt, new URL(image.src).pathname]),
            ...found('.outline .edge').map(path => ['outline', path.getAttribute('d') ?? '']),
        ],
        maps: found('.card [role=img]').map(map => map.getAttribute('aria-label')),
        charts: found('.js-plotly-plot').map(plot => JSON.stringify(plot._fullData.map(trace =>
            ['x', 'y', 'z', 'text', 'base', 'customdata'].map(key => Array.from(trace[key] ?? []))))),
    };
}"""
"""What the page shows, also in components: what lies over the frame, and what stands on cards."""


@dataclass(frozen=True)
class Screen:
    """What a session shows: words, pictures (their addresses are their pixels, or hashes of them), maps that are made
    or waited for, the charts' numbers."""

    words: tuple[str, ...]
    pictures: tuple[tuple[str, str], ...]
    maps: tuple[str, ...]
    charts: tuple[str, ...]

    def complete(self, part):
        """Whether all of a part is there, and the map of all neurons over the frame."""
        looked = [name for name in self.maps if name.endswith(said(CARDS["map"]))]
        outlined = any(name == "outline" and drawn for name, drawn in self.pictures)
        return outlined and len(looked) == MAPS * (part == "Top neurons") and len(self.charts) == CHARTS[part]

    def with_(self, other):
        """Both, as one."""
        return Screen(
            self.words + other.words,
            self.pictures + other.pictures,
            self.maps + other.maps,
            self.charts + other.charts,
        )

    def unlike(self, other):
        """What only one of two screens shows."""
        mine, others = ({*screen.words, *screen.pictures, *screen.charts} for screen in (self, other))
        return mine ^ others


def frame_of(owner, number):
    """One picture and its name; no two sessions have one in common."""
    name = f"owner-{owner}-frame-{number}.jpg"
    picture, buffer = render(KINDS[(owner + number) % len(KINDS)], 100 * owner + number), io.BytesIO()
    picture.resize(SIZE).save(buffer, "JPEG")
    return name, buffer.getvalue()


def said_by_the_core(reference, data):
    """The sentences with numbers that the screen must show, worked out without any screen."""
    activations = reference.classifier.extract([data])
    e = reference.explain(activations)[0]
    decision = reference.decide(activations)[0]
    p = activations.probabilities[0]
    yield STATES[decision.state]
    yield words.spoken(words.standing(decision.percentile, decision.calibration_images, decision.calibration_class))
    yield f"The network’s own answer: {reference.classes[int(p.argmax())]}, {100 * p.max():.0f} % sure."
    yield f"OOD score, higher = more unusual: {significant(e.score)}"
    yield re.sub(r"\*+", "", words.lead(e))
    for neuron, _ in e.top(6):
        part = e.low_relevance_share * e.contributions[neuron]
        yield (
            f"Neuron {neuron} {'Raises' if part >= 0 else 'Lowers'} the score by {significant(abs(part))}; relevance "
            f"{significant(e.relevance[neuron])}, usually {significant(e.class_relevance[neuron])}"
        )


class Person:
    """One browser session, and what went wrong in it."""

    def __init__(self, page, owner):
        self.page, self.owner, self.problems = page, owner, []
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: self.problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    async def screen(self):
        shown = await self.page.evaluate(SCREEN)
        return Screen(
            tuple(" ".join(part.replace("\u2060", "").split()) for part in shown["words"]),
            tuple(sorted(map(tuple, shown["pictures"]))),
            tuple(shown["maps"]),
            tuple(shown["charts"]),
        )

    async def put(self, name, data):
        """Lay one frame on the table."""
        await self.page.locator('input[type="file"]').set_input_files(
            [{"name": name, "mimeType": "image/jpeg", "buffer": data}]
        )
        await self.page.get_by_text(f"Case: {name}").wait_for()

    async def look(self):
        """All there is to see of two parts once everything is drawn; nobody else's name may appear meanwhile."""
        why, top = [await self.look_at(part) for part in CHARTS]
        return why.with_(top)

    async def look_at(self, part):
        """All there is to see while this part is in sight."""
        tab = self.page.get_by_role("tab", name=part, exact=True)
        await tab.press("Enter")
        await self.page.get_by_role("tab", name=part, exact=True, selected=True).wait_for()
        before, seen = None, await self.screen()
        async with asyncio.timeout(PATIENCE / 1000):
            while await self.working() or not seen.complete(part) or seen != before:
                if await self.page.locator('[data-testid="stException"], [data-testid="stAlert"]').count():
                    self.problems.append(f"error on the page: {seen.words}")
                    break
                self.look_for_strangers(seen)
                await asyncio.sleep(0.2)
                before, seen = seen, await self.screen()
        return seen

    async def look_again(self):
        """The same, after the page was computed anew."""
        await self.look()
        await self.page.keyboard.press("r")  # Streamlit's key for a rerun
        await self.page.locator('[data-test-script-state="running"]').wait_for()
        return await self.look()

    async def close(self):
        await self.page.get_by_role("button", name="Close case").click()
        await self.page.get_by_text("No case open").wait_for()

    async def working(self):
        return await self.page.locator('[data-test-script-state="notRunning"]').count() == 0

    def look_for_strangers(self, screen):
        if strangers := set(re.findall(r"owner-(\d+)-", " ".join(screen.words))) - {str(self.owner)}:
            self.problems.append(f"session {self.owner} sees the case of {strangers}")


async def work(address, people, frames, seconds, before_crowd):
    """Every frame alone, then all people at once with frames of their own. Returns both, and the people."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )

        async def arrive(owner):
            context = await browser.new_context(viewport={"width": 1280, "height": 900})
            person = Person(await context.new_page(), owner)
            await person.page.goto(address)
            return person

        async def review(person, number, look=Person.look):
            await person.put(*frame_of(person.owner, number))
            seen = await look(person)
            await person.close()
            return (person.owner, number), seen

        alone = {}
        for owner in range(people):
            person = await arrive(owner)
            alone |= dict([await review(person, number) for number in range(frames)])
            assert person.problems == []
            await person.page.context.close()
        before_crowd()
        end = time.monotonic() + seconds
        crowd = [await arrive(owner) for owner in range(people)]
        everybody = asyncio.Barrier(people)

        async def look_while_all_cases_are_open(person):
            await everybody.wait()
            seen = await person.look_again()
            await everybody.wait()
            return seen

        async def stay(person):
            seen = [await review(person, 0, look_while_all_cases_are_open)]
            while len(seen) < frames or time.monotonic() < end:
                seen.append(await review(person, len(seen) % frames))
            return seen

        together = await asyncio.gather(*map(stay, crowd))
        await browser.close()
    return alone, [pair for seen in together for pair in seen], crowd


@pytest.mark.parametrize(
    ("people", "frames", "seconds"),
    [pytest.param(2, 1, 0, id="two"), pytest.param(6, 3, 120, id="six for two minutes", marks=pytest.mark.soak)],
)
def test_people_at_once_get_the_numbers_they_would_get_alone(
    served, tiny_reference, tmp_path_factory, people, frames, seconds
):
    pytest.importorskip("playwright.async_api", reason="no playwright: pip install -r requirements-dev.txt")
    if not CHROMIUM.is_file():
        pytest.skip(f"no Chromium at {CHROMIUM}: install it, or set CHROMIUM to where it is")
    port = served.rpartition(":")[2]
    server = next(child for child in psutil.Process().children() if port in child.cmdline())
    memory = []
    alone, together, crowd = asyncio.run(
        work(served, people, frames, seconds, lambda: memory.append(server.memory_info().rss))
    )

    assert [person.problems for person in crowd] == [[]] * people
    reference = Reference.load(tiny_reference)
    for (owner, number), seen in alone.items():
        for sentence in said_by_the_core(reference, frame_of(owner, number)[1]):
            assert sentence in " ".join(seen.words)
    different = [(which, alone[which].unlike(seen)) for which, seen in together if seen != alone[which]]
    assert not different[:1], "owner and number of a frame, and what it showed only alone or only in company"
    assert len(together) >= people * frames
    assert all(
        len(seen.pictures) > MAPS and re.search(r"\d\.\d", chart) for seen in alone.values() for chart in seen.charts
    )
    logs = "".join(log.read_text() for log in tmp_path_factory.getbasetemp().glob("server*/log.txt"))
    assert "Traceback" not in logs

    memory.append(server.memory_info().rss)
    give_up = time.monotonic() + SETTLING
    while memory[-1] > (1 + MEMORY_SHARE) * memory[0] and time.monotonic() < give_up:
        time.sleep(1)
        memory[-1] = server.memory_info().rss
    sys.stdout.write(
        f"{people} sessions, {len(together)} frames explained, {len(different)} different; "
        f"server {memory[0] / 2**20:.0f} MiB after the warm-up, {memory[-1] / 2**20:.0f} MiB afterwards\n"
    )
    assert memory[-1] <= (1 + MEMORY_SHARE) * memory[0]
