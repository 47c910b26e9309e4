"""The lesson's step on heatmaps: which side is whose, how far they agree, and what hiding does."""

from __future__ import annotations

import numpy as np
import pytest

from nero_core.lesson import heatmap_trial
from nero_core.lesson.heatmap_trial import HeatmapTrial, TwoMaps
from nero_core.metrics import Effect
from pages.lesson_views import heatmaps_can_lie
from tests.app.conftest import words_of
from tests.app.lesson_examples import ORDINARY, STRANGE, alts_of, answer, open_step  # noqa: F401

STEP = "heatmaps_can_lie"


@pytest.fixture
def step(open_step):  # noqa: F811
    return open_step(STEP)


def test_two_maps_are_shown_unnamed(step):
    shown = alts_of(step)
    assert "Heatmap A by gradient × input" in shown
    assert "Heatmap B by gradient × input" in shown
    assert "rained" not in shown
    assert step.radio(key=f"lesson-{STEP}-answer").options == ["A", "B"]


@pytest.mark.parametrize(("first", "right"), [(True, "A"), (False, "B")])
def test_which_is_right_was_drawn_by_the_core(step, monkeypatch, first, right):
    monkeypatch.setattr(heatmap_trial, "trained_is_first", lambda seed, picture: first)
    told = words_of(answer(step, STEP, "a"))
    assert (f"**Right: {right}.**" if right == "A" else f"**Not quite: it is {right}.**") in told


def test_the_draw_is_of_the_visit_and_of_the_picture(step, monkeypatch):
    asked = []
    monkeypatch.setattr(heatmap_trial, "trained_is_first", lambda *of: asked.append(of) or True)
    step.run()
    seed = step.session_state[heatmaps_can_lie.VISIT]
    step.selectbox(key=heatmaps_can_lie.PICTURE).set_value(STRANGE).run()
    assert set(asked) == {(seed, ORDINARY), (seed, STRANGE)}


def test_another_picture_is_asked_about_anew(step):
    answer(step, STEP, "a")
    step.selectbox(key=heatmaps_can_lie.PICTURE).set_value(STRANGE).run()
    assert step.radio(key=f"lesson-{STEP}-answer").value is None
    assert "The same by other methods" not in words_of(step)


def test_agreement_is_what_the_core_says(step, monkeypatch):
    heat = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    monkeypatch.setattr(HeatmapTrial, "maps", lambda self, image, method: TwoMaps(heat, -heat))
    heatmaps_can_lie._maps.clear()
    told = words_of(answer(step, STEP, "a"))
    assert "With CRP the two pictures agree at **1.00** on where they point, and at −1.00 with signs: much" in told
    assert "With gradient × input the two pictures agree at **1.00**" in told
    assert "With EpsilonAlpha2Beta1Flat the two" in told
    heatmaps_can_lie._maps.clear()
    monkeypatch.setattr(HeatmapTrial, "maps", lambda self, image, method: TwoMaps(heat, np.zeros_like(heat)))
    told = words_of(step.run())
    assert "agree at **0.00** on where they point, and at 0.00 with signs: what the network has learnt" in told
    heatmaps_can_lie._maps.clear()


def test_methods_are_chosen_and_every_one_is_shown(step):
    answer(step, STEP, "b")
    chosen = step.multiselect(key=heatmaps_can_lie.METHODS)
    assert chosen.value == ["CRP", "gradient × input", "EpsilonAlpha2Beta1Flat"]
    chosen.set_value(["instant map"]).run()
    told = words_of(step)
    assert "With relevance\\-weighted feature map the two pictures agree" in told
    assert "With EpsilonAlpha2Beta1Flat the two" not in told
    chosen.set_value([]).run()
    assert not step.exception


def test_curves_are_measured_when_asked_and_judged_by_the_core(step, monkeypatch):
    answer(step, STEP, "a")
    assert "random orders" not in words_of(step)
    step.button(key="lesson-heatmaps-measure").click().run()
    assert not step.exception
    told = words_of(step)
    assert "**The trained network’s map** ranks places better than" in told
    assert "of 8 random orders" in told
    assert len(step.get("plotly_chart")) >= 2
    from nero_core.attribution.faithfulness import Faithfulness

    better = Effect(0.4, 0.3, 0.5, 2.0)
    monkeypatch.setattr(Faithfulness, "effect", lambda self, method: better)
    assert "(gain 40 points): **better than chance**" in words_of(step.run())
    step.selectbox(key=heatmaps_can_lie.PICTURE).set_value(STRANGE).run()
    answer(step, STEP, "a")
    assert "random orders (gain" not in words_of(step), "curves of one picture are not told of another"


def test_a_method_that_fails_takes_no_other_with_it(step, monkeypatch):
    from nero_core.errors import InputError

    maps = HeatmapTrial.maps

    def failing(self, image, method):
        if method == "CRP":
            raise InputError("It *broke*.")
        return maps(self, image, method)

    monkeypatch.setattr(HeatmapTrial, "maps", failing)
    heatmaps_can_lie._maps.clear()
    answer(step, STEP, "a")
    assert "It \\*broke\\*\\." in step.warning[0].value
    assert "With EpsilonAlpha2Beta1Flat the two" in words_of(step)
