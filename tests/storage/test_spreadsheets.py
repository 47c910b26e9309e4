"""Cells that a spreadsheet would take for formulas."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from nero_core.storage.spreadsheets import comma_separated, inert


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_text_that_begins_like_a_formula_is_made_inert(start):
    text = f'{start}HYPERLINK("http://x")'
    (header, row) = csv.reader(io.StringIO(comma_separated([{text: text}])))
    assert header == row == [f"'{text}"]


@pytest.mark.parametrize("value", [-0.5, 3, None, True, "a=b", "–", "−0.5", ""])
def test_numbers_and_other_texts_stay(value):
    assert inert(value) is value


def test_rows_may_lack_columns():
    assert comma_separated([{"a": 1}, {"b": -2}]) == "a,b\n1,\n,-2\n"
    assert comma_separated([{"a": 1, "b": 2}], ["b"]) == "b\n2\n"


def test_every_table_is_written_here():
    """No other module writes CSV, so that none can forget a cell."""
    root = Path(__file__).parents[2]
    writers = re.compile(r"csv\.(writer|DictWriter)|\.to_csv\(|savetxt\(")
    sources = [path for folder in ("nero_core", "pages") for path in (root / folder).rglob("*.py")]
    assert [path.name for path in sources if writers.search(path.read_text(encoding="utf-8"))] == ["spreadsheets.py"]


def test_scores_of_a_file_named_like_a_formula(tiny_reference, class_folders, tmp_path, monkeypatch, capsys):
    from nero_core.cli.main import main

    monkeypatch.chdir(tmp_path)
    Path("=1+1.png").write_bytes(next(class_folders.glob("*/*.png")).read_bytes())
    main(["score", str(tiny_reference), "=1+1.png", "=gone.png", "--csv"])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    cells = [cell for row in rows for cell in row.values() if cell]
    assert "'=1+1.png" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
