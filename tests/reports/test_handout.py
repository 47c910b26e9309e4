"""The handout: two pages on either paper, loads nothing, and every number on it is the core's."""

from __future__ import annotations

import builtins
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from nero_core import wording
from nero_core.demo.rendered import BUNDLED
from nero_core.errors import InputError
from nero_core.lesson.frames import read_frames
from nero_core.lesson.heatmap_trial import HeatmapTrial, TwoMaps
from nero_core.lesson.readings import read_all
from nero_core.lesson.small_network import SmallNetwork, work_out
from nero_core.lesson.steps import STEPS
from nero_core.lesson.threshold import bundled_scores
from nero_core.reference.reference import Reference
from nero_core.reports import handout, handout_steps
from nero_core.reports.handout import PAPERS, page, pdf, why_no_pdf
from nero_core.wording import STANDING_LINE

needs_pango = pytest.mark.skipif(bool(why_no_pdf()), reason=why_no_pdf())
MILLIMETRES = {"a4": (210.0, 297.0), "letter": (215.9, 279.4)}
CSS_PIXELS = 96 / 25.4  # per millimetre
HOSTILE = "<script>alert(1)</script> $x^$ & _y"


@pytest.fixture(scope="module")
def bundled():
    return Reference.load(BUNDLED)


@pytest.fixture(scope="module")
def frames():
    return read_frames()


@pytest.fixture(scope="module")
def steps(bundled, frames):
    return handout_steps.handout_steps(bundled, frames)


@pytest.fixture
def made(bundled, frames, steps, monkeypatch):
    """Call it for the page on a paper, of the steps that were worked out once or of others."""

    def make(paper="a4", of=steps):
        monkeypatch.setattr(handout, "handout_steps", lambda *_: list(of))
        return page(bundled, frames, paper)

    return make


class Parsed(HTMLParser):
    """Elements and texts of a page."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


# One file that loads nothing ---------------------------------------------------------------------------------------


def test_it_loads_nothing_and_runs_nothing(made):
    html = made()
    parsed = Parsed(html)
    tags = {tag for tag, _ in parsed.elements}
    assert tags.isdisjoint({"script", "link", "iframe", "object", "embed", "base", "form", "video", "audio", "svg"})
    assert [name for _, attributes in parsed.elements for name in attributes if name.startswith("on")] == []
    sources = [attributes["src"] for _, attributes in parsed.elements if "src" in attributes]
    assert len(sources) == 2 * 6 + 2 + 3 + 3
    assert all(source.startswith("data:image/") for source in sources)
    assert [attributes["href"] for _, attributes in parsed.elements if "href" in attributes] == [
        "https://arxiv.org/abs/2506.15404"
    ]
    assert "url(" not in html
    assert "@import" not in html


def test_it_says_what_it_is(made, bundled):
    html = made()
    text = Parsed(html).text
    assert html.startswith("<!doctype html>")
    assert '<html lang="en">' in html
    assert STANDING_LINE in text
    assert "All pictures are rendered" in text
    assert "NERO Dashboard 0." in text
    assert bundled.manifest["sha256"][:12] in text
    assert text.count("Notes") == len(STEPS)


def test_it_names_the_language_that_it_is_in(made, monkeypatch):
    monkeypatch.setattr(wording, "_language", "de")
    html = made()
    assert '<html lang="de">' in html
    assert html.count(wording.said("Notes")) == len(STEPS)
    assert wording.said("Notes") != "Notes"


def test_every_step_has_its_words_and_a_picture_with_words_for_it(made, steps):
    html = made()
    parsed = Parsed(html)
    assert [tag for tag, _ in parsed.elements].count("h1") == 1
    for step, drawn in zip(STEPS, steps, strict=True):
        for text in (step.title, step.idea, step.take_home, *drawn.drawn.facts):
            assert text.replace("\u00a0", " ") in parsed.text
        assert drawn.drawn.pictures
    alts = [attributes.get("alt") for tag, attributes in parsed.elements if tag == "img"]
    assert all(alts)


def test_the_same_twice(made, bundled, frames, steps):
    assert made() == made(of=handout_steps.handout_steps(bundled, frames))


def test_a_name_is_text_and_no_markup(made, bundled, frames, monkeypatch):
    def read_hostile(reference, of):
        found = read_all(reference, of)
        return [replace(each, answer=HOSTILE, frame=replace(each.frame, kind=HOSTILE)) for each in found]

    plane = handout_steps.plane_of(bundled)
    monkeypatch.setattr(handout_steps, "read_all", read_hostile)
    monkeypatch.setattr(handout_steps, "plane_of", lambda _: replace(plane, classes=(HOSTILE,) * len(plane.classes)))
    html = made(of=handout_steps.handout_steps(bundled, frames))
    assert "<script" not in html
    assert Parsed(html).text.count(HOSTILE) >= 6 + 6 + 6 + 1


# Two pages ---------------------------------------------------------------------------------------------------------


@needs_pango
@pytest.mark.parametrize("paper", PAPERS)
def test_two_pages_of_the_paper(made, paper):
    laid_out = handout._document(made(paper))
    width, height = (side * CSS_PIXELS for side in MILLIMETRES[paper])
    assert [(each.width, each.height) for each in laid_out.pages] == [pytest.approx((width, height), abs=0.5)] * 2


@needs_pango
@pytest.mark.parametrize("paper", PAPERS)
def test_a_third_more_words_have_room(made, steps, paper):
    def longer(text):
        return f"{text} {text[: len(text) // 3]}"

    def longer_drawn(drawn):
        pictures = [replace(each, lines=tuple(map(longer, each.lines))) for each in drawn.pictures]
        return replace(drawn, facts=list(map(longer, drawn.facts)), pictures=pictures)

    words = [
        replace(each, title=longer(each.title), idea=longer(each.idea), take_home=longer(each.take_home),
                drawn=longer_drawn(each.drawn))
        for each in steps
    ]  # fmt: skip
    html = made(paper, of=words)
    assert len(handout._document(html).pages) == 2
    assert float(re.search(r"body \{ font: ([\d.]+)pt", html)[1]) >= handout.LEAST_POINTS


@needs_pango
def test_the_type_is_as_large_as_can_be_where_words_are_few(made):
    assert f"font: {handout.POINTS}pt" in made()


@needs_pango
def test_the_pdf_is_tagged_and_its_text_is_text(made):
    html = made()
    plain = handout._document(html).write_pdf(pdf_variant="pdf/ua-1", uncompressed_pdf=True)
    for wanted in (
        b"/StructTreeRoot",
        b"/Lang (en)",
        b"/MarkInfo",
        b"/ToUnicode",
        b"pdfuaid",
        b"/Figure",
        b"/H1",
        b"/Alt",
    ):
        assert wanted in plain, wanted
    assert b"/Title" in plain
    assert plain.count(b"/Alt") >= 2 * 6 + 2 + 3 + 3
    assert b"/JavaScript" not in plain
    assert pdf(html).startswith(b"%PDF-")


@needs_pango
def test_nothing_is_fetched_for_the_pdf(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    html = f'<html lang="en"><title>x</title><p>x</p><img alt="x" src="{(tmp_path / "secret.png").as_uri()}">'
    assert b"/Subtype /Image" not in handout._document(html).write_pdf(uncompressed_pdf=True)


# What is missing is told ---------------------------------------------------------------------------------------------


@pytest.fixture
def without(monkeypatch):
    """Call it with the error that importing WeasyPrint raises."""

    def fail(error):
        found = builtins.__import__

        def loading(name, *rest):
            if name == "weasyprint":
                raise error
            return found(name, *rest)

        monkeypatch.delitem(sys.modules, "weasyprint", raising=False)
        monkeypatch.setattr(builtins, "__import__", loading)

    return fail


def test_a_missing_pango_is_told_and_the_html_still_comes(without, made):
    without(OSError("cannot load library 'libpango-1.0-0': no such file\nand more"))
    assert made().lstrip().startswith("<!doctype html>")
    with pytest.raises(InputError, match="Pango") as told:
        pdf("<p>x</p>")
    message = str(told.value)
    assert "libpango-1.0-0': no such file)" in message
    assert "apt install libpango-1.0-0 libpangoft2-1.0-0" in message
    assert "brew install pango" in message
    assert why_no_pdf() == message


def test_a_missing_package_is_told(without):
    without(ImportError("No module named 'weasyprint'"))
    assert "nero-dashboard[reports]" in why_no_pdf()


# Every number is the core's -----------------------------------------------------------------------------------------


def words_of(drawn):
    return "\n".join([*drawn.facts, *(line for each in drawn.pictures for line in (*each.lines, each.alt))])


def test_step_1_follows_the_network(bundled, frames, steps, monkeypatch):
    def unsure(reference, of):
        return [replace(each, confidence=0.51, answer=reference.classes[0]) for each in read_all(reference, of)]

    monkeypatch.setattr(handout_steps, "read_all", unsure)
    found = words_of(handout_steps.sure_and_wrong(bundled, frames))
    assert "At least 95 % sure: 0 of 6. 0 of these" in found
    assert found.count(f"“{bundled.classes[0]}”, 51 % sure") == 6
    assert found != words_of(steps[0].drawn)


def test_step_2_follows_the_relevance(steps, monkeypatch):
    other = work_out(SmallNetwork(activations=(4.0, 1.0, 3.0)), 0.5)
    monkeypatch.setattr(handout_steps, "work_out", lambda _: other)
    drawn = handout_steps.feature_to_relevance()
    assert "The sum does not hold." in words_of(drawn)
    assert "The sum holds." in words_of(steps[1].drawn)
    for before, after in zip(steps[1].drawn.facts[2:], drawn.facts[2:], strict=True):
        assert before != after
    assert drawn.pictures[0].url != steps[1].drawn.pictures[0].url


def test_step_3_follows_the_plane(bundled, frames, steps, monkeypatch):
    plane = handout_steps.plane_of(bundled)
    moved = replace(plane, centroids=plane.centroids + 0.05, share=0.25, components=7)
    monkeypatch.setattr(handout_steps, "plane_of", lambda _: moved)
    drawn = handout_steps.centroids(bundled, frames)
    assert "show 25 % of the variance. In all 7 components" in words_of(drawn)
    assert drawn.facts[1] != steps[2].drawn.facts[1]
    assert drawn.pictures[0].url != steps[2].drawn.pictures[0].url


def test_step_3_follows_the_score(bundled, frames, steps, monkeypatch):
    real = type(bundled.detector("nero")).terms

    def doubled(self, batch, *rest):
        terms = real(self, batch, *rest)
        return replace(terms, distance=2 * terms.distance)

    monkeypatch.setattr(type(bundled.detector("nero")), "terms", doubled)
    assert handout_steps.centroids(bundled, frames).facts[2] != steps[2].drawn.facts[2]


def test_step_4_follows_the_counts(bundled, steps, monkeypatch):
    def shifted(reference, name):
        scored = bundled_scores(reference, name)
        return replace(scored, ordinary=scored.ordinary + 1e6)

    monkeypatch.setattr(handout_steps, "bundled_scores", shifted)
    drawn = handout_steps.threshold(bundled)
    assert words_of(drawn).count("300 of 300 ordinary images flagged") == 2
    assert drawn.pictures[0].url != steps[3].drawn.pictures[0].url
    assert drawn.pictures[0].alt != steps[3].drawn.pictures[0].alt


def test_step_5_follows_the_scores(bundled, frames, steps, monkeypatch):
    monkeypatch.setattr(handout_steps, "changed", lambda picture: (picture, "Left alone"))
    drawn = handout_steps.break_it(bundled, frames)
    before = steps[4].drawn.facts[1].split()[-3]
    assert drawn.facts[1] == f"NERO’s score goes from {before} to {before}."
    assert "it stays with" in drawn.facts[2]
    assert "becomes ▲" in steps[4].drawn.facts[2]
    assert drawn.pictures[0].url == drawn.pictures[1].url


def test_step_6_follows_the_verdicts(bundled, frames, steps, monkeypatch):
    def all_flagged(reference, of):
        found = read_all(reference, of)
        flagged = next(each.panel for each in found if each.flagged)
        return [replace(each, panel=replace(flagged, p_value=0.0123), nero=flagged) for each in found]

    monkeypatch.setattr(handout_steps, "read_all", all_flagged)
    drawn = handout_steps.predict(bundled, frames)
    assert "go together: 3 of 6. Flagged without a finding: 3. Not flagged with one: 0." in words_of(drawn)
    assert words_of(drawn).count("Panel’s p = 0.012") == 6
    assert {each.colour for each in drawn.pictures} == {handout_steps.STATE_COLOURS["out-of-distribution"]}
    assert words_of(drawn) != words_of(steps[5].drawn)


def test_step_7_follows_the_maps(bundled, frames, steps, monkeypatch):
    same = np.random.default_rng(0).normal(size=(224, 224)).astype(np.float32)
    trial = HeatmapTrial(bundled)
    monkeypatch.setattr(HeatmapTrial, "best", "gradient × input")
    monkeypatch.setattr(handout_steps, "two_maps", lambda *_: (trial, TwoMaps(same, same)))
    drawn = handout_steps.heatmaps_can_lie(bundled, frames)
    assert "Both maps by gradient × input" in words_of(drawn)
    assert f"{handout_steps.CELLS} cells: 1 (" in words_of(drawn)
    assert drawn.pictures[1].url == drawn.pictures[2].url
    assert steps[6].drawn.pictures[1].url != steps[6].drawn.pictures[2].url


def test_a_verdict_has_its_sign_its_word_and_its_colour(steps):
    for each in steps[5].drawn.pictures:
        [panel] = [line for line in each.lines if line.startswith("Panel:")]
        assert re.search("[●◐▲]\u00a0(Not flagged|Borderline|Unusual)", panel.replace("Not\u00a0", "Not "))
        assert each.colour in handout_steps.STATE_COLOURS.values()
