"""The account of a score over places: on the image it keeps its sum, and the case says where the score comes from."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageDraw

from nero_core.case import on_the_image, open_case, tell_why
from nero_core.data.class_folders import read_class_folders
from nero_core.data.images import read_image
from nero_core.data.preprocessing import Preprocessing
from tests.references import fitted, halves_record, telling_classifier


@pytest.fixture(scope="module")
def reference(class_folders):
    images = read_class_folders(class_folders)
    return fitted(telling_classifier(images, halves_record(images)), images, ("patch_knn", "energy"))


@pytest.fixture
def picture(class_folders):
    return read_image(next(class_folders.glob("*/*.png")))


def test_a_stretched_image_keeps_sum_and_place():
    account = np.zeros((4, 4))
    account[3, 0] = 2.0
    drawn = on_the_image(account, (200, 100), Preprocessing(height=32, width=48))
    assert drawn.shape == (32, 48)
    assert drawn.sum() == pytest.approx(2.0, rel=1e-5)
    row, column = np.unravel_index(drawn.argmax(), drawn.shape)
    assert row >= 24
    assert column < 12


def test_what_a_crop_cuts_off_is_not_drawn():
    account = np.ones((4, 8))
    # Half of a frame twice as wide as high, and all of its height.
    drawn = on_the_image(account, (200, 100), Preprocessing(height=32, width=32, crop_share=1.0))
    assert drawn.sum() == pytest.approx(16, rel=1e-3)
    account[:, 2:6] = 0
    assert on_the_image(account, (200, 100), Preprocessing(height=32, width=32, crop_share=1.0)).sum() < 2


def test_an_account_of_nothing_stays_nothing():
    assert not on_the_image(np.zeros((3, 3)), (30, 30), Preprocessing(height=16, width=16)).any()


def test_a_case_has_the_account_of_its_own_score(reference, picture):
    case = open_case(reference, picture, "patch_knn")
    assert case.places.sum() == pytest.approx(case.score, rel=1e-12)
    assert case.places is case.under("patch_knn").places
    assert case.under("energy").places is None


def test_why_says_where_the_score_comes_from(reference, picture):
    picture = picture.resize((128, 128))
    ImageDraw.Draw(picture).ellipse((84, 84, 116, 116), fill=(250, 20, 250))
    why = tell_why(open_case(reference, picture, "patch_knn"), picture)
    assert why.sentence.startswith(
        "Patch KNN decides (places that no training image has), and its score is a sum over places, densest at the "
        "bottom right ("
    )
    assert "neurons" not in why.sentence
