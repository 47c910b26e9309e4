"""How many in-distribution images are flagged, in all and by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nero_core.calibration.conformal import Calibration
from nero_core.records import Float64Array, IntArray

FlaggedOf = tuple[int, ...]
"""Two counts: how many images are flagged, and of how many."""


def flagged(calibration: Calibration, alpha: float, scores: Float64Array, predicted: IntArray) -> npt.NDArray[np.bool_]:
    """Which images are flagged, (n,) bool.

    Parameters
    ----------
    scores : (n,)
    predicted : (n,) int64
    """
    decisions = calibration.decide(scores, alpha, predicted)
    return np.array([decision.state == "out-of-distribution" for decision in decisions], dtype=bool)


def false_alarms(
    calibration: Calibration,
    alpha: float,
    scores: Float64Array,
    predicted: IntArray,
    labels: IntArray | None,
    classes: Sequence[str],
) -> dict[str, dict[str, FlaggedOf]]:
    """Of ID images (flagged, images) by predicted class and, where it is known, by true class.

    By class, the bound holds for predicted classes. For a true class it holds only as far as it is predicted rightly.

    Parameters
    ----------
    scores : (n,)
    predicted, labels : (n,) int64
    classes : K names
    """
    is_flagged = flagged(calibration, alpha, scores, predicted)
    kinds = {"predicted": predicted} | ({} if labels is None else {"true": labels})
    return {
        kind: {
            name: (int(is_flagged[numbers == place].sum()), int((numbers == place).sum()))
            for place, name in enumerate(classes)
        }
        for kind, numbers in kinds.items()
    }
