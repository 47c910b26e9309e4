"""torch's global random numbers, for one caller at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

_turn = threading.RLock()


@contextmanager
def global_generator(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch's global generator, and put it back as it was.

    Initial weights, dropout and some of pytorch-ood's splits draw from it, and all threads share it. They take turns:
    else a reference that is loaded while something is trained or fitted would change what comes out.

    Parameters
    ----------
    seed : int
    device : torch.device, optional
        An accelerator whose generator is seeded and put back, too.
    """
    with ExitStack() as undone:
        undone.enter_context(_turn)
        undone.enter_context(torch.random.fork_rng([]))
        if device is not None and device.type != "cpu":
            undone.enter_context(torch.random.fork_rng([device.index or 0], device_type=device.type))
        torch.manual_seed(seed)
        yield
