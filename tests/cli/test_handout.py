"""`handout` as a teacher types it, and the file that it leaves."""

from __future__ import annotations

import json

import pytest

from nero_core.cli.main import main
from nero_core.reference.reference import Reference
from nero_core.reports import handout


@pytest.fixture
def asked(monkeypatch):
    """What the page was made for; nothing is computed."""
    seen = []

    def make(reference, frames, paper):
        seen.append((reference, frames, paper))
        return '<!doctype html><html lang="en"><title>The page</title><p>The page.</p>'

    monkeypatch.setattr(handout, "page", make)
    monkeypatch.setattr(Reference, "load", lambda folder, device: folder.name)
    return seen


def test_html_by_its_ending(asked, tmp_path, capsys):
    out = tmp_path / "handout.html"
    assert main(["handout", "--out", str(out)]) == 0
    assert out.read_text().endswith("<p>The page.</p>")
    assert capsys.readouterr().out == f"Wrote {out}\n"
    [(reference, frames, paper)] = asked
    assert (reference, paper) == ("demo", "a4")
    assert len(frames.predict) == 6


@pytest.mark.skipif(bool(handout.why_no_pdf()), reason=handout.why_no_pdf())
def test_pdf_by_its_ending_and_paper(asked, tmp_path, capsys):
    out = tmp_path / "handout.PDF"
    assert main(["handout", "--out", str(out), "--paper", "letter", "--json"]) == 0
    assert out.read_bytes().startswith(b"%PDF-")
    assert json.loads(capsys.readouterr().out) == {"written": str(out), "paper": "letter"}
    assert asked[0][2] == "letter"


def test_another_ending_is_refused(asked, tmp_path, capsys):
    assert main(["handout", "--out", str(tmp_path / "handout.doc")]) == 2
    assert "wanted a name that ends in .html or .pdf" in capsys.readouterr().err
    assert asked == []


def test_a_missing_library_is_told_before_anything_is_computed(asked, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(handout, "why_no_pdf", lambda: "A PDF needs Pango.")
    assert main(["handout", "--out", str(tmp_path / "handout.pdf")]) == 2
    assert capsys.readouterr().err == "nero: A PDF needs Pango.\n"
    assert asked == []
    assert main(["handout", "--out", str(tmp_path / "handout.html")]) == 0


def test_a_folder_that_is_not_there_is_told(asked, tmp_path, capsys):
    assert main(["handout", "--out", str(tmp_path / "none" / "handout.html")]) == 2
    assert "nero:" in capsys.readouterr().err
