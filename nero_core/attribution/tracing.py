"""A network as a list of rules: one step per function it calls, found by running it once."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode, resolve_name

from nero_core.attribution.rules import FIRST_RULES, RULES, Down, Function, Rule, left_of_batch_norm, padded_convolution
from nero_core.errors import InputError

IMAGE = 0
"""The number of the value every network starts from."""

REPLAY_TOLERANCE = 1e-3
"""Largest difference, as a share of the largest logit, between a network's logits and those of its rules. Each merged
batch norm takes 5e-6 of its values away."""


LEFT_UP_TO = 1e-5
"""Largest ε of a batch norm, torch's own default, whose rest zennit leaves is kept. One of 1e-3, as EfficientNet has
it, would take 2 % of the values away in forty layers."""


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
        """Logits (1, K) of an image, and the way down through each step.

        Parameters
        ----------
        image : (1, 3, H, W)
        """
        values = {IMAGE: image}
        downs = []
        for step in self.steps:
            values[step.output], down = step.rule(*(values[number] for number in step.inputs))
            downs.append(down)
        return values[self.logits], tuple(downs)

    def down(self, downs: Sequence[Down], relevance: Tensor, at: int, to: int) -> Tensor:
        """Bring the relevance of one value down to an earlier one, along every path between the two.

        Parameters
        ----------
        relevance : (k, …)
            Of the value `at`, k of them at once.
        """
        arrived = {at: relevance}
        for step, down in zip(reversed(self.steps), reversed(downs), strict=True):
            if step.output <= to:
                break
            if step.output in arrived:
                for number, part in zip(step.inputs, down(arrived.pop(step.output)), strict=True):
                    if part is not None:
                        arrived[number] = arrived[number] + part if number in arrived else part
        return arrived[to]


@dataclass(frozen=True, eq=False)
class _Call:
    """One call a network made: its arguments, the activations among them with their numbers, and its result's."""

    function: Function
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]
    activations: tuple[Tensor, ...]
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
        numbered = [(tensor, self.number_of(tensor)) for tensor in tensors_in([args, list(named.values())])]
        activations = tuple(tensor for tensor, number in numbered if number is not None)
        inputs = tuple(number for _, number in numbered if number is not None)
        result = function(*args, **named)
        made = list(tensors_in(result))
        if inputs and made:
            output = len(self.calls) + 1
            # A network may go on with a list that it passed, so lists are copied.
            arguments, named = _mapped(args, _same), _mapped(named, _same)
            self.calls.append(_Call(function, arguments, named, activations, inputs, output))
            self._numbers.update((id(tensor), (output, tensor)) for tensor in made)
        return result


def tensors_in(value: object) -> Iterator[Tensor]:
    """The tensors among the arguments or results of a call."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for element in value:
            yield from tensors_in(element)


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
    with ExitStack() as hooks:
        for path, module in network.named_modules():

            def keep(module: nn.Module, inputs: tuple[Any, ...], output: Any, path: str = path) -> None:
                reads.setdefault(path, []).append(listener.number_of(inputs[0]) if inputs else None)
                makes.setdefault(path, []).append(listener.number_of(output))

            hooks.enter_context(module.register_forward_hook(keep))
        with torch.no_grad(), listener:
            logits = network(image)

    features, output = reads[head][-1], listener.number_of(logits)
    if features is None or output is None:
        raise InputError(f"The head of {name}, `{head}`, is not computed from the image; check the network.")
    calls = _leading_to(output, listener.calls)
    carrying = _carrying(output, calls)
    # A module that is called twice, as the ReLU of a residual block is, is no place; nor is one inside a gate.
    places = {
        path: seen[0] for path, seen in makes.items() if path and len(seen) == 1 and seen[0] in carrying - {IMAGE}
    }
    steps = Steps(tuple(_steps(_merge_padding(_merge_batch_norms(calls)), carrying, name)), features, output, places)
    with torch.no_grad():
        difference = float((steps.up(noise)[0] - logits).abs().max())
    if not difference <= REPLAY_TOLERANCE * float(logits.abs().max()):
        raise InputError(
            f"The rules for {name} do not give its logits (they differ by {difference:.1e}), so relevance cannot be "
            "followed through it."
        )
    return steps


def _leading_to(output: int, calls: Sequence[_Call]) -> list[_Call]:
    """The calls that a value is computed from."""
    needed = {output}
    kept = []
    for call in reversed(calls):
        if call.output in needed:
            needed.update(call.inputs)
            kept.append(call)
    return kept[::-1]


def _carrying(output: int, calls: Sequence[_Call]) -> set[int]:
    """The numbers of the values that relevance comes by on its way down from one of them."""
    carrying = {output}
    for call in reversed(calls):
        if call.output in carrying:
            maker = RULES.get(call.function)
            carries = maker.carries(call.activations) if maker else [True] * len(call.inputs)
            carrying.update(number for number, yes in zip(call.inputs, carries, strict=True) if yes)
    return carrying


def _steps(calls: Sequence[_Call], carrying: set[int], name: str) -> Iterator[Step]:
    first = dict(FIRST_RULES)
    for call in calls:
        if call.output not in carrying:
            yield Step(_upwards_only(call), call.inputs, call.output)
            continue
        maker = first.get(call.function) or RULES.get(call.function)
        if call.function in first:
            first = {}
        wanted = maker and (len(list(tensors_in(call.arguments))) if maker.inputs is None else maker.inputs)
        fits = wanted == len(call.inputs)
        rule = maker.make(*call.arguments, **call.named) if maker is not None and fits else None
        if rule is None:
            called = resolve_name(call.function) or call.function
            raise InputError(f"{name} calls {called} in a way for which there is no relevance rule.")
        yield Step(rule, call.inputs, call.output)


def _upwards_only(call: _Call) -> Rule:
    """A call inside a gate: computed, but no relevance comes to it."""
    function, places = call.function, {id(tensor): place for place, tensor in enumerate(call.activations)}
    arguments, named = _marked(call.arguments, places), _marked(call.named, places)

    def rule(*values: Tensor) -> tuple[Tensor, Down]:
        # Some functions write over what they are given.
        own = [value.clone() for value in values]
        return function(*_filled(arguments, own), **_filled(named, own)), _nothing_below

    return rule


def _nothing_below(relevance: Tensor) -> tuple[Tensor, ...]:
    raise AssertionError("relevance came down to a gate")


@dataclass(frozen=True)
class _Place:
    """Where an activation goes among the arguments of a call."""

    number: int


def _marked(arguments: Any, places: Mapping[int, int]) -> Any:
    """Arguments with their activations replaced by places."""
    return _mapped(arguments, lambda value: _Place(places[id(value)]) if id(value) in places else value)


def _filled(arguments: Any, values: Sequence[Tensor]) -> Any:
    """The way back, with other activations."""
    return _mapped(arguments, lambda value: values[value.number] if isinstance(value, _Place) else value)


def _same(value: Any) -> Any:
    return value


def _mapped(arguments: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(arguments, Mapping):
        return {key: _mapped(value, change) for key, value in arguments.items()}
    if isinstance(arguments, list | tuple):
        return type(arguments)(_mapped(value, change) for value in arguments)
    return change(arguments)


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


def _merge_padding(calls: Sequence[_Call]) -> list[_Call]:
    """Merge the zeros that are laid round the image into the first convolution, whose rule counts pixels."""
    first = next((place for place, call in enumerate(calls) if call.function is F.conv2d), 0)
    if first == 0:
        return list(calls)
    pad, convolution = calls[first - 1 : first + 1]
    if pad.function is not F.pad or convolution.inputs != (pad.output,) or convolution.named:
        return list(calls)
    given = inspect.signature(F.pad).bind(*pad.arguments, **pad.named)
    given.apply_defaults()
    if given.arguments["mode"] != "constant" or given.arguments["value"]:
        return list(calls)
    x, widths = given.args[:2]
    merged = replace(
        convolution,
        function=padded_convolution,
        arguments=(x, *convolution.arguments[1:]),
        named={"pad": tuple(widths)},
        activations=pad.activations,
        inputs=pad.inputs,
    )
    return [*calls[: first - 1], merged, *calls[first + 1 :]]


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
        replace(norm, function=left_of_batch_norm, arguments=(z, eps if eps <= LEFT_UP_TO else 0.0), named={}),
    )
