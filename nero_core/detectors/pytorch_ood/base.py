"""How a detector of pytorch-ood stands behind this package's contract.

The library's object is made anew from the fitted arrays for each call, so threads share nothing. Fitting runs in
float32, in which networks give their features, and scoring in float64 where the library allows it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from nero_core.detectors.base import Detector
from nero_core.errors import InputError
from nero_core.records import Activations, Float64Array, Head

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

CHUNK_ROWS = 1024
"""Images scored at a time; bounds memory by CHUNK_ROWS·(d + K) numbers."""


class LibraryDetector(Detector):
    """A detector of the library.

    A subclass makes the library's object in `_library_object`. None of them claims the far-point property: logits,
    angles and clipped features either do not grow with the features or grow towards in-distribution.
    """

    reads: ClassVar[Literal["logits", "features", "feature_maps"]]
    """Which of the library's doors it goes through; a feature map is one cell of pooled features."""
    learnt: ClassVar[Mapping[str, str]] = {}
    """The library object's attribute that each fitted array is."""
    single: ClassVar[bool] = False
    """Whether the library insists on float32."""

    @abstractmethod
    def _library_object(self, library: Any, head: nn.Linear) -> Any:
        """The library's object with this detector's parameters, unfitted; `library` is ``pytorch_ood.detector``."""

    def _made(self, dtype: torch.dtype) -> Any:
        from pytorch_ood import detector

        with in_words(self.info.title):
            return self._library_object(detector, linear(self.head_, dtype))

    def _fit(self, train: Activations, head: Head, calibration: Activations | None) -> None:
        import torch

        theirs = self._made(torch.float32)
        if not self.info.fits:
            return
        with in_words(self.info.title):
            self._learn(theirs, self._input(train, torch.float32), torch.from_numpy(train.labels))
        for ours, attribute in self.learnt.items():
            array = as_array(getattr(theirs, attribute))
            if not np.isfinite(array).all():
                raise InputError(
                    f"{self.info.title} could not be fitted: `{ours}` is not finite on these {len(train)} training "
                    "images; check that the network tells its classes apart."
                )
            setattr(self, ours, array)

    def _score(self, batch: Activations) -> Float64Array:
        import torch

        dtype = torch.float32 if self.single else torch.float64
        theirs = self._made(dtype)
        for ours, attribute in self.learnt.items():
            setattr(theirs, attribute, as_tensor(getattr(self, ours), dtype))
        theirs._is_fitted = True
        scores = np.empty(len(batch))
        rows = self._rows_at_once()
        for start in range(0, len(batch), rows):
            values = self._input(batch[start : start + rows], dtype)
            with in_words(self.info.title):
                scores[start : start + rows] = self._predict(theirs, values).numpy()
        return scores

    def _input(self, batch: Activations, dtype: torch.dtype) -> Tensor:
        values = as_tensor(batch.logits if self.reads == "logits" else batch.features, dtype)
        return values[:, :, None, None] if self.reads == "feature_maps" else values

    def _learn(self, theirs: Any, values: Tensor, labels: Tensor) -> None:
        getattr(theirs, f"fit_{self.reads}")(values, labels)

    def _predict(self, theirs: Any, values: Tensor) -> Tensor:
        scores: Tensor = getattr(theirs, f"predict_{self.reads}")(values)
        return scores

    def _rows_at_once(self) -> int:
        return CHUNK_ROWS


# Arrays and layers -------------------------------------------------------------------------------------------


def as_array(value: Any) -> npt.NDArray[Any]:
    """A tensor or number as an array of its own."""
    return np.array(value.detach().cpu().numpy() if hasattr(value, "detach") else value)


def as_tensor(array: npt.NDArray[Any], dtype: torch.dtype) -> Tensor:
    """An array as a tensor, without a copy where it can be shared.

    Parameters
    ----------
    array : (…)
        Of any shape.
    """
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


@contextmanager
def in_words(title: str) -> Iterator[None]:
    """The library's refusals as ours, with the detector's name.

    Raises
    ------
    InputError
        The library refused something.
    """
    try:
        yield
    except InputError:
        raise
    except (ValueError, AssertionError) as error:
        raise InputError(f"{title} cannot be used here: {error or type(error).__name__}.") from error
