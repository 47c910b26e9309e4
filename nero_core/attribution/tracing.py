"""A network as a list of rules: one step per function it calls, found by running it once."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode, resolve_name

from nero_core.attribution.rules import FIRST_RULES, RULES, Down, Function, Rule, left_of_batch_norm
from nero_core.errors import InputError

IMAGE = 0
"""The number of the value every network starts from."""

REPLAY_TOLERANCE = 1e-3
"""Largest difference, as a share of the largest logit, between a network's logits and those of its rules. Each merged
batch norm takes 5e-6 of its values away."""


@dataclass(frozen=True, eq=False)
class Step:
    """One rule and the numbers of the values it reads and makes; steps are in order of these numbers."""

    rule: Rule
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True, eq=False)
class Steps:
    """A network as a list of rules; constant, so any number of threads may use it.

    Attributes
    ----------
    steps : tuple of Step
        In the order of the forward pass.
    features, logits : int
        Numbers of the value the head reads and of the value the network gives.
    places : {str: int}
        Number of each module's output, by dotted name, for modules that are called once.
    """

    steps: tuple[Step, ...]
    features: int
    logits: int
    places: Mapping[str, int]

    def up(self, image: Tensor) -> tuple[Tensor, tuple[Down, ...]]:
        """Logits (1, K) of an image (1, 3, H, W), and the way down through each step."""
        values = {IMAGE: image}
        downs = []
        for step in self.steps:
            values[step.output], down = step.rule(*(values[number] for number in step.inputs))
            downs.append(down)
        return values[self.logits], tuple(downs)

    def down(self, downs: Sequence[Down], relevance: Tensor, at: int, to: int) -> Tensor:
        """Bring the relevance (k, …) of one value down to an earlier one, along every path between the two."""
        arrived = {at: relevance}
        for step, down in zip(reversed(self.steps), reversed(downs), strict=True):
            if step.output <= to:
                break
            if step.output in arrived:
                for number, part in zip(step.inputs, down(arrived.pop(step.output)), strict=True):
                    arrived[number] = arrived[number] + part if number in arrived else part
        return arrived[to]


@dataclass(frozen=True, eq=False)
class _Call:
    """One call a network made: its arguments, the numbers of the activations among them, and that of its result."""

    function: Function
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]
    inputs: tuple[int, ...]
    output: int


class _Listener(TorchFunctionMode):
    """Lists the calls that lead on from an image: in this thread only, and only while it is entered."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.calls: list[_Call] = []
        # Each tensor is kept beside its number, so that no later one can take over its id.
        self._numbers: dict[int, tuple[int, Tensor]] = {id(image): (IMAGE, image)}

    def number_of(self, value: object) -> int | None:
        return self._numbers[id(value)][0] if id(value) in self._numbers else None

    def __torch_function__(
        self, function: Function, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        numbers = [self.number_of(argument) for argument in _tensors([args, list(named.values())])]
        inputs = tuple(number for number in numbers if number is not None)
        result = function(*args, **named)
        made = list(_tensors(result))
        if inputs and made:
            output = len(self.calls) + 1
            self.calls.append(_Call(function, args, named, inputs, output))
            self._numbers.update((id(tensor), (output, tensor)) for tensor in made)
        return result


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for element in value:
            yield from _tensors(element)


def trace(network: nn.Module, head: str, height: int, width: int, name: str) -> Steps:
    """Turn a network into a list of rules by running it once, on noise; the logits of the two are compared.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode, and used by nobody else meanwhile. The list keeps some of its weights.
    head : str
        Dotted name of the linear layer that gives the logits.
    height, width : int
        Size of the image, pixels.
    name : str
        What to call the network in errors.

    Raises
    ------
    InputError
        The network calls a function for which there is no rule, or the rules do not give its logits.
    """
    noise = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)).to(next(network.parameters()))
    image = noise.clone()
    listener = _Listener(image)
    reads: dict[str, list[int | None]] = {}
    makes: dict[str, list[int | None]] = {}
    handles = []
    for path, module in network.named_modules():

        def keep(module: nn.Module, inputs: tuple[Any, ...], output: Any, path: str = path) -> None:
            reads.setdefault(path, []).append(listener.number_of(inputs[0]) if inputs else None)
            makes.setdefault(path, []).append(listener.number_of(output))

        handles.append(module.register_forward_hook(keep))
    try:
        with torch.no_grad(), listener:
            logits = network(image)
    finally:
        for handle in handles:
            handle.remove()

    features, output = reads[head][-1], listener.number_of(logits)
    if features is None or output is None:
        raise InputError(f"The head of {name}, `{head}`, is not computed from the image; check the network.")
    calls, needed = _leading_to(output, listener.calls)
    # A module that is called twice, as the ReLU of a residual block is, is no place.
    places = {path: seen[0] for path, seen in makes.items() if path and len(seen) == 1 and seen[0] in needed - {IMAGE}}
    steps = Steps(tuple(_steps(_merge_batch_norms(calls), name)), features, output, places)
    with torch.no_grad():
        difference = float((steps.up(noise)[0] - logits).abs().max())
    if not difference <= REPLAY_TOLERANCE * float(logits.abs().max()):
        raise InputError(
            f"The rules for {name} do not give its logits (they differ by {difference:.1e}), so relevance cannot be "
            "followed through it. Use its instant maps, where it pools its last feature map."
        )
    return steps


def _leading_to(output: int, calls: Sequence[_Call]) -> tuple[list[_Call], set[int]]:
    """The calls that a value is computed from, and the numbers of all values on the way."""
    needed = {output}
    kept = []
    for call in reversed(calls):
        if call.output in needed:
            needed.update(call.inputs)
            kept.append(call)
    return kept[::-1], needed


def _steps(calls: Sequence[_Call], name: str) -> Iterator[Step]:
    first = dict(FIRST_RULES)
    for call in calls:
        maker = first.pop(call.function, None) or RULES.get(call.function)
        fits = maker is not None and maker.inputs == len(call.inputs)
        rule = maker.make(*call.arguments, **call.named) if maker is not None and fits else None
        if rule is None:
            known = sorted(filter(None, map(resolve_name, RULES)))
            raise InputError(
                f"{name} calls {resolve_name(call.function) or call.function} in a way for which there is no relevance "
                f"rule, so it has no pixel maps. Rules exist for batch norm after a layer and {', '.join(known)}. "
                "Use its instant maps, where it pools its last feature map."
            )
        yield Step(rule, call.inputs, call.output)


def _merge_batch_norms(calls: Sequence[_Call]) -> list[_Call]:
    """Merge each batch norm into the convolution before it, where it is the only one to read that."""
    readers = Counter(number for call in calls for number in call.inputs)
    kept: dict[int, _Call] = {}
    for call in calls:
        kept[call.output] = call
        before = kept.get(call.inputs[0])
        if call.function is F.batch_norm and before and before.function is F.conv2d and readers[before.output] == 1:
            kept[before.output], kept[call.output] = _merge(before, call)
    return list(kept.values())


def _merge(convolution: _Call, norm: _Call) -> tuple[_Call, _Call]:
    x, weight, *rest = convolution.arguments
    bias, *geometry = rest or [None]
    given = inspect.signature(F.batch_norm).bind(*norm.arguments, **norm.named)
    given.apply_defaults()
    z, mean, variance, scale, shift, training, _, eps = given.args
    if training or convolution.named:
        return convolution, norm
    weight, bias = fuse_conv_bn_weights(weight, bias, mean, variance, eps, scale, shift)
    return (
        replace(convolution, arguments=(x, weight.detach(), bias.detach(), *geometry)),
        replace(norm, function=left_of_batch_norm, arguments=(z, eps), named={}),
    )
