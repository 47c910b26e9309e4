"""The library's detectors that shape the pooled features before the head, and score by energy.

They shape a map of one cell, (n, d, 1, 1), as their authors do for networks that end in a global pooling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from nero_core.detectors.base import DetectorInfo, Paper
from nero_core.detectors.pytorch_ood.base import LibraryDetector
from nero_core.detectors.registry import register
from nero_core.errors import InputError
from nero_core.records import FloatArray, Head
from nero_core.storage.typed import Range, Shape, Share

if TYPE_CHECKING:
    from torch import Tensor, nn

LessThanAll = Annotated[float, Range(0, 1, "most")]


def on_maps(head: nn.Linear) -> Callable[[Tensor], Tensor]:
    """The head for maps of one cell, (n, d, 1, 1)."""
    return lambda maps: head(maps.flatten(start_dim=1))


@register
class ReAct(LibraryDetector):
    """Energy of the pooled features clipped from above, min(a, c).

    Parameters
    ----------
    percentile : float
        c is this quantile of all training features, in [0, 1]; the paper's 0.9.
    """

    info = DetectorInfo("react", "ReAct", Paper(
        "ReAct: Out-of-distribution Detection With Rectified Activations",
        ("Yiyou Sun", "Chuan Guo", "Yixuan Li"),
        "NeurIPS", 2021, "https://arxiv.org/abs/2111.12797",
    ))  # fmt: skip
    reads = "feature_maps"
    learnt: ClassVar = {"threshold_": "threshold"}
    threshold_: Annotated[FloatArray, Shape()]
    """c."""

    def __init__(self, percentile: Share = 0.9) -> None:
        self.percentile = percentile

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.ReAct(None, on_maps(head), percentile=self.percentile)


@register
class VRA(LibraryDetector):
    """Energy of the pooled features clipped from both sides, each feature at its own training quantiles.

    Parameters
    ----------
    lower_percentile, upper_percentile : float
        In [0, 1]; the library's 0.01 and 0.99.
    """

    info = DetectorInfo("vra", "VRA", Paper(
        "VRA: Variational Rectified Activation for Out-of-distribution Detection",
        ("Mingyu Xu", "Zheng Lian", "Bin Liu", "Jianhua Tao"),
        "NeurIPS", 2023, "https://arxiv.org/abs/2302.11716",
    ))  # fmt: skip
    reads = "feature_maps"
    learnt: ClassVar = {"lower_": "_lower_threshold", "upper_": "_upper_threshold"}
    lower_: Annotated[FloatArray, Shape("d", 1, 1)]
    """Least value of each feature."""
    upper_: Annotated[FloatArray, Shape("d", 1, 1)]
    """Largest value of each."""

    def __init__(self, lower_percentile: Share = 0.01, upper_percentile: Share = 0.99) -> None:
        self.lower_percentile = lower_percentile
        self.upper_percentile = upper_percentile

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.VRA(None, on_maps(head), self.lower_percentile, self.upper_percentile)


class DividingByKept(LibraryDetector):
    """ASH and SCALE divide by the sum of the features kept."""

    percentile: float

    def _check_head(self, head: Head) -> None:
        if head.width - round(head.width * self.percentile) < 1:
            raise InputError(
                f"{self.info.title} keeps none of {head.width} features at `percentile` {self.percentile}; lower it."
            )

    def _predict(self, theirs: Any, values: Tensor) -> Tensor:
        import torch

        # All features zero: 0/0. The smallest equal features have the same logits, the biases.
        nothing = (values == 0).all(dim=1, keepdim=True)
        return super()._predict(theirs, values.masked_fill(nothing, torch.finfo(values.dtype).tiny))


@register
class ASH(DividingByKept):
    """Energy of the pooled features with the smallest set to zero and the others scaled up.

    Parameters
    ----------
    variant : {"ash-s", "ash-b", "ash-p"}
        Scale, binarise or only prune; "ash-s" leads in the paper.
    percentile : float
        Share of an image's features set to zero, in [0, 1); the paper's 0.9.
    """

    info = DetectorInfo("ash", "ASH", Paper(
        "Extremely Simple Activation Shaping for Out-of-Distribution Detection",
        ("Andrija Djurisic", "Nebojsa Bozanic", "Arjun Ashok", "Rosanne Liu"),
        "ICLR", 2023, "https://arxiv.org/abs/2209.09858",
    ), fits=False)  # fmt: skip
    reads = "feature_maps"

    def __init__(self, variant: Literal["ash-s", "ash-b", "ash-p"] = "ash-s", percentile: LessThanAll = 0.9) -> None:
        self.variant = variant
        self.percentile = percentile

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.ASH(None, on_maps(head), self.variant, self.percentile)


@register
class SCALE(DividingByKept):
    """Energy of the pooled features times exp(Σ all / Σ the largest).

    Parameters
    ----------
    percentile : float
        Share of an image's features left out of the second sum, in [0, 1); the paper's 0.85.
    """

    info = DetectorInfo("scale", "SCALE", Paper(
        "Scaling for Training Time and Post-hoc Out-of-distribution Detection Enhancement",
        ("Kai Xu", "Rongyu Chen", "Gianni Franchi", "Angela Yao"),
        "ICLR", 2024, "https://arxiv.org/abs/2310.00227",
    ), fits=False)  # fmt: skip
    reads = "feature_maps"

    def __init__(self, percentile: LessThanAll = 0.85) -> None:
        self.percentile = percentile

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.SCALE(None, on_maps(head), self.percentile)
