"""The rows of a benchmark: registered detectors, those a reference holds, and NERO taken apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nero_core.calibration import Calibration
from nero_core.detectors import DETECTORS, Detector, Nero, make_detector
from nero_core.detectors.nero import PAPER_K
from nero_core.errors import InputError
from nero_core.records import Activations, Float64Array
from nero_core.reference.reference import Reference
from nero_core.relevance import DEFAULT_EPSILON

ABLATED_K = (25, 50, 100, 250, 400)
"""Sizes of the low-relevance set beside the paper's 175."""
ABLATED_COMPONENT_SHARES = (1 / 6, 1 / 3, 1.0)
"""Shares of the principal components kept, beside the paper's 2d/3."""
ABLATED_EPSILON = (0.0, 0.01)
"""The paper's ε and a stable one."""


@dataclass(frozen=True, eq=False)
class Contender:
    """One row to be: a detector, fitted already where the reference holds it.

    Attributes
    ----------
    name : str
    detector : Detector
    calibration : Calibration or None
        The reference's own, for a detector that it holds.
    """

    name: str
    detector: Detector
    calibration: Calibration | None = None

    @property
    def fitted(self) -> bool:
        """Whether it comes with what it has learnt."""
        return self.calibration is not None


class PartialNero(Nero):
    """NERO without some of its factors: S = D, or S = D + B."""

    def __init__(self, terms: Literal["distance", "distance + bias"]) -> None:
        super().__init__()
        self.terms_kept = terms

    def _score(self, batch: Activations) -> Float64Array:
        parts = self.terms(batch)
        return parts.distance if self.terms_kept == "distance" else parts.distance + parts.bias_term

    def parameters(self) -> dict[str, object]:
        """The parts of the score that are kept."""
        return {"terms": self.terms_kept}


def contenders(
    names: Sequence[str] | None,
    reference: Reference | None,
    trained_on: str | None,
    width: int,
    ablate: Sequence[str] = (),
) -> list[Contender]:
    """The rows asked for, in order, each once.

    Parameters
    ----------
    names : names, optional
        Registry names; all where not given, or where "all" is among them.
    reference : Reference, optional
        A detector that it holds is taken as it is, with its parameters.
    trained_on : str or None
        :attr:`~nero_core.data.image_set.ImageSet.digest` of the images at hand for fitting. A reference fitted on
        others lends its parameters only. None where there are none: then only what the reference holds is fitted.
    width : int
        d, the number of features.
    ablate : names
        "nero", or nothing.

    Raises
    ------
    UnknownDetectorError
        No detector has that name; the nearest names are offered.
    InputError
        Something else than NERO is to be ablated.
    """
    if unknown := sorted(set(ablate) - {"nero"}):
        raise InputError(f"--ablate {unknown[0]!r} is not known; wanted nero.")
    wanted = list(DETECTORS) if not names or "all" in names else list(dict.fromkeys(names))
    held: Mapping[str, Detector] = {} if reference is None else reference.detectors
    same = reference is not None and trained_on in (None, reference.manifest["training"]["digest"])
    rows = []
    for name in wanted:
        if name in held and same and reference is not None:
            rows.append(Contender(name, held[name], reference.calibrations[name]))
        else:
            rows.append(Contender(name, make_detector(name, **(held[name].parameters() if name in held else {}))))
    if ablate:
        if "nero" not in wanted:
            rows.append(Contender("nero", Nero()))
        rows += nero_ablations(width)
    return rows


def nero_ablations(width: int) -> list[Contender]:
    """NERO with one thing changed at a time; the row `nero` is the whole of it."""
    variants: dict[str, Detector] = {
        "distance": PartialNero("distance"),
        "distance + bias": PartialNero("distance + bias"),
    }
    variants |= {f"k={k}": Nero(k=k) for k in ABLATED_K if k < width and k != PAPER_K}
    variants |= {f"m={m}": Nero(m=m) for m in (max(1, int(share * width)) for share in ABLATED_COMPONENT_SHARES)}
    variants |= {
        f"epsilon={epsilon:g}": Nero(epsilon=epsilon) for epsilon in ABLATED_EPSILON if epsilon != DEFAULT_EPSILON
    }
    return [Contender(f"nero[{what}]", detector) for what, detector in variants.items()]
