"""The lesson's frames: what the index says is so, and a damaged index is refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from nero_core.cli.console import begin
from nero_core.demo.rendered import BUNDLED
from nero_core.errors import ArtefactError
from nero_core.lesson import frames as lesson_frames
from nero_core.lesson.frames import BUNDLED_FRAMES, INDEX, SURE, Searched, read_frames, write_frames
from nero_core.lesson.readings import FINDINGS, read_all
from nero_core.records import Decision
from nero_core.reference.reference import Reference


@pytest.fixture(scope="module")
def reference():
    return Reference.load(BUNDLED)


@pytest.fixture(scope="module")
def read(reference):
    found = read_frames()
    return {reading.frame.file: reading for reading in read_all(reference, [*found.sure_and_wrong, *found.predict])}


def test_there_are_six_of_each_and_none_twice(read):
    found = read_frames()
    assert len(found.sure_and_wrong) == len(found.predict) == 6
    pixels = {(BUNDLED_FRAMES / name).read_bytes() for name in read}
    assert len(pixels) == 12


def test_every_frame_is_as_it_was_searched_for(read):
    """The bundled reference says of each today what it said when it was found."""
    for reading in read.values():
        frame = reading.frame
        flagged = [decision.state == "out-of-distribution" for decision in (reading.panel, reading.nero)]
        holds = {
            "learnt": frame.known,
            "sure": reading.confidence >= SURE and not frame.known,
            "ordinary": frame.known and not flagged[0],
            "flagged-ordinary": frame.known and flagged[0],
            "caught": reading.finding and all(flagged),
            "missed": reading.finding and not flagged[0],
            "missed-by-nero": reading.finding and flagged == [True, False],
        }
        assert holds[frame.role], frame
        assert 1 <= frame.found <= frame.searched


def test_the_six_to_predict_hold_misses_of_nero_and_of_the_panel():
    roles = {frame.role for frame in read_frames().predict}
    assert {"missed", "missed-by-nero", "flagged-ordinary"} <= roles
    assert all(frame.kind in FINDINGS for frame in read_frames().predict if frame.role.startswith("missed"))


# The index ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(BUNDLED_FRAMES, tmp_path / "lesson")
    return tmp_path / "lesson"


def test_no_index_is_told(tmp_path):
    with pytest.raises(ArtefactError, match="demo --lesson"):
        read_frames(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"origin": 3}', '{"sure_and_wrong": []}'])
def test_a_damaged_index_is_told(copied, text):
    (copied / INDEX).write_text(text)
    with pytest.raises(ArtefactError):
        read_frames(copied)


@pytest.mark.parametrize("name", ["../frames.json", "missing.png", "/etc/hostname"])
def test_a_picture_that_is_not_beside_the_index_is_told(copied, name):
    index = json.loads((copied / INDEX).read_bytes())
    index["predict"][0]["file"] = name
    (copied / INDEX).write_text(json.dumps(index))
    with pytest.raises(ArtefactError, match="not beside it"):
        read_frames(copied)


# The search ---------------------------------------------------------------------------------------------------------


def decision(state):
    return Decision(1.0, 0.5, 0.5, state, True, "", 10, None)


def test_which_scenes_fit_a_role():
    out, usual = decision("out-of-distribution"), decision("in-distribution")
    found = Searched("polyp", np.array([0.99, 0.5, 0.95, 0.2]), [out, out, usual, usual], [out, usual, out, usual])
    which = {role: found.which(holds) for role, holds in lesson_frames.HOLDS.items()}
    assert which == {
        "learnt": [0, 1, 2, 3],
        "sure": [0, 2],
        "ordinary": [2, 3],
        "flagged-ordinary": [0, 1],
        "caught": [0],
        "missed": [2, 3],
        "missed-by-nero": [1],
    }


def test_a_small_search_writes_what_it_finds(reference, tmp_path):
    written = write_frames(reference, tmp_path, begin, count=2)
    assert read_frames(tmp_path) == written
    learnt = [frame for frame in written.sure_and_wrong if frame.role == "learnt"]
    assert len(learnt) == 3
    assert all(frame.searched == 2 for frame in (*written.sure_and_wrong, *written.predict))
