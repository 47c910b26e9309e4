"""Where a network keeps its head, its last feature map and its stages: found by inspection, not by a list of names."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nero_core.errors import InputError

POOLING_TOLERANCE = 1e-4
"""Relative agreement wanted between a map's spatial mean and the features for it to count as the pooled map."""


@dataclass(frozen=True)
class Layout:
    """Dotted module names of the places this package reads.

    Attributes
    ----------
    head : str
        The linear layer that gives the logits.
    map : str or None
        The module whose output, averaged over space, is the head's input; None where there is none.
    stages : tuple of str
        Per spatial resolution, the last block of layers at that resolution, in order of depth.
    """

    head: str
    map: str | None
    stages: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Call:
    """One module's call during the inspected pass."""

    name: str
    module: nn.Module
    input: Tensor | None
    output: Tensor

    @property
    def depth(self) -> int:
        return self.name.count(".")

    @property
    def is_block(self) -> bool:
        return next(self.module.children(), None) is not None

    @property
    def space(self) -> tuple[int, int]:
        return self.output.shape[2], self.output.shape[3]


def _record_calls(network: nn.Module, height: int, width: int) -> tuple[list[_Call], Tensor]:
    """All module calls of one forward pass on noise, in order of completion, and the network's output."""
    calls: list[_Call] = []
    handles = []
    for name, module in network.named_modules():
        if name:

            def keep(module: nn.Module, args: tuple[object, ...], output: object, name: str = name) -> None:
                if isinstance(output, Tensor):
                    first = args[0] if args and isinstance(args[0], Tensor) else None
                    calls.append(_Call(name, module, first, output))

            handles.append(module.register_forward_hook(keep))
    parameter = next(network.parameters())
    noise = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(0)).to(parameter.device)
    was_training = network.training
    try:
        network.eval()
        with torch.inference_mode():
            output = network(noise)
    except RuntimeError as error:
        raise InputError(
            f"The network does not take a 3-channel image of {height}×{width} pixels ({error}); "
            "give the input size it was built for."
        ) from error
    finally:
        for handle in handles:
            handle.remove()
        network.train(was_training)
    return calls, output


def inspect_layout(network: nn.Module, height: int, width: int) -> Layout:
    """Find head, pooled map and stages of a classification network from one forward pass on noise.

    Raises
    ------
    InputError
        The output is not the output of one linear layer, or that layer does not see one feature vector per image.
    """
    calls, output = _record_calls(network, height, width)
    heads = [
        call
        for call in calls
        if isinstance(call.module, nn.Linear)
        and isinstance(output, Tensor)
        and call.output.shape == output.shape
        and torch.equal(call.output, output)
    ]
    if not heads:
        last = calls[-1] if calls else None
        seen = f"`{last.name}` ({type(last.module).__name__})" if last else "no layer with a tensor output"
        raise InputError(
            f"The network's output is not the output of one linear layer: the last layer seen is {seen}. "
            "Scores need logits = W·features + b; give a network with a single linear head."
        )
    head = heads[-1]
    if head.input is None or head.input.ndim != 2:
        shape = None if head.input is None else tuple(head.input.shape)
        raise InputError(f"The head `{head.name}` reads an input of shape {shape}; wanted one vector (1, d) per image.")
    return Layout(head=head.name, map=_pooled_map(calls, head.input), stages=_stages(calls))


def _pooled_map(calls: list[_Call], features: Tensor) -> str | None:
    scale = features.abs().max().clamp_min(torch.finfo(features.dtype).tiny)
    matches = [
        call
        for call in calls
        if call.output.ndim == 4
        and call.output.shape[1] == features.shape[1]
        and (call.output.mean(dim=(2, 3)) - features).abs().max() <= POOLING_TOLERANCE * scale
    ]
    if not matches:
        return None
    largest_then_outermost = min(matches, key=lambda call: (-call.space[0] * call.space[1], call.depth, -call.is_block))
    return largest_then_outermost.name


def _stages(calls: list[_Call]) -> tuple[str, ...]:
    last_at: dict[tuple[int, int], str] = {}
    for call in calls:
        if call.output.ndim == 4 and call.is_block:
            last_at.pop(call.space, None)
            last_at[call.space] = call.name
    return tuple(last_at.values())
