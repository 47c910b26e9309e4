"""Which training images a neuron stands for: those where it was most relevant, and those where it was most active."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from nero_core.detectors import Detector, ExplainedDetector
from nero_core.network.extraction import Batch
from nero_core.neurons.crops import RankedBy, Ranking
from nero_core.records import Activations, Float32Array, Float64Array, FloatArray, Head, IntArray, Neuron, Progress
from nero_core.relevance import DEFAULT_EPSILON, relevance_of

CROPS_PER_NEURON = 8
STAGE_CHANNELS = 512
"""How many channels of stages get crops: a reference holds a file for each."""


class _Strongest:
    """Each neuron's q images of largest positive strength, with the cell where its map peaked."""

    def __init__(self, neurons: int, q: int) -> None:
        self.strengths = np.full((neurons, q), -np.inf)
        self.rows = np.full((neurons, q), -1, np.int64)
        self.places = np.zeros((neurons, q), np.int64)

    def add(self, strengths: FloatArray, rows: IntArray, places: IntArray) -> None:
        """See n more images: strengths (n, m), rows (n,), places (n, m)."""
        q = self.strengths.shape[1]
        values = np.hstack([self.strengths, np.where(strengths > 0, strengths, -np.inf).T])
        candidates = np.hstack([self.rows, np.broadcast_to(rows, strengths.T.shape)])
        spots = np.hstack([self.places, places.T])
        best = np.argsort(-values, axis=1, kind="stable")[:, :q]
        self.strengths = np.take_along_axis(values, best, axis=1)
        self.rows = np.where(np.isfinite(self.strengths), np.take_along_axis(candidates, best, axis=1), -1)
        self.places = np.take_along_axis(spots, best, axis=1)


class RankingCollector:
    """Keeps, batch by batch, each neuron's q most relevant and q most active images: memory does not grow with n."""

    def __init__(self, head: Head, epsilon: float = DEFAULT_EPSILON, q: int = CROPS_PER_NEURON) -> None:
        self._head, self._epsilon = head, epsilon
        self._found: dict[RankedBy, _Strongest] = {
            "relevance": _Strongest(head.width, q),
            "activation": _Strongest(head.width, q),
        }
        self._grid = (1, 1)

    def add(self, batch: Batch) -> None:
        """See one more batch; a network without a feature map is cropped at its centre."""
        a = batch.activations.features
        places = np.zeros(a.shape, np.int64) if batch.places is None else batch.places
        self._grid = batch.grid or self._grid
        r = relevance_of(batch.activations, self._head, self._epsilon).neurons
        self._found["relevance"].add(r, batch.rows, places)
        self._found["activation"].add(a, batch.rows, places)

    def rankings(self) -> list[Ranking]:
        """What has been seen so far: by relevance, and by activation."""
        neurons = tuple(Neuron(None, channel) for channel in range(self._head.width))
        return [
            Ranking(by, neurons, found.strengths, found.rows, _centres(found.places, self._grid))
            for by, found in self._found.items()
        ]


def _centres(places: IntArray, grid: tuple[int, int]) -> Float64Array:
    """Cells of a map, row-major, as shares of the image's width and height."""
    rows, columns = grid
    return np.stack([(places % columns + 0.5) / columns, (places // columns + 0.5) / rows], axis=-1)


def leading_channels(detectors: Iterable[Detector], held_out: Activations, count: int) -> list[Neuron]:
    """The `count` stage channels with the largest mean absolute contribution to ordinary images' scores."""
    means: dict[Neuron, float] = {}
    for detector in detectors:
        if isinstance(detector, ExplainedDetector) and "stages" in detector.info.needs:
            account = detector.account(held_out)
            size = np.abs(account.contributions).mean(axis=0)
            means |= {neuron: float(mean) for neuron, mean in zip(account.neurons, size, strict=True) if neuron.stage}
    return sorted(means, key=lambda neuron: -means[neuron])[:count]


def rank_channels(
    channels: Sequence[Neuron],
    stages: Mapping[str, FloatArray],
    positions: IntArray,
    stage_maps: Callable[[int], Mapping[str, Float32Array]],
    progress: Progress | None = None,
    q: int = CROPS_PER_NEURON,
) -> Ranking:
    """Per stage channel the q images where it was most active on the average over space.

    Parameters
    ----------
    channels : m Neurons
        Of stages.
    stages : {name: (n, 2c)}
        Their statistics, as in Activations.
    positions : (n,) int64
        Position of each row's image.
    stage_maps : callable
        Position of an image → {name: (c, h, w)}; called once per ranked image.
    """
    q = min(q, len(positions))
    strengths, best = np.zeros((len(channels), q)), np.zeros((len(channels), q), np.int64)
    for place, (stage, channel) in enumerate(channels):
        means = np.asarray(stages[str(stage)][:, channel], np.float64)
        best[place] = np.argsort(-means, kind="stable")[:q]
        strengths[place] = means[best[place]]
    centres = np.zeros((*best.shape, 2))
    ranked = np.unique(best)
    for done, row in enumerate(ranked, start=1):
        maps = stage_maps(int(positions[row]))
        for place, spot in np.argwhere(best == row):
            stage_map = maps[str(channels[place].stage)][channels[place].channel]
            centres[place, spot] = _centres(stage_map.argmax(), stage_map.shape)
        if progress is not None:
            progress(done, len(ranked))
    return Ranking("activation", tuple(channels), strengths, positions[best], centres)
