"""Stage Mahalanobis: Mahalanobis distance on what the early stages of a network see, channel by channel.

Our own, in the line of Mahalanobis++ (Müller, Hein, ICML 2025, arXiv 2505.18032) and of the multi-layer
Mahalanobis distance (Lee, Lee, Lee, Shin, NeurIPS 2018, arXiv 1807.03888). Shrinkage: Ledoit, Wolf, "A
well-conditioned estimator for large-dimensional covariance matrices", Journal of Multivariate Analysis 88, 2004.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
from sklearn.covariance import ledoit_wolf

from nero_core.detectors.base import DetectorInfo, ExplainedDetector, Paper, account_of
from nero_core.detectors.linear_algebra import (
    centre_and_scale,
    class_means,
    mahalanobis,
    mahalanobis_shares,
    nearest_mean,
    residuals,
    unit_rows,
    whitening,
)
from nero_core.detectors.registry import register
from nero_core.errors import InputError
from nero_core.records import Account, Activations, Float64Array, FloatArray, Head, IntArray, Neuron
from nero_core.storage.typed import Range, Shape

DEFAULT_STAGES = 3
"""Stages taken where none are named, from the input on: the last one hurts most near the training images."""


@register
class StageMahalanobis(ExplainedDetector):
    """Score by the statistics of the early stages.

    For stage s, u_s = [channel means, channel deviations] over space, divided by its L2 norm; u = [u_1; u_2; …];
    μ_c the mean of u over class c, Σ the covariance shared by the classes, with Ledoit–Wolf shrinkage on
    standardised coordinates::

        S = min_c (u − μ_c)ᵀ Σ⁻¹ (u − μ_c)

    A coordinate that is constant over the training images keeps its own unit when standardised, and the variance
    that the shrinkage gives it.

    Parameters
    ----------
    stages : sequence of str, optional
        The stages to take. The first three that the activations hold where not given; all of them where a
        network has fewer than three. Choose them by in-distribution images alone.
    """

    # Far point: not claimed, features are not read, and stages are normalised.
    info = DetectorInfo("stage_mahalanobis", "Stage Mahalanobis", Paper(
        "ours, after Lee et al., NeurIPS 2018, and Müller and Hein, ICML 2025", (), "", 2026
    ), needs=frozenset({"stages"}))  # fmt: skip
    class_means_: Annotated[Float64Array, Shape("K", "coordinates")]
    """μ_c."""
    whitening_: Annotated[Float64Array, Shape("coordinates", "rank")]
    """W with W Wᵀ = Σ⁻¹."""
    stage_names_: Annotated[npt.NDArray[np.uint8], Shape("bytes")]
    """UTF-8 bytes of the stages' names, a newline between them: files of arrays hold numbers only."""
    channels_: Annotated[IntArray, Shape("stages", values=Range(1))]
    """Channels of each."""

    def __init__(self, stages: Sequence[str] | None = None) -> None:
        self.stages = stages

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        assert train.labels is not None
        assert train.stages is not None
        names = self._choose(train.stages)
        self.stage_names_ = np.frombuffer("\n".join(names).encode(), np.uint8)
        self.channels_ = np.array([train.stages[name].shape[1] // 2 for name in names])
        u = self._coordinates(train)
        self.class_means_ = class_means(u, train.labels, head.classes)
        v = residuals(u, self.class_means_, train.labels, self.info.title)
        _, scale = centre_and_scale(u)
        covariance, _ = ledoit_wolf(v / scale, assume_centered=True)
        self.whitening_ = whitening(covariance) / scale[:, None]

    def _choose(self, stages: Mapping[str, FloatArray]) -> list[str]:
        names = list(stages)[:DEFAULT_STAGES] if self.stages is None else list(self.stages)
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

    def _score(self, batch: Activations) -> Float64Array:
        return self._distance(self._coordinates(batch))

    def _distance(self, u: Float64Array) -> Float64Array:
        return mahalanobis(nearest_mean(u, self.class_means_, self.whitening_)[1], self.whitening_)

    def account(self, batch: Activations) -> Account:
        """S = Σ over channels; a channel's share is that of its mean plus that of its deviation.

        With v = u − μ_c for the nearest class c, a coordinate's share is v_i (Σ⁻¹ v)_i; both signs occur.
        """
        self._check_batch(batch)
        nearest, v = nearest_mean(self._coordinates(batch), self.class_means_, self.whitening_)
        shares = mahalanobis_shares(v, self.whitening_)
        stages = np.split(shares, 2 * np.cumsum(self.channels_)[:-1], axis=1)
        contributions = np.concatenate([s[:, : s.shape[1] // 2] + s[:, s.shape[1] // 2 :] for s in stages], axis=1)
        neurons = tuple(
            Neuron(name, channel)
            for name, channels in zip(self._names(), self.channels_, strict=True)
            for channel in range(channels)
        )
        return account_of(contributions, nearest, neurons)

    def what_if(self, batch: Activations, neurons: Sequence[int]) -> Float64Array:
        """The score recomputed with the chosen channels as usual for the nearest class.

        In u, the normalised space: mean and deviation of each chosen channel are set to μ_c there, the other
        coordinates stay as they are (nothing is normalised again), and the nearest class is found anew.
        """
        self._check_batch(batch)
        u = self._coordinates(batch)
        nearest, _ = nearest_mean(u, self.class_means_, self.whitening_)
        chosen = np.isin(self._owners(), np.arange(int(self.channels_.sum()))[list(neurons)])
        return self._distance(np.where(chosen, self.class_means_[nearest], u))
