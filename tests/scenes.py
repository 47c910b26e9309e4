"""Smooth random pictures in folders, and copies of them as other programs would save them."""

from __future__ import annotations

import numpy as np
from PIL import Image

COPIES = ("jpeg 75", "jpeg 95", "png", "webp", "resized")
"""How a frame is saved again."""


def scene(seed, size=(160, 120)):
    """A smooth random picture without black in it, as tissue is."""
    noise = np.random.default_rng(seed).integers(60, 250, (6, 7, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def write_scenes(folder, seeds, suffix="png"):
    """One picture per seed; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        scene(seed).save(folder / f"{seed}.{suffix}")
    return folder


def write_classes(root, suffix="png", first=0, **counts):
    """Class folders of pictures that are all different; returns the root."""
    for number, (name, count) in enumerate(counts.items()):
        write_scenes(root / name, range(first + 1000 * number, first + 1000 * number + count), suffix)
    return root


def save_again(source, folder, how):
    """A file that looks the same and has other bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    name, _, quality = how.partition(" ")
    with Image.open(source) as picture:
        image = picture.convert("RGB")
    if name == "resized":
        image, name = image.resize((148, 111), Image.Resampling.LANCZOS), "png"
    suffix = {"jpeg": "jpg"}.get(name, name)
    file = folder / f"{source.parent.name}-{source.stem}-{how.replace(' ', '')}.{suffix}"
    image.save(
        file, **({"quality": int(quality)} if quality else {}), **({"compress_level": 1} if name == "png" else {})
    )
    return file
