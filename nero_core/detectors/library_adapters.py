"""How a detector of pytorch-ood stands behind this package's contract, and what some of them need differently.

The library's object is made anew from the fitted arrays for each call, so threads share nothing. Fitting runs in
float32, in which networks give their features, and scoring in float64 where the library allows it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from nero_core.detectors.base import Detector
from nero_core.errors import InputError
from nero_core.records import (
    Activations,
    Float32Array,
    Float64Array,
    FloatArray,
    Head,
)
from nero_core.storage.typed import Range, Shape

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

CHUNK_ROWS = 1024
"""Images scored at a time; bounds memory by CHUNK_ROWS·(d + K) numbers."""

BANK_CHUNK_ROWS = 4096
"""Training images taken into a bank at a time, as many as the library takes."""

PAIR_CHUNK_NUMBERS = 1 << 24
"""Similarities to training images held at a time, numbers: 64 MB in float32."""


class Learnt(NamedTuple):
    """An array that is learnt: the library object's attribute, and what ours is declared as."""

    attribute: str
    declared: Any


def learnt(attribute: str, *axes: str | int, values: Range | None = None) -> Learnt:
    """An attribute of the library's object, as an array of these axes; see :class:`~nero_core.storage.typed.Shape`."""
    return Learnt(attribute, Annotated[FloatArray, Shape(*axes, values=values)])


@dataclass(frozen=True)
class Row:
    """One detector of the library.

    Attributes
    ----------
    name, title, paper, year
        As in DetectorInfo. None of these detectors claims the far-point property: logits, angles and clipped
        features either do not grow with the features or grow towards in-distribution.
    library : str
        Class in ``pytorch_ood.detector``.
    reads : {"logits", "features", "feature_maps"}
        Which of the library's doors it goes through.
    about : str
        Class docstring: score and parameters.
    make : callable
        (library class, our detector, head as a layer) → the library's object, unfitted.
    parameters : {name: (what it may be, default)}
    fitted : {our attribute: Learnt}
        Empty where nothing is learnt.
    adapter : class
        `Adapter`, or what of it differs.
    single : bool
        Whether the library insists on float32.
    """

    name: str
    title: str
    paper: str
    year: int
    library: str
    reads: Literal["logits", "features", "feature_maps"]
    about: str
    make: Callable[[Any, Any, nn.Linear], Any]
    parameters: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    fitted: Mapping[str, Learnt] = field(default_factory=dict)
    adapter: type[Adapter] | None = None
    single: bool = False


class Adapter(Detector):
    """A detector of the library behind this package's contract; what it is stands in its row."""

    row: ClassVar[Row]

    def __init__(self, *values: Any, **parameters: Any) -> None:
        given = inspect.signature(type(self)).bind(*values, **parameters)
        given.apply_defaults()
        for name, value in given.arguments.items():
            setattr(self, name, value)

    @classmethod
    def _declared(cls) -> Mapping[str, Any]:
        return {name: learnt.declared for name, learnt in cls.row.fitted.items()}

    def _theirs(self, dtype: torch.dtype) -> Any:
        """The library's object for this head, unfitted."""
        import pytorch_ood.detector

        with in_words(self.info.title):
            return self.row.make(getattr(pytorch_ood.detector, self.row.library), self, linear(self.head_, dtype))

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        import torch

        theirs = self._theirs(torch.float32)
        if not self.info.fits:
            return
        with in_words(self.info.title):
            self._learn(theirs, self._input(train, torch.float32), torch.from_numpy(train.labels))
        for ours, learnt in self.row.fitted.items():
            array = as_array(getattr(theirs, learnt.attribute))
            if not np.isfinite(array).all():
                raise InputError(
                    f"{self.info.title} could not be fitted: `{ours}` is not finite on these {len(train)} training "
                    "images; check that the network tells its classes apart."
                )
            setattr(self, ours, array)

    def _score(self, batch: Activations) -> Float64Array:
        import torch

        dtype = torch.float32 if self.row.single else torch.float64
        theirs = self._theirs(dtype)
        for ours, learnt in self.row.fitted.items():
            setattr(theirs, learnt.attribute, as_tensor(getattr(self, ours), dtype))
        theirs._is_fitted = True
        scores = np.empty(len(batch))
        rows = self._rows_at_once()
        for start in range(0, len(batch), rows):
            values = self._input(batch[start : start + rows], dtype)
            with in_words(self.info.title):
                scores[start : start + rows] = self._predict(theirs, values).numpy()
        return scores

    def _input(self, batch: Activations, dtype: torch.dtype) -> Tensor:
        values = as_tensor(batch.logits if self.row.reads == "logits" else batch.features, dtype)
        return values[:, :, None, None] if self.row.reads == "feature_maps" else values

    def _learn(self, theirs: Any, values: Tensor, labels: Tensor) -> None:
        getattr(theirs, f"fit_{self.row.reads}")(values, labels)

    def _predict(self, theirs: Any, values: Tensor) -> Tensor:
        scores: Tensor = getattr(theirs, f"predict_{self.row.reads}")(values)
        return scores

    def _rows_at_once(self) -> int:
        return CHUNK_ROWS


class KLMatching(Adapter):
    """The library keeps its distributions in a dictionary by predicted class."""

    def _learn(self, theirs: Any, values: Tensor, labels: Tensor) -> None:
        import torch

        super()._learn(theirs, values, labels)
        theirs.dists = torch.stack(list(theirs.dists.values()))

    def _predict(self, theirs: Any, values: Tensor) -> Tensor:
        if not isinstance(theirs.dists, dict):
            theirs.dists = dict(enumerate(theirs.dists))
        return super()._predict(theirs, values)


class Shaped(Adapter):
    """ASH and SCALE divide by the sum of the features kept."""

    percentile: float

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        super()._fit(train, head, calibration)
        self._check_kept(head)

    def _restore(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        super()._restore(arrays)
        self._check_kept(self.head_)

    def _check_kept(self, head: Head) -> None:
        if head.width - round(head.width * self.percentile) < 1:
            raise InputError(
                f"{self.info.title} keeps none of {head.width} features at `percentile` {self.percentile}; lower it."
            )

    def _predict(self, theirs: Any, values: Tensor) -> Tensor:
        import torch

        # All features zero: 0/0. The smallest equal features have the same logits, the biases.
        nothing = (values == 0).all(dim=1, keepdim=True)
        return super()._predict(theirs, values.masked_fill(nothing, torch.finfo(values.dtype).tiny))


class Dice(Adapter):
    """The library's product is (n, K, d); this one is (n, K), with the same weights."""

    def _predict(self, theirs: Any, values: Tensor) -> Tensor:
        scores: Tensor = theirs.detector(values @ theirs.masked_w.T + theirs.bias)
        return scores


class FDBD(Adapter):
    """The library's table of boundary normals goes through (K, K, d); this one is (K, K) from the start."""

    def _learn(self, theirs: Any, values: Tensor, labels: Tensor) -> None:
        import torch

        weight = theirs.head.weight.numpy()
        if len(weight) < 2:
            raise InputError(f"{self.info.title} measures distances to boundaries between classes; this head has one.")
        normals = cdist(weight, weight)
        # A class and itself, or two of equal weights, have no boundary: it adds nothing.
        normals[normals == 0] = np.finfo(np.float32).max
        theirs.train_mean = values.mean(dim=0)
        theirs._denom_matrix = torch.from_numpy(normals.astype(np.float32))


class NNGuide(Adapter):
    """A bank of all training features: the library holds five copies at once while it fits, this holds one."""

    k: int
    bank_: Float32Array

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        bank = np.empty(train.features.shape, np.float32)
        for start in range(0, len(train), BANK_CHUNK_ROWS):
            rows = slice(start, start + BANK_CHUNK_ROWS)
            super()._fit(train[rows], head, calibration)
            bank[rows] = self.bank_
        self.bank_ = bank

    def _learn(self, theirs: Any, values: Tensor, labels: Tensor) -> None:
        theirs.k = min(theirs.k, len(values))
        super()._learn(theirs, values, labels)

    def _predict(self, theirs: Any, values: Tensor) -> Tensor:
        theirs.k = min(self.k, len(theirs._scaled_features))
        return super()._predict(theirs, values)

    def _rows_at_once(self) -> int:
        return max(1, PAIR_CHUNK_NUMBERS // len(self.bank_))


class NCI(Adapter):
    """α makes both terms weigh the same on the training images where it is not given."""

    alpha: float | None

    def _learn(self, theirs: Any, values: Tensor, labels: Tensor) -> None:
        import torch

        super()._learn(theirs, values, labels)
        theirs.alpha = torch.tensor(0.0)
        if self.alpha is not None:
            theirs.alpha = torch.tensor(float(self.alpha))
            return
        angles = torch.cat(
            [self._predict(theirs, part).abs() for part in torch.chunk(values, 1 + len(values) // CHUNK_ROWS)]
        ).mean()
        size = values.abs().sum(dim=1).mean()
        theirs.alpha = angles / size if size > 0 else theirs.alpha

    def _predict(self, theirs: Any, values: Tensor) -> Tensor:
        # Features equal to the training mean have no direction: 0/0.
        return super()._predict(theirs, values).nan_to_num(nan=0.0)


class GradNorm(Adapter):
    """The library differentiates image by image; for the last layer the gradient is (p − 1/K) aᵀ / T."""

    temperature: float

    def _score(self, batch: Activations) -> Float64Array:
        z = batch.logits.astype(np.float64) / self.temperature
        e = np.exp(z - z.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        surprise = np.abs(p - 1 / self.head_.classes).sum(axis=1)
        size = np.abs(batch.features.astype(np.float64)).sum(axis=1)
        scores: Float64Array = -size * surprise / self.temperature
        return scores


# Arrays and layers -------------------------------------------------------------------------------------------


def as_array(value: Any) -> npt.NDArray[Any]:
    """A tensor or number as an array of its own."""
    return np.array(value.detach().cpu().numpy() if hasattr(value, "detach") else value)


def as_tensor(array: npt.NDArray[Any], dtype: torch.dtype) -> Tensor:
    """An array as a tensor, without a copy where it can be shared."""
    import torch

    return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(dtype)


def linear(head: Head, dtype: torch.dtype) -> nn.Linear:
    """The head as a layer, its weights not to be differentiated."""
    from torch import nn

    layer = nn.Linear(head.width, head.classes, device="meta", dtype=dtype)  # nothing is drawn at random there
    layer = layer.to_empty(device="cpu").requires_grad_(False)
    layer.weight.copy_(as_tensor(head.weight, dtype))
    layer.bias.copy_(as_tensor(head.bias, dtype))
    return layer


def on_maps(head: nn.Linear) -> Callable[[Tensor], Tensor]:
    """The head for maps of one cell, (n, d, 1, 1)."""
    return lambda maps: head(maps.flatten(start_dim=1))


@contextmanager
def in_words(title: str) -> Iterator[None]:
    """The library's refusals as ours, with the detector's name."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, AssertionError) as error:
        raise InputError(f"{title} cannot be used here: {error or type(error).__name__}.") from error
