"""Pseudo-lesion: a small head that tells ordinary places from lesions laid into ordinary frames.

Ours, in the line of CutPaste (Li et al., CVPR 2021), NSA (Schlüter et al., ECCV 2022) and DRAEM (Zavrtanik et al., ICCV
2021), which train whole networks on pasted defects. The network stays as it is here, and no real lesion is used: they
are rendered, or domed mucosa of other frames (:mod:`~nero_core.data.pasted_lesions`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from PIL import Image
from sklearn.neural_network import MLPClassifier

from nero_core.data.pasted_lesions import Lesion, domed, relit, rendered_findings, tissue_of
from nero_core.data.scenes.relit import LightChange
from nero_core.detectors.base import DetectorInfo, Paper
from nero_core.detectors.places.base import (
    BoolArray,
    OnPlaces,
    Places,
    Scale,
    Share,
    Viewer,
    masked,
    mean_around,
    shares_in,
    some_of,
    spread,
)
from nero_core.detectors.registry import register
from nero_core.errors import InputError
from nero_core.records import Activations, Float32Array, Float64Array, Head, IntArray
from nero_core.storage.typed import Range, Shape

ORDINARY, INSIDE, BESIDE = 40, 40, 10
"""Places of each frame that the head learns from: of the ordinary frame, and in and beside a lesion."""

MOSTLY = 0.5
"""Share of a place that a lesion covers, from which the place is one of it."""

SURROUNDINGS = 3
"""Places from a place to the edge of the square that it is compared with."""

HIDDEN = 128, 64
DECAY, BATCH = 1e-3, 1024
PASSES = 12
"""Of the head over its places; more of them learn how lesions were laid in."""

LEARNT_FROM = 400
"""Training images at most, spread evenly; each is seen three times."""

PICTURE_SIDE = 448
"""Shorter side in pixels at which lesions are laid in, where a frame is larger: finer ones are not seen."""

Seed = Annotated[int, Range(0, 2**32 - 1)]
"""What NumPy and scikit-learn take."""

FEWEST_LESIONS = 8
"""With fewer frames that have room for a lesion there is nothing to learn."""


@register
class PseudoLesion(OnPlaces):
    """S = mean of the largest t_p, t_p the logit that place p belongs to a lesion.

    A place has its own features, of the network's inner stages and standardised, and how they differ from the mean of
    7 × 7 places round it. The head has two hidden layers and learns from up to 400 training images and from two copies
    of each with a lesion laid in, one rendered and one domed.

    Parameters
    ----------
    share : float
        Of all places, those that count.
    scale : float
        How large the image is seen, in times the network's own input.
    seed : int
        Of lesions, places and the head.
    """

    info = DetectorInfo("pseudo_lesion", "Pseudo-lesion", Paper(
        "ours, after Li et al., CVPR 2021, and Schlüter et al., ECCV 2022", (), "", 2026
    ), needs=frozenset({"source"}))  # fmt: skip
    first_: Annotated[Float32Array, Shape("channels", "hidden")]
    first_bias_: Annotated[Float32Array, Shape("hidden")]
    second_: Annotated[Float32Array, Shape("hidden", "units")]
    second_bias_: Annotated[Float32Array, Shape("units")]
    third_: Annotated[Float32Array, Shape("units")]
    third_bias_: Annotated[Float32Array, Shape()]
    """The head: weights and biases of its layers."""

    def __init__(self, share: Share = 0.01, scale: Scale = 2.0, seed: Seed = 0) -> None:
        self.share = share
        self.scale = scale
        self.seed = seed

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.source is not None
        rng = np.random.default_rng(self.seed)
        values, lesion = [], []
        for seen, covered in self._lessons(train, rng):
            inside = seen.usable & (covered >= MOSTLY)
            beside = seen.usable & (covered == 0)
            compared = with_surroundings(seen)
            wanted = [(beside, ORDINARY, 0)] if not covered.any() else [(inside, INSIDE, 1), (beside, BESIDE, 0)]
            for where, most, label in wanted:
                values.append(some_of(compared[where], most, rng))
                lesion.append(np.full(len(values[-1]), label))
        labels = np.concatenate(lesion)
        if labels.sum() < FEWEST_LESIONS:
            raise InputError(
                f"{self.info.title} lays lesions into training images, and hardly any has room for one: black, too "
                "small or covered by text. Leave it out."
            )
        inputs = self._standardise(np.concatenate(values))
        inputs, labels = balanced(inputs, labels, rng)
        fitted = MLPClassifier(HIDDEN, alpha=DECAY, batch_size=min(BATCH, len(inputs)), random_state=self.seed)
        for _ in range(PASSES):
            fitted.partial_fit(inputs, labels, classes=(0, 1))
        (self.first_, self.second_, third) = (each.astype(np.float32) for each in fitted.coefs_)
        (self.first_bias_, self.second_bias_, third_bias) = (each.astype(np.float32) for each in fitted.intercepts_)
        self.third_, self.third_bias_ = third[:, 0], np.asarray(third_bias[0])

    def _lessons(self, train: Activations, rng: np.random.Generator) -> Iterator[tuple[Places, Float32Array]]:
        """Each training image as it is, and with a lesion of each kind where there is room; how far a lesion covers
        each place."""
        assert train.source is not None
        viewer, findings = self._viewer(train.source), rendered_findings()
        last: tuple[Float32Array, BoolArray] | None = None
        for picture in spread(train, LEARNT_FROM).pictures():
            frame, mask = lesson_frame(picture)
            tissue = tissue_of(frame, mask)
            seen = viewer.see(as_picture(frame), mask)
            yield seen, np.zeros(seen.usable.shape, np.float32)
            yield from self._with_lesions(viewer, frame, mask, tissue, findings, last, rng)
            last = frame, tissue

    @staticmethod
    def _with_lesions(
        viewer: Viewer,
        frame: Float32Array,
        mask: BoolArray,
        tissue: BoolArray,
        findings: Sequence[LightChange],
        last: tuple[Float32Array, BoolArray] | None,
        rng: np.random.Generator,
    ) -> Iterator[tuple[Places, Float32Array]]:
        lesions: list[Lesion | None] = [relit(frame, tissue, findings, rng)]
        if last is not None:
            lesions.append(domed(frame, tissue, *last, rng))
        for lesion in lesions:
            if lesion is not None:
                seen = viewer.see(as_picture(lesion[0]), mask)
                yield seen, shares_in(lesion[1], *seen.usable.shape)

    def _novelty(self, seen: Places) -> Float64Array:
        values = (with_surroundings(seen) - self.mean_) / self.deviation_
        hidden = np.maximum(values @ self.first_ + self.first_bias_, 0)
        hidden = np.maximum(hidden @ self.second_ + self.second_bias_, 0)
        logits: Float64Array = (hidden @ self.third_ + self.third_bias_).astype(np.float64)
        return logits


def with_surroundings(seen: Places) -> Float32Array:
    """Features of places, and how they differ from those round about, (h, w, 2c).

    Parameters
    ----------
    seen : Places
    """
    return np.concatenate([seen.values, seen.values - mean_around(seen, SURROUNDINGS)], axis=2)


def balanced(inputs: Float32Array, labels: IntArray, rng: np.random.Generator) -> tuple[Float32Array, IntArray]:
    """As many places of lesions as others: the fewer are repeated, since the head's library has no weights.

    Parameters
    ----------
    inputs : (n, c)
    labels : (n,) int64
        0 and 1, both at least once.
    """
    groups = [np.flatnonzero(labels == label) for label in (0, 1)]
    most = max(map(len, groups))
    rows = np.concatenate([np.concatenate([each, rng.choice(each, most - len(each))]) for each in groups])
    return inputs[rows], labels[rows]


def lesson_frame(picture: Image.Image) -> tuple[Float32Array, BoolArray]:
    """A picture, made smaller where it is large, as numbers (H, W, 3) in [0, 255], and what of it is masked (H, W)."""
    scale = PICTURE_SIDE / min(picture.size)
    if scale < 1:
        width, height = (round(scale * side) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.asarray(picture, np.float32), masked(picture)


def as_picture(frame: Float32Array) -> Image.Image:
    """Numbers (H, W, 3) in [0, 255] as a picture.

    Parameters
    ----------
    frame : (H, W, 3) float32
    """
    return Image.fromarray(np.asarray(frame + np.float32(0.5), np.uint8))
