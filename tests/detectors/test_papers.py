"""Every detector's paper: a whole record, an address of a publisher, and shown wherever detectors are listed."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from nero_core.benchmark.tables import papers
from nero_core.detectors import DETECTORS, Paper, describe_detectors
from nero_core.reports.benchmark import markdown, page
from tests.benchmark_results import made_result

OURS = {"panel", "pseudo_lesion", "stage_knn", "stage_mahalanobis"}
"""Detectors of our own, which no paper describes."""
PUBLISHERS = {
    "arxiv.org": r"/abs/\d{4}\.\d{5}",
    "openreview.net": r"/forum",
    "openaccess.thecvf.com": r"/content/\w+/html/.+\.html",
}
"""Where papers are, and what an address there looks like."""


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_a_paper_is_whole(name):
    paper = DETECTORS[name].info.paper
    assert paper.title
    assert not paper.title.endswith(".")
    assert 1990 < paper.year < 2100
    if name in OURS:
        assert (paper.authors, paper.venue, paper.url) == ((), "", "")
        return
    assert len(set(paper.authors)) == len(paper.authors) > 0
    assert all(re.fullmatch(r"\w[\w.\-]*( [\w.\-]+)+", author) for author in paper.authors)
    assert paper.venue
    address = urlsplit(paper.url)
    assert address.scheme == "https"
    assert re.fullmatch(PUBLISHERS[address.hostname], address.path)


@pytest.mark.parametrize("name", sorted(set(DETECTORS) - OURS))
def test_an_arxiv_number_is_not_younger_than_the_paper(name):
    paper = DETECTORS[name].info.paper
    if found := re.search(r"/abs/(\d\d)(\d\d)\.", paper.url):
        year, month = int(found[1]), int(found[2])
        assert 1 <= month <= 12
        assert 0 <= paper.year - (2000 + year) <= 3  # the longest way to a conference here


def test_one_paper_has_one_record():
    by_address = {}
    for detector in DETECTORS.values():
        paper = detector.info.paper
        if paper.url:
            assert by_address.setdefault(paper.url, paper) == paper


@pytest.mark.parametrize(
    ("authors", "whose"),
    [(("Ada Lovelace",), "Lovelace"), (("A. Bo", "C. De"), "Bo and De"), (("A. Bo", "C. De", "E. Fa"), "Bo et al.")],
)
def test_a_citation_names_up_to_two_authors(authors, whose):
    paper = Paper("On Engines", authors, "ICML", 2030)
    assert paper.citation == paper.markdown == f"{whose}, ICML 2030"
    linked = replace(paper, url="https://arxiv.org/abs/3001.00001")
    assert linked.markdown == f"[{whose}, ICML 2030](https://arxiv.org/abs/3001.00001)"


def test_the_table_of_the_registry_links_them():
    table = describe_detectors()
    assert "| `msp` | MSP | [Hendrycks and Gimpel, ICLR 2017](https://arxiv.org/abs/1610.02136) |" in table
    assert len(table.splitlines()) == 2 + len(DETECTORS)


def test_a_report_links_those_that_are_installed():
    result = made_result({"nero": 0.5, "knn": 1.5, "panel": 1.0, "elsewhere": 0.2, "nero[k=25]": 0.1})
    assert list(papers(result.detectors)) == ["NERO", "KNN", "PANEL"]
    told = page(result)
    assert '<a href="https://arxiv.org/abs/2204.06507">https://arxiv.org/abs/2204.06507</a>' in told
    assert 'href=""' not in told
    assert "| KNN | Sun et al., ICML 2022 | Out-of-Distribution Detection with Deep Nearest Neighbors |" in markdown(
        result
    )
