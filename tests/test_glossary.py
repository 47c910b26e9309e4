"""The glossary holds what it promises: one plain explanation for each term that a reader meets, and no other."""

from __future__ import annotations

import re

import pytest

from nero_core import wording
from nero_core.wording import glossary
from nero_core.wording.glossary import TERMS, Explained, explained
from tests.test_wording import shown

LONGEST = 260
"""Characters of an explanation: two sentences, three where one of them says what it does not mean."""
NOT_READ = ("nero_core/wording/glossary.py", "nero_core/cli/", "nero_core/reports/", "README.md")
"""What is shown, and on no page."""


def written(spelling: str) -> re.Pattern[str]:
    """How a spelling is found in a text, as `frontend/src/terms.ts` does it."""
    exact = len(spelling) == 1 or spelling != spelling.lower()
    words = r"\s+".join(map(re.escape, spelling.split()))
    return re.compile(rf"(?<![\w/.\\]){words}(?![\w/\\]|\.\w)", 0 if exact else re.I)


@pytest.fixture(scope="module")
def on_pages():
    """Every text that pages may show."""
    return [text for name, _, text in shown() if not name.startswith(NOT_READ)] + wording.messages()


@pytest.mark.parametrize("term", explained(), ids=lambda term: term.name)
def test_an_explanation_is_short_and_plain(term):
    assert term.meaning.endswith(".")
    assert len(term.meaning) <= LONGEST
    assert not re.search(r"\b(healthy|diseased|normal|abnormal|ill|sick)\b", term.meaning, re.I)


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.spellings.split("|")[0])
def test_a_text_of_the_catalogue_has_no_blanks_around_it(term):
    for text in (term.spellings, term.meaning, term.source, *term.spellings.split("|")):
        assert text == text.strip()
    assert not term.source.endswith(".")


def test_no_spelling_means_two_things():
    spellings = [(each.casefold(), term.name) for term in explained() for each in term.spellings]
    assert len({spelling for spelling, _ in spellings}) == len(spellings)
    assert len({term.meaning for term in explained()}) == len(TERMS)


@pytest.mark.parametrize("term", explained(), ids=lambda term: term.name)
def test_a_term_is_met_on_a_page(on_pages, term):
    assert any(written(each).search(text) for each in term.spellings for text in on_pages), "take it out"


def test_terms_stand_by_their_name():
    names = [term.name for term in explained()]
    assert names == sorted(names, key=str.casefold)
    assert names[0] == "activation"


def test_what_is_looked_for_is_in_a_name_a_spelling_or_an_explanation():
    term = Explained("neuron", ("neuron", "neurons"), "Reacts to something.")
    assert all(term.speaks_of(asked) for asked in ("", "NEUR", "neurons", "reacts"))
    assert not term.speaks_of("centroid")


def test_a_method_says_where_it_comes_from():
    meanings = {term.name: term.meaning for term in explained()}
    assert meanings["NERO"].endswith("(Chhetri et al., 2025).")
    assert meanings["CRP"].endswith("(Achtibat et al., 2023).")


def test_another_language_has_its_own_terms_and_spellings(monkeypatch):
    texts = {"neuron|neurons": "Neuron|Neurone|Neuronen"}
    monkeypatch.setattr(glossary, "said", lambda text: texts.get(text, text))
    [term] = [each for each in explained() if "Neuronen" in each.spellings]
    assert term.name == "Neuron"
    assert term.spellings == ("Neuron", "Neurone", "Neuronen")
