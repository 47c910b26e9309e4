"""A copy of a network for methods that hook into it or change it, thrown away after a failure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn


class PrivateNetwork:
    """A network of one's own, lent to one thread at a time.

    Libraries undo what they did to a network where all goes well. After an exception or a cancel they may leave hooks
    and merged weights behind: such a copy is dropped, and the next borrower gets a new one.

    Parameters
    ----------
    make : callable
        Gives a network that is shared with nobody, such as `Classifier.private_copy`.
    """

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._network: nn.Module | None = None

    @contextmanager
    def borrowed(self) -> Iterator[nn.Module]:
        """The network, until the end of the block; others wait."""
        with self._lock:
            network, self._network = self._network or self._make(), None
            yield network
            self._network = network  # not reached where the block raised
