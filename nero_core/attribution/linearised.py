"""Maps by gradient × input: of a network whose non-linear parts are held constant, or of the network as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nero_core.attribution.base import AttributionPass, HeatmapMethod, as_array
from nero_core.attribution.holding import Holding
from nero_core.attribution.rules import EPSILON, Function
from nero_core.errors import InputError
from nero_core.network.classifier import Classifier
from nero_core.network.taps import Seen, Tapped
from nero_core.records import Float32Array, Layout

LOGIT_TOLERANCE = 1e-4
"""Largest difference, as a share of the largest logit, that holding a network's parts constant may make to them."""


class Linearised:
    """A private copy of a network, run with some functions held constant. Any number of threads may use it.

    Parameters
    ----------
    network : nn.Module
        A copy that belongs to this object from now on.
    layout : Layout
    table : {function: what is called instead}
        Empty for the network as it is.
    """

    def __init__(self, network: nn.Module, layout: Layout, table: Mapping[Function, Callable[..., Any]]) -> None:
        self.network, self.layout, self._table = network, layout, table
        self._tapped = Tapped(network, layout, apart=True)

    def run(self, image: Tensor) -> tuple[Tensor, Seen, Holding]:
        """Logits (1, K) of an image that wants its gradient, the values on the way, and what was held.

        Parameters
        ----------
        image : (1, 3, H, W)
        """
        with torch.enable_grad(), Holding(self._table) as holding:
            return *self._tapped.run(image), holding

    def check(self, height: int, width: int, name: str) -> None:
        """Run once on noise.

        Raises
        ------
        InputError
            Nothing was held, something on the way of the gradient has no rule, or the logits are not the network's.
        """
        weight = next(self.network.parameters())
        noise = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)).to(weight)
        with torch.no_grad():
            bare = self.network(noise)
        logits, _, holding = self.run(noise.requires_grad_())
        on_the_way = _nodes_below(logits.grad_fn)
        unruled = sorted({function for function, node in holding.unruled if node in on_the_way})
        if unruled:
            raise InputError(f"{name} calls {', '.join(unruled)} in a way for which there is no rule of propagation.")
        if not holding.held:
            raise InputError(f"{name} calls nothing that conservative propagation holds constant.")
        difference = float((logits.detach() - bare).abs().max())
        if not difference <= LOGIT_TOLERANCE * float(bare.abs().max()):
            raise InputError(f"{name} gives other logits with its parts held constant (by {difference:.1e}).")


def _nodes_below(root: Any) -> set[object]:
    """The operations that a gradient comes by."""
    seen: set[object] = {root}
    waiting = [root]
    while waiting:
        for node, _ in waiting.pop().next_functions:
            if node is not None and node not in seen:
                seen.add(node)
                waiting.append(node)
    return seen


class GradientMethod(HeatmapMethod):
    """Gradient × input on a private copy; a method of this kind says in `table` which functions are held constant."""

    table: ClassVar[Mapping[Function, Callable[..., Any]]] = {}

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(classifier)
        self._linearised = Linearised(classifier.private_copy(), classifier.layout, self.table)

    def _open(self, image: Tensor) -> AttributionPass:
        return GradientPass(self._linearised, image, self.title)


class GradientPass(AttributionPass):
    """The maps of one image: Σ_channels x ∗ ∂/∂x, started from the part of the relevance of each neuron."""

    def __init__(self, linearised: Linearised, image: Tensor, method: str) -> None:
        super().__init__(method, (image.shape[2], image.shape[3]), linearised.layout.stages)
        self._layout = linearised.layout
        self._image = image.detach().requires_grad_()
        self._logits, self._values, _ = linearised.run(self._image)
        z = self._logits.detach()
        # Relevance starts from the whole softmax vector (Chhetri et al., 2025): p_k at logit k is p_k/z_k times z_k.
        self._start = z.softmax(dim=1) / torch.where(z < 0, z - EPSILON, z + EPSILON)
        self._gradients: dict[str | None, Tensor] = {}

    def overall(self) -> Float32Array:
        return self._pixels(self._logits, self._start)

    def _relevance(self, stage: str | None) -> Float32Array:
        r = self._value(stage).detach() * self._gradient(stage)
        return as_array(r[0] if stage is None else self._layout.channels_first(stage, r)[0].sum(dim=(1, 2)))

    def _maps(self, neurons: npt.NDArray[np.int64], stage: str | None) -> Float32Array:
        value, gradient = self._value(stage), self._gradient(stage)
        maps = []
        for neuron in neurons:
            chosen = torch.zeros_like(gradient)
            channels = chosen if stage is None else self._layout.channels_first(stage, chosen)
            channels[:, neuron] = 1
            maps.append(self._pixels(value, gradient * chosen))
        return np.stack(maps)

    def _value(self, stage: str | None) -> Tensor:
        if stage not in self._values:
            raise self._no_stage(str(stage))
        return self._values[stage]

    def _gradient(self, stage: str | None) -> Tensor:
        """∂/∂value of Σ_k start_k z_k; value times this is the relevance that arrives there."""
        if stage not in self._gradients:
            (gradient,) = torch.autograd.grad(self._logits, self._value(stage), self._start, retain_graph=True)
            self._gradients[stage] = gradient
        return self._gradients[stage]

    def _pixels(self, at: Tensor, start: Tensor) -> Float32Array:
        (gradient,) = torch.autograd.grad(at, self._image, start, retain_graph=True)
        return as_array((self._image * gradient).sum(dim=1)[0])
