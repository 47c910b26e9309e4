"""From light to a stored frame: exposure, lens and sensor, the processor's mask, text and position picture.

What a frame owes to the equipment alone, and not to the place that is seen, is drawn from a stream of its own:
the :class:`Nuisances`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from nero_core.data.scenes.field import Field

Mask = Literal["circle", "octagon", "none"]
Pixels = npt.NDArray[np.uint8]

PAGE = 420
"""Overlays are laid out on a square of this edge, in the pixels of the bitmap font, and then scaled."""


@dataclass(frozen=True)
class Nuisances:
    """What the equipment does to a frame, whatever is seen; drawn independently of the scene.

    Attributes
    ----------
    mask : {"circle", "octagon", "none"}
        Shape that the processor leaves of the frame.
    border : float
        Black margin on each side, as part of the edge.
    cut : float
        How much the mask takes off the corners, 0 to 1.
    backdrop : int
        Grey level outside the mask.
    gains : three floats
        Colour balance.
    exposure, saturation, contrast : float
        Linear light of a middling pixel; strength of the colours; bend of the processor's tone curve.
    text : tuple of str
        Lines burnt in at the side, usually none.
    inset : bool
        Whether a small position picture sits in the lower left corner.
    bubbles : int
        How many bubbles of mucus float before the wall.
    residue : float
        How much of the wall bile or stool covers, 0 to 1.
    softness, fringe : float
        Blur and colour fringe of the lens, in pixels of a 320-pixel frame.
    noise : float
        Of the sensor, in grey levels.
    interlaced : bool
        Whether the two half-frames are a moment apart.
    """

    mask: Mask
    border: float
    cut: float
    backdrop: int
    gains: tuple[float, float, float]
    exposure: float
    saturation: float
    contrast: float
    text: tuple[str, ...]
    inset: bool
    bubbles: int
    residue: float
    softness: float
    fringe: float
    noise: float
    interlaced: bool


def equip(rng: np.random.Generator) -> Nuisances:
    """Draw the equipment's part in a frame."""
    warmth, tint = rng.uniform(-0.2, 0.2), rng.uniform(-0.08, 0.06)
    return Nuisances(
        mask=get_args(Mask)[rng.choice(3, p=(0.4, 0.4, 0.2))],
        border=rng.uniform(0.0, 0.07),
        cut=rng.uniform(),
        backdrop=int(rng.integers(0, 16)),
        gains=(1 + warmth, 1 + tint, 1 - warmth),
        exposure=rng.uniform(0.36, 0.8),
        saturation=rng.uniform(0.95, 1.25),
        contrast=rng.uniform(0.1, 0.6),
        text=caption(rng, int(rng.integers(1, 5))) if rng.random() < 0.3 else (),
        inset=bool(rng.random() < 0.2),
        bubbles=int(rng.integers(4, 40)) if rng.random() < 0.25 else 0,
        residue=rng.uniform(0.3, 0.9) if rng.random() < 0.2 else 0.0,
        softness=rng.uniform(0.35, 1.0),
        fringe=rng.uniform(0.0, 1.2),
        noise=rng.uniform(1.5, 7.0),
        interlaced=bool(rng.random() < 0.08),
    )


def caption(rng: np.random.Generator, lines: int) -> tuple[str, ...]:
    """Lines such as a processor burns in: dates, times, settings; never a name."""
    day, month, year = rng.integers(1, 29), rng.integers(1, 13), rng.integers(2004, 2025)
    hour, minute, second = rng.integers(7, 18), rng.integers(60), rng.integers(60)
    known = (
        f"{day:02d}/{month:02d}/{year}",
        f"{hour:02d}:{minute:02d}:{second:02d}",
        f"CVP:{rng.integers(1, 20)}",
        f"G:N   E:A{rng.integers(1, 8)}",
        f"SCV:{rng.integers(1, 999)}",
        f"D.F:{rng.integers(100)}%",
        f"<{rng.integers(60):02d}:{second:02d}>",
        f"Zoom x{rng.integers(10, 20) / 10}",
    )
    return tuple(known[i % len(known)] for i in range(lines))


def expose(light: Field, size: int, nuisance: Nuisances) -> Field:
    """Linear light to display values in [0, 1], (size, size, 3): exposure by the middle, balance, soft shoulder."""
    picture = light.reshape(size, size, 3)
    margin = size // 6
    middle = np.sort(picture[margin : size - margin : 3, margin : size - margin : 3, 0], axis=None)
    level = float(middle[int(0.55 * middle.size)])
    picture = picture * (np.array(nuisance.gains, np.float32) * np.float32(nuisance.exposure / max(level, 1e-4)))
    line = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    vignette = 1 / (1 + 0.22 * (line[:, None] ** 2 + line**2))
    picture *= vignette[..., None]
    picture += 0.12 * np.maximum(_grey(picture) - 0.7, 0)  # blown-out light turns white
    # A soft shoulder, then a display of gamma 2.
    display: Field = np.sqrt(picture / np.sqrt(1 + picture * picture))
    grey = _grey(display)
    display = np.clip(grey + np.float32(nuisance.saturation) * (display - grey), 0, 1)
    display += np.float32(nuisance.contrast) * display * (1 - display) * (2 * display - 1)
    return display


def _grey(picture: Field) -> Field:
    """Mean over the colours, (height, width, 1)."""
    return (picture[..., 0:1] + picture[..., 1:2] + picture[..., 2:3]) * np.float32(1 / 3)


def quantise(display: Field) -> Pixels:
    """[0, 1] to 8 bits."""
    return np.asarray(np.clip(display * 255 + 0.5, 0, 255), np.uint8)


def lens(image: Image.Image, nuisance: Nuisances) -> Image.Image:
    """Colour fringe towards the edge, softness, glare round blown-out light, and the processor's sharpening."""
    size = image.width
    scale = size / 320
    stretch = nuisance.fringe * scale / size
    channels = list(image.split())
    for index, sign in ((0, 1), (2, -1)):
        zoom = 1 + sign * stretch
        shift = (1 - zoom) * size / 2
        matrix = (zoom, 0, shift, 0, zoom, shift)
        fringed = channels[index].transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        channels[index] = fringed
    image = Image.merge("RGB", channels)
    image = image.filter(ImageFilter.GaussianBlur(nuisance.softness * scale))
    small = image.reduce(4) if size >= 32 else image
    glare = small.point(lambda level: max(0, level - 215)).filter(ImageFilter.GaussianBlur(1.5 * scale))
    image = ImageChops.add(image, glare.resize((size, size), Image.Resampling.BILINEAR))
    return image.filter(ImageFilter.UnsharpMask(1.6 * scale, 70, 2))


def sensor(image: Image.Image, nuisance: Nuisances, rng: np.random.Generator) -> Image.Image:
    """Noise, strongest in the dark, half-frames, and colour stored at half the resolution."""
    pixels = np.asarray(image, np.int16)
    size = image.width
    grey = rng.integers(0, 256, (2, size, size, 1), np.uint8).astype(np.int16)
    colour = rng.integers(0, 256, (size, size, 3), np.uint8).astype(np.int16)
    noise = (grey[0] - grey[1]) + (colour - 128)
    strength = round(nuisance.noise * 2)
    gain = strength * (320 - pixels[..., 1:2].astype(np.int32)) >> 8  # of 256ths; dark pixels are amplified most
    pixels = pixels + (noise * gain >> 8).astype(np.int16)
    if nuisance.interlaced:
        pixels[1::2] = np.roll(pixels[1::2], max(1, size // 160), axis=1)
    noisy = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    luma, *chroma = noisy.convert("YCbCr").split()
    chroma = [c.reduce(2).resize((size, size), Image.Resampling.BILINEAR) for c in chroma]
    return Image.merge("YCbCr", (luma, *chroma)).convert("RGB")


def window(nuisance: Nuisances, size: int) -> Image.Image:
    """The mask as a grey picture: 255 where the frame shows."""
    edge = 2 * size
    shape = Image.new("L", (edge, edge))
    draw = ImageDraw.Draw(shape)
    low, high = nuisance.border * edge, (1 - nuisance.border) * edge
    if nuisance.mask == "circle":
        overshoot = (1 - nuisance.cut) * 0.12 * edge  # a wider circle is cut off by the edge
        draw.ellipse((low - overshoot, low - overshoot, high + overshoot, high + overshoot), fill=255)
        inside = Image.new("L", (edge, edge))
        ImageDraw.Draw(inside).rectangle((low, low, high, high), fill=255)
        shape = ImageChops.darker(shape, inside)
    elif nuisance.mask == "octagon":
        corner = (0.1 + 0.2 * nuisance.cut) * (high - low)
        a, b = low + corner, high - corner
        draw.polygon([(a, low), (b, low), (high, a), (high, b), (b, high), (a, high), (low, b), (low, a)], fill=255)
    else:
        draw.rectangle((low, low, high, high), fill=255)
    return shape.reduce(2)


def mask(image: Image.Image, nuisance: Nuisances) -> Image.Image:
    """What the processor shows: the frame within its window on a dark backdrop."""
    backdrop = Image.new("RGB", image.size, (nuisance.backdrop,) * 3)
    return Image.composite(image, backdrop, window(nuisance, image.width))


def write(image: Image.Image, lines: tuple[str, ...], at: tuple[int, int], strength: int, zoom: int = 1) -> Image.Image:
    """Burn lines of text in, from `at` on a page of `PAGE`; `strength` is how white, of 255."""
    if not lines:
        return image
    font = ImageFont.load_default_imagefont()
    edge = PAGE // zoom
    page = Image.new("L", (edge, edge))
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        draw.text((at[0] // zoom, at[1] // zoom + 13 * number), line, font=font, fill=strength)
    page = page.resize(image.size, Image.Resampling.BICUBIC)
    return Image.composite(Image.new("RGB", image.size, (235, 240, 235)), image, page)


def inset(image: Image.Image, rng: np.random.Generator, part: float, vivid: bool) -> Image.Image:
    """Put a position picture, the shape of the scope on green, into the lower left corner over `part` of the edge."""
    edge = 120
    ground = (20, 150, 70) if vivid else (28, 58, 44)
    picture = Image.new("RGB", (edge, edge), ground)
    draw = ImageDraw.Draw(picture)
    x, y, heading = rng.uniform(45, 75), edge - 10.0, -math.pi / 2
    points: list[tuple[float, float]] = []
    bend = rng.uniform(-0.1, 0.1)
    while len(points) < 40 and 10 < x < edge - 10 and 10 < y <= edge - 10:
        points.append((x, y))
        bend = 0.92 * bend + rng.uniform(-0.07, 0.07)
        heading += bend
        x, y = x + 6 * math.cos(heading), y + 6 * math.sin(heading)
    for width, colour in ((9, (60, 60, 50)), (7, (150, 150, 120)), (3, (245, 245, 205))):
        draw.line(points, fill=colour, width=width, joint="curve")
    draw.rectangle((0, 0, edge - 1, edge - 1), outline=(8, 20, 12), width=2)
    side = round(part * image.width)
    framed = image.copy()
    framed.paste(picture.resize((side, side), Image.Resampling.BILINEAR), (0, image.height - side))
    return framed


def froth(display: Field, count: int, rng: np.random.Generator) -> None:
    """Bubbles in one or two clusters: a dark rim, a bright inner edge, a highlight and its reflection."""
    size = len(display)
    for _ in range(2):
        middle = rng.uniform(0.15, 0.85, 2) * size
        spread = rng.uniform(0.04, 0.15) * size
        for _ in range(count // 2):
            x, y = middle + spread * rng.standard_normal(2)
            radius = size * rng.uniform(0.006, 0.011) / (0.35 + 0.65 * rng.random())
            left, top = int(x - 1.4 * radius), int(y - 1.4 * radius)
            edge = int(2.8 * radius) + 2
            if left < 0 or top < 0 or left + edge > size or top + edge > size:
                continue
            patch = display[top : top + edge, left : left + edge]
            u = (np.arange(edge, dtype=np.float32) + np.float32(left - x)) / np.float32(radius)
            v = (np.arange(edge, dtype=np.float32) + np.float32(top - y)) / np.float32(radius)
            r = np.sqrt(u * u + v[:, None] ** 2)
            rim = 1 / (1 + ((r - 0.95) * 6) ** 2) ** 2
            glow = 1 / (1 + ((r - 0.72) * 7) ** 2) ** 2
            spark = 1 / (1 + ((u - 0.3) ** 2 + (v[:, None] + 0.35) ** 2) * 30) ** 2
            patch *= (1 - 0.4 * rim)[..., None]
            patch += (0.14 * glow + 0.9 * spark)[..., None]
