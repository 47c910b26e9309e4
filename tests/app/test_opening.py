"""Cases come and go: many images, closing, and examples that are reachable with a case open."""

from __future__ import annotations

import json

import pytest
from streamlit.runtime.scriptrunner import RerunException
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.shared import reading as reading_of_cases
from pages.shared import session as session_of
from tests.app.conftest import choose_image, mounted, open_popover, picture_bytes, show_part, tell, upload, words_of

MANY = [(f"{n}.png", picture_bytes(n)) for n in range(4)]


def frames(session):
    return session.session_state["case"]


def strip(session):
    return mounted(session)["filmstrip"]


@pytest.fixture
def order(monkeypatch):
    """Which images are read, and when one is on the screen with its verdict."""
    from pages.case_views import verdict

    noted = []
    read, headline = reading_of_cases.open_case, verdict.headline

    def noting(reference, picture, detector):
        noted.append(picture.getpixel((0, 0)))
        return read(reference, picture, detector)

    monkeypatch.setattr(reading_of_cases, "open_case", noting)
    monkeypatch.setattr(verdict, "headline", lambda case: noted.append("headline") or headline(case))
    return noted


# Many ----------------------------------------------------------------------------------------------------------------


def test_the_first_is_on_the_screen_before_the_others_are_read(app, order):
    upload(app, *MANY)
    assert not app.exception
    assert order.index("headline") == 1, "after the one under review"
    assert len([each for each in order if each != "headline"]) == 4, "each once"
    assert len(set(order)) == 5
    assert all(frame.reading is not None for frame in frames(app))


def test_the_strip_says_what_waits_and_then_what_was_found(app, monkeypatch):
    seen = []
    from pages.case_views import strip as strip_of

    show = strip_of.filmstrip
    monkeypatch.setattr(strip_of, "filmstrip", lambda *args: seen.append(args) or show(*args))
    upload(app, *MANY)
    first, last = seen[0], seen[-1]
    assert [each.word for each in first[1]][1:] == ["waits to be read"] * 3
    assert first[3].endswith("of 1 flagged, 3 to be read")
    flagged = sum(frame.reading.decide(0.05).state == "out-of-distribution" for frame in frames(app))
    assert last[3] == strip(app)["counts"] == f"{flagged} of 4 flagged"
    assert [each["flagged"] for each in strip(app)["frames"]].count(True) == flagged
    assert [each["name"] for each in strip(app)["frames"]] == [name for name, _ in MANY]
    assert all(each["picture"].startswith("data:image/jpeg;base64,") for each in strip(app)["frames"])
    assert all(each["mark"] and each["word"] for each in strip(app)["frames"]), "no state by its colour alone"


def test_an_unreadable_one_in_the_middle_stops_none_after_it(app):
    files = list(MANY)
    files[1] = ("1.png", b"not an image")
    upload(app, *files)
    assert not app.exception
    assert [frame.error is None for frame in frames(app)] == [True, False, True, True]
    assert [frame.reading is None for frame in frames(app)] == [False, True, False, False]
    assert [each.label for each in app.expander if "could not" in each.label] == ["1 of 4 could not be read"]
    assert "**1\\.png**: " in words_of(app)
    bad = strip(app)["frames"][1]
    assert (bad["picture"], bad["word"], bad["flagged"]) == ("", "could not be read", False)
    assert ", 1 could not be read" in strip(app)["counts"]
    assert "to be read" not in strip(app)["counts"].replace("could not be read", "")


def test_an_unreadable_one_under_review_has_no_verdict_and_the_others_are_reached(app):
    upload(app, ("0.png", b"not an image"), *MANY[1:])
    assert not app.exception
    assert not app.header
    assert strip(app)["chosen"] == 0
    choose_image(app, 2)
    assert not app.exception
    assert app.header
    assert mounted(app)["frame"]["note"] == "2.png · 60 × 48"


def test_a_press_while_they_are_read_keeps_what_was_read(app, monkeypatch, order):
    """Streamlit ends a run by an exception where the page next speaks: here as soon as one of the others is read."""
    read = reading_of_cases.read
    pressed = []

    def ends(frame, reference, detector):
        read(frame, reference, detector)
        if frame.name == "1.png" and not pressed:
            pressed.append(frame)
            session_of.choose(3)
            raise RerunException(None)

    monkeypatch.setattr(reading_of_cases, "read", ends)
    try:
        upload(app, *MANY)
    except Exception:  # noqa: BLE001  # the way AppTest tells of a run that was ended
        app.run()
    app.run()
    assert not app.exception
    assert pressed
    assert len([each for each in order if each != "headline"]) == 4, "none is read twice"
    assert all(frame.reading is not None for frame in frames(app))


def test_only_the_image_under_review_is_kept_decoded(app):
    upload(app, *MANY)
    assert [frame.picture is not None for frame in frames(app)] == [True, False, False, False]
    choose_image(app, 2)
    assert [frame.picture is not None for frame in frames(app)] == [False, False, True, False]


def test_choosing_by_strip_and_by_table_is_one_choice(app):
    upload(app, *MANY)
    choose_image(app, 2)
    assert strip(app)["chosen"] == 2
    assert mounted(app)["frame"]["frame"] == frames(app)[2].number
    assert mounted(app)["case-watch"]["number"] == frames(app)[2].number
    choose_image(app, 1)
    assert strip(app)["chosen"] == 1
    assert strip(app)["heard"] == 2, "the strip knows by it what is late"


def test_one_image_has_no_strip(app):
    upload(app, MANY[0])
    assert "filmstrip" not in mounted(app)


# Closing -------------------------------------------------------------------------------------------------------------


def holding(session):
    """Under which keys the session holds bytes of the images, or anything that was read from them."""
    state = session.session_state._state._state.filtered_state
    known = {data for _, data in MANY}
    return [key for key, value in state.items() if any(holds(each, known) for each in within(value))]


def within(value):
    return value if isinstance(value, list | tuple) else [value]


def holds(value, known):
    if isinstance(value, UploadedFile):
        value = value.getvalue()
    return isinstance(value, session_of.Frame) or (isinstance(value, bytes) and value in known)


def is_empty(frame):
    """Whether nothing but a name and a number is left; a field that is added later is looked at, too."""
    left = {key for key, value in vars(frame).items() if value}
    return left <= {"name", "number", "error", "stopped", "uploaded"}


def test_closing_a_case_forgets_all_of_it(app):
    upload(app, *MANY)
    show_part(app, "Covers")
    app.button(key="cover-add").click().run()
    assert set(holding(app)) >= {"case"}, "else this finds nothing"
    closed = frames(app)
    app.button(key="close-case").click().run()
    assert not app.exception
    assert "No case open" in words_of(app)
    assert holding(app) == []
    assert all(is_empty(frame) for frame in closed), "callbacks of controls that are gone may know a frame"
    assert "case" not in app.session_state
    assert "chosen" not in app.session_state
    [uploader] = app.file_uploader
    assert not uploader.value
    assert set(mounted(app)) <= {"case-watch", "examples", "glossary"}
    assert mounted(app)["case-watch"]["number"] is None
    assert not app.header
    assert not any(button.key == "close-case" for button in app.button)
    app.run()
    assert "No case open" in words_of(app), "and it does not come back"


def test_after_closing_the_next_case_begins_anew(app):
    upload(app, *MANY)
    before = [frame.number for frame in frames(app)]
    choose_image(app, 3)
    app.button(key="close-case").click().run()
    upload(app, MANY[1])
    assert not app.exception
    assert [frame.name for frame in frames(app)] == ["1.png"]
    assert frames(app)[0].number not in before, "what is late of the closed one is not drawn on this"
    assert app.header


# Examples ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def app_with_examples(no_bundle, monkeypatch, tmp_path, open_app):
    from pages.shared import resources

    monkeypatch.setattr(resources, "BUNDLED_EXAMPLES", tmp_path)
    index = []
    for i, (name, known, state) in enumerate(
        [
            ("missed-one.png", False, "in-distribution"),
            ("odd-one.png", False, "out-of-distribution"),
            ("usual-one.png", True, "in-distribution"),
        ]
    ):
        (tmp_path / name).write_bytes(picture_bytes(10 + i))
        index.append({"file": name, "kind": name, "known": known, "score": 1.0, "state": state})
    (tmp_path / "examples.json").write_text(json.dumps({"examples": index}))
    return open_app()


def test_the_first_screen_shows_what_each_example_teaches(app_with_examples):
    choices = mounted(app_with_examples)["examples"]["choices"]
    assert [(each["name"], each["text"]) for each in choices] == [
        ("usual-one.png", "● Not flagged. Like what the network learned from"),
        ("odd-one.png", "▲ Unusual. Unlike what it learned from"),
        ("missed-one.png", "● Not flagged. Unlike it, and missed"),
    ]


def test_examples_are_reachable_with_a_case_open_and_are_made_only_then(app_with_examples):
    app = upload(app_with_examples, MANY[0])
    assert not app.exception
    assert not [key for key in mounted(app) if key.startswith("examples")]
    open_popover(app, "open-images")
    assert not app.exception
    assert len(mounted(app)["examples-in-header"]["choices"]) == 3


def test_an_example_is_laid_beside_the_case_and_comes_under_review(app_with_examples):
    app = open_popover(upload(app_with_examples, *MANY), "open-images")
    before = frames(app)
    tell(app, "examples-in-header", event=("chosen", "odd-one.png"))
    assert not app.exception
    assert frames(app)[: len(MANY)] == before, "nothing that was read is lost"
    assert [frame.name for frame in frames(app)] == [*(name for name, _ in MANY), "odd-one.png"]
    assert strip(app)["chosen"] == len(MANY)
    assert not app.session_state["open-images"], "and nothing lies over the verdict"
    tell(open_popover(app, "open-images"), "examples-in-header", event=("chosen", "odd-one.png"))
    assert len(frames(app)) == len(MANY) + 1, "each once"
    assert strip(app)["chosen"] == len(MANY), "asked for again it is under review again"


def test_a_file_that_is_taken_out_of_the_uploader_goes_and_an_example_stays(app_with_examples):
    app = open_popover(upload(app_with_examples, *MANY), "open-images")
    tell(app, "examples-in-header", event=("chosen", "odd-one.png"))
    upload(app, *MANY[:2])
    assert [frame.name for frame in frames(app)] == ["odd-one.png", *(name for name, _ in MANY[:2])]


def test_all_examples_open_beside_what_lies_there(app_with_examples):
    app = open_popover(upload(app_with_examples, MANY[0]), "open-images")
    app.button(key="all-examples-in-header").click().run()
    assert not app.exception
    assert [frame.name for frame in frames(app)] == ["0.png", "usual-one.png", "odd-one.png", "missed-one.png"]
    assert strip(app)["chosen"] == 1, "the first that is new"
