"""Similar frames: those training and calibration frames to which the network's last layer is nearest for an image.

By relevance the distance is L1, in which NERO compares, over all d neurons (no principal components: a reference
without NERO has frames, too); by features it is the cosine's (1 − cos), which does not grow with a frame's contrast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from PIL import Image

from nero_core.errors import InputError
from nero_core.neurons.sample import NeuronSample, chosen_rows
from nero_core.neurons.sheets import cut_sheet
from nero_core.records import Activations, Float64Array, FloatArray, IntArray
from nero_core.relevance import relevance_of
from nero_core.wording import message

By = Literal["relevance", "features"]
Kind = Literal["training", "calibration", "held out"]
BYS: tuple[By, ...] = get_args(By)
KINDS: Mapping[Kind, str] = {
    "training": message("training"),
    "calibration": message("calibration"),
    "held out": message("held out"),
}
"""The word of every kind."""
SHOWN = 4
"""Frames of each kind, where nobody says how many."""
COMPARED = 200
"""Calibration frames at most whose own nearest frame is looked for, to say how near is near."""
MEANING = message(
    "Similar here means similar to this network: it does not mean the same finding, and frames that look alike to a "
    "person may be far apart"
)
"""What must be read beside them; no full stop."""
NO_FRAMES = message(
    "This reference keeps no frames to compare with: run `fit` again, without --no-crops, and it keeps some training "
    "and calibration frames with small pictures."
)
NO_TRAINING_FRAMES = message(
    "This reference was made by an earlier version and keeps no training frames: run `fit` again, without --no-crops, "
    "for those."
)
NO_LONGER_CALIBRATE = message(
    "This reference was calibrated anew: the frames that were held out when it was fitted calibrate it no longer."
)


@dataclass(frozen=True, eq=False)
class SimilarFrame:
    """One frame that a reference keeps, beside the image under review.

    Attributes
    ----------
    kind : {"training", "calibration", "held out"}
        "held out": set aside at the fit, in a reference that was calibrated on other images since.
    class_name : str
        Its true class, or what its folder says.
    distance : float
        At least 0; small is similar. Distances by relevance and by features are not on one scale.
    percentile : float or None
        Share of the calibration frames whose own nearest frame of this kind is nearer than this one, in [0, 1]; None
        where there are fewer than two of them.
    picture : RGB image
        48 × 48, as the network saw it.
    """

    kind: Kind
    class_name: str
    distance: float
    percentile: float | None
    picture: Image.Image


@dataclass(frozen=True, eq=False)
class _Kept:
    """Frames of one kind: relevance or features, classes, and a way to their pictures."""

    kind: Kind
    vectors: FloatArray
    labels: IntArray
    pictures: Callable[[], list[Image.Image]]


def lacking(sample: NeuronSample | None) -> str:
    """What a reference has not got of all this, and how to get it; empty where nothing is missing."""
    if sample is None or (sample.read_sheet is None and sample.trained is None):
        return NO_FRAMES
    if sample.trained is None:
        return NO_TRAINING_FRAMES
    return "" if sample.calibrates else NO_LONGER_CALIBRATE


def similar_frames(
    sample: NeuronSample | None, activations: Activations, k: int = SHOWN, by: By = "relevance"
) -> list[SimilarFrame]:
    """The k nearest frames of each kind, nearest first.

    Parameters
    ----------
    sample : NeuronSample or None
        What the reference keeps; see :attr:`~nero_core.reference.reference.Reference.sample`.
    activations : Activations
        Of one image.
    k : int
        Of each kind; all of them where there are fewer.
    by : {"relevance", "features"}

    Raises
    ------
    InputError
        The reference keeps no frames, `k` or `by` makes no sense, or the activations are not of one image of this
        network.
    ArtefactError
        The pictures cannot be read.
    """
    if sample is None or lacking(sample) == NO_FRAMES:
        raise InputError(NO_FRAMES)
    if k < 1 or by not in BYS:
        raise InputError(f"`k` is {k} and `by` {by!r}; wanted at least 1, and {' or '.join(BYS)}.")
    if activations.features.shape != (1, sample.head.width):
        raise InputError(
            f"`features` has shape {activations.features.shape}; wanted one image of {sample.head.width} features."
        )
    r = relevance_of(activations, sample.head, sample.epsilon).neurons  # refuses the logits of another head
    own = r if by == "relevance" else activations.features
    kept = {each.kind: each for each in _kept(sample, by)}
    ordinary = kept.get("calibration" if sample.calibrates else "held out")
    found: list[SimilarFrame] = []
    for each in kept.values():
        distances = distances_between(own, each.vectors, by)[0]
        usual = np.empty(0) if ordinary is None else _nearest(ordinary, each, by)
        pictures = each.pictures()
        for row in np.argsort(distances, kind="stable")[:k]:
            nearer = float((usual < distances[row]).mean()) if len(usual) else None
            name = sample.names[each.labels[row]]
            found.append(SimilarFrame(each.kind, name, float(distances[row]), nearer, pictures[row]))
    return sorted(found, key=lambda frame: frame.distance)


def distances_between(first: FloatArray, second: FloatArray, by: By) -> Float64Array:
    """Distances between rows, (n, m) float64: L1 for relevance, 1 − cosine for features.

    Features that are all 0 have no direction: their distance to everything is 1.

    Parameters
    ----------
    first : (n, d)
    second : (m, d)
    """
    one, two = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if by == "relevance":
        from scipy.spatial.distance import cdist  # for which the first paint does not wait

        return np.asarray(cdist(one, two, "cityblock"), np.float64)
    cosines: Float64Array = _directions(one) @ _directions(two).T
    return np.asarray(np.maximum(1 - cosines, 0), np.float64)  # rounding leaves −1e-16 of a frame to itself


def _directions(vectors: Float64Array) -> Float64Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions: Float64Array = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return directions


def _kept(sample: NeuronSample, by: By) -> Iterator[_Kept]:
    """The frames of each kind that the sample has with pictures."""
    if (trained := sample.trained) is not None:
        vectors = sample.trained_relevance if by == "relevance" else trained.features
        yield _Kept("training", vectors, trained.labels, lambda: cut_sheet(trained.read_sheet(), len(trained.labels)))
    if (read_sheet := sample.read_sheet) is not None:
        rows = np.flatnonzero(sample.groups < sample.classes)
        vectors = (sample.relevance if by == "relevance" else sample.features)[rows]

        def pictures() -> list[Image.Image]:
            every = cut_sheet(read_sheet(), len(sample.groups))
            return [every[row] for row in rows]

        yield _Kept("calibration" if sample.calibrates else "held out", vectors, sample.groups[rows], pictures)


def _nearest(ordinary: _Kept, kept: _Kept, by: By) -> Float64Array:
    """Distance of some calibration frames to their nearest frame of a kind, themselves left out, (c,) or none."""
    rows = chosen_rows(len(ordinary.labels), COMPARED)
    distances = distances_between(ordinary.vectors[rows], kept.vectors, by)
    if kept is ordinary:
        if len(ordinary.labels) < 2:
            return np.empty(0)
        distances[np.arange(len(rows)), rows] = np.inf
    nearest: Float64Array = distances.min(axis=1)
    return nearest
