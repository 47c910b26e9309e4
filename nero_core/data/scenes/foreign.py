"""Pictures that are no endoscopy at all: a landscape, a printed page, houses at night, a test card."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from nero_core.data.scenes.field import fractal


def picture(rng: np.random.Generator, size: int) -> Image.Image:
    """One of four kinds of foreign picture, `size` × `size`."""
    draw_one = (_landscape, _page, _houses, _card)[rng.integers(4)]
    return draw_one(rng).resize((size, size), Image.Resampling.BICUBIC)


EDGE = 320
"""Foreign pictures are drawn at this size and then scaled."""


def _landscape(rng: np.random.Generator) -> Image.Image:
    """Sky with clouds over ranges of hills."""
    up = np.linspace(0, 1, EDGE, dtype=np.float32)[:, None, None]
    zenith, horizon = np.array((0.25, 0.45, 0.80), np.float32), np.array((0.80, 0.86, 0.92), np.float32)
    sky = zenith + up * (horizon - zenith)
    cloud = np.clip(fractal(rng, EDGE, (3, 6, 12, 24, 48), 0.55), 0, 1)[..., None]
    pixels = sky + 0.7 * cloud * (1 - sky)
    rows = np.arange(EDGE, dtype=np.float32)[:, None]
    height = rng.uniform(0.35, 0.55) * EDGE
    for step in range(4):
        profile = fractal(rng, EDGE, (2, 4, 8, 16, 32), 0.5)[0]
        land = np.clip(rows - (height - 0.10 * EDGE * profile), 0, 1)[..., None]
        near = step / 3
        green = np.array((0.45 - 0.28 * near, 0.55 - 0.2 * near, 0.62 - 0.48 * near), np.float32)
        ground = green * (1 + 0.15 * fractal(rng, EDGE, (16, 32, 64, 128), 0.7)[..., None])
        pixels = pixels + land * (ground - pixels)
        height += 0.13 * EDGE
    return Image.fromarray(np.clip(pixels * 255, 0, 255).astype(np.uint8))


def _page(rng: np.random.Generator) -> Image.Image:
    """A page of paragraphs whose words are bars, with a small chart."""
    page = Image.new("RGB", (EDGE, EDGE), (246, 245, 240))
    draw = ImageDraw.Draw(page)
    y = 20.0
    draw.rectangle((24, y, rng.uniform(140, 260), y + 9), fill=(30, 30, 34))
    y += 24
    chart = rng.uniform(90, 190)
    while y < EDGE - 20:
        if chart <= y < chart + 70:
            bars = rng.uniform(8, 60, 9)
            for index, bar in enumerate(bars):
                left = 40 + 27 * index
                draw.rectangle((left, chart + 66 - bar, left + 18, chart + 66), fill=(60, 110, 180))
            y = chart + 80
            continue
        x = 24.0
        end = EDGE - 24 if rng.random() > 0.2 else rng.uniform(80, 220)
        while x < end:
            word = rng.uniform(6, 30)
            draw.rectangle((x, y, min(x + word, end), y + 3), fill=(70, 70, 74))
            x += word + 5
        y += 8
    return page.rotate(rng.uniform(-4, 4), Image.Resampling.BILINEAR, fillcolor=(120, 104, 90))


def _houses(rng: np.random.Generator) -> Image.Image:
    """A street of houses with lit windows at dusk."""
    up = np.linspace(0, 1, EDGE, dtype=np.float32)[:, None, None]
    dusk = np.array((0.10, 0.12, 0.30), np.float32) + up * np.array((0.75, 0.35, 0.10), np.float32)
    street = Image.fromarray((np.broadcast_to(dusk, (EDGE, EDGE, 3)) * 255).astype(np.uint8))
    draw = ImageDraw.Draw(street)
    x = -10.0
    while x < EDGE:
        width, top = rng.uniform(34, 80), rng.uniform(50, 190)
        wall = tuple(int(c) for c in rng.integers(20, 80, 3))
        draw.rectangle((x, top, x + width, EDGE), fill=wall)
        for row in np.arange(top + 10, EDGE - 14, 18):
            for column in np.arange(x + 6, x + width - 10, 13):
                lit = (250, 214, 130) if rng.random() < 0.5 else (26, 30, 44)
                draw.rectangle((column, row, column + 7, row + 10), fill=lit)
        x += width + rng.uniform(-4, 8)
    return street.filter(ImageFilter.GaussianBlur(0.7))


def _card(rng: np.random.Generator) -> Image.Image:
    """Overlapping discs and bars of flat colour."""
    card = Image.new("RGB", (EDGE, EDGE), tuple(int(c) for c in rng.integers(0, 256, 3)))
    draw = ImageDraw.Draw(card)
    for _ in range(14):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        x, y = rng.uniform(0, EDGE, 2)
        r = rng.uniform(15, 90)
        if rng.random() < 0.5:
            draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
        else:
            turn = rng.uniform(0, math.pi)
            c, s = r * math.cos(turn), r * math.sin(turn)
            draw.polygon([(x + c, y + s), (x - s, y + c), (x - c, y - s), (x + s, y - c)], fill=colour)
    return card
