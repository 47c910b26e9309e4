"""Check by covering on Case review: fields, before and after, no guarantee, what the checks suggest."""

from __future__ import annotations

import io

import pytest

from nero_core.case import Cover, open_case, suggested_covers
from nero_core.data.images import read_image
from nero_core.data.input_checks import check_image
from nero_core.data.scenes import render
from nero_core.figures.palette import significant
from tests.app.conftest import mounted, picture_bytes, show_part, tell, upload, words_of

DATA = picture_bytes(size=(64, 64))


@pytest.fixture
def reviewed(app):
    return show_part(upload(app, ("a.png", DATA)), "Covers")


def frame(session):
    return session.session_state["case"][0]


def field(session, label):
    return next(each for each in session.number_input if each.label == label)


def press(session, key):
    return session.button(key=key).click().run()


def test_without_covers_nothing_is_compared(reviewed):
    assert not reviewed.exception
    assert "carries **no guarantee**" in words_of(reviewed)
    assert "As it is" not in words_of(reviewed)
    assert frame(reviewed).covers == []


def test_a_cover_shows_before_and_after_as_the_python_api_says(reviewed, reference):
    press(reviewed, "cover-add")
    assert not reviewed.exception
    image = read_image(DATA)
    case = open_case(reference, image)
    after = case.cover(image, [Cover(0.375, 0.375, 0.25, 0.25)])
    text = words_of(reviewed)
    assert f"Score **{significant(case.score)}**" in text
    assert f"Score **{significant(after.score)}**" in text
    assert "No guarantee for the covered image" in text
    pictures = [picture.alt for image in reviewed.get("image") for picture in image.proto.imgs]
    assert {f"Heatmap of all neurons together, image {side}" for side in ("as it is", "covered")} <= set(pictures)


def test_fields_move_a_cover_and_the_filling_changes(reviewed, reference):
    press(reviewed, "cover-add")
    field(reviewed, "Left of cover 1 (%)").set_value(10.0).run()
    field(reviewed, "Height of cover 1 (%)").set_value(50.0).run()
    reviewed.segmented_control(key="cover-fill").set_value("mean").run()
    assert not reviewed.exception
    assert frame(reviewed).covers == [Cover(0.1, 0.375, 0.25, 0.5)]
    image = read_image(DATA)
    after = open_case(reference, image).cover(image, [Cover(0.1, 0.375, 0.25, 0.5)], "mean")
    assert frame(reviewed).covered.score == after.score


def test_a_cover_beyond_the_image_is_said_and_not_taken(reviewed):
    press(reviewed, "cover-add")
    before = list(frame(reviewed).covers)
    field(reviewed, "Width of cover 1 (%)").set_value(90.0).run()
    assert not reviewed.exception
    assert any("reaches beyond the image" in error.value for error in reviewed.error)
    assert frame(reviewed).covers == before


def test_a_cover_over_everything_is_said(reviewed):
    press(reviewed, "cover-add")
    for side, value in (("Left", 0.0), ("Top", 0.0), ("Width", 100.0), ("Height", 100.0)):
        field(reviewed, f"{side} of cover 1 (%)").set_value(value)
    reviewed.run()
    assert not reviewed.exception
    assert any("leave nothing of the image" in error.value for error in reviewed.error)


def test_removing_one_of_two_leaves_the_other(reviewed):
    press(reviewed, "cover-add")
    field(reviewed, "Top of cover 1 (%)").set_value(5.0).run()
    press(reviewed, "cover-add")
    press(reviewed, "cover-remove-0")
    assert frame(reviewed).covers == [Cover(0.375, 0.375, 0.25, 0.25)]
    assert field(reviewed, "Top of cover 1 (%)").value == 37.5
    press(reviewed, "cover-none")
    assert frame(reviewed).covers == []
    assert not reviewed.exception


def test_covers_belong_to_the_case_and_survive_a_change_of_detector(reviewed, reference):
    press(reviewed, "cover-add")
    reviewed.selectbox(key="detector").set_value("stage_mahalanobis").run()
    assert not reviewed.exception
    covered = frame(reviewed).covered
    assert covered.detector == "stage_mahalanobis"
    assert covered.covers == tuple(frame(reviewed).covers)


def test_what_the_checks_suggest_is_covered_in_one_click(app):
    buffer = io.BytesIO()
    picture = render("inset-picture", 30_000)
    picture.save(buffer, "PNG")
    show_part(upload(app, ("frame.png", buffer.getvalue())), "Covers")
    assert "What they did not notice stays uncovered" in words_of(app)
    press(app, "cover-checks")
    assert not app.exception
    assert frame(app).covers == list(suggested_covers(check_image(picture), picture.size))
    press(app, "cover-checks")
    assert len(frame(app).covers) == len(set(frame(app).covers)), "each once"


def test_without_a_place_nothing_is_offered(reviewed):
    assert not any(button.key == "cover-checks" for button in reviewed.button)


# Drawn on the frame ------------------------------------------------------------------------------------------------


def draw(session, *box):
    return tell(session, "frame", event=("drawn", list(box)))


def test_what_is_drawn_on_the_frame_is_a_cover_and_its_effect_stands_below_it(app, reference):
    upload(app, ("a.png", DATA))
    assert mounted(app)["frame"]["drawing"]
    assert mounted(app)["frame"]["covers"] == []
    draw(app, 0.25, 0.5, 0.5, 0.25)
    assert not app.exception
    cover = Cover(0.25, 0.5, 0.5, 0.25)
    assert frame(app).covers == [cover]
    assert app.session_state["part"] == "Why", "what was in sight stays"
    assert "**With 1 cover: " in words_of(app)
    app.button(key="covers-shown").click().run()
    assert app.session_state["part"] == "Covers"
    assert field(app, "Left of cover 1 (%)").value == 25.0
    image = read_image(DATA)
    assert f"Score **{significant(open_case(reference, image).cover(image, [cover]).score)}**" in words_of(app)
    assert mounted(app)["frame"]["covers"] == [[0.25, 0.5, 0.5, 0.25]], "it stands on the frame"


def test_what_is_drawn_is_taken_once_and_one_after_the_other(app):
    upload(app, ("a.png", DATA))
    draw(app, 0.25, 0.5, 0.5, 0.25)
    app.run()
    assert len(frame(app).covers) == 1, "what was drawn is over with its run"
    draw(app, 0.25, 0.5, 0.5, 0.25)
    assert len(frame(app).covers) == 1, "the same place is covered once"
    draw(app, 0.0, 0.0, 0.25, 0.25)
    assert frame(app).covers == [Cover(0.25, 0.5, 0.5, 0.25), Cover(0.0, 0.0, 0.25, 0.25)]


def test_a_slip_of_the_hand_covers_nothing_and_leaves_the_part_in_sight(app):
    show_part(upload(app, ("a.png", DATA)), "Similar frames")
    draw(app, 0.25, 0.5, 0.004, 0.4)
    assert not app.exception
    assert frame(app).covers == []
    assert app.session_state["part"] == "Similar frames"


def test_fields_and_frame_show_the_same_covers(reviewed):
    press(reviewed, "cover-add")
    assert mounted(reviewed)["frame"]["covers"] == [[0.375, 0.375, 0.25, 0.25]]
    field(reviewed, "Left of cover 1 (%)").set_value(10.0).run()
    assert not reviewed.exception
    assert mounted(reviewed)["frame"]["covers"] == [[0.1, 0.375, 0.25, 0.25]], "in the same run"
    press(reviewed, "cover-none")
    assert mounted(reviewed)["frame"]["covers"] == []


def test_what_is_drawn_is_of_the_image_under_review(app):
    upload(app, ("a.png", DATA), ("b.png", picture_bytes(3, size=(64, 64))))
    tell(app, "filmstrip", chosen=[1, 1])
    draw(app, 0.25, 0.5, 0.5, 0.25)
    first, second = app.session_state["case"]
    assert (first.covers, second.covers) == ([], [Cover(0.25, 0.5, 0.5, 0.25)])
