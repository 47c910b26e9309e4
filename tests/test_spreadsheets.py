"""Cells that a spreadsheet would take for formulas."""

from __future__ import annotations

import csv
import io

import pytest

from nero_core.spreadsheets import comma_separated, inert


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
