"""The library's detectors that read logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from nero_core.detectors.base import DetectorInfo, Paper
from nero_core.detectors.pytorch_ood.base import LibraryDetector
from nero_core.detectors.registry import register
from nero_core.records import FloatArray
from nero_core.storage.typed import ABOVE_ZERO, AT_LEAST_ZERO, AboveZero, AtLeastOne, Shape

if TYPE_CHECKING:
    from torch import Tensor, nn

SCALING_PAPER = Paper(
    "Scaling Out-of-Distribution Detection for Real-World Settings",
    ("Dan Hendrycks", "Steven Basart", "Mantas Mazeika", "Andy Zou", "Joe Kwon", "Mohammadreza Mostajabi",
     "Jacob Steinhardt", "Dawn Song"),
    "ICML", 2022, "https://arxiv.org/abs/1911.11132",
)  # fmt: skip


@register
class MSP(LibraryDetector):
    """S = −max_k p_k.

    Parameters
    ----------
    temperature : float
        T of the softmax; 1 in the paper.
    """

    info = DetectorInfo("msp", "MSP", Paper(
        "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks",
        ("Dan Hendrycks", "Kevin Gimpel"),
        "ICLR", 2017, "https://arxiv.org/abs/1610.02136",
    ), fits=False)  # fmt: skip
    reads = "logits"

    def __init__(self, temperature: AboveZero = 1.0) -> None:
        self.temperature = temperature

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.MaxSoftmax(None, self.temperature)


@register
class TemperatureScaling(LibraryDetector):
    """S = −max_k softmax(z/T)_k with the T of least cross-entropy on the training images."""

    info = DetectorInfo("temperature_scaling", "Temperature scaling", Paper(
        "On Calibration of Modern Neural Networks",
        ("Chuan Guo", "Geoff Pleiss", "Yu Sun", "Kilian Q. Weinberger"),
        "ICML", 2017, "https://arxiv.org/abs/1706.04599",
    ))  # fmt: skip
    reads = "logits"
    learnt: ClassVar = {"temperature_": "t"}
    temperature_: Annotated[FloatArray, Shape(values=ABOVE_ZERO)]
    """T."""

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.TemperatureScaling(None)


@register
class Energy(LibraryDetector):
    """S = −T·logsumexp(z/T).

    Parameters
    ----------
    temperature : float
        T; 1 in the paper.
    """

    info = DetectorInfo("energy", "Energy", Paper(
        "Energy-based Out-of-distribution Detection",
        ("Weitang Liu", "Xiaoyun Wang", "John D. Owens", "Yixuan Li"),
        "NeurIPS", 2020, "https://arxiv.org/abs/2010.03759",
    ), fits=False)  # fmt: skip
    reads = "logits"

    def __init__(self, temperature: AboveZero = 1.0) -> None:
        self.temperature = temperature

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.EnergyBased(None, self.temperature)


@register
class MaxLogit(LibraryDetector):
    """S = −max_k z_k."""

    info = DetectorInfo("max_logit", "MaxLogit", SCALING_PAPER, fits=False)
    reads = "logits"

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.MaxLogit(None)


@register
class Entropy(LibraryDetector):
    """S = −Σ_k p_k log p_k."""

    info = DetectorInfo("entropy", "Entropy", Paper(
        "Entropy Maximization and Meta Classification for Out-of-Distribution Detection in Semantic Segmentation",
        ("Robin Chan", "Matthias Rottmann", "Hanno Gottschalk"),
        "ICCV", 2021, "https://arxiv.org/abs/2012.06575",
    ), fits=False)  # fmt: skip
    reads = "logits"

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.Entropy(None)


@register
class GEN(LibraryDetector):
    """S = mean over the M largest p of p^γ (1 − p)^γ, the generalised entropy.

    Parameters
    ----------
    gamma : float
        γ; 0.1 in the paper.
    top_classes : int
        M; the paper's 100, at most K.
    """

    info = DetectorInfo("gen", "GEN", Paper(
        "GEN: Pushing the Limits of Softmax-Based Out-of-Distribution Detection",
        ("Xixi Liu", "Yaroslava Lochman", "Christopher Zach"),
        "CVPR", 2023,
        "https://openaccess.thecvf.com/content/CVPR2023/html/Liu_GEN_Pushing_the_Limits_of_Softmax-Based_Out-of-Distribution_Detection_CVPR_2023_paper.html",
    ), fits=False)  # fmt: skip
    reads = "logits"

    def __init__(self, gamma: AboveZero = 0.1, top_classes: AtLeastOne = 100) -> None:
        self.gamma = gamma
        self.top_classes = top_classes

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.GEN(None, self.gamma, min(self.top_classes, head.out_features))


@register
class KLMatching(LibraryDetector):
    """S = min_c KL(p ‖ mean p of the training images predicted c), over the classes that are predicted."""

    info = DetectorInfo("kl_matching", "KL-matching", SCALING_PAPER)
    reads = "logits"
    learnt: ClassVar = {"distributions_": "dists"}
    distributions_: Annotated[FloatArray, Shape("predicted", "K", values=AT_LEAST_ZERO)]
    """Mean p by predicted class."""

    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        return library.KLMatching(None)

    def _learn(self, theirs: Any, values: Tensor, labels: Tensor) -> None:
        import torch

        super()._learn(theirs, values, labels)
        theirs.dists = torch.stack(list(theirs.dists.values()))  # the library keeps a dictionary by predicted class

    def _predict(self, theirs: Any, values: Tensor) -> Tensor:
        if not isinstance(theirs.dists, dict):
            theirs.dists = dict(enumerate(theirs.dists))
        return super()._predict(theirs, values)
