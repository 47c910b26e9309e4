"""Where a network keeps its head, its last feature map and its stages: found by inspection, not by a list of names."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nero_core.errors import InputError
from nero_core.records import Layout

POOLING_TOLERANCE = 1e-4
"""Relative agreement wanted between a map's spatial mean and the features for it to count as the pooled map."""

GROUPS = 4
"""Into how many stages a network of one resolution is divided: as many as a convolutional network commonly has."""


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
    def parent(self) -> str:
        return self.name.rpartition(".")[0]


@dataclass(frozen=True, eq=False)
class _Map:
    """A call whose output is a feature map of one image, however its axes are ordered."""

    call: _Call
    channels_last: bool

    @property
    def space(self) -> tuple[int, int]:
        shape = self.call.output.shape
        return (shape[1], shape[2]) if self.channels_last else (shape[2], shape[3])

    def pooled(self) -> Tensor:
        return self.call.output.mean(dim=(1, 2) if self.channels_last else (2, 3))


def _record_calls(network: nn.Module, height: int, width: int) -> tuple[list[_Call], Tensor]:
    """All module calls of one forward pass on noise, in order of completion, and the network's output."""
    calls: list[_Call] = []
    parameter = next(network.parameters())
    noise = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(0)).to(parameter.device)
    was_training = network.training
    try:
        with ExitStack() as hooks, torch.inference_mode():
            for name, module in network.named_modules():
                if name:

                    def keep(module: nn.Module, args: tuple[object, ...], output: object, name: str = name) -> None:
                        if isinstance(output, Tensor):
                            first = args[0] if args and isinstance(args[0], Tensor) else None
                            calls.append(_Call(name, module, first, output))

                    hooks.enter_context(module.register_forward_hook(keep))
            output = network.eval()(noise)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise InputError(
            f"The network does not take a 3-channel image of {height}×{width} pixels ({error}); "
            "give the input size it was built for."
        ) from error
    finally:
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
    linear = [call for call in calls if isinstance(call.module, nn.Linear)]
    alike = [call for call in linear if isinstance(output, Tensor) and call.output.shape == output.shape]
    heads = [call for call in alike if torch.equal(call.output, output)]
    if not heads:
        raise InputError(_why_no_head(calls, alike))
    head = heads[-1]
    if head.input is None or head.input.ndim != 2:
        shape = None if head.input is None else tuple(head.input.shape)
        raise InputError(f"The head `{head.name}` reads an input of shape {shape}; wanted one vector (1, d) per image.")
    features = head.input
    pooled = [found for call in calls if (found := _as_pooled(call, features)) is not None]
    last = min(pooled, key=_largest_then_outermost) if pooled else None
    stages, tokens_or_last = _stages(calls, height, width)
    return Layout(
        head=head.name,
        map=last.call.name if last else None,
        stages=stages,
        channels_last=tokens_or_last | ({last.call.name} if last and last.channels_last else set()),
    )


def _why_no_head(calls: list[_Call], alike: list[_Call]) -> str:
    """In words; `alike` are linear layers with as many outputs as the network."""
    if len(alike) > 1:
        return (
            f"The network's output is made of {len(alike)} linear layers of {alike[0].output.shape[1]} outputs each "
            f"({', '.join(f'`{call.name}`' for call in alike)}). Scores need logits = W·features + b; give a network "
            "with a single linear head, such as deit_small_patch16_224 instead of deit_small_distilled_patch16_224."
        )
    last = calls[-1] if calls else None
    seen = f"`{last.name}` ({type(last.module).__name__})" if last else "no layer with a tensor output"
    return (
        f"The network's output is not the output of one linear layer: the last layer seen is {seen}. "
        "Scores need logits = W·features + b; give a network with a single linear head."
    )


def _as_pooled(call: _Call, features: Tensor) -> _Map | None:
    """The call as a map of more than one cell whose mean over space is the features, if it is one."""
    if call.output.ndim != 4:
        return None
    scale = features.abs().max().clamp_min(torch.finfo(features.dtype).tiny)
    for found in (_Map(call, False), _Map(call, True)):
        mean = found.pooled()
        if found.space == (1, 1) or mean.shape != features.shape:
            continue
        if (mean - features).abs().max() <= POOLING_TOLERANCE * scale:
            return found
    return None


def _largest_then_outermost(found: _Map) -> tuple[int, int, bool]:
    return -found.space[0] * found.space[1], found.call.depth, not found.call.is_block


def _as_map(call: _Call, height: int, width: int) -> _Map | None:
    """The call as a map whose space has the proportions of the image, if it has more than one cell."""
    if call.output.ndim != 4 or call.output.shape[0] != 1:
        return None
    for found in (_Map(call, False), _Map(call, True)):
        rows, columns = found.space
        # Strides round up, so that the two sides agree to less than one cell.
        if abs(rows * width - columns * height) < max(height, width) and rows * columns > 1:
            return found
    return None


def _stages(calls: list[_Call], height: int, width: int) -> tuple[tuple[str, ...], frozenset[str]]:
    """Names of the stages, and which of them have their channels last."""
    last_at: dict[tuple[int, int], _Map] = {}
    outermost: dict[tuple[int, int], int] = {}
    for call in calls:
        found = _as_map(call, height, width) if call.is_block else None
        if found is not None:
            outermost[found.space] = min(call.depth, outermost.get(found.space, call.depth))
            # Deeper inside, the first layers of the next stage's first block still have this resolution.
            if call.depth <= outermost[found.space] + 1:
                last_at.pop(found.space, None)
                last_at[found.space] = found
    stages: list[tuple[_Call, _Map | None]] = [(found.call, found) for found in last_at.values()]
    if len(stages) < 2 and (groups := _groups(calls)):
        stages = [(call, _as_map(call, height, width)) for call in groups]
    # Tokens are no map, and have their channels last, too.
    last = frozenset(call.name for call, found in stages if found is None or found.channels_last)
    return tuple(call.name for call, _ in stages), last


def _groups(calls: list[_Call]) -> list[_Call]:
    """The last block of each of GROUPS groups of the longest row of blocks alike; none where no row is long enough."""
    rows: dict[tuple[str, torch.Size], list[_Call]] = {}
    for call in calls:
        if call.is_block and call.output.ndim in (3, 4) and call.output.shape[0] == 1:
            rows.setdefault((call.parent, call.output.shape), []).append(call)
    longest = max(rows.values(), key=lambda row: (len(row), -row[0].depth), default=[])
    if len(longest) < GROUPS:
        return []
    return [longest[round((group + 1) * len(longest) / GROUPS) - 1] for group in range(GROUPS)]
