"""What this machine notes of a reference: whether it was imported, and whether sessions start with it."""

from __future__ import annotations

import json
import os
import sys

import pytest

from nero_core.cli.main import main
from nero_core.errors import ArtefactError, InputError
from nero_core.reference.manifest import list_references
from nero_core.reference.origin import ORIGIN_NAME, Origin, clear_default, read_origin, set_default, write_origin
from tests.reference.forging import files_of, write_folder


@pytest.fixture
def home(tiny_reference, tmp_path):
    """Two references, of which one was imported."""
    for name in ("own", "imported"):
        write_folder(files_of(tiny_reference), tmp_path / name)
    write_origin(tmp_path / "imported", Origin(imported=True))
    return tmp_path


def test_without_a_note_it_was_made_here(home):
    assert read_origin(home / "own") == Origin()
    assert read_origin(home / "own").may_begin
    assert not read_origin(home / "imported").may_begin
    assert Origin(imported=True, default=True).may_begin


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 10**5,
        b'{"imported": 0}',
        b'{"imported": false, "default": 1}',
        b'{"imported": false, "default": true, "more": 1}',
        b"\xff\xfe",
    ],
)
def test_a_note_that_cannot_be_read_counts_as_that_of_an_import(home, note):
    (home / "own" / ORIGIN_NAME).write_bytes(note)
    assert read_origin(home / "own") == Origin(imported=True)


def test_the_owner_chooses_one_of_them(home):
    set_default(home / "imported")
    assert read_origin(home / "imported") == Origin(imported=True, default=True)
    set_default(home / "own")
    assert read_origin(home / "own") == Origin(default=True)
    assert read_origin(home / "imported") == Origin(imported=True), "one at a time"
    clear_default(home / "own")
    assert not (home / "own" / ORIGIN_NAME).exists()
    clear_default(home / "own")


def test_the_reference_itself_is_left_alone(home, tiny_reference):
    set_default(home / "imported")
    files = files_of(home / "imported")
    assert json.loads(files.pop(ORIGIN_NAME)) == {"imported": True, "default": True}
    assert files == files_of(tiny_reference)
    assert [entry.error for entry in list_references([home])] == [None, None]


def test_what_is_no_reference_cannot_be_chosen(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="is no reference"):
            set_default(folder)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser writes everywhere")
def test_a_folder_that_cannot_be_written_is_told(home):
    (home / "own").chmod(0o500)
    try:
        with pytest.raises(ArtefactError, match="cannot be written"):
            set_default(home / "own")
    finally:
        (home / "own").chmod(0o700)


def test_the_command_line_chooses(home, capsys):
    assert main(["default", str(home / "imported")]) == 0
    assert "Sessions of the app start with" in capsys.readouterr().out
    assert read_origin(home / "imported").default
    assert main(["default", str(home / "imported"), "--clear", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["default"] is False
    assert read_origin(home / "imported") == Origin(imported=True)
    assert main(["default", str(home)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
