"""How training pictures vary: as a scope's turn, its lamp and its camera would have varied them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

JITTER = 0.3
"""Brightness, contrast and saturation each vary by up to this share."""
HUE_JITTER = 0.1
"""Radians: the colour of tissue carries the diagnosis, so that hue varies little."""
GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey (ITU-R BT.601)."""


def augmented(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each picture by chance, and vary its brightness, contrast, saturation and, a little, its hue.

    Parameters
    ----------
    pixels : (n, 3, H, W) in [0, 1]
    generator : torch.Generator

    Returns
    -------
    (n, 3, H, W) in [0, 1]
    """
    n = len(pixels)
    mirror = torch.rand((n, 2), generator=generator) < 0.5
    jitter = 1 + JITTER * (2 * torch.rand((n, 3), generator=generator) - 1)
    hue = HUE_JITTER * (2 * torch.rand(n, generator=generator) - 1)
    pixels = pixels.clone()
    pixels[mirror[:, 0]] = pixels[mirror[:, 0]].flip(3)
    pixels[mirror[:, 1]] = pixels[mirror[:, 1]].flip(2)
    brightness, contrast, saturation = (jitter[:, k, None, None].to(pixels.device) for k in range(3))
    colours = brightness * (saturation * _turn_about_grey(hue).to(pixels.device) + (1 - saturation) * _grey(pixels))
    mixed = torch.einsum("nij,njhw->nihw", colours, pixels)
    mean = mixed.mean(dim=(1, 2, 3), keepdim=True)
    return (contrast[..., None] * (mixed - mean) + mean).clamp(0, 1)


def _grey(like: Tensor) -> Tensor:
    """The 3 × 3 matrix that turns a colour into its grey."""
    return torch.tensor([GREY] * 3, device=like.device)


def _turn_about_grey(angle: Tensor) -> Tensor:
    """Per angle the 3 × 3 rotation of colours about the grey axis (Rodrigues' formula), (n, 3, 3)."""
    u = 1 / math.sqrt(3)
    cross = torch.tensor([[0.0, -u, u], [u, 0.0, -u], [-u, u, 0.0]])
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return cosine * torch.eye(3) + sine * cross + (1 - cosine) * u * u
