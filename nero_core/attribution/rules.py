"""How relevance passes through one function: a table with a rule per function a network may call.

The choice of rules is the one zennit calls `EpsilonPlusFlat`: epsilon for linear layers, z-plus for convolutions, flat
for the first of them, shares in proportion for sums and average pooling, and everything else passed on as it comes. A
gate, as squeeze-and-excitation has it, is held constant: what it multiplies takes the relevance. To explain a further
family of networks, add the functions it calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_input

EPSILON = 1e-6
"""Stabiliser of every division, and the ε of the epsilon rule: zennit's default."""

Down = Callable[[Tensor], tuple[Tensor | None, ...]]
"""From the relevance of an output, (k, …) for k questions at once, to that of each input, (k, …); None for no part."""

Rule = Callable[..., tuple[Tensor, Down]]
"""A function of one image's activations, (1, …) each, that gives its output and the way down for relevance."""

Function = Callable[..., Any]
"""A function of torch, as a network calls it."""


@dataclass(frozen=True)
class RuleMaker:
    """Builds the rule for one call of a function.

    Attributes
    ----------
    make : callable
        Takes the arguments of the call (so its signature is the function's) and gives the rule, or None where these
        arguments have none. Weights belong to the rule from then on; activations are not kept.
    inputs : int or None
        How many of the arguments are activations; None for any number.
    carries : callable
        Tells from the activations which of them relevance goes down to: all, unless said otherwise.
    """

    make: Callable[..., Rule | None]
    inputs: int | None
    carries: Callable[[Sequence[Tensor]], list[bool]]


RULES: dict[Function, RuleMaker] = {}
"""Rules by function."""

FIRST_RULES: dict[Function, RuleMaker] = {}
"""Rules that take precedence for the first convolution of a network."""


def _to_all(activations: Sequence[Tensor]) -> list[bool]:
    return [True] * len(activations)


def _rule_for(
    *functions: Function,
    inputs: int | None = 1,
    table: dict[Function, RuleMaker] = RULES,
    carries: Callable[[Sequence[Tensor]], list[bool]] = _to_all,
) -> Callable[[Callable[..., Rule | None]], Callable[..., Rule | None]]:
    def register(make: Callable[..., Rule | None]) -> Callable[..., Rule | None]:
        table.update(dict.fromkeys(functions, RuleMaker(make, inputs, carries)))
        return make

    return register


def _convolve_back(shape: tuple[int, ...], weight: Tensor, r: Tensor, *geometry: Any) -> Tensor:
    """The convolution transposed: Σ over the outputs r that an input reaches, weighted as it reaches them."""
    return cast(Tensor, conv2d_input(shape, weight, r, *geometry))  # type: ignore[no-untyped-call]


def _stabilise(z: Tensor) -> Tensor:
    """z + ε·sign(z), with sign(0) := +1."""
    return torch.where(z < 0, z - EPSILON, z + EPSILON)


@_rule_for(F.linear)
def _epsilon(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Rule:
    """Epsilon rule (Bach et al., 2015): R_j = x_j Σ_k W_kj R_k / (z_k + ε·sign(z_k)) with z = Wx + b."""

    def rule(x: Tensor) -> tuple[Tensor, Down]:
        z = F.linear(x, weight, bias)
        return z, lambda r: (x * ((r / _stabilise(z)) @ weight),)

    return rule


@_rule_for(F.conv2d)
def _z_plus(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Rule | None:
    """Z-plus rule (Bach et al., 2015; α = 1, β = 0): R_j = Σ_k (x_j W_kj)⁺ R_k / (b_k⁺ + Σ_i (x_i W_ki)⁺).

    A product is positive where both factors have one sign, (xW)⁺ = x⁺W⁺ + x⁻W⁻; inputs without a negative value, as
    they come from a ReLU, need only the first half.
    """
    if isinstance(padding, str):
        return None
    geometry = (stride, padding, dilation, groups)
    positive = weight.clamp(min=0)
    positive_bias = (weight.new_zeros(1) if bias is None else bias.clamp(min=0))[:, None, None]

    def rule(x: Tensor) -> tuple[Tensor, Down]:
        halves = [(x, positive)]
        if x.min() < 0:
            halves = [(x.clamp(min=0), positive), (x.clamp(max=0), weight.clamp(max=0))]
        z = positive_bias + sum(F.conv2d(half, w, None, *geometry) for half, w in halves)
        per_z = 1 / _stabilise(z)

        def down(r: Tensor) -> tuple[Tensor]:
            s = r * per_z
            shape = (len(r), *x.shape[1:])
            parts = [half * _convolve_back(shape, w, s, *geometry) for half, w in halves]
            return (parts[0] if len(parts) == 1 else parts[0] + parts[1],)

        return F.conv2d(x, weight, bias, *geometry), down

    return rule


def padded_convolution(x: Tensor, weight: Tensor, *arguments: Any, pad: Sequence[int]) -> Tensor:
    """A convolution of an image with zeros laid round it, as one function: its rule knows the zeros from pixels.

    Parameters
    ----------
    x : (n, 3, H, W)
    weight : (c, 3, h, w)
    """
    return F.conv2d(F.pad(x, pad), weight, *arguments)


@_rule_for(F.conv2d, padded_convolution, table=FIRST_RULES)
def _flat(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    pad: Sequence[int] = (0, 0, 0, 0),
) -> Rule | None:
    """Flat rule (Lapuschkin et al., 2019): each output's relevance is spread evenly over the pixels it has seen.

    It is z-plus with ones for x and W; zeros that a network lays round the image are no pixels. All channels then get
    the same, so one of them is computed.
    """
    if isinstance(padding, str) or groups != 1:
        return None
    channels = weight.shape[1]
    ones = weight.new_ones(1, 1, *weight.shape[2:])

    def rule(x: Tensor) -> tuple[Tensor, Down]:
        laid_out = F.pad(x, pad)
        size = laid_out.shape[2:]
        seen = channels * F.conv2d(F.pad(x.new_ones(1, 1, *x.shape[2:]), pad), ones, None, stride, padding, dilation)

        def down(r: Tensor) -> tuple[Tensor]:
            s = r.sum(dim=1, keepdim=True) / _stabilise(seen)
            spread = _convolve_back((len(r), 1, *size), ones, s, stride, padding, dilation)
            return (F.pad(spread, [-width for width in pad]).expand(-1, channels, -1, -1),)

        return F.conv2d(laid_out, weight, bias, stride, padding, dilation), down

    return rule


@_rule_for(F.batch_norm)
def _affine(
    x: Tensor,
    mean: Tensor | None,
    variance: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Rule | None:
    """A batch norm that follows no convolution of its own is one of 1×1 per channel: z-plus, (xw)⁺R / (b⁺ + (xw)⁺)."""
    if training or mean is None or variance is None:
        return None
    w = (1 if weight is None else weight) / torch.sqrt(variance + eps)
    b = (0 if bias is None else bias) - mean * w
    w, b = w[:, None, None], b[:, None, None]

    def rule(x: Tensor) -> tuple[Tensor, Down]:
        xw = x * w
        positive = xw.clamp(min=0)
        share = positive / _stabilise(positive + b.clamp(min=0))
        return xw + b, lambda r: (r * share,)

    return rule


def _signal_only(factors: Sequence[Tensor]) -> list[bool]:
    """The larger of two factors is the signal and the other its gate."""
    return [factor.numel() == max(f.numel() for f in factors) for factor in factors]


@_rule_for(torch.mul, Tensor.mul, inputs=2, carries=_signal_only)
def _gated(first: Tensor, second: Tensor) -> Rule | None:
    """One factor per channel (Hu et al., 2018) is held constant, and what it multiplies takes all relevance."""
    of_signal = _signal_only([first, second])
    if all(of_signal):
        return None
    return lambda first, second: (first * second, lambda r: tuple(r if signal else None for signal in of_signal))


@_rule_for(torch.cat, inputs=None)
def _side_by_side(parts: Sequence[Tensor], dim: int = 0) -> Rule | None:
    """Each part keeps its own."""
    if dim == 0:
        return None
    sizes = [part.shape[dim] for part in parts]
    return lambda *parts: (torch.cat(parts, dim), lambda r: torch.split(r, sizes, dim))


@_rule_for(F.pad)
def _padded(x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Rule | None:
    """What was there before keeps its own; zeros have none."""
    if mode != "constant" or value:
        return None
    return lambda x: (F.pad(x, pad), lambda r: (F.pad(r, [-width for width in pad]),))


@_rule_for(torch.add, Tensor.add, Tensor.add_, inputs=2)
def _sum(first: Tensor, second: Tensor, *, alpha: float = 1) -> Rule | None:
    """Each summand gets relevance in proportion: R_a = a·R / (z + ε·sign(z)) with z = a + b."""
    if alpha != 1 or first.shape != second.shape:
        return None

    def rule(first: Tensor, second: Tensor) -> tuple[Tensor, Down]:
        z = first + second
        per_z = 1 / _stabilise(z)
        share_of_first, share_of_second = first * per_z, second * per_z
        return z, lambda r: (r * share_of_first, r * share_of_second)

    return rule


def _average(pool: Function) -> Callable[..., Rule]:
    """Average pooling is a sum: R_j = x_j Σ_k w_kj R_k / (z_k + ε·sign(z_k)), where z_k = Σ_j w_kj x_j."""

    def make(x: Tensor, *arguments: Any, **named: Any) -> Rule:
        def rule(x: Tensor) -> tuple[Tensor, Down]:
            z, transposed = torch.func.vjp(lambda x: pool(x, *arguments, **named), x)  # type: ignore[misc]
            down_each = torch.func.vmap(lambda r: transposed(r[None])[0][0])
            return z, lambda r: (x * down_each(r / _stabilise(z)),)

        return rule

    return make


_rule_for(F.avg_pool2d)(_average(F.avg_pool2d))
_rule_for(F.adaptive_avg_pool2d)(_average(F.adaptive_avg_pool2d))


@_rule_for(torch.mean, Tensor.mean)
def _mean(x: Tensor, dim: Any = None, keepdim: bool = False) -> Rule | None:
    """The mean over space."""
    axes = (dim,) if isinstance(dim, int) else dim or ()
    if x.ndim != 4 or sorted(axis % 4 for axis in axes) != [2, 3]:
        return None
    return _average(torch.mean)(x, dim, keepdim)


@_rule_for(F.max_pool2d)
def _winner(x: Tensor, *arguments: Any, **named: Any) -> Rule | None:
    """Max pooling: the largest value of a window gets the window's relevance."""

    def rule(x: Tensor) -> tuple[Tensor, Down]:
        output, place = F.max_pool2d_with_indices(x, *arguments, **named)

        def down(r: Tensor) -> tuple[Tensor]:
            below = r.new_zeros(len(r), *x.shape[1:])
            below.flatten(2).scatter_add_(2, place.flatten(2).expand(len(r), -1, -1), r.flatten(2))
            return (below,)

        return output, down

    return rule


def left_of_batch_norm(x: Tensor, eps: float) -> Tensor:
    """What zennit leaves of a batch norm that it merged into the layer before: x / √(1 + ε).

    Kept, since sums of two large values of opposite sign make 1 % of a map of these 5e-6.

    Parameters
    ----------
    x : (n, c, …)
        Values on the way up, or relevance on the way down.
    """
    return x / math.sqrt(1 + eps)


@_rule_for(left_of_batch_norm)
def _left_of_batch_norm(x: Tensor, eps: float) -> Rule:
    return lambda x: (left_of_batch_norm(x, eps), lambda r: (left_of_batch_norm(r, eps),))


def _passed_on(function: Function) -> Rule:
    """Element by element: the relevance of the output is that of the input."""

    def rule(x: Tensor) -> tuple[Tensor, Down]:
        shape = x.shape[1:]
        return function(x), lambda r: (r.reshape(len(r), *shape),)

    return rule


def _activation(function: Function) -> Callable[..., Rule]:
    """An activation function, never in place: others may read its input, too."""
    return lambda x, inplace=False: _passed_on(function)


_rule_for(F.relu, torch.relu, Tensor.relu, Tensor.relu_)(_activation(torch.relu))
for _function in (F.relu6, F.silu, F.hardswish):
    _rule_for(_function)(_activation(_function))


@_rule_for(F.hardtanh)
def _hardtanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Rule:
    return _passed_on(lambda x: F.hardtanh(x, min_val, max_val))


@_rule_for(torch.flatten, Tensor.flatten)
def _flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Rule | None:
    return _passed_on(lambda x: x.flatten(start_dim, end_dim)) if start_dim != 0 else None


@_rule_for(F.dropout)
def _dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Rule | None:
    return None if training else _passed_on(lambda x: x)
