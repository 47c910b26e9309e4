"""Whether zennit's composites say the truth about a network: every layer a module with a rule, used once.

zennit replaces the gradients of modules. What a network computes outside of them keeps its plain gradient, and that is
relevance only for functions that hand values on as they are. A sum of two branches written with a plus, say, would give
each of them the whole relevance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name
from zennit.composites import Composite
from zennit.core import collect_leaves
from zennit.layer import Sum
from zennit.types import Activation, AvgPool, BatchNorm, Linear

from nero_core.attribution.rules import Function
from nero_core.attribution.tracing import REPLAY_TOLERANCE, tensors_in
from nero_core.errors import InputError

USED_ONCE = (Linear, AvgPool, Sum)
"""Modules whose rule keeps the input it has seen: of a second call it would keep that alone."""

IDENTITY = {"running_mean": 0, "bias": 0, "running_var": 1, "weight": 1}
"""The values of a batch norm that does nothing any more."""

HANDED_ON = frozenset(
    {
        *(F.relu, torch.relu, Tensor.relu, Tensor.relu_, F.max_pool2d, F.dropout, F.pad),
        *(torch.flatten, Tensor.flatten, torch.reshape, Tensor.reshape, Tensor.view, Tensor.view_as),
        *(torch.cat, torch.stack, torch.squeeze, Tensor.squeeze, Tensor.__getitem__),
        *(torch.permute, Tensor.permute, torch.transpose, Tensor.transpose),
        *(torch.chunk, Tensor.chunk, torch.split, Tensor.split),
        *(Tensor.contiguous, Tensor.clone, Tensor.to, Tensor.type_as, Tensor.float),
    }
)
"""Functions whose plain gradient is their rule: they move values, or hand on those that are not zero."""


def check_rules(network: nn.Module, composite: Composite, height: int, width: int, name: str) -> None:
    """Run a network once on noise, under a composite, and look at every function that it calls.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode, and used by nobody else meanwhile. It is left as it was, except where an error is raised.
    composite : Composite
    height, width : int
        Size of the image, pixels.
    name : str
        What to call the network in errors.

    Raises
    ------
    InputError
        A function is called outside of the modules that have a rule, a batch norm could not be merged, a module with a
        rule is called twice or before the one that zennit takes for the first, or the logits change.
    """
    _check_merging(network, name)
    weight = next(network.parameters())
    noise = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)).to(weight)
    with torch.no_grad():
        bare = _logits(network, noise, name)
    image = noise.clone().requires_grad_()
    with composite.context(network), _followed(network) as calls, torch.enable_grad():
        logits = _logits(network, image, name)
        norms = [
            path for path, module in network.named_modules() if isinstance(module, BatchNorm) and not _merged(module)
        ]
    if calls.outside:
        called = ", ".join(sorted(set(calls.outside)))
        raise InputError(f"{name} calls {called} outside of modules, where zennit has no rule.")
    if norms:
        raise InputError(f"{name} has a batch norm, `{norms[0]}`, that zennit cannot merge into a layer before it.")
    if twice := [path for path, times in Counter(calls.order).items() if times > 1]:
        raise InputError(f"{name} calls `{twice[0]}` more than once, of which zennit's rules would see the last alone.")
    linear = [path for path, module in network.named_modules() if isinstance(module, Linear)]
    first = next(path for path in calls.order if path in set(linear))
    if first != linear[0]:
        raise InputError(f"{name} calls `{first}` first, where zennit takes `{linear[0]}` for its first layer.")
    difference = float((logits.detach() - bare).abs().max())
    if not difference <= REPLAY_TOLERANCE * float(bare.abs().max()):
        raise InputError(f"{name} gives other logits with its batch norms merged by zennit (by {difference:.1e}).")


def _logits(network: nn.Module, image: Tensor, name: str) -> Tensor:
    try:
        return cast(Tensor, network(image))
    except AttributeError as error:
        raise InputError(f"{name} reads into its layers where zennit's rules are put ({error}).") from error


def _check_merging(network: nn.Module, name: str) -> None:
    """Whether zennit can merge what it takes for pairs of a layer and its batch norm: neighbours among the modules.

    Raises
    ------
    InputError
        Two of these do not fit each other, or the batch norm lacks a value.
    """
    before: nn.Module | None = None
    for leaf in collect_leaves(network):
        if isinstance(before, Linear) and isinstance(leaf, BatchNorm):
            values, layer = leaf.state_dict(), before.state_dict()["weight"]
            if not IDENTITY.keys() <= values.keys() or layer.shape[0] != len(values["weight"]):
                raise InputError(f"{name} has a batch norm that zennit cannot merge into the layer listed before it.")
        before = leaf


def _has_rule(module: nn.Module) -> bool:
    """Whether zennit's composites replace the gradient of this module, and rightly so."""
    if isinstance(module, nn.MultiheadAttention):  # among zennit's activations, handed on as if it mixed nothing
        return False
    return isinstance(module, (*USED_ONCE, Activation))


def _merged(norm: nn.Module) -> bool:
    """Whether a batch norm was merged into the layer before it, and does nothing any more."""
    values = norm.state_dict()
    return all(name in values and bool((values[name] == value).all()) for name, value in IDENTITY.items())


class _Calls(TorchFunctionMode):
    """Which functions of the image are called outside of modules with a rule, and which of these in what order."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = 0
        self.outside: list[str] = []
        self.order: list[str] = []

    def __torch_function__(
        self, function: Function, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        result = function(*args, **named)
        on_the_way = any(tensor.requires_grad for tensor in tensors_in(result))
        if on_the_way and not self.inside and function not in HANDED_ON:
            self.outside.append(resolve_name(function) or str(function))
        return result


@contextmanager
def _followed(network: nn.Module) -> Iterator[_Calls]:
    """Listen to a network for the length of a block, in this thread only."""
    calls = _Calls()

    def enter(path: str, counted: bool) -> Callable[..., None]:
        def hook(*_: object) -> None:
            calls.inside += 1
            if counted:
                calls.order.append(path)

        return hook

    def leave(*_: object) -> None:
        calls.inside -= 1

    with ExitStack() as hooks:
        for path, module in network.named_modules():
            if _has_rule(module) or isinstance(module, BatchNorm):
                counted = isinstance(module, USED_ONCE)
                hooks.enter_context(module.register_forward_pre_hook(enter(path, counted)))
                hooks.enter_context(module.register_forward_hook(leave))
        yield hooks.enter_context(calls)
