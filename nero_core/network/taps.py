"""What a network computes on its way to the logits: kept for each thread apart, and only while it asks."""

from __future__ import annotations

import threading

from torch import Tensor, nn

from nero_core.records import Layout

Seen = dict[str | None, Tensor]
"""Outputs of modules by name, as the network makes them; without a name what the head reads."""


class _Here(threading.local):
    """What the pass of this thread has come by; None outside a pass."""

    seen: Seen | None = None


class Tapped:
    """A network that tells what its last map, its stages and its features are. Any number of threads may run it.

    Parameters
    ----------
    network : nn.Module
        One that belongs to this object from now on: it is hooked into.
    layout : Layout
    apart : bool
        Whether the network goes on with a copy of what is kept: its next layer may write over its input.
    """

    def __init__(self, network: nn.Module, layout: Layout, apart: bool = False) -> None:
        self.network, self._here = network, _Here()
        here = self._here

        def keep_features(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            if here.seen is not None:
                here.seen[None] = args[0]

        network.get_submodule(layout.head).register_forward_pre_hook(keep_features)
        for name in {*layout.stages, layout.map} - {None}:

            def keep(module: nn.Module, args: object, output: Tensor, name: str = str(name)) -> Tensor | None:
                if here.seen is None:
                    return None
                here.seen[name] = output
                return output.clone() if apart else None

            network.get_submodule(str(name)).register_forward_hook(keep)

    def run(self, images: Tensor) -> tuple[Tensor, Seen]:
        """Logits (n, K) of images, and the values on the way.

        Parameters
        ----------
        images : (n, 3, H, W)
        """
        self._here.seen = seen = Seen()
        try:
            return self.network(images), seen
        finally:
            self._here.seen = None
