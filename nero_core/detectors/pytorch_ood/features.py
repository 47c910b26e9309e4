"""The library's detectors that read features and the head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import softmax

from nero_core.detectors.base import DetectorInfo, Paper
from nero_core.detectors.pytorch_ood.base import CHUNK_ROWS, LibraryDetector
from nero_core.detectors.registry import register
from nero_core.errors import InputError
from nero_core.records import Activations, Float64Array, FloatArray, Head
from nero_core.storage.typed import ABOVE_ZERO, MOST, AboveZero, AtLeastOne, Range, Shape, Share

if TYPE_CHECKING:
    from torch import Tensor, nn

BANK_CHUNK_ROWS = 4096
"""Training images taken into a bank at a time, as many as the library takes."""

PAIR_CHUNK_NUMBERS = 1 << 24
"""Similarities to training images held at a time, numbers: 64 MB in float32."""


@register
class DICE(LibraryDetector):
    """Energy with only those weights kept whose mean contribution W_kj·mean(a_j) is large.

    Parameters
    ----------
    p : float
        Share of weights set to zero, in [0, 1]; the paper's 0.9.
    """

    info = DetectorInfo("dice", "DICE", Paper(
        "DICE: Leveraging Sparsification for Out-of-Distribution Detection",
        ("Yiyou Sun", "Yixuan Li"),
        "ECCV", 2022, "https://arxiv.org/abs/2111.09805",
    ))  # fmt: skip
    reads = "features"
    learnt: ClassVar = {"masked_weight_": "masked_w"}
    masked_weight_: Annotated[FloatArray, Shape("K", "d")]
    """W where it is kept, else 0."""

    def __init__(self, p: Share = 0.9) -> None:
        self.p = p

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.DICE(None, head.weight, head.bias, self.p)

    def _predict(self, theirs: Any, values: Tensor) -> Tensor:
        # The library's product is (n, K, d); this one is (n, K), with the same weights.
        scores: Tensor = theirs.detector(values @ theirs.masked_w.T + theirs.bias)
        return scores


@register
class GradNorm(LibraryDetector):
    """S = −‖∂ KL(uniform ‖ p)/∂W‖₁ of the last layer, in closed form −‖a‖₁·‖p − 1/K‖₁/T.

    Parameters
    ----------
    temperature : float
        T of the softmax; 1 in the paper.
    """

    info = DetectorInfo("gradnorm", "GradNorm", Paper(
        "On the Importance of Gradients for Detecting Distributional Shifts in the Wild",
        ("Rui Huang", "Andrew Geng", "Yixuan Li"),
        "NeurIPS", 2021, "https://arxiv.org/abs/2110.00218",
    ), fits=False)  # fmt: skip
    reads = "features"

    def __init__(self, temperature: AboveZero = 1.0) -> None:
        self.temperature = temperature

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.GradNorm(head, lambda name: name == "weight", temperature=self.temperature)

    def _score(self, batch: Activations) -> Float64Array:
        # The library differentiates image by image; for the last layer the gradient is (p − 1/K) aᵀ / T.
        p = softmax(batch.logits.astype(np.float64) / self.temperature, axis=1)
        surprise = np.abs(p - 1 / self.head_.classes).sum(axis=1)
        size = np.abs(batch.features.astype(np.float64)).sum(axis=1)
        scores: Float64Array = -size * surprise / self.temperature
        return scores


@register
class SHE(LibraryDetector):
    """S = −a·(mean feature of the training images rightly predicted ŷ)."""

    info = DetectorInfo("she", "SHE", Paper(
        "Out-of-Distribution Detection based on In-Distribution Data Patterns Memorization with Modern Hopfield Energy",
        ("Jinsong Zhang", "Qiang Fu", "Xu Chen", "Lun Du", "Zelin Li", "Gang Wang", "Xiaoguang Liu", "Shi Han",
         "Dongmei Zhang"),
        "ICLR", 2023, "https://openreview.net/forum?id=KkazG4lgKL",
    ))  # fmt: skip
    reads = "features"
    learnt: ClassVar = {"patterns_": "patterns"}
    patterns_: Annotated[FloatArray, Shape("K", "d")]
    """Those means."""

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.SHE(None, head)


@register
class FDBD(LibraryDetector):
    """S = −mean distance to the decision boundaries of ŷ, over the distance to the training mean."""

    info = DetectorInfo("fdbd", "fDBD", Paper(
        "Fast Decision Boundary based Out-of-Distribution Detector",
        ("Litian Liu", "Yao Qin"),
        "ICML", 2024, "https://arxiv.org/abs/2312.11536",
    ))  # fmt: skip
    reads = "features"
    learnt: ClassVar = {"mean_": "train_mean", "normals_": "_denom_matrix"}
    single = True
    mean_: Annotated[FloatArray, Shape("d")]
    """Mean training feature."""
    normals_: Annotated[FloatArray, Shape("K", "K", values=ABOVE_ZERO)]
    """‖w_k − w_l‖₂."""

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.fDBD(None, head)

    def _check_head(self, head: Head) -> None:
        if head.classes < 2:
            raise InputError(f"{self.info.title} measures distances to boundaries between classes; this head has one.")

    def _learn(self, theirs: Any, values: Tensor, labels: Tensor) -> None:
        import torch

        # The library's table of boundary normals goes through (K, K, d); this one is (K, K) from the start.
        weight = theirs.head.weight.numpy()
        normals = cdist(weight, weight)
        # A class and itself, or two of equal weights, have no boundary: it adds nothing.
        normals[normals == 0] = np.finfo(np.float32).max
        theirs.train_mean = values.mean(dim=0)
        theirs._denom_matrix = torch.from_numpy(normals.astype(np.float32))


@register
class NNGuide(LibraryDetector):
    """S = energy times the mean similarity to the k nearest training features, these scaled by theirs.

    Keeps all training features: 4·n·d bytes, and about 100 MB while it scores, 64 MB of them similarities.

    Parameters
    ----------
    k : int
        Neighbours; the library's 10, at most n.
    """

    info = DetectorInfo("nnguide", "NNGuide", Paper(
        "Nearest Neighbor Guidance for Out-of-Distribution Detection",
        ("Jaewoo Park", "Yoon Gyo Jung", "Andrew Beng Jin Teoh"),
        "ICCV", 2023, "https://arxiv.org/abs/2309.14888",
    ))  # fmt: skip
    reads = "features"
    learnt: ClassVar = {"bank_": "_scaled_features"}
    single = True
    bank_: Annotated[FloatArray, Shape("n", "d")]
    """Training features, scaled."""

    def __init__(self, k: AtLeastOne = 10) -> None:
        self.k = k

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.NNGuide(None, head, self.k)

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        # The library holds five copies of all features at once while it fits, this holds one.
        bank = np.empty(train.features.shape, np.float32)
        for start in range(0, len(train), BANK_CHUNK_ROWS):
            rows = slice(start, start + BANK_CHUNK_ROWS)
            super()._fit(train[rows], head, calibration)
            bank[rows] = self.bank_
        self.bank_ = bank

    def _learn(self, theirs: Any, values: Tensor, labels: Tensor) -> None:
        theirs.k = min(theirs.k, len(values))
        super()._learn(theirs, values, labels)

    def _predict(self, theirs: Any, values: Tensor) -> Tensor:
        theirs.k = min(self.k, len(theirs._scaled_features))
        return super()._predict(theirs, values)

    def _rows_at_once(self) -> int:
        return max(1, PAIR_CHUNK_NUMBERS // len(self.bank_))


@register
class NCI(LibraryDetector):
    """S = −w_ŷ·(a − mean)/‖a − mean‖₂ − α‖a‖₁.

    Parameters
    ----------
    alpha : float, optional
        α. The paper tunes it on out-of-distribution images; where it is not given, both terms are equally
        large on the training images.
    """

    info = DetectorInfo("nci", "NCI", Paper(
        "Detecting Out-of-Distribution Through the Lens of Neural Collapse",
        ("Litian Liu", "Yao Qin"),
        "CVPR", 2025, "https://arxiv.org/abs/2311.01479",
    ))  # fmt: skip
    reads = "features"
    learnt: ClassVar = {"mean_": "global_mean", "alpha_": "alpha"}
    single = True
    mean_: Annotated[FloatArray, Shape("d")]
    """Mean training feature."""
    alpha_: Annotated[FloatArray, Shape()]
    """α."""

    def __init__(self, alpha: Annotated[float, Range(-MOST)] | None = None) -> None:
        self.alpha = alpha

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.NCI(None, head)

    def _learn(self, theirs: Any, values: Tensor, labels: Tensor) -> None:
        import torch

        super()._learn(theirs, values, labels)
        theirs.alpha = torch.tensor(0.0)
        if self.alpha is not None:
            theirs.alpha = torch.tensor(float(self.alpha))
            return
        angles = torch.cat(
            [self._predict(theirs, part).abs() for part in torch.chunk(values, 1 + len(values) // CHUNK_ROWS)]
        ).mean()
        size = values.abs().sum(dim=1).mean()
        theirs.alpha = angles / size if size > 0 else theirs.alpha

    def _predict(self, theirs: Any, values: Tensor) -> Tensor:
        # Features equal to the training mean have no direction: 0/0.
        return super()._predict(theirs, values).nan_to_num(nan=0.0)
