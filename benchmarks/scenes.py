"""Rendered frames to measure on, as files' bytes."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from nero_core.data.scenes import render
from nero_core.records import IntArray

DEMO = Path(__file__).parents[1] / "assets" / "references" / "demo"
"""The bundled reference, whose ResNet-18 knows these frames."""
SIDE = 128
"""Pixels of a frame: rendering is what takes long, and no pass through a network depends on it."""
QUARTER_TURNS = 4
FIRST_SEED = 7_000_000


@cache
def scenes(count: int, classes: tuple[str, ...]) -> tuple[list[bytes], IntArray]:
    """`count` different JPEG files and their classes; every fourth is rendered, the others are its quarter turns."""
    files: list[bytes] = []
    for number in range(-(-count // QUARTER_TURNS)):
        upright = render(classes[number % len(classes)], FIRST_SEED + number, SIDE)
        for turn in range(QUARTER_TURNS):
            buffer = io.BytesIO()
            upright.rotate(turn * 360 / QUARTER_TURNS, Image.Resampling.NEAREST).save(buffer, "JPEG", quality=90)
            files.append(buffer.getvalue())
    return files[:count], np.arange(count) // QUARTER_TURNS % len(classes)
