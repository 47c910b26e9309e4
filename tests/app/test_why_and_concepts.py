"""The tested sentence in the verdict card, and concepts above single neurons: when they are computed, and how often."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from streamlit.delta_generator import DeltaGenerator

from nero_core.case import group, leading_neurons, open_case, tell_why
from nero_core.data.images import read_image
from nero_core.figures.overlays import layer
from pages.case_views import reasons
from pages.shared.words import plain
from tests.app.conftest import cards, choose_image, layers, mounted, picture_bytes, show_part, upload, words_of

DATA = picture_bytes(size=(64, 64))


@pytest.fixture
def tested(monkeypatch):
    """Of which detector and image each test was."""
    calls = []

    def noting(case, image, **named):
        calls.append((case.detector, image.size))
        return tell_why(case, image, **named)

    monkeypatch.setattr(reasons, "tell_why", noting)
    return calls


def frame(session, place=0):
    return session.session_state["case"][place]


def why_of(session, place=0):
    return frame(session, place).reasons_of(frame(session, place).reading).why


def test_the_sentence_is_that_of_the_python_api(app, reference):
    upload(app, ("a.png", DATA))
    assert not app.exception
    image = read_image(DATA)
    told = tell_why(open_case(reference, image), image)
    assert why_of(app).sentence == told.sentence
    assert why_of(app).outcome == told.outcome
    assert plain(told.sentence) in words_of(app)
    assert plain(told.carries) in words_of(app)
    assert told.outcome.split()[-1] in told.sentence


def test_it_is_tested_once_for_each_detector(app, tested):
    upload(app, ("a.png", DATA))
    app.run()
    app.number_input[0].set_value(20.0).run()
    app.selectbox(key="detector").set_value("stage_mahalanobis").run()
    first = tested[0][0]
    app.selectbox(key="detector").set_value(first).run()
    assert not app.exception
    assert [detector for detector, _ in tested] == [first, "stage_mahalanobis"]


def test_of_several_images_only_the_one_under_review_is_tested(app, tested):
    upload(app, ("a.png", DATA), ("b.png", picture_bytes(3, size=(70, 64))))
    assert [size for _, size in tested] == [(64, 64)]
    choose_image(app, 1)
    assert [size for _, size in tested] == [(64, 64), (70, 64)]


def test_nothing_is_tested_while_heatmaps_are_stopped(app, tested):
    upload(app, ("a.png", DATA))
    frame(app).reasons.clear()
    frame(app).stopped = True
    app.run()
    assert len(tested) == 1
    assert reasons.STOPPED in words_of(app)
    frame(app).stopped = False
    app.run()
    assert len(tested) == 2
    assert plain(why_of(app).sentence) in words_of(app)


def test_a_score_without_a_decomposition_has_a_sentence_and_no_concepts(app):
    upload(app, ("a.png", DATA))
    app.selectbox(key="detector").set_value("msp").run()
    assert not app.exception
    assert plain(why_of(app).sentence) in words_of(app)
    show_part(app, "Concepts")
    assert not app.exception
    assert not cards(app)
    assert "no exact decomposition" in words_of(app)


def test_the_place_can_be_covered(app):
    show_part(upload(app, ("a.png", DATA)), "Covers")
    region = why_of(app).region
    assert region is not None
    app.button(key="why-cover").click().run()
    assert not app.exception
    assert frame(app).covers == [region]
    assert not any(button.key == "why-cover" for button in app.button)


def test_the_place_is_drawn_on_the_frame_and_of_another_score_another(app):
    upload(app, ("a.png", DATA))
    drawn = mounted(app)["frame-region"]
    assert drawn["box"] == list(astuple(why_of(app).region))
    assert (drawn["frame"], drawn["title"]) == (frame(app).number, "Tested place")
    app.run()
    assert not app.exception
    assert mounted(app)["frame-region"] == drawn, "it is known now"
    app.selectbox(key="detector").set_value("msp").run()
    region = why_of(app).region
    assert mounted(app).get("frame-region", {}).get("box") == (None if region is None else list(astuple(region)))


def test_a_failed_test_is_said_and_stops_nothing_else(app, monkeypatch):
    from nero_core.errors import InputError

    def refuse(case, image, **named):
        raise InputError("No room.")

    monkeypatch.setattr(reasons, "tell_why", refuse)
    show_part(upload(app, ("a.png", DATA)), "Concepts")
    assert not app.exception
    assert "was not tested: No room" in words_of(app)
    assert "Concept 1" in cards(app)


def test_concepts_are_those_of_the_python_api_with_a_table(app, reference):
    show_part(app, "Concepts")
    upload(app, ("a.png", DATA))
    image = read_image(DATA)
    concepts = group(leading_neurons(open_case(reference, image), image))
    assert 1 <= len(concepts) <= 4
    assert list(cards(app)) == [f"Concept {number}" for number in range(1, len(concepts) + 1)]
    for number, concept in enumerate(concepts, start=1):
        card = cards(app)[f"Concept {number}"]
        assert card["text"].lower().startswith(reasons.does(concept.share).lower())
        assert str(concept.neurons[0]) in card["text"]
        assert layers(app)[card["name"]]["colours"] == layer(concept.heatmap).colours
    assert len(layers(app)) == 1 + len(concepts)
    assert "Concepts as a table" in [expander.label for expander in app.expander]
    table = next(d.value for d in app.dataframe if "concept" in d.value)
    assert list(table["share of the score (%)"]) == [round(100 * concept.share, 1) for concept in concepts]


# Stopping ------------------------------------------------------------------------------------------------------------


def test_the_test_of_the_sentence_is_stopped_and_gone_on_with(app, tested, monkeypatch):
    """A press ends the run between two passes; "Stop" leaves it at that, "Continue" goes on."""
    upload(app, ("a.png", DATA))
    assert len(tested) == 1
    assert not any(button.key in ("stop-testing", "continue") for button in app.button), "nothing is under way"
    frame(app).reasons.clear()
    frame(app).stopped = True  # what "Stop" does, see below
    app.run()
    assert not app.exception
    assert len(tested) == 1
    assert reasons.STOPPED in words_of(app)
    app.button(key="continue").click().run()
    assert not app.exception
    assert not frame(app).stopped
    assert len(tested) == 2
    assert plain(why_of(app).sentence) in words_of(app)
    assert not any(button.key == "continue" for button in app.button)


def test_while_it_is_tested_it_can_be_stopped(app, monkeypatch):
    """The button stands there before the first pass, and what it calls abandons the test of this image."""
    offered = []
    button = DeltaGenerator.button

    def noting(place, label, **named):
        offered.append((label, named))
        return button(place, label, **named)

    def leading(*args, **named):
        [(_, stop)] = [each for each in offered if each[0] == "Stop"]
        stop["on_click"](*stop["args"])
        return leading_neurons(*args, **named)

    monkeypatch.setattr(DeltaGenerator, "button", noting)
    monkeypatch.setattr(reasons, "leading_neurons", leading)
    upload(app, ("a.png", DATA))
    assert not app.exception
    assert frame(app).stopped


def test_what_the_leading_neurons_carry_is_said_in_the_run_that_finds_it(app):
    upload(app, ("a.png", DATA))
    assert words_of(app).count(plain(why_of(app).carries)) == 1
    app.run()
    assert words_of(app).count(plain(why_of(app).carries)) == 1
