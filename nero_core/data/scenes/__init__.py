"""Rendered endoscopy: seeded scenes in the likeness of three landmarks, and what a network was not trained for.

The bundled demo reference is trained on :data:`CLASSES` and shown :data:`OOD_KINDS`. The scenes are made from
geometry and noise alone; no photograph is in them and none of them stands for a finding in a patient.

A cavity is a distance function (:mod:`~nero_core.data.scenes.anatomy`, changed by
:mod:`~nero_core.data.scenes.lesions`) that rays are followed to (:mod:`~nero_core.data.scenes.optics`); its
wall is coloured by :mod:`~nero_core.data.scenes.mucosa` and the light recorded by :mod:`~nero_core.data.scenes.frame`.
Numbers without a name in these modules are matters of looks, chosen by eye beside real frames.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from nero_core.data.scenes import foreign, frame, instrument, mucosa, optics
from nero_core.data.scenes.anatomy import LANDMARKS
from nero_core.data.scenes.field import Field, stream
from nero_core.data.scenes.frame import Nuisances
from nero_core.data.scenes.lesions import FINDINGS

__all__ = ["CLASSES", "OOD_KINDS", "Nuisances", "nuisances", "render", "render_to"]


CLASSES: tuple[str, ...] = tuple(LANDMARKS)
"""In-distribution scenes: three landmarks."""
OOD_KINDS: tuple[str, ...] = (
    *FINDINGS,
    "instrument",
    "blur",
    "colour-cast",
    "overlay-text",
    "inset-picture",
    "not-endoscopy",
)
"""Out-of-distribution scenes: findings and an instrument, shifts of a landmark, and no endoscopy at all."""

SMALLEST = 32
"""The smallest edge that can be rendered, in pixels."""


def render(kind: str, seed: int, size: int = 320, nuisance: Nuisances | None = None) -> Image.Image:
    """Render one frame; equal arguments give equal pixels (with equal releases of NumPy and Pillow).

    Parameters
    ----------
    kind : str
        One of :data:`CLASSES` or :data:`OOD_KINDS`.
    seed : int
        Which frame of that kind.
    size : int
        Edge of the square frame in pixels, at least 32.
    nuisance : Nuisances, optional
        The equipment; that of :func:`nuisances` where none is given.

    Returns
    -------
    PIL.Image.Image
        RGB, ``size`` × ``size``.

    Raises
    ------
    ValueError
        An unknown kind, or a frame too small to show anything.
    """
    drawn = nuisances(kind, seed)
    nuisance = drawn if nuisance is None else nuisance
    if size < SMALLEST:
        raise ValueError(f"`size` is {size}; wanted at least {SMALLEST} pixels.")
    rng = stream("scene", kind, seed)
    if kind == "not-endoscopy":
        return foreign.picture(rng, size)
    image = Image.fromarray(frame.quantise(_display(kind, rng, nuisance, size)))
    shift = stream("shift", kind, seed)
    if kind == "blur":
        image = image.filter(ImageFilter.GaussianBlur(size / 320 * shift.uniform(5, 11)))
    if kind == "colour-cast":
        image = _cast(image, shift)
    image = frame.lens(image, nuisance)
    image = frame.sensor(image, nuisance, stream("sensor", kind, seed))
    image = frame.mask(image, nuisance)
    image = frame.write(image, nuisance.text, (8, 60), 190)
    if nuisance.inset:
        image = frame.inset(image, shift, 0.16, vivid=False)
    if kind == "inset-picture":
        image = frame.inset(image, shift, shift.uniform(0.36, 0.5), vivid=True)
    if kind == "overlay-text":
        for at in ((10, 14), (230, 14), (120, 250)):
            image = frame.write(image, frame.caption(shift, int(shift.integers(6, 9))), at, 255, zoom=2)
    return image


def render_to(path: Path, kind: str, seed: int, size: int = 320) -> None:
    """Write ``render(kind, seed, size)`` as PNG; for worker processes, which then import nothing but this package."""
    render(kind, seed, size).save(path, "PNG", compress_level=1)


def nuisances(kind: str, seed: int) -> Nuisances:
    """What the equipment, and not the place, gives to ``render(kind, seed)``; costs no rendering.

    Every kind draws from one distribution, with a random stream of its own, so that nothing in it tells a class.
    ``not-endoscopy`` is shown as it is, without any of it.

    Raises
    ------
    ValueError
        An unknown kind.
    """
    if kind not in CLASSES + OOD_KINDS:
        raise ValueError(f"`kind` is {kind!r}; choose one of {', '.join(CLASSES + OOD_KINDS)}.")
    return frame.equip(stream("nuisances", kind, seed))


def _display(kind: str, rng: np.random.Generator, nuisance: Nuisances, size: int) -> Field:
    """The scene as the lens would throw it on a perfect sensor, (size, size, 3) in [0, 1]."""
    name = kind if kind in CLASSES else CLASSES[rng.integers(len(CLASSES))]
    landmark = LANDMARKS[name](rng)
    camera = optics.Camera.drawn(rng)
    finding = FINDINGS[kind](landmark.distance, camera, rng) if kind in FINDINGS else None
    surface = optics.see(finding.distance if finding else landmark.distance, camera, size)
    veins = rng.uniform(0.4, 1.0) if name == "cecum" else rng.uniform(0.0, 0.6)
    coat = mucosa.coat(rng, landmark, surface, veins, nuisance.residue)
    if finding:
        finding.paint(surface, coat)
    light = optics.light(surface, camera, coat.colour * coat.colour, coat.slopes, coat.gloss)
    display = frame.expose(light, size, nuisance)
    frame.froth(display, nuisance.bubbles, rng)
    if kind == "instrument":
        display = instrument.hold(display, rng)
    return display


def _cast(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A colour balance far outside any processor's: green, blue, violet or yellow light, mixed channels."""
    strong = ((0.50, 1.25, 0.95), (0.50, 0.95, 1.6), (0.60, 0.75, 1.7), (0.70, 1.3, 0.45))[rng.integers(4)]
    gains = [g * rng.uniform(0.9, 1.1) for g in strong]
    mixed = [0.0] * 12
    for row, gain in enumerate(gains):
        for column in range(3):
            mixed[4 * row + column] = gain * (0.8 if row == column else 0.1)
    return image.convert("RGB", tuple(mixed))
