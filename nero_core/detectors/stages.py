"""What detectors on a network's stages share: which stages, their statistics as coordinates, and a channel's share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt

from nero_core.detectors.base import ExplainedDetector
from nero_core.detectors.linear_algebra import unit_rows
from nero_core.errors import InputError
from nero_core.records import Activations, Float64Array, FloatArray, IntArray, Neuron
from nero_core.storage.typed import Range, Shape

DEFAULT_STAGES = 3
"""Stages taken where none are named, from the input on: the last one hurts most near the training images."""


class OnStages(ExplainedDetector):
    """A detector on u = [u_1; u_2; …] with u_s = [channel means, channel deviations] of stage s, of length one.

    Parameters
    ----------
    stages : sequence of str, optional
        The stages to take. The first three that the activations hold where not given; all of them where a
        network has fewer than three. Choose them by in-distribution images alone.
    """

    class_means_: Annotated[Float64Array, Shape("K", "coordinates")]
    """μ_c, the mean of u over class c."""
    stage_names_: Annotated[npt.NDArray[np.uint8], Shape("bytes")]
    """UTF-8 bytes of the stages' names, a newline between them: files of arrays hold numbers only."""
    channels_: Annotated[IntArray, Shape("stages", values=Range(1))]
    """Channels of each."""

    def __init__(self, stages: Sequence[str] | None = None) -> None:
        self.stages = stages

    def _take_stages(self, train: Activations) -> Float64Array:
        """Keep which stages are taken; gives u of the training images, (n, w)."""
        assert train.stages is not None
        names = self._choose(train.stages)
        self.stage_names_ = np.frombuffer("\n".join(names).encode(), np.uint8)
        self.channels_ = np.array([train.stages[name].shape[1] // 2 for name in names])
        return self._coordinates(train)

    def _usual(self, names: list[str]) -> list[str]:
        """The stages taken where none are named."""
        return names[:DEFAULT_STAGES]

    def _choose(self, stages: Mapping[str, FloatArray]) -> list[str]:
        names = self._usual(list(stages)) if self.stages is None else list(self.stages)
        if not names or len(set(names)) < len(names):
            raise InputError(f"`stages` of {self.info.title} is {self.stages!r}; wanted names, each once, or None.")
        if unknown := [name for name in names if name not in stages]:
            raise InputError(
                f"{self.info.title} was asked for stage {unknown[0]!r}; this network has {', '.join(stages)}."
            )
        if odd := [name for name in names if stages[name].shape[1] % 2 or not stages[name].shape[1]]:
            raise InputError(
                f"Stage {odd[0]!r} has {stages[odd[0]].shape[1]} columns; {self.info.title} wants the channels' means "
                "followed by their deviations."
            )
        return names

    def _restore(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        super()._restore(arrays)
        try:
            names = self._names()
        except UnicodeDecodeError as error:
            raise InputError(f"`stage_names_` of {self.info.title} is no text ({error}).") from error
        coordinates = self.class_means_.shape[1]
        if len(names) != len(self.channels_) or 2 * int(self.channels_.sum()) != coordinates:
            raise InputError(
                f"`stage_names_` of {self.info.title} are {len(names)}, and `channels_` {len(self.channels_)} with "
                f"{self.channels_.sum()} in all; wanted one of each per stage, and {coordinates / 2:g} channels."
            )

    def _names(self) -> list[str]:
        return self.stage_names_.tobytes().decode().split("\n")

    def _coordinates(self, batch: Activations) -> Float64Array:
        """u, (n, w)."""
        assert batch.stages is not None
        parts = []
        for name, channels in zip(self._names(), self.channels_, strict=True):
            values = batch.stages.get(name)
            if values is None or values.shape[1] != 2 * channels:
                seen = "is missing" if values is None else f"has {values.shape[1]} columns"
                raise InputError(
                    f"Stage {name!r} {seen}; {self.info.title} was fitted on {channels} channels of it: choose the "
                    "reference made for this network."
                )
            parts.append(unit_rows(values.astype(np.float64)))
        return np.concatenate(parts, axis=1)

    def _owners(self) -> IntArray:
        """For each coordinate of u, the column of the account it belongs to, (w,)."""
        starts = np.cumsum([0, *self.channels_[:-1]])
        return np.concatenate(
            [np.tile(np.arange(start, start + c), 2) for start, c in zip(starts, self.channels_, strict=True)]
        )

    def _by_channel(self, shares: Float64Array) -> Float64Array:
        """A channel's share is that of its mean plus that of its deviation: (n, w) → (n, channels)."""
        stages = np.split(shares, 2 * np.cumsum(self.channels_)[:-1], axis=1)
        return np.concatenate([s[:, : s.shape[1] // 2] + s[:, s.shape[1] // 2 :] for s in stages], axis=1)

    def _neurons(self) -> tuple[Neuron, ...]:
        """The channels of an account, in its order."""
        return tuple(
            Neuron(name, channel)
            for name, channels in zip(self._names(), self.channels_, strict=True)
            for channel in range(channels)
        )

    def _with_usual(self, u: Float64Array, neurons: Sequence[int], classes: IntArray) -> Float64Array:
        """u with mean and deviation of the chosen channels as μ of these classes has them; (n, w)."""
        chosen = np.isin(self._owners(), np.arange(int(self.channels_.sum()))[list(neurons)])
        return np.where(chosen, self.class_means_[classes], u)
