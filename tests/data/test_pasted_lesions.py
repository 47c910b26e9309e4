"""Lesions laid into ordinary frames: where they are said to be they change the frame, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from nero_core.data.pasted_lesions import KINDS, ON_TISSUE, SIDES, domed, relit, tissue_of
from nero_core.data.scenes.lesions import FINDINGS
from nero_core.data.scenes.relit import LightChange, light_change


@pytest.fixture(scope="module")
def findings():
    found = [change for seed in range(8) if (change := light_change("polyp", seed, 96)) is not None]
    assert len(found) >= 3
    return found


def frame_of(seed, height=200, width=260):
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal((170, 90, 70), 12, size=(height, width, 3)), 0, 255).astype(np.float32)


@pytest.fixture
def tissue():
    inside = np.zeros((200, 260), bool)
    inside[20:180, 60:240] = True
    return inside


@pytest.mark.parametrize("kind", KINDS)
def test_a_finding_is_the_same_every_time_and_changes_the_light(kind):
    first, second = light_change(kind, 4, 96), light_change(kind, 4, 96)
    assert (first is None) == (second is None)
    if first is not None:
        np.testing.assert_array_equal(first.log_quotient, second.log_quotient)
        assert first.log_quotient.dtype == np.float32
        assert first.inside.any()
        assert np.abs(first.log_quotient[first.inside]).mean() > 0.1


def test_every_kind_is_one_that_can_be_rendered():
    assert set(KINDS) <= set(FINDINGS)


def test_a_change_fades_to_nothing_at_its_edge(findings):
    for change in findings:
        rim = np.ones(change.inside.shape, bool)
        rim[1:-1, 1:-1] = False
        assert np.abs(change.log_quotient[rim]).max() < 0.1 * np.abs(change.log_quotient).max()


@pytest.mark.parametrize("seed", range(4))
def test_a_relit_lesion_changes_the_frame_where_it_is(findings, tissue, seed):
    frame = frame_of(0)
    before = frame.copy()
    found, where = relit(frame, tissue, findings, np.random.default_rng(seed))
    np.testing.assert_array_equal(frame, before)
    assert found.min() >= 0
    assert found.max() <= 255
    changed = np.abs(found - frame).max(axis=2)
    assert changed[where].mean() > 2
    rows, columns = np.nonzero(changed > 0)
    assert max(np.ptp(rows), np.ptp(columns)) <= SIDES[1] * 200 + 1


def test_without_a_change_of_light_the_frame_stays_as_it_is(tissue):
    nothing = LightChange(np.zeros((20, 20, 3), np.float32), np.ones((20, 20), bool))
    frame = np.minimum(frame_of(1), 200)  # below the shoulder, where a camera is not linear
    found, where = relit(frame, tissue, [nothing], np.random.default_rng(0))
    np.testing.assert_allclose(found, frame, atol=1e-3)
    assert where.any()


@pytest.mark.parametrize("seed", range(4))
def test_a_dome_lies_on_tissue_and_takes_the_colour_of_where_it_lies(tissue, seed):
    frame, other = frame_of(0), frame_of(1) * np.float32(0.3)
    found, where = domed(frame, tissue, other, tissue, np.random.default_rng(seed))
    assert where.any()
    assert (where & tissue).sum() >= ON_TISSUE * where.sum() * 0.9
    assert not np.abs(found - frame)[~tissue].max(axis=1).astype(bool).mean() > 0.1
    # Of another frame a third as bright, but not darker than half of the mucosa that it lies on.
    assert found[where].mean() > 0.5 * frame[where].mean()


def test_where_there_is_no_room_there_is_no_lesion(findings):
    nowhere = np.zeros((200, 260), bool)
    assert relit(frame_of(0), nowhere, findings, np.random.default_rng(0)) is None
    assert domed(frame_of(0), nowhere, frame_of(1), ~nowhere, np.random.default_rng(0)) is None
    assert domed(frame_of(0), ~nowhere, frame_of(1), nowhere, np.random.default_rng(0)) is None


def test_neither_the_dark_nor_what_is_masked_is_tissue():
    frame = frame_of(0)
    frame[:100] = 3
    masked = np.zeros((200, 260), bool)
    masked[:, :50] = True
    tissue = tissue_of(frame, masked)
    assert not tissue[:100].any()
    assert not tissue[:, :50].any()
    assert tissue[100:, 50:].mean() > 0.99
