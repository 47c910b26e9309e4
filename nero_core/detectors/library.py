"""Detectors of the library pytorch-ood (Kirchheim et al., 2022) over arrays that were extracted once: one table.

A row says what a detector is, which parameters it has and how the library's object is made from them; the maths is
the library's.

ReAct, VRA, ASH and SCALE shape the pooled features (a map of one cell) in front of the linear head, as their authors
do for networks that end in a global pooling.

What the false-alarm guarantee rests on is that nothing is learnt from the calibration images: temperature scaling
and KL-matching, for which their authors hold images out, learn from the training images here.

Detectors with an exact account are in `library_explained`, those that see the images again in `library_images`.
"""

from __future__ import annotations

import inspect
from typing import Annotated, Literal

from nero_core.detectors.base import DetectorInfo, register
from nero_core.detectors.library_adapters import (
    FDBD,
    NCI,
    Adapter,
    Dice,
    GradNorm,
    KLMatching,
    NNGuide,
    Row,
    Shaped,
    learnt,
    on_maps,
)
from nero_core.storage.typed import ABOVE_ZERO, AT_LEAST_ZERO, MOST, AboveZero, AtLeastOne, Range, Share

LessThanAll = Annotated[float, Range(0, 1, "most")]

TABLE = (
    Row(
        name="msp",
        title="MSP",
        paper="Hendrycks and Gimpel, ICLR 2017, arXiv 1610.02136",
        year=2017,
        library="MaxSoftmax",
        reads="logits",
        about="""S = −max_k p_k.

        Parameters
        ----------
        temperature : float
            T of the softmax; 1 in the paper.
        """,
        parameters={"temperature": (AboveZero, 1.0)},
        make=lambda cls, me, head: cls(None, me.temperature),
    ),
    Row(
        name="temperature_scaling",
        title="Temperature scaling",
        paper="Guo et al., ICML 2017, arXiv 1706.04599",
        year=2017,
        library="TemperatureScaling",
        reads="logits",
        about="""S = −max_k softmax(z/T)_k with the T of least cross-entropy on the training images.""",
        make=lambda cls, me, head: cls(None),
        fitted={"temperature_": learnt("t", values=ABOVE_ZERO)},
    ),
    Row(
        name="energy",
        title="Energy",
        paper="Liu et al., NeurIPS 2020, arXiv 2010.03759",
        year=2020,
        library="EnergyBased",
        reads="logits",
        about="""S = −T·logsumexp(z/T).

        Parameters
        ----------
        temperature : float
            T; 1 in the paper.
        """,
        parameters={"temperature": (AboveZero, 1.0)},
        make=lambda cls, me, head: cls(None, me.temperature),
    ),
    Row(
        name="max_logit",
        title="MaxLogit",
        paper="Hendrycks et al., ICML 2022, arXiv 1911.11132",
        year=2022,
        library="MaxLogit",
        reads="logits",
        about="""S = −max_k z_k.""",
        make=lambda cls, me, head: cls(None),
    ),
    Row(
        name="entropy",
        title="Entropy",
        paper="Chan et al., ICCV 2021, arXiv 2012.06575",
        year=2021,
        library="Entropy",
        reads="logits",
        about="""S = −Σ_k p_k log p_k.""",
        make=lambda cls, me, head: cls(None),
    ),
    Row(
        name="gen",
        title="GEN",
        paper="Liu et al., CVPR 2023",
        year=2023,
        library="GEN",
        reads="logits",
        about="""S = mean over the M largest p of p^γ (1 − p)^γ, the generalised entropy.

        Parameters
        ----------
        gamma : float
            γ; 0.1 in the paper.
        top_classes : int
            M; the paper's 100, at most K.
        """,
        parameters={"gamma": (AboveZero, 0.1), "top_classes": (AtLeastOne, 100)},
        make=lambda cls, me, head: cls(None, me.gamma, min(me.top_classes, head.out_features)),
    ),
    Row(
        name="kl_matching",
        title="KL-matching",
        paper="Hendrycks et al., ICML 2022, arXiv 1911.11132",
        year=2022,
        library="KLMatching",
        reads="logits",
        about="""S = min_c KL(p ‖ mean p of the training images predicted c), over the classes that are predicted.""",
        make=lambda cls, me, head: cls(None),
        fitted={"distributions_": learnt("dists", "predicted", "K", values=AT_LEAST_ZERO)},
        adapter=KLMatching,
    ),
    Row(
        name="react",
        title="ReAct",
        paper="Sun et al., NeurIPS 2021, arXiv 2111.12797",
        year=2021,
        library="ReAct",
        reads="feature_maps",
        about="""Energy of the pooled features clipped from above, min(a, c).

        Parameters
        ----------
        percentile : float
            c is this quantile of all training features, in [0, 1]; the paper's 0.9.
        """,
        parameters={"percentile": (Share, 0.9)},
        make=lambda cls, me, head: cls(None, on_maps(head), percentile=me.percentile),
        fitted={"threshold_": learnt("threshold")},
    ),
    Row(
        name="vra",
        title="VRA",
        paper="Xu et al., NeurIPS 2023, arXiv 2302.11716",
        year=2023,
        library="VRA",
        reads="feature_maps",
        about="""Energy of the pooled features clipped from both sides, each feature at its own training quantiles.

        Parameters
        ----------
        lower_percentile, upper_percentile : float
            In [0, 1]; the library's 0.01 and 0.99.
        """,
        parameters={"lower_percentile": (Share, 0.01), "upper_percentile": (Share, 0.99)},
        make=lambda cls, me, head: cls(None, on_maps(head), me.lower_percentile, me.upper_percentile),
        fitted={"lower_": learnt("_lower_threshold", "d", 1, 1), "upper_": learnt("_upper_threshold", "d", 1, 1)},
    ),
    Row(
        name="ash",
        title="ASH",
        paper="Djurisic et al., ICLR 2023, arXiv 2209.09858",
        year=2023,
        library="ASH",
        reads="feature_maps",
        about="""Energy of the pooled features with the smallest set to zero and the others scaled up.

        Parameters
        ----------
        variant : {"ash-s", "ash-b", "ash-p"}
            Scale, binarise or only prune; "ash-s" leads in the paper.
        percentile : float
            Share of an image's features set to zero, in [0, 1); the paper's 0.9.
        """,
        parameters={"variant": (Literal["ash-s", "ash-b", "ash-p"], "ash-s"), "percentile": (LessThanAll, 0.9)},
        make=lambda cls, me, head: cls(None, on_maps(head), me.variant, me.percentile),
        adapter=Shaped,
    ),
    Row(
        name="scale",
        title="SCALE",
        paper="Xu et al., ICLR 2024, arXiv 2310.00227",
        year=2024,
        library="SCALE",
        reads="feature_maps",
        about="""Energy of the pooled features times exp(Σ all / Σ the largest).

        Parameters
        ----------
        percentile : float
            Share of an image's features left out of the second sum, in [0, 1); the paper's 0.85.
        """,
        parameters={"percentile": (LessThanAll, 0.85)},
        make=lambda cls, me, head: cls(None, on_maps(head), me.percentile),
        adapter=Shaped,
    ),
    Row(
        name="dice",
        title="DICE",
        paper="Sun and Li, ECCV 2022, arXiv 2111.09805",
        year=2022,
        library="DICE",
        reads="features",
        about="""Energy with only those weights kept whose mean contribution W_kj·mean(a_j) is large.

        Parameters
        ----------
        p : float
            Share of weights set to zero, in [0, 1]; the paper's 0.9.
        """,
        parameters={"p": (Share, 0.9)},
        make=lambda cls, me, head: cls(None, head.weight, head.bias, me.p),
        fitted={"masked_weight_": learnt("masked_w", "K", "d")},
        adapter=Dice,
    ),
    Row(
        name="gradnorm",
        title="GradNorm",
        paper="Huang et al., NeurIPS 2021, arXiv 2110.00218",
        year=2021,
        library="GradNorm",
        reads="features",
        about="""S = −‖∂ KL(uniform ‖ p)/∂W‖₁ of the last layer, in closed form −‖a‖₁·‖p − 1/K‖₁/T.

        Parameters
        ----------
        temperature : float
            T of the softmax; 1 in the paper.
        """,
        parameters={"temperature": (AboveZero, 1.0)},
        make=lambda cls, me, head: cls(head, lambda name: name == "weight", temperature=me.temperature),
        adapter=GradNorm,
    ),
    Row(
        name="she",
        title="SHE",
        paper="Zhang et al., ICLR 2023",
        year=2023,
        library="SHE",
        reads="features",
        about="""S = −a·(mean feature of the training images rightly predicted ŷ).""",
        make=lambda cls, me, head: cls(None, head),
        fitted={"patterns_": learnt("patterns", "K", "d")},
    ),
    Row(
        name="fdbd",
        title="fDBD",
        paper="Liu and Qin, ICML 2024, arXiv 2312.11536",
        year=2024,
        library="fDBD",
        reads="features",
        about="""S = −mean distance to the decision boundaries of ŷ, over the distance to the training mean.""",
        make=lambda cls, me, head: cls(None, head),
        fitted={"mean_": learnt("train_mean", "d"), "normals_": learnt("_denom_matrix", "K", "K", values=ABOVE_ZERO)},
        adapter=FDBD,
        single=True,
    ),
    Row(
        name="nnguide",
        title="NNGuide",
        paper="Park et al., ICCV 2023, arXiv 2309.14888",
        year=2023,
        library="NNGuide",
        reads="features",
        about="""S = energy times the mean similarity to the k nearest training features, these scaled by theirs.

        Keeps all training features: 4·n·d bytes, and about 100 MB while it scores, 64 MB of them similarities.

        Parameters
        ----------
        k : int
            Neighbours; the library's 10, at most n.
        """,
        parameters={"k": (AtLeastOne, 10)},
        make=lambda cls, me, head: cls(None, head, me.k),
        fitted={"bank_": learnt("_scaled_features", "n", "d")},
        adapter=NNGuide,
        single=True,
    ),
    Row(
        name="nci",
        title="NCI",
        paper="Liu and Qin, CVPR 2025, arXiv 2311.01479",
        year=2025,
        library="NCI",
        reads="features",
        about="""S = −w_ŷ·(a − mean)/‖a − mean‖₂ − α‖a‖₁.

        Parameters
        ----------
        alpha : float, optional
            α. The paper tunes it on out-of-distribution images; where it is not given, both terms are equally
            large on the training images.
        """,
        parameters={"alpha": (Annotated[float, Range(-MOST)] | None, None)},
        make=lambda cls, me, head: cls(None, head),
        fitted={"mean_": learnt("global_mean", "d"), "alpha_": learnt("alpha")},
        adapter=NCI,
        single=True,
    ),
)


def _class_of(row: Row) -> type[Adapter]:
    info = DetectorInfo(
        name=row.name,
        title=row.title,
        paper=row.paper,
        year=row.year,
        fits=bool(row.fitted),
        claims_far_point=False,
    )
    parameters = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=declared)
        for name, (declared, default) in row.parameters.items()
    ]
    return type(
        row.name.title().replace("_", ""),
        (row.adapter or Adapter,),
        {
            "row": row,
            "info": info,
            "__doc__": inspect.cleandoc(row.about),
            "__module__": __name__,
            "__signature__": inspect.Signature(parameters),
        },
    )


for _row in TABLE:
    register(_class_of(_row))
