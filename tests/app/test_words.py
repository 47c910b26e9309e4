"""The sentences on the screens."""

from __future__ import annotations

import numpy as np
import pytest

from nero_core.calibration import Calibration
from nero_core.data.guarantee import CalibrationSettings, Guarantee
from nero_core.wording import STANDING_LINE
from pages.shared import words


@pytest.mark.parametrize(
    ("percentile", "sentence"),
    [
        (0.97, "More unusual than 97 of 100 calibration images"),
        (0.999, "More unusual than 99 of 100 calibration images"),
        (1.0, "More unusual than every one of 150 calibration images"),
        (0.0, "No more unusual than any of 150 calibration images"),
        (0.004, "More unusual than fewer than 1 of 100 calibration images"),
        (0.29, "More unusual than 29 of 100 calibration images"),
    ],
)
def test_standing_is_a_count_that_never_overstates(percentile, sentence):
    assert words.standing(percentile, 150) == sentence


def test_fewer_than_a_hundred_images_are_counted_as_they_are():
    """15 of 21 is what was seen; 71 of 100 would be more than was."""
    assert words.standing(15 / 21, 21, "polyp") == "More unusual than 15 of 21 calibration images read as *polyp*"
    assert words.standing(1 / 99, 99) == "More unusual than 1 of 99 calibration images"


@pytest.mark.parametrize(("share", "text"), [(0.05, "5 in 100"), (0.025, "2.5 in 100"), (0.005, "5 in 1000")])
def test_shares_are_counts(share, text):
    assert words.count(share) == text


def test_the_guarantee_is_a_sentence_and_so_is_its_absence():
    images = Calibration(np.arange(67.0), Guarantee(True), of_class="polyp")
    assert words.guarantee(0.05, images.decide([1.0])[0], images) == (
        "At this setting 5 in 100 ordinary images from the same source that are read as *polyp* are flagged on "
        "average; with these 67 images to judge by, between 1 and 10."
    )
    seen = Calibration(np.arange(67.0), Guarantee(False, "they were trained on"))
    assert words.guarantee(0.05, seen.decide([1.0])[0], seen) == (
        "No guarantee: they were trained on; more ordinary images may be flagged than set."
    )


def test_patients_widen_the_range_that_is_said():
    images = Calibration(np.arange(200.0), Guarantee(True), groups=np.repeat(np.arange(20), 10))
    assert "with these 20 patients or clips to judge by, between 0 and 17" in words.guarantee(
        0.05, images.decide([1.0])[0], images
    )


def test_a_bound_with_confidence_is_said_where_it_holds():
    settings = CalibrationSettings(alpha=0.05, confidence=0.9)
    images = Calibration(np.arange(100.0), Guarantee(True), settings=settings)
    decision = images.decide([1.0])[0]
    assert "at most 5 in 100 ordinary images" in words.guarantee(0.05, decision, images)
    assert "90 in 100 sets of calibration images hold to this" in words.guarantee(0.05, decision, images)
    assert "on average" in words.guarantee(0.1, decision, images), "it was fixed for another share"


def test_a_refusal_says_what_would_be_allowed():
    assert "2.8 in 100 or more" in words.refusal(0.01, 1 / 37, 36)


@pytest.mark.parametrize(("distance", "bias", "leader"), [(3.0, 1.0, "The distance"), (1.0, 3.0, "The bias term")])
def test_the_account_starts_with_whichever_leads_and_prints_f_as_a_factor(distance, bias, leader):
    text = words.lead_of_nero(distance, bias, 0.5, "polyp")
    assert text.startswith(f"**{leader} leads")
    assert "f = 0.5" in text
    assert "× 0.5 = **2**" in text


@pytest.mark.parametrize(
    "text",
    ["<b>x</b>", "[x](http://y.z)", "![x](y)", ":red[x]", ":material/home:", "$x^2$", "`x`", "*x*", "a_b_c", "# x",
     "1. x", "www.x.org", "a@b.org", "https://x.org", "x\n\ny", "| a | b |", "~~x~~"],
)  # fmt: skip
def test_untrusted_text_stays_text(text):
    escaped = words.plain(text)
    assert "\n" not in escaped
    for mark in "<[*`$#|~":
        assert escaped.count(mark) == escaped.count(f"\\{mark}")
    for link in ("://", "www\\.", "@b"):
        assert link not in escaped
    shown = escaped.replace("\u2060", "").replace("\\", "")
    assert shown == " ".join(text.split()), "and nothing of it is lost"


def test_what_is_announced_has_no_markup():
    text = words.standing(0.5, 200, r"z-line *of* www.x.org \o/")
    assert "\\" in text
    assert (
        words.spoken(f"**{text}**")
        == r"More unusual than 50 of 100 calibration images read as z-line *of* www.x.org \o/"
    )


def test_what_is_usual_is_named():
    line = words.reference_line({"classes": ["a", "b", "c"], "calibration": {"images": 12}})
    assert line == "Usual here: images of *a*, *b* and *c*; 12 of them make the scale."


def test_no_sentence_calls_an_image_healthy_or_diseased():
    said = " ".join(str(value) for name, value in vars(words).items() if name.isupper() and isinstance(value, str))
    assert "does not mean diseased" in STANDING_LINE
    assert STANDING_LINE in words.about()
    for sentence in (
        said.replace(STANDING_LINE, ""),
        words.about().replace(STANDING_LINE, ""),
        words.lead_of_nero(1, 2, 0.5, "x"),
        words.standing(0.5, 10),
    ):
        assert "health" not in sentence.lower()
        assert "disease" not in sentence.lower()
