"""Choosing by which method heatmaps are made, on Case review and on Neurons."""

from __future__ import annotations

import numpy as np
import pytest
import streamlit as st

from nero_core.attribution import ENTRY_POINTS, METHODS, OverallMap
from nero_core.attribution.zennit_crp import CompositePass
from nero_core.entry_points import load_entry_points
from nero_core.wording import heatmap_method
from pages.case_views import viewer
from pages.case_views.top_neurons import METHOD
from pages.neuron_views import heatmaps, truth
from tests.app.conftest import cards, picture_bytes, show_part, upload, words_of
from tests.plug_in import OCCLUSION, install

ONE_MAP = [title for title, method in METHODS.items() if not method.single_neurons]


@pytest.fixture
def reviewed(app):
    return show_part(upload(app, ("a.png", picture_bytes())), "Top neurons")


def reading_of(session):
    return session.session_state["case"][0].reading


def choose(session, title, key=METHOD):
    session.selectbox(key=key).set_value(title).run()
    assert not session.exception
    return session


def test_what_the_network_has_is_offered_the_best_first_and_the_rest_is_explained(reviewed, reference):
    control = reviewed.selectbox(key=METHOD)
    fits = reference.attributions.fits
    assert control.value == control.options[0] == "CRP"
    assert control.options == [heatmap_method(title) for title in METHODS if fits[title]]
    assert "LRP for transformers (Ali et al., 2022)" not in control.options
    assert "**LRP for transformers (Ali et al., 2022)**: " in control.help.replace("\\", "")
    assert "holds constant" in control.help


def test_the_first_maps_wait_for_no_other_method(app, monkeypatch):
    """Which methods fit is asked only once the maps are drawn."""
    from nero_core.attribution import Attributions

    order = []
    fits, lay = Attributions.fits.fget, viewer.lay
    monkeypatch.setattr(Attributions, "fits", property(lambda self: order.append("fits") or fits(self)))
    monkeypatch.setattr(viewer, "lay", lambda *args: order.append("map") or lay(*args))
    upload(app, ("a.png", picture_bytes()))
    assert order == ["map"], "nor is it asked where nobody can choose"
    del order[:]
    show_part(app, "Top neurons")
    assert not app.exception
    assert order[:7] == ["map"] * 7
    assert "fits" in order


def test_another_method_makes_other_maps_and_is_named(reviewed, reference):
    before = dict(reading_of(reviewed).maps)
    choose(reviewed, "EpsilonAlpha2Beta1Flat")
    reading = reading_of(reviewed)
    assert "Heatmaps by **EpsilonAlpha2Beta1Flat**" in words_of(reviewed)
    assert reading.maps.keys() == before.keys()
    assert set(reading.methods.values()) == {"EpsilonAlpha2Beta1Flat"}
    opened = reference.open_heatmaps(picture_bytes(), "EpsilonAlpha2Beta1Flat")
    neuron = next(neuron for neuron in reading.maps if neuron is not None)
    for seen, expected in (
        (reading.maps[None], opened.overall()),
        (reading.maps[neuron], opened.neuron(neuron.channel)),
    ):
        assert abs(seen - expected).max() <= 1e-4 * abs(expected).max()
    assert abs(reading.maps[None] - before[None]).max() > 0.01 * abs(before[None]).max()
    choose(reviewed, "CRP")
    for slot, heatmap in reading_of(reviewed).maps.items():
        # Alone or with others of its stage a map differs by the order of sums.
        np.testing.assert_allclose(heatmap, before[slot], atol=1e-6 * abs(before[slot]).max())


@pytest.mark.parametrize("title", ONE_MAP)
def test_a_method_of_one_map_shows_that_and_says_so(reviewed, title):
    choose(reviewed, title)
    assert list(reading_of(reviewed).maps) == [None]
    assert "one map of the whole answer, and none of single neurons" in words_of(reviewed)
    assert len(cards(reviewed)) == 6, "the account of the neurons stays"
    assert {card["words"]["waiting"] for card in cards(reviewed).values()} == {"This method gives none of one neuron"}


def test_cards_of_stopped_heatmaps_wait_for_nothing(reviewed):
    assert {card["words"]["waiting"] for card in cards(reviewed).values()} == {"Its heatmap is being made…"}
    frame = reviewed.session_state["case"][0]
    frame.stopped = True
    reviewed.run()
    assert {card["words"]["waiting"] for card in cards(reviewed).values()} == {"Stopped before its heatmap was made"}


def test_the_choice_holds_for_a_score_without_an_account_and_for_the_next_image(reviewed):
    choose(reviewed, "SmoothGrad")
    reviewed.selectbox(key="detector").set_value("msp").run()
    assert not reviewed.exception
    assert reviewed.selectbox(key=METHOD).value == "SmoothGrad"
    assert "Heatmaps by **SmoothGrad**" in words_of(reviewed)
    upload(reviewed, ("b.png", picture_bytes(2)))
    assert "Heatmaps by **SmoothGrad**" in words_of(reviewed)


def test_maps_not_to_be_leant_on_are_warned_of(reviewed, monkeypatch):
    monkeypatch.setattr(CompositePass, "caution", property(lambda self: "Relevance *grew*."))
    choose(reviewed, "EpsilonGammaBox")
    assert "Relevance \\*grew\\*" in reviewed.warning[-1].value
    choose(reviewed, "CRP")
    assert not [warning for warning in reviewed.warning if "grew" in warning.value]


def test_a_failing_method_stops_no_verdict(reviewed, monkeypatch):
    from nero_core.errors import InputError

    def refuse(self):
        raise InputError("It *cannot*.")

    monkeypatch.setattr(OverallMap, "overall", refuse)
    choose(reviewed, "SmoothGrad")
    assert "No heatmaps: It \\*cannot\\*" in reviewed.warning[-1].value
    monkeypatch.undo()


def test_the_neurons_page_offers_methods_of_single_neurons_and_tests_the_chosen_one(reviewed):
    page = reviewed.switch_page("pages/neurons.py").run()
    assert not any(box.key == heatmaps.METHOD for box in page.selectbox), "no network before an image is chosen"
    page.multiselect(key="neurons-images").set_value(["Case, image 1"]).run()
    control = page.selectbox(key=heatmaps.METHOD)
    assert control.value == "CRP"
    assert not set(control.options) & set(ONE_MAP)
    assert "**SmoothGrad**: it gives one map of the whole answer; Case review shows it" in control.help
    choose(page, "EpsilonPlusFlat", heatmaps.METHOD)
    assert "Heatmaps by **EpsilonPlusFlat**" in words_of(page)
    page.multiselect(key=truth.IMAGES).set_value(["Case, image 1"]).run()
    page.button(key="neurons-truth-test").click().run()
    assert not page.exception
    table = next(t.value for t in page.dataframe if "deletion, % ↓" in t.value)
    assert table["method"].tolist() == ["EpsilonPlusFlat", "random order"]


def test_a_result_of_the_best_stays_when_it_is_chosen_by_name(reviewed):
    page = reviewed.switch_page("pages/neurons.py").run()
    page.multiselect(key=truth.IMAGES).set_value(["Case, image 1"]).run()
    page.button(key="neurons-truth-test").click().run()
    page.multiselect(key="neurons-images").set_value(["Case, image 1"]).run()
    assert page.selectbox(key=heatmaps.METHOD).value == "CRP"
    page.run()
    assert any("deletion, % ↓" in table.value for table in page.dataframe)


def test_a_method_of_an_installed_package_is_offered(tmp_path, monkeypatch, app):
    monkeypatch.syspath_prepend(install(tmp_path, "squares_for_pages", ENTRY_POINTS, {"occlusion": OCCLUSION}))
    st.cache_resource.clear()  # a reference that is open knows which methods there were
    try:
        load_entry_points(ENTRY_POINTS)
        choose(show_part(upload(app, ("a.png", picture_bytes())), "Top neurons"), "occlusion")
        assert "Heatmaps by **occlusion**" in words_of(app)
        assert np.isfinite(reading_of(app).maps[None]).all()
    finally:
        METHODS.pop("occlusion", None)
        st.cache_resource.clear()
