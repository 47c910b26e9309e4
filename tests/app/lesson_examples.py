"""The lesson on the tiny reference in place of the bundled one, with two small pictures as examples."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from nero_core import Reference
from nero_core.demo.examples import EXAMPLES_INDEX, Example
from nero_core.lesson.frames import LessonFrames
from nero_core.lesson.steps import STEPS
from tests.conftest import coloured_noise

ORDINARY, STRANGE = "amber.png", "violet.png"
PICTURES = {ORDINARY: (200, 140, 60), STRANGE: (240, 20, 230)}


@pytest.fixture
def open_step(open_app, monkeypatch, tmp_path, tiny_reference, reference):
    """Call it with a step's name: the lesson at that step."""
    import streamlit as st

    from nero_core.case import open_case
    from nero_core.demo import rendered
    from nero_core.lesson import frames
    from pages.shared import resources

    folder = tmp_path / "examples"
    folder.mkdir()
    examples = []
    monkeypatch.setattr(Reference, "deciding", "stage_mahalanobis")  # on random weights NERO flags nothing
    for file, colour in PICTURES.items():
        picture = coloured_noise(colour, (4, 4))
        picture.save(folder / file)
        case = open_case(reference, picture)
        state = case.decide(0.05).state
        examples.append(Example(file, file.removesuffix(".png"), file == ORDINARY, case.score, state))
    index = {"examples": [asdict(each) for each in examples]}
    (folder / EXAMPLES_INDEX).write_text(json.dumps(index))
    monkeypatch.setattr(resources, "BUNDLED_EXAMPLES", folder)
    monkeypatch.setattr(rendered, "BUNDLED", tiny_reference)
    monkeypatch.setattr(frames, "read_frames", lambda: LessonFrames("", "", [], []))
    st.cache_data.clear()

    def start(name):
        session = open_app()
        session.session_state["lesson-step"] = [step.name for step in STEPS].index(name)
        session.switch_page("pages/lesson.py").run()
        assert not session.exception
        return session

    return start


def answer(session, step, option):
    """Give an answer to the step's question, and reveal the right one."""
    session.radio(key=f"lesson-{step}-answer").set_value(option).run()
    if shown := [each for each in session.button if each.key == f"lesson-{step}-open"]:
        shown[0].click().run()
    assert not session.exception
    return session


def alts_of(session):
    """What every picture is called for those who cannot see it, a line each; none is without."""
    alts = [image.alt for picture in session.get("image") for image in picture.proto.imgs]
    assert all(alts)
    return "\n".join(alts)
