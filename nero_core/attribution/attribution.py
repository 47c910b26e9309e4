"""Choosing a heatmap method for a network, by name or the best that it has."""

from __future__ import annotations

import threading

from nero_core.attribution.base import METHODS, AttributionPass, Fit, HeatmapMethod
from nero_core.errors import InputError
from nero_core.network.classifier import Classifier
from nero_core.records import Float32Array

EXACT = ("CRP", "conservative propagation")
"""The methods with a rule for each function that the network calls."""

PREFERRED = (*EXACT, "instant map", "gradient × input")
"""What is taken where nobody chooses, from the best to the one that every network has."""

OWN = "nero_core."
"""Where the methods of this package are; others were added by another."""

CHOSEN_AT_MOST = 2
"""Methods that are kept ready for one network beside the best: each holds a copy of it."""


class Attribution:
    """Pixel maps of a classifier's neurons by one method.

    Made once per classifier, from a private copy; may be used by any number of threads.

    Parameters
    ----------
    classifier : Classifier
        Read, never changed.
    method : str, optional
        Title of a method; without it the first of `PREFERRED` that this network has.

    Attributes
    ----------
    method : str
    reason : str
        Why each method that comes first in `PREFERRED` was not taken; empty for the first and for one that was asked
        for.

    Raises
    ------
    InputError
        There is no such method, or the network does not have it.
    """

    def __init__(self, classifier: Classifier, method: str | None = None) -> None:
        if method is not None and method not in METHODS:
            raise InputError(f"There is no method {method!r}; choose one of {', '.join(METHODS)}.")
        reasons: list[str] = []
        for candidate in PREFERRED if method is None else (method,):
            try:
                self.prepared = METHODS[candidate](classifier)
            except InputError as error:
                if method is not None:
                    raise
                reasons.append(f"{candidate}: {error}")
            else:
                self.method = candidate
                break
        self.reason = " ".join(reasons)

    def open(self, image: Float32Array) -> AttributionPass:
        """The maps of one image, on demand.

        Parameters
        ----------
        image : (3, H, W) float32
            Preprocessed, at the network's input size.

        Raises
        ------
        InputError
            The image has another shape, or holds NaN or infinity.
        """
        return self.prepared.open(image)


def supports(classifier: Classifier) -> bool:
    """Whether there are exact rules for this classifier; costs a few forward passes.

    `Attribution.reason` says why, where there are none.
    """
    return Attribution(classifier).method in EXACT


def fits_of(classifier: Classifier) -> dict[str, Fit]:
    """For every registered method, whether this network has it, and why not; costs some forward passes."""
    return {title: _fit(method, classifier) for title, method in METHODS.items()}


def _fit(method: type[HeatmapMethod], classifier: Classifier) -> Fit:
    try:
        return method.fits(classifier)
    except Exception as error:  # the code of others may raise anything, and takes no page with it
        if method.__module__.startswith(OWN):
            raise
        return Fit(False, f"{method.title}, which {method.__module__} adds, failed on this network: {error!r}.")


def fitting(classifier: Classifier) -> list[str]:
    """Titles of all methods that this network has; costs some forward passes."""
    return [title for title, fit in fits_of(classifier).items() if fit]


class Attributions:
    """The heatmap methods of one classifier, each prepared when it is first asked for; for any number of threads.

    Parameters
    ----------
    classifier : Classifier
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._lock, self._fits_lock = threading.Lock(), threading.Lock()
        self._prepared: dict[str | None, Attribution] = {}
        self._fits: dict[str, Fit] | None = None

    def by(self, method: str | None = None) -> Attribution:
        """A method by title, or the best that the network has; the few that were asked for last stay prepared.

        Raises
        ------
        InputError
            There is no such method, or the network does not have it.
        """
        with self._lock:
            if method not in self._prepared:
                default = self._prepared.get(None)
                made = default if default and default.method == method else Attribution(self._classifier, method)
                chosen = [title for title in self._prepared if title is not None]
                for oldest in chosen[: max(0, len(chosen) + 1 - CHOSEN_AT_MOST)]:
                    del self._prepared[oldest]
                self._prepared[method] = made
            return self._prepared[method]

    @property
    def fits(self) -> dict[str, Fit]:
        """For every registered method, whether the network has it, and why not."""
        with self._fits_lock:
            if self._fits is None:
                self._fits = fits_of(self._classifier)
            return self._fits
