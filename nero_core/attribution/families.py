"""Which explanation each family of networks has."""

from __future__ import annotations

from dataclasses import dataclass

from nero_core.wording import heatmap_method


@dataclass(frozen=True)
class Family:
    """Networks that are explained alike.

    Attributes
    ----------
    title : str
        As it is written in the field.
    architecture : str
        One of them, by name.
    method : str
        How its neurons are explained.
    """

    title: str
    architecture: str
    method: str


FAMILIES = (
    Family("ResNet, ResNeXt, Wide ResNet", "resnet18", "CRP"),
    Family("the same from timm, SE-ResNet", "seresnet18", "CRP"),
    Family("AlexNet, VGG", "alexnet", "CRP"),
    Family("DenseNet", "densenet121", "CRP"),
    Family("GoogLeNet", "googlenet", "CRP"),
    Family("EfficientNet", "efficientnet_b0", "CRP"),
    Family("MobileNet, MNASNet", "mobilenet_v3_small", "CRP"),
    Family("RegNet", "regnet_y_400mf", "CRP"),
    Family("DeiT, ViT, BEiT, DINO", "deit_tiny_patch16_224", "conservative propagation"),
    Family("Swin", "swin_t", "conservative propagation"),
    Family("ConvNeXt", "convnext_atto", "conservative propagation"),
    Family("MLP-Mixer", "mixer_s32_224", "conservative propagation"),
    Family("any other that pools its last feature map", "shufflenet_v2_x0_5", "instant map"),
    Family("any other with a linear head", "poolformer_s12", "gradient × input"),
)
"""Families in the order of the table, each with a network that a test builds."""


def describe_families() -> str:
    """The families and their explanation as a table in Markdown."""
    lines = ["| family | for example | where a neuron looked |", "|---|---|---|"]
    lines += [f"| {family.title} | `{family.architecture}` | {heatmap_method(family.method)} |" for family in FAMILIES]
    return "\n".join(lines)
