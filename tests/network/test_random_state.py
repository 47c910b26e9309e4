"""The global generator: the same numbers whatever other threads do, and as it was afterwards."""

from __future__ import annotations

import threading

import pytest
import torch

from nero_core import Reference
from nero_core.network.random_state import global_generator


def state():
    return torch.random.get_rng_state().numpy().tobytes()


def _zero():
    return 1 // 0


def draws(seed, count=200):
    with global_generator(seed):
        return [float(torch.rand(())) for _ in range(count)]


def test_it_is_seeded_and_put_back():
    before = state()
    one, two, other = draws(3), draws(3), draws(4)
    assert one == two != other
    assert state() == before
    with pytest.raises(ZeroDivisionError), global_generator(0):
        torch.rand(()) / _zero()
    assert state() == before


def test_threads_take_turns():
    wanted, found = draws(1), []
    stop = threading.Event()

    def others():
        while not stop.is_set():
            draws(2, count=3)

    threads = [threading.Thread(target=others) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        found = [draws(1) for _ in range(30)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert all(each == wanted for each in found)


def test_one_may_stand_within_another():
    with global_generator(1):
        first = float(torch.rand(()))
        with global_generator(2):
            torch.rand(())
        second = float(torch.rand(()))
    assert [first, second] == draws(1, count=2)


def test_loading_a_reference_draws_nothing_that_is_seen(tiny_reference):
    before = state()
    Reference.load(tiny_reference)
    assert state() == before
