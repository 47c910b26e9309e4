"""What is called between passes through the network: before each, and what is made by then is kept when it leaves."""

from __future__ import annotations

import numpy as np
import pytest

from nero_core import Reference
from nero_core.attribution.base import CONDITIONS_AT_ONCE
from nero_core.case import Cover, cover_test, leading_neurons, open_case, tell_why
from tests.case.conftest import SIDE, grey
from tests.conftest import coloured_noise

REGION = Cover(0.125, 0.125, 0.25, 0.25)


class Left(Exception):
    """Somebody pressed a button."""


def leaving_at(call):
    """Leaves at its nth call, and notes every one."""
    calls = []

    def between():
        calls.append(None)
        if len(calls) == call:
            raise Left

    return between, calls


@pytest.fixture
def green():
    return grey(5, 120, [(8, 8, 24, 24)])


def noting(case, monkeypatch):
    """The order of calls between and of passes."""
    order = []
    score = type(case).score_covered
    monkeypatch.setattr(type(case), "score_covered", lambda self, *a, **k: order.append("pass") or score(self, *a, **k))
    return order


def test_a_cover_test_asks_before_each_of_its_nine_passes(green_reference, green, monkeypatch):
    case = open_case(green_reference, green, "greenness")
    order = noting(case, monkeypatch)
    found = cover_test(case, green, REGION, between=lambda: order.append("between"))
    assert order == ["between", "pass"] * 9
    assert found == cover_test(case, green, REGION), "and it changes nothing"


@pytest.mark.parametrize("call", [1, 5, 9])
def test_it_may_leave_before_any_of_them(green_reference, green, monkeypatch, call):
    case = open_case(green_reference, green, "greenness")
    order = noting(case, monkeypatch)
    between, _ = leaving_at(call)
    with pytest.raises(Left):
        cover_test(case, green, REGION, between=between)
    assert order == ["pass"] * (call - 1)


def test_where_there_is_no_room_nothing_is_asked(green_reference, green):
    case = open_case(green_reference, green, "greenness")
    between, calls = leaving_at(1)
    assert cover_test(case, green, Cover(0.05, 0.05, 0.9, 0.9), between=between) is None
    assert not calls


def test_telling_why_asks_before_maps_and_before_covers(green_reference, green):
    case = open_case(green_reference, green, "greenness")
    between, calls = leaving_at(None)
    told = tell_why(case, green, between=between)
    chunks = -(-len(told.neurons) // CONDITIONS_AT_ONCE)
    assert len(calls) == chunks + 9
    assert told.numbers() == tell_why(open_case(green_reference, green, "greenness"), green).numbers()
    between, calls = leaving_at(None)
    tell_why(case, green, leading=leading_neurons(case, green), between=between)
    assert len(calls) == 9, "maps that are known are not made again"


@pytest.fixture(scope="module")
def tiny(tiny_reference):
    return Reference.load(tiny_reference)


@pytest.mark.parametrize("call", [1, 2, 3])
def test_maps_that_are_made_by_then_are_kept_and_the_next_goes_on_from_there(tiny, monkeypatch, call):
    monkeypatch.setattr("nero_core.attribution.base.CONDITIONS_AT_ONCE", 4)
    image = coloured_noise((200, 140, 60), 5, (SIDE, SIDE))
    case, whole = open_case(tiny, image, "nero"), open_case(tiny, image, "nero")
    between, _ = leaving_at(call)
    with pytest.raises(Left):
        leading_neurons(case, image, count=12, between=between)
    assert len(case.maps) == 4 * (call - 1)
    kept = dict(case.maps)
    rest, calls = leaving_at(None)
    found = leading_neurons(case, image, count=12, between=rest)
    assert len(calls) == 3 - (call - 1), "what was made is not made again"
    assert all(case.maps[neuron] is heatmap for neuron, heatmap in kept.items())
    wanted = leading_neurons(whole, image, count=12)
    assert found.neurons == wanted.neurons
    for one, other in zip(found.maps, wanted.maps, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4 * abs(other).max())
