"""What input checks noticed, as `score` and `explain` say it."""

from __future__ import annotations

import csv
import io
import json

import pytest
from PIL import Image

from nero_core.cli.main import main
from nero_core.data.scenes import render


@pytest.fixture
def pictures(tmp_path):
    """A black image, and a frame with a position picture."""
    Image.new("RGB", (300, 300)).save(tmp_path / "black.png")
    render("inset-picture", 30_000).save(tmp_path / "frame.png")
    return tmp_path / "black.png", tmp_path / "frame.png"


def test_score_names_what_was_noticed(tiny_reference, pictures, capsys):
    command = ["score", str(tiny_reference), *map(str, pictures)]
    assert main([*command, "--json"]) == 0
    black, frame = json.loads(capsys.readouterr().out)
    assert black["checks"] == ["nothing to judge"]
    assert frame["checks"][0] == "position picture"
    assert main([*command, "--csv"]) == 0
    assert list(csv.DictReader(io.StringIO(capsys.readouterr().out)))[1]["checks"] == ";".join(frame["checks"])
    assert main(command) == 0
    out = capsys.readouterr().out.splitlines()
    assert "nothing to judge" in out[1]
    assert "[position picture" in out[2]


def test_explain_refuses_an_image_with_nothing_to_judge(tiny_reference, pictures, tmp_path, capsys):
    assert main(["explain", str(tiny_reference), str(pictures[0]), "--out", str(tmp_path / "out")]) == 2
    assert "nothing to judge" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_explain_writes_what_was_noticed(tiny_reference, pictures, tmp_path, capsys):
    assert (
        main(["explain", str(tiny_reference), str(pictures[1]), "--out", str(tmp_path / "out"), "--neurons", "1"]) == 0
    )
    case = json.loads((tmp_path / "out" / "case.json").read_text())
    assert case["nothing_to_judge"] is False
    assert case["checks"][0]["name"] == "position picture"
    assert len(case["checks"][0]["rectangles"][0]) == 4
    assert "Noticed: A green position picture" in capsys.readouterr().out


def test_explain_covers_what_was_noticed(tiny_reference, pictures, tmp_path, capsys):
    explain = ["explain", str(tiny_reference), str(pictures[1]), "--neurons", "1", "--cover", "checks"]
    assert main([*explain, "--out", str(tmp_path / "out")]) == 0
    assert "Covered (inpainted): score " in capsys.readouterr().out
    case = json.loads((tmp_path / "out" / "case.json").read_text())
    with Image.open(pictures[1]) as picture:
        wide = picture.width
    left = case["checks"][0]["rectangles"][0][0]
    assert case["covered"]["covers"][0]["left"] == pytest.approx(left / wide)


def test_explain_says_where_the_checks_have_nothing_to_cover(tiny_reference, class_folders, tmp_path, capsys):
    flat = next(class_folders.glob("*/*.png"))
    explain = ["explain", str(tiny_reference), str(flat), "--out", str(tmp_path / "out"), "--cover", "checks"]
    assert main(explain) == 2
    assert "something that has a place" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
