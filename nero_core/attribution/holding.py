"""What a network is asked to hold constant, so that what is left is linear: a table with one entry per function.

The rules of conservative propagation (Ali et al., "XAI for Transformers", ICML 2022): the standard deviation of a layer
norm and the weights of attention are constants, and so is the ratio of an activation function's output to its input.
The network's values stay what they are; only the way of its gradient changes. To explain a further family of networks,
add the functions it calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name

from nero_core.attribution.rules import Function
from nero_core.attribution.tracing import tensors_in

HELD: dict[Function, Callable[..., Any]] = {}
"""What is called instead of a function: it gives the same values, or NotImplemented where it has no rule."""

LINEAR = frozenset(
    {
        *(F.conv2d, F.linear, F.batch_norm, F.avg_pool2d, F.adaptive_avg_pool2d, F.pad, F.dropout),
        *(F.relu, F.relu6, F.hardtanh, F.max_pool2d, torch.relu, Tensor.relu, Tensor.relu_),
        *(torch.add, Tensor.add, Tensor.add_, torch.sub, Tensor.sub, Tensor.sub_, Tensor.neg),
        *(torch.mean, Tensor.mean, torch.sum, Tensor.sum, torch.cat, torch.stack),
        *(torch.flatten, Tensor.flatten, torch.reshape, Tensor.reshape, Tensor.view, Tensor.unflatten),
        *(torch.permute, Tensor.permute, torch.transpose, Tensor.transpose, torch.roll, Tensor.roll),
        *(torch.squeeze, Tensor.squeeze, torch.unsqueeze, Tensor.unsqueeze, Tensor.expand, Tensor.repeat),
        *(torch.unbind, Tensor.unbind, torch.chunk, Tensor.chunk, torch.split, Tensor.split, Tensor.narrow),
        *(Tensor.__getitem__, Tensor.contiguous, Tensor.clone, Tensor.to, Tensor.type_as, Tensor.float),
    }
)
"""Functions that are linear as they are, apart from a constant; those of the second line piece by piece."""

LINEAR_IN_ONE = frozenset(
    {torch.mul, Tensor.mul, Tensor.mul_, torch.div, Tensor.div, torch.matmul, Tensor.matmul, torch.bmm, Tensor.bmm}
)
"""Functions that are linear where only one of their arguments depends on the image."""


def _held(*functions: Function) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(instead: Callable[..., Any]) -> Callable[..., Any]:
        HELD.update(dict.fromkeys(functions, instead))
        return instead

    return register


class _WithWayDown(torch.autograd.Function):
    """A value that was computed elsewhere, with a way down of its own for the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, down: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.down = down
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.down(gradients[0]), None, None


@_held(F.layer_norm, torch.layer_norm)
def _layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Any:
    """y = (x − mean(x))/σ · w + b with σ a constant."""
    axes = tuple(range(-len(normalized_shape), 0))
    with torch.no_grad():
        value = F.layer_norm(x, list(normalized_shape), weight, bias, eps)
        scale = torch.rsqrt(x.var(dim=axes, correction=0, keepdim=True) + eps)
        if weight is not None:
            scale = scale * weight

    def down(g: Tensor) -> Tensor:
        scaled = g * scale
        return scaled - scaled.mean(dim=axes, keepdim=True)

    return _WithWayDown.apply(x, value, down)


def _hold_ratio(function: Function) -> Callable[..., Any]:
    """f(x) = x · (f(x)/x) with the ratio a constant; 1/2 at 0, the limit for each of these functions."""

    def instead(x: Tensor, *arguments: Any, **named: Any) -> Any:
        with torch.no_grad():
            value = function(x.clone(), *arguments, **named)
            ratio = torch.where(x == 0, 0.5, value / x)
        return _WithWayDown.apply(x, value, lambda g: g * ratio)

    return instead


for _function in (F.gelu, F.silu, F.hardswish, F.mish):
    _held(_function)(_hold_ratio(_function))


def _attended(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None) -> Tensor:
    """softmax(q kᵀ/√d) v with the softmax a constant."""
    with torch.no_grad():
        scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
        weights = scores.softmax(dim=-1)
    return weights @ value


@_held(F.scaled_dot_product_attention)
def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    if dropout_p or is_causal or enable_gqa:
        return NotImplemented
    return _attended(query, key, value, attn_mask, scale)


@_held(F.multi_head_attention_forward)
def _multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    **named: Any,
) -> Any:
    """As torch.nn.MultiheadAttention calls it, (tokens, n, c), where nothing is masked or added."""
    masks = (named.get("key_padding_mask"), named.get("attn_mask"), bias_k, bias_v, named.get("static_k"))
    if in_proj_weight is None or training or add_zero_attn or any(mask is not None for mask in masks):
        return NotImplemented
    biases = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3)

    def heads(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """(tokens, n, c) → (n, heads, tokens, c/heads)"""
        return F.linear(x, weight, bias).view(*x.shape[:2], num_heads, -1).permute(1, 2, 0, 3)

    q, k, v = (heads(x, w, b) for x, w, b in zip((query, key, value), in_proj_weight.chunk(3), biases, strict=True))
    together = _attended(q, k, v, None, None).permute(2, 0, 1, 3).flatten(2)
    return F.linear(together, out_proj_weight, out_proj_bias), None


@_held(F.softmax, torch.softmax, Tensor.softmax)
def _softmax(x: Tensor, *arguments: Any, **named: Any) -> Any:
    with torch.no_grad():
        return torch.softmax(x, *arguments, **{key: value for key, value in named.items() if key != "_stacklevel"})


@_held(torch.mul, Tensor.mul)
def _gated(first: Tensor, second: Tensor) -> Any:
    """The smaller of two factors is a gate, and a constant; two of one size have no rule."""
    if not (isinstance(second, Tensor) and first.requires_grad and second.requires_grad):
        return NotImplemented
    if first.numel() == second.numel():
        return NotImplemented
    return first * second.detach() if first.numel() > second.numel() else first.detach() * second


class Holding(TorchFunctionMode):
    """While it is entered, and in this thread only, the functions of a table are held constant.

    Attributes
    ----------
    unruled : list of (name, gradient function)
        Calls that are neither held nor linear.
    held : int
        How many calls were held constant.
    """

    def __init__(self, table: Mapping[Function, Callable[..., Any]]) -> None:
        super().__init__()
        self._table = table
        self.unruled: list[tuple[str, object]] = []
        self.held = 0

    def __torch_function__(
        self, function: Function, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        dependent = sum(tensor.requires_grad for tensor in tensors_in([args, list(named.values())]))
        if not dependent or not torch.is_grad_enabled():
            return function(*args, **named)
        instead = self._table.get(function)
        result = NotImplemented if instead is None else instead(*args, **named)
        if result is not NotImplemented:
            self.held += 1
            return result
        result = function(*args, **named)
        if not (function in LINEAR or (function in LINEAR_IN_ONE and dependent == 1)):
            name = resolve_name(function) or str(function)
            self.unruled += [(name, tensor.grad_fn) for tensor in tensors_in(result) if tensor.requires_grad]
        return result
